#!/usr/bin/env python3
"""Each sink beside its server's own benchmark or plain client, in turns against the same server, and
what publishing costs a node. The servers are started here, on loopback.

Usage: sinks_bench.py [--build-dir DIR] [--only nats,kafka,redis,requests,node] [--quick]
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent.parent
sys.path[:0] = [str(TESTS / "sinks"), str(TESTS / "integration")]

PARTS = ["nats", "kafka", "redis", "requests", "node"]


def run(title, *command):
    print(f"\n## {title}", flush=True)
    subprocess.run([str(part) for part in command], check=True, timeout=900)


def python(script, *arguments):
    return [sys.executable, "-B", HERE / script, *arguments]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build-dir", default="build/release")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="one round, fewer events")
    given = parser.parse_args()
    build = pathlib.Path(given.build_dir).resolve()
    penstock, tools = build / "penstock", build / "tests/bench/sinks"
    wanted = given.only.split(",")
    rounds = 1 if given.quick else 3
    events = 50_000 if given.quick else 200_000
    os.environ["PENSTOCK_KAFKA_MOCK"] = str(build / "tests/sinks/kafka_mock")
    if "nats" in wanted:
        from nats_client import NatsServer
        with NatsServer() as server:
            run("nats: sink, plain libnats publisher", tools / "nats_bench", "--url", server.url(),
                "--events", events, "--rounds", rounds)
    if "kafka" in wanted:
        from kafka_mock import KafkaMock
        with KafkaMock() as server:
            server.make_topic("bench", 12)
            run("kafka: sink, plain librdkafka producer", tools / "kafka_bench", "--brokers",
                server.brokers, "--events", events * 2, "--rounds", rounds)
    if "redis" in wanted:
        run("redis: sink, redis-benchmark",
            *python("redis_bench.py", penstock, tools / "sink_drive", "--rounds", rounds,
                    "--events", events))
    if "requests" in wanted:
        run("http, kinesis, sqs: sink, plain client",
            *python("request_bench.py", tools / "sink_drive", penstock))
    if "node" in wanted:
        run("node: CPU, backlog, isolation",
            *python("node_bench.py", penstock, build / "tests/bench/bench_load", "--rounds", rounds,
                    "--events", events))


if __name__ == "__main__":
    main()
