#!/usr/bin/env python3
"""The kafka sink against librdkafka's mock cluster: brokers that go and come back, requests that
fail, a server that stands still, the node killed."""

import json
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
from delivery import EVENTS, exercise, stray_streams, wait_for  # noqa: E402
from kafka_mock import PARTITIONS, TOPIC, KafkaMock  # noqa: E402


def fail_requests(error, count):
    def fault(run, _seconds):
        run.server.ask(f"fail {error} {count}")
    fault.__name__ = error
    return fault


def move_leaders(run, _seconds):
    for partition in range(PARTITIONS):
        run.server.ask(f"leader {TOPIC} {partition} {partition % 3 + 1}")


def slow_brokers(run, seconds):
    run.server.ask("delay 300")
    time.sleep(seconds)
    run.server.ask("delay 0")


# The mock takes a later request although an earlier one of the same producer failed, which brokers
# do not: so one request at a time where requests fail.
ONE_BY_ONE = {"sinks.out.properties": {"max.in.flight": "1"}}


class Outages(unittest.TestCase):
    def test_brokers_gone_frozen_and_node_killed(self):
        with KafkaMock() as server:
            exercise(self, server, options=ONE_BY_ONE)

    def test_requests_that_fail(self):
        with KafkaMock() as server:
            exercise(self, server, events=EVENTS // 2, options=ONE_BY_ONE, schedule=[
                (0.1, fail_requests("NOT_LEADER_FOR_PARTITION", 6), 0),
                (0.2, fail_requests("NOT_ENOUGH_REPLICAS", 6), 0),
                (0.3, fail_requests("REQUEST_TIMED_OUT", 6), 0),
                (0.4, fail_requests("_TRANSPORT", 6), 0),
                (0.5, move_leaders, 0),
                (0.6, fail_requests("TOPIC_AUTHORIZATION_FAILED", 6), 0),
                (0.7, slow_brokers, 1.0),
                (0.8, fail_requests("INVALID_RECORD", 1), 0),
            ])


class Topics(unittest.TestCase):
    def test_topics_that_are_missing_hold_their_streams_alone(self):
        with KafkaMock() as server, harness.Node({
                "streams.default.sinks": ["out"], "sinks.out.retry_max": "500ms",
                "sinks.out.missing_target_after": "3s", **server.sink_options("out")}) as node:
            for n in range(40):
                server.ask(f"topic_error events-lost-{n} UNKNOWN_TOPIC_OR_PART")
            stray_streams(self, node, lambda: len(server.records()), "topic events-lost-")
            server.make_topic("events-found")
            node.post(b"1", "found")
            wait_for(lambda: server.records("events-found"), "another stream's arrives")


class Records(unittest.TestCase):
    """What is sent, event by event."""

    @classmethod
    def setUpClass(cls):
        cls.server = KafkaMock()
        cls.server.start()
        cls.node = harness.Node({"node.name": "a", "streams.default.sinks": ["out"],
                                 "sinks.out.max_tries": 2, "sinks.out.retry_min": "10ms",
                                 **cls.server.sink_options("out")}).start()

    @classmethod
    def tearDownClass(cls):
        cls.node.close()
        cls.server.stop()

    def sent(self, body, headers, topic=TOPIC, stream=""):
        """Posts an event; its id, and the record that it became."""
        event_id = self.node.post(body, stream, headers).json()["id"]

        def arrived():
            return [r for r in self.server.records(topic) if r.headers["penstockid"] == event_id]
        return event_id, wait_for(arrived, "the event arrives")[0]

    def test_an_ordinary_event_in_binary_mode(self):
        event_id, record = self.sent(b'{"a": 1}', {"Content-Type": "application/json",
                                                    "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
        self.assertEqual(b'{"a": 1}', record.body)
        headers = dict(record.headers)
        self.assertRegex(headers.pop("ce_time"), r"^20\d\d-\d\d-\d\dT")
        self.assertEqual({
            "content-type": "application/json", "penstockid": event_id, "ce_specversion": "1.0",
            "ce_id": event_id, "ce_source": "/penstock/a", "ce_type": "penstock.default",
            "ce_partitionkey": record.key, "ce_traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
            headers)

    def test_bytes_stay_as_they_are(self):
        body = bytes(range(256)) + b"\0"
        self.assertEqual(body, self.sent(body, {"Content-Type": "x/y"})[1].body)

    def test_a_cloud_event_in_binary_mode_keeps_its_attributes(self):
        event_id, record = self.sent(b"hi", {
            "Content-Type": "text/plain", "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s",
            "ce-type": "t", "ce-color": "red"})
        self.assertEqual(("7", "/s", "t", "red", event_id), tuple(
            record.headers[f"ce_{name}"] for name in ("id", "source", "type", "color", "penstockid")))

    def test_a_structured_cloud_event_is_not_touched(self):
        body = json.dumps({"specversion": "1.0", "id": "8", "source": "/s", "type": "t",
                           "data": {"a": 1}}, indent=1).encode()
        event_id, record = self.sent(body, {"Content-Type": "application/cloudevents+json"})
        self.assertEqual(body, record.body)
        self.assertEqual({"content-type": "application/cloudevents+json", "penstockid": event_id},
                         record.headers)

    def test_a_stream_has_its_topic(self):
        self.server.make_topic("events-errors")
        _, record = self.sent(b"x", {}, "events-errors", "errors")
        self.assertEqual("penstock.errors", record.headers["ce_type"])

    def test_refused_by_the_broker_becomes_a_dead_letter_and_the_rest_goes_on(self):
        self.server.ask("refuse_all INVALID_RECORD")
        self.node.post(b"bad", headers={})

        def is_dead():
            return b"validate record" in self.node.admin("GET", "/v1/admin/dead-letters").body
        try:
            wait_for(is_dead, "it is a dead letter")
        finally:
            self.server.ask("clear")
        self.assertEqual(b"good", self.sent(b"good", {})[1].body)

    def test_no_secret_in_the_log(self):
        with harness.Node({"streams.default.sinks": ["out"], "log.level": "debug",
                           "sinks.out.sasl_mechanism": "SCRAM-SHA-512", "sinks.out.timeout": "1s",
                           "sinks.out.username": "ingest",
                           "sinks.out.password": "not-for-any-log-0123",
                           **self.server.sink_options("out")}) as node:
            node.post(b"x")
            wait_for(lambda: "sink out" in node.log(), "the sink says that it can't log in")
            self.assertNotIn("not-for-any-log", node.log())


if __name__ == "__main__":
    if len(sys.argv) > 2 and os.access(sys.argv[2], os.X_OK):
        KafkaMock.program = sys.argv.pop(2)
    harness.main()
