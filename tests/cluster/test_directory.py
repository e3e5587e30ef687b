#!/usr/bin/env python3
"""Nodes that find each other through NATS: they come, go, are killed and stopped, and a client's
total stays right; the directory itself may go away."""

import pathlib
import signal
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks"):
    sys.path.insert(0, str(HERE.parent / folder))

import harness  # noqa: E402
from harness import Node, free_port, wait_for  # noqa: E402
from http_client import Closed  # noqa: E402
from nats_client import NatsServer  # noqa: E402

AMOUNT = 100
CLIENTS = [f"client-{i}" for i in range(12)]


class Directory(unittest.TestCase):
    def setUp(self):
        self.nats = NatsServer()
        self.addCleanup(self.nats.stop)
        self.nats.start()
        self.nodes = []

    def tearDown(self):
        for node in self.nodes:  # as when links refuse what peers do say
            self.assertNotIn("nothing that a peer says", node.log())

    def node(self, name, amount=AMOUNT, **more):
        node = Node({
            "node.name": name,
            "cluster.name": "moving",
            "cluster.directory": "nats",
            "cluster.nats_url": f"nats://127.0.0.1:{self.nats.port}",
            "cluster.listen": f"127.0.0.1:{free_port()}",
            "cluster.secret": "0123456789abcdef",
            "cluster.on_owner_unreachable": "refuse",
            "cluster.verdict_timeout": "5s",
            "identity.order": ["header:X-Client", "ip"],
            "plans.anonymous.limits": [{"name": "shared", "algorithm": "fixed_window",
                                        "amount": amount, "window": "720h"}],
            **more})
        self.addCleanup(node.close)
        self.nodes.append(node)
        return node

    def start(self, count, **more):
        nodes = [self.node(chr(ord("a") + i), **more) for i in range(count)]
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()
        self.wait_for_members(nodes, count)
        return nodes

    def wait_for_members(self, nodes, count, within_s=10):
        began = time.monotonic()
        for node in nodes:
            wait_for(lambda: self.members_of(node) == count, f"{count} members", within_s, 0.005)
            wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") >= count - 1,
                     "links", within_s)
        wait_for(lambda: sum(n.metrics().get("penstock_shards", state="owned")
                             for n in nodes) == 256, "all shards owned", within_s, 0.005)
        return time.monotonic() - began

    @staticmethod
    def members_of(node):
        return node.metrics().get("penstock_cluster_members")

    def send(self, node, client, count=1):
        """How many of so many were accepted; nothing but 202 and 429 may come."""
        taken = 0
        with node.client() as connection:
            for _ in range(count):
                reply = connection.post(b"x", headers={"X-Client": client})
                self.assertIn(reply.status, (202, 429), reply)
                taken += reply.status == 202
        return taken

    def spend(self, nodes, count):
        """So many of each client, one node after the other."""
        return {client: sum(self.send(nodes[i % len(nodes)], client) for i in range(count))
                for client in CLIENTS}

    @staticmethod
    def wait_for_backups(nodes):
        """A crash may cost what was admitted in the last moment; where it must not, that is known to
        the next node already."""
        time.sleep(0.2)  # the figure is told every 50 ms
        for node in nodes:
            wait_for(lambda: node.metrics().get("penstock_limiter_unsent_units") == 0, "backups", 10)

    def test_members_come_and_go(self):
        a, b = self.start(2)
        self.assertEqual(self.spend([a, b], 40), dict.fromkeys(CLIENTS, 40))
        c = self.node("c")
        c.start()
        self.wait_for_members([a, b, c], 3)
        self.assertEqual(self.spend([a, b, c], 30), dict.fromkeys(CLIENTS, 30))
        b.signal(signal.SIGTERM)
        self.assertEqual(b.wait(), 0)
        self.wait_for_members([a, c], 2)
        self.assertEqual(self.spend([a, c], 40), dict.fromkeys(CLIENTS, 30))
        self.assertIn("left the cluster", b.log())

    def test_a_dead_owner_is_replaced(self):
        nodes = self.start(3)
        self.assertEqual(self.spend(nodes, 60), dict.fromkeys(CLIENTS, 60))
        self.wait_for_backups(nodes)
        nodes[0].kill()
        began = time.monotonic()
        taken = self.spend(nodes[1:], 60)
        self.assertEqual(taken, dict.fromkeys(CLIENTS, 40))
        self.wait_for_members(nodes[1:], 2)
        print(f"killed: 12 clients' totals right after {time.monotonic() - began:.1f} s ", end="",
              file=sys.stderr)
        # It comes back with an empty hand, and gets what it is to have.
        nodes[0].start()
        self.wait_for_members(nodes, 3)
        self.assertEqual(self.spend(nodes, 3), dict.fromkeys(CLIENTS, 0))

    def test_a_stopped_owner_is_replaced_and_comes_back(self):
        nodes = self.start(3)
        self.assertEqual(self.spend(nodes, 60), dict.fromkeys(CLIENTS, 60))
        self.wait_for_backups(nodes)
        nodes[0].signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.assertEqual(self.spend(nodes[1:], 60), dict.fromkeys(CLIENTS, 40))
            print(f"stopped: right after {time.monotonic() - began:.1f} s ", end="",
                  file=sys.stderr)
            self.wait_for_members(nodes[1:], 2)
        finally:
            nodes[0].signal(signal.SIGCONT)
        self.wait_for_members(nodes, 3)
        self.assertEqual(self.spend(nodes, 3), dict.fromkeys(CLIENTS, 0))

    def test_the_directory_may_go_away(self):
        nodes = self.start(3)
        self.assertEqual(self.spend(nodes, 30), dict.fromkeys(CLIENTS, 30))
        self.nats.kill()
        deadline = time.monotonic() + 4
        spent = 0
        while time.monotonic() < deadline:
            self.assertEqual(self.spend(nodes, 3), dict.fromkeys(CLIENTS, 3))
            spent += 3
            if spent == 60:
                break
            time.sleep(0.15)
        for node in nodes:
            self.assertEqual(self.members_of(node), 3)
        self.nats.start()
        self.assertEqual(self.spend(nodes, 3), dict.fromkeys(CLIENTS, min(3, 70 - spent)))

    def test_keys_follow_their_shards(self):
        """A repeat is recognised by whichever node, while nodes come and go."""
        nodes = self.start(2, amount=100_000_000)
        ids, failed, lost, refused = {}, [], [0], {}
        stop = threading.Event()

        def once(node, key):
            """As a client that does what Retry-After says, with the same key, for a while."""
            began = time.monotonic()
            while True:
                with node.client() as connection:
                    reply = connection.post(key.encode(), headers={"Idempotency-Key": key,
                                                                   "X-Client": CLIENTS[0]})
                waited_s = time.monotonic() - began
                if reply.status != 503 or "retry-after" not in reply.headers or waited_s > 10:
                    return reply
                refused[key] = waited_s  # its owner is not in reach at this moment
                time.sleep(0.02)

        def check(key, reply):
            if reply.status != 202:
                return failed.append((key, reply.status, reply.body))
            told = reply.json()["id"]
            known = ids.setdefault(key, told)
            if known != told:
                failed.append((key, known, told, reply.headers))

        def load():
            at = 0
            while not stop.is_set():
                key = f"under-load-{at}"
                for turn in range(3):  # each key three times in a row, through different nodes
                    try:
                        check(key, once(nodes[(at + turn) % len(nodes)], key))
                    except (OSError, Closed):
                        lost[0] += 1  # that node is not there: the next one is asked
                at += 1
                time.sleep(0.002)

        def repeat(node, keys):
            for key in keys:
                reply = once(node, key)
                check(key, reply)
                self.assertEqual(reply.headers.get("idempotent-replayed"), "true", (key, reply))

        keys = [f"key-{i}" for i in range(200)]
        for i, key in enumerate(keys):
            check(key, once(nodes[i % 2], key))
        worker = threading.Thread(target=load)
        worker.start()
        try:
            c = self.node("c", amount=100_000_000)
            c.start()
            nodes.append(c)
            self.wait_for_members(nodes, 3)
            repeat(c, keys)
            nodes[0].signal(signal.SIGTERM)
            self.assertEqual(nodes[0].wait(), 0)
            self.wait_for_members(nodes[1:], 2)
            repeat(nodes[1], keys)
            nodes[0].start()
            self.wait_for_members(nodes, 3)
            repeat(nodes[0], keys)
        finally:
            stop.set()
            worker.join(30)
        self.assertEqual(failed[:3], [])
        self.assertGreater(len(ids), 250, lost)  # 200, and those under load
        moved = sum(n.metrics().get("penstock_idempotency_moved_keys_total", direction="received")
                    for n in nodes)
        self.assertGreater(moved, 100)
        self.assertLess(len(refused), len(ids) / 10)
        print(f"{len(ids)} keys, {len(refused)} had to be sent again, for "
              f"{max(refused.values(), default=0):.2f} s at most ", end="", file=sys.stderr)

    def test_a_rolling_restart_fails_no_request(self):
        nodes = self.start(3, amount=100_000_000)
        stop, failed, errors, sent = threading.Event(), [], [], [0]

        def load():
            # As any client: one of the nodes that take connections, again after a closed one.
            at = 0
            connection = None
            while not stop.is_set():
                try:
                    connection = connection or nodes[at % 3].client()
                    reply = connection.post(b"x", headers={"X-Client": CLIENTS[at % 12]})
                    sent[0] += 1
                    if reply.status != 202:
                        failed.append(reply)
                    if reply.headers.get("connection") == "close":
                        raise ConnectionError
                    time.sleep(0.001)
                except (OSError, Closed) as error:
                    errors.append(error)
                    connection = None
                    at += 1

        worker = threading.Thread(target=load)
        worker.start()
        try:
            for node in nodes:
                node.signal(signal.SIGTERM)
                self.assertEqual(node.wait(), 0)
                node.start()
                self.wait_for_members(nodes, 3)
                seen = sent[0]
                wait_for(lambda: sent[0] > seen + 100, f"requests go on; {errors[-3:]}")
        finally:
            stop.set()
            worker.join(30)
        self.assertEqual(failed[:3], [])
        print(f"{sent[0]} requests ", end="", file=sys.stderr)


if __name__ == "__main__":
    harness.main()
