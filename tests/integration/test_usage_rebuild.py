#!/usr/bin/env python3
"""Usage rebuilt from the journal: what a kill -9 took from the counts comes back, and nothing is
counted twice."""

import json
import subprocess
import unittest

import harness
from harness import Node, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}
PERIODS = ("minute", "hour", "day", "month")
BATCHES, LINES = 40, 50


def run(node, *arguments, code=0):
    done = subprocess.run(
        [harness.binary, *arguments, "--admin", f"http://127.0.0.1:{node.admin_port}"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def rebuild(node, *more):
    return json.loads(run(node, "usage", "rebuild", "--json", *more).stdout)


def counted(node, by, per="minute"):
    """{id: (requests, events, bytes)}"""
    reply = node.admin("GET", f"/v1/admin/usage?by={by}&per={per}&top=1000&from=-1h")
    assert reply.status == 200, reply
    return {row["id"]: (row["requests"], row["events"], row["bytes"])
            for row in reply.json()["top"]}


class UsageRebuild(unittest.TestCase):
    def setUp(self):
        self.node = Node({"plans.pro.limits": [], "identity.order": ["bearer", "ip"]})
        self.addCleanup(self.node.close)
        self.node.start()
        made = self.node.admin("POST", "/v1/admin/keys", {"account": "acme", "plan": "pro"})
        self.assertEqual(made.status, 201, made)
        self.key = {"Authorization": "Bearer " + made.json()["key"]}
        self.expected = {"stream": {}, "account": {}}

    def send(self, stream, keyed, lines=LINES):
        body = "".join(json.dumps({"n": n}) + "\n" for n in range(lines))
        headers = {**NDJSON, **(self.key if keyed else {})}
        reply = self.client.post(body, stream, headers)
        self.assertEqual(reply.status, 202, reply)
        size = len(body) - lines  # without the line ends
        for by, one in (("stream", stream), ("account", "acme" if keyed else None)):
            if one:
                events, size_before = self.expected[by].get(one, (0, 0))
                self.expected[by][one] = (events + lines, size_before + size)

    def send_all(self):
        with self.node.client() as self.client:
            for i in range(BATCHES):
                self.send("orders" if i % 2 else "clicks", keyed=i % 3 == 0)

    def volumes(self, by, per="minute"):
        return {one: row[1:] for one, row in counted(self.node, by, per).items()}

    def requests(self):
        return {one: row[0] for one, row in counted(self.node, "stream").items()}

    def is_counted(self):
        return all(self.volumes(by) == wanted for by, wanted in self.expected.items())

    def test_what_a_kill_took_comes_back(self):
        self.send_all()
        wait_for(self.is_counted, "the first half is counted")
        self.send_all()
        self.node.kill()  # the last second was not handed over yet
        self.node.start()
        short = self.volumes("stream")
        self.assertLess(sum(events for events, _ in short.values()), 2 * BATCHES * LINES)
        requests = self.requests()

        tried = rebuild(self.node, "--dry-run")
        self.assertTrue(tried["dry_run"])
        self.assertEqual(self.volumes("stream"), short, "a dry run adds nothing")

        done = rebuild(self.node)
        for by, wanted in self.expected.items():
            for per in PERIODS:
                self.assertEqual(self.volumes(by, per), wanted, (by, per))
        self.assertEqual(self.requests(), requests, "the journal does not know of requests")
        self.assertEqual(done["read"]["events"], 2 * BATCHES * LINES)
        self.assertEqual(done["covered_from"], done["from"])
        for name in ("added_to_streams", "added_to_accounts", "ids"):
            self.assertEqual(done[name], tried[name])
        lacked = 2 * BATCHES * LINES - sum(events for events, _ in short.values())
        self.assertEqual(done["added_to_streams"]["events"], lacked)
        self.assertEqual(done["read"]["events"] - done["without_account"]["events"],
                         self.expected["account"]["acme"][0])

        again = rebuild(self.node)
        self.assertEqual((again["added_to_streams"]["events"], again["ids"]), (0, []))
        self.assertTrue(self.is_counted())

    def test_what_was_counted_is_not_counted_again(self):
        self.send_all()
        done = rebuild(self.node)  # asked while the last second is not counted yet
        self.assertEqual(done["added_to_streams"], {"events": 0, "bytes": 0})
        wait_for(self.is_counted, "all is counted, once")
        text = run(self.node, "usage", "rebuild").stdout
        self.assertIn(f"{BATCHES * LINES} events", text)
        self.assertNotIn("COUNTED", text, "no id gained anything")

    def test_what_can_t_be_rebuilt_is_told(self):
        wrong = run(self.node, "usage", "rebuild", "--from", "yesterday", code=64)
        self.assertIn("'from' must be an RFC 3339 time", wrong.stderr)
        self.assertEqual(self.node.admin("GET", "/v1/admin/usage/rebuild").json(),
                         {"state": "none"})
        none = run(self.node, "usage", "rebuild", code=69)
        self.assertIn("the journal has no whole minute of this range", none.stderr)
        first = self.node.admin("POST", "/v1/admin/usage/rebuild", {})
        self.assertEqual(first.status, 202, first)
        second = self.node.admin("POST", "/v1/admin/usage/rebuild", {})
        self.assertEqual(second.status, 409, second)


if __name__ == "__main__":
    harness.main()
