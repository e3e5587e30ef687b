#!/usr/bin/env python3
"""Accounts and usage of a cluster: two account changes on two nodes at once that would break each
other, and one report over all nodes, whose sums are exact whoever leaves, dies and comes back."""

import pathlib
import shutil
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "cluster"):
    sys.path.insert(0, str(HERE.parent / folder))

import harness  # noqa: E402
from harness import cluster, wait_for  # noqa: E402
from test_three_nodes import wait_for_links  # noqa: E402

OPTIONS = {"identity.order": ["bearer", "x-api-key", "ip"], "node.drain_timeout": "10s"}


def start(testing, count=3):
    nodes = cluster(count, OPTIONS)
    for node in nodes:
        testing.addCleanup(node.close)
        node.launch()
    for node in nodes:
        node.wait_ready()
    wait_for_links(nodes, count - 1)
    return nodes


class AtOnce(unittest.TestCase):
    def test_a_plan_goes_while_another_node_makes_a_key_of_it(self):
        a, b = start(self, 2)
        made_keys = []
        for round_number in range(30):
            plan = f"gold-{round_number}"
            self.assertEqual(a.admin("PUT", f"/v1/admin/plans/{plan}", {"limits": []}).status, 200)
            wait_for(lambda: b.admin("GET", f"/v1/admin/plans/{plan}").status == 200, "the plan is known")
            together, replies = threading.Barrier(2), {}

            def act(name, node, *request):
                together.wait()
                replies[name] = node.admin(*request)

            wish = {"account": "acme", "plan": plan}
            workers = [threading.Thread(target=act, args=one) for one in (
                ("gone", a, "DELETE", f"/v1/admin/plans/{plan}"), ("made", b, "POST", "/v1/admin/keys", wish))]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(30)
            gone, made = replies["gone"], replies["made"]
            self.assertFalse(gone.status == 204 and made.status == 201, f"both, in round {round_number}")
            self.assertIn(gone.status, (204, 400), gone.body)
            self.assertIn(made.status, (201, 400, 503), made.body)
            if made.status == 201:
                made_keys.append(made.json()["key"])
        for key in made_keys:
            for node in (a, b):
                wait_for(lambda: node.post(b"x", headers={"X-Api-Key": key}).status == 202, "the key works", 3)


class Usage(unittest.TestCase):
    def send(self, node, stream, count):
        with node.client() as client:
            for _ in range(count):
                self.assertEqual(client.post(b"0123456789", stream).status, 202)
        self.sent[stream] = self.sent.get(stream, 0) + count

    @staticmethod
    def report(node, **more):
        query = "".join(f"&{name}={value}" for name, value in more.items())
        reply = node.admin("GET", "/v1/admin/usage?by=stream&per=minute&from=-1h&top=100" + query)
        assert reply.status == 200, reply.body
        return reply.json()

    def is_exact(self, node):
        report = self.report(node)
        return ({row["id"]: row["requests"] for row in report["top"]} == self.sent and
                report["total"]["requests"] == sum(self.sent.values()) and
                report["total"]["bytes"] == 10 * sum(self.sent.values()))

    def assert_exact(self, *nodes, within_s=8):
        for node in nodes:
            wait_for(lambda: self.is_exact(node), f"{self.sent} at {node.options['node.name']}", within_s, 0.1)

    def source_of(self, node, name):
        return [one["source"] for one in self.report(node)["nodes"] if one["node"] == name]

    def wait_until_copied(self, node, name, watcher):
        """What it counted until now is known to another one, too."""
        began = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        time.sleep(7)  # 5 s at most without traffic, and the seconds of writing
        node.kill()
        wait_for(lambda: self.source_of(watcher, name) == ["copy"], "the link is lost")
        told = next(one for one in self.report(watcher)["nodes"] if one["node"] == name)
        self.assertGreater(told["known_to"], stamp)

    def test_one_report_for_the_cluster(self):
        self.sent = {}
        a, b, c = start(self)
        for count, node in enumerate((a, b, c), 1):
            self.send(node, "all", 10 * count)
            self.send(node, node.options["node.name"], count)
        self.assert_exact(a, b, c)
        self.assertEqual(self.report(b)["missing"], [])
        self.assertEqual(sorted(row["id"] for row in self.report(b, scope="node")["top"]), ["all", "n1"])
        series = self.report(c, id="all")
        self.assertEqual(sum(bucket["requests"] for bucket in series["buckets"]), 60)

        # Killed, and back.
        self.wait_until_copied(a, "n0", b)
        self.assert_exact(b, c)
        self.send(b, "all", 5)
        a.start()
        wait_for_links([a, b, c], 2)
        self.send(a, "all", 3)
        self.assert_exact(a, b, c)
        self.assertEqual(self.source_of(b, "n0"), ["node"])

        # Leaves as planned, and its disk is gone at once.
        self.send(b, "n1", 7)
        self.assertEqual(b.stop(), 0)
        shutil.rmtree(b.data_dir)
        self.assert_exact(a, c)
        self.assertEqual(self.source_of(a, "n1"), ["copy"])
        # A new one takes its name.
        b.start()
        wait_for_links([a, b, c], 2)
        self.send(b, "n1", 2)
        self.assert_exact(a, b, c)
        self.assertEqual(sorted(self.source_of(c, "n1")), ["copy", "node"])

    def rebuild(self, node, **more):
        """What became of it."""
        begun = node.admin("POST", "/v1/admin/usage/rebuild", more)
        self.assertEqual(begun.status, 202, begun.body)
        return wait_for(lambda: (update := node.admin("GET", "/v1/admin/usage/rebuild").json())["state"] !=
                        "running" and update, "the rebuild is over")

    def test_a_rebuild_beside_the_copy_of_a_lost_usage_db(self):
        self.sent = {}
        a, b = start(self, 2)
        self.send(a, "all", 20)
        self.wait_until_copied(a, "n0", b)
        for path in pathlib.Path(a.data_dir).glob("usage.db*"):
            path.unlink()
        a.start()
        wait_for_links([a, b], 1)
        self.send(a, "all", 3)
        self.assert_exact(a, b)
        self.assertEqual(sorted(self.source_of(b, "n0")), ["copy", "node"])
        over = self.rebuild(a)
        self.assert_exact(a, b)  # nothing was counted twice
        self.assertEqual(over["state"], "failed")
        self.assertIn("another node may have a copy of it", over["error"])
        # Who says that there is none is believed.
        over = self.rebuild(a, despite_copies=True, dry_run=True)
        self.assertEqual(over["result"]["added_to_streams"], {"events": 20, "bytes": 200})
        # A node that lost nothing is asked no such thing.
        self.send(b, "all", 2)
        self.assertEqual(self.rebuild(b)["result"]["added_to_streams"], {"events": 0, "bytes": 0})
        self.assert_exact(a, b)


if __name__ == "__main__":
    harness.main()
