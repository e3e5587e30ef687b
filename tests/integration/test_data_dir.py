#!/usr/bin/env python3
"""What lies in node.data_dir: whose it is, and what a node does when it is taken away or damaged."""

import os
import shutil
import stat
import unittest

import harness
from harness import Node, wait_for


def modes(folder):
    """What others than the owner have a right to."""
    paths = [p for p in [folder, *folder.rglob("*")] if not p.is_symlink()]
    return {str(p.relative_to(folder)): oct(stat.S_IMODE(p.stat().st_mode))
            for p in paths if p.stat().st_mode & 0o077}


def flip(file, offset, bit=0):
    content = bytearray(file.read_bytes())
    content[offset] ^= 1 << bit
    file.write_bytes(content)


class Privacy(unittest.TestCase):
    def test_whatever_the_umask(self):
        for umask in ("000", "022"):
            prefix = ("sh", "-c", f'umask {umask}; exec "$@"', "sh")
            with Node(prefix=prefix) as node:
                node.post(b"x")
                self.assertEqual(node.admin("POST", "/v1/admin/keys",
                                            {"account": "a", "plan": "anonymous"}).status, 201)
                self.assertEqual(modes(node.data_dir), {})
                self.assertNotIn("open to other users", node.log())
                self.assertEqual(node.stop(), 0)
                self.assertEqual(modes(node.data_dir), {})

    def test_what_was_open_is_closed_and_a_wide_directory_is_told(self):
        with Node() as node:
            node.post(b"x")
            node.kill()
            node.data_dir.chmod(0o755)
            outside = node.folder / "outside"
            outside.write_text("somebody else's")
            outside.chmod(0o644)
            (node.data_dir / "link").symlink_to(outside)
            for path in node.data_dir.rglob("*"):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() else 0o644)
            node.start()
            self.assertEqual(modes(node.data_dir), {".": "0o755"})
            self.assertEqual(stat.S_IMODE(outside.stat().st_mode), 0o644)
            self.assertRegex(node.log(), r"warn .*node.data_dir .* is open to other users")


class NotAllowed(unittest.TestCase):
    """Directories and files that belong to somebody else: the operator is told which, and why."""
    NOBODY = 65534

    def setUp(self):
        prefix, self.user = (), None
        if os.geteuid() == 0:  # whom permissions do not bind
            if not shutil.which("setpriv"): self.skipTest("root can't run a node as another user without setpriv")
            self.user = self.NOBODY
            prefix = ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--")
        self.node = Node(prefix=prefix)
        self.addCleanup(self.node.close)
        self.addCleanup(self.open_all)
        self.node.folder.chmod(0o755)
        self.node.config_file.chmod(0o644)

    def open_all(self):
        """What the test shut, so that it can be removed."""
        for folder, folders, _ in os.walk(self.node.folder):
            for each in folders: (self.node.folder / folder / each).chmod(0o700)

    def shut(self, path, mode):
        """Nobody but root may do more than `mode` says."""
        path.chmod(mode)
        if self.user is not None: os.chown(path, 0, 0)

    def give(self, path):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self.user is not None: os.chown(path, self.user, self.user)

    def refuses(self, sentence):
        self.node.log_file.write_text("")
        self.node.launch()
        self.assertNotEqual(self.node.wait(), 0)
        self.assertIn(f"can't start: {sentence}: Permission denied", self.node.log())

    def test_a_directory(self):
        """That can't be made, entered, or written."""
        if self.user is None: self.node.folder.chmod(0o555)
        self.refuses(f"can't make directory {self.node.data_dir}")
        self.node.folder.chmod(0o755)
        self.node.data_dir.mkdir()
        for mode in (0o000, 0o555):
            with self.subTest(mode=oct(mode)):
                self.shut(self.node.data_dir, mode)
                self.refuses(f"can't make directory {self.node.data_dir}/journal")
                self.assertEqual(os.stat(self.node.data_dir).st_nlink, 2, "nothing was made in it")
        self.give(self.node.data_dir)
        self.node.start()

    def test_a_file(self):
        """Of the journal, of another store, or the secret; and once it may, all is there."""
        self.node.data_dir.mkdir()
        self.give(self.node.data_dir)
        self.node.start()
        promised = self.node.post(b"event").json()["id"]
        self.node.kill()
        for name in ("journal/000000000001.db", "usage.db", "client-secret"):
            with self.subTest(name=name):
                file = self.node.data_dir / name
                before = file.read_bytes()
                self.shut(file, 0o000)
                self.refuses(f"can't open {file}")
                self.give(file)
                self.assertEqual(file.read_bytes(), before)
        self.node.start()
        self.assertEqual([m["id"] for m in self.node.drain_queue()], [promised])


class TakenAway(unittest.TestCase):
    def test_nothing_is_promised_until_it_is_back(self):
        with Node() as node:
            journal, away = node.data_dir / "journal", node.data_dir / "away"
            promised = [node.post(b"before").json()["id"]]
            journal.rename(away)
            wait_for(lambda: not node.is_ready(), "it is noticed", 5)
            reply = node.post(b"lost")
            self.assertEqual(reply.status, 503)
            self.assertIn("Nothing was stored", reply.json()["detail"])
            self.assertEqual(node.metrics().get("penstock_journal_failed"), 1)
            self.assertGreaterEqual(node.metrics().get("penstock_journal_failures_total"), 1)
            self.assertEqual(node.request("GET", "/livez").status, 200)
            self.assertIn(b"failed", node.request("GET", "/readyz?verbose").body)
            away.rename(journal)
            wait_for(node.is_ready, "it is ready again")
            promised.append(node.post(b"after").json()["id"])
            node.kill()
            node.start()
            self.assertEqual([m["id"] for m in node.drain_queue()], promised)


class Secret(unittest.TestCase):
    def test_a_damaged_one_is_not_taken(self):
        with Node() as node:
            node.stop()
            secret = node.data_dir / "client-secret"
            flip(secret, 5)
            node.launch()
            self.assertNotEqual(node.wait(), 0)
            self.assertIn("client-secret.sha256", node.log())
            self.assertIn("no API key works any more", node.log())
            flip(secret, 5)
            node.start()
            node.stop()
            secret.unlink()
            node.launch()
            self.assertNotEqual(node.wait(), 0)
            self.assertFalse(secret.exists())


class Damage(unittest.TestCase):
    def test_one_bit_of_the_last_log_of_a_killed_node(self):
        """Of its header, and of its first frame: told, and kept."""
        for offset in (0, 17, 32, 44, 100):
            with self.subTest(offset=offset), Node() as node:
                with node.client() as client:
                    for i in range(50):
                        self.assertEqual(client.post(b"event %d" % i).status, 202)
                node.kill()
                log = min((node.data_dir / "journal").glob("*.db-wal"))
                flip(log, offset, 3)
                node.start()
                self.assertEqual(node.drain_queue(), [])
                self.assertRegex(node.log(), f"{log.with_suffix('.db').name} is damaged: .*are lost")
                self.assertEqual(node.metrics().get("penstock_journal_damaged_segments"), 1)
                kept = [log, log.parent / "damaged" / log.name]
                self.assertTrue(any(path.exists() for path in kept))


if __name__ == "__main__":
    harness.main()
