#!/usr/bin/env python3
"""What TLS between nodes costs: two nodes, one client whose limits the second keeps, all its
requests to the first; over plain TCP and over TLS in turn, and with a client of the first's own.
CPU is that of both nodes together."""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import harness  # noqa: E402
from harness import cluster, wait_for  # noqa: E402
from servers import cpu_s  # noqa: E402

OUTCOMES = {"refused": 1, "received": 1_000_000_000}  # of a limit of so many


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench tls", description=__doc__)
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--duration-s", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--connections", default="1,64,256", help="tried one after the other")
    return parser.parse_args()


def start_pair(folder, tls, amount):
    nodes = cluster(2, {
        "http.threads": 1, "identity.order": ["header:X-Client", "ip"],
        "streams.default.ack": "received", "streams.default.sinks": [],
        "plans.anonymous.limits": [{"name": "all", "algorithm": "fixed_window", "amount": amount,
                                    "window": "720h"}]})
    for node, name in zip(nodes, "ab"):
        if tls:
            node.configure({"cluster.tls_cert": str(folder / f"{name}.pem"),
                            "cluster.tls_key": str(folder / f"{name}.key"),
                            "cluster.tls_ca": str(folder / "ca.pem")})
        node.start()
    for node in nodes:
        wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") == 1, "the link is up")
    return nodes


def verdicts(node):
    return node.metrics().get("penstock_verdicts_total")


def client_of(owner, asked):
    """A client whose limits `owner` keeps."""
    for i in range(100):
        before = verdicts(owner)
        with asked.client() as connection:
            connection.post(b"x", headers={"X-Client": f"client {i}"})
        if verdicts(owner) > before:
            return f"client {i}"
    raise AssertionError("the node owns nobody")


def measure(arguments, nodes, client, connections):
    command = [arguments.build_dir / "tests/bench/bench_load", "--connections", str(connections),
               "--url", f"http://127.0.0.1:{nodes[0].http_port}/v1/events", "--body-bytes", "300",
               "--header", f"X-Client: {client}"]
    subprocess.run([*command, "--duration-s", "0.3"], check=True, capture_output=True)
    pids = [node.process.pid for node in nodes]
    before = cpu_s(pids)
    done = subprocess.run([*command, "--duration-s", str(arguments.duration_s)], check=True,
                          capture_output=True, text=True)
    spent_s = cpu_s(pids) - before
    load = json.loads(done.stdout)
    return load, spent_s / load["requests"] * 1e6


def main():
    arguments = parse_arguments()
    harness.binary = str(arguments.build_dir / "penstock")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-certs-"))
    subprocess.run([ROOT / "scripts/certs", folder, "a", "b"], check=True, capture_output=True)
    print("| connections | answer | requests/s plain | TLS | CPU µs/request, own client | plain | "
          "TLS | TLS adds |\n|---|---|---|---|---|---|---|---|")
    try:
        for outcome, amount in OUTCOMES.items():
            pairs = {"plain": start_pair(folder, False, amount),
                     "TLS": start_pair(folder, True, amount)}
            rows = [("own", pairs["plain"], client_of(pairs["plain"][0], pairs["plain"][0]))]
            rows += [(name, pair, client_of(pair[1], pair[0])) for name, pair in pairs.items()]
            for connections in map(int, arguments.connections.split(",")):
                rates, cpu = {}, {}
                for _ in range(arguments.rounds):
                    for name, pair, client in rows:
                        load, cpu_us = measure(arguments, pair, client, connections)
                        rates.setdefault(name, []).append(load["requests"] / arguments.duration_s)
                        cpu.setdefault(name, []).append(cpu_us)
                median = {name: statistics.median(all_of) for name, all_of in cpu.items()}
                adds = statistics.median(t - p for t, p in zip(cpu["TLS"], cpu["plain"]))
                print(f"| {connections} | {outcome} | {statistics.median(rates['plain']):,.0f} | "
                      f"{statistics.median(rates['TLS']):,.0f} | {median['own']:.2f} | "
                      f"{median['plain']:.2f} | {median['TLS']:.2f} | {adds:+.2f} |", flush=True)
            for pair in pairs.values():
                for node in pair:
                    node.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
