#!/usr/bin/env python3
"""Repeats with an idempotency key, or of a CloudEvent: recognised, before and after a crash, through
any node, and never stored twice."""

import json
import sqlite3
import threading
import time
import unittest
import uuid

import harness
from harness import Node, wait_for

NDJSON = {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}
BATCH = {"Content-Type": "application/cloudevents-batch+json", "Prefer": "return=representation"}


def keyed(key=None, **more):
    return {"Idempotency-Key": key or f'"{uuid.uuid4()}"', **more}


def event(number, **more):
    return {"specversion": "1.0", "type": "t", "source": "/s", "id": f"{number}", **more}


def is_replay(reply):
    return reply.headers.get("idempotent-replayed") == "true"


class Base(unittest.TestCase):
    def setUp(self):
        self.stream = self.id().rsplit(".", 1)[1]

    def check_same(self, first, again):
        """`again` answers as `first` did, and says so."""
        self.assertEqual((again.status, again.body), (first.status, first.body))
        self.assertFalse(is_replay(first), first)
        self.assertTrue(is_replay(again), again)


class Repeats(Base):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({"journal.segment_size": "256KiB"})
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def post(self, body, headers, stream=None):
        return self.node.post(body, stream or self.stream, headers)

    def test_one_event(self):
        headers = keyed()
        first = self.post(b"body", headers)
        self.assertEqual(first.status, 202, first)
        for _ in range(3):
            self.check_same(first, self.post(b"body", headers))
        other = self.post(b"body", keyed())
        self.assertNotEqual(other.json()["id"], first.json()["id"])
        self.assertEqual(len(self.node.drain_queue(self.stream)), 2)

    def test_quoted_and_bare_are_one_key(self):
        key = str(uuid.uuid4())
        first = self.post(b"body", keyed(key))
        self.check_same(first, self.post(b"body", keyed(f'"{key}"')))
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_malformed_keys(self):
        for key in ("", '""', '"open', 'in"side', "x" * 256, '"a\\b"', "tab\there", "\x80"):
            reply = self.post(b"body", {"Idempotency-Key": key})
            self.assertEqual(reply.status, 400, (key, reply))
            self.assertIn("Idempotency-Key", reply.json()["detail"])
        reply = self.post(b"body", [("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
        self.assertEqual(reply.status, 400, reply)
        self.assertEqual(self.post(b"body", keyed("x" * 255)).status, 202)
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_other_content_is_refused(self):
        headers = keyed()
        first = self.post(b"body", headers)
        for body, more, stream in ((b"other", {}, None), (b"body", {"Content-Type": "text/plain"}, None),
                                   (b"body", {}, "another-stream")):
            reply = self.post(body, {**headers, **more}, stream)
            self.assertEqual(reply.status, 422, reply)
            self.assertEqual(reply.json()["status"], 422)
        self.check_same(first, self.post(b"body", headers))
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_traces_may_differ(self):
        headers = keyed()
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333%d-01"
        first = self.post(b"body", {**headers, "traceparent": trace % 1})
        self.check_same(first, self.post(b"body", {**headers, "traceparent": trace % 2}))

    def test_lines(self):
        headers = {**keyed(), **NDJSON}
        body = b'1\n{\n3\n\n"four"\nnul\n'
        first = self.post(body, headers)
        self.assertEqual(first.json()["accepted"], 3)
        self.assertEqual([e["index"] for e in first.json()["errors"]], [1, 4])
        self.check_same(first, self.post(body, headers))
        self.assertEqual(self.post(body + b"6\n", headers).status, 422)
        self.assertEqual(len(self.node.drain_queue(self.stream)), 3)

    def test_what_fails_leaves_no_trace(self):
        headers = {**keyed(), "Content-Type": "application/json"}
        self.assertEqual(self.post(b"{", headers).status, 400)
        first = self.post(b"{}", headers)
        self.assertEqual(first.status, 202, first)
        self.assertFalse(is_replay(first))

    def test_cloud_events(self):
        structured = {"Content-Type": "application/cloudevents+json"}
        body = json.dumps(event(self.stream, data=1))
        first = self.post(body, structured)
        self.check_same(first, self.post(body, structured))
        self.assertEqual(self.post(json.dumps(event(self.stream, data=2)), structured).status, 422)
        # In a batch it is known too, and beside new ones the answer is no repeat.
        fresh = json.dumps(event(self.stream + "-2"))
        mixed = self.post(f"[{body},{fresh}]", BATCH)
        self.assertEqual((mixed.status, mixed.json()["accepted"]), (202, 2), mixed)
        self.assertEqual(mixed.json()["ids"][0], first.json()["id"])
        self.assertFalse(is_replay(mixed))
        again = self.post(f"[{body},{fresh}]", BATCH)
        self.assertEqual(again.body, mixed.body)
        self.assertTrue(is_replay(again))
        self.assertEqual(len(self.node.drain_queue(self.stream)), 2)

    def test_cloud_events_binary(self):
        headers = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": self.stream}
        first = self.post(b"data", headers)
        self.check_same(first, self.post(b"data", headers))
        self.assertEqual(self.post(b"data", {**headers, "ce-type": "u"}).status, 422)
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_batch_with_each_kind(self):
        known = event(self.stream + "-0")
        self.post("[" + json.dumps(known) + "]", BATCH)
        twice = event(self.stream + "-1")
        events = [known, {**known, "data": "other"}, twice, twice, {"id": "bad"}, {**twice, "data": 1}]
        reply = self.post("[" + ",".join(json.dumps(e) for e in events) + "]", BATCH)
        answer = reply.json()
        self.assertEqual(reply.status, 202, reply)
        self.assertEqual([(e["index"], e["status"]) for e in answer["errors"]],
                         [(1, 422), (4, 400), (5, 422)])
        self.assertEqual(answer["ids"][2], answer["ids"][3])
        self.assertEqual((answer["accepted"], answer["rejected"]), (3, 3))
        self.assertEqual(len(self.node.drain_queue(self.stream)), 2)

    def test_all_of_a_batch_in_conflict(self):
        one = event(self.stream)
        self.post(json.dumps(one), {"Content-Type": "application/cloudevents+json"})
        reply = self.post("[" + json.dumps({**one, "data": 1}) + "]", BATCH)
        self.assertEqual(reply.status, 422, reply)
        self.assertEqual(reply.json()["errors"][0]["status"], 422)

    def test_header_before_what_the_event_says(self):
        body = json.dumps(event(self.stream))
        structured = {"Content-Type": "application/cloudevents+json"}
        first, second = (self.post(body, {**keyed(), **structured}) for _ in range(2))
        self.assertNotEqual(first.json()["id"], second.json()["id"])

    def test_many_at_once(self):
        headers = keyed()
        replies, together = [], threading.Barrier(16)

        def send():
            with self.node.client() as client:
                together.wait()
                replies.append(client.post(b"body", self.stream, headers))
        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({(r.status, r.body) for r in replies}, {(202, replies[0].body)})
        self.assertEqual(sum(not is_replay(r) for r in replies), 1)
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_pipelined_repeats(self):
        headers = keyed()
        request = harness.request_bytes("POST", f"/v1/events/{self.stream}", b"body", headers)
        with self.node.client() as client:
            client.send(request * 10)
            replies = [client.read() for _ in range(10)]
        self.assertEqual({(r.status, r.body) for r in replies}, {(202, replies[0].body)})
        self.assertEqual(len(self.node.drain_queue(self.stream)), 1)

    def test_sqlite_tells_the_keys(self):
        self.post(b"body", keyed())
        found = 0
        for segment in (self.node.data_dir / "journal").glob("0*.db"):
            with sqlite3.connect(f"file:{segment}?mode=ro", uri=True) as db:
                rows = db.execute("SELECT seq, n, time_ms, length(key), length(content) "
                                  "FROM idempotency").fetchall()
            found += len(rows)
            for seq, n, time_ms, key, content in rows:
                self.assertEqual((key, content), (16, 8))
                self.assertGreater(time_ms, 1.6e12)
        self.assertGreater(found, 0)


class Limited(Base):
    def test_a_repeat_costs_nothing(self):
        limits = [{"name": "few", "algorithm": "fixed_window", "amount": 3, "window": "1h"}]
        with Node({"plans.anonymous.limits": limits}) as node:
            headers = [keyed() for _ in range(4)]
            first = node.post(b"0", self.stream, headers[0])
            self.assertIn("r=2", first.headers["ratelimit"])
            for _ in range(5):
                again = node.post(b"0", self.stream, headers[0])
                self.check_same(first, again)
                self.assertIn("r=2", again.headers["ratelimit"])
            for n in (1, 2):
                self.assertEqual(node.post(b"%d" % n, self.stream, headers[n]).status, 202)
            for _ in range(2):
                reply = node.post(b"3", self.stream, headers[3])
                self.assertEqual(reply.status, 429, reply)
                self.assertFalse(is_replay(reply))
                self.assertIn("quota-exceeded", reply.json()["type"])
            self.check_same(first, node.post(b"0", self.stream, headers[0]))
            self.assertEqual(len(node.drain_queue(self.stream)), 3)

    def test_a_batch_admitted_in_part(self):
        limits = [{"name": "few", "algorithm": "fixed_window", "amount": 3, "window": "1h"}]
        with Node({"plans.anonymous.limits": limits}) as node:
            headers = {**keyed(), **NDJSON}
            first = node.post(b"1\nx\n2\n3\n4\n5\n", self.stream, headers)
            self.assertEqual(first.json()["accepted"], 3)
            self.check_same(first, node.post(b"1\nx\n2\n3\n4\n5\n", self.stream, headers))
            events = "[" + ",".join(json.dumps(event(n)) for n in range(3)) + "]"
            reply = node.post(events, self.stream, BATCH)
            self.assertEqual(reply.status, 429, reply)
            self.assertEqual([e["status"] for e in reply.json()["errors"]], [429] * 3)
            self.assertEqual(len(node.drain_queue(self.stream)), 3)

    def test_the_window_ends(self):
        with Node({"idempotency.window": "1s"}) as node:
            headers = keyed()
            first = node.post(b"body", self.stream, headers)
            self.check_same(first, node.post(b"body", self.stream, headers))
            wait_for(lambda: not is_replay(node.post(b"body", self.stream, headers)),
                     "the key is forgotten", 10, pause_s=0.2)
            self.assertGreaterEqual(len(node.drain_queue(self.stream)), 2)

    def test_the_oldest_keys_go_first(self):
        with Node({"idempotency.max_keys": 20}) as node:
            headers = [keyed() for _ in range(60)]
            with node.client() as client:
                for one in headers:
                    self.assertEqual(client.post(b"x", self.stream, one).status, 202)
                self.assertTrue(is_replay(client.post(b"x", self.stream, headers[-1])))
                self.assertFalse(is_replay(client.post(b"x", self.stream, headers[0])))

    def test_switched_off(self):
        with Node({"idempotency.max_keys": 0}) as node:
            headers = keyed()
            ids = {node.post(b"x", self.stream, headers).json()["id"] for _ in range(2)}
            self.assertEqual(len(ids), 2)
            body = json.dumps(event(1))
            for _ in range(2):
                self.assertEqual(node.post(f"[{body}]", self.stream, BATCH).json()["accepted"], 1)


class Crashes(Base):
    def test_known_after_a_kill(self):
        with Node() as node:
            one, lines = keyed(), {**keyed(), **NDJSON}
            events = "[" + ",".join(json.dumps(event(n)) for n in range(5)) + "]"
            sent = [(b"body", one), (b"1\n{\n3\n", lines), (events, BATCH)]
            first = [node.post(body, self.stream, headers) for body, headers in sent]
            for _ in range(2):
                node.kill()
                node.start()
                for reply, (body, headers) in zip(first, sent):
                    self.check_same(reply, node.post(body, self.stream, headers))
                self.assertEqual(node.post(b"other", self.stream, one).status, 422)
            self.assertEqual(len(node.drain_queue(self.stream)), 1 + 2 + 5)

    def test_killed_at_any_time(self):
        """Clients that repeat until they are answered: every key has one event, and one answer."""
        with Node() as node:
            answers, stop = {}, threading.Event()
            keys = [[f"{c}-{n}" for n in range(100_000)] for c in range(4)]

            def send(mine):
                for key in mine:
                    while not stop.is_set():
                        try:
                            with node.client(timeout_s=5) as client:
                                for _ in range(2):
                                    reply = client.post(key.encode(), self.stream, keyed(key))
                                    if reply.status == 202:
                                        answers.setdefault(key, set()).add(reply.body)
                            break
                        except (OSError, harness.Closed):
                            time.sleep(0.02)
                    if stop.is_set():
                        return
            threads = [threading.Thread(target=send, args=(mine,)) for mine in keys]
            for thread in threads:
                thread.start()
            for _ in range(6):
                time.sleep(0.4)
                node.kill()
                node.start()
            time.sleep(0.3)
            stop.set()
            for thread in threads:
                thread.join()
            messages = node.drain_queue(self.stream)
            by_key = {}
            for message in messages:
                by_key.setdefault(message["data"], []).append(message["id"])
            self.assertGreater(len(answers), 20)
            twice = {k: v for k, v in by_key.items() if len(set(v)) > 1}
            self.assertEqual(twice, {})
            for key, bodies in answers.items():
                self.assertEqual(len(bodies), 1, (key, bodies))
                self.assertEqual(json.loads(next(iter(bodies)))["id"], by_key[key][0])

    def test_known_after_the_segment_went(self):
        with Node({"journal.segment_size": "256KiB", "journal.max_size": "4MiB"}) as node:
            headers = keyed()
            first = node.post(b"body", self.stream, headers)
            journal = node.data_dir / "journal"
            oldest = min(journal.glob("0*.db"))
            filler = b"x" * 60_000

            def gone():
                node.post(filler, "filler")
                node.drain_queue("filler")
                node.drain_queue(self.stream)
                return not oldest.exists()
            wait_for(gone, "the first segment is retired", 30)
            self.check_same(first, node.post(b"body", self.stream, headers))
            node.kill()
            node.start()
            self.check_same(first, node.post(b"body", self.stream, headers))
            with sqlite3.connect(f"file:{node.data_dir}/idempotency.db?mode=ro", uri=True) as db:
                self.assertEqual(db.execute("SELECT count(*) FROM idempotency").fetchone()[0], 1)
            self.assertEqual(node.drain_queue(self.stream), [])


class Cluster(Base):
    def test_known_through_every_node(self):
        nodes = harness.cluster(3, {"identity.order": ["header:X-Client", "ip"]})
        for node in nodes:
            self.addCleanup(node.close)
            node.launch()
        for node in nodes:
            node.wait_ready()

        def linked():
            return all(node.metrics().get("penstock_cluster_peers_up") == 2 for node in nodes)
        wait_for(linked, "all nodes are linked")
        who = {"X-Client": "c"}
        owners = set()
        for number in range(40):  # that none is one node's has a chance of one in four million
            headers = keyed(**who)
            body = b"%d" % number
            first = nodes[number % 3].post(body, self.stream, headers)
            self.assertEqual(first.status, 202, first)
            owners.add(first.json()["id"][-8:])
            for node in nodes:
                self.check_same(first, node.post(body, self.stream, headers))
                self.assertEqual(node.post(b"other", self.stream, headers).status, 422)
        self.assertEqual(len(owners), 3, "the keys of forty requests belong to all three nodes")

        lines = {**keyed(**who), **NDJSON}
        first = nodes[0].post(b"1\n{\n3\n", self.stream, lines)
        self.assertEqual(first.json()["accepted"], 2, first)
        for node in nodes:
            self.check_same(first, node.post(b"1\n{\n3\n", self.stream, lines))

        events = "[" + ",".join(json.dumps(event(n, data=n)) for n in range(30)) + "]"
        first = nodes[0].post(events, self.stream, {**BATCH, **who})
        self.assertEqual(first.json()["accepted"], 30, first)
        self.assertEqual(len({i[-8:] for i in first.json()["ids"]}), 3)
        for node in nodes:
            self.check_same(first, node.post(events, self.stream, {**BATCH, **who}))
        stored = [m for node in nodes for m in node.drain_queue(self.stream)]
        self.assertEqual(len(stored), 40 + 2 + 30)
        self.assertEqual({m["attributes"]["ce_id"] for m in stored if m["attributes"]},
                         {str(n) for n in range(30)})

        # A node is gone: its keys wait for it, the others' do not.
        nodes[2].kill()
        keys = [keyed(**who) for _ in range(12)]

        def both_kinds():
            return {nodes[0].post(b"x", "later", key).status for key in keys} == {202, 503}
        wait_for(both_kinds, "some keys are refused, others taken", 20)
        refused = [key for key in keys if nodes[0].post(b"x", "later", key).status == 503]
        reply = nodes[0].post(b"x", "later", refused[0])
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        nodes[2].start()
        wait_for(linked, "all nodes are linked again")
        for key in refused:
            self.assertEqual(nodes[1].post(b"x", "later", key).status, 202)
        stored = [m for node in nodes for m in node.drain_queue("later")]
        self.assertEqual(len(stored), 12)


if __name__ == "__main__":
    harness.main()
