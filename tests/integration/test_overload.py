#!/usr/bin/env python3
"""What a node does when it has too much: bodies that fill its memory bound, no file descriptors."""

import os
import socket
import time
import unittest

import harness
from harness import Node, wait_for

BODY = 600 << 10
SENT = 400 << 10
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Overload(unittest.TestCase):
    def test_unfinished_bodies_count_against_the_bound(self):
        options = {"http.threads": 1, "http.max_in_flight": "1MiB", "http.max_body": "1MiB"}
        with Node(options) as node:
            held = []
            answers = b""
            for _ in range(8):
                connection = socket.create_connection(("127.0.0.1", node.http_port), timeout=10)
                held.append(connection)
                connection.sendall(b"POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
                                   % BODY + b"x" * SENT)

            def refused():
                nonlocal answers
                for connection in held:
                    connection.setblocking(False)
                    try:
                        answers += connection.recv(4096)
                    except (BlockingIOError, ConnectionResetError):
                        pass
                return b"HTTP/1.1 503 " in answers

            wait_for(refused, "a 503 for one of the bodies that do not fit")
            self.assertIn(b"Retry-After: 1", answers)
            self.assertIn(b"temporary-reduced-capacity", answers)
            self.assertGreaterEqual(node.metrics().get("penstock_shed_total", reason="in_flight"), 1)
            for connection in held:
                connection.close()
            wait_for(lambda: node.post(b"x" * BODY).status == 202, "room for a body again")

    def test_a_body_larger_than_a_lanes_share_is_taken(self):
        options = {"http.threads": 4, "http.max_in_flight": "1MiB", "http.max_body": "1MiB"}
        with Node(options) as node:
            self.assertEqual(node.post(b"x" * BODY).status, 202)

    def test_out_of_descriptors_costs_no_cpu(self):
        with Node({"http.threads": 2}, prefix=("prlimit", "--nofile=80:80")) as node:
            held = [socket.create_connection(("127.0.0.1", node.http_port), timeout=10)
                    for _ in range(120)]
            wait_for(lambda: len(os.listdir(f"/proc/{node.process.pid}/fd")) >= 79, "no descriptor left")
            before = cpu_seconds(node.process.pid)
            began = time.monotonic()
            wait_for(lambda: time.monotonic() - began > 1, "a second")
            self.assertLess(cpu_seconds(node.process.pid) - before, 0.5)
            for connection in held:
                connection.close()
            wait_for(lambda: node.post(b"x").status == 202, "service again")


if __name__ == "__main__":
    harness.main()
