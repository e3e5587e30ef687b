#!/usr/bin/env python3
"""Space belongs to who holds it: an event that nobody takes holds itself, and not what came with it."""

import itertools
import json
import re
import signal
import threading
import time
import unittest

import harness
from event_server import EventServer
from harness import Node, body_of, wait_for

MIB = 1 << 20
# Room for some seconds, so that a busy machine does not fill it before space is looked for.
SMALL = {"journal.max_size": "24MiB", "journal.segment_size": "512KiB"}
BODY = b"x" * 8000


def post_with_patience(client, body, stream="default"):
    """A busy machine may fill a small journal faster than it makes room; then there is room soon."""
    deadline = time.monotonic() + 15
    while True:
        reply = client.post(body, stream)
        if reply.status != 507 or time.monotonic() > deadline:
            return reply
        time.sleep(0.1)


class Ingest:
    """Sends events to `default` and consumes them, and sometimes one to a stream that nobody reads."""

    def __init__(self, node, unread=("unread",), every=40):
        self.node = node
        self.unread = itertools.cycle(unread)
        self.every = every
        self.owed = {}  # stream → [(id, body)]
        self.sent_bytes = 0
        self.waiting = 0

    def send(self, stream, body):
        reply = post_with_patience(self.client, body, stream)
        if reply.status != 202:
            raise AssertionError(f"{reply.status} after {self.sent_bytes} bytes: {reply.body}")
        self.sent_bytes += len(body)
        return reply.json()["id"]

    def run(self, total_bytes):
        with self.node.client() as self.client:
            for n in itertools.count():
                if self.sent_bytes >= total_bytes:
                    break
                if n % self.every == 0:
                    stream, body = next(self.unread), b"unread %d" % n
                    self.owed.setdefault(stream, []).append((self.send(stream, body), body))
                self.send("default", BODY)
                self.waiting += 1
                if self.waiting == 100:
                    self.consume()
            self.consume()

    def consume(self):
        while self.waiting > 0:
            messages = self.node.receive(most=100)
            self.node.settle("default", messages)
            self.waiting -= len(messages)


class OneUnreadEvent(unittest.TestCase):
    def assert_owed(self, node, owed):
        """All of them are there, in their order, and nothing else."""
        for stream, events in owed.items():
            found = [(m["id"], body_of(m)) for m in node.drain_queue(stream, most=1000)]
            self.assertEqual(found, events, stream)

    def assert_little_moved(self, node, sent_bytes):
        metrics = node.metrics()
        self.assertGreater(metrics.get("penstock_journal_segments_moved_total"), 5)
        moved = metrics.get("penstock_journal_moved_bytes_total")
        self.assertGreater(moved, 0)
        print(f"  moved {moved / sent_bytes:.2%} of {sent_bytes} bytes", flush=True)

    def test_a_stream_that_nobody_reads(self):
        with Node(SMALL) as node:
            ingest = Ingest(node)
            ingest.run(80 * MIB)
            wait_for(lambda: node.request("GET", "/readyz").status == 200, "it is ready")
            self.assert_little_moved(node, ingest.sent_bytes)
            # After a kill they are still there, and the space is what it was.
            node.kill()
            node.start()
            ingest.run(100 * MIB)
            self.assertEqual(node.depth("unread")["depth"], len(ingest.owed["unread"]))
            self.assert_owed(node, ingest.owed)
            self.assertNotIn("error", node.log())
            self.assertEqual(node.stop(), 0)

    def test_many_of_them(self):
        with Node(SMALL) as node:
            names = [f"unread-{n}" for n in range(200)]
            ingest = Ingest(node, names, every=5)
            ingest.run(64 * MIB)
            self.assert_little_moved(node, ingest.sent_bytes)
            self.assert_owed(node, ingest.owed)

    def test_one_that_a_consumer_never_takes(self):
        """The first event of a stream is given back for ever; what comes after it is acknowledged."""
        with Node(SMALL) as node, node.client() as client:
            poison = client.post(b"poison").json()["id"]
            sent = 0
            while sent < 64 * MIB:
                for _ in range(50):
                    reply = post_with_patience(client, BODY)
                    self.assertEqual(reply.status, 202, f"after {sent} bytes: {reply.body}")
                    sent += len(BODY)
                left = 50
                while left > 0:
                    messages = node.receive(most=100)
                    taken = [m for m in messages if m["id"] != poison]
                    node.settle("default", taken)
                    node.settle("default", [m for m in messages if m["id"] == poison], "nack")
                    left -= len(taken)
            self.assertEqual(node.depth()["depth"], 1)
            node.kill()
            node.start()
            self.assertEqual([m["id"] for m in node.drain_queue()], [poison])

    def test_killed_again_and_again(self):
        with Node(SMALL) as node:
            ingest = Ingest(node, [f"unread-{n}" for n in range(10)], every=3)
            for _ in range(12):
                stop = threading.Timer(0.6, node.kill)
                stop.start()
                try:
                    ingest.run(1 << 40)
                except (OSError, AssertionError, harness.Closed, json.JSONDecodeError) as problem:
                    self.assertNotIn("507", str(problem))
                stop.join()
                node.start()
                # Acknowledged or not: what is left of the others is taken now.
                node.drain_queue(most=1000)
                ingest.waiting = 0
            for stream, events in ingest.owed.items():
                found = [m["id"] for m in node.drain_queue(stream, most=1000)]
                # One that was stored, and whose answer the kill came before, may be there too.
                self.assertEqual([i for i in found if i in {e for e, _ in events}],
                                 [e for e, _ in events], stream)
                self.assertEqual(len(found), len(set(found)))
            self.assertNotIn(" is damaged", node.log())


class Caps(unittest.TestCase):
    """What a stream may hold, and what becomes of it there."""

    def post_until(self, node, stream, status, most=4000, body=BODY):
        with node.client() as client:
            for n in range(most):
                reply = client.post(body, stream)
                if reply.status == status:
                    return n, reply
                self.assertEqual(reply.status, 202, reply)
        self.fail(f"no {status} after {most} events")

    def assert_others_are_taken(self, node, *streams):
        for stream in streams:
            self.assertEqual(node.post(b"x", stream).status, 202, stream)
        for plane in (node.request, node.admin):
            self.assertEqual(plane("GET", "/readyz").status, 200)

    def test_max_size_refuses(self):
        with Node({"streams.a.max_size": "1MiB", "streams.b.max_size": "1MiB"}) as node:
            taken, reply = self.post_until(node, "a", 507)
            self.assertAlmostEqual(taken * (len(BODY) + 32), MIB, delta=200_000)
            self.assertIn("max_size", reply.json()["detail"])
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
            self.assert_others_are_taken(node, "b", "c", "default")
            status = node.admin("GET", "/v1/admin/status").json()
            self.assertEqual(status["journal"]["refused_streams"], ["a"])
            self.assertEqual(node.metrics().get("penstock_journal_refused_streams"), 1)
            self.assertGreaterEqual(node.metrics().get("penstock_shed_total", reason="stream_full"), 1)
            # It is so after a kill, and over once a consumer has taken some.
            node.kill()
            node.start()
            wait_for(lambda: node.post(BODY, "a").status == 507, "it is refused again")
            self.assertGreaterEqual(len(node.drain_queue("a")), taken)
            wait_for(lambda: node.post(BODY, "a").status == 202, "it is taken again")
            # A reload applies another bound.
            self.post_until(node, "a", 507)
            node.configure({"streams.a.max_size": "2MiB"})
            node.signal(signal.SIGHUP)
            wait_for(lambda: node.post(BODY, "a").status == 202, "it may hold more")
            self.assertNotIn("take effect at the next", node.log())

    def test_max_age_refuses(self):
        with Node({"streams.a.max_age": "1s"}) as node:
            self.assertEqual(node.post(b"old", "a").status, 202)
            wait_for(lambda: node.post(b"x", "a").status == 507, "its oldest is too old")
            self.assert_others_are_taken(node, "b")
            node.drain_queue("a")
            wait_for(lambda: node.post(b"x", "a").status == 202, "it is taken again")

    def test_expire_loses_the_oldest_and_says_so(self):
        with Node({"streams.a.max_size": "1MiB", "streams.a.when_full": "expire"}) as node:
            sent = []
            with node.client() as client:
                for _ in range(400):
                    reply = client.post(BODY, "a")
                    self.assertEqual(reply.status, 202)
                    sent.append(reply.json()["id"])
            most = MIB // (len(BODY) + 32)
            wait_for(lambda: node.depth("a")["depth"] <= most, "the oldest are gone")
            left = [m["id"] for m in node.drain_queue("a")]
            self.assertEqual(left, sent[-len(left):])
            self.assertGreater(len(left), most - 2)
            # Each event that is gone is counted, and lies in a range that the log names.
            self.assertEqual(node.metrics().get("penstock_queue_expired_total"),
                             len(sent) - len(left))
            told = re.findall(r"(\d+) events of the stream 'a' are LOST, from (\S+) to (\S+):", node.log())
            self.assertEqual(sum(int(count) for count, _, _ in told), len(sent) - len(left))
            for lost in sent[:-len(left)]:
                self.assertTrue(any(first <= lost <= last for _, first, last in told), lost)
            node.kill()
            node.start()
            self.assertEqual(node.depth("a")["depth"], 0)

    def test_what_was_acknowledged_ahead_holds_nothing_after_a_restart(self):
        with Node({}) as node:
            with node.client() as client:
                for _ in range(10):
                    self.assertEqual(client.post(b"q", "a").status, 202)
            node.settle("a", node.receive("a", lease_s=60)[1:])
            self.assertEqual(node.depth("a")["depth"], 1)
            for end in (node.kill, node.stop):
                end()
                node.start()
                self.assertEqual(node.depth("a")["depth"], 1)
                wait_for(lambda: node.metrics().get("penstock_queue_depth", stream="a") == 1, "one waits")
            self.assertEqual(len(node.receive("a")), 1)

    def test_a_restart_expires_nothing_within_the_cap(self):
        with Node({"streams.a.max_size": "40KiB", "streams.a.when_full": "expire"}) as node:
            kept = set()
            for _ in range(25):  # three times the cap, and never more than it at once
                with node.client() as client:
                    for _ in range(20):
                        self.assertEqual(client.post(b"q" * 200, "a").status, 202)
                got = []
                while len(got) < 20:  # the queue may be told of the last a moment later
                    got += node.receive("a", lease_s=60, wait_s=5)
                node.settle("a", [m for n, m in enumerate(got) if n % 7])
                left = [m for n, m in enumerate(got) if not n % 7]
                node.settle("a", left[1:])
                kept |= {m["id"] for m in left[:1]}
            self.assertEqual(node.metrics().get("penstock_queue_expired_total"), 0)
            for end in (node.stop, node.kill):
                end()
                node.start()
                self.assertEqual(node.depth("a")["depth"], len(kept))
                wait_for(lambda: node.metrics().get("penstock_queue_depth", stream="a") == len(kept),
                         "the queue has looked around")
                self.assertEqual(node.metrics().get("penstock_queue_expired_total"), 0)
            self.assertEqual({m["id"] for m in node.receive("a")}, kept)

    def test_content_types_take_room(self):
        kind = {"Content-Type": "a/" + "b" * 6030}  # 6000 more than an event's overhead covers
        with Node({"streams.a.max_size": "1MiB", **SMALL}) as node:
            taken = 0
            with node.client() as client:
                while (reply := client.request("POST", "/v1/events/a", b"x", kind)).status == 202:
                    taken += 1
                    self.assertLess(taken, 1000)
            self.assertEqual(reply.status, 507, reply)
            self.assertGreater(taken * 6000, 0.7 * MIB)
            self.assert_others_are_taken(node, "b", "default")
            def is_told():
                waits = node.admin("GET", "/v1/admin/status").json()["queues"]
                return any(one["stream"] == "a" and one["bytes"] > taken * 6000 for one in waits)
            wait_for(is_told, "its size is told")
            node.kill()
            node.start()
            wait_for(is_told, "its size is told after a restart")

    def test_a_repeat_is_answered_although_its_stream_is_full(self):
        with Node({"streams.a.max_size": "64KiB"}) as node, node.client() as client:
            key = {"Idempotency-Key": "k"}
            first = client.post(BODY, "a", key)
            self.assertEqual(first.status, 202)
            self.post_until(node, "a", 507)
            again = client.post(BODY, "a", key)
            self.assertEqual((again.status, again.json()["id"]), (202, first.json()["id"]))
            self.assertEqual(again.headers["idempotent-replayed"], "true")
            new = client.post(BODY, "a", {"Idempotency-Key": "new"})
            self.assertEqual(new.status, 507)
            self.assertIn("max_size", new.json()["detail"])
            node.drain_queue("a")
            wait_for(lambda: client.post(BODY, "a", {"Idempotency-Key": "new"}).status == 202,
                     "it is taken once there is room")

    def test_names_that_nobody_configured_have_one_bound_together(self):
        names = itertools.cycle([f"unread-{n}" for n in range(1000)])
        with Node({"journal.max_size": "24MiB", "journal.segment_size": "512KiB",
                   "streams.mine.max_size": 0}) as node:
            with node.client() as client:
                sent = 0
                while (reply := client.post(BODY, next(names))).status == 202:
                    sent += len(BODY) + 32
            self.assertEqual(reply.status, 507, reply)
            self.assertIn("unconfigured_max_size", reply.json()["detail"])
            self.assertAlmostEqual(sent, 24 * MIB / 5, delta=0.3 * MIB)
            # Three times the journal goes through the others.
            ingest = Ingest(node, ["mine"], every=10**9)
            ingest.run(72 * MIB)
            self.assert_others_are_taken(node, "mine", "default")
            self.assertEqual(node.post(BODY, "unread-1").status, 507)
            self.assertEqual(node.metrics().get("penstock_journal_unconfigured_full"), 1)


class FullDeadLetters(unittest.TestCase):
    """A sink refuses all, and dead letters have no more room."""

    def setUp(self):
        self.server = EventServer(lambda event: "it is bad")
        self.addCleanup(self.server.close)

    def node(self, **more):
        node = Node({"dead_letters.max_size": "1MiB", "streams.e.sinks": ["web"],
                     "streams.mine.max_size": 0, **self.server.sink("web", max_tries=1),
                     **SMALL, **more})
        self.addCleanup(node.close)
        return node.start()

    def test_a_stream_that_can_let_nothing_go_is_refused(self):
        node = self.node(**{"streams.e.max_size": "1MiB", "streams.e.when_full": "expire"})
        with node.client() as client:
            taken = 0
            while (reply := client.post(BODY, "e")).status == 202:
                taken += 1
                self.assertLess(taken * len(BODY), 20 * MIB)
                time.sleep(0.002)  # what a stream holds is looked at once a second
        self.assertEqual(reply.status, 507, reply)
        self.assertIn("max_size", reply.json()["detail"])
        self.assertEqual(node.post(BODY, "mine").status, 202)
        # When its dead letters have room again it is taken.
        def is_taken():
            node.admin("POST", "/v1/admin/dead-letters/drop", {"sink": "web"})
            return node.post(BODY, "e").status == 202
        wait_for(is_taken, "it is taken again")

    def test_as_many_are_kept_as_there_is_room_for(self):
        node = self.node()
        with node.client() as client:
            for _ in range(600):
                self.assertEqual(client.post(BODY, "e").status, 202)
        letters = lambda: node.metrics().get("penstock_dead_letters_bytes")
        wait_for(lambda: letters() > MIB - 10_000, "there is no more room")
        dropped = 0
        def is_through():
            nonlocal dropped
            dropped += node.admin("POST", "/v1/admin/dead-letters/drop",
                                  {"sink": "web"}).json()["dropped"]
            return dropped == 600
        wait_for(is_through, "all were kept", 60)
        # The log names what was buried, and nothing else.
        told = re.findall(r"event (\S+) of stream 'e' is a dead letter", node.log())
        self.assertEqual(len(told), len(set(told)))


if __name__ == "__main__":
    harness.main()
