#!/usr/bin/env python3
"""Replays: a range of the journal goes to a sink again, whatever happens meanwhile."""

import collections
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import unittest

import harness
from event_server import EventServer
from harness import Node, wait_for

REPLAY = "/v1/admin/replay"


class Replay(unittest.TestCase):
    """Events go to the embedded queue; replays send them to a sink that no stream feeds."""

    def setUp(self):
        self.server = EventServer()
        self.addCleanup(self.server.close)
        self.node = Node(self.server.sink("next"))
        self.addCleanup(self.node.close)
        self.node.start()

    def fill(self, count, stream=""):
        """Sends events in batches; gives their ids."""
        ids = []
        for begin in range(0, count, 500):
            lines = b"".join(b'{"n":%d}\n' % n for n in range(begin, min(begin + 500, count)))
            reply = self.node.post(lines, stream, {"Content-Type": "application/x-ndjson",
                                                   "Prefer": "return=representation"})
            ids += reply.json()["ids"]
        return ids

    def begin(self, **wish):
        return self.node.admin("POST", REPLAY, {"stream": "default", "sink": "next", **wish})

    def job(self, name):
        return self.node.admin("GET", f"{REPLAY}/{name}").json()

    def wait_for_end(self, name):
        return wait_for(lambda: self.job(name)["state"] != "running" and self.job(name),
                        f"{name} ends")

    def environment(self):
        return {**os.environ, "PENSTOCK_ADMIN_LISTEN": f"127.0.0.1:{self.node.admin_port}"}

    def run_command(self, *arguments):
        return subprocess.run([harness.binary, "replay", *arguments], capture_output=True,
                              text=True, timeout=60, check=False, env=self.environment())

    # -- which events ------------------------------------------------------------------------------

    def test_ranges(self):
        ids = self.fill(3000)
        self.fill(500, "other")
        for wish, wanted in (({}, ids), ({"from": ids[700]}, ids[700:]),
                             ({"from": ids[700], "to": ids[2900]}, ids[700:2901]),
                             ({"from": "-1h", "to": "now"}, ids)):
            with self.subTest(wish):
                self.server.taken.clear()
                dry = self.begin(dry_run=True, **wish)
                self.assertEqual((dry.status, dry.json()["total"], dry.json()["job"]),
                                 (200, len(wanted), None))
                self.assertEqual(self.server.ids(), [])
                reply = self.begin(**wish)
                self.assertEqual(reply.status, 202, reply)
                ended = self.wait_for_end(reply.json()["job"])
                self.assertEqual((ended["state"], ended["sent"], ended["refused"]),
                                 ("done", len(wanted), 0))
                self.assertEqual(sorted(self.server.ids()), wanted)
        self.assertEqual(self.node.metrics().get("penstock_replay_events_total", result="sent"),
                         3000 + 2300 + 2201 + 3000)
        self.assertEqual(len(self.node.admin("GET", REPLAY).json()["jobs"]), 4)

    def test_refused_events_are_dead_letters(self):
        ids = self.fill(100)
        self.server.refuse = lambda event: "odd" if event["data"]["n"] % 2 else None
        ended = self.wait_for_end(self.begin().json()["job"])
        self.assertEqual((ended["state"], ended["sent"], ended["refused"]), ("done", 50, 50))
        letters = self.node.admin("GET", "/v1/admin/dead-letters?limit=1000").json()["dead_letters"]
        self.assertEqual(sorted(x["id"] for x in letters), ids[1::2])

    def test_wrong_wishes(self):
        ids = self.fill(10)
        other = ids[0][:-8] + "aaaaaaaa"
        for wish, status, word in (({"stream": "a b"}, 400, "stream"), ({"sink": ""}, 400, "sink"),
                                   ({"sink": "nope"}, 404, "next"),
                                   ({"sink": "queue"}, 400, "penstock consume default --from"),
                                   ({"from": "soon"}, 400, "from"), ({"from": other}, 404, "from"),
                                   ({"from": ids[5], "to": ids[1]}, 400, "to"),
                                   ({"from": "now", "to": "-1h"}, 400, "to"),
                                   ({"rate": 1.5}, 400, "rate"), ({"dry_run": 1}, 400, "dry_run"),
                                   ({"stream": "empty"}, 404, "empty"),
                                   ({"speed": 1}, 400, "speed")):
            with self.subTest(wish):
                reply = self.begin(**wish)
                self.assertEqual(reply.status, status, reply)
                self.assertIn(word, reply.json()["detail"])
        self.assertEqual(self.node.admin("POST", REPLAY, {"sink": "next"}).status, 400)
        for name in ("r77", "d77", "x", "77"):
            self.assertEqual(self.node.admin("GET", f"{REPLAY}/{name}").status, 404)
            self.assertEqual(self.node.admin("POST", f"{REPLAY}/{name}/cancel").status, 404)
        self.assertEqual(self.server.requests, 0)

    # -- life --------------------------------------------------------------------------------------

    def test_goes_on_after_a_kill(self):
        ids = self.fill(3000)
        job = self.begin(rate=2000).json()["job"]
        for share in (500, 1500):
            wait_for(lambda: self.job(job)["sent"] >= share, f"{share} are sent")
            self.node.kill()
            self.assertLess(len(set(self.server.ids())), 3000)
            self.node.start()
        ended = self.wait_for_end(job)
        self.assertEqual((ended["state"], ended["sent"]), ("done", 3000))
        counts = collections.Counter(self.server.ids())
        self.assertEqual(sorted(counts), ids)
        # At most the chunk under way comes again at a kill, a tenth of a second of the rate.
        self.assertLessEqual(sum(counts.values()), 3000 + 2 * 200)

    def test_goes_on_after_a_drain(self):
        ids = self.fill(1500)
        job = self.begin(rate=1500).json()["job"]
        wait_for(lambda: self.job(job)["sent"] >= 300, "some are sent")
        self.assertEqual(self.node.stop(), 0, self.node.log())
        self.node.start()
        self.assertEqual(self.wait_for_end(job)["sent"], 1500)
        self.assertEqual(sorted(self.server.ids()), ids)  # nothing twice

    def test_waits_for_a_sink_that_is_down(self):
        ids = self.fill(1200)
        self.server.down = True
        job = self.begin().json()["job"]
        wait_for(lambda: self.server.requests > 3, "it is tried")
        self.assertEqual(self.job(job)["state"], "running")
        self.server.down = False
        self.assertEqual(self.wait_for_end(job)["state"], "done")
        self.assertEqual(sorted(self.server.ids()), ids)

    def test_rate_cancel_and_resume(self):
        ids = self.fill(2000)
        job = self.begin(rate=1000).json()["job"]
        wait_for(lambda: self.job(job)["sent"] >= 200, "some are sent")
        self.assertLess(self.job(job)["sent"], 1500)
        cancelled = self.node.admin("POST", f"{REPLAY}/{job}/cancel")
        self.assertEqual((cancelled.status, cancelled.json()["state"]), (200, "cancelled"))
        sent = len(self.server.ids())
        self.node.kill()
        self.node.start()
        self.assertEqual(self.job(job)["state"], "cancelled")
        self.assertLessEqual(len(self.server.ids()), sent + 100)
        self.assertEqual(self.node.admin("POST", f"{REPLAY}/{job}/resume").status, 200)
        self.assertEqual(self.wait_for_end(job)["state"], "done")
        self.assertEqual(sorted(set(self.server.ids())), ids)
        self.assertEqual(self.node.admin("POST", f"{REPLAY}/{job}/resume").status, 400)

    def test_says_where_the_journal_begins(self):
        self.node.close()
        self.node = Node({**self.server.sink("next"), "streams.default.sinks": ["next"],
                          "journal.segment_size": "256KiB"})
        self.addCleanup(self.node.close)
        self.node.start()
        first = self.node.post(b"1").json()["id"]
        for _ in range(6):
            self.fill(20_000)
        wait_for(lambda: self.node.metrics().get("penstock_journal_segments_retired_total") > 0,
                 "the journal lets go of what the sink has", within_s=30)
        for start in (first, "-1h"):
            refused = self.begin(**{"from": start})
            self.assertEqual(refused.status, 404, refused)
            self.assertIn("the journal begins at", refused.json()["detail"])
        self.assertEqual(self.begin(dry_run=True).status, 200)

    # -- the command -------------------------------------------------------------------------------

    def test_command(self):
        ids = self.fill(1000)
        counted = self.run_command("default", "--sink", "next", "--from", ids[10], "--dry-run")
        self.assertEqual(counted.stdout,
                         f"990 events would be sent, from {ids[10]} to {ids[-1]}\n", counted)
        done = self.run_command("default", "--sink", "next")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "r1: done, 1000 of 1000 events sent\n", ""))
        as_json = json.loads(self.run_command("default", "--sink", "next", "--json").stdout)
        self.assertEqual((as_json["job"], as_json["state"]), ("r2", "done"))
        detached = self.run_command("--stream", "default", "--sink", "next", "--rate", "100",
                                    "--detach")
        self.assertEqual(detached.returncode, 0, detached.stderr)
        self.assertTrue(detached.stdout.startswith("r3: running, "), detached)
        self.assertIn("r3", self.run_command("list").stdout)
        self.assertIn("running", self.run_command("status", "r3").stdout)
        cancelled = self.run_command("cancel", "r3")
        self.assertEqual(cancelled.returncode, 0, cancelled)
        self.assertEqual(self.run_command("cancel", "r1").returncode, 69)
        self.assertEqual(self.run_command("status", "r3").returncode, 69)
        for arguments, code in (([], 64), (["default"], 64), (["default", "--sink", "queue"], 64),
                                (["default", "--sink", "next", "--from", "soon"], 64),
                                (["status", "r99"], 64), (["status"], 64),
                                (["default", "--sink", "next", "--rate", "0"], 64),
                                (["list", "--admin", "http://127.0.0.1:1"], 69)):
            with self.subTest(arguments):
                wrong = self.run_command(*arguments)
                self.assertEqual(wrong.returncode, code, wrong)
                self.assertEqual(wrong.stdout, "")
                self.assertTrue(wrong.stderr)
        for name in ((), ("list",), ("status",), ("cancel",), ("resume",)):
            self.assertIn("xample", self.run_command(*name, "--help").stdout)

    def test_an_interrupt_leaves_the_job_running(self):
        self.fill(2000)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen([harness.binary, "replay", "default", "--sink", "next", "--rate",
                                    "500"], stdout=subprocess.PIPE, stderr=slave,
                                   env=self.environment())
        os.close(slave)
        wait_for(lambda: len(self.server.ids()) >= 300, "some are sent")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)
        drawn = b""
        try:
            while piece := os.read(master, 65536):
                drawn += piece
        except OSError:
            pass  # the terminal's end
        os.close(master)
        self.assertEqual(process.stdout.read(), b"")
        process.stdout.close()
        text = drawn.decode()
        self.assertRegex(text, r"r1 \[#+-+\] +\d+% \d+/2000")
        self.assertIn("penstock replay status r1 --watch", text)
        self.assertIn("penstock replay cancel r1", text)
        self.assertTrue(all(len(line) < 80 for line in text.split("\r")[1:-2]), text)
        self.assertEqual(self.job("r1")["state"], "running")
        watched = self.run_command("status", "r1", "--watch")
        self.assertEqual((watched.returncode, watched.stdout),
                         (0, "r1: done, 2000 of 2000 events sent\n"))


if __name__ == "__main__":
    harness.main()
