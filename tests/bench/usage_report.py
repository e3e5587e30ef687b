"""A report over ten million rows beside ingest at full load: what ingest loses, and how long the
report takes. Windows with and without a report take turns in one run, so that what else the machine
does hits both alike. Run it through scripts/bench usage, which builds first."""

import argparse
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from servers import Penstock, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS = 100_000
MINUTE_S = 60
DIMENSION_IP = 2
BAR = 0.05  # what ingest may lose
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--duration-s", type=float, default=2.0, help="of each window of load")
    parser.add_argument("--max-windows", type=int, default=30, help="in a round")
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


class Node(Penstock):
    name = "penstock usage"

    def __init__(self, *arguments):
        self.admin_port = free_port()
        super().__init__(*arguments)

    def command(self):
        command = super().command()
        return [*command, "--set", f"admin.listen=127.0.0.1:{self.admin_port}"]

    def report(self, rows):
        """Seconds that a report took which has to read all the rows; None if it was given up."""
        target = (f"http://127.0.0.1:{self.admin_port}/v1/admin/usage?by=ip&per=minute&from=-47h"
                  "&top=10")
        began = time.monotonic()
        try:
            with urllib.request.urlopen(target, timeout=900) as reply:
                report = json.load(reply)
        except urllib.error.HTTPError as refused:
            print(f"report: {refused.code}: {refused.read().decode()}", file=sys.stderr)
            return None
        assert report["total"]["requests"] >= rows, report["total"]
        return time.monotonic() - began


def fill(file, rows):
    """Minutes of the last 46 hours, in which each of so many addresses occurs about equally often.
    """
    minutes = 46 * 60
    each = -(-rows // minutes)
    first = int(time.time()) // MINUTE_S * MINUTE_S - minutes * MINUTE_S
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO name SELECT i, '10.' || (i >> 16) || '.' || (i >> 8 & 255) || '.' "
                   "|| (i & 255), 4102444800 FROM n", (IDS,))
        for minute in range(minutes):
            start = minute * 7919 % IDS
            db.execute("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE "
                       "i < ?1 - 1) INSERT INTO minute SELECT ?2, ?3, name, 1 + name % 7, 1, 300, 0 "
                       "FROM (SELECT 1 + (?4 + i) % ?5 AS name FROM n)",
                       (each, DIMENSION_IP, first + minute * MINUTE_S, start, IDS))
        db.execute("UPDATE size SET rows = ? WHERE period = 0", (minutes * each,))
    db.close()
    return minutes * each


class Report(threading.Thread):
    """One report, asked for beside the load."""

    def __init__(self, node, rows):
        super().__init__(daemon=True)
        self.node, self.rows, self.took = node, rows, None
        self.start()

    def run(self):
        self.took = self.node.report(self.rows)


def cpu_s(node):
    """CPU time of the node's threads: those that serve, and the report's, known by SCHED_IDLE."""
    serving = reporting = 0
    for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
        if int(fields[38]) == os.SCHED_IDLE:
            reporting += used
        else:
            serving += used
    return serving, reporting


def load(tools, node, seconds, connections):
    before = cpu_s(node)
    done = subprocess.run([str(tools / "tests/bench/bench_load"), "--url", node.url + "/v1/events",
                           "--connections", str(connections), "--duration-s", str(seconds),
                           "--threads", "1", "--body-bytes", "300"],
                          capture_output=True, text=True, timeout=seconds + 60, check=True)
    result = json.loads(done.stdout)
    assert set(result["status"]) == {"202"} and not result["errors"], result
    serving, reporting = (b - a for a, b in zip(before, cpu_s(node)))
    result["cpu_us"] = serving * 1e6 / result["requests"]
    result["report_cpu"] = reporting / seconds
    return result


def main():
    arguments = parse_arguments()
    tools = arguments.build_dir.resolve()
    data = ROOT / "build/bench"
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="usage-", dir=data) as folder:
        folder = pathlib.Path(folder)
        node = Node(folder, tools, {})
        try:
            file = folder / "penstock-usage/data/usage.db"
            began = time.monotonic()
            # Beside the node: it has written nothing yet, and counts its rows only when it starts.
            rows = fill(file, arguments.rows)
            print(f"{rows} rows made in {time.monotonic() - began:.0f} s, {file.stat().st_size >> 20} "
                  "MiB", file=sys.stderr)
            alone = node.report(rows)
            run(arguments, tools, node, rows, alone)
        finally:
            node.stop()


def run(arguments, tools, node, rows, alone):
    """A round is a report with windows of load until it is done, and as many windows without."""
    load(tools, node, 2, arguments.connections)
    pairs, took = [], []
    for number in range(arguments.rounds):
        report = Report(node, rows)
        beside = []
        while not beside or report.is_alive() and len(beside) < arguments.max_windows:
            beside.append(load(tools, node, arguments.duration_s, arguments.connections))
        report.join()
        took.append(report.took)
        without = [load(tools, node, arguments.duration_s, arguments.connections) for _ in beside]
        pairs += zip(beside, without)
        print(f"round {number + 1}: {len(beside)} windows with a report of "
              f"{report.took and round(report.took, 1)} s: "
              f"{median_of(beside, rate):.0f} events/s, {median_of(beside, cpu):.2f} us, without: "
              f"{median_of(without, rate):.0f}, {median_of(without, cpu):.2f} us",
              file=sys.stderr)
    # On a machine that others use too, CPU time a request says more than requests a second.
    lost = 1 - statistics.median(rate(a) / rate(b) for a, b in pairs)
    beside, without = zip(*pairs)
    print(json.dumps({"rows": rows, "report_alone_s": alone and round(alone, 2),
                      "report_beside_load_s": [one and round(one, 1) for one in took],
                      "windows": len(pairs),
                      "events_per_s": {"with": round(median_of(beside, rate)),
                                       "without": round(median_of(without, rate))},
                      "p99_us": {"with": median_of(beside, p99), "without": median_of(without, p99)},
                      "cpu_us_a_request": {"with": round(median_of(beside, cpu), 3),
                                           "without": round(median_of(without, cpu), 3)},
                      "report_cpu_share_of_a_core": round(
                          statistics.mean(one["report_cpu"] for one in beside), 3),
                      "lost": round(lost, 4), "bar": BAR}, indent=1))


def rate(result):
    return result["events_per_s"]


def cpu(result):
    return result["cpu_us"]


def p99(result):
    return result["latency_us"]["p99"]


def median_of(results, figure):
    return statistics.median(figure(one) for one in results)


if __name__ == "__main__":
    main()
