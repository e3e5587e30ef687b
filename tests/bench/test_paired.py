"""Checks the statistics and the small parts of scripts/bench --compare."""

import itertools
import json
import math
import pathlib
import random
import tempfile
import unittest

import compare
import compare_build
import instructions
import paired


class SignedRanks(unittest.TestCase):
    def test_cuts_are_those_of_the_tables(self):
        # Of any table of Wilcoxon's test, two-sided 5%: the critical value, and one more.
        for count, critical in {6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 12: 13, 15: 25, 20: 52, 25: 89}.items():
            self.assertEqual(paired.signed_rank_cut(count), critical + 1, count)

    def test_too_few_have_no_interval(self):
        for count in range(1, paired.MIN_PAIRS):
            self.assertEqual(paired.signed_rank_cut(count), 0)
            self.assertEqual(paired.median_interval([0.1] * count)[1:], (None, None))
        self.assertEqual(paired.signed_rank_cut(paired.MIN_PAIRS), 1)

    def test_interval_of_known_values(self):
        estimate, low, high = paired.median_interval([1, 2, 3, 4, 5, 6])
        self.assertEqual((estimate, low, high), (3.5, 1, 6))

    def test_order_of_pairs_does_not_matter(self):
        values = [0.3, -0.1, 0.2, 0.05, 0.4, 0.0, 0.1]
        expected = paired.median_interval(values)
        for order in itertools.islice(itertools.permutations(values), 50):
            for got, wanted in zip(paired.median_interval(list(order)), expected):
                self.assertAlmostEqual(got, wanted, places=12)

    def test_covers_the_truth_as_often_as_it_says(self):
        draw = random.Random(7)
        held = 0
        for _ in range(400):
            values = [draw.gauss(0.02, 0.1) for _ in range(12)]
            _, low, high = paired.median_interval(values)
            held += low <= 0.02 <= high
        self.assertGreater(held, 400 * 0.92)
        self.assertLess(held, 400 * 0.99)

    def test_one_disturbed_round_moves_little(self):
        draw = random.Random(3)
        quiet = [draw.gauss(0, 0.01) for _ in range(20)]
        disturbed = [*quiet[:-1], 3.0]
        for before, after in zip(paired.median_interval(quiet), paired.median_interval(disturbed)):
            self.assertLess(abs(before - after), 0.01)

    def test_more_than_the_bound_is_refused(self):
        with self.assertRaises(ValueError):
            paired.median_interval([0.0] * (paired.MAX_PAIRS + 1))


class Ratios(unittest.TestCase):
    def test_a_known_ratio(self):
        base = [10.0, 20.0, 15.0, 12.0, 30.0, 18.0, 11.0]
        found = paired.ratio([1.03 * value for value in base], base)
        for key in ("ratio", "low", "high"):
            self.assertAlmostEqual(found[key], 1.03)
        self.assertEqual(found["pairs"], 7)

    def test_both_ways_round_are_each_others_inverse(self):
        draw = random.Random(5)
        a = [draw.uniform(1, 2) for _ in range(10)]
        b = [draw.uniform(1, 2) for _ in range(10)]
        there, back = paired.ratio(a, b), paired.ratio(b, a)
        self.assertAlmostEqual(there["ratio"], 1 / back["ratio"])
        self.assertAlmostEqual(there["low"], 1 / back["high"])

    def test_missing_measurements_are_left_out(self):
        self.assertEqual(paired.ratio([1, None, 0, 2], [1, 2, 3, 2])["pairs"], 2)
        self.assertIsNone(paired.ratio([None], [1]))
        self.assertIsNone(paired.ratio([], []))

    def test_percent(self):
        self.assertAlmostEqual(paired.percent(1.03), 3)
        self.assertIsNone(paired.percent(None))
        self.assertTrue(math.isclose(paired.percent(0.5), -50))


def sample(cpu_us, latency_us=1000):
    return {"server_cpu_us": cpu_us, "requests_per_s": 1e6 / cpu_us, "rss_bytes": 1 << 26,
            "latency_us": {"p50": latency_us, "p99": 4 * latency_us}}


class Report(unittest.TestCase):
    def rounds(self, count=8):
        return [{"this": sample(20.6), "that": sample(20.0), "nginx": sample(10.0)}
                for _ in range(count)]

    def test_figures_of_a_case(self):
        figures = compare.figures(self.rounds())
        self.assertAlmostEqual(figures["cpu"]["ratio"], 1.03)
        self.assertAlmostEqual(figures["cpu"]["upper_percent"], 3)
        self.assertAlmostEqual(figures["this_to_nginx"], 2.06)
        self.assertAlmostEqual(figures["that_to_nginx"], 2.0)
        json.dumps(figures)

    def test_without_nginx_and_with_few_rounds(self):
        rounds = [{"this": sample(20), "that": sample(20)} for _ in range(2)]
        figures = compare.figures(rounds)
        self.assertIsNone(figures["cpu"]["upper_percent"])
        self.assertIsNone(figures["this_to_nginx"])
        self.assertIn("no interval", "\n".join(compare.case_lines("c64", "title", figures)))

    def test_the_turns_of_a_round_are_shuffled_and_repeatable(self):
        def plan(seed):
            return compare.turns(random.Random(seed), ["a", "b"], ["this", "that", "nginx"], 20)
        self.assertEqual(plan(1), plan(1))
        self.assertNotEqual(plan(1), plan(2))
        for one in plan(1):
            self.assertEqual(sorted(case for case, _ in one), ["a", "b"])
            for _, order in one:
                self.assertEqual(sorted(order), ["nginx", "that", "this"])
        first = [order[0] for one in plan(1) for _, order in one]
        self.assertEqual(set(first), {"this", "that", "nginx"})

    def test_a_bar_that_is_missed(self):
        figures = {"c64": compare.figures(self.rounds())}
        self.assertEqual(compare.over_the_bar(figures, 2.9), ["c64"])
        self.assertEqual(compare.over_the_bar(figures, 3.1), [])
        few = {"c64": compare.figures(self.rounds(3))}
        self.assertEqual(compare.over_the_bar(few, 50), ["c64"], "no interval proves nothing")


class Builds(unittest.TestCase):
    def test_options_are_those_of_the_build_beside(self):
        cache = ("CMAKE_BUILD_TYPE:STRING=RelWithDebInfo\nCMAKE_CXX_FLAGS:STRING=-march=native\n"
                 "PENSTOCK_LTO:BOOL=ON\nPENSTOCK_WERROR:BOOL=ON\nPENSTOCK_UNITY:STRING=16\n"
                 "CMAKE_HOME_DIRECTORY:INTERNAL=/src\n//PENSTOCK_LTO:BOOL=OFF\n")
        self.assertEqual(compare_build.options_of(cache),
                         ["-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS=-march=native",
                          "-DPENSTOCK_LTO=ON", "-DPENSTOCK_UNITY=16"])

    def test_a_revision_that_is_none(self):
        with self.assertRaises(compare_build.Failed):
            compare_build.commit_of("no-such-revision-here")

    def test_instructions_are_read_from_what_callgrind_wrote(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "out")
            out.write_text("version: 1\nevents: Ir\nsummary: 12345\nfn=(1) main\n1 12\n\ntotals: 12345\n")
            self.assertEqual(instructions.counted(out), 12345)
            out.write_text("version: 1\n")
            with self.assertRaises(compare_build.Failed):
                instructions.counted(out)


if __name__ == "__main__":
    unittest.main()
