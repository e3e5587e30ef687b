#!/usr/bin/env python3
"""What publishing costs a node, with a real redis-server at the other end:

  cpu       CPU an event of taking in alone (single requests, NDJSON) and of publishing a backlog
  keeping_up  the same at a steady rate, where a sink has what has just come: what it adds
  backlog   a backlog drains while as much comes in all the time: how much faster than it comes, and
            what ingest's p99 is beside that of a node without a sink
  isolation ingest's p99 and the lag of a sink that works, with and without a dead one beside it

Usage: node_bench.py PENSTOCK_BINARY BENCH_LOAD [--events N] [--rate N] [--rounds N]
stdout: JSON with the medians of all rounds.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TESTS / "sinks"), str(TESTS / "integration")]

import harness  # noqa: E402
from harness import Node, wait_for  # noqa: E402
from redis_server import RedisServer  # noqa: E402

BODY_BYTES = 300
CLIENTS = 200
RUN_S = 240
CPU_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(node):
    fields = pathlib.Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CPU_TICKS


def options(sinks, server=None, dead=None):
    out = {"identity.order": ["header:X-Client", "ip"], "streams.default.sinks": sinks}
    if server:
        out.update({**server.sink_options("alive"), "sinks.alive.retry_max": "100ms"})
    if dead:
        out.update({"sinks.dead.kind": "http", "sinks.dead.url": dead})
    return out


def load(tool, node, seconds, connections=32, rate=0, ndjson=0, requests=0):
    command = [tool, "--url", f"http://127.0.0.1:{node.http_port}/v1/events", "--connections",
               str(connections), "--threads", "1", "--duration-s", str(seconds), "--body-bytes",
               str(BODY_BYTES), "--client-header", "X-Client", "--clients", str(CLIENTS)]
    if rate:
        command += ["--rate", str(rate)]
    if ndjson:
        command += ["--ndjson", str(ndjson), "--content-type", "application/x-ndjson"]
    if requests:
        command += ["--requests", str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=True)
    return json.loads(done.stdout)


def fill(tool, node, events):
    """NDJSON, 100 events a request; gives CPU seconds an event."""
    before = cpu_s(node)
    load(tool, node, 120, connections=8, ndjson=100, requests=events // 100)
    return (cpu_s(node) - before) / events


def lag(node, sink):
    found = [value for name, labels, value in node.metrics().samples
             if name == "penstock_sink_lag_events" and labels["sink"] == sink]
    return sum(found) if found else None


def drained(node):
    return node.metrics().get("penstock_sink_delivered_total", sink="alive")


def cpu(tool, events):
    with Node(options([])) as node:
        before = cpu_s(node)
        sample = load(tool, node, 4)
        single = (cpu_s(node) - before) / sample["requests"] if "requests" in sample else None
        if single is None:
            single = (cpu_s(node) - before) / (sample["requests_per_s"] * 4)
    with RedisServer() as server, Node(options(["alive"], server)) as node:
        server.kill()
        ndjson = fill(tool, node, events)
        server.restart()
        before, began = cpu_s(node), time.monotonic()
        wait_for(lambda: drained(node) >= events, "the backlog is delivered", RUN_S, pause_s=0.1)
        return {"take_in_single_us": single * 1e6, "take_in_ndjson_us": ndjson * 1e6,
                "publish_us": (cpu_s(node) - before) / events * 1e6,
                "publish_per_s": events / (time.monotonic() - began)}


def with_and_without(tool, **what):
    """CPU an event of a node without a sink, and what a sink adds that keeps up."""
    seconds, costs = 4, []
    for sink in (False, True):
        with RedisServer() as server, \
                Node(options(["alive"] if sink else [], server if sink else None)) as node:
            before = cpu_s(node)
            sample = load(tool, node, seconds, connections=8, **what)
            events = round(sample["requests_per_s"] * seconds) * what.get("ndjson", 1)
            if sink:
                wait_for(lambda: drained(node) >= events * 0.99, "all is delivered", RUN_S)
            costs.append((cpu_s(node) - before) / events * 1e6)
    return costs[0], costs[1] - costs[0]


def keeping_up(tool, rate):
    single, sink_single = with_and_without(tool, rate=rate)
    ndjson, sink_ndjson = with_and_without(tool, rate=rate / 4, ndjson=100)
    return {"take_in_single_us": single, "publish_single_us": sink_single,
            "take_in_ndjson_us": ndjson, "publish_ndjson_us": sink_ndjson}


def p99_ms(sample):
    return sample["latency_us"]["p99"] / 1000


def backlog(tool, events, rate):
    with Node(options([])) as node:
        alone = load(tool, node, 5, rate=rate)
    with RedisServer() as server, Node(options(["alive"], server)) as node:
        server.kill()
        fill(tool, node, events)
        server.restart()
        wait_for(lambda: drained(node) > 0, "it begins", 60)
        began, first = time.monotonic(), drained(node)
        beside = load(tool, node, 5, rate=rate)
        after, took_s = drained(node), time.monotonic() - began
        return {"drain_per_s": (after - first) / took_s, "incoming_per_s": rate,
                "drain_to_incoming": (after - first) / took_s / rate, "p99_ms_alone": p99_ms(alone),
                "p99_ms_beside": p99_ms(beside), "was_drained": after >= events}


def isolation(tool, rate):
    out = {}
    with RedisServer() as server, Node(options(["alive"], server)) as node:
        out["p99_ms_healthy"] = p99_ms(load(tool, node, 6, rate=rate))
    with RedisServer() as server, \
            Node(options(["alive", "dead"], server, "http://127.0.0.1:9/")) as node:
        load(tool, node, 2, rate=rate)
        out["p99_ms_dead_beside"] = p99_ms(load(tool, node, 6, rate=rate))
        out["lag_of_alive"] = lag(node, "alive")
        out["lag_of_dead"] = lag(node, "dead")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("load")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=2000, help="requests a second that come in")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    harness.binary = os.path.abspath(given.binary)
    rounds = [{"cpu": cpu(given.load, given.events),
               "keeping_up": keeping_up(given.load, given.rate),
               "backlog": backlog(given.load, given.events, given.rate),
               "isolation": isolation(given.load, given.rate)} for _ in range(given.rounds)]
    print(json.dumps({part: {key: round(statistics.median(one[part][key] for one in rounds), 2)
                             for key in rounds[0][part]} for part in rounds[0]}, indent=1))


if __name__ == "__main__":
    main()
