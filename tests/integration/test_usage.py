#!/usr/bin/env python3
"""Usage: known traffic in, exact numbers out; also after a drain, a kill and a restart."""

import csv
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import termios
import unittest

import harness
from harness import Node, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}
ZERO = {"requests": 0, "events": 0, "bytes": 0, "refused": 0}
PERIODS = ("minute", "hour", "day", "month")


def usage(node, **parameters):
    query = "&".join(f"{k}={v}" for k, v in parameters.items())
    reply = node.admin("GET", "/v1/admin/usage?" + query)
    assert reply.status == 200, reply
    return reply.json()


def by_id(report):
    return {row.pop("id"): row for row in report["top"]}


class Traffic:
    """Sends, and counts what usage must say of it."""

    def __init__(self, node):
        self.node = node
        self.expected = {"ip": {}, "referer": {}, "stream": {}}

    def send(self, ip, body, stream="default", referer=None, headers=(), taken=1, refused=0,
             size=None, status=202, counts_stream=True):
        headers = {**dict(headers), "X-Forwarded-For": ip}
        if referer:
            headers["Referer"] = referer + "/page?q=1"
        reply = self.node.post(body, stream, headers)
        assert reply.status == status, reply
        ids = {"ip": ip, "referer": referer, "stream": stream if counts_stream else None}
        for by, one in ids.items():
            if one is None:
                continue
            sums = self.expected[by].setdefault(one, dict(ZERO))
            sums["requests"] += 1
            sums["events"] += taken
            sums["bytes"] += len(body) if size is None else size
            sums["refused"] += refused

    def total(self, by):
        return {name: sum(one[name] for one in self.expected[by].values()) for name in ZERO}

    def check(self, test):
        wait_for(lambda: usage(self.node, by="ip", per="month")["total"]["requests"]
                 == self.total("ip")["requests"], "all is written")
        for by, ids in self.expected.items():
            for per in PERIODS:
                report = usage(self.node, by=by, per=per, top=1000)
                test.assertEqual(report["ids"], len(ids), (by, per))
                test.assertEqual(report["total"], self.total(by), (by, per))
                test.assertEqual(by_id(report), ids, (by, per))
            one = sorted(ids)[0]
            series = usage(self.node, by=by, per="minute", id=one.replace("/", "%2F"))
            added = {name: sum(b[name] for b in series["buckets"]) for name in ZERO}
            test.assertEqual(added, ids[one])


class Usage(unittest.TestCase):
    def node(self, **more):
        node = Node({"http.trusted_proxies": ["127.0.0.1/32"],
                     "plans.anonymous.limits": [{"name": "few", "algorithm": "fixed_window",
                                                 "amount": 10, "window": "1h"}], **more})
        self.addCleanup(node.close)
        return node.start()

    def some_traffic(self, traffic, salt):
        for n in range(4):
            for i in range(n + 1):
                traffic.send(f"203.0.113.{n + salt}", b'{"n":%d}' % i, referer="https://a.example")
        traffic.send(f"198.51.100.{salt}", b"1\n22\n333", "lines", "https://b.example:8443", NDJSON,
                     taken=3, size=6)
        # Ten are admitted; the rest is refused, and so is all that follows.
        traffic.send(f"192.0.2.{salt}", b"\n".join(b"%d" % n for n in range(10, 24)), "lines",
                     headers=NDJSON, taken=10, refused=4, size=20)
        traffic.send(f"192.0.2.{salt}", b"too many", taken=0, refused=1, size=0, status=429)
        # What can't be taken counts for its client only.
        traffic.send(f"192.0.2.{salt}", b"{", taken=0, size=0, status=400, counts_stream=False,
                     headers={"Content-Type": "application/json"})

    def test_exact_also_after_a_drain_and_a_kill(self):
        node = self.node()
        traffic = Traffic(node)
        self.some_traffic(traffic, 1)
        traffic.check(self)
        # What was counted just before a drain is there after it.
        self.some_traffic(traffic, 50)
        self.assertEqual(node.stop(), 0, node.log())
        node.start()
        traffic.check(self)
        # What was seen in a report survives a kill.
        node.kill()
        node.start()
        traffic.check(self)
        self.some_traffic(traffic, 100)
        traffic.check(self)
        self.assertGreater(node.metrics().get("penstock_usage_rows"), 0)
        self.assertEqual(node.metrics().get("penstock_usage_entries_lost_total"), 0)

    def test_networks_are_one_client(self):
        node = self.node(**{"identity.ipv4_prefix": 24})
        for last in (1, 2, 3):
            node.post(b"x", "", {"X-Forwarded-For": f"203.0.113.{last}"})
            node.post(b"x", "", {"X-Forwarded-For": f"2001:db8:0:1::{last}"})
        wait_for(lambda: usage(node, by="ip")["total"]["requests"] == 6, "all is written")
        self.assertEqual(set(by_id(usage(node, by="ip"))),
                         {"203.0.113.0/24", "2001:db8:0:1::/64"})

    def test_questions_and_refusals(self):
        node = self.node()
        self.assertEqual(usage(node)["top"], [])
        self.assertEqual(usage(node, by="stream", id="nobody")["buckets"], [])
        for query, word in (("by=client", "by"), ("per=week", "per"), ("from=soon", "from"),
                            ("to=x", "to"), ("top=0", "top"), ("format=xml", "format"),
                            ("from=now", "from"), ("colour=red", "colour"),
                            ("per=minute&from=-30d&id=x", "buckets")):
            with self.subTest(query):
                reply = node.admin("GET", "/v1/admin/usage?" + query)
                self.assertEqual(reply.status, 400, reply)
                self.assertIn(word, reply.json()["detail"])
        self.assertEqual(node.admin("POST", "/v1/admin/usage").status, 405)

    def test_switched_off(self):
        node = self.node(**{"usage.enabled": False})
        self.assertEqual(node.post(b"x").status, 202)
        reply = node.admin("GET", "/v1/admin/usage")
        self.assertEqual(reply.status, 404)
        self.assertIn("usage.enabled", reply.json()["detail"])
        self.assertFalse((node.data_dir / "usage.db").exists())


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({"http.trusted_proxies": ["127.0.0.1/32"]})
        cls.addClassCleanup(cls.node.close)
        cls.node.start()
        for ip, count in (("10.0.0.1", 8), ("10.0.0.2", 4), ("10.0.0.3", 1)):
            for _ in range(count):
                cls.node.post(b"x" * 100, "", {"X-Forwarded-For": ip})
        wait_for(lambda: usage(cls.node, by="ip")["total"]["requests"] == 13, "all is written")

    def environment(self):
        return {**os.environ, "LC_ALL": "C.UTF-8",
                "PENSTOCK_ADMIN_LISTEN": f"127.0.0.1:{self.node.admin_port}"}

    def run_usage(self, *arguments):
        return subprocess.run([harness.binary, "usage", *arguments], capture_output=True, text=True,
                              timeout=30, check=False, env=self.environment())

    def on_terminal(self, columns, *arguments):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        done = subprocess.run([harness.binary, "usage", *arguments], stdout=slave, timeout=30,
                              check=False, env=self.environment())
        os.close(slave)
        text = b""
        try:
            while chunk := os.read(master, 65536):
                text += chunk
        except OSError:
            pass  # the terminal's end
        os.close(master)
        self.assertEqual(done.returncode, 0)
        return text.decode().replace("\r\n", "\n").splitlines()

    def test_a_table(self):
        done = self.run_usage("--by", "ip")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines()[2:]]
        self.assertEqual(rows, [["10.0.0.1", "8", "8", "800", "0"], ["10.0.0.2", "4", "4", "400", "0"],
                                ["10.0.0.3", "1", "1", "100", "0"], ["total", "13", "13", "1300", "0"]])

    def test_json_and_csv(self):
        report = json.loads(self.run_usage("--by", "ip", "--json", "--top", "1").stdout)
        self.assertEqual((report["ids"], len(report["top"])), (3, 1))
        rows = list(csv.DictReader(io.StringIO(self.run_usage("--by", "ip", "--csv").stdout)))
        self.assertEqual(rows[0], {"id": "10.0.0.1", "requests": "8", "events": "8", "bytes": "800",
                                   "refused": "0"})

    def test_bars_fit_the_terminal(self):
        for columns in (60, 80, 132):
            lines = self.on_terminal(columns, "--by", "ip")
            self.assertTrue(all(len(line) <= columns for line in lines[1:]), lines)
            bars = [line.count("█") for line in lines[2:5]]
            self.assertGreaterEqual(bars[0], 6)
            self.assertAlmostEqual(bars[1], bars[0] / 2, delta=1)
        series = self.on_terminal(80, "--by", "ip", "--id", "10.0.0.1", "--from", "-3h")
        self.assertEqual(len(series), 2 + 4 + 1, series)
        self.assertEqual(sum("█" in line for line in series), 1, series)

    def test_wrong_arguments(self):
        for arguments, code in ((["--by", "client"], 64), (["--from", "soon"], 64),
                                (["--json", "--csv"], 64), (["--top", "0"], 64),
                                (["--admin", "http://127.0.0.1:1"], 69)):
            with self.subTest(arguments):
                done = self.run_usage(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr)


if __name__ == "__main__":
    harness.main()
