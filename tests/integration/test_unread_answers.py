#!/usr/bin/env python3
"""Strangers who make a node write and never read, or never finish what they began: it stays within
its bounds, and who pays is served."""

import socket
import threading
import time
import unittest

import harness
from harness import Node, wait_for
from http_client import request_bytes

ATTACKERS = 60
PIPELINED = 64
SECONDS = 5
EVERY_S = 0.02
# What the process may grow by: http.max_in_flight, as much again for buffers that double while they
# grow, and what its allocator keeps.
MAX_GROWTH = 64 << 20
LINES = {"bad": b"x\n" * 10_000, "refused": b"1\n" * 10_000}
NDJSON = {"Content-Type": "application/x-ndjson"}
OPTIONS = {
    "http.threads": 2,
    "http.max_in_flight": "8MiB",
    "identity.order": ["header:x-client", "ip"],
    "plans.anonymous.limits": [{"name": "l", "algorithm": "fixed_window", "amount": 5000,
                                "window": "1h"}],
}


def open_attack(node, data):
    """A connection that sends the data, as fast as it is taken, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", node.http_port))
    connection.setblocking(False)
    return [connection, data, 0]


def push(node, attack):
    connection, data, at = attack
    try:
        if at < len(data):
            attack[2] = at + connection.send(data[at:at + (256 << 10)])
        elif not connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError
    except BlockingIOError:
        pass
    except OSError: # it was closed for what it does: here is the next one
        connection.close()
        attack[:] = open_attack(node, data)


class UnreadAnswers(unittest.TestCase):
    def attack(self, data):
        """Growth of the process in bytes, the statuses of a client that sends on, and its metrics."""
        with Node(OPTIONS) as node:
            paying = node.client()
            self.assertEqual(paying.post(b"x", headers={"X-Client": "paying"}).status, 202)
            before = node.rss_bytes()
            attacks = [open_attack(node, data) for _ in range(ATTACKERS)]
            stop = threading.Event()

            def go_on():
                while not stop.is_set():
                    for attack in attacks:
                        push(node, attack)
                    stop.wait(0.01)

            pusher = threading.Thread(target=go_on)
            pusher.start()
            statuses, most, held, bound = {}, 0, 0, 0
            try:
                ends = time.monotonic() + SECONDS
                while time.monotonic() < ends:
                    status = paying.post(b"x" * 100, headers={"X-Client": "paying"}).status
                    statuses[status] = statuses.get(status, 0) + 1
                    most = max(most, node.rss_bytes())
                    time.sleep(EVERY_S)
                metrics = node.metrics()
                held = metrics.get("penstock_http_memory_bytes")
                bound = metrics.get("penstock_http_memory_max_bytes")
            finally:
                stop.set()
                pusher.join()
                for connection, _, _ in attacks:
                    connection.close()
            paying.close()
            wait_for(lambda: node.metrics().get("penstock_http_memory_bytes") < 64 << 10,
                     "nothing is held when the attackers have gone")
            self.assertEqual(bound, 8 << 20)
            self.assertLessEqual(held, 1.25 * bound)
            self.assertEqual(set(statuses), {202}, statuses)
            self.assertLess(most - before, MAX_GROWTH)
            return metrics

    def batches(self, lines, headers=()):
        return request_bytes("POST", "/v1/events", lines,
                             {**NDJSON, "X-Client": "stranger", **dict(headers)}) * PIPELINED

    def test_bad_lines(self):
        self.attack(self.batches(LINES["bad"]))

    def test_a_quota_that_is_used_up(self):
        self.attack(self.batches(LINES["refused"]))

    def test_ids(self):
        self.attack(self.batches(LINES["refused"], {"Prefer": "return=representation"}))

    def test_halves_of_headers(self):
        # Each connection gets one header's beginning, a little less than the bound on headers.
        self.attack(b"GET /" + b"x" * 15_000)

    def test_halves_of_bodies(self):
        metrics = self.attack(b"POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n"
                              + b"x" * 900_000)
        self.assertGreaterEqual(metrics.get("penstock_shed_total", reason="in_flight"), 1)

    def test_small_answers(self):
        self.attack(request_bytes("GET", "/v1/nothing-here") * 1000)

    def test_one_answer_is_told_in_a_hundred_errors(self):
        with Node(OPTIONS) as node:
            for kind in LINES:
                reply = node.post(LINES[kind], headers={**NDJSON, "X-Client": kind})
                answer = reply.json()
                self.assertLess(len(reply.body), 20_000)
                self.assertEqual(answer["accepted"] + answer["rejected"], 10_000)
                self.assertEqual(len(answer["errors"]), 100)
                self.assertEqual(answer["errors_omitted"], answer["rejected"] - 100)


if __name__ == "__main__":
    harness.main()
