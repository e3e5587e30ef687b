#!/usr/bin/env python3
"""An upgrade loses nothing: what releases left on disk is opened, and all that they promised is true.
PENSTOCK_EARLIER=PROGRAM also goes back to that program, and forward again, on one directory."""

import collections
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "crash"))

import harness  # noqa: E402
from event_server import EventServer  # noqa: E402
from harness import Node, body_of, wait_for  # noqa: E402
from numbered_events import Record  # noqa: E402
import conservation  # noqa: E402

RELEASES = ["24158b8"]  # one folder of tests/data/releases each
FOLDER = HERE.parent / "data/releases"
LETTERS = "/v1/admin/dead-letters"
REPLAY = "/v1/admin/replay"

# The statement must outlive its connection: closing that would move the log into the file.
SQL = "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); " \
      "db.commit(); os._exit(0)"


def change(file, statement):
    subprocess.run([sys.executable, "-c", SQL, str(file), statement], check=True, timeout=60)


def digest(body):
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def contents(folder):
    """Of all files but those that are only memory or a lock."""
    return {str(path.relative_to(folder)): digest(path.read_bytes())
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".db-shm" and path.name != "lock"}


def bearer(key):
    return {"Authorization": "Bearer " + key}


def earlier_program(test):
    """The program that PENSTOCK_EARLIER names; without it the test is skipped."""
    path = os.environ.get("PENSTOCK_EARLIER")
    return path or test.skipTest("PENSTOCK_EARLIER names no earlier program")


class Opened(unittest.TestCase):
    """A directory that a release left, opened by the program under test at the time it was left."""

    def open(self, release, name, start=True):
        self.facts = json.loads((FOLDER / release / f"{name}.json").read_text())
        folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-release-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with tarfile.open(FOLDER / release / f"{name}.tar.xz") as tar:
            tar.extractall(folder)
        self.server, self.again = EventServer(), EventServer()
        options = self.facts["options"]
        for sink, server in (("away", self.server), ("again", self.again)):
            self.addCleanup(server.close)
            if f"sinks.{sink}.kind" in options:
                options[f"sinks.{sink}.url"] = server.url
        self.node = Node(options, folder, self.clock())
        self.addCleanup(self.node.close)
        self.acked = {i for ids in self.facts["acked"].values() for i in ids}
        if start:
            self.node.start()
            self.check_nothing_is_damaged()
        return self.node

    def clock(self):
        library = pathlib.Path(os.environ.get("PENSTOCK_SET_CLOCK") or pathlib.Path(
            harness.binary).parent / "tests/integration/set_clock.so")
        self.assertTrue(library.exists(), f"{library} is not built")
        offset_ms = self.facts["stopped_ms"] - int(time.time() * 1000)
        return {"LD_PRELOAD": str(library), "PENSTOCK_TEST_CLOCK_OFFSET_MS": str(offset_ms)}

    def check_nothing_is_damaged(self):
        self.assertNotRegex(self.node.log(), r"damaged|can't be read|are lost|Z critical ")
        self.assertEqual(self.node.metrics().get("penstock_journal_damaged_segments"), 0)
        self.assertFalse((self.node.data_dir / "journal/damaged").exists())

    # -- the queue -------------------------------------------------------------------------------

    def owed(self, stream):
        return [e for e in self.facts["streams"][stream] if e[0] not in self.acked]

    def take_queue(self, stream):
        return [[m["id"], m["content_type"], digest(body_of(m)), m["attributes"]]
                for m in self.node.drain_queue(stream)]

    def queue_streams(self):
        fed = self.facts["options"]
        return [s for s in self.facts["streams"] if "queue" in fed.get(f"streams.{s}.sinks",
                                                                       ["queue"])]

    def check_queue(self):
        """Exactly what was promised and not acknowledged, in order, and nothing else."""
        for stream in self.queue_streams():
            self.assertEqual(self.take_queue(stream), self.owed(stream), stream)

    # -- clients ---------------------------------------------------------------------------------

    def check_repeats(self):
        self.assertGreater(len(self.facts["keyed"]), 0)
        for one in self.facts["keyed"]:
            headers = {"Content-Type": one["content_type"], "Prefer": "return=representation"}
            if one["key"]:
                headers["Idempotency-Key"] = f'"{one["key"]}"'
            reply = self.node.post(one["body"].encode(), one["stream"], headers)
            self.assertEqual((reply.status, reply.json(), reply.headers.get("idempotent-replayed")),
                             (one["status"], one["answer"], "true"), one)
            other = self.node.post(one["body"].encode() + b" ", one["stream"], headers)
            self.assertEqual(other.status, 422, one)

    def limits(self, key=None, client=None):
        headers = bearer(key) if key else {"X-Client": client}
        return self.node.request("GET", "/v1/usage?stream=spent", headers=headers).json()["limits"]


class Clean(Opened):
    def test_all_is_delivered_once(self):
        for release in RELEASES:
            with self.subTest(release):
                self.open(release, "clean")
                self.check_repeats()
                self.check_queue()
                self.assertEqual(self.node.stop(), 0, self.node.log())
                self.node.start()
                self.check_nothing_is_damaged()
                for stream in self.queue_streams():
                    self.assertEqual(self.node.drain_queue(stream), [])


class Killed(Opened):
    def test_all_is_delivered(self):
        """Events whose answer never came may be there, too."""
        for release in RELEASES:
            with self.subTest(release):
                self.open(release, "killed")
                self.check_repeats()
                for one in self.facts["limits"]:
                    for limit in self.limits(client=one["client"]):
                        least, most = one["used_between"][limit["name"]]
                        self.assertTrue(least <= limit["used"] <= most, (limit, least, most))
                for stream in self.queue_streams():
                    self.check_stream(stream)
                self.check_sink()

    def check_stream(self, stream):
        found = self.take_queue(stream)
        ids = [event[0] for event in found]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(self.acked & set(ids), set())
        promised = {event[0]: event for event in self.facts["streams"][stream]}
        maybe = set(self.facts["maybe_acked"].get(stream, []))
        self.assertEqual([e for e in found if e[0] in promised and e[0] not in maybe],
                         [e for e in self.owed(stream) if e[0] not in maybe])

    def check_sink(self):
        had = set(self.facts["sinks"]["away"]["maybe"])
        promised = {event[0] for event in self.facts["streams"]["both"]}
        wait_for(lambda: promised <= had | set(self.server.ids()), "all arrives at the sink")


class Filled(Opened):
    def test_every_store_is_read(self):
        for release in RELEASES:
            with self.subTest(release):
                self.open(release, "filled")
                self.check_all()

    def test_every_store_goes_back_and_forth(self):
        earlier = earlier_program(self)
        self.open(RELEASES[-1], "filled", start=False)
        self.server.down = self.again.down = True  # what is owed waits
        for number, program in enumerate((harness.binary, earlier) * 2):
            with harness.program(program):
                self.node.start()
            self.check_nothing_is_damaged()
            if number % 2 == 0:
                self.assertEqual(self.node.stop(), 0, self.node.log())
            else:
                self.node.kill()
        self.server.down = self.again.down = False
        self.node.start()
        self.check_nothing_is_damaged()
        self.check_all()

    def check_all(self):
        self.check_usage()
        for one in self.facts["limits"]:
            self.assertEqual(self.limits(one["key"]), one["limits"])
        self.check_sink()
        self.check_repeats()
        self.check_queue()
        self.check_keys()
        self.check_plans()
        self.check_what_is_left()
        self.check_letters()
        self.check_replay()
        self.check_nothing_comes_again()

    def check_usage(self):
        for by, wanted in self.facts["usage"].items():
            for per in ("minute", "hour", "day", "month"):
                found = self.node.admin("GET", f"/v1/admin/usage?by={by}&per={per}&top=1000").json()
                self.assertEqual({k: found[k] for k in wanted}, wanted, (by, per))

    def check_keys(self):
        listed = {k["id"]: k for k in self.node.admin("GET", "/v1/admin/keys").json()["keys"]}
        for one in self.facts["keys"]:
            reply = self.node.post(b"x", "default", {**bearer(one["key"]), **one["headers"]})
            self.assertEqual(reply.status, one["status"], one["name"])
            self.assertEqual(bool(listed[one["id"]]["revoked"]), one["name"] == "revoked")

    def check_plans(self):
        plans = {p["name"]: p for p in self.node.admin("GET", "/v1/admin/plans").json()["plans"]}
        self.assertEqual(sorted(plans), ["anonymous", "pro"])
        self.assertEqual(plans["pro"]["source"], "admin")

    def check_what_is_left(self):
        """Of the smallest limit that counts all of an account exactly so much as was left."""
        for one in self.facts["limits"]:
            left = min(limit["remaining"] for limit in self.limits(one["key"])
                       if limit["name"] != "rare")
            taken = sum(self.node.post(b"", "spent", bearer(one["key"])).status == 202
                        for _ in range(left + 5))
            self.assertEqual(taken, left)

    def check_sink(self):
        """What it had confirmed does not come again, the rest does, each client's in order."""
        had = self.facts["sinks"]["away"]
        letters = set(self.facts["dead_letters"])
        wanted = {e[0]: e for s in had["streams"] for e in self.facts["streams"][s]
                  if e[0] not in letters and e[0] not in had["confirmed"]}
        self.assertGreater(len(wanted), 0)
        wait_for(lambda: len(self.server.taken) >= len(wanted), "all arrives at the sink")
        self.assertEqual(sorted(self.server.ids()), sorted(wanted))
        of_client = collections.defaultdict(list)
        for event in self.server.taken:
            of_client[event["partitionkey"]].append(event["id"])
            body = json.dumps(event["data"]).encode()
            self.assertEqual(digest(body), wanted[event["id"]][2])
        for ids in of_client.values():
            self.assertEqual(ids, sorted(ids))

    def check_letters(self):
        listed = self.node.admin("GET", LETTERS).json()["dead_letters"]
        self.assertEqual(sorted(x["id"] for x in listed), self.facts["dead_letters"])
        promised = {e[0]: e for e in self.facts["streams"]["away"]}
        for letter in listed:
            self.assertIn("it is bad", letter["reason"])
            shown = self.node.admin("GET", f"{LETTERS}/{letter['id']}").json()
            self.assertEqual(digest(body_of(shown)), promised[letter["id"]][2])
        self.server.taken.clear()
        self.assertEqual(self.node.admin("POST", LETTERS + "/replay", {"all": True}).status, 202)
        wait_for(lambda: len(self.server.taken) == len(listed), "dead letters arrive")
        self.assertEqual(sorted(self.server.ids()), self.facts["dead_letters"])
        self.server.taken.clear()

    def check_replay(self):
        """The job that was under way goes on where it was."""
        job = self.facts["replay"]
        def ended():
            state = self.node.admin("GET", f"{REPLAY}/{job['job']}").json()
            return state["state"] != "running" and state
        done = wait_for(ended, "the replay ends")
        self.assertEqual((done["state"], done["sent"], done["total"]),
                         ("done", job["total"], job["total"]))
        found = [e.get("penstockid", e["id"]) for e in self.again.taken]
        self.assertEqual(sorted(job["sent"] + found), job["ids"])

    def check_nothing_comes_again(self):
        for stream in self.queue_streams():
            self.node.drain_queue(stream)
        self.again.taken.clear()
        self.assertEqual(self.node.stop(), 0, self.node.log())
        self.node.start()
        self.check_nothing_is_damaged()
        last = self.node.post(b'{"last":1}', "away", {"Content-Type": "application/json"}).json()
        wait_for(lambda: last["id"] in self.server.ids(), "the sink is fed")
        self.assertEqual((self.server.ids(), self.again.ids()), ([last["id"]], []))
        for stream in self.queue_streams():
            self.assertEqual(self.node.drain_queue(stream), [])


class Newer(Opened):
    """A downgrade by mistake hides nothing."""

    def refused(self, *words):
        self.node.log_file.write_text("")
        self.node.launch()
        self.assertNotEqual(self.node.wait(), 0)
        for word in words:
            self.assertIn(word, self.node.log())

    def test_a_journal_of_a_newer_format(self):
        self.open(RELEASES[-1], "filled", start=False)
        segments = sorted((self.node.data_dir / "journal").glob("*.db"))
        for segment in (segments[0], segments[-2], segments[-1]):  # sealed, written to, or unused
            with self.subTest(segment.name):
                files = [segment, pathlib.Path(f"{segment}-wal")]
                saved = [file.read_bytes() for file in files]
                change(segment, "UPDATE meta SET value = 3 WHERE key = 'version'")
                before = contents(self.node.data_dir)
                for _ in range(2):
                    self.refused(segment.name, "format version is 3", "Start the newer program")
                    self.assertEqual(contents(self.node.data_dir), before)
                for file, content in zip(files, saved):
                    file.write_bytes(content)
                pathlib.Path(f"{segment}-shm").unlink()
        self.node.log_file.write_text("")
        self.node.start()
        self.check_nothing_is_damaged()
        self.check_queue()

    def test_stores_of_a_newer_format(self):
        self.open(RELEASES[-1], "filled", start=False)
        for name in ("accounts.db", "dead-letters.db", "replays.db"):
            with self.subTest(name):
                file = self.node.data_dir / name
                change(file, "PRAGMA user_version = 99")
                self.refused(name, "written by a newer penstock")
                change(file, "PRAGMA user_version = 1")
        self.node.start()
        self.check_nothing_is_damaged()
        self.check_queue()
        self.check_repeats()


class Back(unittest.TestCase):
    """One directory, by turns the earlier program's and this one's."""

    LIVES = 8
    EVENTS_A_LIFE = 150

    def setUp(self):
        self.earlier = earlier_program(self)
        self.node = Node({"journal.segment_size": "256KiB", "identity.order": ["bearer", "ip"],
                          "plans.pro.limits": []})
        self.addCleanup(self.node.close)
        self.record = Record(1)

    def life(self, number, senders):
        """Until enough is promised; every third ends in order, the others by SIGKILL."""
        wanted = len(self.record.promised) + self.EVENTS_A_LIFE
        with harness.program(self.earlier if number % 2 == 0 else harness.binary):
            self.node.start()
            self.visit(number)
            wait_for(lambda: len(self.record.promised) >= wanted
                     or not any(s.is_alive() for s in senders), "enough is promised", 60)
            if number % 3 == 2:
                self.assertEqual(self.node.stop(), 0, self.node.log())
            else:
                self.node.kill()

    def visit(self, number):
        """The first life makes a key and an event with an idempotency key; each later one knows both."""
        if number == 0:
            reply = self.node.admin("POST", "/v1/admin/keys", {"account": "a", "plan": "pro"})
            self.assertEqual(reply.status, 201)
            self.key = reply.json()["key"]
        headers = {**bearer(self.key), "Idempotency-Key": "once"}
        reply = self.node.post(b"0 0 ", "kept", headers)
        self.assertEqual(reply.status, 202, (number, reply))
        if number == 0:
            self.first = reply.json()
        self.assertEqual((reply.json(), reply.headers.get("idempotent-replayed")),
                         (self.first, "true" if number else None), number)

    def test_one_directory_back_and_forth(self):
        stop, finish = threading.Event(), threading.Event()
        senders = [conservation.Sender(i, self.node.http_port, self.record, 200, stop)
                   for i in range(2)]
        consumer = conservation.Consumer(self.node.admin_port, self.record, finish)
        for thread in (*senders, consumer):
            thread.start()
        try:
            for number in range(self.LIVES):
                self.life(number, senders)
            self.node.start()
        finally:
            stop.set()
            for sender in senders:
                sender.join(30)
            finish.set()
            consumer.join(60)
        self.assertIsNone(consumer.failure)
        self.assertFalse(consumer.is_alive())
        summary = self.record.summary()
        self.assertEqual({k: summary[k] for k in conservation.FAULTS},
                         dict.fromkeys(conservation.FAULTS, 0), self.record.examples)
        self.assertEqual([m["id"] for m in self.node.drain_queue("kept")], [self.first["id"]])
        self.assertNotIn("damaged", self.node.log())
        print(f"{summary['promised']} promised in {self.LIVES} lives, none missing, "
              f"{summary['duplicates']} twice ", end="", file=sys.stderr)


if __name__ == "__main__":
    harness.main()
