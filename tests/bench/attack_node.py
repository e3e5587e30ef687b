"""A node in little memory, as it would be run by someone who read the guide."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import harness  # noqa: E402
from http_client import Closed  # noqa: E402
from paying import from_elsewhere  # noqa: E402

TOKEN = "a-token-of-this-test"
PAID_STREAM = "paid"
UNUSED_STREAM = "configured-but-not-used"
NAMED = ("plans.", "streams.", "sinks.", "overrides.")  # sections of names that are free
V1 = pathlib.Path("/sys/fs/cgroup/memory")
V2 = pathlib.Path("/sys/fs/cgroup")


class NoCgroup(Exception):
    """Says why there can be none."""


class Cgroup:
    """A memory cgroup below this process's own, of version 1 or 2; removed by close()."""

    def __init__(self, limit_bytes):
        self.path = None
        self.is_v1 = (V1 / "memory.limit_in_bytes").exists()
        own = self.own_path()
        try:
            self.path = own / f"penstock-attacks-{os.getpid()}-{time.monotonic_ns()}"
            self.path.mkdir()
            if self.is_v1:
                self.write("memory.limit_in_bytes", limit_bytes)
            else:
                self.write("memory.max", limit_bytes)
                if (self.path / "memory.swap.max").exists():
                    self.write("memory.swap.max", 0)
        except OSError as error:
            self.close()
            raise NoCgroup(f"no memory cgroup can be made in {own}: {error.strerror}") from None

    def own_path(self):
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if self.is_v1 and "memory" in controllers.split(","):
                inside = V1 / path.lstrip("/")
                return inside if inside.exists() else V1
            if not self.is_v1 and controllers == "":
                return V2 / path.lstrip("/")
        raise NoCgroup("this process is in no memory cgroup")

    def write(self, name, value):
        (self.path / name).write_text(str(value))

    def number(self, name):
        try:
            return int((self.path / name).read_text())
        except (OSError, ValueError):
            return None

    def prefix(self):
        """A command that moves itself in here and then becomes what follows."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs")]

    def usage(self):
        """Peak of all that is charged here, page cache included; how often the limit was met; what
        the kernel killed."""
        if self.is_v1:
            killed = re.search(r"^oom_kill (\d+)", (self.path / "memory.oom_control").read_text(), re.M)
            return {"peak_bytes": self.number("memory.max_usage_in_bytes"),
                    "limit_met": self.number("memory.failcnt"),
                    "oom_kills": int(killed.group(1)) if killed else 0}
        events = dict(line.split() for line in (self.path / "memory.events").read_text().splitlines())
        return {"peak_bytes": self.number("memory.peak"), "limit_met": int(events.get("max", 0)),
                "oom_kills": int(events.get("oom_kill", 0))}

    def close(self):
        if self.path and self.path.exists():
            for _ in range(50):
                try:
                    self.path.rmdir()
                    return
                except OSError:
                    time.sleep(0.1)


def known_options(binary):
    """The keys of the configuration that this build knows, so that older ones can be attacked, too."""
    text = subprocess.run([binary, "check", "--reference"], capture_output=True, text=True).stdout
    return set(re.findall(r"^### `([^`]+)`", text, re.M))


def options(binary, changes, max_connections_per_address):
    """What a careful operator sets. The paying client has a key; others have a small quota."""
    wanted = {
        "http.threads": 2,
        "http.max_connections_per_address": max_connections_per_address,
        "admin.token": TOKEN,
        "identity.order": ["bearer", "x-api-key", "cookie:sid", "referer", "ip"],
        "plans.anonymous.limits": [{"name": "few", "algorithm": "gcra", "amount": 5, "window": "1s"}],
        "plans.paying.limits": [{"name": "rate", "algorithm": "gcra", "amount": 1000,
                                 "window": "1s"}],
        "plans.ample.limits": [{"name": "rate", "algorithm": "gcra", "amount": 10_000_000,
                                "window": "1s"}],
        "streams.default.sinks": ["queue"],
        f"streams.{PAID_STREAM}.sinks": ["queue"],
        f"streams.{UNUSED_STREAM}.sinks": ["queue"],
        "sinks.queue.kind": "embedded",
        "journal.max_size": "1GiB",
        "log.level": "warn",
        **changes,
    }
    known = known_options(binary)
    return {key: value for key, value in wanted.items()
            if value is not None and (key in known or key.startswith(NAMED))}


class Attacked(harness.Node):
    """The node, its keys, and what an operator sees of it from another address."""

    def __init__(self, settings, cgroup=None, token=TOKEN, descriptors=0):
        prefix = list(cgroup.prefix()) if cgroup else []
        if descriptors:
            prefix += ["prlimit", f"--nofile={descriptors}:{descriptors}"]
        super().__init__(settings, prefix=prefix)
        self.cgroup = cgroup
        self.token = token
        self.keys = {}

    def start(self, within_s=harness.READY_S):
        super().start(within_s)
        self.pid = self.end_of_prefix()
        for plan in ("paying", "ample"):
            reply = self.admin("POST", "/v1/admin/keys", {"account": plan, "plan": plan})
            assert reply.status == 201, reply
            self.keys[plan] = reply.json()["key"]
        # What the front ends do not know yet would be answered 401.
        for key in self.keys.values():
            harness.wait_for(lambda: all(self.ask("GET", "/v1/usage", key=key).status == 200
                                         for _ in range(8)), "the keys are known")
        return self

    def end_of_prefix(self):
        """setpriv, sh and prlimit become the node, so its process is the one that was started."""
        return self.process.pid

    def admin(self, method, target, body=None, timeout_s=10):
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        with from_elsewhere(self.admin_port, timeout_s) as client:
            return client.request(method, target, data, headers,
                                  host=f"127.0.0.1:{self.admin_port}")

    def ask(self, method, target, body=b"", key=None, timeout_s=10):
        headers = {"Authorization": "Bearer " + key} if key else {}
        with from_elsewhere(self.http_port, timeout_s) as client:
            return client.request(method, target, body, headers)

    def is_alive(self):
        return self.process.poll() is None

    def peak_rss_bytes(self):
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found.group(1)) << 10 if found else None


class Watch:
    """What an operator sees while it lasts: one look every half second."""

    def __init__(self, node):
        self.node = node
        self.looks = 0
        self.failed = {}
        self.most = {}
        self.peak_rss_bytes = 0

    def fail(self, what):
        self.failed[what] = self.failed.get(what, 0) + 1

    def look(self):
        self.looks += 1
        self.peak_rss_bytes = max(self.peak_rss_bytes, self.node.peak_rss_bytes() or 0)
        for plane, ask in (("http", self.node.ask), ("admin", self.node.admin)):
            try:
                reply = ask("GET", "/readyz", timeout_s=5)
                if reply.status != 200:
                    self.fail(f"/readyz of {plane} is {reply.status}")
            except (OSError, Closed) as failure:
                self.fail(f"/readyz of {plane}: {type(failure).__name__}")
        try:
            reply = self.node.admin("GET", "/metrics", timeout_s=5)
            if reply.status != 200:
                self.fail(f"/metrics is {reply.status}")
                return
            page = harness.Metrics(reply.body.decode())
        except (OSError, Closed) as failure:
            self.fail(f"/metrics: {type(failure).__name__}")
            return
        for name, labels, value in page.samples:
            if page.types.get(name) == "gauge":
                key = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
                              if labels else "")
                self.most[key] = max(self.most.get(key, value), value)
        self.page = page
