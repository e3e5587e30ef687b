#!/usr/bin/env python3
"""node.memory: the bounds that follow from it, where they are told, and a node whose control group
gives it 256 MiB with as much in it as its bounds let in."""

import json
import os
import pathlib
import re
import socket
import subprocess
import time
import unittest

import harness
from harness import Node, wait_for

MIB = 1 << 20
LIMIT = 256 * MIB


def check(*sets, code=0):
    arguments = [harness.binary, "check"]
    for one in sets:
        arguments += ["--set", one]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


class ControlGroup:
    """One with a limit on memory, of version 1 or 2; None from make() where there can be none."""

    def __init__(self, path, is_v2):
        self.path, self.is_v2 = path, is_v2

    @staticmethod
    def make(limit):
        for top, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                          ("/sys/fs/cgroup", "memory.max")):
            path = pathlib.Path(top) / f"penstock-test-{os.getpid()}"
            try:
                path.mkdir()
            except OSError:
                continue
            try:
                (path / file).write_text(str(limit))
                return ControlGroup(path, file == "memory.max")
            except OSError:
                path.rmdir()
        return None

    def prefix(self):
        """Put before a command it runs that within the group."""
        return ("sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh")

    def killed(self):
        """How often the kernel ended a process for its memory."""
        file = self.path / ("memory.events" if self.is_v2 else "memory.oom_control")
        return int(re.search(r"oom_kill (\d+)", file.read_text()).group(1))

    def remove(self):
        def gone():
            try:
                self.path.rmdir()
                return True
            except OSError:
                return False
        wait_for(gone, "the control group is empty")


class Told(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({"node.memory": "256MiB", "idempotency.max_keys": 1234})
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def test_status(self):
        memory = self.node.admin("GET", "/v1/admin/status").json()["memory"]
        self.assertEqual((memory["limit_bytes"], memory["source"]), (LIMIT, "node.memory"))
        bounds = memory["bounds"]
        self.assertEqual(bounds["idempotency.max_keys"], 1234)
        self.assertGreater(bounds["http.max_in_flight"], 16 * MIB)
        self.assertLess(bounds["http.max_in_flight"], 64 * MIB)
        self.assertLess(bounds["http.max_connections"], 10_000)
        self.assertLess(bounds["limiter.max_clients"], 1_000_000)
        budgets = {one["use"]: one for one in memory["budgets"]}
        self.assertIn("in_flight", budgets)
        self.assertNotIn("links", budgets, "the node is alone")
        all_of_it = memory["head_room_bytes"] + sum(b["bound_bytes"] for b in budgets.values())
        self.assertLessEqual(all_of_it, LIMIT)
        for budget in budgets.values():
            self.assertLessEqual(budget["used_bytes"], budget["bound_bytes"])

    def test_metrics(self):
        page = self.node.metrics()
        self.assertEqual(page.get("penstock_memory_limit_bytes"), LIMIT)
        for use in ("in_flight", "connections", "limits", "keys", "recent", "queue"):
            self.assertGreater(page.get("penstock_memory_bound_bytes", use=use), 0)
            self.assertGreaterEqual(page.get("penstock_memory_used_bytes", use=use), 0)

    def test_log(self):
        lines = [line for line in self.node.log().splitlines() if "memory: " in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("256.0 MiB of node.memory: ", lines[0])

    def test_check(self):
        said = check("node.memory=256MiB")
        self.assertRegex(said.stdout, r"(?m)^memory +256\.0 MiB of node\.memory: ")
        self.assertEqual(said.stderr, "")
        said = check("node.memory=256MiB", "http.max_in_flight=1GiB")
        self.assertIn("counting what is set (http.max_in_flight)", said.stderr)
        self.assertIn("it needs at least", check("node.memory=64MiB").stderr)
        self.assertIn("64MiB", check("node.memory=63MiB", code=78).stderr)

    def test_json(self):
        said = subprocess.run([harness.binary, "check", "--json", "--set", "node.memory=256MiB"],
                              capture_output=True, text=True, timeout=60, check=True)
        memory = json.loads(said.stdout)["memory"]
        self.assertTrue(memory["fits"])
        self.assertLessEqual(memory["sum_bytes"], LIMIT)


class Small(unittest.TestCase):
    def test_the_least(self):
        with Node({"node.memory": "64MiB"}) as node:
            self.assertIn("it needs at least", node.log())
            for _ in range(100):
                self.assertEqual(node.post(b"x" * 1000).status, 202)
            self.assertEqual(len(node.drain_queue()), 100)


class Bounded(unittest.TestCase):
    """Everything that a stranger can fill, filled, in a control group of 256 MiB."""

    NAMES, BODY = 200, 900_000

    def setUp(self):
        self.group = ControlGroup.make(LIMIT)
        if not self.group:
            self.skipTest("no control group for memory can be made here (root, and cgroup v1 or "
                          "v2 mounted writable)")
        self.addCleanup(self.group.remove)
        self.node = Node({
            "identity.order": ["header:X-Client", "ip"],
            "plans.anonymous.limits": [{"name": "many", "algorithm": "gcra", "amount": 1_000_000,
                                        "window": "1h"}],
            "sinks.queue.kind": "embedded",
            "sinks.away.kind": "http",
            "sinks.away.url": "http://127.0.0.1:1/",
            "streams.default.sinks": ["queue", "away"],
        }, prefix=self.group.prefix())
        self.addCleanup(self.node.close)

    def peak_bytes(self):
        status = pathlib.Path(f"/proc/{self.node.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) << 10

    def test_filled(self):
        node = self.node.start(within_s=60)
        memory = node.admin("GET", "/v1/admin/status").json()["memory"]
        self.assertEqual((memory["limit_bytes"], memory["source"]), (LIMIT, "the cgroup"))
        # Connections that sent half a header.
        idle = []
        for _ in range(memory["bounds"]["http.max_connections"] - 50):
            one = socket.create_connection(("127.0.0.1", node.http_port))
            one.sendall(b"POST /v1/events HTTP/1.1\r\nX: " + b"y" * 10_000)
            idle.append(one)
        # Names by the hundred, each with what is large and nobody consumes.
        statuses = {}
        for i in range(self.NAMES):
            status = node.post(os.urandom(self.BODY), f"n{i}").status
            statuses[status] = statuses.get(status, 0) + 1
        self.assertGreater(statuses.get(202, 0), 20, statuses)
        # Clients by the thousand.
        with node.client(timeout_s=60) as client:
            for i in range(3000):
                client.post(b"x", "", {"X-Client": f"c{i}"})
        # A consumer that takes and acknowledges nothing.
        for i in range(20):
            node.receive(f"n{i}", 10, lease_s=600)
        time.sleep(2)
        self.assertIsNone(node.process.poll(), node.log()[-2000:])
        self.assertEqual(self.group.killed(), 0)
        self.assertLess(self.peak_bytes(), LIMIT)
        memory = node.admin("GET", "/v1/admin/status").json()["memory"]
        for budget in memory["budgets"]:
            self.assertLessEqual(budget["used_bytes"], budget["bound_bytes"] + 8 * MIB, budget)
        # And it serves who pays.
        for one in idle:
            one.close()
        wait_for(lambda: node.post(b"still here").status == 202, "it takes events")


if __name__ == "__main__":
    harness.main()
