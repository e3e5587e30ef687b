#!/usr/bin/env python3
"""The kafka sink against a broker that checks sequence numbers, survives SIGKILL, speaks TLS and
asks for a login (kafka_broker.py)."""

import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import harness  # noqa: E402
import kafka_broker  # noqa: E402
from delivery import ProcessServer, exercise, wait_for  # noqa: E402

PARTITIONS = 6
PROGRAM = pathlib.Path(kafka_broker.__file__)


class KafkaBroker(ProcessServer):
    def __init__(self, tls=None, login=()):
        super().__init__()
        self.port = harness.free_port()
        self.data = self.folder / "records"
        self.arguments = [*(tls or ()), *login]
        self.found, self.read_to = [], 0

    def command(self):
        return [sys.executable, "-B", str(PROGRAM), str(self.port), str(self.data),
                str(PARTITIONS), *map(str, self.arguments)]

    def is_ready(self):
        socket.create_connection(("127.0.0.1", self.port), 1).close()
        return True

    def sink_options(self, name):
        return {f"sinks.{name}.kind": "kafka", f"sinks.{name}.brokers": f"127.0.0.1:{self.port}"}

    def records(self):
        for topic, partition, batch, self.read_to in kafka_broker.read_batches(self.data,
                                                                               self.read_to):
            self.found += kafka_broker.batch_records(topic, partition, batch)
        return self.found

    def read_all(self):
        return [(r.headers["penstockid"], r.key, r.body) for r in self.records()]


def certificates(folder):
    """(certificate, key, authority) for 127.0.0.1, of an authority of its own."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
            "cert.pem", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1")
    return folder / "cert.pem", folder / "key.pem", folder / "cert.pem"


class Outages(unittest.TestCase):
    def test_broker_and_node_killed_and_frozen(self):
        with KafkaBroker() as server:
            exercise(self, server)


class Refusals(unittest.TestCase):
    def test_an_event_that_the_broker_refuses_does_not_stop_the_rest(self):
        with KafkaBroker() as server, harness.Node({
                "streams.default.sinks": ["out"], "sinks.out.max_tries": 2, "sinks.out.lanes": 1,
                "sinks.out.retry_min": "10ms", "sinks.out.linger": "200ms",
                "identity.order": ["header:X-Client", "ip"],
                **server.sink_options("out")}) as node:
            for client in range(5):
                lines = [f'{{"client":{client},"n":{n}}}' for n in range(20)]
                if client == 3:
                    lines[10] = '"poison"'
                reply = node.post("\n".join(lines).encode(), headers={
                    "Content-Type": "application/x-ndjson", "X-Client": str(client)})
                self.assertEqual(20, reply.json()["accepted"])
            wait_for(lambda: len(server.records()) >= 99, "all others arrive")
            self.assertIn(b"validate record", node.admin("GET", "/v1/admin/dead-letters").body)
            bodies = [r.body for r in server.records()]
            self.assertEqual(99, len(set(bodies)))
            self.assertNotIn(b'"poison"', bodies)
            of_three = [b for b in dict.fromkeys(bodies) if b.startswith(b'{"client":3,')]
            self.assertEqual([b'{"client":3,"n":%d}' % n for n in range(20) if n != 10], of_three)


class Security(unittest.TestCase):
    PASSWORD = "not-for-any-log-0123"

    def options(self, server, folder, **more):
        return {"streams.default.sinks": ["out"], "sinks.out.timeout": "2s",
                "sinks.out.retry_min": "20ms", "log.level": "debug",
                "sinks.out.tls": True, "sinks.out.ca_file": str(folder / "cert.pem"),
                "sinks.out.cert_file": str(folder / "cert.pem"),
                "sinks.out.key_file": str(folder / "key.pem"),
                "sinks.out.username": "ingest", "sinks.out.password": self.PASSWORD,
                "sinks.out.sasl_mechanism": "PLAIN",
                **server.sink_options("out"),
                **{f"sinks.out.{key}": value for key, value in more.items()}}

    def test_tls_both_ways_and_a_login(self):
        server = KafkaBroker()
        server.arguments = [*certificates(server.folder), "ingest", self.PASSWORD]
        with server:
            with harness.Node(self.options(server, server.folder)) as node:
                node.post(b"hello")
                wait_for(server.records, "it arrives")
                self.assertNotIn(self.PASSWORD, node.log())
            with harness.Node(self.options(server, server.folder,
                                           password="a-wrong-one-0123")) as node:
                node.post(b"hello")
                wait_for(lambda: "wrong name or password" in node.log(), "the log says why")
                self.assertNotIn("a-wrong-one", node.log())
            self.assertEqual(1, len(server.records()))

    def test_another_authority_is_not_trusted(self):
        server = KafkaBroker()
        server.arguments = [*certificates(server.folder), "ingest", self.PASSWORD]
        other = server.folder / "other"
        other.mkdir()
        certificates(other)
        with server, harness.Node(self.options(server, other)) as node:
            node.post(b"hello")
            wait_for(lambda: "verify" in node.log(), "the log says why")
            self.assertEqual([], server.records())

    def test_a_file_that_is_not_there_stops_the_start(self):
        with self.assertRaises(AssertionError) as failed:
            with harness.Node({"streams.default.sinks": ["out"], "sinks.out.kind": "kafka",
                               "sinks.out.brokers": "127.0.0.1:1", "sinks.out.tls": True,
                               "sinks.out.ca_file": "/no/such/ca.pem"}):
                pass
        self.assertIn("78", str(failed.exception))
        self.assertIn("sinks.out", str(failed.exception))


if __name__ == "__main__":
    harness.main()
