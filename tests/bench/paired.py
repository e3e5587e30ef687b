"""What pairs of measurements say about a ratio: an estimate and a 95% interval.

Two builds are measured in turns, so each round gives a pair, and what else the machine does hits
both halves of it. The logarithms of the ratios are taken as symmetric about the true one, which
shuffled turns make so. From them: the Hodges-Lehmann estimate (the median of the means of all pairs
of them) and the exact interval of Wilcoxon's signed ranks. Nothing is drawn at random, no normal
distribution is assumed, and a round that something else disturbed moves neither by much.
"""

import math
import statistics

METHOD = "Hodges-Lehmann median of log ratios, interval of Wilcoxon's signed ranks"
CONFIDENCE = 0.95
MAX_PAIRS = 200  # the work grows with the cube
MIN_PAIRS = 6  # fewer have no interval of 95%: all of five fall on one side in 1 of 16 cases


def signed_rank_cut(count, confidence=CONFIDENCE):
    """The k for which the k-th smallest and largest mean of two bound the interval; 0: none does."""
    ways = [1]  # ways[s]: how many subsets of the ranks so far add up to s
    for rank in range(1, count + 1):
        longer = ways + [0] * rank
        for total, number in enumerate(ways):
            longer[total + rank] += number
        ways = longer
    allowed = (1 - confidence) / 2 * 2 ** count
    seen = cut = 0
    while seen + ways[cut] <= allowed:
        seen += ways[cut]
        cut += 1
    return cut


def median_interval(values, confidence=CONFIDENCE):
    """(estimate, low, high); low and high are None where there are too few values."""
    if len(values) > MAX_PAIRS:
        raise ValueError(f"more than {MAX_PAIRS} pairs")
    means = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    cut = signed_rank_cut(len(values), confidence)
    if cut == 0:
        return statistics.median(means), None, None
    return statistics.median(means), means[cut - 1], means[-cut]


def ratio(this, that):
    """Of two lists of positive measurements, pair by pair: {"ratio", "low", "high", "pairs"}. Pairs
    with a measurement that is missing or 0 are left out; None where no pair is left."""
    logs = [math.log(a / b) for a, b in zip(this, that) if a and b]
    if not logs:
        return None
    estimate, low, high = median_interval(logs)
    return {"ratio": math.exp(estimate),
            "low": None if low is None else math.exp(low),
            "high": None if high is None else math.exp(high),
            "pairs": len(logs)}


def percent(value):
    """A ratio as a difference in percent: 1.03 is 3."""
    return None if value is None else (value - 1) * 100
