#!/usr/bin/env python3
"""Nodes on hosts of their own, with a network between them that is slow, loses packets and breaks:
what a client gets in total stays right, and what breaks concerns nobody else.

PENSTOCK_HOSTS_ROUNDS=10 goes through all that breaks so many times, with new clients each time.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "cluster"))

import hosts  # noqa: E402 (also finds the two below)
import harness  # noqa: E402
from harness import wait_for  # noqa: E402
from hosts import HostCluster, HostNode, Hosts, links  # noqa: E402
from spray import Spray  # noqa: E402

SKIPPED = 77  # as tests/integration/CMakeLists.txt says
ROUNDS = int(os.environ.get("PENSTOCK_HOSTS_ROUNDS", "1"))
SLOW = {"delay_ms": 10, "jitter_ms": 3, "loss": 0.01}
LIMIT = 10_000  # per minute, of both kinds
BURST = 2_000
BUCKETS = 60 * ROUNDS  # clients that may have the plan with it
FENCE_S = 0.7  # docs/decisions/024
PERCENT = LIMIT // 100


def say(text):
    print(text, end=" ", file=sys.stderr, flush=True)


class OnHosts(unittest.TestCase):
    def start(self, count, tls=False, **more):
        """A cluster on hosts that are 10 ms apart and lose every hundredth packet."""
        self.cluster = HostCluster(count, {
            "plans.anonymous.limits": [{"name": "window", "algorithm": "fixed_window",
                                        "amount": LIMIT, "window": "1m"}],
            "plans.bucket.limits": [{"name": "bucket", "algorithm": "gcra", "amount": LIMIT,
                                     "window": "1m", "burst": BURST}],
            **{f"overrides.bucket{i}.{key}": value for i in range(BUCKETS)
               for key, value in (("client", f"bucket{i}"), ("plan", "bucket"))}, **more},
            self.certificate if tls else lambda i: {"cluster.allow_plaintext": True})
        self.addCleanup(self.cluster.close)
        self.net = self.cluster.net
        self.net.everywhere(**SLOW)
        self.cluster.start()
        return self.cluster.nodes

    def certificate(self, i):
        if not hasattr(self, "certs"):
            self.certs = pathlib.Path(tempfile.mkdtemp(prefix="penstock-certs-"))
            self.addCleanup(shutil.rmtree, self.certs)
        subprocess.run([ROOT / "scripts/certs", self.certs, f"h{i}"], check=True,
                       capture_output=True)
        return {"cluster.tls_cert": str(self.certs / f"h{i}.pem"),
                "cluster.tls_key": str(self.certs / f"h{i}.key"),
                "cluster.tls_ca": str(self.certs / "ca.pem")}

    def clients_of(self, window, bucket):
        """A client whose fixed window the one node keeps, and one whose bucket the other does."""
        return (self.cluster.client_of(window, "window"),
                self.cluster.client_of(bucket, "bucket", BUCKETS))

    def assert_total(self, spray, client, allowed, excess, lost=PERCENT):
        admitted = 1 + spray.count(client, 202)
        unknown = spray.count(client, 0)
        say(f"{client}: {admitted} of {allowed:.0f}, {unknown} unknown, {spray.statuses(client)};")
        self.assertLessEqual(admitted, allowed + excess, spray.errors)
        # Leases that are not spent yet at the end are missing, too.
        self.assertGreaterEqual(admitted + unknown, allowed - lost, spray.errors)


def allowed_by(bucket_s):
    return BURST + LIMIT / 60 * bucket_s


class Totals(OnHosts):
    def test_nothing_breaks(self):
        nodes = self.start(5, tls=True)
        window, bucket = self.clients_of(nodes[0], nodes[2])
        with Spray(nodes, {window: 1000, bucket: 400}) as spray:
            spray.until(12)
        self.assert_total(spray, window, LIMIT, 0)
        self.assert_total(spray, bucket, allowed_by(time.monotonic() - spray.began), 0)
        self.assertEqual(spray.errors, {})

    def test_everything_breaks(self):
        nodes = self.start(6)
        for round_number in range(ROUNDS):
            self.break_everything(nodes, round_number)

    def break_everything(self, nodes, round_number):
        first, second, third, *_, last = nodes
        window, bucket = self.clients_of(first, second)
        began = time.monotonic()
        with Spray(nodes, {window: 800, bucket: 500}, workers=8, seed=8 * round_number) as spray:
            spray.until(1)
            last.signal(signal.SIGTERM)  # one leaves
            spray.nodes = nodes[:-1]
            self.assertEqual(last.wait(), 0)
            spray.until(4)
            unsent = first.metrics().get("penstock_limiter_unsent_units")
            first.kill()  # the window's owner
            spray.until(7)
            last.start()  # one comes
            first.start()
            spray.nodes = nodes
            # Counters on their way home are lost with the one that has them: one fault at a time.
            spray.until(9.5)
            self.cluster.wait_whole(pause_s=0.5)
            whole_s = time.monotonic() - spray.began
            spray.until(whole_s + 0.5)
            self.net.cut([second.host])  # the bucket's owner, from everything
            spray.until(whole_s + 3.5)
            self.net.everywhere(**SLOW)
            spray.until(whole_s + 6)
            self.cluster.wait_whole(pause_s=0.5)
            third.signal(signal.SIGTERM)
            self.assertEqual(third.wait(), 0)
            whole_s = time.monotonic() - spray.began
            spray.until(whole_s + 2)
            third.start()
            spray.until(whole_s + 6)
            ended = time.monotonic()
        say(f"{unsent:.0f} unsent;")
        self.assert_total(spray, window, LIMIT, PERCENT)
        self.assert_total(spray, bucket, allowed_by(ended - began), PERCENT)
        self.cluster.wait_whole()


class Faults(OnHosts):
    def first_answer(self, node, client, wanted, began, within_s=15):
        """Seconds after `began` until a request of the client has that status."""
        def answered():
            with node.client() as connection:
                return connection.post(b"x", headers={"X-Client": client}).status == wanted
        wait_for(answered, f"{wanted}; {node.log()[-1500:]}", within_s)
        return time.monotonic() - began

    def test_a_minority_stops_deciding(self):
        """A node that is cut off from all others and the directory, silently at first and then by a
        dead link: after the fence it does as on_owner_unreachable says, and its clients are the
        others'."""
        lone, lenient, other, _ = self.start(4, **{"cluster.verdict_timeout": "300ms"})
        lenient.stop()
        lenient.configure({"cluster.on_owner_unreachable": "local"})
        lenient.start()
        self.cluster.wait_whole()
        for node, status in ((lone, 503), (lenient, 202)):
            client = self.cluster.client_of(node, "window")
            with Spray([node], {client: 200}, workers=2, burst=1) as spray:
                spray.until(0.5)
                cut = time.monotonic()
                if node is lone:
                    self.net.cut([node.host])
                else:
                    node.host.plug(False)
                taken_over_s = self.first_answer(other, client, 202, cut)
                spray.until(3)
            after = [(a[0] - cut, a[3]) for a in spray.answers if a[0] > cut]
            self.assertEqual({s for at, s in after if at > 2}, {status})
            fallback = node.metrics().get("penstock_limiter_fallback_total")
            self.assertGreater(fallback, 0)
            last_s = max((at for at, s in after if s == 202), default=0)
            if node is lone:
                self.assertLess(last_s, FENCE_S + 0.5)  # the fence, and what was under way
            healed = time.monotonic()
            node.host.plug(True)
            self.net.everywhere(**SLOW)
            self.cluster.wait_whole()
            say(f"{status}: taken over after {taken_over_s:.2f} s, "
                f"last 202 of the minority {last_s:.2f} s, whole {time.monotonic() - healed:.2f} s;")

    def test_silent_hosts_hold_up_nobody(self):
        """Two of four nodes of a fixed list drop all packets. A third is started again, and links
        with the fourth as if nothing were."""
        net = self.net = Hosts(4)
        self.addCleanup(net.close)
        addresses = [f"{host.address}:{hosts.CLUSTER_PORT}" for host in net]
        nodes = [HostNode(host, {
            "cluster.name": "hosts", "cluster.directory": "static", "cluster.peers": addresses,
            "cluster.secret": "0123456789abcdef", "cluster.allow_plaintext": True,
            "cluster.reconnect_interval": "100ms"}) for host in net]
        for node in nodes:
            self.addCleanup(node.close)
            node.launch()
        for node in nodes:
            node.wait_ready()
            wait_for(lambda: links(node) == 3, "all links are up")
        silent = [net[2], net[3]]
        net.cut(silent)
        wait_for(lambda: links(nodes[0]) == links(nodes[1]) == 1, "they are missed")
        for _ in range(2):
            nodes[1].kill()
            wait_for(lambda: links(nodes[0]) == 0, "it is missed")
            began = time.monotonic()
            nodes[1].start()
            wait_for(lambda: links(nodes[0]) == links(nodes[1]) == 1, "the link is up", 30)
            say(f"linked after {time.monotonic() - began:.2f} s")
        net.heal()
        for node in nodes:
            wait_for(lambda: links(node) == 3, "all links are up again")

    def test_what_dies_is_replaced(self):
        victim, other, _ = self.start(3)
        ways = {"killed": (victim.kill, victim.start),
                "stopped": (lambda: victim.signal(signal.SIGSTOP),
                            lambda: victim.signal(signal.SIGCONT)),
                "cut off": (lambda: self.net.cut([victim.host]),
                            lambda: self.net.everywhere(**SLOW))}
        for name, (strike, mend) in ways.items():
            client = self.cluster.client_of(victim, "window")
            began = time.monotonic()
            strike()
            say(f"{name}: served elsewhere after "
                f"{self.first_answer(other, client, 202, began):.2f} s;")
            mend()
            self.cluster.wait_whole()

    def test_a_rolling_restart_fails_no_request(self):
        nodes = self.start(3, **{"plans.anonymous.limits": []})
        clients = {f"client{i}": 30 for i in range(10)}
        with Spray(nodes, clients, burst=1, retry=True) as spray:
            for node in nodes:
                node.signal(signal.SIGTERM)
                self.assertEqual(node.wait(), 0)
                node.start()
                self.cluster.wait_whole()
        self.assertEqual({a[3] for a in spray.answers}, {202}, spray.errors)
        self.assertGreater(len(spray.answers), 500)
        say(f"{len(spray.answers)} requests")


if __name__ == "__main__":
    if reason := hosts.why_not():
        print(f"skipped: {reason}", file=sys.stderr)
        sys.exit(SKIPPED)
    harness.main()
