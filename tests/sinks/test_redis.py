#!/usr/bin/env python3
"""The redis sink against redis-server: outages, states in which it refuses, TLS and passwords."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from delivery import SINK, body_of, check, exercise  # noqa: E402
import harness  # noqa: E402
from harness import Node, wait_for  # noqa: E402
from redis_server import RedisServer, SecureRedisServer  # noqa: E402

OPTIONS = {"streams.default.sinks": [SINK], f"sinks.{SINK}.retry_max": "200ms",
           f"sinks.{SINK}.timeout": "2s"}


def out_of_memory(run, seconds):
    with run.server.client() as client:
        client("CONFIG", "SET", "maxmemory", "1mb")
        wait_for(lambda: "OOM" in run.node.log(), "the node says why")
        client("CONFIG", "SET", "maxmemory", "0")


def be_a_replica(run, seconds):
    with run.server.client() as client:
        client("REPLICAOF", "127.0.0.1", harness.free_port())
        wait_for(lambda: "READONLY" in run.node.log(), "the node says why")
        client("REPLICAOF", "NO", "ONE")


def cut_connections(run, seconds):
    with run.server.client() as client:
        for _ in range(20):
            client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class Outages(unittest.TestCase):
    def test_kills_and_freezes(self):
        with RedisServer() as server:
            exercise(self, server)

    def test_states_in_which_it_takes_nothing(self):
        with RedisServer() as server:
            exercise(self, server, events=6000, schedule=[
                (0.1, out_of_memory, 0), (0.3, be_a_replica, 0), (0.5, cut_connections, 0),
                (0.6, "kill_server", 4.0)  # batches shrink to single events meanwhile
            ], options={f"sinks.{SINK}.retry_min": "5ms", f"sinks.{SINK}.retry_max": "20ms"})


class Settings(unittest.TestCase):
    def send(self, node, count=300):
        reply = node.post(b"\n".join(body_of(1, n) for n in range(count)),
                          headers={"Content-Type": "application/x-ndjson",
                                   "Prefer": "return=representation"})
        self.assertEqual(202, reply.status)
        return {event_id: (1, n) for n, event_id in enumerate(reply.json()["ids"])}

    def complaint(self, options, words):
        """What the node says of a sink that can't work."""
        with Node({**OPTIONS, **options}) as node:
            self.send(node)
            wait_for(lambda: words in node.log(), f"the log says '{words}'")
            return node.log()

    def test_tls_and_password(self):
        with SecureRedisServer() as server:
            exercise(self, server, events=2000, schedule=[(0.3, "kill_server", 0.1)])

    def test_a_certificate_that_is_not_trusted(self):
        with SecureRedisServer() as server:
            options = server.sink_options(SINK)
            del options[f"sinks.{SINK}.ca_file"]
            self.complaint(options, "certificate is not accepted")
            options = server.sink_options(SINK)
            options[f"sinks.{SINK}.url"] = f"rediss://127.0.0.1:{server.port}"  # not its name
            self.complaint(options, "certificate is not accepted")
            self.assertEqual([], server.read_all())

    def test_a_wrong_password_is_told_and_not_shown(self):
        with SecureRedisServer() as server:
            options = server.sink_options(SINK)
            del options[f"sinks.{SINK}.password"]
            options[f"sinks.{SINK}.url"] = f"rediss://:hunter2@localhost:{server.port}"
            log = self.complaint(options, "WRONGPASS")
            self.assertIn(f"sinks.{SINK} (localhost:{server.port})", log)
            self.assertNotIn("hunter2", log)

    def test_rights_that_are_missing(self):
        with SecureRedisServer() as server:
            with server.client() as client:
                client("ACL", "SETUSER", server.username, "-multi")
            self.complaint(server.sink_options(SINK), "+multi")
            self.assertEqual([], server.read_all())

    def test_a_key_that_holds_something_else(self):
        with RedisServer() as server, server.client() as client:
            client("SET", "events:default", "mine")
            with Node({**OPTIONS, **server.sink_options(SINK)}) as node:
                promised = self.send(node)
                wait_for(lambda: "WRONGTYPE" in node.log(), "the node says why")
                self.assertEqual(b"mine", client("GET", "events:default"))
                client("DEL", "events:default")
                wait_for(lambda: len(server.read_all()) >= len(promised), "all have arrived")
                self.assertEqual((0, []), check(promised, server.read_all(), True))

    def test_what_the_server_lost_is_told_and_nothing_else_is_skipped(self):
        with RedisServer() as server, server.client() as client:
            with Node({**OPTIONS, **server.sink_options(SINK)}) as node:
                self.send(node)
                wait_for(lambda: len(server.read_all()) == 300, "all have arrived")
                client("FLUSHALL")
                server.entries, server.last_entry = [], "-"
                promised = self.send(node)
                wait_for(lambda: len(server.read_all()) >= 300, "the second batch has arrived")
                self.assertEqual((0, []), check(promised, server.read_all(), True))
                self.assertIn("has lost what it had confirmed", node.log())

    def test_length_is_kept(self):
        with RedisServer() as server, server.client() as client:
            with Node({**OPTIONS, **server.sink_options(SINK),
                       f"sinks.{SINK}.max_len": 1000}) as node:
                for _ in range(10):
                    promised = self.send(node, 1000)
                last = max(promised)
                wait_for(lambda: client("XREVRANGE", "events:default", "+", "-", "COUNT", 1)
                         [0][1][1].decode() == last, "the last has arrived")
                # Whole nodes of the stream go, of 100 entries as a rule.
                self.assertLessEqual(1000, client("XLEN", "events:default"))
                self.assertLess(client("XLEN", "events:default"), 1200)

    def test_a_database_of_its_own(self):
        with RedisServer() as server:
            url = f"redis://127.0.0.1:{server.port}/3"
            with Node({**OPTIONS, **server.sink_options(SINK), f"sinks.{SINK}.url": url}) as node, \
                    server.client() as client:
                self.send(node)
                client("SELECT", 3)
                wait_for(lambda: client("XLEN", "events:default") == 300, "all have arrived")


if __name__ == "__main__":
    harness.main()
