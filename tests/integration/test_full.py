#!/usr/bin/env python3
"""A full journal and a full disk: 507, nothing promised is lost, and recovery without a restart."""

import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import Node, body_of, wait_for

BODY_BYTES = 8000
MANY = 20_000  # far more requests than fill anything here


def event(n):
    return b"%d " % n + b"x" * BODY_BYTES


class Full(unittest.TestCase):
    def setUp(self):
        self.sent = 0
        self.promised = {}  # id → number

    def fill(self, node):
        """Sends until the node refuses; gives the refusal."""
        with node.client() as client:
            for _ in range(MANY):
                self.sent += 1
                reply = client.post(event(self.sent))
                if reply.status != 202:
                    return reply
                self.promised[reply.json()["id"]] = self.sent
        self.fail("the journal never filled")

    def consume_all(self, node):
        """Every promise is there, and nothing else."""
        stored = {m["id"]: body_of(m) for m in node.drain_queue(most=100)}
        self.assertEqual(stored.keys(), self.promised.keys())
        for event_id, number in self.promised.items():
            self.assertEqual(stored[event_id], event(number))
        self.promised.clear()

    def assert_full(self, node, reply, reason, hint):
        self.assertEqual(reply.status, 507, reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertRegex(reply.json()["detail"], hint)
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        wait_for(lambda: node.metrics().get("penstock_journal_full") == 1, "the gauge says full")
        self.assertGreaterEqual(node.metrics().get("penstock_shed_total", reason=reason), 1)
        self.assertGreaterEqual(node.metrics().get("penstock_http_requests_total", status="507"), 1)
        self.assertEqual(node.request("GET", "/readyz").status, 503)
        self.assertIn(b"full", node.request("GET", "/readyz?verbose").body)
        self.assertEqual(node.request("GET", "/livez").status, 200)

    def assert_recovers(self, node):
        def taken():
            reply = node.post(event(self.sent + 1))
            if reply.status == 202:
                self.sent += 1
                self.promised[reply.json()["id"]] = self.sent
            return reply.status == 202
        wait_for(taken, "there is room again", 20)
        wait_for(node.is_ready, "it is ready again")
        wait_for(lambda: node.metrics().get("penstock_journal_full") == 0, "the gauge says so")


class FullJournal(Full):
    OPTIONS = {"journal.max_size": "4MiB", "journal.segment_size": "512KiB"}

    def journal_bytes(self, node):
        files = (node.data_dir / "journal").rglob("*")
        return sum(f.stat().st_blocks * 512 for f in files if f.is_file())

    def test_again_and_again(self):
        with Node(self.OPTIONS) as node:
            for _ in range(3):
                reply = self.fill(node)
                self.assert_full(node, reply, "journal_full", "max_size")
                self.assertGreater(len(self.promised), 100)
                # The cap, and a little for a segment prepared ahead.
                self.assertLess(self.journal_bytes(node), 5 << 20)
                self.consume_all(node)
                self.assert_recovers(node)
            self.consume_all(node)
            self.assertGreaterEqual(
                node.metrics().get("penstock_journal_segments_retired_total"), 10)
            self.assertEqual(node.stop(), 0)

    def test_refused_for_good_reason_is_charged_to_nobody(self):
        limit = [{"name": "l", "algorithm": "fixed_window", "amount": 100_000, "window": "1h"}]
        with Node({**self.OPTIONS, "plans.anonymous.limits": limit}) as node:
            self.fill(node)
            taken = len(self.promised)
            wait_for(lambda: node.metrics().get("penstock_journal_full") == 1, "full")
            for _ in range(20):
                self.assertEqual(node.post(event(0)).status, 507)
            self.consume_all(node)
            self.assert_recovers(node)
            left = node.post(b"x").headers["ratelimit"]
            # One request may have been charged before the journal said no.
            self.assertIn(left, [f'"l";r={100_000 - taken - 2 - extra};{left.split(";")[2]}'
                                 for extra in range(0, 4)])

    def test_expendable_streams_go_first(self):
        def traces(status):
            return node.post(b"x", "traces").status == status
        with Node({**self.OPTIONS, "streams.traces.expendable": True,
                   "streams.traces.sinks": []}) as node, node.client() as client:
            self.assertTrue(traces(202))
            wait_for(lambda: self.send_one(client) and not traces(202), "one stream is refused",
                     30, pause_s=0)
            reply = node.post(b"x", "traces")
            self.assertEqual(reply.status, 507, reply)
            self.assertRegex(reply.json()["detail"], "expendable")
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
            metrics = node.metrics()
            self.assertEqual(metrics.get("penstock_journal_scarce"), 1)
            self.assertEqual(metrics.get("penstock_journal_full"), 0)
            self.assertEqual(metrics.get("penstock_journal_max_bytes"), 4 << 20)
            self.assertGreater(metrics.get("penstock_journal_bytes"), 3 << 20)
            self.assertGreaterEqual(metrics.get("penstock_shed_total", reason="expendable"), 2)
            for plane in (node.request, node.admin):
                self.assertEqual(plane("GET", "/readyz").status, 200)
                self.assertIn(b"journal: scarce", plane("GET", "/readyz?verbose").body)
            # The others are taken until there is no room at all.
            reply = self.fill(node)
            self.assert_full(node, reply, "journal_full", "max_size")
            self.consume_all(node)
            self.assert_recovers(node)
            wait_for(lambda: traces(202), "it is taken again")
            self.assertEqual(node.metrics().get("penstock_journal_scarce"), 0)
            # A reload takes over which streams are expendable.
            wait_for(lambda: self.send_one(client) and traces(507), "scarce again", 30, pause_s=0)
            node.configure({"streams.traces.expendable": False})
            node.signal(signal.SIGHUP)
            wait_for(lambda: traces(202), "it is not expendable any more")
            self.consume_all(node)

    def send_one(self, client):
        self.sent += 1
        reply = client.post(event(self.sent))
        self.assertEqual(reply.status, 202, reply)
        self.promised[reply.json()["id"]] = self.sent
        return True

    def test_killed_while_full(self):
        with Node(self.OPTIONS) as node:
            self.assertEqual(self.fill(node).status, 507)
            node.kill()
            # Full, it starts nevertheless: to be emptied. It is not ready then.
            node.launch()
            wait_for(lambda: self.answers(node), "it lives", 20)
            self.consume_all(node)
            self.assert_recovers(node)

    def answers(self, node):
        try:
            return node.request("GET", "/livez").status == 200 and node.depth() is not None
        except OSError:
            return False

    def test_a_batch_is_whole_or_refused(self):
        headers = {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}
        lines = [b'"%s"' % os.urandom(1000).hex().encode() for _ in range(40)]
        with Node(self.OPTIONS) as node:
            promised = []
            for _ in range(MANY):
                reply = node.post(b"\n".join(lines), "batches", headers)
                if reply.status != 202:
                    break
                self.assertEqual(reply.json()["accepted"], len(lines))
                promised += reply.json()["ids"]
            self.assertEqual(reply.status, 507)
            self.assertEqual([m["id"] for m in node.drain_queue("batches")], promised)


class FullDisk(Full):
    """A small tmpfs stands for the disk."""

    SIZE_MIB = 12

    def setUp(self):
        super().setUp()
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="penstock-disk-"))
        self.addCleanup(self.disk.rmdir)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE_MIB}m", "penstock",
                                str(self.disk)], capture_output=True, text=True, check=False) \
            if os.geteuid() == 0 else None
        if mount is None or mount.returncode != 0:
            why = mount.stderr.strip() if mount else "only root may mount"
            self.skipTest(f"needs a small tmpfs: {why}")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.disk)], check=True)

    def node(self):
        node = Node({"journal.segment_size": "1MiB", "journal.max_size": "1GiB"},
                    data_dir=self.disk / "data")
        self.addCleanup(node.close)
        return node.start()

    def test_filled_by_events(self):
        node = self.node()
        for _ in range(2):
            self.assert_full(node, self.fill(node), "disk_full", "[Dd]isk")
            self.consume_all(node)
            self.assert_recovers(node)
        self.assertEqual(node.stop(), 0, node.log())

    def test_filled_by_someone_else(self):
        node = self.node()
        for n in range(50):
            self.sent += 1
            self.promised[node.post(event(self.sent)).json()["id"]] = self.sent
        filler = self.disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        self.assert_full(node, self.fill(node), "disk_full", "[Dd]isk")
        # What is there can be read and acknowledged on a full disk, also after a crash.
        messages = node.receive(most=10)
        self.assertEqual(len(messages), 10)
        node.settle("default", messages)
        for message in messages:
            self.assertEqual(body_of(message), event(self.promised.pop(message["id"])))
        node.kill()
        node.launch()
        wait_for(lambda: FullJournal.answers(self, node), "it starts on a full disk", 20)
        filler.unlink()
        self.assert_recovers(node)
        self.consume_all(node)
        self.assertEqual(node.stop(), 0, node.log())


if __name__ == "__main__":
    harness.main()
