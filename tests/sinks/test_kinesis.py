#!/usr/bin/env python3
"""The kinesis sink against kinesalite behind the fault proxy."""

import base64
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import aws_servers  # noqa: E402
import delivery  # noqa: E402
import harness  # noqa: E402
from harness import Node, wait_for  # noqa: E402

# A request has one event a client: with many clients the exercise is quick. kinesalite itself takes
# about a millisecond a record.
EVENTS = int(os.environ.get("PENSTOCK_DELIVERY_EVENTS", "5000"))
CLIENTS = 200
EVENTS_PER_S = 600


class Exercised(aws_servers.KinesisServer):
    """As the outage exercise wants it."""

    def read_all(self):
        return [delivery.event_of(base64.b64decode(record["Data"])) for _, record in
                self.read_records()]


class Kinesis(unittest.TestCase):
    def node(self, server, **more):
        options = {"identity.order": ["header:X-Client", "ip"], "streams.default.sinks": ["out"],
                   "sinks.out.retry_min": "20ms", "sinks.out.retry_max": "200ms",
                   **server.sink_options("out"), **more.pop("options", {})}
        return Node(options, **more)

    def arrived(self, server, count):
        wait_for(lambda: len(server.read_records()) >= count, f"{count} records are there")
        return [(shard, record, *delivery.event_of(base64.b64decode(record["Data"])))
                for shard, record in server.read]

    def test_outages(self):
        with Exercised() as server:
            delivery.exercise(self, server, events=EVENTS, clients=CLIENTS,
                              events_per_s=EVENTS_PER_S, schedule=aws_servers.SCHEDULE)
            for fault in ("throttle", "partial", "lose_answer", "status"):
                self.assertGreater(server.counted(fault), 0, fault)
            self.assertEqual(0, server.counted("bad_signatures"), server.state())

    def test_records(self):
        token = "session/token+of=tests"
        with aws_servers.KinesisServer(session_token=token) as server, \
                self.node(server, environment={**aws_servers.KEYS,
                                               "AWS_SESSION_TOKEN": token}) as node:
            bodies = [b'{"n": 1}', b"plain \xc3\xa4\x01", bytes(range(256))]
            for body, kind in zip(bodies, ("application/json", "text/plain", "image/png")):
                self.assertEqual(202, node.post(body, headers={"Content-Type": kind,
                                                               "X-Client": "one"}).status)
            self.assertEqual(202, node.post(b"x", headers={"X-Client": "two"}).status)
            found = self.arrived(server, 4)
            ones = [(shard, key, body) for shard, record, _, key, body in found
                    if key == record["PartitionKey"] and body != b"x"]
            self.assertEqual(bodies, [body for _, _, body in ones])
            self.assertEqual(1, len({(shard, key) for shard, key, _ in ones}))
            self.assertEqual(2, len({record["PartitionKey"] for _, record, *_ in found}))
            self.assertEqual(0, server.state()["bad_signatures"], server.state())

    def test_only_what_failed_is_sent_again(self):
        together = {"sinks.out.lanes": 1, "sinks.out.linger": "1s"}
        with aws_servers.KinesisServer() as server, self.node(server, options=together) as node:
            server.fault("partial", count=3)
            with node.client() as client:
                for n in range(300):
                    self.assertEqual(202, client.post(b"%d" % n, headers={"X-Client": f"c{n}"}).status)
            found = self.arrived(server, 300)
            self.assertEqual(300, len(found))
            self.assertEqual({b"%d" % n for n in range(300)}, {body for *_, body in found})
            self.assertEqual(3, server.counted("partial"))

    def test_too_large_for_a_record(self):
        with aws_servers.KinesisServer() as server, \
                self.node(server, options={"http.max_body": "2MiB"}) as node:
            self.assertEqual(202, node.post(b'"' + b"x" * (1 << 20) + b'"').status)
            self.assertEqual(202, node.post(b"small").status)
            self.assertEqual([b"small"], [body for *_, body in self.arrived(server, 1)])
            wait_for(lambda: "is a dead letter" in node.log(), "the large event is a dead letter")
            self.assertIn("is more than the 1048576 that Kinesis takes", node.log())

    def test_wrong_credentials_lose_nothing_and_are_read_anew(self):
        with aws_servers.KinesisServer() as server:
            server.write_credentials({**aws_servers.KEYS, "AWS_SECRET_ACCESS_KEY": "wr0ng"})
            with self.node(server) as node:
                self.assertEqual(202, node.post(b"kept").status)
                wait_for(lambda: "InvalidSignatureException" in node.log(), "the node says why")
                self.assertNotIn("wr0ng", node.log())
                server.write_credentials(aws_servers.KEYS)
                self.assertEqual([b"kept"], [body for *_, body in self.arrived(server, 1)])

    def test_no_credentials(self):
        with aws_servers.KinesisServer() as server:
            options = {"sinks.out.credentials_file": "/nonexistent/credentials"}
            with self.node(server, options=options) as node:
                self.assertEqual(202, node.post(b"kept").status)
                wait_for(lambda: "can't read /nonexistent/credentials" in node.log(), "it says why")


if __name__ == "__main__":
    harness.main()
