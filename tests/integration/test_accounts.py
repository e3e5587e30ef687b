#!/usr/bin/env python3
"""Keys and plans from the command line: durable, listed without secrets, never in a log or file;
alike on all nodes of a cluster."""

import json
import subprocess
import time
import unittest

import harness
from harness import Node, cluster, wait_for


def penstock(node, *arguments):
    """Runs a command against the node's admin plane; gives its stdout."""
    done = subprocess.run([harness.binary, *arguments, "--admin",
                           f"http://127.0.0.1:{node.admin_port}"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    return done.stdout


def make_key(node, account="acme", plan="anonymous", *more):
    return json.loads(penstock(node, "key", "create", account, "--plan", plan, "--json", *more))


def keys(node):
    reply = node.admin("GET", "/v1/admin/keys")
    assert reply.status == 200, reply
    return {key["id"]: key for key in reply.json()["keys"]}


def plans(node):
    return {plan["name"]: plan for plan in node.admin("GET", "/v1/admin/plans").json()["plans"]}


def is_revoked(node, key):
    return bool(keys(node).get(key["id"], {}).get("revoked"))


class OneNode(unittest.TestCase):
    def test_keys_survive_a_kill_and_are_nowhere_to_be_read(self):
        with Node() as node:
            made = [make_key(node, f"account-{i}") for i in range(5)]
            penstock(node, "key", "revoke", made[0]["id"])
            self.assertNotIn(made[0]["id"], penstock(node, "key", "list"))
            self.assertIn(made[1]["id"], penstock(node, "key", "list"))
            before = keys(node)
            node.kill()
            node.start()
            self.assertEqual(keys(node), before)
            self.assertTrue(is_revoked(node, made[0]))
            self.assertFalse(is_revoked(node, made[1]))
            secrets = [key["key"][11:].encode() for key in made]
            files = [f for f in node.data_dir.rglob("*") if f.is_file()] + [node.log_file]
            self.assertGreater(len(files), 3)
            for file in files:
                content = file.read_bytes()
                for secret in secrets:
                    self.assertNotIn(secret, content, file)

    def test_plans_set_win_until_a_restart_and_after(self):
        with Node({"plans.pro.limits": [{"name": "a", "amount": 1, "window": "1s"}]}) as node:
            self.assertEqual(plans(node)["pro"]["source"], "configuration")
            penstock(node, "plan", "set", "pro", "--limits", "[]")
            node.kill()
            node.start()
            self.assertEqual(plans(node)["pro"]["limits"], [])
            self.assertEqual(node.admin("DELETE", "/v1/admin/plans/pro").status, 204)
            self.assertEqual(plans(node)["pro"]["limits"][0]["name"], "a")
            self.assertIn("a 1 per 1s (gcra)", penstock(node, "plan", "list"))


class ThreeNodes(unittest.TestCase):
    def test_a_revocation_is_known_within_a_second(self):
        nodes = cluster(3)
        for node in nodes:
            self.addCleanup(node.close)
            node.launch()
        for node in nodes:
            node.wait_ready()
        for node in nodes:
            wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") == 2, "links")
        a, b, c = nodes
        slowest = 0.0
        for round_ in range(10):
            key = make_key(nodes[round_ % 3])
            for node in nodes:
                wait_for(lambda: key["id"] in keys(node), "the key is known", 5)
            penstock(nodes[(round_ + 1) % 3], "key", "revoke", key["id"])
            began = time.monotonic()
            for node in nodes:
                wait_for(lambda: is_revoked(node, key), "the key is revoked", 5, 0.002)
            slowest = max(slowest, time.monotonic() - began)
        print(f"revoked everywhere within {slowest * 1e3:.0f} ms ", end="", flush=True)
        self.assertLess(slowest, 1)

        # One that is away meanwhile catches up, and so do the others with what it knows.
        key = make_key(a)
        wait_for(lambda: key["id"] in keys(c), "the key is known", 5)
        c.kill()
        penstock(a, "key", "revoke", key["id"])
        penstock(b, "plan", "set", "gold", "--limits", "[]")
        more = [make_key(b, "acme", "gold") for _ in range(20)]
        c.start()
        wait_for(lambda: is_revoked(c, key), "the node that was away knows", 10)
        wait_for(lambda: all(one["id"] in keys(c) for one in more), "and has new keys", 10)
        self.assertIn("gold", plans(c))
        self.assertEqual(keys(a), keys(c))


if __name__ == "__main__":
    harness.main()
