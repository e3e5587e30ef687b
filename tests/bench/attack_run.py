"""One attack against one node, and the judgement."""

import http.server
import os
import re
import statistics
import threading
import time

import flood
from attack_node import PAID_STREAM, Attacked, Cgroup, Watch, harness, options
from attack_parts import Attack, control
from http_client import Closed
from paying import InProcess, Paying

QUEUE_WITHIN_S = 30
# What a gauge may not exceed: metric → key of the configuration, or a number.
BOUNDS = {
    "penstock_http_connections": "http.max_connections",
    "penstock_queue_waiters": 1024,
}


def paid_in(data):
    """The paying client's bodies in a batch or in a CloudEvent."""
    return {each.decode() for each in re.findall(rb"paid-\d+", data)}


class Target:
    """An HTTP server that takes one stream and knows no other; `seen` are the bodies it took."""

    def __init__(self, known):
        target = self
        self.seen = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                is_known = self.path.rsplit("/", 1)[-1] == known
                if is_known:
                    target.seen.update(paid_in(body))
                self.send_response(200 if is_known else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def bodies(self):
        return self.seen

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Next:
    """Another Penstock, which knows repeats of CloudEvents."""

    def __init__(self):
        self.node = harness.Node()
        self.seen = set()
        try:
            self.node.start()
        except BaseException:
            self.node.close()
            raise
        self.port = self.node.http_port

    def bodies(self):
        for message in self.node.drain_queue("default"):
            self.seen.update(paid_in(harness.body_of(message)))
        return self.seen

    def close(self):
        self.node.close()


def downstream_of(attack):
    """What stands behind the sink, and the configuration that names it."""
    if not attack.downstream:
        return None, {}
    behind = Next() if attack.downstream == "dedup" else Target(PAID_STREAM)
    path = "/v1/events" + ("" if attack.downstream == "dedup" else "/{stream}")
    return behind, {"sinks.next.kind": "http", "sinks.next.format": "cloudevents-batch",
                    "sinks.next.url": f"http://127.0.0.1:{behind.port}{path}",
                    "sinks.next.retry_max": "1s",
                    "streams.default.sinks": ["next"], f"streams.{PAID_STREAM}.sinks": ["next"]}


def ce_headers(number):
    return {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/paying", "ce-id": str(number)}


class Run:
    """`floods(node)` is what is sent to it; with `attack` the judgement knows what is right."""

    def __init__(self, attack, settings, floods):
        self.attack, self.settings, self.floods = attack, settings, floods
        self.faults = []
        self.node = self.behind = self.cgroup = None

    def execute(self):
        try:
            if self.settings.cgroup_bytes:
                self.cgroup = Cgroup(self.settings.cgroup_bytes)
            self.behind, changes = downstream_of(self.attack)
            config = options(harness.binary, {**changes, **self.attack.options(),
                                              **self.settings.options,
                                              "admin.token": self.attack.token or None},
                             self.settings.per_address)
            self.node = Attacked(config, self.cgroup, self.attack.token, flood.raise_descriptor_limit())
            self.node.start()
            return self.measured()
        finally:
            if self.node:
                self.node.close()
            if self.behind:
                self.behind.close()
            if self.cgroup:
                self.cgroup.close()

    def measured(self):
        node, settings = self.node, self.settings
        duration_s = settings.duration_s
        headers = ce_headers if self.attack.downstream == "dedup" else lambda _: {}
        paying = InProcess(Paying(node.http_port, PAID_STREAM, node.keys["paying"], settings.rate,
                                  duration_s + 2 * settings.settle_s, headers).run)
        attackers = []
        watch = Watch(node)
        try:
            time.sleep(settings.settle_s)
            attackers = [InProcess(lambda each=each: polite(each, duration_s))
                         for each in self.floods(node)]
            end = time.monotonic() + duration_s
            while time.monotonic() < end and node.is_alive():
                watch.look()
                time.sleep(0.5)
            sent = [each.result(duration_s + 30) for each in attackers]
            paid = paying.result(duration_s + 60)
        finally:
            for each in [*attackers, paying]:
                each.stop()
        return self.judged(watch, sent, paid)

    def judged(self, watch, sent, paid):
        node, attack = self.node, self.attack
        result = {"sent": sent, "alive": node.is_alive(), "looks": watch.looks,
                  "peak_rss_bytes": max(watch.peak_rss_bytes, node.peak_rss_bytes() or 0),
                  "cgroup": self.cgroup.usage() if self.cgroup else None}
        latencies = paid.pop("latencies_ms")
        promised = paid.pop("promised")
        result["paying"] = {**paid, "promised": len(promised), **percentiles(latencies)}
        result["latencies_ms"] = latencies
        if not result["alive"]:
            self.fault(f"the node ended with {node.process.returncode}")
        if self.cgroup and result["cgroup"]["oom_kills"]:
            self.fault("the kernel killed it for want of memory")
        if self.settings.cgroup_bytes and result["peak_rss_bytes"] > self.settings.cgroup_bytes:
            self.fault(f"{result['peak_rss_bytes'] >> 20} MiB resident")
        for what, count in watch.failed.items():
            self.fault(f"{what}, {count} of {watch.looks} times")
        good = paid["status"].get("202", 0)
        if good != paid["sent"]:
            self.fault(f"{paid['sent'] - good} of {paid['sent']} paying requests not answered 202: "
                       f"{ {**paid['status'], **paid['errors']} }")
        self.check_bounds(watch)
        statuses = {status for each in sent for status in each["status"]}
        if attack.expected and statuses - {str(s) for s in attack.expected} - {"503"}:
            self.fault(f"answers were {dict_sum(sent)}, right are {sorted(attack.expected)}")
        if result["alive"]:
            self.check_after(promised, result)
        result["faults"] = self.faults
        return result

    def fault(self, what):
        self.faults.append(what)

    def check_bounds(self, watch):
        bounds = {**BOUNDS, **{name: self.node.options.get(key) for name, key in BOUNDS.items()
                               if isinstance(key, str)}}
        for name, bound in bounds.items():
            most = sum(value for key, value in watch.most.items() if key.split("{")[0] == name)
            if isinstance(bound, int) and most > bound:
                self.fault(f"{name} was {most:g}, its bound is {bound}")

    def check_after(self, promised, result):
        try:
            if self.attack.after:
                for wrong in self.attack.after(self.node, result):
                    self.fault(wrong)
            missing = self.missing(promised)
            result["lost"] = len(missing)
            if missing:
                where = "downstream" if self.behind else "the queue"
                self.fault(f"{len(missing)} of {len(promised)} promised events did not reach {where}")
        except (OSError, Closed, AssertionError) as failure:
            self.fault(f"after it: {type(failure).__name__}: {str(failure)[:200]}")

    def missing(self, promised):
        """What of the promised events did not arrive, by id in the queue, by body downstream."""
        wanted = set(promised.values()) if self.behind else set(promised)
        deadline = time.monotonic() + QUEUE_WITHIN_S
        found = set()
        while not wanted <= found and time.monotonic() < deadline:
            if self.behind:
                found |= self.behind.bodies()
                time.sleep(0.1)
            else:
                batch = self.node.receive(PAID_STREAM, 1000, wait_s=1)
                if batch:
                    self.node.settle(PAID_STREAM, batch)
                found |= {message["id"] for message in batch}
        return wanted - found


def polite(each, duration_s):
    """Strangers have machines of their own: on this one they take what the node leaves."""
    os.nice(10)
    return flood.run(each, duration_s).as_dict()


def dict_sum(sent):
    total = {}
    for each in sent:
        for status, count in each["status"].items():
            total[status] = total.get(status, 0) + count
    return total


def percentiles(latencies_ms):
    if len(latencies_ms) < 2:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}
    cuts = statistics.quantiles(latencies_ms, n=100, method="inclusive")
    return {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(latencies_ms)}


def attack_and_control(attack, settings, scale):
    """The attack, and then as many connections that send as many valid bytes, to another node."""
    attacked = Run(attack, settings, lambda node: attack.floods(node, scale)).execute()
    if not settings.with_control:
        return attacked, None
    sent = attacked["sent"]
    connections = max(1, sum(each["most_open"] for each in sent))
    total_bytes = sum(each["sent_bytes"] for each in sent)
    bytes_per_s = total_bytes / max(0.1, *(each["seconds"] for each in sent))
    requests = sum(dict_sum(sent).values()) or sum(each["pieces"] for each in sent)
    request_bytes = total_bytes // max(1, requests)
    plain = Attack(attack.name, "control", None)
    controlled = Run(plain, settings, lambda node: [control(
        node.http_port, node.keys["ample"], connections, bytes_per_s, request_bytes)]).execute()
    return attacked, controlled
