#!/usr/bin/env python3
"""Nodes that come or go at the same moment: every client's total stays exactly its limit."""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import harness  # noqa: E402
import many_at_once  # noqa: E402

CLIENTS = 120


class ManyAtOnce(unittest.TestCase):
    def check(self, kind, load=False):
        took_s, faults = many_at_once.one_round(kind, CLIENTS, load)
        print(f"settled in {took_s:.1f} s ", end="", file=sys.stderr)
        self.assertEqual(faults, [])

    def test_eight_more(self):
        self.check("grow")

    def test_eight_where_there_were_none(self):
        self.check("begin")

    def test_eight_more_under_load(self):
        self.check("grow", load=True)

    def test_six_of_eight_drain(self):
        self.check("shrink")

    def test_all_start_again(self):
        self.check("restart")


if __name__ == "__main__":
    harness.main()
