"""What `ack = "replicated"` costs beside "journaled": two streams of the same three nodes in turns, at a
rate and as fast as one node answers."""

import json
import statistics

from harness import wait_for

ACKS = ("journaled", "replicated")


def measure(arguments, cluster_of, load):
    streams = {f"streams.{ack}.{key}": value for ack in ACKS
               for key, value in (("ack", ack), ("sinks", []))}
    shapes = {f"{arguments.rate:,}/s, 16 connections": (arguments.rate, 16),
              "64 connections": (0, 64)}
    rows = {(ack, shape): [] for shape in shapes for ack in ACKS}
    cluster = cluster_of(3, {"plans.anonymous.limits": [], **streams})
    try:
        for node in cluster.nodes:
            wait_for(lambda: node.metrics().get("penstock_replication_has_holder") == 1, "holders")
        url = f"http://127.0.0.1:{cluster.nodes[0].http_port}"
        for _ in range(arguments.rounds):
            for (ack, shape), row in rows.items():
                rate, connections = shapes[shape]
                out, _ = load(arguments, url, rate, connections=connections, stream=ack).communicate()
                row.append(figures(json.loads(out)))
        weaker = sum(node.metrics().get("penstock_unreplicated_answers_total")
                     for node in cluster.nodes)
    finally:
        cluster.close()
    print("| | p50, ms | p99, ms | requests/s |\n|---|---|---|---|")
    for (ack, shape), row in rows.items():
        p50, p99, rate = (statistics.median(column) for column in zip(*row))
        print(f"| {ack}, {shape} | {p50:.2f} | {p99:.1f} | {rate:,.0f} |")
    print(f"answers that were not replicated: {weaker:.0f}")


def figures(report):
    assert set(report["status"]) == {"202"}, report
    latency = report["latency_us"]
    return latency["p50"] / 1000, latency["p99"] / 1000, report["requests_per_s"]
