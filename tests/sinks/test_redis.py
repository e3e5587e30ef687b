#!/usr/bin/env python3
"""The redis sink against redis-server: outages, states in which it refuses, TLS and passwords."""

import pathlib
import socket
import sys
import threading
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


def send(testcase, node, count=300):
    """Posts one batch of one client; gives what is promised."""
    reply = node.post(b"\n".join(body_of(1, n) for n in range(count)),
                      headers={"Content-Type": "application/x-ndjson",
                               "Prefer": "return=representation"})
    testcase.assertEqual(202, reply.status)
    return {event_id: (1, n) for n, event_id in enumerate(reply.json()["ids"])}


class LateBatch:
    """Stands between a node and its server. The first batch is held back until its connection has
    been given up and the next one sends its own: then it comes first, as from the buffers of a
    server that was frozen."""

    def __init__(self, server):
        self.server = server
        self.held = self.released = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()  # else it may accept from whoever gets the descriptor's number next
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # the test is over
            upstream = socket.create_connection(("127.0.0.1", self.server.port))
            for pump in (self.requests, self.answers):
                threading.Thread(target=pump, args=(client, upstream), daemon=True).start()

    def answers(self, client, upstream):
        try:
            while data := upstream.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass  # the client has given up

    def requests(self, client, upstream):
        with client:
            while data := client.recv(1 << 20):
                if b"XADD" in data and self.held is None:
                    self.held = upstream
                    while more := client.recv(1 << 20):
                        data += more
                    self.late = data
                    return
                if b"XADD" in data and self.released is None:
                    self.release()
                upstream.sendall(data)
        upstream.close()

    def release(self):
        self.held.sendall(self.late)
        count = self.late.count(b"XADD")
        with self.server.client() as redis:
            wait_for(lambda: redis("XLEN", "events:default") == count,
                     "the server has taken the late batch")
        self.released = True


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


class Exactly(unittest.TestCase):
    def test_a_batch_that_comes_late_is_not_taken_twice(self):
        with RedisServer() as server:
            with LateBatch(server) as late, Node({**OPTIONS, **server.sink_options(SINK),
                                               f"sinks.{SINK}.url": f"redis://127.0.0.1:{late.port}",
                                               f"sinks.{SINK}.timeout": "1s"}) as node:
                promised = send(self, node)
                wait_for(lambda: late.released, "the late batch has come")
                wait_for(lambda: len(server.read_all()) >= len(promised), "all have arrived")
                self.assertEqual(0, node.stop())  # with nothing under way
                self.assertEqual((0, []), check(promised, server.read_all(), True))


class Settings(unittest.TestCase):
    def complaint(self, options, words):
        """What the node says of a sink that can't work."""
        with Node({**OPTIONS, **options}) as node:
            send(self, node)
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
                promised = send(self, node)
                wait_for(lambda: "WRONGTYPE" in node.log(), "the node says why")
                self.assertEqual(b"mine", client("GET", "events:default"))
                client("DEL", "events:default")
                wait_for(lambda: len(server.read_all()) >= len(promised), "all have arrived")
                self.assertEqual((0, []), check(promised, server.read_all(), True))

    def test_what_the_server_lost_is_told_and_nothing_else_is_skipped(self):
        with RedisServer() as server, server.client() as client:
            with Node({**OPTIONS, **server.sink_options(SINK)}) as node:
                send(self, node)
                wait_for(lambda: len(server.read_all()) == 300, "all have arrived")
                client("FLUSHALL")
                server.entries, server.last_entry = [], "-"
                promised = send(self, node)
                wait_for(lambda: len(server.read_all()) >= 300, "the second batch has arrived")
                self.assertEqual((0, []), check(promised, server.read_all(), True))
                self.assertIn("has lost what it had confirmed", node.log())

    def test_length_is_kept(self):
        with RedisServer() as server, server.client() as client:
            with Node({**OPTIONS, **server.sink_options(SINK),
                       f"sinks.{SINK}.max_len": 1000}) as node:
                for _ in range(10):
                    promised = send(self, node, 1000)
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
                send(self, node)
                client("SELECT", 3)
                wait_for(lambda: client("XLEN", "events:default") == 300, "all have arrived")


if __name__ == "__main__":
    harness.main()
