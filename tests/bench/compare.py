"""Compares this build with another revision, in pairs: scripts/bench --compare REV.

In each round both nodes are started anew, so that the layout of memory, worth a percent or two, is
drawn again; then each case is run against both and against nginx, cases and turns in shuffled order.
Only ratios within a round are used, since the machine's speed drifts between rounds.
"""

import argparse
import datetime
import json
import pathlib
import random
import re
import shutil
import statistics
import sys
import tempfile

import bench
import compare_build
import instructions
import paired
from bench import ROOT, say
from compare_build import Failed
from servers import Nginx, Penstock, Unavailable

EXIT_BAR = 75  # a threshold was missed
NAMES = {name: case for name, case in bench.cases().items()}
DEFAULT_CASES = "c64,c256"
# Measure → (what it is called, how it is read from a sample, digits).
MEASURES = {
    "cpu": ("CPU µs/request", lambda s: s["server_cpu_us"], 2),
    "p50": ("p50 ms", lambda s: s["latency_us"]["p50"] / 1000, 2),
    "p99": ("p99 ms", lambda s: s["latency_us"]["p99"] / 1000, 2),
    "throughput": ("requests/s", lambda s: s["requests_per_s"], 0),
    "rss": ("RSS MiB", lambda s: s["rss_bytes"] / (1 << 20), 1),
}


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --compare", description=__doc__.splitlines()[0],
        epilog="Example: scripts/bench --compare main --rounds 20 --cases c64 --bar-percent 3")
    parser.add_argument("--compare", metavar="REV", required=True, help="the revision of git")
    parser.add_argument("--compare-build", type=pathlib.Path, metavar="DIR",
                        help="a build of it that is there already; REV is then only its name")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=20, help=f"up to {paired.MAX_PAIRS}")
    parser.add_argument("--cases", default=DEFAULT_CASES, help="of: " + ", ".join(NAMES))
    parser.add_argument("--duration-s", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--warm-up-s", type=float, default=0.5, help="before each measurement")
    parser.add_argument("--load-threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="configuration of both nodes, e.g. http.threads=1; may be repeated")
    parser.add_argument("--seed", type=int, help="of the order of turns; default: drawn, and told")
    parser.add_argument("--bar-percent", type=float, metavar="P", help="end with 75 where the upper "
                        "limit of CPU (with --instructions: the difference) is above P")
    parser.add_argument("--instructions", action="store_true", help="count instructions of the "
                        "limiter's and the journal's benchmarks instead, with callgrind")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all samples, too")
    arguments = parser.parse_args()
    if not 1 <= arguments.rounds <= paired.MAX_PAIRS:
        parser.error(f"--rounds is from 1 to {paired.MAX_PAIRS}")
    arguments.cases = arguments.cases.split(",")
    for name in arguments.cases:
        if name not in NAMES:
            parser.error(f"no such case: {name}; there are: {', '.join(NAMES)}")
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(1 << 32)
    return arguments


def turns(draw, cases, rows, rounds):
    """For each round: its cases in shuffled order, each with its rows in shuffled order."""
    return [[(case, draw.sample(rows, len(rows))) for case in draw.sample(cases, len(cases))]
            for _ in range(rounds)]


class This(Penstock):
    name = "this"


class That(Penstock):
    name = "that"


def rss_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) << 10


class Compared:
    def __init__(self, arguments, builds, folder):
        self.arguments = arguments
        self.builds = builds  # "this" and "that" → build directory
        self.folder = folder
        self.tools = builds["this"]  # one load generator for both
        self.rates = {}  # case → rate of its open loop, the same for both

    def start(self, kind, build):
        return kind(self.folder, build, {})

    def pair(self):
        """Both nodes; if the second can't start, the first is stopped."""
        servers = {}
        try:
            for kind in (This, That):
                servers[kind.name] = self.start(kind, self.builds[kind.name])
        except BaseException:
            stop(servers)
            raise
        return servers

    def rate_of(self, name, servers):
        """Half of what the slower of the two can do, measured once."""
        case = NAMES[name]
        if not case.rate_of:
            return 0
        if name not in self.rates:
            full = [bench.run_load(self.tools, servers[row], NAMES[case.rate_of],
                                   self.arguments.duration_s, self.arguments.load_threads)
                    for row in ("this", "that")]
            self.rates[name] = min(each["requests_per_s"] for each in full) / 2
        return self.rates[name]

    def measure(self, server, name, rate):
        sample = bench.measure(self.tools, server, NAMES[name], self.arguments, rate)
        sample["rss_bytes"] = rss_bytes(server)
        return sample

    def run(self):
        """Case → one {"this": sample, "that": sample, "nginx": sample} a round."""
        samples = {name: [] for name in self.arguments.cases}
        floor = {}
        try:
            floor["nginx"] = self.start(Nginx, self.tools)
        except Unavailable as error:
            say(f"left out: {error}")
        rows = ["this", "that", *floor]
        plan = turns(random.Random(self.arguments.seed), self.arguments.cases, rows,
                     self.arguments.rounds)
        try:
            for number, one in enumerate(plan, 1):
                say(f"round {number} of {len(plan)}")
                servers = self.pair()
                try:
                    for name, order in one:
                        rate = self.rate_of(name, servers)
                        every = {**servers, **floor}
                        samples[name].append({row: self.measure(every[row], name, rate)
                                              for row in order})
                finally:
                    stop(servers)
        finally:
            stop(floor)
        return samples


def stop(servers):
    for server in servers.values():
        server.stop()


def figures(rounds):
    """What the rounds of one case say."""
    found = {}
    for measure, (_, pick, _) in MEASURES.items():
        this = [pick(each["this"]) for each in rounds]
        that = [pick(each["that"]) for each in rounds]
        compared = paired.ratio(this, that) or {"ratio": None, "low": None, "high": None, "pairs": 0}
        found[measure] = {"this": statistics.median(this), "that": statistics.median(that),
                          **compared, "upper_percent": paired.percent(compared["high"])}
    for row in ("this", "that"):
        to_floor = [each[row]["server_cpu_us"] / each["nginx"]["server_cpu_us"] for each in rounds
                    if each.get("nginx", {}).get("server_cpu_us")]
        found[f"{row}_to_nginx"] = statistics.median(to_floor) if to_floor else None
    wrong = {}
    for each in rounds:
        for row, sample in each.items():
            for what, count in sample.get("unexpected", {}).items():
                wrong[f"{row}: {what}"] = wrong.get(f"{row}: {what}", 0) + count
    found["unexpected"] = wrong
    return found


def case_lines(name, title, found):
    lines = [f"### {name}: {title}", "", "| | this | that | this to that | 95% interval |",
             "|---|---|---|---|---|"]
    for measure, (label, _, digits) in MEASURES.items():
        each = found[measure]
        interval = ("no interval" if each["low"] is None else
                    f"{each['low']:.3f} to {each['high']:.3f}")
        ratio = "–" if each["ratio"] is None else f"{each['ratio']:.3f}"
        lines.append(f"| {label} | {each['this']:,.{digits}f} | {each['that']:,.{digits}f} | "
                     f"{ratio} | {interval} |")
    cpu = found["cpu"]
    if cpu["low"] is None:
        lines += ["", f"CPU a request: no interval from fewer than {paired.MIN_PAIRS} rounds."]
    else:
        lines += ["", f"CPU a request: {paired.percent(cpu['ratio']):+.1f}%, upper 95% limit "
                      f"**{cpu['upper_percent']:+.1f}%** ({cpu['pairs']} pairs)."]
    if found["this_to_nginx"]:
        lines.append(f"CPU to nginx in the same rounds: this {found['this_to_nginx']:.2f}, that "
                     f"{found['that_to_nginx']:.2f}.")
    lines += [f"UNEXPECTED: {count} × {what}" for what, count in found["unexpected"].items()]
    return lines


def over_the_bar(found, bar_percent):
    """The cases whose upper limit of CPU is above the bar, or that have none."""
    return [name for name, each in found.items()
            if each["cpu"]["upper_percent"] is None or each["cpu"]["upper_percent"] > bar_percent]


def compare_requests(arguments, result, builds, folder):
    samples = Compared(arguments, builds, folder).run()
    found = {name: figures(rounds) for name, rounds in samples.items()}
    result.update(method=paired.METHOD, cases=found, samples=samples)
    lines = [f"Pairs: {arguments.rounds} rounds of {arguments.duration_s:g} s a measurement, nodes "
             f"started anew in each, turns shuffled with seed {arguments.seed}.",
             f"Ratios: {paired.METHOD}."]
    for name, each in found.items():
        lines += ["", *case_lines(name, NAMES[name].title, each)]
    missed = [] if arguments.bar_percent is None else over_the_bar(found, arguments.bar_percent)
    return lines, missed, any(each["unexpected"] for each in found.values())


def compare_instructions(arguments, result, builds, folder):
    say("counting instructions: both builds at once, several minutes")
    found = result["instructions"] = instructions.compared(builds["this"], builds["that"], folder)
    bar = arguments.bar_percent
    missed = [name for name, each in found.items()
              if bar is not None and (each["ratio"] - 1) * 100 > bar]
    return instructions.lines(found), missed, False


def run(arguments, folder):
    this = arguments.build_dir.resolve()
    that = arguments.compare_build
    if that is None:
        targets = instructions.TARGETS if arguments.instructions else ["penstock"]
        that = compare_build.build(arguments.compare, this, targets)
    builds = {"this": this, "that": that.resolve()}
    for build in builds.values():
        if not arguments.instructions and not (build / "penstock").exists():
            raise Failed(f"{build} has no penstock")
    Penstock.settings = arguments.set
    result = {"this": compare_build.described(ROOT), "that": arguments.compare,
              "machine": bench.machine(),
              "settings": {key: str(value) if isinstance(value, pathlib.Path) else value
                           for key, value in vars(arguments).items()}}
    measure = compare_instructions if arguments.instructions else compare_requests
    lines, missed, unexpected = measure(arguments, result, builds, folder)
    machine = result["machine"]
    print("\n".join([f"This: {result['this']}. That: {arguments.compare}. {machine['cores']} cores of "
                     f"{machine['cpu']}, Linux {machine['kernel']}, {machine['date']}.", *lines]))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if missed:
        say(f"above {arguments.bar_percent:g}%: {', '.join(missed)}")
        return EXIT_BAR
    return 1 if unexpected else 0


def main():
    arguments = parse_arguments()
    data = ROOT / "build/bench"
    data.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-", dir=data))
    began = datetime.datetime.now()
    try:
        return run(arguments, folder)
    except (Failed, Unavailable) as error:
        say(f"scripts/bench --compare: {error}")
        return 69
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        say(f"took {(datetime.datetime.now() - began).total_seconds():.0f} s")


if __name__ == "__main__":
    sys.exit(main())
