"""Compares Penstock with its floors and with the stack it replaces: one table in one run.

Rounds are interleaved (A B C, A B C, …), so that what else the machine does hits all alike; every
figure is the median over the rounds, and the ratio of CPU to nginx is the median of the ratios of
each round. Run it through scripts/bench, which builds first.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import report
from servers import SERVERS, AppendFloor, Express, Unavailable

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEBHOOKS = ROOT / "tests/data/webhooks.ndjson"
ROWS = [*SERVERS, AppendFloor.name]
DEFAULT_ROWS = [name for name in ROWS if name != "beast"]
DELAYED = {"penstock", "penstock received", "express", AppendFloor.name}
EVENT_BYTES = 300


class Case:
    """A kind of load. `rate_of` names the case whose full rate is halved for an open loop."""

    def __init__(self, title, connections, arguments, group=1, event_bytes=EVENT_BYTES,
                 rate_of=None, batch=False, rows=None):
        self.title = title
        self.connections = connections
        self.arguments = arguments
        self.events_per_request = group
        self.event_bytes = event_bytes
        self.rate_of = rate_of
        self.batch = batch
        self.rows = rows


def webhook_bytes():
    return statistics.mean(len(line) for line in WEBHOOKS.read_bytes().splitlines())


def cases():
    body = ["--body-bytes", str(EVENT_BYTES)]
    served = [name for name in ROWS if name not in ("refusal", AppendFloor.name)]
    return {
        "c64": Case("64 connections, 300-byte bodies", 64, body),
        "c256": Case("256 connections, 300-byte bodies", 256, body),
        "half": Case("half load: 64 connections, 300-byte bodies at half the full rate", 64, body,
                     rate_of="c64", rows=served),
        "webhooks": Case("64 connections, real webhooks", 64, ["--body-file", str(WEBHOOKS)],
                         event_bytes=round(webhook_bytes())),
        "ndjson": Case("64 connections, NDJSON of 100 events of 300 bytes", 64,
                       [*body, "--ndjson", "100"], group=100, batch=True,
                       rows=[name for name in ROWS if name != "refusal"]),
    }


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Example: scripts/bench --cases c64,c256 --rows nginx,penstock --rounds 3")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rows", default=",".join(DEFAULT_ROWS), help=", ".join(ROWS))
    parser.add_argument("--cases", default=",".join(cases()), help="of: " + ", ".join(cases()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration-s", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--warm-up-s", type=float, default=0.5, help="before each measurement")
    parser.add_argument("--load-threads", type=int, default=1)
    parser.add_argument("--fsync-delay-ms", type=float, default=0,
                        help="added to each fsync of the durable servers, to stand in for a disk")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/bench/results")
    arguments = parser.parse_args()
    if not (arguments.build_dir / "tests/bench/bench_load").exists():
        parser.error(f"{arguments.build_dir} has no bench_load: build the target bench_tools there")
    arguments.rows = arguments.rows.split(",")
    arguments.cases = arguments.cases.split(",")
    for kind, given, known in (("row", arguments.rows, ROWS), ("case", arguments.cases, cases())):
        for name in given:
            if name not in known:
                parser.error(f"no such {kind}: {name}; there are: {', '.join(known)}")
    return arguments


def run_load(tools, server, case, duration_s, threads, rate=0):
    """Runs the load generator of the build `tools`; what it printed."""
    path = server.batch_path if case.batch else "/v1/events"
    command = [str(tools / "tests/bench/bench_load"), "--url", server.url + path,
               "--connections", str(case.connections), "--duration-s", str(duration_s),
               "--threads", str(threads), *case.arguments]
    if rate > 0:
        command += ["--rate", f"{rate:.1f}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=duration_s + 60)
    if done.returncode != 0:
        raise Unavailable(f"{server.name}: the load generator failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(tools, server, case, arguments, rate=0):
    """A warm-up and a measurement, with what the server used for each request."""
    run_load(tools, server, case, arguments.warm_up_s, arguments.load_threads, rate)
    cpu_before, written_before = server.usage()
    result = run_load(tools, server, case, arguments.duration_s, arguments.load_threads, rate)
    cpu_after, written_after = server.usage()
    answered = max(result["requests"], 1)
    result["server_cpu_us"] = (cpu_after - cpu_before) * 1e6 / answered
    if written_before is not None and result["events"] > 0:
        result["written_per_event"] = (written_after - written_before) / result["events"]
    wrong = {k: v for k, v in result["status"].items() if k != server.expected_status}
    # The one event that a refusing server's limit lets through is as it should be.
    if sum(wrong.values()) > (1 if server.expected_status == "429" else 0) or result["errors"]:
        result["unexpected"] = {**wrong, **result["errors"]}
    return result


class Bench:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.servers = {}
        self.missing = {}
        self.samples = {}  # case -> row -> one sample a round
        self.tools = arguments.build_dir.resolve()

    def environment(self, row):
        delay = self.arguments.fsync_delay_ms
        if delay <= 0 or row not in DELAYED:
            return {}
        return {"LD_PRELOAD": str(self.tools / "tests/bench/bench_slow_fsync.so"),
                "PENSTOCK_BENCH_FSYNC_DELAY_MS": str(delay)}

    def start(self):
        for row in self.arguments.rows:
            if row == AppendFloor.name:
                continue
            try:
                if row == Express.name:
                    say("installing the express stack, if need be (a few minutes the first time)")
                    Express.install(ROOT / "build/bench/express")
                self.servers[row] = SERVERS[row](self.folder, self.tools, self.environment(row))
            except (Unavailable, OSError) as error:
                self.missing[row] = str(error)
                say(f"left out: {row}: {error}")

    def stop(self):
        for server in self.servers.values():
            server.stop()

    def measure_server(self, server, case):
        rate = 0
        if case.rate_of:
            full = self.samples.get(case.rate_of, {}).get(server.name)
            full_rate = (statistics.median(s["requests_per_s"] for s in full) if full else
                         run_load(self.tools, server, case, self.arguments.duration_s,
                                  self.arguments.load_threads)["requests_per_s"])
            rate = full_rate / 2
        return measure(self.tools, server, case, self.arguments, rate)

    def measure_floor(self, case):
        group = case.connections * case.events_per_request
        floor = AppendFloor.measure(self.folder, self.tools, group, case.event_bytes,
                                    self.arguments.duration_s, self.environment(AppendFloor.name))
        per_request = case.events_per_request
        return {"requests_per_s": floor["events_per_s"] / per_request,
                "events_per_s": floor["events_per_s"],
                "latency_us": {"p50": floor["sync_p50_us"], "p99": floor["sync_p99_us"]},
                "server_cpu_us": floor["cpu_us_per_event"] * per_request,
                "written_per_event": floor["written_bytes_per_event"], "raw": floor}

    def run_case(self, name, case):
        rows = [row for row in self.arguments.rows
                if row not in self.missing and (case.rows is None or row in case.rows)]
        samples = self.samples[name] = {row: [] for row in rows}
        for round_number in range(self.arguments.rounds):
            for row in rows:
                say(f"{name}: round {round_number + 1} of {self.arguments.rounds}: {row}")
                if row == AppendFloor.name:
                    samples[row].append(self.measure_floor(case))
                else:
                    samples[row].append(self.measure_server(self.servers[row], case))
        for row in rows:
            for i, sample in enumerate(samples[row]):
                if "nginx" in samples:
                    floor = samples["nginx"][i]["server_cpu_us"]
                    sample["cpu_to_nginx"] = sample["server_cpu_us"] / floor if floor else None


def say(text):
    print(text, file=sys.stderr, flush=True)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT,
                            capture_output=True, text=True).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release,
            "commit": commit, "date": datetime.datetime.now().astimezone().isoformat("T", "seconds")}


def main():
    arguments = parse_arguments()
    data = ROOT / "build/bench"
    data.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=data))
    bench = Bench(arguments, folder)
    try:
        bench.start()
        for name in arguments.cases:
            bench.run_case(name, cases()[name])
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    result = {"machine": machine(),
              "settings": {key: value for key, value in vars(arguments).items()
                           if not isinstance(value, pathlib.Path)},
              "titles": {name: case.title for name, case in cases().items()},
              "missing": bench.missing, "cases": bench.samples}
    text = report.as_markdown(result)
    print(text)
    arguments.results.mkdir(parents=True, exist_ok=True)
    stem = arguments.results / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    stem.with_suffix(".md").write_text(text + "\n")
    say(f"saved: {stem}.json and .md")
    return 1 if bench.missing or report.has_unexpected(result) else 0


if __name__ == "__main__":
    sys.exit(main())
