#!/usr/bin/env python3
"""Who may come at all: keys only, denied networks, connections of an address; whose word counts for a
client's address; what `check` and the start warn of; what errors say of the node's files."""

import json
import shutil
import signal
import subprocess
import unittest

import harness
from harness import Closed, Node, wait_for

PROXIED = {"http.trusted_proxies": ["127.0.0.0/8"]}
ONE_AN_HOUR = {"plans.anonymous.limits": [{"name": "l", "algorithm": "fixed_window", "amount": 1, "window": "1h"}]}


def forwarded(value):
    return [("Forwarded", value)]


def x_forwarded_for(value):
    return [("X-Forwarded-For", value)]


class Entry(unittest.TestCase):
    def node(self, options):
        node = Node(options)
        self.addCleanup(node.close)
        return node.start()

    def test_keys_only(self):
        node = self.node({"identity.anonymous": "refuse"})
        made = node.admin("POST", "/v1/admin/keys", {"account": "acme", "plan": "anonymous"})
        self.assertEqual(made.status, 201, made)
        key = made.json()["key"]
        bearer = [("Authorization", f"Bearer {key}")]
        wait_for(lambda: node.post(b"x", headers=bearer).status == 202, "the key to be known")
        for method, target in (("POST", "/v1/events"), ("POST", "/v1/events/s"), ("GET", "/v1/usage")):
            reply = node.request(method, target)
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.headers["www-authenticate"], "Bearer")
        self.assertEqual(node.request("GET", "/v1/usage", headers=bearer).status, 200)
        self.assertEqual(node.post(b"x", headers=[("X-Api-Key", key)]).status, 202)
        self.assertEqual(node.post(b"x", headers=[("X-Client", "a")]).status, 401)
        self.assertEqual(node.request("GET", "/livez").status, 200)
        self.assertEqual(node.request("GET", "/readyz").status, 200)
        self.assertEqual(node.metrics().get("penstock_barred_total", reason="anonymous"), 4)

    def test_a_denied_network(self):
        node = self.node({**PROXIED, "identity.order": ["bearer", "ip"], "overrides.bad.ip": "203.0.113.0/24",
                          "overrides.bad.deny": True})
        made = node.admin("POST", "/v1/admin/keys", {"account": "acme", "plan": "anonymous"})
        bearer = [("Authorization", f"Bearer {made.json()['key']}")]
        wait_for(lambda: node.post(b"x", headers=bearer).status == 202, "the key to be known")
        self.assertEqual(node.post(b"x", headers=x_forwarded_for("203.0.114.1")).status, 202)
        self.assertEqual(node.post(b"x", headers=x_forwarded_for("203.0.113.1")).status, 403)
        self.assertEqual(node.post(b"x", headers=x_forwarded_for("::ffff:203.0.113.1")).status, 403)
        self.assertEqual(node.post(b"x", headers=bearer + x_forwarded_for("203.0.113.1")).status, 403)
        self.assertEqual(node.request("GET", "/livez", headers=x_forwarded_for("203.0.113.1")).status, 200)
        # The body is not waited for.
        with node.client() as client:
            client.send(b"POST /v1/events HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 203.0.113.1\r\n"
                        b"Content-Length: 100000\r\n\r\n")
            reply = client.read()
            self.assertEqual((reply.status, reply.headers["connection"]), (403, "close"))
        self.assertEqual(node.metrics().get("penstock_barred_total", reason="denied"), 4)
        node.configure({"overrides.bad.ip": "203.0.114.0/24"})
        node.signal(signal.SIGHUP)
        wait_for(lambda: node.post(b"x", headers=x_forwarded_for("203.0.113.1")).status == 202, "the reload")
        self.assertEqual(node.post(b"x", headers=x_forwarded_for("203.0.114.1")).status, 403)

    def test_connections_of_an_address(self):
        node = self.node({"http.max_connections_per_address": 5})
        # Those that asked whether it is ready.
        wait_for(lambda: node.metrics().get("penstock_http_connections") == 0, "no connection")
        idle = [node.client() for _ in range(5)]
        for client in idle:
            self.assertEqual(client.request("GET", "/livez").status, 200)
        with node.client() as one_more:
            reply = one_more.read()
            self.assertEqual((reply.status, reply.headers["connection"]), (503, "close"))
        self.assertEqual(node.metrics().get("penstock_shed_total", reason="address_connections"), 1)
        idle.pop().close()

        def comes_in():
            with node.client() as client:
                try:
                    return client.request("GET", "/livez").status == 200
                except (OSError, Closed):
                    return False
        wait_for(comes_in, "room for one more")
        for client in idle:
            client.close()

    def client_of(self, node, headers):
        """Which answer a client gets that may send one event an hour: 202 or 429 say whether it is new."""
        return node.post(b"x", headers=headers).status

    def test_only_one_header_counts(self):
        node = self.node({**PROXIED, **ONE_AN_HOUR, "http.client_address_from": "forwarded"})
        proxy_wrote = forwarded("for=203.0.113.9")
        self.assertEqual(self.client_of(node, proxy_wrote), 202)
        for i in range(5):
            self.assertEqual(self.client_of(node, proxy_wrote + x_forwarded_for(f"6.6.6.{i}")), 429)
        # Nor what stands in quotes.
        for i in range(5):
            quoted = forwarded(f'for=203.0.113.9;host="h,for=6.6.6.{i};x"')
            self.assertEqual(self.client_of(node, quoted), 429)
        self.assertEqual(self.client_of(node, forwarded("for=6.6.6.6, ,for=203.0.113.9,")), 429)
        self.assertEqual(self.client_of(node, forwarded('for="6.6.6.6')), 400)
        self.assertEqual(self.client_of(node, forwarded('for="6.6.6.6') + proxy_wrote), 429)

    def test_forwarded_is_read_as_rfc_7239_says(self):
        node = self.node({**ONE_AN_HOUR, "http.trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"],
                          "http.client_address_from": "forwarded"})
        self.assertEqual(self.client_of(node, forwarded("for=192.0.2.1")), 202)
        for same in ('for="203.0.113.9", For="192.0.2.1:4711";proto=https', "for=192.0.2.1;by=10.0.0.1, for=10.1.2.3",
                     'for="192.0.2.1:_port"', "for=6.6.6.6,,for=192.0.2.1", 'for="\\192.0.2.1"',
                     'host="a\\",for=6.6.6.6";for=192.0.2.1', "for=unknown, for=192.0.2.1"):
            self.assertEqual(self.client_of(node, forwarded(same)), 429, same)
        self.assertEqual(self.client_of(node, forwarded("for=6.6.6.6") + forwarded("for=192.0.2.1")), 429)
        self.assertEqual(self.client_of(node, forwarded('for="[2001:db8:1:2::77]:80"')), 202)
        self.assertEqual(self.client_of(node, forwarded('for="[2001:db8:1:2::78]"')), 429)
        # Who is hidden counts as the proxy.
        self.assertEqual(self.client_of(node, forwarded("for=_hidden")), 202)
        for hidden in ("for=unknown", "for=6.6.6.6, for=_other", "proto=https", ""):
            self.assertEqual(self.client_of(node, forwarded(hidden)), 429, hidden)

    def test_by_default_x_forwarded_for_counts(self):
        node = self.node({**PROXIED, **ONE_AN_HOUR})
        self.assertEqual(self.client_of(node, x_forwarded_for("203.0.113.9")), 202)
        for i in range(5):
            both = x_forwarded_for("203.0.113.9") + forwarded(f"for=6.6.6.{i}")
            self.assertEqual(self.client_of(node, both), 429)
        self.assertEqual(self.client_of(node, []), 202)  # the proxy itself
        self.assertEqual(self.client_of(node, forwarded("for=6.6.6.6")), 429)

    def test_no_header_counts(self):
        node = self.node({**PROXIED, **ONE_AN_HOUR, "http.client_address_from": "none"})
        self.assertEqual(self.client_of(node, x_forwarded_for("203.0.113.9")), 202)
        self.assertEqual(self.client_of(node, x_forwarded_for("6.6.6.6")), 429)
        self.assertEqual(self.client_of(node, forwarded("for=6.6.6.6")), 429)

    def test_a_mapped_network_is_trusted(self):
        node = self.node({**ONE_AN_HOUR, "http.trusted_proxies": ["::ffff:127.0.0.0/104"]})
        self.assertEqual(self.client_of(node, x_forwarded_for("203.0.113.9")), 202)
        self.assertEqual(self.client_of(node, x_forwarded_for("203.0.113.9")), 429)
        self.assertEqual(self.client_of(node, x_forwarded_for("203.0.113.8")), 202)

    def test_keys_take_the_same_networks(self):
        node = self.node({})
        for network, status in (("::ffff:10.0.0.0/104", 201), ("10.0.0.0/8", 201), ("fe80::1%lo", 400),
                                ("10.0.0.1/8", 400), ("::ffff:10.0.0.0/8", 400), ("10.0.0.1:80", 400)):
            reply = node.admin("POST", "/v1/admin/keys",
                               {"account": "acme", "plan": "anonymous", "networks": [network]})
            self.assertEqual(reply.status, status, network)

    def test_warnings(self):
        node = Node({})
        self.addCleanup(node.close)

        def check(*sets):
            arguments = [argument for one in sets for argument in ("--set", one)]
            ran = subprocess.run([harness.binary, "check", *arguments, str(node.config_file)],
                                 capture_output=True, text=True)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            as_json = subprocess.run([harness.binary, "check", "--json", *arguments, str(node.config_file)],
                                     capture_output=True, text=True)
            warnings = json.loads(as_json.stdout)["warnings"]
            self.assertEqual(ran.stderr.splitlines(), [f"warning: {one}" for one in warnings])
            return warnings
        outside = f"http.listen=0.0.0.0:{node.http_port}"
        self.assertEqual(check(), [])
        self.assertEqual(len(check(outside)), 2)
        for enough in ("identity.anonymous=refuse", "http.max_connections_per_address=10"):
            left = check(outside, enough)
            self.assertEqual(len(left), 1)
            self.assertIn("TLS", left[0])
        node.configure({"http.listen": f"0.0.0.0:{node.http_port}"})
        node.start()
        self.assertEqual(node.log().count("http.listen: 0.0.0.0"), 2)

    def test_no_answer_names_a_file(self):
        """The journal's directory is gone: the next segment can't be made."""
        node = self.node({"journal.segment_size": "256KiB", "journal.max_size": "2MiB"})
        shutil.rmtree(node.data_dir / "journal", ignore_errors=True)

        def refused():
            reply = node.post(b"x" * 100_000)
            return reply if reply.status != 202 else None
        reply = wait_for(refused, "an error of the journal", within_s=30)
        self.assertIn(reply.status, (503, 507))
        self.assertNotIn("/", reply.json()["detail"])
        self.assertNotIn(str(node.folder), reply.body.decode())
        for method, target in (("GET", "/v1/admin/dead-letters"), ("GET", "/v1/admin/usage?by=stream&per=hour"),
                               ("GET", "/v1/admin/replay"), ("GET", "/v1/queue/default")):
            answer = node.admin(method, target)
            self.assertNotIn(str(node.folder), answer.body.decode(), target)


if __name__ == "__main__":
    harness.main()
