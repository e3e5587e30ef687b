#!/usr/bin/env python3
"""Many nodes that come, go, or start anew at the same moment, while every client's total must stay
exactly its limit. Ends with 0 if it did in every round.

    many_at_once.py PENSTOCK [--rounds N] [--kinds grow,begin,restart,shrink] [--clients N]

grow: two nodes, and eight more at once; begin: eight at once where there were none; restart: eight,
that were two before, end and start again at once; shrink: six of eight drain at once. `--load`: while it happens, other
clients send without a pause, and no answer but 202 and 429 may come."""

import argparse
import collections
import concurrent.futures
import contextlib
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks"):
    sys.path.insert(0, str(HERE.parent / folder))

from harness import Node, free_port, program, wait_for  # noqa: E402
from http_client import request_bytes  # noqa: E402
from nats_client import NatsServer  # noqa: E402
from spray import Spray  # noqa: E402

AMOUNT = 100
BEFORE = 50  # of each client, before anything happens
AFTER = 70  # and afterwards
SHARDS = 256
LOAD = {f"load-{i}": 0.25 for i in range(2000)}  # requests a second of each, while it happens
AT_ONCE = 10  # clients whose requests are sent before the first answer is read
KINDS = ("grow", "begin", "restart", "shrink")


class Cluster:
    """Nodes that find each other through a directory of their own."""

    def __init__(self, clients, verdict_timeout):
        self.ended = contextlib.ExitStack()
        self.nats = NatsServer()
        self.ended.callback(self.nats.stop)
        self.nats.start()
        self.clients = [f"client-{i}" for i in range(clients)]
        self.verdict_timeout = verdict_timeout
        self.nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.close()

    def add(self, count):
        made = [Node({
            "node.name": f"n{len(self.nodes) + i}",
            "cluster.name": "many",
            "cluster.directory": "nats",
            "cluster.nats_url": f"nats://127.0.0.1:{self.nats.port}",
            "cluster.listen": f"127.0.0.1:{free_port()}",
            "cluster.secret": "0123456789abcdef",
            "cluster.on_owner_unreachable": "refuse",
            "cluster.verdict_timeout": self.verdict_timeout,
            "node.drain_delay": "0s",
            "http.threads": 1,
            "identity.order": ["header:X-Client", "ip"],
            "plans.anonymous.limits": [{"name": "shared", "algorithm": "fixed_window",
                                        "amount": AMOUNT, "window": "720h"}]})
            for i in range(count)]
        for node in made:
            self.ended.callback(node.close)
        self.nodes += made
        return made

    def launch(self, nodes):
        """Starts them at once. Seconds from the last one's start until every shard has its owner."""
        for node in nodes:
            node.launch()
        began = time.monotonic()
        for node in nodes:
            node.wait_ready()
        self.wait_settled()
        return time.monotonic() - began

    def wait_settled(self, within_s=30):
        count = len(self.nodes)
        for node in self.nodes:
            wait_for(lambda: node.metrics().get("penstock_cluster_members") == count,
                     f"{count} members", within_s)
        wait_for(lambda: sum(n.metrics().get("penstock_shards", state="owned")
                             for n in self.nodes) == SHARDS, "all shards owned", within_s)

    def drain(self, nodes):
        self.nodes = [node for node in self.nodes if node not in nodes]
        for node in nodes:
            node.signal(signal.SIGTERM)
        codes = [node.wait() for node in nodes]
        assert codes == [0] * len(nodes), codes

    def spend(self, count):
        """How many of so many each client gets: a half at one node, the rest at the next."""
        taken = dict.fromkeys(self.clients, 0)
        halves = (count // 2, count - count // 2)
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            for turn, half in enumerate(halves):
                waits = [pool.submit(self.spend_at, self.nodes[(i + turn) % len(self.nodes)],
                                     self.clients[i::len(self.nodes)], half, taken)
                         for i in range(len(self.nodes))]
                for wait in waits:
                    wait.result()
        return taken

    @staticmethod
    def spend_at(node, clients, count, taken):
        with node.client(timeout_s=30) as connection:
            for first in range(0, len(clients), AT_ONCE):
                group = clients[first:first + AT_ONCE]
                connection.send(b"".join(
                    count * request_bytes("POST", "/v1/events", b"x", {"X-Client": client})
                    for client in group))
                for client in group:
                    for _ in range(count):
                        status = connection.read().status
                        assert status in (202, 429), status
                        taken[client] += status == 202

    def incomplete_moves(self):
        return sum(node.metrics().get("penstock_shard_moves_total", kind="incomplete")
                   for node in self.nodes)


def happen(kind, cluster, load):
    """One change; seconds until all shards have their owners."""
    if kind == "begin":
        return cluster.launch(cluster.add(8))
    first = cluster.add(8 if kind == "shrink" else 2)
    cluster.launch(first)
    spent = BEFORE
    if kind == "restart":
        # What the first two have on their disks is old then.
        assert cluster.spend(10) == dict.fromkeys(cluster.clients, 10)
        cluster.launch(cluster.add(6))
        spent -= 10
    assert cluster.spend(spent) == dict.fromkeys(cluster.clients, spent)
    # To those that stay.
    with Spray(first[:2], LOAD, burst=1) if load else contextlib.nullcontext() as sender:
        if kind == "grow":
            took_s = cluster.launch(cluster.add(8))
        elif kind == "shrink":
            began = time.monotonic()
            cluster.drain(cluster.nodes[2:])
            cluster.wait_settled()
            took_s = time.monotonic() - began
        else:
            restarted = cluster.nodes
            cluster.drain(restarted)
            cluster.nodes = restarted
            took_s = cluster.launch(restarted)
    if sender:
        statuses = collections.Counter(answer[3] for answer in sender.answers)
        assert statuses[202] > 0 and set(statuses) <= {202, 429}, statuses
    return took_s


def one_round(kind, clients=400, load=False):
    """(seconds, what is wrong)"""
    with Cluster(clients, "500ms" if load else "5s") as cluster:
        took_s = happen(kind, cluster, load)
        taken = cluster.spend(AFTER if kind != "begin" else BEFORE + AFTER)
        right = AMOUNT if kind == "begin" else AMOUNT - BEFORE
        wrong = {client: got for client, got in taken.items() if got != right}
        faults = []
        if wrong:
            extra = sum(got - right for got in wrong.values())
            faults.append(f"{len(wrong)} clients have not {right} but e.g. "
                          f"{max(wrong.values())} ({extra} in all)")
        incomplete = cluster.incomplete_moves()
        if incomplete:
            faults.append(f"{incomplete:.0f} moves incomplete")
        return took_s, faults


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program")
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--kinds", default=",".join(KINDS))
    options.add_argument("--clients", type=int, default=400)
    options.add_argument("--load", action="store_true")
    options = options.parse_args()
    failed = False
    with program(options.program):
        for number in range(options.rounds):
            for kind in options.kinds.split(","):
                took_s, faults = one_round(kind, options.clients, options.load)
                failed |= bool(faults)
                print(f"{number + 1} {kind}: settled in {took_s:.2f} s; "
                      f"{'; '.join(faults) or 'exact'}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
