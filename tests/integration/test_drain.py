#!/usr/bin/env python3
"""`penstock drain` and /v1/admin/drain: sinks get what they are owed, also one that is away for a
moment; what is left at the deadline is told, kept, and published by the next start."""

import json
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sinks"))

import harness  # noqa: E402
from harness import Closed, Node, free_port, request_bytes, wait_for  # noqa: E402
from nats_client import NatsServer  # noqa: E402

EVENTS = 300


def begin_drain(node, *words):
    process = subprocess.Popen(
        [harness.binary, "drain", "--admin", f"http://127.0.0.1:{node.admin_port}", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    harness._running.append(process)
    return process


def end_drain(process, within_s=40):
    """(exit code, stdout, stderr)"""
    out, err = process.communicate(timeout=within_s)
    return process.returncode, out, err


def drain(node, *words, within_s=40):
    return end_drain(begin_drain(node, *words), within_s)


def progress(node):
    return node.admin("GET", "/v1/admin/drain").json()


class Drain(unittest.TestCase):
    def start(self, **options):
        node = Node(options)
        self.addCleanup(node.close)
        return node.start()

    def with_nats(self, **options):
        """A node with a NATS sink, and the server."""
        server = NatsServer()
        self.addCleanup(server.stop)
        server.start()
        node = self.start(**{**server.sink_options("bus"), "streams.default.sinks": ["bus"],
                             "sinks.bus.timeout": "2s", **options})
        return node, server

    def send(self, node, count=EVENTS):
        """The ids that were promised."""
        with node.client() as client:
            replies = [client.post(b"%d" % i) for i in range(count)]
        self.assertEqual({reply.status for reply in replies}, {202})
        return [reply.json()["id"] for reply in replies]

    def arrived(self, server):
        return [event_id for event_id, _, _ in server.read_all()]

    # -- the command and the route -----------------------------------------------------------------

    def test_an_idle_node_is_gone_at_once(self):
        node = self.start()
        self.assertEqual(progress(node)["stage"], "serving")
        began = time.monotonic()
        code, out, err = drain(node)
        self.assertEqual((code, out), (0, "drained\n"), err)
        self.assertEqual(node.wait(5), 0)
        self.assertLess(time.monotonic() - began, 8)
        self.assertIn("drain: publishing", node.log())

    def test_json_and_no_wait(self):
        node = self.start()
        code, out, _ = drain(node, "--no-wait", "--json")
        self.assertEqual(code, 0)
        self.assertIn("stage", json.loads(out))
        self.assertEqual(node.wait(), 0)
        code, _, err = drain(node)
        self.assertEqual(code, 69)
        self.assertIn("can't be reached", err)

    def test_twice(self):
        node = self.start()
        with node.client() as client:
            # A request under way keeps it from ending.
            client.send(request_bytes("POST", "/v1/events", b"half and half")[:-5])
            self.assertEqual(node.post(b"x").status, 202)
            first = node.admin("POST", "/v1/admin/drain", {"timeout_s": 20})
            second = node.admin("POST", "/v1/admin/drain", {"timeout_s": 900})
            self.assertEqual((first.status, second.status), (202, 202))
            node.signal(signal.SIGTERM)
            def answering():
                now = progress(node)
                return now["stage"] == "answering" and now
            now = wait_for(answering, "it waits for the request")
            self.assertEqual(now["connections"], 1)
            self.assertLess(now["seconds_left"], 21)
            watching = begin_drain(node)
            time.sleep(0.3)
            client.send(b"-half"[-5:])
            self.assertEqual(client.read().status, 202)
        code, out, err = end_drain(watching)
        self.assertEqual(code, 0, err)
        self.assertTrue(out.startswith("drained\n2 events of the embedded queue"), out)
        self.assertEqual(node.wait(), 0)

    def test_it_serves_on_while_load_balancers_notice(self):
        node = self.start(**{"node.drain_delay": "1500ms"})
        draining = begin_drain(node)
        wait_for(lambda: not node.is_ready(), "it is not ready")
        deadline = time.monotonic() + 0.7
        taken = 0
        while time.monotonic() < deadline:
            self.assertEqual(node.post(b"x").status, 202)
            taken += 1
        self.assertGreater(taken, 10)
        self.assertEqual(end_drain(draining)[0], 0)

    # -- sinks -------------------------------------------------------------------------------------

    def test_a_sink_that_hangs_is_waited_for(self):
        node, server = self.with_nats()
        self.send(node, 10)
        server.freeze()
        ids = self.send(node)
        draining = begin_drain(node)
        def owes():
            now = progress(node)
            return now["stage"] == "publishing" and now["sinks"][0]["events"] >= EVENTS
        wait_for(owes, "it publishes")
        time.sleep(1)
        self.assertIsNone(node.process.poll())
        server.thaw()
        code, out, err = end_drain(draining)
        self.assertEqual((code, out), (0, "drained\n"), err)
        self.assertRegex(err, r"publishing: \d+ events for bus, \d+ s left")
        self.assertEqual(node.wait(), 0)
        self.assertEqual(set(ids) - set(self.arrived(server)), set())

    def test_a_sink_that_restarts_gets_everything_once(self):
        node, server = self.with_nats()
        self.send(node, 10)
        server.kill()
        ids = self.send(node)
        draining = begin_drain(node)
        wait_for(lambda: progress(node)["stage"] == "publishing", "it publishes")
        time.sleep(1.5)
        server.start()
        code, out, err = end_drain(draining)
        self.assertEqual((code, out), (0, "drained\n"), err)
        arrived = self.arrived(server)
        self.assertEqual(set(ids) - set(arrived), set())
        self.assertEqual(len(arrived), len(set(arrived)))

    def test_at_the_deadline_the_rest_is_told_and_kept(self):
        # It hangs for less time than a batch may take, so that its breaker never opens.
        node, server = self.with_nats(**{"sinks.bus.timeout": "30s"})
        self.send(node, 10)
        wait_for(lambda: len(self.arrived(server)) == 10, "the first arrive")
        server.freeze()
        ids = self.send(node)
        began = time.monotonic()
        code, out, err = drain(node, "--timeout", "2s", "--json")
        took = time.monotonic() - began
        self.assertEqual(code, 69, err)
        left = json.loads(out)["left"]
        self.assertEqual(len(left), 1, left)
        self.assertIn(f"sink bus is owed {EVENTS} events", left[0])
        self.assertIn(f"penstock adopt {node.data_dir}", left[0])
        self.assertGreater(took, 2)
        self.assertLess(took, 15)
        self.assertEqual(node.wait(), 0, "nothing that was promised is lost")
        self.assertIn(left[0], node.log())
        server.thaw()
        node.start()
        self.assertEqual(drain(node)[0], 0)
        arrived = self.arrived(server)
        self.assertEqual(set(ids) - set(arrived), set())
        self.assertEqual(len(arrived), len(set(arrived)))

    def test_a_dead_sink_does_not_hold_it_up(self):
        node, server = self.with_nats(**{"node.drain_timeout": "60s"})
        self.send(node, 10)
        server.kill()
        self.send(node)
        wait_for(lambda: node.metrics().get("penstock_sink_up") == 0, "the breaker opens")
        began = time.monotonic()
        code, out, err = drain(node)
        self.assertEqual(code, 69, err)
        self.assertIn("drained, but for this:\n  sink bus is owed ", out)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(node.wait(), 0)

    # -- the embedded queue ------------------------------------------------------------------------

    def test_consumers_are_waited_for_if_asked(self):
        node = self.start()
        self.send(node, 20)
        draining = begin_drain(node, "--wait-for-queue")
        wait_for(lambda: progress(node)["stage"] == "publishing", "it waits")
        self.assertEqual(progress(node)["queue_events"], 20)
        time.sleep(0.5)
        self.assertIsNone(node.process.poll())
        left = 20
        while left > 0:  # and no look more: with the last one the node is gone
            batch = node.receive()
            node.settle("default", batch)
            left -= len(batch)
        self.assertEqual(left, 0)
        code, out, err = end_drain(draining)
        self.assertEqual((code, out), (0, "drained\n"), err)

    def test_else_they_are_told_of(self):
        node = self.start()
        self.send(node, 20)
        code, out, _ = drain(node)
        self.assertEqual(code, 0)
        self.assertIn("20 events of the embedded queue stay", out)
        self.assertIn("consumers of the queue have not acknowledged 20 events", node.log())
        node.wait()
        node.start()
        self.assertEqual(len(node.drain_queue()), 20)

    # -- clients -----------------------------------------------------------------------------------

    def test_under_load_no_request_fails(self):
        """A client of two nodes, which repeats what it sent on a connection that was just closed."""
        nodes = [self.start(), self.start()]
        over, failed, sent = threading.Event(), [], [0]

        def load():
            at = 0
            while not over.is_set():
                try:
                    with nodes[at % 2].client() as connection:
                        while not over.is_set():
                            reply = connection.post(b"x")
                            sent[0] += 1
                            if reply.status != 202:
                                failed.append(reply)
                            if reply.headers.get("connection") == "close":
                                break
                except ConnectionRefusedError:
                    pass
                except (OSError, Closed) as closed:
                    # Idle, so it was closed. Whoever was being answered got the answer whole.
                    if getattr(closed, "partial", b""):
                        failed.append(closed)
                at += 1

        workers = [threading.Thread(target=load) for _ in range(3)]
        for worker in workers:
            worker.start()
        try:
            wait_for(lambda: sent[0] > 300, "requests are taken")
            code, _, err = drain(nodes[0])
            before = sent[0]
            wait_for(lambda: sent[0] > before + 100, "the other one goes on")
        finally:
            over.set()
            for worker in workers:
                worker.join(20)
        self.assertEqual(code, 0, err)
        self.assertEqual(failed[:3], [])
        self.assertNotIn("cut off", nodes[0].log())


if __name__ == "__main__":
    harness.main()
