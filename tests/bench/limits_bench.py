"""The check of a request's limits, Penstock's beside Redis's: CPU and latency in one run.

Penstock's is what its limiter does for a request: finding the clients' counters, asking six limits
and charging them, on the thread that has the request. Redis's is a Lua script that does the same,
with the look-up of the key, as services without a limiter of their own do it. Rounds are
interleaved, and each figure is the median. Run it with: scripts/bench limits
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from servers import Server, Unavailable

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Redis(Server):
    """redis-server on a free port of 127.0.0.1, in memory only, as a limiter needs no more."""

    name = "redis"

    def command(self):
        program = shutil.which("redis-server", path=os.environ["PATH"] + ":/usr/sbin")
        if not program:
            raise Unavailable("redis-server is not installed; try: scripts/install-packages bench")
        return [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", str(self.folder), "--daemonize", "no"]


def median(samples, name):
    return statistics.median(sample[name] for sample in samples)


def measure_redis(folder, tools, arguments, depth):
    server = Redis(folder, tools, {})
    try:
        command = [str(tools / "tests/bench/bench_redis_check"), str(server.port)]
        size = [str(arguments.clients)]
        # Keys are there and the script is loaded before the processor's time is read.
        subprocess.run([*command, *size, "1", "1"], check=True, capture_output=True, timeout=300)
        before, _ = server.usage()
        done = subprocess.run([*command, *size, str(arguments.checks), str(depth)],
                              check=True, capture_output=True, text=True, timeout=600)
        after, _ = server.usage()
        # The keys are set once more in it: what that costs is measured alone and taken off.
        subprocess.run([*command, *size, "1", "1"], check=True, capture_output=True, timeout=300)
        setup, _ = server.usage()
    finally:
        server.stop()
    result = json.loads(done.stdout)
    result["server_cpu_us"] = max(after - before - (setup - after), 0) * 1e6 / arguments.checks
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     epilog="Example: scripts/bench limits --rounds 3")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--checks", type=int, default=200_000, help="of Redis, in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    tools = arguments.build_dir.resolve()
    data = ROOT / "build/bench"
    data.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="limits-", dir=data))
    ours, redis = {}, {1: [], 64: []}
    try:
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            done = subprocess.run([str(tools / "tests/bench/limiter_bench"), str(arguments.clients),
                                   "json"], check=True, capture_output=True, text=True, timeout=900)
            for row in json.loads(done.stdout):
                ours.setdefault((row["plan"], row["case"]), []).append(row)
            for depth, samples in redis.items():
                samples.append(measure_redis(folder, tools, arguments, depth))
    except Unavailable as problem:
        sys.exit(f"limits_bench: {problem}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    print(f"\n{arguments.clients:,} clients, median of {arguments.rounds} rounds\n")
    print("| check | CPU a check | time a check | memory |")
    print("|---|---|---|---|")
    for (plan, case), samples in ours.items():
        if case == "memory":
            continue
        memory = ours[plan, "memory"]
        print(f"| Penstock, {plan}: {case} | {median(samples, 'cpu_ns') / 1000:.2f} us "
              f"| {median(samples, 'ns') / 1000:.2f} us | {median(memory, 'bytes'):.0f} B a client, "
              f"{median(memory, 'per_limit'):.0f} B a limit |")
    for depth, samples in redis.items():
        both = [s["server_cpu_us"] + s["client_cpu_us"] for s in samples]
        what = "one at a time" if depth == 1 else f"{depth} at once on a connection"
        print(f"| Redis and Lua, key and 6 limits: {what} | {statistics.median(both):.1f} us "
              f"({median(samples, 'server_cpu_us'):.1f} server) | p50 {median(samples, 'p50_us'):.0f} us, "
              f"p99 {median(samples, 'p99_us'):.0f} us | |")


if __name__ == "__main__":
    main()
