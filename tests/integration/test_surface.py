#!/usr/bin/env python3
"""The ingest plane as its clients see it: answers, headers, errors, identity, connections."""

import re
import socket
import time
import unittest

import harness
from harness import Node, request_bytes

ID = re.compile(r"^[A-Za-z0-9_.~-]{1,64}$")
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def rate_limit(reply):
    """(name, remaining, seconds) of RateLimit."""
    match = re.fullmatch(r'"([^"]+)";r=(\d+);t=(\d+)', reply.headers["ratelimit"])
    assert match, reply
    return match.group(1), int(match.group(2)), int(match.group(3))


class Surface(unittest.TestCase):
    """One node for the class; subclasses set `options`."""

    options = {}
    http_host = "127.0.0.1"

    @classmethod
    def setUpClass(cls):
        cls.node = Node(cls.options, http_host=cls.http_host)
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def assert_problem(self, reply, status, hint=None):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json", reply)
        document = reply.json()
        for member in ("type", "title", "status", "detail"):
            self.assertIn(member, document)
        self.assertEqual(document["status"], status)
        self.assertTrue(document["title"] and document["detail"])
        if hint:
            self.assertRegex(document["detail"], hint)
        return document

    def assert_accepted(self, reply):
        self.assertEqual(reply.status, 202, reply)
        self.assertEqual(reply.headers["content-type"], "application/json")
        self.assertIn("date", reply.headers)
        document = reply.json()
        self.assertEqual(set(document), {"id"})
        self.assertRegex(document["id"], ID)
        return document["id"]


class Events(Surface):
    options = {"http.max_body": "64KiB", "http.max_header": "8KiB", "http.max_batch_events": 500,
               "streams.small.max_body": "100B"}

    def test_one_event_of_any_type(self):
        with self.node.client() as client:
            for body, headers in ((b"plain", {"Content-Type": "text/plain"}), (b"{}", JSON),
                                  (b"\x00\xff\r\n\r\n", {}), (b"", {"Content-Type": "text/plain"}),
                                  (b'"text"', {"Content-Type": "application/json; charset=utf-8"}),
                                  (b"[1,2]", {"Content-Type": "application/vnd.some+json"})):
                self.assert_accepted(client.post(body, headers=headers))
            self.assert_accepted(client.post(b"x", stream="Some.stream_name-1"))
            self.assert_accepted(client.request("POST", "/v1/events?source=test", b"x"))

    def test_ids_are_unique_and_sorted(self):
        ids = []
        with self.node.client() as client:
            for i in range(100):
                ids.append(self.assert_accepted(client.post(b"%d" % i, stream=f"s{i % 3}")))
        self.assertEqual(ids, sorted(set(ids)))

    def test_events_without_a_limit_have_no_rate_limit_header(self):
        self.assertNotIn("ratelimit", self.node.post(b"x").headers)

    def test_a_batch(self):
        lines = b"".join(b'{"n":%d}\n' % n for n in range(50))
        reply = self.node.post(lines, "batches", NDJSON)
        self.assertEqual(reply.status, 202, reply)
        summary = reply.json()
        self.assertEqual((summary["accepted"], summary["rejected"], summary["errors"]), (50, 0, []))
        self.assertNotIn("ids", summary)
        self.assertLess(summary["first_id"], summary["last_id"])
        # Blank lines, CRLF and a last line without its end are all as NDJSON readers take them.
        odd = self.node.post(b'{"a":1}\r\n\r\n\n"b"\n3', "batches", NDJSON).json()
        self.assertEqual((odd["accepted"], odd["rejected"]), (3, 0))
        self.assertLess(summary["last_id"], odd["first_id"])
        stored = self.node.drain_queue("batches")
        self.assertEqual([harness.body_of(m) for m in stored],
                         lines.split() + [b'{"a":1}', b'"b"', b"3"])
        self.assertEqual([stored[0]["id"], stored[49]["id"]],
                         [summary["first_id"], summary["last_id"]])

    def test_a_batch_with_bad_lines(self):
        reply = self.node.post(b'{"n":0}\nnonsense\n{"n":2}\n{"n":\n', "partial",
                               {**NDJSON, "Prefer": "return=representation"})
        self.assertEqual(reply.status, 202, reply)
        summary = reply.json()
        self.assertEqual((summary["accepted"], summary["rejected"]), (2, 2))
        self.assertEqual([e["index"] for e in summary["errors"]], [1, 3])
        for error in summary["errors"]:
            self.assertEqual(error["status"], 400)
            self.assertTrue(error["title"] and error["detail"])
        ids = summary["ids"]
        self.assertEqual([ids[0], ids[2]], [summary["first_id"], summary["last_id"]])
        self.assertEqual([ids[1], ids[3]], [None, None])
        self.assertEqual([(m["id"], harness.body_of(m)) for m in self.node.drain_queue("partial")],
                         [(ids[0], b'{"n":0}'), (ids[2], b'{"n":2}')])

    def test_a_batch_of_which_nothing_is_good(self):
        document = self.assert_problem(self.node.post(b"bad\n{worse\n", "", NDJSON), 400)
        self.assertEqual(document["rejected"], 2)
        self.assertEqual([e["index"] for e in document["errors"]], [0, 1])
        self.assert_problem(self.node.post(b"\n\n", "", NDJSON), 400)
        self.assert_problem(self.node.post(b"", "", NDJSON), 400)
        self.assert_problem(self.node.post(b"1\n" * 501, "too-many", NDJSON), 413, "500")
        self.assertEqual(self.node.drain_queue("too-many"), [])

    def test_bad_json(self):
        for body in (b"", b"{", b'{"a":1,}', b"\xff\xfe", b'{"a":1} x', b"nul"):
            self.assert_problem(self.node.post(body, "bad", JSON), 400)
        self.assertEqual(self.node.drain_queue("bad"), [])

    def test_not_here(self):
        for target in ("/", "/v1", "/v1/eventsX", "/v2/events", "/metrics", "/v1/admin/status"):
            self.assert_problem(self.node.request("POST", target, b"x"), 404)
        self.assert_problem(self.node.request("GET", "/favicon.ico"), 404)

    def test_wrong_method(self):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            reply = self.node.request(method, "/v1/events/s")
            self.assert_problem(reply, 405)
            self.assertEqual(reply.headers["allow"], "POST")
        reply = self.node.request("POST", "/livez", b"x")
        self.assert_problem(reply, 405)
        self.assertEqual(reply.headers["allow"], "GET, HEAD")

    def test_too_large(self):
        self.assertEqual(self.node.post(b"x" * (64 << 10)).status, 202)
        self.assert_problem(self.node.post(b"x" * ((64 << 10) + 1)), 413)
        self.assertEqual(self.node.post(b"x" * 100, "small").status, 202)
        self.assert_problem(self.node.post(b"x" * 101, "small"), 413, "small.*100")

    def test_unsupported_media(self):
        self.assert_problem(self.node.post(b"x", headers={"Content-Encoding": "gzip"}), 415, "gzip")
        self.assertEqual(self.node.post(b"x", headers={"Content-Encoding": "identity"}).status, 202)

    def test_header_too_large(self):
        self.assert_problem(self.node.post(b"x", headers={"X-Long": "y" * (9 << 10)}), 431)

    def test_bad_stream_names(self):
        for stream in ("a%20b", "a/b", "ä", "x" * 65, "a~b"):
            self.assert_problem(self.node.post(b"x", stream), 400, "name")
        self.assert_problem(self.node.request("POST", "/v1/events/", b"x"), 400, "name")

    def test_trace_context_travels(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.node.post(b"x", "traced", {"traceparent": parent, "tracestate": "vendor=1"})
        self.node.post(b"x", "traced", {"traceparent": "nonsense"})
        traced, plain = self.node.drain_queue("traced")
        self.assertEqual(traced["attributes"], {"traceparent": parent, "tracestate": "vendor=1"})
        self.assertNotIn("traceparent", plain.get("attributes", {}))

    def test_health(self):
        for target in ("/livez", "/readyz"):
            reply = self.node.request("GET", target)
            self.assertEqual((reply.status, reply.body), (200, b"ok\n"))
            verbose = self.node.request("GET", target + "?verbose")
            self.assertEqual(verbose.status, 200)
            self.assertGreater(len(verbose.body), len(reply.body))
            head = self.node.request("HEAD", target)
            self.assertEqual((head.status, head.body), (200, b""))


class Connections(Surface):
    options = {"http.max_pipeline": 8}

    def test_pipelining_in_order(self):
        with self.node.client() as client:
            requests = b"".join(request_bytes("POST", "/v1/events/p", b"%d" % i)
                                if i % 3 else request_bytes("GET", f"/nothing/{i}")
                                for i in range(60))
            client.send(requests)
            replies = [client.read() for _ in range(60)]
        self.assertEqual([r.status for r in replies], [202 if i % 3 else 404 for i in range(60)])
        ids = [r.json()["id"] for r in replies if r.status == 202]
        self.assertEqual(ids, sorted(set(ids)))
        stored = {m["id"]: harness.body_of(m) for m in self.node.drain_queue("p")}
        sent = [b"%d" % i for i in range(60) if i % 3]
        self.assertEqual([stored[i] for i in ids], sent)

    def test_bytes_one_at_a_time(self):
        with self.node.client() as client:
            for byte in request_bytes("POST", "/v1/events/slow", b"hello"):
                client.send(bytes([byte]))
            self.assert_accepted(client.read())
            self.assert_accepted(client.post(b"again", "slow"))

    def test_http_1_0(self):
        with self.node.client() as client:
            client.send(b"POST /v1/events HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
            reply = client.read()
            self.assert_accepted(reply)
            self.assertEqual(reply.headers["connection"], "close")
            self.assertEqual(client.read_to_end(), b"")
        with self.node.client() as client:
            for _ in range(2):
                reply = client.post(b"x", version="HTTP/1.0", headers={"Connection": "keep-alive"})
                self.assert_accepted(reply)
                self.assertEqual(reply.headers["connection"], "keep-alive")

    def test_connection_close(self):
        with self.node.client() as client:
            reply = client.post(b"x", headers={"Connection": "close"})
            self.assert_accepted(reply)
            self.assertEqual(reply.headers["connection"], "close")
            self.assertEqual(client.read_to_end(), b"")

    def test_expect_100_continue(self):
        with self.node.client() as client:
            client.send(b"POST /v1/events/e HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                        b"Content-Length: 5\r\n\r\n")
            self.assertEqual(client.read().status, 100)
            client.send(b"hello")
            self.assert_accepted(client.read())
            # A client may send its body without waiting.
            client.send(request_bytes("POST", "/v1/events/e", b"world", {"Expect": "100-continue"}))
            reply = client.read()
            self.assert_accepted(client.read() if reply.status == 100 else reply)
        self.assertEqual([harness.body_of(m) for m in self.node.drain_queue("e")],
                         [b"hello", b"world"])

    def test_chunked(self):
        with self.node.client() as client:
            client.send(b"POST /v1/events/c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"5\r\nhello\r\n1;ext=\"v\"\r\n \r\n")
            client.send(b"A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
            self.assert_accepted(client.read())
            self.assert_accepted(client.post(b"next", "c"))
        self.assertEqual([harness.body_of(m) for m in self.node.drain_queue("c")],
                         [b"hello 0123456789", b"next"])

    def test_half_closed_gets_its_answers(self):
        with self.node.client() as client:
            client.send(request_bytes("POST", "/v1/events", b"1") * 3)
            client.socket.shutdown(socket.SHUT_WR)
            for _ in range(3):
                self.assert_accepted(client.read())
            self.assertEqual(client.read_to_end(), b"")

    def test_an_absolute_target(self):
        with self.node.client() as client:
            reply = client.request("POST", "http://test/v1/events", b"x")
            self.assert_accepted(reply)


class FixedWindow(Surface):
    options = {"identity.order": ["header:X-Client", "ip"],
               "plans.anonymous.limits": [{"name": "hourly", "algorithm": "fixed_window",
                                           "amount": 10, "window": "1h"}]}

    def test_headers_count_down_exactly(self):
        with self.node.client() as client:
            before = 3600
            for i in range(10):
                reply = client.post(b"x", headers={"X-Client": "a"})
                self.assertEqual(reply.status, 202)
                self.assertEqual(reply.headers["ratelimit-policy"], '"hourly";q=10;w=3600')
                name, left, reset = rate_limit(reply)
                self.assertEqual((name, left), ("hourly", 9 - i))
                self.assertTrue(3590 <= reset <= before, reset)
                before = reset
            for _ in range(3):
                reply = client.post(b"x", headers={"X-Client": "a"})
                document = self.assert_problem(reply, 429)
                self.assertEqual(document["type"], QUOTA)
                self.assertEqual(document["violated-policies"], ["hourly"])
                name, left, reset = rate_limit(reply)
                self.assertEqual((name, left), ("hourly", 0))
                self.assertGreaterEqual(int(reply.headers["retry-after"]), reset)
            # Another client is another window.
            self.assertEqual(rate_limit(client.post(b"x", headers={"X-Client": "b"}))[1], 9)

    def test_a_batch_is_granted_in_part(self):
        lines = b"".join(b"%d\n" % n for n in range(13))
        reply = self.node.post(lines, "granted", {**NDJSON, "X-Client": "batch",
                                                  "Prefer": "return=representation"})
        self.assertEqual(reply.status, 202, reply)
        summary = reply.json()
        self.assertEqual((summary["accepted"], summary["rejected"]), (10, 3))
        self.assertEqual([(e["index"], e["status"]) for e in summary["errors"]],
                         [(10, 429), (11, 429), (12, 429)])
        self.assertEqual(summary["ids"][10:], [None] * 3)
        self.assertEqual(rate_limit(reply)[1], 0)
        reply = self.node.post(b"1\n2\n", "granted", {**NDJSON, "X-Client": "batch"})
        self.assert_problem(reply, 429)
        self.assertGreaterEqual(int(reply.headers["retry-after"]), rate_limit(reply)[2])
        self.assertEqual([harness.body_of(m) for m in self.node.drain_queue("granted")],
                         lines.split()[:10])

    def test_errors_cost_nothing_and_tell_the_state(self):
        headers = {**JSON, "X-Client": "wrong"}
        for _ in range(3):
            reply = self.node.post(b"{", headers=headers)
            self.assert_problem(reply, 400)
            self.assertEqual(rate_limit(reply)[1], 10)
        self.assertEqual(rate_limit(self.node.post(b"{}", headers=headers))[1], 9)

    def test_health_is_never_limited(self):
        for _ in range(30):
            self.assertEqual(self.node.request("GET", "/livez").status, 200)


class Gcra(Surface):
    options = {"identity.order": ["header:X-Client", "ip"],
               "plans.anonymous.limits": [
                   {"name": "burst", "algorithm": "gcra", "amount": 1, "window": "1s", "burst": 3},
                   {"name": "total", "algorithm": "fixed_window", "amount": 5, "window": "1h"}]}

    def test_retry_after_is_never_too_early(self):
        with self.node.client() as client:
            statuses = [client.post(b"x", headers={"X-Client": "a"}).status for _ in range(3)]
            self.assertEqual(statuses, [202] * 3)
            reply = client.post(b"x", headers={"X-Client": "a"})
            asked = time.monotonic()
            document = self.assert_problem(reply, 429)
            self.assertEqual(document["violated-policies"], ["burst"])
            wait = int(reply.headers["retry-after"])
            self.assertGreaterEqual(wait, rate_limit(reply)[2])
            self.assertIn('"burst";q=1;w=1', reply.headers["ratelimit-policy"])
            self.assertIn('"total";q=5;w=3600', reply.headers["ratelimit-policy"])
            harness.wait_for(lambda: time.monotonic() >= asked + wait, "the time to come back", wait + 5)
            self.assertEqual(client.post(b"x", headers={"X-Client": "a"}).status, 202)

    def test_the_limit_that_refuses_is_named(self):
        def send():
            reply = self.node.post(b"x", headers={"X-Client": "b"})
            return reply if reply.status == 429 and rate_limit(reply)[0] == "total" else None
        reply = harness.wait_for(send, "the hourly limit refuses", 30, pause_s=0.3)
        self.assertEqual(reply.json()["violated-policies"], ["total"])
        self.assertGreater(int(reply.headers["retry-after"]), 3000)


class Identity(Surface):
    """A limit of 3 that lasts tells clients apart: what remains is the client's own."""

    options = {"identity.order": ["bearer", "x-api-key", "query", "header:X-Client", "cookie:sid",
                                  "referer", "ip"],
               "http.trusted_proxies": ["127.0.0.1/32", "10.0.0.0/8", "2001:db8:ffff::/48"],
               "plans.anonymous.limits": [{"name": "few", "algorithm": "fixed_window",
                                           "amount": 1000, "window": "1h"}]}

    def remaining(self, headers):
        reply = self.node.post(b"x", headers=headers)
        self.assertEqual(reply.status, 202, reply)
        return rate_limit(reply)[1]

    def assert_same_client(self, first, *others):
        left = self.remaining(first)
        for other in others:
            left -= 1
            self.assertEqual(self.remaining(other), left, other)

    def assert_new_client(self, headers):
        self.assertEqual(self.remaining(headers), 999, headers)

    def test_a_header_beats_a_cookie_beats_a_referer_beats_an_address(self):
        self.assert_new_client({"X-Client": "one"})
        self.assert_same_client({"X-Client": "one"}, {"x-client": "one", "Cookie": "sid=z"})
        self.assert_new_client({"Cookie": "a=b; sid=s1"})
        self.assert_same_client({"Cookie": "sid=s1"}, {"Cookie": "x=1; sid=s1; y=2"},
                                {"Cookie": "sid=s1", "Referer": "https://r.example/"})
        self.assert_new_client({"Cookie": "sid=s2"})
        self.assert_new_client({"Referer": "https://r.example/page"})
        self.assert_same_client({"Referer": "https://r.example/page"},
                                {"Referer": "https://r.example/other?q=1"})
        self.assert_same_client({}, {"Cookie": "other=1"}, {"X-Client": ""})

    def test_what_sources_share_bytes_are_not_one_client(self):
        self.assert_new_client({"X-Client": "same"})
        self.assert_new_client({"Cookie": "sid=same"})

    def test_a_repeated_client_header_is_refused(self):
        reply = self.node.post(b"x", headers=[("X-Client", "a"), ("X-Client", "b")])
        self.assert_problem(reply, 400)

    def test_unknown_keys_are_never_anonymous(self):
        self.assert_problem(self.node.post(b"x", headers={"Authorization": "Bearer psk_live_x"}), 401)
        self.assert_problem(self.node.post(b"x", headers={"X-Api-Key": "psk_live_x"}), 401)
        reply = self.node.request("POST", "/v1/events?a=b&api_key=psk_live_x", b"x")
        self.assert_problem(reply, 401)
        # Even beside something that would name a client.
        self.assert_problem(self.node.post(b"x", headers={"X-Client": "k", "X-Api-Key": "y"}), 401)

    def test_forwarded_by_a_trusted_proxy(self):
        self.assert_new_client({"X-Forwarded-For": "192.0.2.1"})
        self.assert_same_client({"X-Forwarded-For": "192.0.2.1"},
                                # What the client itself wrote, left of it, counts for nothing…
                                {"X-Forwarded-For": "203.0.113.9, 192.0.2.1"},
                                # …and trusted proxies, right of it, are passed over.
                                {"X-Forwarded-For": "192.0.2.1, 10.1.2.3"},
                                {"X-Forwarded-For": " 203.0.113.9 ,192.0.2.1 ,10.1.2.3,10.9.9.9"})
        self.assert_new_client({"X-Forwarded-For": "192.0.2.2"})

    def test_forwarded_ipv6_by_64(self):
        self.assert_new_client({"X-Forwarded-For": "2001:db8:1:2::1"})
        self.assert_same_client({"X-Forwarded-For": "2001:db8:1:2::1"},
                                {"X-Forwarded-For": "2001:db8:1:2:ffff:ffff:ffff:ffff"},
                                {"X-Forwarded-For": "2001:db8:1:2::1, 2001:db8:ffff::5"})
        self.assert_new_client({"X-Forwarded-For": "2001:db8:1:3::1"})

    def test_mapped_ipv4_is_ipv4(self):
        self.assert_new_client({"X-Forwarded-For": "198.51.100.7"})
        self.assert_same_client({"X-Forwarded-For": "198.51.100.7"},
                                {"X-Forwarded-For": "::ffff:198.51.100.7"})

    def test_trailers_name_nobody(self):
        """A proxy may pass on whatever a client wrote there."""
        left = self.remaining({"X-Client": "chunked"})
        for trailer in ("X-Client: other", "X-Forwarded-For: 192.0.2.99", "X-Api-Key: k",
                        "Host: other", "Authorization: Bearer k"):
            with self.node.client() as client:
                client.send(b"POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Client: chunked\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                            + trailer.encode() + b"\r\n\r\n")
                reply = client.read()
            left -= 1
            self.assertEqual((reply.status, rate_limit(reply)[1]), (202, left), trailer)

    def test_repeated_forwarded_headers_are_one_list(self):
        # RFC 9110, section 5.3: lines of one name are a list in their order.
        self.assert_same_client({"X-Forwarded-For": "192.0.2.40"},
                                [("X-Forwarded-For", "192.0.2.40"), ("X-Forwarded-For", "10.1.1.1")],
                                [("X-Forwarded-For", "203.0.113.1"), ("X-Forwarded-For", "192.0.2.40")])

    def test_garbage_is_the_proxy_itself(self):
        self.assert_same_client({}, {"X-Forwarded-For": "unknown"}, {"X-Forwarded-For": ""},
                                {"X-Forwarded-For": "1.2.3.4, junk"}, {"Forwarded": "for=_hidden"})


class UntrustedProxy(Surface):
    options = {"identity.order": ["ip"], "http.trusted_proxies": ["10.0.0.0/8"],
               "plans.anonymous.limits": [{"name": "few", "algorithm": "fixed_window",
                                           "amount": 1000, "window": "1h"}]}

    def test_forwarding_headers_are_ignored(self):
        left = rate_limit(self.node.post(b"x"))[1]
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "10.0.0.1"},
                        {"Forwarded": "for=192.0.2.1"}):
            left -= 1
            self.assertEqual(rate_limit(self.node.post(b"x", headers=headers))[1], left)

    def test_keys_that_nobody_asked_for_are_ignored(self):
        self.assertEqual(self.node.post(b"x", headers={"X-Api-Key": "y"}).status, 202)


class ListenOnIpv6(Surface):
    http_host = "::1"
    options = {"plans.anonymous.limits": [{"name": "few", "algorithm": "fixed_window",
                                           "amount": 1000, "window": "1h"}]}

    def test_events(self):
        self.assertEqual(rate_limit(self.node.post(b"x"))[1], 999)
        self.assertEqual(rate_limit(self.node.post(b"x"))[1], 998)


class MetricsPage(Surface):
    def test_names_and_units(self):
        self.node.post(b"x")
        self.node.post(b"{", headers=JSON)
        self.node.drain_queue()
        page = self.node.metrics()
        names = page.names()
        self.assertTrue(names)
        for name in names:
            self.assertRegex(name, r"^(penstock|process)_[a-z0-9_]+$")
        for name, kind in page.types.items():
            self.assertTrue(page.helps.get(name), f"{name} has no help")
            self.assertEqual(kind == "counter", name.endswith("_total"), f"{name} is a {kind}")
        self.assertFalse([n for n in names if re.search(r"_(ms|us|ns|millis|kb|mb)(_|$)", n)])
        self.assertEqual(page.get("penstock_http_requests_total", status="202"), 1)
        self.assertEqual(page.get("penstock_http_requests_total", status="400"), 1)
        for _, labels, _ in page.samples:
            self.assertFalse(labels.keys() & {"client", "ip", "id", "key"}, labels)

    def test_an_unknown_page_is_a_problem(self):
        self.assert_problem(self.node.admin("GET", "/nothing"), 404)


if __name__ == "__main__":
    harness.main()
