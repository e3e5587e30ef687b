#!/usr/bin/env python3
"""penstock adopt: what a killed node still owed arrives, once, with its ids; in parts, after kills, and
not while a node runs on the directory."""

import base64
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import unittest

import harness
from event_server import EventServer
from harness import Node, body_of, wait_for

QUICK = {"lanes": 2, "timeout": "2s", "retry_min": "20ms", "retry_max": "200ms", "batch_events": 20}


def adopt(directory, node, *words, code=0, within_s=60):
    """Runs it with the dead node's configuration; gives the report, and what stderr said."""
    done = subprocess.run([harness.binary, "adopt", str(directory), "--config", node.config_file,
                           "--json", *words], capture_output=True, text=True, timeout=within_s)
    assert done.returncode == code, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return (json.loads(done.stdout) if done.stdout else None), done.stderr


def delivered(directory):
    """The cursor of the lane that is behind, as saved."""
    saved = sqlite3.connect(f"file:{directory}/cursors.db?mode=ro", uri=True)
    try:
        return saved.execute("SELECT min(seq) FROM cursor WHERE sink LIKE 'out#%'").fetchone()[0] or 0
    finally:
        saved.close()


def in_background(directory, node, *words, stderr=subprocess.PIPE):
    process = subprocess.Popen([harness.binary, "adopt", str(directory), "--config", node.config_file,
                                "--json", *words], stdout=subprocess.PIPE, stderr=stderr)
    harness._running.append(process)
    return process


def bytes_of(event):
    """The body of a CloudEvent as the client's bytes; of JSON as it was parsed."""
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"])
    data = event["data"]
    return data.encode() if isinstance(data, str) else data


class Adopt(unittest.TestCase):
    def setUp(self):
        self.server = EventServer()
        self.addCleanup(self.server.close)

    def node(self, **options):
        node = Node({"node.name": "gone", "identity.order": ["header:X-Client", "ip"], **options})
        self.addCleanup(node.close)
        return node

    def dead_node(self, sinks, events, **options):
        """A node that was killed while its http sink was down; gives what it had promised, by stream:
        id to body."""
        self.server.down = True
        node = self.node(**self.server.sink("out", **QUICK), **options,
                         **{f"streams.{stream}.sinks": to for stream, to in sinks.items()})
        node.start()
        promised = {}
        with node.client() as client:
            for i in range(events):
                for stream in sinks:
                    body = json.dumps({"n": i}).encode() if i % 2 else b"\xff raw %d" % i
                    kind = "application/json" if i % 2 else "application/octet-stream"
                    reply = client.post(body, stream, {"Content-Type": kind, "X-Client": str(i % 7)})
                    self.assertEqual(reply.status, 202, reply)
                    promised.setdefault(stream, {})[reply.json()["id"]] = (
                        json.loads(body) if i % 2 else body)
        return node, promised

    def test_everything_arrives_once(self):
        node, promised = self.dead_node({"default": ["out"], "jobs": ["queue"],
                                         "both": ["queue", "out"]}, events=100)
        # Some are acknowledged, in order and ahead of it: they are owed to nobody.
        messages = []
        while len(messages) < 10:
            messages += node.receive("jobs", 10 - len(messages), wait_s=1)
        acked = messages[:3] + messages[5:7]
        node.settle("jobs", acked)
        for message in acked:
            del promised["jobs"][message["id"]]
        node.kill()
        letters_before = self.server.requests

        _, said = adopt(node.data_dir, node, code=64)
        self.assertIn("195 events", said)
        self.assertIn("--to", said)
        owed, _ = adopt(node.data_dir, node, "--dry-run")
        self.assertEqual({(one["sink"], one["stream"]): one["owed"] for one in owed["streams"]},
                         {("out", "both"): 100, ("out", "default"): 100,
                          ("queue", "both"): 100, ("queue", "jobs"): 95})
        self.assertEqual(owed["node"], "gone")
        self.assertEqual(self.server.requests, letters_before, "nothing was sent so far")

        self.server.down = False
        with Node({"node.name": "alive"}) as alive:
            to = ("--to", f"http://127.0.0.1:{alive.http_port}/")
            report, _ = adopt(node.data_dir, node, *to)
            self.assertEqual((report["left"], report["stalled"], report["refused"]), (0, [], 0))
            for stream, to_whom in (("default", "out"), ("both", "out")):
                with self.server.lock:
                    got = [event for event in self.server.taken if event["id"] in promised[stream]]
                self.assertEqual({e["id"]: bytes_of(e) for e in got}, promised[stream], to_whom)
                self.assertEqual(len(got), len(promised[stream]), "once")
            self.assertEqual(len(self.server.taken), 200)
            for stream in ("jobs", "both"):
                got = [json.loads(body_of(m)) for m in alive.drain_queue(stream)]
                self.assertEqual({e["id"]: bytes_of(e) for e in got}, promised[stream])
                self.assertEqual(len(got), len(promised[stream]), "once")
            requests = self.server.requests
            report, _ = adopt(node.data_dir, node, *to)
            self.assertEqual(report["streams"], [], "the second run finds nothing to do")
            self.assertEqual(self.server.requests, requests)
            for stream in ("jobs", "both"):
                self.assertEqual(alive.drain_queue(stream), [])
        # Should the node come back after all, its queue has nothing to hand out again.
        node.start()
        self.assertEqual(node.drain_queue("jobs"), [])

    def test_killed_and_run_again(self):
        """A sink that deduplicates has everything once, however often adopt is killed."""
        with Node({"node.name": "alive"}) as alive:
            url = f"http://127.0.0.1:{alive.http_port}/v1/events/{{stream}}"
            node = self.node(**{**self.server.sink("out", **{**QUICK, "batch_events": 5}),
                                "streams.default.sinks": ["out"]})
            self.server.down = True
            node.start()
            lines = b"".join(b'{"n":%d}\n' % i for i in range(4000))
            reply = node.post(lines, "", {"Content-Type": "application/x-ndjson",
                                          "Prefer": "return=representation"})
            promised = reply.json()["ids"]
            node.kill()
            node.configure({"sinks.out.url": url})
            for most in (300, 1200):
                process = in_background(node.data_dir, node)
                # How far it has come is saved every 100 ms at most: less than these may be.
                wait_for(lambda: process.poll() is not None
                         or alive.depth()["depth"] >= most and delivered(node.data_dir) > 300,
                         "some have arrived, and that is known", pause_s=0.005)
                self.assertIsNone(process.poll(), "it was killed in the middle")
                process.kill()
                process.communicate()
            # With another node's file: the directory says whose events these are.
            report, _ = adopt(node.data_dir, node, "--set", "node.name=other")
            self.assertEqual((report["node"], report["left"]), ("gone", 0))
            self.assertLess(report["streams"][0]["owed"], 3700, "it went on where it stopped")
            got = [json.loads(body_of(m)) for m in alive.drain_queue()]
            self.assertEqual(sorted(e["id"] for e in got), sorted(promised))
            self.assertEqual([e["data"]["n"] for e in got], list(range(4000)), "one client's order")

    def test_one_at_a_time(self):
        node, promised = self.dead_node({"default": ["out"]}, events=20)
        _, said = adopt(node.data_dir, node, code=69)
        self.assertIn("in use", said)
        self.assertTrue(node.is_ready())
        node.kill()
        terminal, inside = os.openpty()
        process = in_background(node.data_dir, node, stderr=inside)
        os.close(inside)
        shown = b""
        while b"0/20" not in shown:  # a progress bar, and why it stands still
            shown += os.read(terminal, 4096)
        other = Node(options=dict(node.options))
        self.addCleanup(other.close)
        other.launch()
        self.assertEqual(other.wait(), 69, "no node starts meanwhile")
        process.send_signal(signal.SIGTERM)
        while True:
            try:
                if not os.read(terminal, 4096):
                    break
            except OSError:
                break
        os.close(terminal)
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 69)
        report = json.loads(out)
        self.assertTrue(report["interrupted"])
        self.assertEqual(report["left"], 20)
        # A sink that takes nothing is given up in the end.
        report, _ = adopt(node.data_dir, node, "--patience", "1s", code=69)
        self.assertEqual([one["sink"] for one in report["stalled"]], ["out"])
        self.assertEqual(report["left"], 20)
        self.server.down = False
        adopt(node.data_dir, node)
        self.assertEqual(sorted(self.server.ids()), sorted(promised["default"]))

    def test_what_is_refused_and_what_is_damaged(self):
        node, promised = self.dead_node({"default": ["out"]}, events=30,
                                        **{"journal.segment_size": "1MiB"})
        with node.client() as client:  # fills the first segments
            for _ in range(6):
                self.assertEqual(client.post(os.urandom(900_000)).status, 202)
            last = client.post(b'{"n":"bad"}', "", {"Content-Type": "application/json"}).json()["id"]
        node.kill()
        first = node.data_dir / "journal" / "000000000001.db"
        for path in (first, first.with_name(first.name + "-wal")):
            path.write_bytes(b"this is no database" * 1000)
        self.server.refuse = lambda event: "bad" if event["id"] == last else None
        self.server.down = False
        report, said = adopt(node.data_dir, node, code=69)
        self.assertEqual(len(report["damaged"]), 1, report)
        self.assertIn("000000000001.db", said)
        self.assertEqual((report["refused"], report["dead_letters"], report["left"]), (1, 1, 0))
        self.assertGreater(len(self.server.taken), 2)
        self.assertEqual(len(set(self.server.ids())), len(self.server.taken))
        report, _ = adopt(node.data_dir, node)
        self.assertEqual((report["streams"], report["dead_letters"]), ([], 1))

    def test_wrong_use(self):
        node = self.node()
        with tempfile.TemporaryDirectory() as empty:
            _, said = adopt(empty, node, code=64)
            self.assertIn("no data directory", said)
            self.assertEqual(list(pathlib.Path(empty).iterdir()), [], "nothing is made there")
        for words in (["--patience", "soon"], ["--to", "here"], ["--to", "http://x/v1/events"],
                      ["--to", "http://x", "--without-queue"], ["--key-file", "x"]):
            adopt(node.folder, node, *words, code=64)
        _, said = adopt(node.folder, node, "--to", "http://x:1/", code=64)
        self.assertIn("no data directory", said)
        node.configure({"sinks.out.kind": "nothing"})
        adopt(node.folder, node, code=78)


if __name__ == "__main__":
    harness.main()
