#!/usr/bin/env python3
"""Groups of workers on the embedded queue: several processes with several workers each share a
stream; one that is killed loses nothing."""

import collections
import os
import pathlib
import re
import signal
import subprocess
import unittest

import harness
from harness import Node, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}
EVENTS = 600
# One line a message, written at once; then the worker is busy for a moment.
HANDLE = 'read -r line; echo "$PENSTOCK_ID $line" >> "$HANDLED"; sleep 0.01'


class Group:
    """One `penstock consume` with two workers."""

    def __init__(self, node, folder, number, *more):
        self.handled_file = pathlib.Path(folder) / f"handled-{number}"
        self.handled_file.touch()
        self.process = subprocess.Popen(
            [harness.binary, "consume", "jobs", "--workers", "2", "--batch", "20", "--lease", "5",
             "--exec", HANDLE, "--admin", f"http://127.0.0.1:{node.admin_port}", *more],
            env={**os.environ, "HANDLED": str(self.handled_file)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def handled(self):
        """(id, body) of each message, in the order in which they were handled."""
        lines = self.handled_file.read_text().splitlines()
        return [tuple(line.split(" ", 1)) for line in lines]

    def end(self, number):
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, out, errors


class Consumers(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.node.start()
        self.groups = []

    def tearDown(self):
        for group in self.groups:
            if group.process.poll() is None:
                group.process.kill()
            group.process.communicate()

    def start(self, count, *more):
        for _ in range(count):
            self.groups.append(Group(self.node, self.node.folder, len(self.groups), *more))

    def send(self, count=EVENTS):
        body = "".join(f'"event-{n}"\n' for n in range(count))
        reply = self.node.post(body, "jobs", NDJSON)
        self.assertEqual(reply.status, 202, reply)
        return set(body.split())

    def handled(self):
        return [one for group in self.groups for one in group.handled()]

    def test_one_of_three_processes_is_killed(self):
        sent = self.send()
        self.start(3)
        wait_for(lambda: all(len(g.handled()) >= 20 for g in self.groups), "all three work")
        self.groups[0].process.kill()
        wait_for(lambda: {body for _, body in self.handled()} == sent, "every message is handled",
                 within_s=40)
        wait_for(lambda: self.node.depth("jobs")["depth"] == 0, "and acknowledged")

        ids_of = collections.defaultdict(set)
        for one, body in self.handled():
            ids_of[body].add(one)
        self.assertEqual({len(ids) for ids in ids_of.values()}, {1}, "a repeat has the same id")
        self.assertEqual(len(set.union(*ids_of.values())), EVENTS)
        # What the killed process had under its leases at most comes twice: two batches.
        self.assertLessEqual(len(self.handled()) - EVENTS, 2 * 20)

        acknowledged = 0
        for group in self.groups[1:]:
            code, _, errors = group.end(signal.SIGTERM)
            self.assertEqual(code, 0, errors)
            told = re.search(r"(\d+) messages acknowledged, \d+ given back, by 2 workers", errors)
            self.assertTrue(told, errors)
            acknowledged += int(told[1])
        self.assertGreaterEqual(acknowledged, EVENTS - len(self.groups[0].handled()))

    def test_a_signal_in_the_middle_gives_the_rest_back(self):
        sent = self.send(200)
        self.start(1)
        wait_for(lambda: len(self.handled()) >= 10, "it works")
        code, _, errors = self.groups[0].end(signal.SIGTERM)
        self.assertEqual(code, 0, errors)
        state = self.node.depth("jobs")
        self.assertEqual(state["in_flight"], 0, "nothing waits for a lease to end")
        first = self.handled()
        self.assertEqual(state["depth"], 200 - len(first))
        self.start(1, "--no-follow")
        self.assertEqual(self.groups[1].process.wait(30), 0)
        self.assertEqual(len(self.handled()), 200, "none of them twice")
        self.assertEqual({body for _, body in self.handled()}, sent)

    def test_workers_share_what_max_allows(self):
        self.send(100)
        self.start(1, "--max", "33")
        self.assertEqual(self.groups[0].process.wait(30), 0)
        self.assertEqual(len(self.handled()), 33)
        self.assertEqual(self.node.depth("jobs")["depth"], 67)


if __name__ == "__main__":
    harness.main()
