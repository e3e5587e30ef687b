#!/usr/bin/env python3
"""TLS between nodes: nodes of one authority share a limit as others do, all others are refused in
words on both sides, and strangers on the cluster port disturb nobody."""

import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import harness  # noqa: E402
from harness import cluster, wait_for  # noqa: E402

AMOUNT = 60
LIMIT = {"identity.order": ["header:X-Client", "ip"],
         "plans.anonymous.limits": [{"name": "shared", "algorithm": "fixed_window",
                                     "amount": AMOUNT, "window": "720h"}]}


def certify(folder, *names, days=365):
    subprocess.run([ROOT / "scripts" / "certs", folder, *names], check=True, capture_output=True,
                   env={**os.environ, "PENSTOCK_CERTS_DAYS": str(days)})


def files(folder, name):
    return {"cluster.tls_cert": str(folder / f"{name}.pem"),
            "cluster.tls_key": str(folder / f"{name}.key"),
            "cluster.tls_ca": str(folder / "ca.pem")}


def peers_up(node):
    return node.metrics().get("penstock_cluster_peers_up")


def refused(node, reason):
    return node.metrics().get("penstock_cluster_nodes_refused_total", reason=reason)


def address_of(node):
    host, port = node.options["cluster.listen"].split(":")
    return host, int(port)


def setUpModule():
    Tls.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-certs-"))
    unittest.addModuleCleanup(shutil.rmtree, Tls.folder)
    certify(Tls.folder / "ours", "a", "b", "c")
    certify(Tls.folder / "ours", "expired", days=-1)
    certify(Tls.folder / "theirs", "stranger")


class Tls(unittest.TestCase):
    folder = None  # of setUpModule

    def make(self, count, options, each):
        """Nodes that name each other as peers; node i has the options each[i] on top."""
        nodes = cluster(count, options)
        for node, more in zip(nodes, each):
            node.configure(more)
            self.addCleanup(node.close)
        return nodes

    def start(self, nodes, peers):
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()
        for node, count in zip(nodes, peers):
            self.wait_for_peers([node], count)
        return nodes

    def wait_for_peers(self, nodes, count):
        for node in nodes:
            wait_for(lambda: peers_up(node) == count,
                     f"{node.options['node.name']} has {count} peers; {node.log()[-2000:]}", 20)

    def wait_for_log(self, node, *texts):
        for text in texts:
            wait_for(lambda: text in node.log(),
                     f"{node.options['node.name']} says {text!r}; {node.log()[-3000:]}")

    def assert_shared(self, nodes, client):
        """`client` has what is admitted once, over all nodes."""
        taken = 0
        chance = random.Random(client)
        connections = [node.client() for node in nodes]
        for _ in range(2 * AMOUNT):
            reply = chance.choice(connections).post(b"x", headers={"X-Client": client})
            self.assertIn(reply.status, (202, 429))
            taken += reply.status == 202
        for connection in connections:
            connection.close()
        self.assertEqual(taken, AMOUNT)


class OneCluster(Tls):
    def setUp(self):
        ours = self.folder / "ours"
        self.nodes = self.make(3, LIMIT, [files(ours, name) for name in "abc"])
        self.start(self.nodes, [2, 2, 2])

    def test_a_limit_is_shared_and_a_hanging_peer_noticed(self):
        for i in range(6):
            self.assert_shared(self.nodes, f"client {i}")
        *left, stopped = self.nodes
        stopped.signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            self.wait_for_peers(left, 1)
            took_s = time.monotonic() - began
            print(f"a stopped peer noticed in {took_s:.1f} s ", end="", flush=True)
        finally:
            stopped.signal(signal.SIGCONT)
        self.wait_for_peers(self.nodes, 2)
        for i in range(6):
            self.assert_shared(self.nodes, f"later client {i}")
        stopped.kill()
        self.wait_for_peers(left, 1)
        stopped.start()
        self.wait_for_peers(self.nodes, 2)
        self.assert_shared(self.nodes, "last client")
        for node in self.nodes:
            self.assertEqual(node.stop(), 0, node.log())

    def test_strangers_disturb_nobody(self):
        node = self.nodes[0]
        where = address_of(node)
        before = refused(node, "tls")
        silent = [socket.create_connection(where) for _ in range(200)]
        for noise in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), bytes(70),
                      b"\x16\x03\x01\x02\x00" + bytes(600),
                      b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
            for _ in range(20):
                with socket.create_connection(where) as stranger:
                    stranger.sendall(noise)
        self.assertEqual(self.talk(where, ssl.create_default_context()), "refused")
        old = self.context("a")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(self.talk(where, old), "refused")
        # One that knows the authority is let in; what it says then is no message between nodes.
        self.assertEqual(self.talk(where, self.context("a")), b"penstock")
        # Links go on meanwhile, and those that say nothing are shown out.
        self.assert_shared(self.nodes, "amid noise")
        for one in silent:
            one.settimeout(20)
            self.assertEqual(one.recv(1), b"")
            one.close()
        wait_for(lambda: refused(node, "tls") > before + 200, "refusals are counted")
        self.assert_shared(self.nodes, "after noise")
        for each in self.nodes:
            self.assertEqual(peers_up(each), 2)
            self.assertEqual(each.metrics().get("penstock_cluster_reconnects_total"), 0)
            self.assertNotIn("lost the peer", each.log())
        self.assertLess(node.log().count("refused a connection"), 20)

    def test_a_reload_takes_new_certificates(self):
        node = self.nodes[0]
        old = self.certificate_of(node)
        self.assertEqual(self.certificate_of(node), old)
        renewed = self.folder / "renewed"
        shutil.copytree(self.folder / "ours", renewed)
        (renewed / "a.pem").unlink()
        certify(renewed, "a")
        for name in ("a.pem", "a.key"):
            shutil.copy(renewed / name, self.folder / "ours" / name)
        node.signal(signal.SIGHUP)
        wait_for(lambda: self.certificate_of(node) != old, "the new certificate is shown")
        new = self.certificate_of(node)
        # One that makes no sense changes nothing.
        key = self.folder / "ours" / "a.key"
        right = key.read_bytes()
        key.write_bytes(b"no key")
        try:
            node.signal(signal.SIGHUP)
            self.wait_for_log(node, "the certificate between nodes stays as it was: "
                                    f"cluster.tls_key: {key}")
        finally:
            key.write_bytes(right)
        self.assertEqual(self.certificate_of(node), new)
        # Links are made with it, too.
        self.nodes[1].kill()
        self.nodes[1].start()
        self.wait_for_peers(self.nodes, 2)

    def context(self, name):
        context = ssl.create_default_context(cafile=self.folder / "ours" / "ca.pem")
        context.load_cert_chain(self.folder / "ours" / f"{name}.pem",
                                self.folder / "ours" / f"{name}.key")
        return context

    def talk(self, where, context):
        """What a TLS client hears first."""
        context.check_hostname = False
        if not context.get_ca_certs():
            context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection(where) as plain, context.wrap_socket(plain) as stranger:
                stranger.settimeout(20)
                return stranger.recv(8) or "refused"
        except (ssl.SSLError, ConnectionError):
            return "refused"

    def certificate_of(self, node):
        with socket.create_connection(address_of(node)) as plain, \
                self.context("b").wrap_socket(plain, server_hostname="localhost") as stranger:
            return stranger.getpeercert()["serialNumber"]


class Outsiders(Tls):
    def test_they_are_refused_in_words_and_the_others_serve(self):
        ours, theirs = self.folder / "ours", self.folder / "theirs"
        anyhow = {"cluster.ready_without": True}  # else who is refused is not ready
        nodes = self.make(6, LIMIT, [
            files(ours, "a"), files(ours, "b"),
            {},
            {**files(theirs, "stranger"), **anyhow},
            {**files(ours, "expired"), **anyhow},
            {**files(ours, "c"), "cluster.name": "other", **anyhow}])
        self.start(nodes, [1, 1, 0, 0, 0, 0])
        a, b, plain, stranger, expired, other = nodes

        def address(node):
            return node.options["cluster.listen"]

        self.wait_for_log(plain, f"cannot reach the peer at {address(a)}: it takes connections and "
                                 "does not answer as a node does")
        self.wait_for_log(stranger, f"the peer at {address(a)} and this node do not fit",
                          "its certificate is not accepted: unable to get local issuer certificate")
        self.wait_for_log(expired, f"the peer at {address(a)} and this node do not fit",
                          "it does not accept this node's certificate: certificate expired",
                          "certificate has expired; peers with the authority of")
        self.wait_for_log(other, f"the peer at {address(a)} and this node do not fit",
                          'it belongs to cluster "other", this node to "test"')
        for node in (a, b):
            self.wait_for_log(
                node,
                f"the peer at {address(plain)} and this node do not fit: what it says is not TLS",
                f"the peer at {address(stranger)} and this node do not fit",
                f"the peer at {address(expired)} and this node do not fit: its certificate is not "
                "accepted: certificate has expired",
                f"refused the node at {address(other)}")
        wait_for(lambda: refused(a, "tls") >= 2 and refused(a, "cluster") >= 1, "they are counted")
        for node in (stranger, expired, other):
            wait_for(lambda: node.metrics().get("penstock_cluster_refusals_total") >= 2,
                     "the refused count it")
        for node in nodes:
            self.assertEqual(peers_up(node), 1 if node in (a, b) else 0)
            with node.client() as connection:
                self.assertEqual(connection.post(b"x", headers={"X-Client": "any"}).status, 202)


if __name__ == "__main__":
    harness.main()
