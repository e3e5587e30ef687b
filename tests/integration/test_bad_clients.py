#!/usr/bin/env python3
"""Malformed requests and slow clients: each gets the right answer or a timely close, while a normal
client beside them sees no error and no delay, and the node's memory stays bounded."""

import random
import socket
import statistics
import threading
import time
import unittest

import harness
from harness import Client, Closed, Node, request_bytes, wait_for

MAX_BODY = 64 << 10
MAX_HEADER = 8 << 10
# What the timeouts below add up to, with room for a busy machine.
CLOSED_WITHIN_S = 15
POST = b"POST /v1/events HTTP/1.1\r\nHost: t\r\n"


def post(fields, body=b""):
    return POST + fields + b"\r\n" + body


def event(fields=b"", body=b"x", stream=b""):
    return (b"POST /v1/events" + stream + b" HTTP/1.1\r\nHost: t\r\n" + fields
            + b"Content-Length: %d\r\n\r\n" % len(body) + body)


JSON = b"Content-Type: application/json\r\n"
NDJSON = b"Content-Type: application/x-ndjson\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# name → (bytes, statuses that are right, whether the connection may go on)
MALFORMED = {
    "a method with bad characters": (b"P@ST( /v1/events HTTP/1.1\r\nHost: t\r\n\r\n", {400}, False),
    "an unknown method": (b"BREW /v1/events HTTP/1.1\r\nHost: t\r\n\r\n", {405, 501}, True),
    "a version that is none": (b"POST /v1/events HTTP/x.1\r\nHost: t\r\n\r\n", {400, 505}, False),
    "version 2.0": (b"POST /v1/events HTTP/2.0\r\nHost: t\r\nContent-Length: 0\r\n\r\n", {400, 505}, False),
    "no version": (b"GET /livez\r\n\r\n", {400, 505}, False),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60, {400}, False),
    "no Host": (b"POST /v1/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n", {400}, False),
    "two Hosts": (post(b"Host: u\r\nContent-Length: 0\r\n"), {400}, False),
    "two Content-Lengths that differ": (post(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xy"), {400}, False),
    "a list of Content-Lengths that differ": (post(b"Content-Length: 1, 2\r\n", b"xy"), {400}, False),
    "a negative Content-Length": (post(b"Content-Length: -1\r\n"), {400}, False),
    "a signed Content-Length": (post(b"Content-Length: +1\r\n", b"x"), {400}, False),
    "a Content-Length that is no number": (post(b"Content-Length: 1x\r\n", b"x"), {400}, False),
    "a Content-Length beyond 64 bits": (post(b"Content-Length: 99999999999999999999999\r\n"), {400, 413}, False),
    "a body over the limit by its length": (post(b"Content-Length: %d\r\n" % (MAX_BODY + 1)), {413}, False),
    "a body over the limit by its chunks": (
        post(CHUNKED, b"4000\r\n" + b"x" * 0x4000 + b"\r\n" + b"C001\r\n" + b"x" * 0xC001 + b"\r\n0\r\n\r\n"),
        {413}, False),
    "a length and chunks": (post(b"Content-Length: 3\r\n" + CHUNKED, b"0\r\n\r\n"), {400}, False),
    "chunks and a length": (post(CHUNKED + b"Content-Length: 3\r\n", b"0\r\n\r\n"), {400}, False),
    "a transfer coding that is not chunked": (post(b"Transfer-Encoding: gzip\r\n", b"x"), {400, 501}, False),
    "chunked that is not last": (post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), {400, 501}, False),
    "chunked twice": (post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), {400, 501}, False),
    "chunked in HTTP/1.0": (b"POST /v1/events HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", {400, 501}, False),
    "a chunk size that is no number": (post(CHUNKED, b"xyz\r\nabc\r\n0\r\n\r\n"), {400}, False),
    "a negative chunk size": (post(CHUNKED, b"-5\r\nabcde\r\n0\r\n\r\n"), {400}, False),
    "a chunk size beyond 64 bits": (post(CHUNKED, b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), {400, 413}, False),
    "a chunk longer than it says": (post(CHUNKED, b"3\r\nabcdef\r\n0\r\n\r\n"), {400}, False),
    "a line feed in a chunk's extension": (post(CHUNKED, b'5;a="\n"\r\nhello\r\n0\r\n\r\n'), {400}, False),
    "an escaped line feed there": (post(CHUNKED, b'5;a="\\\n"\r\nhello\r\n0\r\n\r\n'), {400}, False),
    "a NUL in a chunk's extension": (post(CHUNKED, b'5;a="\0"\r\nhello\r\n0\r\n\r\n'), {400}, False),
    "a line feed in the last chunk's extension": (post(CHUNKED, b'5\r\nhello\r\n0;a="\n"\r\n\r\n'), {400}, False),
    "a chunk's line that ends in LF": (post(CHUNKED, b"5\nhello\n0\n\n"), {400}, False),
    "a chunk's line that ends in CR": (post(CHUNKED, b"5\rhello\r\n0\r\n\r\n"), {400}, False),
    "an open quote in a chunk's extension": (post(CHUNKED, b'5;a="\r\nhello\r\n0\r\n\r\n'), {400}, False),
    "a space behind a chunk's size": (post(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n"), {400}, False),
    "a signed chunk size": (post(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n"), {400}, False),
    "a chunk size with a prefix": (post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"), {400}, False),
    "chunk data that ends in LF": (post(CHUNKED, b"5\r\nhello\n0\r\n\r\n"), {400}, False),
    "a folded trailer": (post(CHUNKED, b"1\r\na\r\n0\r\nX: a\r\n b\r\n\r\n"), {400}, False),
    "a length as a trailer": (post(CHUNKED, b"1\r\na\r\n0\r\nContent-Length: 1\r\n\r\n"), {400}, False),
    "the same Content-Length twice": (post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"), {400}, False),
    "a list of equal Content-Lengths": (post(b"Content-Length: 1, 1\r\n", b"x"), {400}, False),
    "a header without a colon": (post(b"Nonsense\r\nContent-Length: 0\r\n"), {400}, False),
    "an empty header name": (post(b": x\r\nContent-Length: 0\r\n"), {400}, False),
    "a space before the colon": (post(b"Content-Length : 1\r\n", b"x"), {400}, False),
    "a NUL in a header": (post(b"X-A: a\x00b\r\nContent-Length: 0\r\n"), {400}, False),
    "a control character in a header": (post(b"X-A: a\x07b\r\nContent-Length: 0\r\n"), {400}, False),
    "a lone CR in a header": (post(b"X-A: a\rX-B: b\r\nContent-Length: 0\r\n"), {400}, False),
    "a NUL in the target": (b"POST /v1/\x00events HTTP/1.1\r\nHost: t\r\n\r\n", {400}, False),
    "a space in the target": (b"POST /v1/ev ents HTTP/1.1\r\nHost: t\r\n\r\n", {400}, False),
    # RFC 9112, section 5.2, lets a server read the fold as a space instead.
    "a folded header": (post(b"X-A: one\r\n two\r\nContent-Length: 1\r\n", b"x"), {202, 400}, True),
    "lines that end in LF alone": (b"POST /v1/events HTTP/1.1\nHost: t\nContent-Length: 1\n\nx", {400}, False),
    "a header that is too long": (post(b"X-A: " + b"a" * MAX_HEADER + b"\r\n"), {431}, False),
    "a header that never ends": (POST + b"X-A: " + b"a" * (4 * MAX_HEADER), {431}, False),
    "too many headers": (post(b"".join(b"X-%d: y\r\n" % i for i in range(150))), {431}, False),
    "a request line that is too long": (b"POST /" + b"a" * (2 * MAX_HEADER) + b" HTTP/1.1\r\nHost: t\r\n\r\n", {414, 431}, False),
    "a bad stream name": (event(stream=b"/a%2Fb"), {400}, True),
    "a stream name that climbs": (event(stream=b"/../../etc/passwd"), {400, 404}, True),
    "JSON that is not UTF-8": (event(JSON, b'{"a":"\xff"}'), {400}, True),
    "truncated JSON": (event(JSON, b'{"a":[1,2'), {400}, True),
    "JSON nested too deep": (event(JSON, b"[" * 30000 + b"]" * 30000), {400}, True),
    "NDJSON without one good line": (event(NDJSON, b"{\n\x00\n\xff\n"), {400}, True),
    "an encoding nobody asked for": (event(b"Content-Encoding: br\r\n"), {415}, True),
    "an expectation that can't be met": (event(b"Expect: a miracle\r\n"), {202, 417}, True),
}

OPTIONS = {"http.max_body": MAX_BODY, "http.max_header": MAX_HEADER, "http.header_timeout": "1s",
           "http.body_timeout": "1s", "http.idle_timeout": "2s", "http.write_timeout": "1s",
           "http.max_pipeline": 32, "log.level": "debug"}


class Beside(threading.Thread):
    """The normal client: a request every few milliseconds, timed."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.over = node, threading.Event()
        self.latencies_ms, self.failures = [], []

    def run(self):
        client = self.node.client()
        while not self.over.is_set():
            began = time.monotonic()
            try:
                status = client.post(b"normal", "normal").status
                if status != 202:
                    self.failures.append(status)
            except (OSError, Closed) as failure:
                self.failures.append(repr(failure))
                client.close()
                client = self.node.client()
            self.latencies_ms.append((time.monotonic() - began) * 1000)
            self.over.wait(0.003)
        client.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def median_ms(self):
        return statistics.median(self.latencies_ms)


class BadClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node(OPTIONS)
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def setUp(self):
        """Each test runs beside a normal client; what it sees alone is measured first."""
        with Beside(self.node) as alone:
            wait_for(lambda: len(alone.latencies_ms) >= 100, "100 requests alone")
        self.alone_ms = alone.median_ms()
        self.rss_before = self.node.rss_bytes()
        self.beside = Beside(self.node)
        self.beside.__enter__()
        self.addCleanup(self.beside.__exit__)

    def check_beside(self):
        wait_for(lambda: len(self.beside.latencies_ms) >= 100, "100 requests beside the test")
        self.beside.__exit__()
        self.assertEqual(self.beside.failures, [])
        beside_ms, worst_ms = self.beside.median_ms(), max(self.beside.latencies_ms)
        rss_mib = self.node.rss_bytes() / (1 << 20)
        print(f"normal client: median {self.alone_ms:.2f} ms alone, {beside_ms:.2f} ms beside, worst "
              f"{worst_ms:.1f} ms of {len(self.beside.latencies_ms)}; node {rss_mib:.0f} MiB ",
              end="", flush=True)
        # Generous, for busy machines: a thread that waits for a bad client would show as a timeout.
        self.assertLess(beside_ms, 5 * self.alone_ms + 100)
        self.assertLess(self.node.rss_bytes() - self.rss_before, 64 << 20)
        self.assertIsNone(self.node.process.poll(), self.node.log()[-2000:])

    def check_malformed(self, data, statuses, goes_on):
        with self.node.client(timeout_s=CLOSED_WITHIN_S) as client:
            client.send(data)
            reply = client.read()
            self.assertIn(reply.status, statuses, reply)
            if reply.status >= 400:
                self.assertEqual(reply.headers["content-type"], "application/problem+json")
                document = reply.json()
                self.assertEqual(document["status"], reply.status)
                self.assertTrue(document["detail"])
            if goes_on and reply.headers.get("connection") != "close":
                self.assertEqual(client.post(b"next").status, 202)
            else:
                self.assertEqual(reply.headers.get("connection"), "close")
                client.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(client.read_to_end(CLOSED_WITHIN_S), b"", "one answer only")

    def test_malformed_requests(self):
        self.assertGreaterEqual(len(MALFORMED), 24)
        for name, (data, statuses, goes_on) in MALFORMED.items():
            with self.subTest(name):
                self.check_malformed(data, statuses, goes_on)
        self.check_beside()
        stored = {harness.body_of(m) for m in self.node.drain_queue("default")}
        self.assertLessEqual(stored, {b"next", b"x"}, "nothing of a malformed request is stored")

    def test_malformed_behind_a_good_one(self):
        """A refused request takes nothing of the one before it away, and nothing follows it."""
        good = request_bytes("POST", "/v1/events/before", b"good")
        with self.node.client() as client:
            client.send(good + post(b"Content-Length: 1, 2\r\n", b"xy") + good)
            self.assertEqual([client.read().status for _ in range(2)], [202, 400])
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.read_to_end(CLOSED_WITHIN_S), b"")
        self.assertEqual(len(self.node.drain_queue("before")), 1)
        self.check_beside()

    def test_a_body_that_ends_early(self):
        with self.node.client() as client:
            client.send(post(b"Content-Length: 10\r\n", b"half"))
            client.socket.shutdown(socket.SHUT_WR)
            self.assertIn(b" 400 ", client.read_to_end(CLOSED_WITHIN_S).split(b"\r\n")[0])
        self.check_beside()

    def test_nothing_but_noise(self):
        noise = random.Random(7)
        for _ in range(200):
            with self.node.client() as client:
                try:
                    client.send(noise.randbytes(noise.randrange(1, 3000)))
                    client.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    continue  # it was told so already
                answer = client.read_to_end(CLOSED_WITHIN_S)
                self.assertRegex(answer, rb"^(HTTP/1.1 4\d\d |$)")
        self.check_beside()

    # -- slow clients ------------------------------------------------------------------------------

    def test_slowloris(self):
        """Many connections that send a header field now and then, and never the end."""
        clients = [self.node.client() for _ in range(100)]
        began = time.monotonic()
        answers = {}
        for client in clients:
            client.send(POST)
            client.socket.setblocking(False)
        while len(answers) < len(clients):
            self.assertLess(time.monotonic() - began, CLOSED_WITHIN_S, f"{len(answers)} closed")
            for i, client in enumerate(clients):
                if i in answers:
                    continue
                try:
                    client.socket.send(b"X-%d: y\r\n" % i)
                    answers[i] = client.socket.recv(4096)
                except BlockingIOError:
                    pass
                except OSError:
                    answers[i] = b""
            time.sleep(0.2)
        for client in clients:
            client.close()
        told = sum(b" 408 " in answer for answer in answers.values())
        self.assertGreater(told, 90, "they are told 408")
        self.assertGreaterEqual(self.node.metrics().get("penstock_http_timeouts_total",
                                                        kind="header"), 90)
        self.check_beside()

    def test_trickled_body(self):
        with self.node.client() as client:
            client.send(post(b"Content-Length: 1000\r\n"))
            began = time.monotonic()
            client.socket.settimeout(0.1)
            answer = b""
            while not answer:
                self.assertLess(time.monotonic() - began, CLOSED_WITHIN_S)
                try:
                    client.send(b"x")
                    answer = client.socket.recv(4096)
                except socket.timeout:
                    pass
            self.assertIn(b" 408 ", answer)
            client.read_to_end(CLOSED_WITHIN_S)
        self.check_beside()

    def test_trickled_body_beyond_what_it_said(self):
        """Connections that hold half a body each: bounded by the timeout and by max_in_flight."""
        clients = [self.node.client() for _ in range(50)]
        for client in clients:
            client.send(post(b"Content-Length: %d\r\n" % MAX_BODY, b"x" * (MAX_BODY // 2)))
        for client in clients:
            self.assertIn(b" 408 ", client.read_to_end(CLOSED_WITHIN_S))
            client.close()
        self.check_beside()

    def test_never_reading(self):
        """Pipelines without end and reads nothing: it is read no further, then cut off."""
        client = Client(self.node.http_port, receive_buffer=2048)
        client.socket.settimeout(1)
        block = request_bytes("GET", "/v1/nothing-here") * 500
        began = time.monotonic()
        sent = 0
        closed = False
        while not closed:
            self.assertLess(time.monotonic() - began, CLOSED_WITHIN_S, f"{sent} bytes taken")
            try:
                sent += client.socket.send(block)
            except socket.timeout:
                pass
            except OSError:
                closed = True
        self.assertLess(sent, 64 << 20, "the node stops reading what it can't answer")
        client.close()
        self.assertGreaterEqual(self.node.metrics().get("penstock_http_timeouts_total",
                                                        kind="write"), 1)
        self.check_beside()

    def test_half_closed(self):
        """A client that shuts its side before, in the middle of, or after a request."""
        for data, answered in ((b"", b""), (b"POST /v1/ev", b" 400 "),
                               (post(b"Content-Length: 5\r\n", b"x"), b" 400 "),
                               (request_bytes("POST", "/v1/events/half", b"x"), b" 202 ")):
            with self.subTest(data), self.node.client() as client:
                client.send(data)
                client.socket.shutdown(socket.SHUT_WR)
                first_line = client.read_to_end(CLOSED_WITHIN_S).split(b"\r\n")[0]
                self.assertIn(answered, first_line)
        self.check_beside()

    def test_silent(self):
        """Connects and says nothing."""
        clients = [self.node.client() for _ in range(20)]
        for client in clients:
            client.read_to_end(CLOSED_WITHIN_S)
            client.close()
        self.check_beside()


class TooManyConnections(unittest.TestCase):
    def test_the_last_is_told_and_room_comes_back(self):
        with Node({"http.max_connections": 20, "http.idle_timeout": "60s",
                   "http.header_timeout": "60s"}) as node:
            held = []
            for _ in range(20):
                client = node.client()
                held.append(client)
            wait_for(lambda: node.metrics().get("penstock_http_connections") >= 20, "20 are open")
            with node.client() as late:
                reply = late.read()
                self.assertEqual(reply.status, 503, reply)
                self.assertEqual(reply.headers["content-type"], "application/problem+json")
                self.assertIn("retry-after", reply.headers)
                self.assertEqual(reply.json()["status"], 503)
                late.read_to_end()
            for client in held[:5]:
                client.close()
            wait_for(node.is_ready, "there is room again")
            self.assertEqual(held[-1].post(b"x").status, 202)
            for client in held:
                client.close()


if __name__ == "__main__":
    harness.main()
