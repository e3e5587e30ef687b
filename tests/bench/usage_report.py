"""A report over ten million rows beside ingest at full load: what ingest loses, and how long the
report takes. Windows with and without reports take turns in one run, so that what else the machine
does hits both alike. Run it through scripts/bench usage, which builds first."""

import argparse
import json
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


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--duration-s", type=float, default=5.0, help="of each window")
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
                       "FROM (SELECT 1 + (?4 + i) % ?5 AS name FROM n) ORDER BY name",
                       (each, DIMENSION_IP, first + minute * MINUTE_S, start, IDS))
        db.execute("UPDATE size SET rows = ? WHERE period = 0", (minutes * each,))
    db.close()
    return minutes * each


class Reports(threading.Thread):
    """Asks for one report after the other until told to stop."""

    def __init__(self, node, rows):
        super().__init__(daemon=True)
        self.node, self.rows, self.took = node, rows, []
        self.wanted = threading.Event()
        self.ended = False
        self.start()

    def run(self):
        while True:
            self.wanted.wait()
            if self.ended:
                return
            self.took.append(self.node.report(self.rows))


def load(tools, node, seconds, connections):
    done = subprocess.run([str(tools / "tests/bench/bench_load"), "--url", node.url + "/v1/events",
                           "--connections", str(connections), "--duration-s", str(seconds),
                           "--threads", "1", "--body-bytes", "300"],
                          capture_output=True, text=True, timeout=seconds + 60, check=True)
    result = json.loads(done.stdout)
    assert set(result["status"]) == {"202"} and not result["errors"], result
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
    load(tools, node, 2, arguments.connections)
    windows = {"without": [], "with": []}
    reports = Reports(node, rows)
    for number in range(arguments.rounds):
        # Without first and with first, in turns: neither gains from its place.
        for which in ("without", "with") if number % 2 == 0 else ("with", "without"):
            if which == "with":
                reports.wanted.set()
                time.sleep(0.2)
            else:
                reports.wanted.clear()
                wait_until_idle(reports, node)
            result = load(tools, node, arguments.duration_s, arguments.connections)
            windows[which].append(result)
            print(f"round {number + 1}: {which}: {result['events_per_s']:.0f} events/s, "
                  f"p99 {result['latency_us']['p99']} us", file=sys.stderr)
    reports.wanted.clear()
    median = {which: statistics.median(r["events_per_s"] for r in results)
              for which, results in windows.items()}
    p99 = {which: statistics.median(r["latency_us"]["p99"] for r in results)
           for which, results in windows.items()}
    pairs = [w["events_per_s"] / o["events_per_s"]
             for w, o in zip(windows["with"], windows["without"])]
    loss = 1 - statistics.median(pairs)
    took = [one for one in reports.took if one is not None]
    print(json.dumps({"rows": rows, "report_alone_s": round(alone, 2),
                      "reports_under_load": len(reports.took),
                      "report_under_load_s": [round(one, 1) for one in took],
                      "events_per_s": median, "p99_us": p99, "lost": round(loss, 4),
                      "bar": BAR}, indent=1))


def wait_until_idle(reports, node):
    """A report that is under way would count against the window without."""
    before = None
    while before != len(reports.took):
        before = len(reports.took)
        node.report(0)  # queued after it


if __name__ == "__main__":
    main()
