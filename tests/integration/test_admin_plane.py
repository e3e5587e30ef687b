#!/usr/bin/env python3
"""The admin plane in a browser's world, and under strangers: whom it answers, from whom it reads
bodies, whose connections stay open, and the status page behind a token."""

import contextlib
import html.parser
import http.client
import json
import resource
import threading
import unittest
import urllib.parse

import harness
from harness import Closed, Node, wait_for

TOKEN = "a-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KEY = json.dumps({"account": "acme", "plan": "anonymous"})


def allow_many_files():
    """As many sockets as these tests hold, and the node its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 8192:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))


def keys_of(node, headers=()):
    reply = harness.once(node.admin_port, "GET", "/v1/admin/keys", b"", headers)
    assert reply.status == 200, reply
    return reply.json()["keys"]


class OpenPlane(unittest.TestCase):
    """Without a token."""

    @classmethod
    def setUpClass(cls):
        cls.node = Node({"admin.hosts": ["Ops.Example", "10.9.8.7:9000", "fd00::1"]}).start()
        cls.port = cls.node.admin_port

    @classmethod
    def tearDownClass(cls):
        cls.node.close()

    def ask(self, headers=(), method="GET", target="/v1/admin/keys", body=b"", **more):
        return harness.once(self.port, method, target, body, headers, **more)

    def post_key(self, headers):
        """A key that a page tries to make; gives the status."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        return self.ask(pairs, "POST", body=KEY).status

    def test_hosts(self):
        port = self.port
        for host, status in {
                f"localhost:{port}": 200, "LOCALHOST": 200, "localhost.": 200, "127.0.0.1": 200,
                "127.3.2.1:9": 200, f"[::1]:{port}": 200, "ops.example": 200, "OPS.example:1": 200,
                "10.9.8.7:9000": 200, "[fd00::1]:5": 200,
                f"evil.example:{port}": 421, "ops.example.evil.example": 421, "10.9.8.7": 421,
                "10.9.8.7:9001": 421, "0.0.0.0": 421, "127.1": 421, "localhost.evil.example": 421,
                "": 400, "a b": 400, "localhost:port": 400, "localhost, evil.example": 400}.items():
            for target in ("/livez", "/v1/admin/keys"):
                with self.subTest(host=host, target=target):
                    self.assertEqual(self.ask({"Host": host}, target=target).status, status)
        self.assertEqual(self.post_key([("Host", "evil.example:8081"), *JSON.items()]), 421)

    def test_no_host_and_two(self):
        for version, status in (("HTTP/1.1", 400), ("HTTP/1.0", 200)):
            with harness.Client(self.port) as client:
                reply = client.request("GET", "/readyz", version=version, host=None)
                self.assertEqual(reply.status, status, version)
        self.assertEqual(self.ask([("Host", "localhost"), ("Host", "localhost")]).status, 400)
        self.assertEqual(self.ask(target="http://evil.example/livez").status, 421)
        self.assertEqual(self.ask(target="http://localhost/livez").status, 200)

    def test_origins(self):
        own = f"http://127.0.0.1:{self.port}"
        for origin in ("http://127.0.0.1:1", "null", "http://evil.example", own + "0",
                       f"https://127.0.0.1:{self.port}", f"http://localhost:{self.port}", "",
                       "http://127.0.0.1"):
            for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD"):
                with self.subTest(origin=origin, method=method), \
                        harness.Client(self.port) as client:
                    self.assertEqual(client.request(method, "/livez", b"", {"Origin": origin}).status, 403)
            self.assertEqual(self.post_key({"Origin": origin, **JSON}), 403)
        self.assertEqual(self.ask({"Origin": own}).status, 200)
        for site, status in {"same-origin": 200, "none": 200, "same-site": 403, "cross-site": 403,
                             "": 403}.items():
            self.assertEqual(self.ask({"Sec-Fetch-Site": site}).status, status, site)
        self.assertEqual(self.post_key({"Sec-Fetch-Site": "same-site", **JSON}), 403)
        preflight = self.ask({"Origin": own, "Access-Control-Request-Method": "POST"}, "OPTIONS")
        self.assertEqual(preflight.status, 403)
        for reply in (preflight, self.ask({"Origin": own}), self.ask()):
            self.assertFalse([n for n in reply.headers if n.startswith("access-control")], reply)
        self.assertEqual(keys_of(self.node), [])

    def test_what_is_sent_is_json(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                     "text/plain; application/json", "application/jsonp"):
            self.assertEqual(self.post_key({"Content-Type": kind}), 415, kind)
            for target in ("/v1/admin/drain", "/v1/queue/default/ack"):
                self.assertEqual(self.ask({"Content-Type": kind}, "POST", target, b"{}").status, 415)
            # An empty form is one, too.
            self.assertEqual(self.ask({"Content-Type": kind}, "POST", "/v1/admin/drain").status, 415)
        self.assertEqual(self.post_key({}), 415)
        self.assertEqual(self.ask((), "PUT", "/v1/admin/plans/p", b'{"limits":[]}').status, 415)
        chunked = harness.Client(self.port)
        with chunked:
            chunked.send(b"POST /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            self.assertEqual(chunked.read().status, 415)
        self.assertEqual(keys_of(self.node), [])
        self.assertEqual(self.ask((), "POST", "/v1/queue/default/receive").status, 200)
        charset = {"Content-Type": "Application/JSON ; charset=utf-8"}
        self.assertEqual(self.ask(charset, "POST", "/v1/queue/default/receive", b"{}").status, 200)

    def test_a_body_is_no_second_request(self):
        second = b"POST /v1/admin/keys HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for fields, status in ((b"Transfer-Encoding: gzip\r\n", 501),
                               (b"Transfer-Encoding: chunked, identity\r\n", 501),
                               (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
                               (b"Content-Length: 3\r\nContent-Length: 4\r\n", 400),
                               (b"Content-Length: +3\r\n", 400)):
            with self.subTest(fields=fields), harness.Client(self.port) as client:
                client.send(b"POST /v1/queue/default/receive HTTP/1.1\r\nHost: localhost\r\n"
                            b"Content-Type: application/json\r\n" + fields + b"\r\n" + second)
                self.assertEqual(client.read().status, status)
                self.assertEqual(client.read_to_end(), b"")
        for refused in (b"Content-Type: text/plain\r\n", b"Origin: null\r\n"):
            with harness.Client(self.port) as client:
                client.send(b"POST /v1/queue/default/ack HTTP/1.1\r\nHost: localhost\r\n" + refused
                            + b"Content-Length: %d\r\n\r\n" % len(second) + second)
                self.assertIn(client.read().status, (403, 415))
                self.assertEqual(client.request("GET", "/livez").body, b"ok\n")

    def test_framing_is_as_strict_as_for_clients(self):
        head = (b"POST /v1/queue/default/receive HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\n")
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        for body in (b"2\n{}\n0\n\n", b"2\r\n{}\r\n0\n\n", b"2\r\n{}\r\n0\r\nA:b\n\n",
                     b"2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n",
                     b'2;a="\n"\r\n{}\r\n0\r\n\r\n', b'2;a="\r\n{}\r\n0\r\n\r\n',
                     b'2\r\n{}\r\n0;a="\x01"\r\n\r\n'):
            for cut in (len(body), 1, 3, 6):
                with self.subTest(body=body, cut=cut), harness.Client(self.port) as client:
                    client.send(chunked + body[:cut])
                    client.send(body[cut:])
                    self.assertEqual(client.read().status, 400)
                    self.assertEqual(client.read_to_end(), b"")
        for fields in (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"Content-Length: 2, 2\r\n",
                       b"Content-Length: 2\r\nX-A: b\r\n c\r\n"):
            with self.subTest(fields=fields), harness.Client(self.port) as client:
                client.send(head + fields + b"\r\n{}")
                self.assertEqual(client.read().status, 400)
        with harness.Client(self.port) as client:
            for _ in range(2):
                client.send(chunked + b'1;a="b"\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n')
                self.assertEqual(client.read().status, 200)

    def test_head(self):
        with harness.Client(self.port) as client:
            for target in ("/livez", "/metrics", "/v1/admin/keys", "/nothing"):
                reply = client.request("HEAD", target)
                self.assertEqual(reply.status, 404 if target == "/nothing" else 200)
                self.assertGreater(int(reply.headers["content-length"]), 0)


class Places(unittest.TestCase):
    """Many connections at once."""

    @classmethod
    def setUpClass(cls):
        allow_many_files()

    def serves_operators(self, node, headers=()):
        for target in ("/livez", "/readyz", "/metrics", "/v1/admin/status", "/v1/admin/drain", "/"):
            self.assertEqual(harness.once(node.admin_port, "GET", target, b"", headers).status, 200)
        self.assertEqual(harness.once(node.admin_port, "GET", "/v1/admin/plans", b"", headers).status, 200)

    def drains(self, node, headers=()):
        reply = harness.once(node.admin_port, "POST", "/v1/admin/drain", b"{}", {**JSON, **dict(headers)})
        self.assertEqual(reply.status, 202)
        self.assertEqual(node.wait(60), 0)

    def open_many(self, stack, node, count, send=b""):
        found = []
        for _ in range(count):
            client = stack.enter_context(harness.Client(node.admin_port, timeout_s=60))
            if send:
                with contextlib.suppress(OSError):
                    client.send(send)
            found.append(client)
        return found

    def test_idle_connections(self):
        with Node() as node, contextlib.ExitStack() as stack:
            self.open_many(stack, node, 1200)
            self.serves_operators(node)
            # Ones that asked something, and keep their connection; and halves of a header.
            self.open_many(stack, node, 300, harness.request_bytes(
                "GET", "/v1/admin/plans", host="localhost"))
            self.open_many(stack, node, 1100, b"GET / HTTP/1.1\r\nHost: local")
            self.serves_operators(node)
            self.drains(node)

    def test_long_polls(self):
        poll = harness.request_bytes("POST", "/v1/queue/default/receive", '{"wait_s":20}', JSON,
                                     host="localhost")
        with Node() as node, contextlib.ExitStack() as stack:
            waiting = self.open_many(stack, node, 1024, poll)
            wait_for(lambda: node.metrics().get("penstock_queue_waiters") == 1024,
                     "all of them wait")
            late = self.open_many(stack, node, 100, poll)
            for client in late:
                reply = client.read()
                self.assertEqual(reply.status, 503)
                self.assertIn("retry-after", reply.headers)
            self.serves_operators(node)
            # The place of a client that goes away is free at once.
            for client in waiting[:10]:
                client.close()
            wait_for(lambda: node.metrics().get("penstock_queue_waiters") == 1014,
                     "who went away does not wait")
            again = self.open_many(stack, node, 1, poll)[0]
            wait_for(lambda: node.metrics().get("penstock_queue_waiters") == 1015, "one more waits")
            node.post(b"x")
            self.assertEqual(waiting[10].read().status, 200)
            self.drains(node)
            self.assertEqual(again.read().status, 200)

    def test_bodies_without_the_token(self):
        body = b"x" * (4 << 20)
        with Node({"admin.token": TOKEN}) as node:
            before = node.rss_bytes()
            statuses, lock = [], threading.Lock()

            def send_all(count):
                for _ in range(count):
                    try:
                        with harness.Client(node.admin_port) as client:
                            client.send(harness.request_bytes(
                                "POST", "/v1/queue/default/ack", b"",
                                {**JSON, "Content-Length": str(len(body)),
                                 "Authorization": "Bearer wrong"}, host="localhost"))
                            with contextlib.suppress(OSError):
                                client.send(body)
                            with lock:
                                statuses.append(client.read().status)
                    except (OSError, Closed):
                        pass
            threads = [threading.Thread(target=send_all, args=(6,)) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertTrue(statuses)
            self.assertEqual(set(statuses), {401})
            with contextlib.ExitStack() as stack:
                head = harness.request_bytes("POST", "/v1/admin/keys", b"",
                                             {**JSON, "Content-Length": str(len(body))}, host="localhost")
                self.open_many(stack, node, 600, head + b"x" * 100_000)
                self.serves_operators(node, BEARER)
                self.assertLess(node.rss_bytes() - before, 64 << 20)
            self.drains(node, BEARER)

    def test_bodies_with_the_token(self):
        head = harness.request_bytes("POST", "/v1/queue/default/ack", b"",
                                     {**JSON, **BEARER, "Content-Length": "1000000"}, host="localhost")
        with Node({"admin.token": TOKEN}) as node, contextlib.ExitStack() as stack:
            before = node.rss_bytes()
            clients = self.open_many(stack, node, 100, head)
            refused = 0
            for client in clients[10:]:
                reply = client.read()
                refused += reply.status == 503
                self.assertIn("retry-after", reply.headers)
            self.assertEqual(refused, 90)
            made = harness.once(node.admin_port, "POST", "/v1/admin/keys", KEY, {**JSON, **BEARER})
            self.assertEqual(made.status, 201)
            self.serves_operators(node, BEARER)
            self.assertLess(node.rss_bytes() - before, 64 << 20)
            reply = harness.once(node.admin_port, "POST", "/v1/admin/keys", b"",
                                 {**JSON, **BEARER, "Content-Length": str(4 << 20)})
            self.assertEqual(reply.status, 413)

    def test_answers_that_nobody_reads(self):
        with Node() as node, contextlib.ExitStack() as stack:
            lines = b"\n".join(b'"%s"' % (b"x" * 1000) for _ in range(800))
            for _ in range(12):
                self.assertEqual(node.post(lines, headers={"Content-Type": "application/x-ndjson"}).status, 202)
            before = node.rss_bytes()
            again = harness.request_bytes("GET", "/v1/queue/default?from=2020-01-01T00:00:00Z&max=10000",
                                          host="localhost")
            for _ in range(300):
                client = stack.enter_context(harness.Client(node.admin_port, receive_buffer=4096))
                client.send(again)
            self.serves_operators(node)
            wait_for(lambda: harness.once(node.admin_port, "GET", "/v1/queue/default").status in (200, 503),
                     "all were answered", 60)
            self.assertLess(node.rss_bytes() - before, 256 << 20)
            self.serves_operators(node)

    def test_expect(self):
        with Node({"admin.token": TOKEN}) as node:
            for extra, status in (({}, 401), ({"Content-Type": "text/plain", **BEARER}, 415)):
                with harness.Client(node.admin_port) as client:
                    client.send(harness.request_bytes(
                        "POST", "/v1/admin/keys", b"",
                        {**JSON, "Content-Length": "100", "Expect": "100-continue", **extra},
                        host="localhost"))
                    self.assertEqual(client.read().status, status)


class Form(html.parser.HTMLParser):
    """The form of a page: where it goes and its fields."""

    def __init__(self, text):
        super().__init__()
        self.form, self.inputs = {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "form":
            self.form = dict(attrs)
        if tag == "input":
            self.inputs.append(dict(attrs))


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({"admin.token": TOKEN}).start()
        cls.own = {"Origin": f"http://127.0.0.1:{cls.node.admin_port}", "Sec-Fetch-Site": "same-origin"}

    @classmethod
    def tearDownClass(cls):
        cls.node.close()

    def ask(self, method, target, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.node.admin_port, timeout=15)
        try:
            connection.request(method, target, body, dict(headers))
            reply = connection.getresponse()
            return reply, reply.read().decode()
        finally:
            connection.close()

    def log_in(self, token=TOKEN, headers=None):
        _, page = self.ask("GET", "/")
        form = Form(page)
        self.assertEqual(form.form["method"], "post")
        field = next(i for i in form.inputs if i["type"] == "password")
        target = urllib.parse.urljoin("/", form.form["action"])
        return self.ask("POST", target, urllib.parse.urlencode({field["name"]: token}),
                        {**FORM, **(self.own if headers is None else headers)})

    def test_log_in_look_and_log_out(self):
        reply, page = self.ask("GET", "/")
        self.assertEqual(reply.status, 401)
        self.assertNotIn("://", page)
        policy = reply.headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        reply, page = self.log_in("wrong")
        self.assertEqual(reply.status, 401)
        self.assertIsNone(reply.headers["Set-Cookie"])
        reply, _ = self.log_in()
        self.assertEqual(reply.status, 303)
        given = reply.headers["Set-Cookie"]
        for part in ("; Path=/", "; HttpOnly", "; SameSite=Strict"):
            self.assertIn(part, given)
        self.assertNotIn("Secure", given)
        self.assertNotIn(TOKEN, given)
        cookie = {"Cookie": "theme=dark; " + given.partition(";")[0]}
        reply, page = self.ask("GET", urllib.parse.urljoin("/login", reply.headers["Location"]),
                               headers=cookie)
        self.assertEqual(reply.status, 200)
        self.assertIn("<script>", page)
        for target in ("/v1/admin/status", "/metrics", "/v1/admin/drain"):
            self.assertEqual(self.ask("GET", target, headers=cookie)[0].status, 200)
        # Only the token changes anything, or shows events and keys.
        for method, target in (("POST", "/v1/admin/drain"), ("POST", "/v1/admin/keys"),
                               ("POST", "/v1/queue/default/receive"), ("GET", "/v1/queue/default"),
                               ("GET", "/v1/admin/keys"), ("GET", "/nothing")):
            reply, _ = self.ask(method, target, "{}" if method == "POST" else None,
                                {**cookie, **JSON, **self.own})
            self.assertEqual(reply.status, 401, target)
        for forged in ({"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:1"}):
            self.assertEqual(self.ask("GET", "/v1/admin/status", headers={**cookie, **forged})[0].status, 403)
        reply, _ = self.ask("POST", "/logout", "", {**FORM, **cookie, **self.own})
        self.assertEqual(reply.status, 303)
        self.assertIn("Max-Age=0", reply.headers["Set-Cookie"])
        self.assertEqual(self.ask("GET", "/v1/admin/status", headers=cookie)[0].status, 401)

    def test_the_form_is_the_pages_own(self):
        for headers in ({"Origin": "http://127.0.0.1:1"}, {"Origin": "null"},
                        {"Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(self.log_in(headers=headers)[0].status, 403)
        reply, _ = self.ask("POST", "/login", json.dumps({"token": TOKEN}), JSON)
        self.assertEqual(reply.status, 415)
        reply, _ = self.ask("POST", "/login", "token=" + "x" * 5000, FORM)
        self.assertEqual(reply.status, 413)

    def test_behind_a_proxy_with_tls(self):
        with Node({"admin.token": TOKEN, "admin.hosts": ["ops.example"]}) as node:
            body = urllib.parse.urlencode({"token": TOKEN})
            headers = {"Host": "ops.example", "Origin": "https://ops.example", **FORM}
            self.assertEqual(harness.once(node.admin_port, "POST", "/login", body, headers).status, 403)
            reply = harness.once(node.admin_port, "POST", "/login", body,
                                 {**headers, "X-Forwarded-Proto": "https"})
            self.assertEqual(reply.status, 303)
            self.assertIn("; Secure", reply.headers["set-cookie"])


if __name__ == "__main__":
    harness.main()
