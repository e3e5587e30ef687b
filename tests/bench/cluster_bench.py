#!/usr/bin/env python3
"""What a cluster costs and how fast it mends: messages between nodes for a hot client, CPU a request
on 1, 3 and 10 nodes, what a crash admits twice, how long until others serve what a dead node had, and
what a client gets in all while nodes come and go (`--parts churn`); what a second node's disk adds to an
answer (`--parts acks`).

All but the CPU and that runs on hosts of their own (tests/cluster/hosts.py), which needs root."""

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

import hosts  # noqa: E402 (also finds the others)
import cluster_acks  # noqa: E402
import cluster_churn  # noqa: E402
import harness  # noqa: E402
from harness import Node, free_port, wait_for  # noqa: E402
from hosts import HostCluster, links, members  # noqa: E402
from nats_client import NatsServer  # noqa: E402
from servers import cpu_s  # noqa: E402
from spray import Spray  # noqa: E402

SLOW = {"delay_ms": 10, "jitter_ms": 3, "loss": 0.01}
KILLED_LIMIT = 10_000
SETTLE_S = 2.0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench cluster", description=__doc__)
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--parts", default="messages,cpu,faults", help="which to measure")
    parser.add_argument("--rounds", type=int, default=5, help="of each CPU and message measurement")
    parser.add_argument("--duration-s", type=float, default=4.0, help="of each of these")
    parser.add_argument("--rate", type=int, default=200, help="requests a second a node, for CPU")
    parser.add_argument("--connections", type=int, default=8, help="to a node, for CPU")
    parser.add_argument("--sizes", default="1,3,10", help="nodes, for CPU")
    parser.add_argument("--loads", default="hot,some,many", help="for CPU")
    parser.add_argument("--faults", type=int, default=20, help="of each kind")
    parser.add_argument("--windows", type=int, default=10, help="of churn, kinds in turn")
    parser.add_argument("--kinds", default=",".join(cluster_churn.KINDS), help="of churn")
    parser.add_argument("--seed", type=int, help="of churn")
    return parser.parse_args()


def load(arguments, url, rate, *more, connections=8, stream="default"):
    return subprocess.Popen(
        [arguments.build_dir / "tests/bench/bench_load", "--url", f"{url}/v1/events/{stream}",
         "--threads", "1", "--connections", str(connections), "--rate", str(rate), "--duration-s", str(arguments.duration_s),
         "--body-bytes", "300", *more], stdout=subprocess.PIPE, text=True)


def answered(loads):
    """Requests that all of them sent, once they have ended."""
    requests = 0
    for one in loads:
        out, _ = one.communicate()
        assert one.returncode == 0, out
        requests += json.loads(out)["requests"]
    return requests


def limit_of(amount, name="all"):
    return [{"name": name, "algorithm": "gcra", "amount": amount, "window": "1m"}]


# -- messages -------------------------------------------------------------------------------------

def peer_messages(nodes):
    """Of limiters: questions and answers, by those that sent them."""
    return sum(node.metrics().get("penstock_limiter_peer_messages_total") for node in nodes)


def measure_messages(arguments):
    print("| one client, five nodes | requests/s | of these refused | limiters' messages a 1,000 "
          "requests | all segments with data a 1,000, beyond those of idle nodes |\n"
          "|---|---|---|---|---|")
    for title, amount, rate in (("10,000 a minute, twice as many come", 10_000, 333),
                                ("10,000 a minute, far more come", 10_000, 5_000),
                                ("300,000 a minute, fewer come", 300_000, 4_000)):
        cluster = HostCluster(5, {"plans.anonymous.limits": limit_of(amount),
                                  "cluster.allow_plaintext": True})
        try:
            cluster.start()
            rows = [messages_of(arguments, cluster, rate) for _ in range(arguments.rounds)]
        finally:
            cluster.close()
        refused, messages, segments = (statistics.median(column) for column in zip(*rows))
        print(f"| {title} | {rate:,} | {refused:.0%} | {messages:.2f} | {segments:.1f} |", flush=True)


def messages_of(arguments, cluster, rate):
    node_hosts = [node.host for node in cluster.nodes]
    def refusals():
        return sum(node.metrics().get("penstock_http_requests_total", status="429")
                   for node in cluster.nodes)
    time.sleep(SETTLE_S)  # leases of the round before come back
    segments = cluster.net.segments(node_hosts)
    time.sleep(arguments.duration_s)
    idle = cluster.net.segments(node_hosts) - segments
    messages, refused, segments = peer_messages(cluster.nodes), refusals(), cluster.net.segments(node_hosts)
    loads = []
    for node in cluster.nodes:
        with node.host.entered():
            loads.append(load(arguments, f"http://127.0.0.1:{node.http_port}", rate / 5,
                              "--header", "X-Client: hot"))
    requests = answered(loads)
    segments = cluster.net.segments(node_hosts) - segments - idle
    return ((refusals() - refused) / requests,
            (peer_messages(cluster.nodes) - messages) / requests * 1000, segments / requests * 1000)


# -- CPU ------------------------------------------------------------------------------------------

class LocalCluster:
    """So many nodes and their directory on loopback."""

    def __init__(self, count, options):
        self.nats = NatsServer()
        self.nodes = []
        try:
            self.nats.start()
            self.nodes = [Node({
                "node.name": f"n{i}", "http.threads": 1, "cluster.name": "bench",
                "cluster.directory": "nats", "cluster.nats_url": self.nats.url(),
                "cluster.listen": f"127.0.0.1:{free_port()}",
                "cluster.secret": "0123456789abcdef", "cluster.verdict_timeout": "2s",
                "identity.order": ["header:X-Client", "ip"], "streams.default.ack": "received",
                "streams.default.sinks": [], **options}) for i in range(count)]
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready()
            for node in self.nodes:
                wait_for(lambda: members(node) == count and links(node) == count - 1, "links", 30)
        except BaseException:
            self.close()
            raise

    def close(self):
        for node in self.nodes:
            node.close()
        self.nats.stop()

    def cpu_s(self):
        return cpu_s([node.process.pid for node in self.nodes])


class SingleNodes:
    """As many nodes as a cluster has, each on its own: what the same load costs on this machine,
    which is busier with three nodes than with one, without a cluster."""

    def __init__(self, count, options):
        self.clusters = []
        try:
            for _ in range(count):
                self.clusters.append(LocalCluster(1, options))
        except BaseException:
            self.close()
            raise
        self.nodes = [cluster.nodes[0] for cluster in self.clusters]

    def close(self):
        for cluster in self.clusters:
            cluster.close()

    def cpu_s(self):
        return sum(cluster.cpu_s() for cluster in self.clusters)


def switches_of(nodes):
    """How often threads of theirs have gone to sleep."""
    count = 0
    for node in nodes:
        for status in pathlib.Path(f"/proc/{node.process.pid}/task").glob("*/status"):
            try:
                lines = status.read_text().splitlines()
            except OSError:
                continue  # it has ended
            count += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_"))
    return count


def measure_cpu(arguments):
    sizes = [int(size) for size in arguments.sizes.split(",")]
    clusters = {}
    # A client that all nodes hear of; some that send 10 a second each, however many nodes there are;
    # and many that come too seldom for leases, so that each request asks the owner.
    kinds = {"hot": lambda size: ["--header", "X-Client: hot"],
             "some": lambda size: ["--client-header", "X-Client",
                                   "--clients", str(max(1, arguments.rate * size // 10))],
             "many": lambda size: ["--client-header", "X-Client", "--clients", "10000"]}
    kinds = {kind: kinds[kind] for kind in arguments.loads.split(",")}
    # Clusters by their sizes, and beside each as many single nodes.
    shapes = [(size, together) for size in sizes for together in (False, True)]
    figures = {(kind, shape): [] for kind in ("idle", *kinds) for shape in shapes}
    try:
        for size, together in shapes:
            clusters[size, together] = (LocalCluster if together else SingleNodes)(size, {
                "plans.anonymous.limits": limit_of(1000),
                "plans.hot.limits": limit_of(arguments.rate * 60 * size * 2),
                "overrides.hot.client": "hot", "overrides.hot.plan": "hot"})
        for _ in range(arguments.rounds):
            for shape, cluster in clusters.items():
                before = cluster.cpu_s()
                time.sleep(arguments.duration_s)
                idle_s = cluster.cpu_s() - before
                figures["idle", shape].append(idle_s / shape[0] / arguments.duration_s * 1000)
                for kind, more in kinds.items():
                    figures[kind, shape].append(
                        cpu_of(arguments, cluster, more(shape[0]), idle_s))
    finally:
        for cluster in clusters.values():
            cluster.close()
    print_cpu(shapes, kinds, figures)


def cpu_of(arguments, cluster, more, idle_s):
    """µs a request, all and without what the same time costs when idle, and sleeps a request."""
    before, slept = cluster.cpu_s(), switches_of(cluster.nodes)
    requests = answered([load(arguments, f"http://127.0.0.1:{node.http_port}", arguments.rate, *more,
                              connections=arguments.connections) for node in cluster.nodes])
    spent_s = cluster.cpu_s() - before
    return (spent_s / requests * 1e6, (spent_s - idle_s) / requests * 1e6,
            (switches_of(cluster.nodes) - slept) / requests)


def print_cpu(shapes, kinds, figures):
    print("| nodes | idle, ms of CPU a second and node | " + " | ".join(
        f"{kind}: µs/request | without idle | sleeps/request" for kind in kinds) + " |\n|"
        + "---|" * (2 + 3 * len(kinds)))
    for shape in shapes:
        cells = [f"{statistics.median(figures['idle', shape]):.1f}"]
        for kind in kinds:
            cells += [f"{statistics.median(column):.{digits}f}"
                      for column, digits in zip(zip(*figures[kind, shape]), (1, 1, 2))]
        name = f"{shape[0]}, a cluster" if shape[1] else f"{shape[0]}, each alone"
        print(f"| {name} | " + " | ".join(cells) + " |")
    for kind in kinds:
        for shape in shapes:
            if not shape[1]:
                continue
            ratios = [(a[0] / b[0], a[1] / b[1])
                      for a, b in zip(figures[kind, shape], figures[kind, (shape[0], False)])]
            print(f"{kind}, a cluster of {shape[0]} to as many alone, median of the rounds: "
                  + ", ".join(f"{statistics.median(column):.2f}" for column in zip(*ratios)))


# -- faults ---------------------------------------------------------------------------------------

def measure_faults(arguments):
    """A hot client's owner is struck while four nodes admit as fast as they can."""
    cluster = HostCluster(4, {"plans.anonymous.limits": [
        {"name": "window", "algorithm": "fixed_window", "amount": KILLED_LIMIT, "window": "1m"}],
        "cluster.allow_plaintext": True})
    try:
        cluster.net.everywhere(**SLOW)
        cluster.start()
        rows = {"killed": [], "stopped": []}
        for _ in range(arguments.faults):
            for kind, row in rows.items():
                row.append(strike(cluster, kind))
    finally:
        cluster.close()
    print("| owner | times | served again after s: median | longest | admitted beyond 10,000: median "
          "| most | fewest admitted | metric said, most |\n|---|---|---|---|---|---|---|---|")
    for kind, row in rows.items():
        served, excess, unsent = zip(*row)
        print(f"| {kind} | {len(row)} | {statistics.median(served):.2f} | {max(served):.2f} | "
              f"{statistics.median(excess):.0f} | {max(excess)} | {KILLED_LIMIT + min(excess):,} | "
              f"{max(unsent):.0f} |", flush=True)


def strike(cluster, kind):
    victim = cluster.nodes[0]
    client = cluster.client_of(victim, f"client{time.monotonic_ns()}-")
    with Spray(cluster.nodes, {client: 2000}, workers=8, burst=8) as spray:
        spray.until(1.5)
        unsent = victim.metrics().get("penstock_limiter_unsent_units")
        struck = time.monotonic()
        if kind == "killed":
            victim.kill()
        else:
            victim.signal(signal.SIGSTOP)
        spray.nodes = cluster.nodes[1:]
        def is_over():
            return spray.count(client, 429) > 1000 or time.monotonic() > struck + 20
        wait_for(is_over, "the limit is reached", 30, 0.1)
    served = served_again(spray, client, struck)
    admitted = 1 + spray.count(client, 202)
    if kind == "killed":
        victim.start()
    else:
        victim.signal(signal.SIGCONT)
    cluster.wait_whole(30)
    return served, admitted - KILLED_LIMIT, unsent


def served_again(spray, client, struck):
    """The end of the longest pause after the fault in which nothing was admitted: until then leases
    are spent, from then on somebody grants new ones."""
    times = [struck] + sorted(a[0] for a in spray.answers if a[1] == client and a[3] == 202
                              and a[0] > struck)
    pauses = [(after - before, after) for before, after in zip(times, times[1:])]
    return max(pauses)[1] - struck if pauses else float("nan")


def main():
    arguments = parse_arguments()
    harness.binary = str(arguments.build_dir / "penstock")
    parts = {"messages": measure_messages, "cpu": measure_cpu, "faults": measure_faults,
             "churn": cluster_churn.measure,
             "acks": lambda arguments: cluster_acks.measure(arguments, LocalCluster, load)}
    why_not = hosts.why_not()
    for part in arguments.parts.split(","):
        if part not in ("cpu", "acks") and why_not:
            print(f"{part}: not measured: {why_not}", file=sys.stderr)
            continue
        parts[part](arguments)
        print()


if __name__ == "__main__":
    main()
