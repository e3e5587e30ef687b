#!/usr/bin/env python3
"""What an operator sees of a sink that is away: `penstock status`, the metrics, and the alerts that
are made of them."""

import json
import pathlib
import re
import subprocess
import unittest

import harness
from harness import Node, free_port, wait_for

RULES = pathlib.Path(__file__).parents[2] / "cluster-config" / "prometheus-rules.yml"
EVENTS, BODY = 25, b'{"n":"' + b"x" * 32 + b'"}'


def run(*arguments, code=0):
    done = subprocess.run([harness.binary, "status", *arguments], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


class Status(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({
            "node.name": "watched",
            "journal.max_size": "512MiB",
            "sinks.queue.kind": "embedded",
            "sinks.away.kind": "http",
            "sinks.away.url": f"http://127.0.0.1:{free_port()}/v1/events",
            "streams.default.sinks": ["queue"],
            "streams.orders.sinks": ["queue", "away"],
        })
        cls.addClassCleanup(cls.node.close)
        cls.node.start()
        cls.admin = ("--admin", f"http://127.0.0.1:{cls.node.admin_port}")
        for _ in range(EVENTS):
            reply = cls.node.post(BODY, "orders", {"Content-Type": "application/json"})
            assert reply.status == 202, reply

    def lag(self):
        """The sink as the status tells of it, once it knows of all events and a failure.

        The embedded queue reports for itself, and may do so later.
        """
        def queued():
            page = self.node.metrics()
            return "penstock_queue_depth" in page.names() and \
                page.get("penstock_queue_depth", stream="orders") == EVENTS
        wait_for(queued, "the queue knows of all events")

        def known():
            status = json.loads(run("--json", *self.admin).stdout)
            (sink,) = status["sinks"]
            return sink if sink["streams"] and sink["last_error"] and \
                sink["streams"][0]["lag_events"] == EVENTS else None
        return wait_for(known, "the lag is known")

    def test_lag_is_told_in_events_bytes_and_seconds(self):
        sink = self.lag()
        (stream,) = sink["streams"]
        self.assertEqual((sink["sink"], sink["kind"], stream["stream"]),
                         ("away", "http", "orders"))
        self.assertEqual((stream["lag_events"], stream["lag_bytes"]), (EVENTS, EVENTS * len(BODY)))
        self.assertIn(sink["state"], ("retrying", "open"))
        self.assertEqual(sink["delivered"], 0)
        wait_for(lambda: self.lag()["streams"][0]["lag_s"] > 0.5, "it grows older")
        metrics = self.node.metrics()
        labels = {"sink": "away", "stream": "orders"}
        self.assertEqual(metrics.get("penstock_sink_lag_events", **labels), EVENTS)
        self.assertEqual(metrics.get("penstock_sink_lag_bytes", **labels), EVENTS * len(BODY))
        self.assertGreater(metrics.get("penstock_sink_lag_seconds", **labels), 0.5)
        self.assertGreater(metrics.get("penstock_sink_failures_total", sink="away"), 0)
        self.assertEqual(metrics.get("penstock_sink_delivered_total", sink="away"), 0)
        wait_for(lambda: self.node.metrics().get("penstock_sink_up", sink="away") == 0,
                 "the breaker opens")
        queue = {"stream": "orders"}
        self.assertEqual(metrics.get("penstock_queue_depth", **queue), EVENTS)
        self.assertEqual(metrics.get("penstock_queue_depth_bytes", **queue), EVENTS * len(BODY))

    def test_the_table(self):
        self.lag()
        text = run(*self.admin).stdout
        self.assertRegex(text, r"(?m)^node +watched$")
        self.assertRegex(text, r"(?m)^state +ready$")
        self.assertRegex(text, r"(?m)^journal .* of 512\.0 MiB \(\d+%\), 25 events")
        self.assertRegex(text, r"(?m)^orders +25 +0 +1000 B +\d+ s$")
        self.assertRegex(text, r"(?m)^away +http +(retrying|open) +orders +25 +1000 B +\d+ s +\d+ s "
                               r"ago: .*connect")
        self.assertNotIn("\x1b", text, "no colours and no cursor where there is no terminal")

    def test_watching_tells_rates(self):
        process = subprocess.Popen([harness.binary, "status", "--watch", "1", *self.admin],
                                   stdout=subprocess.PIPE, text=True)
        try:
            lines = iter(process.stdout.readline, "")
            self.assertTrue(next(line for line in lines if line.startswith("rates ")))
        finally:
            process.kill()
            process.communicate()

    def test_exit_codes(self):
        away = run("--admin", f"http://127.0.0.1:{free_port()}", code=69)
        self.assertIn("can't be reached", away.stderr)
        self.assertEqual(away.stdout, "")
        run("--watch", "0", code=64)
        self.assertIn("penstock status --watch 2", run("--help").stdout)

    def test_every_metric_of_the_alert_rules_exists(self):
        self.lag()
        page = self.node.metrics()
        wanted = set()
        for line in RULES.read_text().splitlines():
            if not line.lstrip().startswith("#"):
                wanted |= set(re.findall(r"\bpenstock_\w+", line))
        self.assertGreater(len(wanted), 12)
        self.assertEqual(wanted - page.names(), set(), "the rules name metrics that don't exist")
        alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
        self.assertEqual(len(alerts), len(set(alerts)))
        self.assertEqual(len(re.findall(r"labels: { severity: (?:page|ticket) }", RULES.read_text())),
                         len(alerts), "each has a severity")


if __name__ == "__main__":
    harness.main()
