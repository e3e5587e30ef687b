"""Runs real nodes for tests: processes, ports, data directories, metrics, conditions."""

import atexit
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from http_client import Client, Closed, Reply, once, request_bytes  # noqa: F401 (for the tests)

READY_S = 20.0
STOP_S = 20.0

binary = os.environ.get("PENSTOCK_BINARY", "")
_running = []


def main():
    """Runs the calling file's tests; the program under test is the first argument."""
    global binary
    if len(sys.argv) > 1 and os.access(sys.argv[1], os.X_OK) and os.path.isfile(sys.argv[1]):
        binary = os.path.abspath(sys.argv.pop(1))
    if not binary:
        sys.exit(f"usage: {sys.argv[0]} PENSTOCK_BINARY [TEST]…")
    unittest.main(module="__main__", verbosity=2)


@contextlib.contextmanager
def program(path):
    """Nodes that are started within it run another program."""
    global binary
    usual, binary = binary, path
    try:
        yield
    finally:
        binary = usual


def wait_for(condition, what, within_s=15.0, pause_s=0.02):
    """Gives the first true value of `condition()`; fails, naming `what`, after the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(pause_s)


given_ports = {}  # port → the lock that is ours while this process lives


def free_port():
    """Below the kernel's range for outgoing connections, and at random: nodes listen with
    SO_REUSEPORT, so two tests with the same port would share it without noticing. None is given
    twice, nor to two tests that run at one time: a node asks for several before it listens on the
    first, and some listen again later."""
    locks = pathlib.Path(tempfile.gettempdir()) / f"penstock-test-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    for _ in range(200):
        port = random.SystemRandom().randrange(10_000, 32_000)
        if port in given_ports:
            continue
        lock = open(locks / str(port), "w")  # noqa: SIM115: it ends with the process
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        given_ports[port] = lock
        return port
    raise AssertionError("no free port")


def toml_value(value):
    """A Python value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    if isinstance(value, dict):
        bare = re.compile(r"[A-Za-z0-9_-]+")
        return "{ " + ", ".join(f"{k if bare.fullmatch(k) else json.dumps(k)} = {toml_value(v)}"
                                for k, v in value.items()) + " }"
    return str(value) if isinstance(value, (int, float)) else json.dumps(value)


class Node:
    """A `penstock run` on free ports with a data directory of its own. `options` maps
    "section.key" to a value. The same object may be started again after stop() or kill()."""

    def __init__(self, options=None, data_dir=None, environment=None, prefix=(), http_host="127.0.0.1"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-test-"))
        self.data_dir = pathlib.Path(data_dir or self.folder / "data")
        self.log_file = self.folder / "log"
        self.config_file = self.folder / "penstock.toml"
        self.http_host = http_host
        self.http_port, self.admin_port = free_port(), free_port()
        self.environment = environment or {}
        self.prefix = list(prefix)
        self.process = None
        self.options = {}
        listen = f"[{http_host}]" if ":" in http_host else http_host
        self.configure({
            "node.data_dir": str(self.data_dir),
            "http.listen": f"{listen}:{self.http_port}",
            "admin.listen": f"127.0.0.1:{self.admin_port}",
            "http.threads": 2,
            "plans.anonymous.limits": [],
            **(options or {}),
        })

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    # -- life ----------------------------------------------------------------------------------

    def configure(self, options):
        """Changes options; a running node sees them at its next SIGHUP or start."""
        self.options.update(options)
        sections = {}
        for key, value in self.options.items():
            section, _, name = key.rpartition(".")
            sections.setdefault(section, []).append(f"{name} = {toml_value(value)}\n")
        self.write_config("".join(f"[{section}]\n{''.join(lines)}"
                                  for section, lines in sections.items()))

    def write_config(self, text):
        self.config_file.write_text(text)

    def launch(self):
        """Starts the process without waiting for it."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        # The kernel ends the node when this process dies, however it dies.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*guard, *self.prefix, binary, "run", "--config", str(self.config_file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment, **self.environment})
        _running.append(self.process)
        return self

    def start(self, within_s=READY_S):
        self.launch()
        self.wait_ready(within_s)
        return self

    def is_ready(self):
        try:
            with Client(self.http_port, self.http_host, timeout_s=2) as client:
                return client.request("GET", "/readyz").status == 200
        except (OSError, Closed):
            return False

    def wait_ready(self, within_s=READY_S):
        def ready_or_dead():
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}")
            return self.is_ready()
        try:
            wait_for(ready_or_dead, "the node is ready", within_s, pause_s=0.01)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()[-3000:]}") from None

    def signal(self, number):
        self.process.send_signal(number)
        # Threads stop one after the other, on a busy machine after milliseconds in which the node
        # still answers.
        if number == signal.SIGSTOP: wait_for(self.is_stopped, "all threads stop", pause_s=0.001)

    def is_stopped(self):
        stats = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)

    def wait(self, within_s=STOP_S):
        """The exit code."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the node did not end within {within_s} s:\n"
                                 f"{self.log()[-3000:]}") from None

    def stop(self, within_s=STOP_S):
        self.signal(signal.SIGTERM)
        return self.wait(within_s)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.process in _running:
            _running.remove(self.process)
        if not os.environ.get("PENSTOCK_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- talking to it ---------------------------------------------------------------------------

    def client(self, **more):
        return Client(self.http_port, self.http_host, **more)

    def request(self, method, target, body=b"", headers=(), **more):
        return once(self.http_port, method, target, body, headers, self.http_host, **more)

    def post(self, body, stream="", headers=()):
        with self.client() as client:
            return client.post(body, stream, headers)

    def admin(self, method, target, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return once(self.admin_port, method, target, data, headers)

    def metrics(self):
        reply = self.admin("GET", "/metrics")
        assert reply.status == 200, reply
        return Metrics(reply.body.decode())

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) << 10

    # -- the embedded queue ----------------------------------------------------------------------

    def receive(self, stream="default", most=100, wait_s=0, lease_s=30, query=""):
        reply = self.admin("POST", f"/v1/queue/{stream}/receive{query}",
                           {"max": most, "wait_s": wait_s, "lease_s": lease_s})
        assert reply.status == 200, reply
        return reply.json()["messages"]

    def settle(self, stream, messages, how="ack"):
        """Acknowledges, or gives back with how = "nack". A full disk may make a consumer try more
        than once."""
        receipts = [m["receipt"] for m in messages]
        def settled():
            reply = self.admin("POST", f"/v1/queue/{stream}/{how}", {"receipts": receipts})
            assert reply.status in (200, 507), reply
            return reply.status == 200 and reply.json()
        return wait_for(settled, f"{how} succeeds", pause_s=0.1)

    def depth(self, stream="default"):
        reply = self.admin("GET", f"/v1/queue/{stream}")
        assert reply.status == 200, reply
        return reply.json()

    def drain_queue(self, stream="default", most=1000):
        """Receives and acknowledges until nothing is left; gives the messages in order."""
        found = []
        while batch := self.receive(stream, most):
            self.settle(stream, batch)
            found += batch
        return found


class Metrics:
    """A Prometheus page. get("name", label="value") sums the samples that match."""

    LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        self.text = text
        self.samples, self.types, self.helps = [], {}, {}
        for line in text.splitlines():
            words = line.split(" ", 3)
            if line.startswith("# TYPE "):
                self.types[words[2]] = words[3]
            elif line.startswith("# HELP "):
                self.helps[words[2]] = words[3]
            elif line and not line.startswith("#"):
                name, labels, value = self.LINE.match(line).groups()
                self.samples.append((name, dict(self.LABEL.findall(labels or "")), float(value)))

    def names(self):
        return {name for name, _, _ in self.samples}

    def get(self, name, **labels):
        found = [value for n, have, value in self.samples
                 if n == name and labels.items() <= have.items()]
        assert found, f"no metric {name} {labels} in:\n{self.text}"
        return sum(found)


def body_of(message):
    """A queue message's body as the bytes that were sent."""
    if "data_base64" in message:
        return base64.b64decode(message["data_base64"], validate=True)
    return message["data"].encode()


def cluster(count=3, options=None, names=None):
    """Nodes with directory = "static" that know each other; not started."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    return [Node({
        "node.name": f"n{i}",
        "cluster.name": names[i] if names else "test",
        "cluster.directory": "static",
        "cluster.listen": address,
        "cluster.peers": [a for a in addresses if a != address],
        "cluster.secret": "a-secret-of-this-test",
        "cluster.reconnect_interval": "100ms",
        **(options or {}),
    }) for i, address in enumerate(addresses)]


@atexit.register
def _end_all():
    for process in _running:
        if process.poll() is None:
            process.kill()
            process.wait()
