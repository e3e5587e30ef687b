#!/usr/bin/env python3
"""Draining a node of a cluster with a directory, and what `penstock status` tells of the cluster."""

import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks", "cluster"):
    sys.path.insert(0, str(HERE.parent / folder))

import harness  # noqa: E402
from harness import Closed, free_port, wait_for  # noqa: E402
import test_directory  # noqa: E402
from test_directory import AMOUNT, CLIENTS  # noqa: E402

RULES = HERE.parents[1] / "cluster-config" / "prometheus-rules-cluster.yml"


def command(node, *words, code=0, within_s=60):
    done = subprocess.run([harness.binary, *words, "--admin",
                           f"http://127.0.0.1:{node.admin_port}"],
                          capture_output=True, text=True, timeout=within_s)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr, node.log()[-3000:])
    return done


def cluster_of(node):
    return json.loads(command(node, "status", "--json").stdout)["cluster"]


class Cluster(unittest.TestCase):
    setUp = test_directory.Directory.setUp
    node = test_directory.Directory.node
    start = test_directory.Directory.start
    wait_for_members = test_directory.Directory.wait_for_members
    members_of = staticmethod(test_directory.Directory.members_of)
    send = test_directory.Directory.send
    spend = test_directory.Directory.spend

    def records(self):
        """Addresses that have a record in the directory."""
        with self.nats.client() as client:
            subject = "$KV.penstock_moving_members.member."
            state = client.api("STREAM.INFO.KV_penstock_moving_members",
                               subjects_filter=subject + ">")["state"]["subjects"]
            return {name[len(subject):].replace("=3A", ":") for name in state
                    if client.api("STREAM.MSG.GET.KV_penstock_moving_members",
                                  last_by_subj=name)["message"].get("data")}

    def test_a_drained_node_is_missed_by_nobody(self):
        nodes = self.start(3)
        self.assertEqual(self.spend(nodes, 40), dict.fromkeys(CLIENTS, 40))
        address = nodes[0].options["cluster.listen"]
        self.assertIn(address, self.records())
        over, taken, slowest = threading.Event(), [0], [0.0]

        def load():
            while not over.is_set():
                began = time.monotonic()
                taken[0] += sum(self.spend(nodes[1:], 1).values())
                slowest[0] = max(slowest[0], (time.monotonic() - began) / len(CLIENTS))

        worker = threading.Thread(target=load)
        worker.start()
        try:
            done = command(nodes[0], "drain")
            gone = time.monotonic()
            self.wait_for_members(nodes[1:], 2)
            self.assertLess(time.monotonic() - gone, 2)
        finally:
            over.set()
            worker.join(30)
        self.assertTrue(done.stdout.startswith("drained\n"), done.stdout)
        self.assertEqual(nodes[0].wait(), 0)
        self.assertNotIn(address, self.records())
        for node in nodes[1:]:
            self.assertEqual(node.metrics().get("penstock_shard_moves_total", kind="incomplete"), 0)
        # Its counters went along: nobody gets more than the limit.
        spent = taken[0] + 40 * len(CLIENTS)
        rest = sum(self.spend(nodes[1:], AMOUNT).values())
        self.assertEqual(spent + rest, AMOUNT * len(CLIENTS))
        print(f"a request took {slowest[0] * 1e3:.0f} ms at most on average of 12 ", end="",
              file=sys.stderr)

    def test_each_in_turn_under_load(self):
        nodes = self.start(3, amount=100_000_000)
        over, failed, sent = threading.Event(), [], [0]

        def load():
            at = 0
            while not over.is_set():
                try:
                    with nodes[at % 3].client() as connection:
                        while not over.is_set():
                            reply = connection.post(b"x", headers={"X-Client": CLIENTS[at % 12]})
                            sent[0] += 1
                            if reply.status != 202:
                                failed.append(reply)
                            if reply.headers.get("connection") == "close":
                                break
                            time.sleep(0.001)
                except (OSError, Closed) as closed:
                    if getattr(closed, "partial", b""):
                        failed.append(closed)
                at += 1

        worker = threading.Thread(target=load)
        worker.start()
        try:
            for node in nodes:
                command(node, "drain")
                self.assertEqual(node.wait(), 0)
                node.start()
                self.wait_for_members(nodes, 3)
        finally:
            over.set()
            worker.join(30)
        self.assertEqual(failed[:3], [])
        self.assertGreater(sent[0], 300)

    def test_the_last_node_waits_for_nobody(self):
        nodes = self.start(2)
        began = time.monotonic()
        both = [threading.Thread(target=command, args=(node, "drain")) for node in nodes]
        for one in both:
            one.start()
        for one in both:
            one.join(60)
        self.assertEqual([node.wait() for node in nodes], [0, 0])
        self.assertLess(time.monotonic() - began, 15)

    def test_without_the_directory_requests_keep_their_time(self):
        nodes = self.start(2)
        self.nats.kill()
        began = time.monotonic()
        done = command(nodes[0], "drain", code=69)
        self.assertIn("the directory can't be told that this node leaves", done.stdout)
        self.assertNotIn("cut off", done.stdout)
        self.assertEqual(nodes[0].wait(), 0)
        self.assertLess(time.monotonic() - began, 25)
        self.nats.start()

    # -- status ------------------------------------------------------------------------------------

    def test_status_tells_of_the_cluster(self):
        away = free_port()
        nodes = self.start(3, **{"sinks.queue.kind": "embedded", "sinks.away.kind": "http",
                                 "sinks.away.url": f"http://127.0.0.1:{away}/",
                                 "sinks.away.format": "cloudevents-batch",
                                 "streams.default.sinks": ["queue", "away"]})
        self.spend(nodes[:1], 5)
        lag = 5 * len(CLIENTS)

        def all_told():
            cluster = cluster_of(nodes[1])
            members = {member["node"]: member for member in cluster["members"]}
            return len(members) == 3 and members["a"]["lag_events"] == lag and \
                all(m["linked"] and m["uptime_s"] > 0 for m in members.values()) and cluster
        try:
            cluster = wait_for(all_told, "all is told", 20, 0.2)
        except AssertionError:
            self.fail(f"not all was told: {cluster_of(nodes[1])}")
        self.assertEqual((cluster["directory"], cluster["name"]), ("nats", "moving"))
        self.assertTrue(cluster["directory_up"])
        self.assertGreaterEqual(cluster["epoch"], 1)
        self.assertEqual(cluster["address"], nodes[1].options["cluster.listen"])
        members = cluster["members"]
        self.assertEqual([m["address"] for m in members if m["self"]], [cluster["address"]])
        self.assertEqual(sum(m["shards"] for m in members), 256)
        self.assertEqual({m["state"] for m in members}, {"up"})
        self.assertEqual(len({m["incarnation"] for m in members}), 3)
        self.assertLess(max(m["heard_s_ago"] for m in members), 1)
        own = next(m["shards"] for m in members if m["self"])
        self.assertEqual(cluster["shards"], {"owned": own, "arriving": 0, "leaving": 0})

        text = command(nodes[1], "status").stdout
        self.assertRegex(text, r"(?m)^cluster moving, view \d+, directory up, wire versions \d+ to")
        self.assertRegex(text, r"(?m)^MEMBER +NODE +STATE +SHARDS")
        self.assertRegex(text, rf"(?m)^127.0.0.1:\d+ +a +up +\d+ .* {lag}$")
        self.assertRegex(text, r"(?m)^127.0.0.1:\d+ \(this\) +b +up ")
        page = nodes[1].admin("GET", "/").body.decode()
        self.assertIn('id="members"', page)

        nodes[2].kill()
        wait_for(lambda: len(cluster_of(nodes[1])["members"]) == 2, "the dead one is gone")
        self.nats.kill()
        wait_for(lambda: not cluster_of(nodes[1])["directory_up"], "the directory is away")
        self.assertIn("directory away", command(nodes[1], "status").stdout)


    def test_every_metric_of_the_cluster_alerts_exists(self):
        nodes = self.start(2)
        names = nodes[0].metrics().names()
        wanted = set()
        for line in RULES.read_text().splitlines():
            if not line.lstrip().startswith("#"):
                wanted |= set(re.findall(r"\bpenstock_\w+", line))
        self.assertGreater(len(wanted), 8)
        self.assertEqual(wanted - names, set(), "the rules name metrics that don't exist")
        alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
        self.assertEqual(len(alerts), len(set(alerts)))
        self.assertEqual(len(re.findall(r"labels: { severity: (?:page|ticket) }",
                                        RULES.read_text())), len(alerts), "each has a severity")


class FixedList(unittest.TestCase):
    def test_peers_are_up_or_down(self):
        nodes = harness.cluster(3)
        for node in nodes:
            self.addCleanup(node.close)
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()

        def states():
            return [m["state"] for m in cluster_of(nodes[0])["members"]]
        wait_for(lambda: states() == ["up"] * 3, "all are linked")
        self.assertEqual(sum(m["shards"] for m in cluster_of(nodes[0])["members"]), 256)
        nodes[2].kill()
        wait_for(lambda: sorted(states()) == ["down", "up", "up"], "one is down")
        text = command(nodes[0], "status").stdout
        self.assertRegex(text, r"(?m)^cluster test, a fixed list, wire versions")
        self.assertRegex(text, r"(?m)^127.0.0.1:\d+ +- +down +\d+ ")
        done = command(nodes[0], "drain")
        self.assertEqual(done.stdout, "drained\n")
        self.assertEqual(nodes[0].wait(), 0)


if __name__ == "__main__":
    harness.main()
