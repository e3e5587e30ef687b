#!/usr/bin/env python3
"""ack = "published": a 202 comes when every sink of the stream has the events; after the deadline
the client is told what is true. The sink is a plain HTTP server that does as the test says."""

import http.server
import json
import signal
import threading
import time
import unittest

import harness
from harness import Node, body_of, request_bytes, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}


class Sink:
    """Takes lines of JSON. `mode`: "answer" takes them; "hang" keeps every request waiting until
    the mode changes; any number is the status of every answer."""

    def __init__(self):
        self.changed = threading.Condition()
        self.mode = "answer"
        self.lines = []
        self.waiting = 0
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = sink.take(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body):
        with self.changed:
            self.waiting += 1
            self.changed.wait_for(lambda: self.mode != "hang", timeout=60)
            self.waiting -= 1
            if self.mode != "answer":
                return int(self.mode) if self.mode != "hang" else 503
            self.lines += body.splitlines()
            return 200

    def set(self, mode):
        with self.changed:
            self.mode = mode
            self.changed.notify_all()

    def has(self, text):
        with self.changed:
            return any(text in line for line in self.lines)

    def options(self, name, **more):
        return {f"sinks.{name}.{key}": value for key, value in {
            "kind": "http", "url": f"http://127.0.0.1:{self.server.server_port}/in",
            "timeout": "30s", "linger": "0ms", "retry_min": "10ms", "retry_max": "50ms",
            "max_tries": 2, **more}.items()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.set("answer")
        self.server.shutdown()
        self.server.server_close()


def published(stream="default", sinks=("out",), **more):
    """Options of a stream."""
    options = {"ack": "published", "sinks": list(sinks), **more}
    return {f"streams.{stream}.{key}": value for key, value in options.items()}


class EmbeddedOnly(unittest.TestCase):
    def test_the_queue_has_what_is_durable(self):
        with Node(published(sinks=["queue"], publish_timeout="10m")) as node:
            reply = node.post(b"hello")
            self.assertEqual(reply.status, 202, reply)
            self.assertEqual(list(reply.json()), ["id"])
            message, = node.receive()
            self.assertEqual((message["id"], body_of(message)), (reply.json()["id"], b"hello"))
            self.assertEqual(node.metrics().get("penstock_publish_waits"), 0)
            self.assertEqual(node.metrics().get("penstock_published_answers_total"), 0)

    def test_without_any_sink_too(self):
        with Node(published(sinks=[])) as node:
            self.assertEqual(list(node.post(b"hello").json()), ["id"])


class Published(unittest.TestCase):
    def setUp(self):
        self.sink = self.enterContext_(Sink())

    def enterContext_(self, what):
        value = what.__enter__()
        self.addCleanup(what.__exit__, None, None, None)
        return value

    def node(self, options):
        return self.enterContext_(Node({**self.sink.options("out"), **options}))

    def test_answered_when_the_sink_has_it(self):
        node = self.node(published(publish_timeout="1m"))
        with node.client() as client:
            for n in range(20):
                reply = client.post(json.dumps({"n": n}).encode(), "", {"Content-Type": "application/json"})
                self.assertEqual(reply.status, 202, reply)
                self.assertEqual(list(reply.json()), ["id"])
                self.assertTrue(self.sink.has(b'{"n":%d}' % n) or self.sink.has(b'{"n": %d}' % n))
            reply = client.post(b'"a"\n"b"\n"c"\n', "", NDJSON)
            self.assertEqual(reply.json()["accepted"], 3)
            self.assertNotIn("ack", reply.json())
            self.assertTrue(all(self.sink.has(x) for x in (b'"a"', b'"b"', b'"c"')))
        self.assertEqual(node.metrics().get("penstock_published_answers_total"), 21)

    def test_a_slow_sink_makes_the_client_wait(self):
        node = self.node(published(publish_timeout="1m"))
        self.sink.set("hang")
        with node.client() as client:
            client.send(request_bytes("POST", "/v1/events", b'"x"'))
            wait_for(lambda: self.sink.waiting, "the sink is asked")
            wait_for(lambda: node.metrics().get("penstock_publish_waits") == 1, "it waits")
            self.sink.set("answer")
            self.assertEqual(client.read().status, 202)
        wait_for(lambda: node.metrics().get("penstock_publish_waits") == 0, "it waits no more")

    def test_after_the_deadline_202_says_journaled(self):
        node = self.node({**published(publish_timeout="300ms"), "streams.other.sinks": ["queue"]})
        self.sink.set("hang")
        began = time.monotonic()
        reply = node.post(b'"late"')
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual(reply.status, 202, reply)
        self.assertEqual(reply.json()["ack"], "journaled")
        batch = node.post(b'"b1"\n"b2"\n', "", NDJSON)
        self.assertEqual((batch.json()["accepted"], batch.json()["ack"]), (2, "journaled"))
        self.assertGreaterEqual(
            node.metrics().get("penstock_unpublished_answers_total", reason="late"), 2)
        self.sink.set("answer")
        wait_for(lambda: self.sink.has(b'"late"') and self.sink.has(b'"b2"'), "they arrive")

    def test_or_503_if_configured(self):
        node = self.node(published(publish_timeout="300ms", on_publish_timeout="refuse"))
        self.sink.set("hang")
        key = {"Idempotency-Key": "k1"}
        reply = node.post(b'"strict"', "", key)
        self.assertEqual(reply.status, 503, reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        self.assertEqual(reply.json()["ack"], "journaled")
        self.assertRegex(reply.json()["detail"], "stored")
        again = node.post(b'"strict"', "", key)
        self.assertEqual((again.status, again.json()),
                         (202, {"id": reply.json()["id"], "ack": "journaled"}))
        self.assertEqual(again.headers["idempotent-replayed"], "true")
        self.sink.set("answer")
        wait_for(lambda: self.sink.has(b'"strict"'), "it arrives")
        reply = node.post(b'"prompt"', "", {"Idempotency-Key": "k2"})
        self.assertEqual((reply.status, list(reply.json())), (202, ["id"]))

    def test_a_dead_letter_is_told_at_once(self):
        node = self.node({**published(publish_timeout="1m"),
                          **published("strict", publish_timeout="1m", on_publish_timeout="refuse")})
        self.sink.set(400)
        began = time.monotonic()
        self.assertEqual(node.post(b'"bad"').json().get("ack"), "journaled")
        reply = node.post(b'"worse"', "strict")
        self.assertEqual(reply.status, 503, reply)
        self.assertRegex(reply.json()["detail"], "dead letter")
        self.assertLess(time.monotonic() - began, 30)
        self.sink.set("answer")
        self.assertEqual(list(node.post(b'"good"').json()), ["id"])

    def test_every_sink_counts(self):
        with Sink() as second:
            node = self.node({**second.options("also"),
                              **published(sinks=["out", "also", "queue"], publish_timeout="500ms")})
            self.assertEqual(list(node.post(b'"both"').json()), ["id"])
            self.assertTrue(self.sink.has(b'"both"') and second.has(b'"both"'))
            second.set("hang")
            self.assertEqual(node.post(b'"one"').json()["ack"], "journaled")
            self.assertTrue(self.sink.has(b'"one"'))

    def test_others_do_not_wait(self):
        node = self.node({**published("strict", publish_timeout="1m"),
                          "streams.default.sinks": ["out", "queue"]})
        self.sink.set("hang")
        with node.client() as waiting:
            waiting.send(request_bytes("POST", "/v1/events/strict", b'"w"'))
            wait_for(lambda: node.metrics().get("penstock_publish_waits") == 1, "it waits")
            for _ in range(20):
                self.assertEqual(list(node.post(b'"j"').json()), ["id"])
            self.assertEqual(node.metrics().get("penstock_publish_waits"), 1)

    def test_a_drain_answers_what_is_true(self):
        node = self.node({**published(publish_timeout="10m"), "node.drain_timeout": "2s"})
        self.sink.set("hang")
        with node.client() as client:
            client.send(request_bytes("POST", "/v1/events", b'"d"'))
            wait_for(lambda: node.metrics().get("penstock_publish_waits") == 1, "it waits")
            node.signal(signal.SIGTERM)
            reply = client.read()
            self.assertEqual((reply.status, reply.json()["ack"]), (202, "journaled"))
        self.assertEqual(node.wait(), 0, node.log())
        self.sink.set("answer")
        node.start()
        wait_for(lambda: self.sink.has(b'"d"'), "it arrives after the restart")

    def test_a_reload_changes_it(self):
        node = self.node({"streams.default.sinks": ["out"]})
        self.sink.set("hang")
        self.assertEqual(list(node.post(b'"1"').json()), ["id"])
        node.configure(published(publish_timeout="50ms", on_publish_timeout="refuse"))
        node.signal(signal.SIGHUP)
        wait_for(lambda: node.post(b'"2"').status == 503, "published and strict")
        node.configure({"streams.default.on_publish_timeout": "accept"})
        node.signal(signal.SIGHUP)
        wait_for(lambda: node.post(b'"3"').json().get("ack") == "journaled", "published")
        node.configure({"streams.default.ack": "journaled"})
        node.signal(signal.SIGHUP)
        wait_for(lambda: list(node.post(b'"4"').json()) == ["id"], "journaled")

    def test_in_a_cluster_the_node_that_stores_waits(self):
        # About half of the keys belong to either node, so their events go to its sink.
        nodes = harness.cluster(2, {**self.sink.options("out"), **published(publish_timeout="3s")})
        for node in nodes:
            self.enterContext_(node)
        for node in nodes:
            wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") == 1, "a peer is up")
        tags = set()
        for n in range(12):
            reply = nodes[n % 2].post(b'"k%d"' % n, "", {"Idempotency-Key": f"k{n}"})
            self.assertEqual((reply.status, list(reply.json())), (202, ["id"]), reply)
            self.assertTrue(self.sink.has(b'"k%d"' % n))
            tags.add(reply.json()["id"][-8:])
            again = nodes[(n + 1) % 2].post(b'"k%d"' % n, "", {"Idempotency-Key": f"k{n}"})
            self.assertEqual(again.json(), {"id": reply.json()["id"], "ack": "journaled"})
        self.assertEqual(len(tags), 2)
        for node in nodes:
            node.configure({"streams.default.publish_timeout": "100ms"})
            node.signal(signal.SIGHUP)
        self.sink.set("hang")
        for n in range(12):
            numbers = iter(range(1000))
            reply = wait_for(lambda: self.late(nodes[n % 2], n, next(numbers)), "it is late")
            self.assertEqual(reply.status, 202, reply)

    def late(self, node, n, attempt):
        began = time.monotonic()
        reply = node.post(b'"l"', "", {"Idempotency-Key": f"l{n}-{attempt}"})
        return reply if reply.json().get("ack") == "journaled" \
            and time.monotonic() - began < 2 else None


if __name__ == "__main__":
    harness.main()
