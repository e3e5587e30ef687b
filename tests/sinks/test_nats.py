#!/usr/bin/env python3
"""The nats sink and real servers: what arrives, through outages of one server and of three."""

import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from delivery import DELIVERY, SINK, exercise, stray_streams  # noqa: E402
from harness import Node, free_port, main, wait_for  # noqa: E402
from nats_client import NatsCluster, NatsServer  # noqa: E402

# The leader of the stream, each time: killed in the middle of batches and back with what it had,
# and stopped for longer than the sink waits.
CLUSTER_SCHEDULE = [
    (0.10, "kill_server", 2.0),
    (0.40, "kill_server", 0.5),
    (0.50, "kill_node", 0),
    (0.60, "freeze_server", 2.5),
    (0.75, "kill_server", 0.0),
    (0.80, "kill_node", 0),
]
CE = "ce-"


def node_for(server, options=None):
    """An option that is None is left out."""
    every = {"identity.order": ["header:X-Client", "ip"], "streams.default.sinks": [SINK],
             **{f"sinks.{SINK}.{key}": value for key, value in DELIVERY.items()},
             **server.sink_options(SINK), **(options or {})}
    return Node({key: value for key, value in every.items() if value is not None})


def arrived(server, count):
    wait_for(lambda: len(server.messages()) >= count, f"{count} messages arrive")
    return server.messages()


class Outages(unittest.TestCase):
    def test_one_server(self):
        with NatsServer() as server:
            exercise(self, server)

    def test_the_leader_of_three_servers(self):
        with NatsCluster() as cluster:
            exercise(self, cluster, schedule=CLUSTER_SCHEDULE)


class Messages(unittest.TestCase):
    def test_what_a_message_has(self):
        with NatsServer() as server, node_for(server) as node:
            first = node.post(b'{"a": 1}', "errors", {"Content-Type": "application/json"}).json()
            node.post(b"\x00\xff", "errors", {
                "Content-Type": "image/png", "ce-specversion": "1.0", "ce-id": "7",
                "ce-source": "/s", "ce-type": "t", "ce-note": "caf%C3%A9 %25"})
            structured = b'{"specversion":"1.0","id":"8","source":"/s","type":"t","data":1}'
            node.post(structured, "errors", {"Content-Type": "application/cloudevents+json"})
            node.post(b"", "errors", {"Content-Type": "text/plain"})
            plain, binary, whole, empty = arrived(server, 4)
        self.assertEqual("events.errors", plain.subject)
        self.assertEqual(b'{"a": 1}', plain.body)
        headers = dict(plain.headers)
        self.assertRegex(headers.pop("ce-time"), r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")
        self.assertRegex(headers.pop("ce-partitionkey"), "^[0-9a-f]{16}$")
        self.assertEqual({
            "Nats-Msg-Id": first["id"], "Nats-Expected-Stream": "EVENTS", "ce-specversion": "1.0",
            "ce-id": first["id"], "ce-source": "/penstock/node", "ce-type": "penstock.errors",
            "ce-datacontenttype": "application/json"}, headers)
        self.assertEqual(b"\x00\xff", binary.body)
        self.assertEqual("7", binary.headers["ce-id"])
        self.assertEqual("caf%C3%A9%20%25", binary.headers["ce-note"])
        self.assertEqual(binary.headers["Nats-Msg-Id"], binary.headers["ce-penstockid"])
        self.assertEqual(structured, whole.body)
        self.assertEqual("application/cloudevents+json", whole.headers["content-type"])
        self.assertNotIn("ce-id", whole.headers)
        self.assertEqual(whole.headers["Nats-Msg-Id"], whole.headers["ce-penstockid"])
        self.assertEqual(b"", empty.body)

    def test_tls_and_a_password(self):
        with tempfile.TemporaryDirectory(prefix="penstock-tls-") as folder:
            certificates = Certificates(folder)
            config = (f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", '
                      f'ca_file: "{folder}/ca.pem", verify: true }}\n'
                      'authorization { user: ingest, password: "a-secret" }\n')
            with NatsServer(config, certificates.context(), {"user": "ingest", "pass": "a-secret"},
                            "tls", "localhost") as server:
                options = {f"sinks.{SINK}.username": "ingest", f"sinks.{SINK}.password": "a-secret",
                           f"sinks.{SINK}.ca_file": f"{folder}/ca.pem",
                           f"sinks.{SINK}.cert_file": f"{folder}/client.pem",
                           f"sinks.{SINK}.key_file": f"{folder}/client.key"}
                with node_for(server, options) as node:
                    node.post(b"one")
                    self.assertEqual(b"one", arrived(server, 1)[0].body)
                # The server insists on TLS, whatever the URL says.
                options[f"sinks.{SINK}.url"] = f"nats://localhost:{server.port}"
                with node_for(server, options) as node:
                    node.post(b"two")
                    self.assertEqual(b"two", arrived(server, 2)[1].body)
                options[f"sinks.{SINK}.url"] = server.url()
                for key, value, says in [
                        ("url", f"tls://127.0.0.2:{server.port}", "can't connect"),
                        ("ca_file", f"{folder}/other.pem", "TLS failed"),
                        ("password", "not-the-secret", "refused our credentials")]:
                    with self.subTest(key=key, value=value):
                        self.fails(node_for(server, {**options, f"sinks.{SINK}.{key}": value}),
                                   says, "secret")

    def test_a_certificate_for_another_host(self):
        with tempfile.TemporaryDirectory(prefix="penstock-tls-") as folder:
            certificates = Certificates(folder, host="elsewhere.example")
            config = f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key" }}\n'
            context = certificates.context()
            context.check_hostname = False
            with NatsServer(config, context, None, "tls", "localhost") as server:
                self.fails(node_for(server, {f"sinks.{SINK}.ca_file": f"{folder}/ca.pem"}),
                           "does it name the host")

    def test_a_server_without_tls(self):
        with NatsServer(scheme="tls") as server:
            self.fails(node_for(server), "the server has no TLS")

    def fails(self, made, says, never=None):
        """An event of this node does not arrive, and the node says why."""
        with made as node:
            node.post(b"waits")
            try:
                wait_for(lambda: says in node.log(), f"the log says '{says}'")
            except AssertionError as late:
                raise AssertionError(f"{late}\n{node.log()}") from None
            if never:
                self.assertNotIn(never, node.log())

    def test_a_stream_that_is_not_there(self):
        with NatsServer() as server:
            name = f"sinks.{SINK}.stream"
            self.fails(node_for(server, {name: "NOPE", f"sinks.{SINK}.subject": "nope.{stream}"}),
                       "there is no stream 'NOPE': create it, with 'nope.default' among its subjects")
            self.fails(node_for(server, {f"sinks.{SINK}.subject": "nope.{stream}"}),
                       "stream 'EVENTS' takes 'events.>': if 'nope.default' is not among them")
            self.fails(node_for(server, {name: None, f"sinks.{SINK}.subject": "nope.{stream}"}),
                       "no stream takes subject 'nope.default'")
            self.fails(node_for(server, {name: "OTHER"}), "JetStream error 10060")
            self.assertEqual([], server.messages())

    def test_what_is_too_large_for_the_server_or_its_stream(self):
        class Narrow(NatsServer):
            stream_options = {"max_msg_size": 600_000}
        with Narrow() as server, node_for(server, {
                "http.max_body": "2MiB", f"sinks.{SINK}.max_tries": 2}) as node:
            def post(body):
                return node.post(body, headers={"X-Client": "one"}).json()["id"]
            sent = [post(b"before"), post(b"x" * 1_048_000), post(b"between"), post(b"x" * 600_000),
                    post(b"x" * 599_000), post(b"after")]
            found = arrived(server, 4)
            self.assertEqual([sent[0], sent[2], sent[4], sent[5]],
                             [m.headers["Nats-Msg-Id"] for m in found])
            self.assertIn("more than the server's max_payload of 1000000", node.log())
            self.assertIn("JetStream error 10054", node.log())
            self.assertNotIn("the connection is lost", node.log())

    def test_a_stream_name_that_makes_no_subject(self):
        with NatsServer() as server, node_for(server, {f"sinks.{SINK}.max_tries": 1}) as node:
            node.post(b"one", "a..b")
            node.post(b"two", "a.b")
            self.assertEqual(["events.a.b"], [m.subject for m in arrived(server, 1)])
            wait_for(lambda: "the subject 'events.a..b' of stream 'a..b'" in node.log(),
                     "the log names the subject")

    def test_subjects_that_nobody_takes_hold_their_streams_alone(self):
        def take(server, *subjects):
            with server.client() as client:
                client.api("STREAM.UPDATE.EVENTS", **{
                    **client.stream("EVENTS")["config"], "subjects": subjects})
        for stream in ("EVENTS", None):  # with and without the name of a JetStream stream
            with NatsServer() as server, node_for(server, {
                    f"sinks.{SINK}.missing_target_after": "3s",
                    f"sinks.{SINK}.stream": stream}) as node:
                take(server, "events.default", "events.found")
                stray_streams(self, node, lambda server=server: len(server.messages()),
                              "events.lost-")
                take(server, "events.>")
                before = len(server.messages())
                node.post(b"late", "lost-0")
                arrived(server, before + 1)

    def test_a_full_stream(self):
        class Full(NatsServer):
            stream_options = {"max_msgs": 2, "discard": "new"}
        with Full() as server, node_for(server) as node:
            ids = [node.post(b"%d" % i).json()["id"] for i in range(3)]
            wait_for(lambda: "maximum messages exceeded" in node.log(), "the log says why")
            with server.client() as client:
                client.api("STREAM.UPDATE.EVENTS", **{
                    **client.stream("EVENTS")["config"], "max_msgs": 10})
            self.assertEqual(ids, [m.headers["Nats-Msg-Id"] for m in arrived(server, 3)])

    def test_what_the_server_sees_of_us(self):
        port = free_port()
        with NatsServer(f'http: "127.0.0.1:{port}"\n') as server, \
                node_for(server, {f"sinks.{SINK}.lanes": 2}) as node:
            node.post(b"one")
            arrived(server, 1)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/connz") as reply:
                names = {c.get("name") for c in json.load(reply)["connections"]}
        self.assertIn("penstock node/out", names)

    def test_what_a_user_may_not(self):
        config = """authorization { users: [
            { user: "admin", password: "admin-password" },
            { user: "some", password: "some-password", permissions: {
                publish: ["other.>"], subscribe: ["_INBOX.>"] } }] }
            """
        with NatsServer(config, user={"user": "admin", "pass": "admin-password"}) as server:
            options = {f"sinks.{SINK}.username": "some", f"sinks.{SINK}.password": "some-password"}
            self.fails(node_for(server, options), "Permissions Violation for Publish", "password")
            # The user and password in the URL, those of whom may.
            url = server.url().replace("//", "//admin:admin-password@")
            with node_for(server, {f"sinks.{SINK}.url": url}) as node:
                node.post(b"one")
                arrived(server, 1)


class Certificates:
    """An authority, and a server's and a client's certificate; made by openssl."""

    def __init__(self, folder, host="localhost"):
        self.folder = pathlib.Path(folder)
        self.authority("ca")
        self.authority("other")
        self.certificate("server", f"DNS:{host}")
        self.certificate("client", "DNS:penstock")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                     f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def certificate(self, name, names):
        (self.folder / "names").write_text(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")

    def context(self):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        return context


if __name__ == "__main__":
    main()
