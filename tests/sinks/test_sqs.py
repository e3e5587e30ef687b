#!/usr/bin/env python3
"""The sqs sink against fauxqs behind the fault proxy: standard and FIFO queues."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import aws_servers  # noqa: E402
import delivery  # noqa: E402
import harness  # noqa: E402
from harness import Node, wait_for  # noqa: E402

# Ten messages a request, and one event a client in a FIFO queue's: the exercise needs many clients.
EVENTS = int(os.environ.get("PENSTOCK_DELIVERY_EVENTS", "6000"))
CLIENTS = 200


class Standard(aws_servers.SqsServer):
    """No order is promised, so the clients' order is not looked at: they are sorted by id."""

    def read_all(self):
        return sorted(delivery.event_of(m["Body"].encode()) for m in self.read_messages())


class Fifo(aws_servers.FifoServer):
    deduplicates = True

    def read_all(self):
        found = []
        for message in self.read_messages():
            event_id, key, body = delivery.event_of(message["Body"].encode())
            assert key == message["Attributes"]["MessageGroupId"], message
            assert event_id == message["Attributes"]["MessageDeduplicationId"], message
            found.append((event_id, key, body))
        return found


class Sqs(unittest.TestCase):
    def exercise(self, server):
        delivery.exercise(self, server, events=EVENTS, clients=CLIENTS, events_per_s=1000,
                          schedule=aws_servers.SCHEDULE, options={"sinks.out.lanes": 8})
        for fault in ("throttle", "partial", "lose_answer", "status"):
            self.assertGreater(server.counted(fault), 0, fault)
        self.assertEqual(0, server.counted("bad_signatures"), server.state())

    def test_outages_fifo(self):
        with Fifo() as server:
            self.exercise(server)

    def test_outages_standard(self):
        with Standard() as server:
            self.exercise(server)

    def node(self, server, **options):
        return Node({"identity.order": ["header:X-Client", "ip"], "streams.default.sinks": ["out"],
                     "sinks.out.retry_min": "20ms", "sinks.out.retry_max": "200ms",
                     **server.sink_options("out"), **options})

    def arrived(self, server, count):
        wait_for(lambda: len(server.read_messages()) >= count, f"{count} messages are there")
        return [delivery.event_of(m["Body"].encode()) for m in server.read]

    def test_characters_that_sqs_does_not_take(self):
        # Nothing beyond U+FFFF, which SQS takes and fauxqs does not.
        bodies = ["\ufffe\uffff \x01 \x7f \ud7ff \ue000 ä \t\r\n".encode(), b"\x00\xff\xfe"]
        with aws_servers.FifoServer() as server, self.node(server) as node:
            for body in bodies:
                self.assertEqual(202, node.post(body, headers={"Content-Type": "text/plain"}).status)
            self.assertEqual(bodies, [body for *_, body in self.arrived(server, 2)])
            self.assertNotIn("dead letter", node.log())

    def test_refused_by_the_queue(self):
        small = {"MaximumMessageSize": "1024"}
        with aws_servers.SqsServer(attributes=small) as server, self.node(server) as node:
            self.assertEqual(202, node.post(b"x" * 2000).status)
            self.assertEqual(202, node.post(b"small").status)
            self.assertEqual([b"small"], [body for *_, body in self.arrived(server, 1)])
            wait_for(lambda: "is a dead letter" in node.log(), "the large event is a dead letter")
            self.assertIn("Message must be shorter than 1024 bytes", node.log())

    def test_queues_that_are_missing_hold_their_streams_alone(self):
        class Default(aws_servers.SqsServer):
            queue = "default"
        with Default() as server:
            url = server.queue_url.rsplit("/", 1)[0] + "/{stream}"
            options = {"sinks.out.queue_url": url, "sinks.out.missing_target_after": "3s"}
            with self.node(server, **options) as node:
                delivery.stray_streams(self, node, lambda: len(server.read_messages()),
                                       "QueueDoesNotExist")
                def told():
                    # One of many dead letters in a second is not told by itself.
                    node.post(b"1", "no.queue.has.dots")
                    return "can't be the name of a queue" in node.log()
                wait_for(told, "it is dead at once")

    def test_a_queue_that_is_not_there_loses_nothing(self):
        with aws_servers.SqsServer() as server:
            url = server.queue_url
            server.ask("DeleteQueue", QueueUrl=url)
            with self.node(server) as node:
                self.assertEqual(202, node.post(b"kept").status)
                wait_for(lambda: "QueueDoesNotExist" in node.log(), "the node says why")
                server.ask("CreateQueue", QueueName=server.queue)
                self.assertEqual([b"kept"], [body for *_, body in self.arrived(server, 1)])


if __name__ == "__main__":
    harness.main()
