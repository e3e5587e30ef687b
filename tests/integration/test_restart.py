#!/usr/bin/env python3
"""Starting again: quickly, with everything promised, with ids that go on, around damage."""

import os
import signal
import subprocess
import time
import unittest

import harness
from harness import Node, body_of, wait_for

NDJSON = {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}


def fill_segments(node, count, stream="default"):
    """Sends batches until there are so many segment files; gives [(id, body)]."""
    sent = []
    while len(list((node.data_dir / "journal").glob("*.db"))) < count:
        lines = [b'"%s"' % os.urandom(500).hex().encode() for _ in range(50)]
        reply = node.post(b"\n".join(lines), stream, NDJSON)
        assert reply.status == 202, reply
        sent += zip(reply.json()["ids"], lines)
        assert len(sent) < 100_000, "no new segments"
    return sent


def stored(node, stream="default"):
    return [(m["id"], body_of(m)) for m in node.drain_queue(stream)]


class Restart(unittest.TestCase):
    def test_start_is_quick(self):
        took = []
        for _ in range(3):
            node = Node()
            self.addCleanup(node.close)
            began = time.monotonic()
            node.start()
            took.append(time.monotonic() - began)
        print(f"start to ready: {min(took):.3f} s at best ", end="", flush=True)
        self.assertLess(min(took), 5)

    def test_killed_nothing_is_lost_and_ids_go_on(self):
        with Node() as node:
            promised = []
            for life in range(4):
                with node.client() as client:
                    for i in range(50):
                        body = b"%d in life %d" % (i, life)
                        promised.append((client.post(body).json()["id"], body))
                node.kill()
                node.start()
            self.assertEqual([i for i, _ in promised], sorted({i for i, _ in promised}))
            self.assertEqual(stored(node), promised)

    def test_a_clean_restart_too(self):
        with Node() as node:
            promised = []
            for life in range(3):
                promised.append((node.post(b"%d" % life).json()["id"], b"%d" % life))
                self.assertEqual(node.stop(), 0, node.log())
                node.start()
            self.assertEqual([i for i, _ in promised], sorted({i for i, _ in promised}))
            self.assertEqual(stored(node), promised)

    def test_what_was_acknowledged_stays_so(self):
        for how in ("kill", "stop"):
            with self.subTest(how), Node() as node:
                ids = node.post(b"\n".join(b"%d" % n for n in range(100)), "", NDJSON).json()["ids"]
                messages = node.receive()
                done = messages[:40] + messages[50:60] + messages[99:]
                node.settle("default", done)
                getattr(node, how)()
                node.start()
                left = [i for i in ids if i not in {m["id"] for m in done}]
                self.assertEqual(node.depth()["depth"], len(left))
                self.assertEqual([i for i, _ in stored(node)], left)

    def test_received_is_kept_after_its_delay(self):
        with Node({"streams.default.ack": "received", "journal.received_delay": "50ms"}) as node:
            promised = [(node.post(b"%d" % n).json()["id"], b"%d" % n) for n in range(20)]
            wait_for(lambda: node.metrics().get("penstock_journal_events_total") == 20, "on disk")
            node.kill()
            node.start()
            again = node.post(b"later").json()["id"]
            self.assertGreater(again, promised[-1][0])
            wait_for(lambda: node.depth()["depth"] == 21, "it is on disk, and so in the queue")
            self.assertEqual(stored(node), [*promised, (again, b"later")])

    def test_ids_of_lost_events_are_not_given_again(self):
        """ack = "received" may lose events in a crash, but never gives their ids to others."""
        with Node({"streams.default.ack": "received", "journal.received_delay": "10s"}) as node:
            lost = [node.post(b"%d" % n).json()["id"] for n in range(20)]
            node.kill()
            node.start()
            fresh = [node.post(b"x").json()["id"] for _ in range(20)]
            self.assertFalse(set(lost) & set(fresh))
            self.assertGreater(fresh[0], lost[-1])

    def test_a_stopped_process_goes_on(self):
        with Node() as node:
            node.signal(signal.SIGSTOP)
            node.signal(signal.SIGCONT)
            wait_for(node.is_ready, "it goes on")


class Damage(unittest.TestCase):
    """Each damages one segment file of a killed node's journal."""

    def start_with_damage(self, node, harm):
        sent = fill_segments(node, 6)
        node.kill()
        files = sorted((node.data_dir / "journal").glob("*.db"))
        harm(files)
        node.start()
        log = node.log()
        self.assertRegex(log, "damaged")
        return sent

    def check_rest(self, node, sent, may_lose):
        got = stored(node)
        self.assertEqual(got, [e for e in sent if e in set(got)], "the rest is in order, unchanged")
        lost = [e for e in sent if e not in set(got)]
        self.assertTrue(lost)
        self.assertLess(len(lost), may_lose * len(sent), "only what was in the segment is lost")
        first, last = sent.index(lost[0]), sent.index(lost[-1])
        self.assertEqual(sent[first:last + 1], lost, "what is lost lies together")
        # And it goes on.
        event = (node.post(b"after").json()["id"], b"after")
        self.assertGreater(event[0], sent[-1][0])
        self.assertEqual(stored(node), [event])
        self.assertEqual(node.stop(), 0)

    def test_a_segment_that_is_no_database(self):
        with Node({"journal.segment_size": "256KiB"}) as node:
            name = []
            def harm(files):
                name.append(files[2].name)
                for file in (files[2], files[2].with_name(files[2].name + "-wal")):
                    file.write_bytes(b"this is no database" * 1000)
            sent = self.start_with_damage(node, harm)
            self.assertIn(name[0], node.log())
            self.assertTrue((node.data_dir / "journal/damaged" / name[0]).exists())
            self.check_rest(node, sent, 0.5)

    def test_a_segment_that_was_cut_short(self):
        with Node({"journal.segment_size": "256KiB"}) as node:
            def harm(files):
                wal = files[2].with_name(files[2].name + "-wal")
                longest = max(wal, files[2], key=lambda f: f.stat().st_size if f.exists() else 0)
                os.truncate(longest, longest.stat().st_size // 2)
            sent = self.start_with_damage(node, harm)
            self.check_rest(node, sent, 0.5)

    def test_bytes_that_flipped(self):
        with Node({"journal.segment_size": "256KiB"}) as node:
            def harm(files):
                wal = files[2].with_name(files[2].name + "-wal")
                longest = max(wal, files[2], key=lambda f: f.stat().st_size if f.exists() else 0)
                with open(longest, "r+b") as file:
                    file.seek(longest.stat().st_size // 2)
                    file.write(os.urandom(64))
            sent = self.start_with_damage(node, harm)
            self.check_rest(node, sent, 0.5)


class Refusals(unittest.TestCase):
    """A node that can't start says why and with which exit code."""

    def run_node(self, node):
        node.launch()
        return node.wait()

    def test_a_data_directory_in_use(self):
        with Node() as first:
            second = Node(data_dir=first.data_dir)
            self.addCleanup(second.close)
            self.assertEqual(self.run_node(second), 69, second.log())
            self.assertIn(str(first.data_dir), second.log())
            self.assertEqual(first.post(b"x").status, 202)

    def test_ports_in_use(self):
        with Node() as first:
            for key in ("http.listen", "admin.listen"):
                with self.subTest(key):
                    second = Node({key: first.options[key]})
                    self.addCleanup(second.close)
                    self.assertEqual(self.run_node(second), 69, second.log())
                    self.assertIn(first.options[key].split(":")[1], second.log())

    def test_a_bad_configuration(self):
        second = Node({"http.max_body": "enormous"})
        self.addCleanup(second.close)
        self.assertEqual(self.run_node(second), 78)
        self.assertRegex(second.log(), r"penstock.toml:\d+.*http\.max_body")
        checked = subprocess.run([harness.binary, "check", str(second.config_file)],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 78, checked.stderr)

    def test_a_data_directory_that_can_not_be_made(self):
        second = Node(data_dir="/proc/penstock")
        self.addCleanup(second.close)
        self.assertIn(self.run_node(second), (69, 70, 78))
        self.assertIn("/proc/penstock", second.log())


if __name__ == "__main__":
    harness.main()
