#!/usr/bin/env python3
"""SIGTERM drains and loses nothing; SIGHUP reloads, and keeps the old when the new is bad."""

import re
import signal
import threading
import time
import unittest

import harness
from harness import Closed, Node, body_of, request_bytes, wait_for


def limit(amount, window="1h"):
    return [{"name": "only", "algorithm": "fixed_window", "amount": amount, "window": window}]


class Drain(unittest.TestCase):
    def test_idle(self):
        with Node() as node:
            self.assertEqual(node.stop(), 0, node.log())

    def test_sigint_drains_too(self):
        with Node() as node:
            node.signal(signal.SIGINT)
            self.assertEqual(node.wait(), 0, node.log())

    def test_idle_connections_do_not_hold_it_up(self):
        with Node({"node.drain_timeout": "30s"}) as node:
            clients = [node.client() for _ in range(10)]
            for client in clients:
                self.assertEqual(client.post(b"x").status, 202)
            began = time.monotonic()
            self.assertEqual(node.stop(), 0, node.log())
            self.assertLess(time.monotonic() - began, 10)
            for client in clients:
                self.assertEqual(client.read_to_end(), b"")
                client.close()

    def test_a_request_under_way_is_answered(self):
        with Node({"node.drain_timeout": "30s", "journal.retention": "1h"}) as node:
            with node.client() as client:
                request = request_bytes("POST", "/v1/events", b"half and half")
                client.send(request[:-5])
                # The node has seen it once a later request on another connection is answered.
                self.assertEqual(node.post(b"later", "other").status, 202)
                node.signal(signal.SIGTERM)
                wait_for(lambda: not node.is_ready(), "it is not ready any more")
                wait_for(lambda: self.refuses(node), "nobody new is let in")
                self.assertIsNone(node.process.poll(), "it waits for the request")
                client.send(request[-5:])
                reply = client.read()
                self.assertEqual(reply.status, 202, reply)
                self.assertEqual(reply.headers["connection"], "close")
                self.assertEqual(client.read_to_end(), b"")
            self.assertEqual(node.wait(), 0, node.log())
            node.start()
            self.assertEqual([(m["id"], body_of(m)) for m in node.drain_queue()],
                             [(reply.json()["id"], b"half and half")])

    def refuses(self, node):
        """True when every listening socket is closed: each serves some of the connections."""
        for _ in range(20):
            try:
                with node.client():
                    return False
            except ConnectionRefusedError:
                continue
        return True

    def test_a_request_that_never_ends_is_cut_off(self):
        with Node({"node.drain_timeout": "500ms"}) as node, node.client() as client:
            client.send(request_bytes("POST", "/v1/events", b"never whole")[:-1])
            self.assertEqual(node.post(b"x").status, 202)
            self.assertEqual(node.stop(10), 0, node.log())

    def test_an_open_receive_does_not_hold_it_up(self):
        with Node() as node:
            got = []
            def waiting():
                try:
                    got.append(node.admin("POST", "/v1/queue/default/receive", {"wait_s": 20}))
                except (OSError, Closed) as failure:
                    got.append(failure)
            waiter = threading.Thread(target=waiting)
            waiter.start()
            wait_for(lambda: node.metrics().get("penstock_queue_waiters") >= 1, "it waits")
            began = time.monotonic()
            self.assertEqual(node.stop(), 0, node.log())
            self.assertLess(time.monotonic() - began, 10)
            waiter.join(10)
            self.assertTrue(got)

    def test_under_load_every_202_is_kept(self):
        for ack in ("journaled", "received"):
            with self.subTest(ack), Node({"streams.default.ack": ack, "journal.retention": "1h",
                                          "journal.received_delay": "1s"}) as node:
                promised, over = [], threading.Event()
                def send(index):
                    count = 0
                    while not over.is_set():
                        try:
                            with node.client() as client:
                                while True:
                                    count += 1
                                    body = b"%d-%d" % (index, count)
                                    reply = client.post(body)
                                    if reply.status == 202:
                                        promised.append((reply.json()["id"], body))
                                    if reply.headers.get("connection") == "close":
                                        break
                        except (OSError, Closed):
                            over.wait(0.01)
                senders = [threading.Thread(target=send, args=(i,)) for i in range(4)]
                for sender in senders:
                    sender.start()
                wait_for(lambda: len(promised) > 300, "events are taken")
                self.assertEqual(node.stop(), 0, node.log())
                over.set()
                for sender in senders:
                    sender.join()
                node.start()
                stored = {m["id"]: body_of(m) for m in node.drain_queue()}
                self.assertEqual([p for p in promised if stored.get(p[0]) != p[1]], [])


class Reload(unittest.TestCase):
    def remaining(self, node):
        reply = node.post(b"x")
        return reply.headers.get("ratelimit", "none") if reply.status == 202 else reply.status

    def reload(self, node, logged):
        """SIGHUP, and waits until the log says how it went."""
        before = len(node.log())
        node.signal(signal.SIGHUP)
        return wait_for(lambda: logged in node.log()[before:].lower() and node.log()[before:],
                        f"the log says {logged!r}; it says {node.log()[-600:]}")

    def test_a_changed_limit_takes_effect(self):
        with Node({"plans.anonymous.limits": limit(2)}) as node:
            self.assertEqual([node.post(b"x").status for _ in range(3)], [202, 202, 429])
            node.configure({"plans.anonymous.limits": limit(50)})
            node.signal(signal.SIGHUP)
            reply = wait_for(lambda: (r := node.post(b"x")).status == 202 and r, "the new limit")
            self.assertEqual(reply.headers["ratelimit-policy"], '"only";q=50;w=3600')
            # Down again, and to none at all.
            node.configure({"plans.anonymous.limits": limit(1)})
            node.signal(signal.SIGHUP)
            wait_for(lambda: node.post(b"x").status == 429, "the lower limit")
            node.configure({"plans.anonymous.limits": []})
            node.signal(signal.SIGHUP)
            wait_for(lambda: "ratelimit" not in node.post(b"x").headers, "no limit")
            self.assertEqual(node.stop(), 0)

    def test_a_reload_gives_nobody_a_fresh_allowance(self):
        with Node({"plans.anonymous.limits": limit(5)}) as node:
            self.assertEqual([node.post(b"x").status for _ in range(6)], [202] * 5 + [429])
            for _ in range(3):
                self.reload(node, "reload")
            self.assertEqual(node.post(b"x").status, 429)

    def test_a_bad_reload_keeps_the_old(self):
        with Node({"plans.anonymous.limits": limit(30)}) as node:
            good = node.config_file.read_text()
            for name, bad in {"no TOML": "this is not TOML [",
                              "an unknown key": good + "\n[jurnal]\nmax_size = 1\n",
                              "a bad value": good.replace("amount = 30", "amount = -3"),
                              "no file": None}.items():
                with self.subTest(name):
                    if bad is None:
                        node.config_file.unlink()
                    else:
                        node.write_config(bad)
                    self.assertRegex(self.reload(node, "reload").lower(), "kept|keep|stay|goes on")
                    self.assertTrue(node.is_ready())
                    self.assertEqual(node.post(b"x").headers["ratelimit-policy"],
                                     '"only";q=30;w=3600')
            node.write_config(good.replace("amount = 30", "amount = 300"))
            node.signal(signal.SIGHUP)
            wait_for(lambda: node.post(b"x").headers["ratelimit-policy"] == '"only";q=300;w=3600',
                     "a good file is taken after bad ones")

    def test_what_waits_for_the_next_start_is_named(self):
        with Node({"log.level": "info"}) as node:
            node.configure({"http.max_body": "2MiB", "log.level": "debug"})
            node.signal(signal.SIGHUP)
            wait_for(lambda: "effect at the next one: http.max_body\n" in node.log(), "it is named")

    def test_the_log_level(self):
        with Node({"log.level": "error"}) as node:
            node.configure({"log.level": "debug"})
            before = len(node.log())
            node.signal(signal.SIGHUP)
            wait_for(lambda: len(node.log()) > before, "more is logged")

    def test_under_load_nothing_fails(self):
        with Node({"plans.anonymous.limits": limit(1_000_000)}) as node:
            failures, over, count = [], threading.Event(), [0]
            def is_right(reply):
                """Policy and state are of the same rules: what is missing is what was sent."""
                policy = re.fullmatch(r'"only";q=(\d+);w=3600', reply.headers["ratelimit-policy"])
                state = re.match(r'"only";r=(\d+);', reply.headers["ratelimit"])
                return int(policy[1]) - int(state[1]) == count[0]
            def send():
                with node.client() as client:
                    while not over.is_set():
                        count[0] += 1
                        reply = client.post(b"x")
                        if reply.status != 202 or not is_right(reply):
                            failures.append((reply.status, reply.headers, count[0]))
            sender = threading.Thread(target=send)
            sender.start()
            for i in range(20):
                node.configure({"plans.anonymous.limits": limit(1_000_000 * (2 + i % 3))})
                node.signal(signal.SIGHUP)
                seen = count[0]
                wait_for(lambda: count[0] > seen + 5, "requests go on")
            over.set()
            sender.join(20)
            self.assertEqual(failures, [])


if __name__ == "__main__":
    harness.main()
