#!/usr/bin/env python3
"""Nodes whose clocks differ: limits and waits stay right when counters move between them."""

import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks"):
    sys.path.insert(0, str(HERE.parent / folder))

import harness  # noqa: E402
import test_directory  # noqa: E402
from test_directory import CLIENTS  # noqa: E402

AMOUNT = 20
WINDOW_S = 6


class Clocks(unittest.TestCase):
    setUp = test_directory.Directory.setUp
    tearDown = test_directory.Directory.tearDown
    node = test_directory.Directory.node
    wait_for_members = test_directory.Directory.wait_for_members
    members_of = staticmethod(test_directory.Directory.members_of)
    send = test_directory.Directory.send

    def node_off_by(self, name, off_s):
        node = self.node(name, **{"plans.anonymous.limits": [
            {"name": "shared", "algorithm": "fixed_window", "amount": AMOUNT,
             "window": f"{WINDOW_S}s"}]})
        folder = pathlib.Path(harness.binary).parent
        node.environment = {"LD_PRELOAD": str(folder / "tests/integration/set_clock.so"),
                            "PENSTOCK_TEST_CLOCK_OFFSET_MS": str(off_s * 1000)}
        return node

    def check_moves(self, off_s):
        a, b = self.node_off_by("a", 0), self.node_off_by("b", off_s)
        a.start()
        self.wait_for_members([a], 1)
        b.start()
        self.wait_for_members([a, b], 2)
        ahead_s = b.metrics().get("penstock_cluster_clock_ahead_seconds")
        self.assertAlmostEqual(ahead_s, off_s, delta=1)
        self.assertIn("the cluster's time, which limits go by", b.log())
        began = time.monotonic()
        for client in CLIENTS:
            self.assertEqual(self.send(a, client, AMOUNT // 2), AMOUNT // 2)
            self.assertEqual(self.send(b, client, AMOUNT), AMOUNT - AMOUNT // 2)
        filled_s = time.monotonic() - began
        a.stop()  # its counters go to the other
        self.wait_for_members([b], 1)
        with b.client() as connection:
            for client in CLIENTS:
                reply = connection.post(b"x", headers={"X-Client": client})
                if time.monotonic() - began < WINDOW_S - 0.5:
                    self.assertEqual(reply.status, 429, client)
                    wait_s = int(reply.headers["retry-after"])
                    self.assertGreaterEqual(wait_s, 1)
                    self.assertLessEqual(wait_s, WINDOW_S + 1)
        # Every window has ended by then; who asks anew has the whole amount, and no more.
        time.sleep(max(0, began + filled_s + WINDOW_S + 0.5 - time.monotonic()))
        for client in CLIENTS:
            self.assertEqual(self.send(b, client, AMOUNT + 5), AMOUNT)

    def test_one_is_five_minutes_ahead(self):
        self.check_moves(300)

    def test_one_is_five_minutes_behind(self):
        self.check_moves(-300)

    def test_one_that_is_set_wrong_is_not_let_in(self):
        a, b = self.node_off_by("a", 0), self.node_off_by("b", 3600)
        a.start()
        self.wait_for_members([a], 1)
        b.launch()
        harness.wait_for(lambda: "clock" in b.log() and self.standing_of(b), "it says why")
        self.assertIn("too far from its members'", self.standing_of(b))
        self.assertEqual(self.members_of(a), 1)

    @staticmethod
    def standing_of(node):
        try:
            return node.request("GET", "/readyz?verbose").body.decode()
        except OSError:
            return ""


if __name__ == "__main__":
    harness.main()
