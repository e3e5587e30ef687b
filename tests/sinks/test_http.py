#!/usr/bin/env python3
"""The http sink: into a second node in both formats, and into a plain server."""

import http.server
import json
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import delivery  # noqa: E402
import harness  # noqa: E402
from harness import Node, body_of, wait_for  # noqa: E402


class Gateway(delivery.Server):
    """A node that takes what another forwards."""

    deduplicates = True
    format = "cloudevents-batch"

    def __init__(self, **options):
        self.node = Node(options)
        self.read = {}  # by the gateway's own ids, as a lease may end and a message come again

    def __enter__(self):
        self.node.__enter__()
        return self

    def __exit__(self, *_):
        self.node.close()

    def start(self):
        self.node.start()

    def stop(self):
        self.node.close()

    def kill(self):
        self.node.kill()

    def freeze(self):
        self.node.signal(signal.SIGSTOP)

    def thaw(self):
        self.node.signal(signal.SIGCONT)

    def sink_options(self, name):
        return {f"sinks.{name}.kind": "http", f"sinks.{name}.format": self.format,
                f"sinks.{name}.url": f"http://127.0.0.1:{self.node.http_port}/v1/events/{{stream}}"}

    def messages(self):
        while batch := self.node.receive(most=1000):
            self.node.settle("default", batch)
            self.read.update((message["id"], message) for message in batch)
        return [message for _, message in sorted(self.read.items())]

    def read_all(self):
        return [delivery.event_of(message["data"].encode()) for message in self.messages()]


class LinesGateway(Gateway):
    """Lines carry no ids: what was promised for a body says which event it is."""

    deduplicates = False
    format = "ndjson"
    promises = None

    def watch(self, run, _seconds):
        self.promises = run.promises

    def read_all(self):
        with self.promises.mutex:
            id_of = {place: event_id for event_id, place in self.promises.by_id.items()}
        last, found = {}, []
        for message in self.messages():
            body = body_of(message)
            client, number = (int(n) for n in delivery.NUMBERS.match(body).groups())
            # One that was sent and not promised has an id that sorts behind the one before it.
            event_id = id_of.get((client, number), f"{last.get(client, '')}~{number:09}")
            last[client] = id_of.get((client, number), last.get(client, ""))
            found.append((event_id, None, body))
        return found


class Receiver:
    """A plain server that answers as it is told, and keeps what it took."""

    def __init__(self, context=None):
        self.taken, self.requests, self.answers = [], [], []
        self.missing = None  # a word: paths that have it are 404
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((time.monotonic(), self.path, dict(self.headers), body))
                status, headers, judge = outer.answers.pop(0) if outer.answers else (200, {}, None)
                if judge:
                    status = judge(body)
                    outer.answers.insert(0, (status, headers, judge))
                if outer.missing and outer.missing in self.path:
                    status = 404
                if status < 300:
                    outer.taken += body.splitlines()
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def sink_options(self, **more):
        return {"streams.default.sinks": ["out"], "sinks.out.kind": "http", "sinks.out.lanes": 1,
                "sinks.out.url": f"http://127.0.0.1:{self.port}/in/{{stream}}",
                "sinks.out.retry_min": "20ms", "sinks.out.retry_max": "200ms",
                **{f"sinks.out.{key}": value for key, value in more.items()}}


def lines(first, count):
    return b"\n".join(b'{"n":%d}' % n for n in range(first, first + count))


NDJSON = {"Content-Type": "application/x-ndjson"}


class IntoAnotherNode(unittest.TestCase):
    def test_outages_exactly_once(self):
        with Gateway() as gateway:
            delivery.exercise(self, gateway)

    def test_outages_lines(self):
        with LinesGateway() as gateway:
            delivery.exercise(self, gateway, schedule=[(0, gateway.watch, 0), *delivery.SCHEDULE])

    def test_the_gateways_limits(self):
        limits = [{"name": "rate", "algorithm": "gcra", "amount": 1000, "window": "1s", "burst": 400}]
        with Gateway(**{"plans.anonymous.limits": limits}) as gateway:
            delivery.exercise(self, gateway, events=4000, events_per_s=4000, schedule=[])

    def test_what_came_as_what(self):
        with Gateway() as gateway, Node({"streams.default.sinks": ["out"],
                                         **gateway.sink_options("out")}) as node:
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            event = b'{"specversion":"1.0","id":"7","source":"/s","type":"t","data":{"b":1}}'
            node.post(b"\xff\x00", headers={"Content-Type": "image/png", "traceparent": trace})
            node.post(event, headers={"Content-Type": "application/cloudevents+json"})
            node.post(b"", headers={"ce-specversion": "1.0", "ce-id": "8", "ce-source": "/s",
                                    "ce-type": "t", "Content-Type": "application/json"})
            wait_for(lambda: len(gateway.messages()) == 3, "three events are there")
            first, second, third = (message["attributes"] for message in gateway.messages())
            self.assertEqual(trace, first["ce_traceparent"])
            self.assertEqual("penstock.default", first["ce_type"])
            self.assertEqual(("7", "/s"), (second["ce_id"], second["ce_source"]))
            self.assertEqual("8", third["ce_id"])
            bodies = [json.loads(message["data"]) for message in gateway.messages()]
            self.assertEqual("/wA=", bodies[0]["data_base64"])
            self.assertEqual({"b": 1}, bodies[1]["data"])
            self.assertNotIn("data", bodies[2])


    def test_nobody_takes_the_place_of_anothers_event(self):
        def event(body, **more):
            return json.dumps({"specversion": "1.0", "id": "7", "source": "/s", "type": "t",
                               "data": body, **more}).encode()
        whole = {"Content-Type": "application/cloudevents+json"}
        binary = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s", "ce-type": "t",
                  "Content-Type": "text/plain"}
        posts = [
            (event("a"), whole), (event("b"), whole), (event("c", penstockid="x"), whole),
            (event("d", penstockid="x", partitionkey="k"), whole),
            (b"[" + event("e", penstockid="x") + b"]",
             {"Content-Type": "application/cloudevents-batch+json"}),
            (event("f").replace(b'"id"', b'"penstock\\u0069d": "x", "id"'), whole),
            (b"g", binary), (b"h", {**binary, "CE-PenstockId": "x", "ce-partitionkey": "k"}),
            (event("i", penstockid=None), whole)]
        with Gateway() as gateway, Node({
                "identity.order": ["header:X-Client", "ip"], "streams.default.sinks": ["out"],
                "sinks.out.max_tries": 1, **gateway.sink_options("out")}) as node:
            for n, (body, headers) in enumerate(posts):
                self.assertEqual(202, node.post(body, headers={"X-Client": str(n), **headers}).status)
            wait_for(lambda: len(gateway.messages()) == len(posts), "all are there")
            found = [json.loads(message["data"]) for message in gateway.messages()]
            self.assertEqual(set("abcdefghi"), {document["data"] for document in found})
            self.assertEqual(len(posts), len({document["penstockid"] for document in found}))
            self.assertEqual(len(posts), len({document["partitionkey"] for document in found}))
            self.assertEqual({("7", "/s")}, {(d["id"], d["source"]) for d in found})
            self.assertEqual({"c", "d", "e", "f", "h"},
                             {d["data"] for d in found if d.get("upstreamid") == "x"})
            self.assertEqual({"d", "h"}, {d["data"] for d in found if d.get("upstreamkey") == "k"})
            self.assertNotIn("dead letter", node.log())


class IntoAPlainServer(unittest.TestCase):
    def test_lines_and_headers(self):
        with Receiver() as to, Node(to.sink_options(headers={"Authorization": "Bearer s3cr3t-key"})) \
                as node:
            for stream in ("orders", ""):
                node.post(b'{\n "a": 1.10\n}', stream, {"Content-Type": "application/json"})
            wait_for(lambda: len(to.taken) == 2, "the lines are there")
            self.assertEqual([b'{  "a": 1.10 }'] * 2, to.taken)
            self.assertEqual({"/in/default", "/in/orders"}, {path for _, path, *_ in to.requests})
            _, _, headers, _ = to.requests[0]
            self.assertEqual("Bearer s3cr3t-key", headers["Authorization"])
            self.assertEqual("application/x-ndjson", headers["Content-Type"])
            self.assertNotIn("s3cr3t", node.log())

    def test_retry_after_is_heeded_and_a_repeat_has_the_same_key(self):
        with Receiver() as to, Node(to.sink_options()) as node:
            to.answers = [(503, {"Retry-After": "1"}, None), (429, {}, None)]
            node.post(b"1", headers={"Content-Type": "application/json"})
            wait_for(lambda: to.taken, "the line is there")
            self.assertGreaterEqual(to.requests[1][0] - to.requests[0][0], 1.0)
            keys = {headers["Idempotency-Key"] for _, _, headers, _ in to.requests}
            self.assertEqual((3, 1), (len(to.requests), len(keys)))

    def test_one_bad_event_does_not_stop_the_others(self):
        with Receiver() as to, Node(to.sink_options()) as node:
            to.answers = [(0, {}, lambda body: 422 if b'"n":77}' in body else 200)]
            node.post(lines(0, 200), headers=NDJSON)
            wait_for(lambda: len(to.taken) >= 199, "the others are there")
            wait_for(lambda: "is a dead letter" in node.log(), "the bad one is a dead letter")
            self.assertEqual([n for n in range(200) if n != 77],
                             [json.loads(line)["n"] for line in to.taken])
            self.assertIn("the server answered 422", node.log())

    def test_what_lines_cannot_carry(self):
        with Receiver() as to, Node(to.sink_options()) as node:
            node.post(b"no JSON", headers={"Content-Type": "text/plain"})
            node.post(b"2", headers={"Content-Type": "application/json"})
            wait_for(lambda: to.taken == [b"2"], "the line is there")
            wait_for(lambda: "is a dead letter" in node.log(), "the other one is a dead letter")
            self.assertIn("cloudevents-batch", node.log())

    def test_wrong_credentials_lose_nothing(self):
        with Receiver() as to, Node(to.sink_options(headers={"X-Api-Key": "s3cr3t-key"})) as node:
            to.answers = [(401, {}, None)] * 8
            node.post(b"1", headers={"Content-Type": "application/json"})
            wait_for(lambda: to.taken == [b"1"], "the line is there")
            self.assertIn("the server answered 401; check the credentials", node.log())
            self.assertNotIn("s3cr3t", node.log())

    def test_paths_that_are_missing_hold_their_streams_alone(self):
        with Receiver() as to, Node(to.sink_options(missing_target_after="3s")) as node:
            to.missing = "lost"
            delivery.stray_streams(self, node, lambda: len(to.taken), "answered 404")
            # One that appears goes on by itself.
            to.missing = "lost-1"
            before = len(to.taken)
            node.post(b"2", "lost-0", {"Content-Type": "application/json"})
            wait_for(lambda: len(to.taken) > before, "it is delivered")

    @unittest.skipUnless(shutil.which("openssl"), "openssl makes the certificate")
    def test_tls(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-test-"))
        self.addCleanup(shutil.rmtree, folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem",
                        "-out", folder / "cert.pem"], check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        with Receiver(context) as to:
            options = to.sink_options(url=f"https://127.0.0.1:{to.port}/")
            with Node(options) as node:
                node.post(b"1", headers={"Content-Type": "application/json"})
                wait_for(lambda: "certificate" in node.log(), "the node does not trust the server")
                self.assertEqual([], to.taken)
            with Node({**options, "sinks.out.ca_file": str(folder / "cert.pem")}) as node:
                node.post(b"2", headers={"Content-Type": "application/json"})
                wait_for(lambda: to.taken == [b"2"], "the line is there")


if __name__ == "__main__":
    harness.main()
