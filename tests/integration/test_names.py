#!/usr/bin/env python3
"""Names of streams belong to the node: no stranger uses them up, and who may send to which."""

import signal
import unittest

import harness
from harness import Node, request_bytes

LIMIT = [{"name": "hourly", "algorithm": "fixed_window", "amount": 1, "window": "1h"}]
PLACES = 4096


def send(node, stream, **fields):
    """One event over a connection of its own: the kernel chooses the lane."""
    with node.client() as client:
        return client.post(b"x", stream=stream, headers=fields)


def flood(node, names, headers):
    """Events to all these streams over one connection; their statuses."""
    statuses = []
    with node.client() as client:
        for at in range(0, len(names), 32):
            some = names[at:at + 32]
            client.send(b"".join(request_bytes("POST", f"/v1/events/{name}", b"x", headers)
                                 for name in some))
            statuses += [client.read().status for _ in some]
    return statuses


class RefusedNames(unittest.TestCase):
    def test_thousands_that_were_refused_shut_no_stream(self):
        options = {"plans.anonymous.limits": LIMIT, "streams.orders.ack": "journaled",
                   "identity.order": ["header:X-Client", "ip"]}
        with Node(options) as node:
            for connection in range(8):  # over both lanes
                names = [f"x{connection}-{i}" for i in range(600)]
                statuses = flood(node, names, {"X-Client": "stranger"})
                self.assertLessEqual(statuses.count(202), 1 if connection == 0 else 0)
                self.assertEqual(statuses.count(404), 0, statuses[:40])
            for stream in ("default", "orders", "new", "x0-599"):
                for attempt in range(6):
                    reply = send(node, stream, **{"X-Client": f"friend-{stream}-{attempt}"})
                    self.assertEqual(reply.status, 202, reply)
            self.assertEqual(node.metrics().get("penstock_stream_names"), 3)

    def test_one_client_does_not_get_all(self):
        with Node({"streams.orders.ack": "journaled", "identity.order": ["bearer", "ip"]}) as node:
            made = node.admin("POST", "/v1/admin/keys", {"account": "friend", "plan": "anonymous"})
            key = made.json()["key"]
            statuses = flood(node, [f"x{i}" for i in range(PLACES)], {})
            self.assertEqual(statuses.count(202), PLACES // 2)
            self.assertEqual(statuses.count(404), PLACES // 2)
            for attempt in range(4):
                reply = send(node, f"more{attempt}")
                self.assertEqual(reply.status, 404, reply)
                self.assertIn("configured", reply.json()["detail"])
                self.assertEqual(send(node, "default").status, 202)
                self.assertEqual(send(node, "orders").status, 202)
                self.assertEqual(send(node, "x7").status, 202)
                self.assertEqual(send(node, f"mine{attempt}", Authorization=f"Bearer {key}").status, 202)
            metrics = node.metrics()
            self.assertGreater(metrics.get("penstock_shed_total", reason="stream_share"), 4)
            self.assertEqual(metrics.get("penstock_stream_names_max"), PLACES)
            def shown():
                return [labels["stream"] for name, labels, _ in node.metrics().samples
                        if name == "penstock_queue_depth"]
            harness.wait_for(lambda: "(other)" in shown(), "the queue tells how it stands")
            self.assertLess(len(shown()), 120)
            harness.wait_for(lambda: "new name" in node.log(), "a line in the log")
            # What the journal has events of is known after a restart.
            node.stop()
            node.start()
            self.assertEqual(send(node, "x7").status, 202)
            self.assertEqual(send(node, "mine0").status, 202)
            self.assertGreater(node.metrics().get("penstock_stream_names"), PLACES // 2)


class UnknownStreams(unittest.TestCase):
    def test_only_what_is_configured_and_a_reload(self):
        options = {"http.unknown_streams": "refuse", "streams.orders.ack": "journaled"}
        with Node(options) as node:
            for stream, status in (("orders", 202), ("default", 202), ("other", 404), ("..", 400)):
                self.assertEqual(send(node, stream).status, status, stream)
            node.configure({"http.unknown_streams": "accept"})
            node.signal(signal.SIGHUP)
            harness.wait_for(lambda: send(node, "other").status == 202, "the reload")
            node.configure({"http.unknown_streams": "refuse"})
            node.signal(signal.SIGHUP)
            harness.wait_for(lambda: send(node, "other").status == 404, "the reload")


class Dots(unittest.TestCase):
    def test_steps_of_a_path_are_no_names(self):
        with Node() as node:
            for name in (".", "..", "%2e", "%2e%2e", "%2E.", ".%2e"):
                with self.subTest(name):
                    self.assertEqual(send(node, name).status, 400)
                    for path in ("", "/receive", "/ack", "/nack"):
                        method = "POST" if path else "GET"
                        reply = node.admin(method, f"/v1/queue/{name}{path}", {} if path else None)
                        self.assertEqual(reply.status, 400, (path, reply))
            for name in (".", ".."):
                reply = node.admin("POST", "/v1/admin/keys",
                                   {"account": "a", "plan": "anonymous", "streams": [name]})
                self.assertEqual(reply.status, 400, reply)
                reply = node.admin("POST", "/v1/admin/replay", {"stream": name, "sink": "queue"})
                self.assertEqual(reply.status, 400, reply)
            for name in ("a..b", ".a", "a.", "...", "-", "_"):
                self.assertEqual(send(node, name).status, 202, name)


if __name__ == "__main__":
    harness.main()
