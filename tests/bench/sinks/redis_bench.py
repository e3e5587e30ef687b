#!/usr/bin/env python3
"""How fast the redis sink is beside redis-benchmark: the same entries, pipelined by 1000 without
transactions, into a redis-server with appendfsync always. Then the sink alone (sink_drive), and a
node that drains a backlog.

Usage: redis_bench.py PENSTOCK_BINARY SINK_DRIVE [--events N] [--rounds N]
stdout: JSON with the medians in events a second and their ratios to redis-benchmark's.
"""

import argparse
import json
import pathlib
import os
import statistics
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TESTS / "sinks"), str(TESTS / "integration")]

import harness  # noqa: E402
from harness import Node  # noqa: E402
from redis_server import RedisServer  # noqa: E402

BODY_BYTES = 300
LANES = 4
BATCH = 1000
POST_EVENTS = 1000
RUN_S = 300


def body(number):
    text = '{"n":%d,"pad":"' % number
    return (text + "x" * (BODY_BYTES - len(text) - 2) + '"}').encode()


def cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def benchmark_floor(server, events, entry):
    """Events a second of redis-benchmark, with an entry as the sink writes it."""
    done = subprocess.run(
        ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-n", str(events),
         "-c", str(LANES), "-P", str(BATCH), "--csv", "XADD", "floor", "*",
         *[part.decode() for part in entry]],
        capture_output=True, text=True, timeout=RUN_S, check=True)
    # "test","rps" and six latencies; the test's name is the whole command.
    return float(done.stdout.splitlines()[-1].rsplit(",", 7)[1].strip('"'))


def sink_alone(server, events, drive):
    done = subprocess.run(
        [drive, str(events), str(BODY_BYTES), str(LANES), str(BATCH), "kind=redis",
         f"url=redis://127.0.0.1:{server.port}", "key=events:{stream}"],
        capture_output=True, text=True, timeout=RUN_S, check=True)
    return json.loads(done.stdout)


def fill(node, events):
    """A backlog: the server is not there yet."""
    with node.client() as client:
        for first in range(0, events, POST_EVENTS):
            reply = client.post(b"\n".join(body(n) for n in range(first, first + POST_EVENTS)),
                                headers={"Content-Type": "application/x-ndjson",
                                         "X-Client": f"client-{first // POST_EVENTS % 100}"})
            assert reply.status == 202, reply


def node_drains(server, events):
    """From the first entry in the server to the last, while nothing else happens."""
    with Node({"identity.order": ["header:X-Client", "ip"], "streams.default.sinks": ["r"],
               **server.sink_options("r"), "sinks.r.lanes": LANES,
               "sinks.r.retry_max": "100ms"}) as node:
        server.kill()
        fill(node, events)
        server.restart()
        with server.client() as client:
            client("DEL", "events:default")
            deadline = time.monotonic() + RUN_S
            began = first = None
            while (length := client("XLEN", "events:default")) < events:
                if length and began is None:
                    began, first = time.monotonic(), length
                assert time.monotonic() < deadline, f"{length} of {events} after {RUN_S} s"
                time.sleep(0.005)
            return (events - first) / (time.monotonic() - began)


def round_of(options):
    with RedisServer() as server, server.client() as client:
        before = cpu_s(server)
        drive = sink_alone(server, options.events, options.drive)
        sink_cpu_s = cpu_s(server) - before
        entry = client("XRANGE", "events:bench", "-", "+", "COUNT", 1)[0][1]
        client("FLUSHALL")
        before = cpu_s(server)
        floor = benchmark_floor(server, options.events, entry)
        floor_cpu_s = cpu_s(server) - before
    with RedisServer() as server:
        node = node_drains(server, options.events)
    return {"redis_benchmark": floor, "sink_alone": drive["events_per_s"], "node": node,
            "entry_bytes": sum(len(part) for part in entry),
            # What the server's thread spends on an entry: comparable on a busy machine too.
            "server_cpu_us": sink_cpu_s / options.events * 1e6,
            "server_cpu_us_floor": floor_cpu_s / options.events * 1e6,
            "sink_cpu_us": drive["cpu_s"] / drive["events"] * 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("drive")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    harness.binary = options.binary
    rounds = [round_of(options) for _ in range(options.rounds)]
    medians = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    print(json.dumps({**{key: round(value, 1) for key, value in medians.items()},
                      "sink_alone_ratio": round(medians["sink_alone"] / medians["redis_benchmark"], 2),
                      "node_ratio": round(medians["node"] / medians["redis_benchmark"], 2)}))


if __name__ == "__main__":
    main()
