#!/usr/bin/env python3
"""The embedded queue: receive, acknowledge, give back, leases, reading again, `penstock consume`."""

import datetime
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import Node, body_of, wait_for

NDJSON = {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}


class Queue(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({"journal.segment_size": "256KiB", "journal.retention": "1h",
                         "queue.max_in_flight": 1000})
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def setUp(self):
        self.stream = self.id().rsplit(".", 1)[1]

    def send(self, count, stream=None):
        reply = self.node.post(b"\n".join(b'{"n":%d}' % n for n in range(count)),
                               stream or self.stream, NDJSON)
        self.assertEqual(reply.status, 202, reply)
        return reply.json()["ids"]

    def ids(self, messages):
        return [m["id"] for m in messages]

    def consume(self, *arguments, stream=None, wait_s=20):
        return subprocess.run([harness.binary, "consume", stream or self.stream, "--admin",
                               f"http://127.0.0.1:{self.node.admin_port}", *arguments],
                              capture_output=True, timeout=wait_s, check=False)

    # -- receive, ack, nack --------------------------------------------------------------------------

    def test_in_order_and_once(self):
        ids = self.send(25)
        got = []
        for most, expected in ((10, 10), (10, 10), (10, 5), (10, 0)):
            messages = self.node.receive(self.stream, most)
            self.assertEqual(len(messages), expected)
            got += messages
        self.assertEqual(self.ids(got), ids)
        self.assertEqual([body_of(m) for m in got], [b'{"n":%d}' % n for n in range(25)])
        state = self.node.depth(self.stream)
        self.assertEqual((state["depth"], state["in_flight"]), (25, 25), state)
        self.node.settle(self.stream, got[:20])
        state = self.node.depth(self.stream)
        self.assertEqual((state["depth"], state["in_flight"]), (5, 5), state)
        self.node.settle(self.stream, got[20:])
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)
        self.assertEqual(self.node.receive(self.stream), [])

    def test_what_a_message_says(self):
        before = datetime.datetime.now(datetime.timezone.utc)
        event_id = self.node.post("grüße", self.stream, {"Content-Type": "text/x-own"}).json()["id"]
        message, = self.node.receive(self.stream)
        self.assertEqual(message["id"], event_id)
        self.assertEqual(message["content_type"], "text/x-own")
        self.assertEqual(message["data"], "grüße")
        self.assertIsInstance(message["receipt"], str)
        when = datetime.datetime.fromisoformat(message["time"].replace("Z", "+00:00"))
        self.assertLess(abs((when - before).total_seconds()), 60)

    def test_given_back(self):
        ids = self.send(5)
        messages = self.node.receive(self.stream)
        self.node.settle(self.stream, messages[1:3], "nack")
        again = self.node.receive(self.stream)
        self.assertEqual(self.ids(again), ids[1:3])
        self.assertNotEqual(again[0]["receipt"], messages[1]["receipt"])
        self.node.settle(self.stream, messages)  # those given back are stale by now
        self.assertEqual(self.node.depth(self.stream)["depth"], 2)
        self.node.settle(self.stream, again)
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)

    def test_a_lease_expires(self):
        ids = self.send(3)
        first = self.node.receive(self.stream, lease_s=1)
        self.assertEqual(self.ids(first), ids)
        self.assertEqual(self.node.receive(self.stream), [])
        again = wait_for(lambda: self.node.receive(self.stream, wait_s=1), "the lease expires", 10)
        self.assertEqual(self.ids(again), ids)
        self.node.settle(self.stream, first)  # too late: they are someone else's
        self.assertEqual(self.node.depth(self.stream)["depth"], 3)
        self.node.settle(self.stream, again)
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)
        self.assertGreaterEqual(self.node.metrics().get("penstock_queue_redelivered_total"), 3)

    def test_acknowledged_out_of_order(self):
        ids = self.send(50)
        messages = self.node.receive(self.stream)
        self.node.settle(self.stream, messages[1::2])
        self.node.settle(self.stream, messages[0::2], "nack")
        self.assertEqual(self.ids(self.node.drain_queue(self.stream)), ids[0::2])

    def test_waiting_for_a_message(self):
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.node.receive(self.stream, wait_s=10)))
        waiter.start()
        wait_for(lambda: self.node.metrics().get("penstock_queue_waiters") >= 1, "it waits")
        ids = self.send(1)
        waiter.join(10)
        self.assertEqual(self.ids(got[0]), ids)

    def test_waiting_in_vain(self):
        began = time.monotonic()
        self.assertEqual(self.node.receive(self.stream, wait_s=1), [])
        self.assertGreaterEqual(time.monotonic() - began, 0.9)

    def test_streams_are_apart(self):
        self.send(2, self.stream + "-a")
        ids = self.send(2, self.stream + "-b")
        self.assertEqual(self.ids(self.node.drain_queue(self.stream + "-b")), ids)
        self.assertEqual(self.node.depth(self.stream + "-a")["depth"], 2)

    def test_no_more_in_flight_than_set(self):
        self.send(1200)
        held = []
        while messages := self.node.receive(self.stream, 300):
            held += messages
        self.assertEqual(len(held), 1000)
        self.node.settle(self.stream, held)
        self.assertEqual(len(self.node.drain_queue(self.stream)), 200)

    def test_bytes_are_unchanged(self):
        bodies = [bytes(range(256)), b"\xff\xfe", b"\xc3", b"", b"\x00", b'quote " back \\ slash /',
                  b"\r\n\t\x01\x7f", "\u2028 \U0001f600 é".encode(), b"\xed\xa0\x80", os.urandom(50_000),
                  b"x" * 70_000]
        with self.node.client() as client:
            for body in bodies:
                self.assertEqual(client.post(body, self.stream).status, 202)
        messages = self.node.receive(self.stream)
        self.assertEqual([body_of(m) for m in messages], bodies)
        for message, body in zip(messages, bodies):
            try:
                body.decode()
                self.assertIn("data", message, body[:20])
                self.assertNotIn("data_base64", message)
            except UnicodeDecodeError:
                self.assertIn("data_base64", message, body[:20])
                self.assertNotIn("data", message)

    def test_a_reader_that_lags_reads_the_disk(self):
        """More than the queue keeps in memory, over several segments."""
        ids = []
        for _ in range(30):
            lines = b"\n".join(b'"%s"' % os.urandom(400).hex().encode() for _ in range(100))
            ids += self.node.post(lines, self.stream, NDJSON).json()["ids"]
        self.assertGreater(len(list((self.node.data_dir).rglob("*.db"))), 3)
        self.assertEqual(self.ids(self.node.drain_queue(self.stream)), ids)

    def test_bad_requests(self):
        base = f"/v1/queue/{self.stream}"
        def post(path, text):
            return harness.once(self.node.admin_port, "POST", path, text,
                                {"Content-Type": "application/json"})
        for path, text in ((f"{base}/receive", "{"), (f"{base}/receive", '{"max":-1}'),
                           (f"{base}/receive", '{"max":"many"}'), (f"{base}/receive", "[]"),
                           (f"{base}/ack", "{}"), (f"{base}/ack", '{"receipts":"all"}'),
                           (f"{base}/ack", '{"receipts":["nonsense"]}'),
                           (f"{base}/receive?from=nonsense", "{}"),
                           ("/v1/queue/bad%20name/receive", "{}")):
            with self.subTest(path + text):
                reply = post(path, text)
                self.assertEqual(reply.status, 400, reply)
                self.assertEqual(reply.headers["content-type"], "application/problem+json")
        for method, path in (("GET", f"{base}/receive"), ("DELETE", base)):
            reply = self.node.admin(method, path)
            self.assertEqual(reply.status, 405, reply)
            self.assertIn("allow", reply.headers)

    # -- reading again -------------------------------------------------------------------------------

    def test_from_an_id(self):
        ids = self.send(20)
        self.node.drain_queue(self.stream)
        again = self.node.receive(self.stream, query=f"?from={ids[7]}")
        self.assertEqual(self.ids(again), ids[7:])
        self.assertEqual([body_of(m) for m in again], [b'{"n":%d}' % n for n in range(7, 20)])
        # Reading again moves nothing.
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)
        self.assertEqual(self.node.receive(self.stream), [])

    def test_from_a_time(self):
        self.send(3)
        time.sleep(0.05)  # so that the clock's milliseconds differ
        between = datetime.datetime.now(datetime.timezone.utc)
        time.sleep(0.05)
        ids = self.send(4)
        for text in (between.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                     between.isoformat(timespec="milliseconds").replace("+", "%2B")):
            again = self.node.receive(self.stream, query=f"?from={text}")
            self.assertEqual(self.ids(again), ids, text)

    # -- penstock consume ----------------------------------------------------------------------------

    def test_consume_prints_json_lines(self):
        ids = self.send(7)
        self.node.post(b"\xff\x00", self.stream)
        done = self.consume("--no-follow")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(self.ids(lines)[:7], ids)
        self.assertEqual(body_of(lines[7]), b"\xff\x00")
        self.assertNotIn("receipt", lines[0])
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)

    def test_consume_max(self):
        ids = self.send(10)
        done = self.consume("--max", "4")
        self.assertEqual(self.ids(map(json.loads, done.stdout.splitlines())), ids[:4])
        self.assertEqual(self.ids(self.node.drain_queue(self.stream)), ids[4:])

    def test_consume_from(self):
        ids = self.send(10)
        self.node.drain_queue(self.stream)
        done = self.consume("--from", ids[6])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.ids(map(json.loads, done.stdout.splitlines())), ids[6:])

    def test_consume_exec(self):
        with tempfile.TemporaryDirectory() as folder:
            bodies = [b"one\n", b"\x00\xff", b"three"]
            ids = [self.node.post(b, self.stream, {"Content-Type": "text/x"}).json()["id"]
                   for b in bodies]
            done = self.consume("--no-follow", "--exec",
                                f'cat > "{folder}/$PENSTOCK_ID"; '
                                f'echo "$PENSTOCK_STREAM $PENSTOCK_CONTENT_TYPE" >> {folder}/told')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([pathlib.Path(folder, i).read_bytes() for i in ids], bodies)
            self.assertEqual(pathlib.Path(folder, "told").read_text().splitlines(),
                             [f"{self.stream} text/x"] * 3)
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)

    def test_consume_exec_that_fails_gives_back(self):
        ids = self.send(3)
        with tempfile.TemporaryDirectory() as folder:
            # Fails the first time for each message.
            done = self.consume("--max", "3", "--exec",
                                f'echo $PENSTOCK_ID >> {folder}/runs; '
                                f'mkdir {folder}/$PENSTOCK_ID.seen 2>/dev/null && exit 3; exit 0')
            self.assertEqual(done.returncode, 0, done.stderr)
            runs = pathlib.Path(folder, "runs").read_text().split()
        self.assertIn(b"ended with 3", done.stderr)
        self.assertEqual(sorted(runs), sorted(ids * 2))
        self.assertEqual(self.node.depth(self.stream)["depth"], 0)

    def test_consume_follows_until_a_signal(self):
        process = subprocess.Popen([harness.binary, "consume", self.stream, "--admin",
                                    f"http://127.0.0.1:{self.node.admin_port}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            ids = self.send(2)
            self.assertEqual([json.loads(process.stdout.readline())["id"] for _ in ids], ids)
            wait_for(lambda: self.node.depth(self.stream)["depth"] == 0, "they are acknowledged")
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=15)
            self.assertEqual(process.returncode, 0, stderr)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def test_consume_without_a_node(self):
        done = subprocess.run([harness.binary, "consume", "s", "--admin",
                               f"http://127.0.0.1:{harness.free_port()}", "--no-follow"],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertEqual(done.stdout, b"")
        self.assertTrue(done.stderr)


class Token(unittest.TestCase):
    def test_the_admin_plane_asks_for_it(self):
        with Node({"admin.token": "a-token-of-this-test"}) as node:
            node.post(b"x")
            json_type = {"Content-Type": "application/json"}
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                reply = harness.once(node.admin_port, "POST", "/v1/queue/default/receive", b"{}",
                                     headers)
                self.assertEqual(reply.status, 401, reply)
            reply = harness.once(node.admin_port, "POST", "/v1/queue/default/receive", b"{}",
                                 {"Authorization": "Bearer a-token-of-this-test", **json_type})
            self.assertEqual(reply.status, 200, reply)
            command = [harness.binary, "consume", "default", "--no-follow", "--admin",
                       f"http://127.0.0.1:{node.admin_port}"]
            refused = subprocess.run(command, capture_output=True, timeout=30, check=False)
            self.assertEqual(refused.returncode, 78, refused.stderr)


if __name__ == "__main__":
    harness.main()
