#!/usr/bin/env python3
"""A short form of scripts/bench attacks: fewer connections, tighter bounds, a second each. Nothing is
timed: the node is alive and within its bounds, and each paying request is answered 202 and kept."""

import pathlib
import resource
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import attack_node  # noqa: E402
import attack_run  # noqa: E402
from attack_table import ATTACKS  # noqa: E402
from attacks import Settings  # noqa: E402

SCALE = 10
DURATION_S = 0.6
# Of a node with tight bounds: what is written below is far from it unless something has none.
MEMORY = 192 << 20
OPTIONS = {"http.max_connections": 1000, "http.max_in_flight": "16MiB", "idempotency.max_keys": 10_000}
# Others are variants of these, or need more connections or time than a short run has.
SHORT = ("chunk_extensions", "stream_names", "bad_lines_8", "used_up_8", "ids_please_8",
         "bad_batches_8", "not_found_8", "slow_readers", "half_headers", "trickled_bodies",
         "admin_bodies", "forged_hosts", "sink_names", "forwarded_lists", "idempotency_keys",
         "malformed", "admin_malformed", "cluster_port")


class Attacks(unittest.TestCase):
    def settings(self):
        limit = MEMORY
        try:
            attack_node.Cgroup(MEMORY).close()
        except attack_node.NoCgroup:
            limit = 0
        return Settings(DURATION_S, settle_s=0.2, cgroup_bytes=limit, with_control=False, options=OPTIONS)

    def test_all(self):
        self.assertLessEqual(set(SHORT), set(ATTACKS))
        settings = self.settings()
        for name in SHORT:
            with self.subTest(name):
                attack = ATTACKS[name]
                run = attack_run.Run(attack, settings,
                                     lambda node, each=attack: each.floods(node, SCALE))
                found = run.execute()
                self.assertEqual(found["faults"], [])
                self.assertTrue(found["alive"])
                self.assertLess(found["peak_rss_bytes"], MEMORY)
                self.assertGreater(sum(each["sent_bytes"] for each in found["sent"]), 0)


if __name__ == "__main__":
    # Memory of what starts here is bounded where no cgroup can be made, too.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    harness.main()
