#!/usr/bin/env python3
"""Stores beside the journal whose files are damaged, and `penstock check --data`."""

import hashlib
import json
import shutil
import signal
import stat
import subprocess
import unittest

import harness
from event_server import EventServer
from harness import Node, wait_for

EX_USAGE, EX_DATA, EX_UNAVAILABLE = 64, 65, 69
FRAME = 24 + 4096


def flip(file, offset, bit=3):
    content = bytearray(file.read_bytes())
    content[offset] ^= 1 << bit
    file.write_bytes(content)


def frames_in(log):
    return (log.stat().st_size - 32) // FRAME


def contents(folder):
    """Every file with its bytes, so that nothing can be changed, made or removed unseen."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "dir"
            for p in sorted(folder.rglob("*"))}


def check(folder, *more):
    return subprocess.run([harness.binary, "check", "--data", str(folder), *more], capture_output=True,
                          text=True, timeout=60, check=False)


class Revoked(unittest.TestCase):
    """A key that was revoked must not be good again because a bit of a log was flipped."""

    def setUp(self):
        self.node = Node({"identity.order": ["bearer", "ip"], "identity.anonymous": "refuse"})
        self.addCleanup(self.node.close)
        self.node.start()

    def post_with(self, key):
        return self.node.post(b"x", headers={"Authorization": "Bearer " + key}).status

    def test_a_killed_node_does_not_start_with_a_damaged_log(self):
        node = self.node
        made = node.admin("POST", "/v1/admin/keys", {"account": "a", "plan": "anonymous"}).json()
        self.assertEqual(self.post_with(made["key"]), 202)
        for i in range(4):
            node.admin("POST", "/v1/admin/keys", {"account": f"more-{i}", "plan": "anonymous"})
        self.assertLess(node.admin("DELETE", f"/v1/admin/keys/{made['id']}").status, 300)
        self.assertEqual(self.post_with(made["key"]), 401)
        node.kill()
        log = node.data_dir / "accounts.db-wal"
        whole = log.read_bytes()
        for frame in (1, frames_in(log) // 2, frames_in(log)):
            with self.subTest(frame=frame):
                flip(log, 32 + (frame - 1) * FRAME + 500)
                before = (node.data_dir / "accounts.db").read_bytes(), log.read_bytes()
                told = check(node.data_dir)
                self.assertEqual(told.returncode, EX_DATA, told)
                node.launch()
                self.assertEqual(node.wait(), EX_DATA)
                said = node.log()
                self.assertRegex(said, r"can't start: .*accounts.db-wal is damaged")
                self.assertIn("move accounts.db, accounts.db-wal and accounts.db-shm away", said)
                # Nothing is changed, so that a person may decide.
                self.assertEqual(((node.data_dir / "accounts.db").read_bytes(), log.read_bytes()), before)
                sentence = said.rsplit("can't start: ", 1)[1].splitlines()[0]
                self.assertIn(sentence[:60], told.stdout)
                log.write_bytes(whole)
        node.start()
        self.assertEqual(self.post_with(made["key"]), 401)


class WayOut(unittest.TestCase):
    """What the sentence about damaged accounts advises is true."""

    def damage(self, node):
        log = node.data_dir / "accounts.db-wal"
        flip(log, 32 + frames_in(log) // 2 * FRAME + 500)
        node.launch()
        self.assertEqual(node.wait(), EX_DATA)

    def make_keys(self, node):
        made = [node.admin("POST", "/v1/admin/keys", {"account": f"a{i}", "plan": "anonymous"}).json()["id"]
                for i in range(5)]
        self.assertLess(node.admin("DELETE", f"/v1/admin/keys/{made[0]}").status, 300)

    def keys(self, node):
        reply = node.admin("GET", "/v1/admin/keys")
        return {key["id"]: bool(key.get("revoked")) for key in reply.json()["keys"]}

    def test_another_node_gives_all_keys_back(self):
        nodes = harness.cluster(2)
        for node in nodes:
            self.addCleanup(node.close)
        for node in nodes:
            node.start()
        a, b = nodes
        self.make_keys(a)
        before = self.keys(a)
        self.assertEqual(sorted(before.values()), [False] * 4 + [True])
        wait_for(lambda: self.keys(b) == before, "the other knows")
        a.kill()
        self.damage(a)
        for suffix in ("", "-wal", "-shm"):
            (a.data_dir / f"accounts.db{suffix}").rename(a.folder / f"accounts.db{suffix}")
        a.start()
        wait_for(lambda: self.keys(a) == before, "the keys are back")

    def test_a_node_alone_starts_with_its_backup_or_without_the_log(self):
        with Node() as node:
            self.make_keys(node)
            before = self.keys(node)
            node.stop()
            shutil.copy(node.data_dir / "accounts.db", node.folder / "backup.db")
            node.start()
            self.make_keys(node)
            node.kill()
            self.damage(node)
            (node.data_dir / "accounts.db-wal").rename(node.folder / "away-wal")
            # A log that is gone by itself is damage, too: a revocation may have been in it.
            node.launch()
            self.assertEqual(node.wait(), 65)
            self.assertIn("accounts.db-wal is gone", node.log())
            (node.data_dir / "accounts.db-shm").rename(node.folder / "away-shm")
            node.start()
            self.assertEqual(self.keys(node), before)
            node.kill()
            for suffix in ("", "-wal", "-shm"):
                (node.data_dir / f"accounts.db{suffix}").unlink(missing_ok=True)
            shutil.copy(node.folder / "backup.db", node.data_dir / "accounts.db")
            node.start()
            self.assertEqual(self.keys(node), before)


class Letters(unittest.TestCase):
    def test_what_is_lost_is_told_once_and_the_rest_is_kept(self):
        server = EventServer(lambda event: "it is bad")
        self.addCleanup(server.close)
        node = Node({"streams.default.sinks": ["next"], **server.sink("next")})
        self.addCleanup(node.close)
        node.start()

        def letters():
            return len(node.admin("GET", "/v1/admin/dead-letters").json()["dead_letters"])
        for i in range(10):
            node.post(b"bad %d" % i)
            wait_for(lambda i=i: letters() == i + 1, "it is a dead letter")
        node.kill()
        log = node.data_dir / "dead-letters.db-wal"
        flip(log, 32 + frames_in(log) // 2 * FRAME + 500)
        before = contents(node.data_dir)
        told = check(node.data_dir)
        self.assertEqual(told.returncode, EX_DATA, told)
        self.assertIn("dead letters", told.stdout)
        self.assertEqual(contents(node.data_dir), before)
        node.start()
        left = letters()
        self.assertLess(left, 10)
        self.assertGreater(left, 0)
        self.assertRegex(node.log(), r"error .*dead-letters.db-wal is damaged: .*Lost is .*dead letters")
        self.assertEqual(node.metrics().get("penstock_damaged_stores"), 1)
        self.assertTrue((node.data_dir / "damaged" / "1" / "dead-letters.db-wal").exists())
        node.kill()
        said = node.log().count("dead-letters.db-wal is damaged")
        node.start()
        self.assertEqual(node.log().count("dead-letters.db-wal is damaged"), said)
        self.assertEqual(node.metrics().get("penstock_damaged_stores"), 0)
        self.assertEqual(letters(), left)
        node.stop()
        self.assertEqual(check(node.data_dir).returncode, 0)


class Cursors(unittest.TestCase):
    def test_a_flipped_position_skips_nothing(self):
        with Node() as node:
            ids = [node.post(b"event %d" % i).json()["id"] for i in range(20)]
            node.settle("default", node.receive(most=5))
            wait_for(lambda: node.depth()["depth"] == 15, "five are acknowledged")
            node.stop()
            database = node.data_dir / "cursors.db"
            sql = "UPDATE cursor SET seq = seq + 4611686018427387904"
            subprocess.run(["sqlite3", str(database), sql], check=True, timeout=10)
            told = check(node.data_dir)
            self.assertEqual(told.returncode, EX_DATA, told)
            self.assertIn("the stream default", told.stdout)
            node.start()
            self.assertEqual([m["id"] for m in node.drain_queue()], ids)
            self.assertRegex(node.log(), r"error .*position of the sink \S+ in the stream default is damaged")


class CheckEnds(unittest.TestCase):
    """The private copy holds keys and events: none is left of a check that is ended."""

    def stopped_in_the_middle(self, data_dir, scratch):
        """A check that was stopped while its copy was there."""
        checking = subprocess.Popen([harness.binary, "check", "--data", str(data_dir), "--scratch", str(scratch)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(checking.stderr.close)
        self.addCleanup(checking.wait)
        self.addCleanup(checking.kill)
        # It is there for as long as many megabytes are copied and read.
        wait_for(lambda: any(scratch.iterdir()) or checking.poll() is not None, "a copy is made", pause_s=0)
        checking.send_signal(signal.SIGSTOP)
        self.assertIsNone(checking.poll(), "it had ended before it was stopped")
        return checking

    def test_by_a_signal(self):
        with Node() as node:
            node.post(b"secret")
            node.kill()
            before = contents(node.data_dir)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                with self.subTest(signal=number.name):
                    scratch = node.folder / number.name
                    scratch.mkdir()
                    checking = self.stopped_in_the_middle(node.data_dir, scratch)
                    copies = list(scratch.iterdir())
                    self.assertEqual([stat.S_IMODE(copy.stat().st_mode) for copy in copies], [0o700])
                    checking.send_signal(number)
                    checking.send_signal(signal.SIGCONT)
                    self.assertEqual(checking.wait(10), 128 + number)
                    self.assertEqual(sorted(map(str, scratch.rglob("*"))), [])
                    self.assertEqual(checking.stderr.read(), b"")
            self.assertEqual(contents(node.data_dir), before)
            self.assertEqual(check(node.data_dir).returncode, 0, "nor is the directory locked")


class CheckData(unittest.TestCase):
    def test_a_sound_directory_of_a_stopped_and_of_a_killed_node(self):
        with Node() as node:
            for i in range(50):
                node.post(b"event %d" % i)
            running = check(node.data_dir)
            self.assertEqual(running.returncode, EX_UNAVAILABLE, running)
            self.assertIn("is in use", running.stderr)
            node.kill()
            for end in ("killed", "stopped"):
                with self.subTest(end=end):
                    before = contents(node.data_dir)
                    told = check(node.data_dir)
                    self.assertEqual((told.returncode, told.stderr), (0, ""), told)
                    self.assertIn("no damage", told.stdout)
                    self.assertEqual(contents(node.data_dir), before)
                    as_json = json.loads(check(node.data_dir, "--json").stdout)
                    self.assertEqual((as_json["ok"], as_json["damaged"]), (True, []))
                    self.assertEqual(as_json["events"], 50)
                    node.start()
                    node.stop()

    def test_the_journals_damage_is_told_as_the_start_tells_it(self):
        with Node() as node:
            for i in range(50):
                node.post(b"event %d" % i)
            node.kill()
            log = min((node.data_dir / "journal").glob("*.db-wal"))
            flip(log, 32 + 10 * FRAME + 500)
            (node.data_dir / "journal" / "next-id").write_text("garbage")
            before = contents(node.data_dir)
            told = json.loads(check(node.data_dir, "--json").stdout)
            self.assertEqual(contents(node.data_dir), before)
            self.assertFalse(told["ok"])
            node.start()
            said = node.log()
            self.assertEqual(len(told["damaged"]), 2)
            for sentence in told["damaged"]:
                # Ids after the damage come from the clock.
                self.assertIn(sentence.split("far beyond, at")[0].strip(), said)
            self.assertRegex(told["damaged"][0], "events after 0000")

    def test_a_torn_end_is_no_damage(self):
        with Node() as node:
            for i in range(10):
                node.post(b"event %d" % i)
            node.kill()
            log = node.data_dir / "cursors.db-wal"
            journal = min((node.data_dir / "journal").glob("*.db-wal"))
            shutil.copytree(node.data_dir, node.folder / "copy")
            found = subprocess.run([harness.binary, "check", "--data", str(node.folder / "copy")],
                                   capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(found.returncode, 0, found)
            self.assertTrue(log.exists() and journal.exists())
            # The last frame that is in use is the commit of the last event.
            content = journal.read_bytes()
            salts = content[16:24]
            frames = [at for at in range(32, len(content) - FRAME + 1, FRAME)
                      if content[at + 8:at + 16] == salts]
            flip(journal, frames[-1] + 600)
            before = contents(node.data_dir)
            told = check(node.data_dir)
            self.assertEqual(told.returncode, 0, told)
            self.assertIn("ends with a transaction that is not whole", told.stdout)
            self.assertEqual(contents(node.data_dir), before)

    def test_a_damaged_secret_is_damage(self):
        with Node() as node:
            node.stop()
            flip(node.data_dir / "client-secret", 5)
            before = contents(node.data_dir)
            told = check(node.data_dir)
            self.assertEqual(told.returncode, EX_DATA, told)
            self.assertIn("client-secret", told.stdout)
            self.assertEqual(contents(node.data_dir), before)

    def test_what_is_no_data_directory(self):
        with Node() as node:
            node.stop()
            self.assertEqual(check(node.folder / "nowhere").returncode, EX_UNAVAILABLE)
            wrong = check(node.data_dir / "journal")
            self.assertEqual(wrong.returncode, EX_UNAVAILABLE)
            self.assertIn("no data directory", wrong.stderr)
            self.assertEqual(check(node.data_dir, str(node.config_file)).returncode, EX_USAGE)
            self.assertEqual(check(node.data_dir, "--reference").returncode, EX_USAGE)


if __name__ == "__main__":
    harness.main()
