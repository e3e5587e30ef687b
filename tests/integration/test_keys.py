#!/usr/bin/env python3
"""API keys as their holders see them: what is let in, what is charged to whom, what is refused and
how; on one node and on three."""

import contextlib
import hashlib
import sqlite3
import time
import unittest

import harness
from harness import Node, cluster, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}
ORDER = ["bearer", "x-api-key", "query", "header:X-Client", "cookie:sid", "path:/v1/events/open",
         "referer", "ip"]


def quota(name, amount, **more):
    return {"name": name, "algorithm": "fixed_window", "amount": amount, "window": "1h", **more}


def make_key(node, account="acme", plan="pro", **more):
    reply = node.admin("POST", "/v1/admin/keys", {"account": account, "plan": plan, **more})
    assert reply.status == 201, reply
    return reply.json()


def send(node, key=None, stream="", body=b"x", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        fields["Authorization"] = "Bearer " + key
    return node.post(body, stream, fields)


def limits_of(node, key=None, query="", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        fields["X-Api-Key"] = key
    reply = node.request("GET", "/v1/usage" + query, headers=fields)
    assert reply.status == 200, reply
    return reply.json()


def used(node, key=None, query="", **headers):
    return {one["name"]: one["used"] for one in limits_of(node, key, query, **headers)["limits"]}


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node({
            "identity.order": ORDER,
            "http.trusted_proxies": ["127.0.0.1/32"],
            "log.level": "trace",
            "plans.anonymous.limits": [quota("free", 3)],
            "plans.pro.limits": [quota("all", 10), quota("each", 6, scope="key"),
                                 quota("here", 5, scope="stream"),
                                 quota("errors", 2, paths=["/v1/events/errors"]),
                                 quota("watched", 1, shadow=True),
                                 quota("traffic", "1kB", cost="byte")],
            "plans.exempt.limits": [],
            "plans.small.limits": [quota("tiny", 1)],
            "overrides.partner": {"account": "partner", "plan": "exempt"},
            "overrides.office": {"ip": "203.0.113.0/24", "plan": "exempt"},
            "overrides.noisy": {"client": "noisy", "plan": "small"},
        })
        cls.addClassCleanup(cls.node.close)
        cls.node.start()
        cls.accounts = iter(range(1000))
        cls.secrets = []

    def key(self, account=None, plan="pro", **more):
        made = make_key(self.node, account or f"account-{next(self.accounts)}", plan, **more)
        self.secrets.append(made["key"])
        return made

    def refused(self, reply, status, words):
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertIn(words, reply.json()["detail"])
        self.assertEqual("www-authenticate" in reply.headers, status == 401)
        for secret in self.secrets:
            self.assertNotIn(secret[11:].encode(), reply.body)

    # -- who it is -----------------------------------------------------------------------------------

    def test_a_key_in_each_place_is_the_same_account(self):
        made = self.key()
        key = made["key"]
        target = "/v1/events/a?api_key=" + key
        replies = [send(self.node, key), self.node.post(b"x", "a", {"X-Api-Key": key}),
                   self.node.request("POST", target, b"x"),
                   self.node.post(b"x", "a", {"Authorization": "bearer   " + key})]
        for reply in replies:
            self.assertEqual(reply.status, 202, reply)
        self.assertEqual(limits_of(self.node, key)["account"], made["account"])
        self.assertEqual(limits_of(self.node, key)["plan"], "pro")
        self.assertEqual(used(self.node, key)["all"], 4)

    def test_the_first_match_wins(self):
        key = self.key()["key"]
        both = {"Authorization": "Bearer " + key, "X-Client": "both", "Cookie": "sid=both"}
        self.assertEqual(self.node.post(b"x", "", both).status, 202)
        self.assertEqual(used(self.node, key)["all"], 1)
        self.assertEqual(used(self.node, X_Client="both")["free"], 0)
        del both["Authorization"]
        self.assertEqual(self.node.post(b"x", "", both).status, 202)
        self.assertEqual(used(self.node, X_Client="both")["free"], 1)
        self.assertEqual(used(self.node, Cookie="sid=both")["free"], 0)

    def test_the_free_tier_by_referer_and_address(self):
        page = {"Referer": "https://blog.example/post/7?x=1"}
        self.assertEqual([self.node.post(b"x", "", {**page, "X-Forwarded-For": f"198.51.100.{i}"}).status
                          for i in range(4)], [202, 202, 202, 429])
        address = {"X-Forwarded-For": "192.0.2.66, 198.51.100.77"}
        self.assertEqual([self.node.post(b"x", "", address).status for _ in range(4)],
                         [202, 202, 202, 429])
        # The same address, whatever stands to its left; and neighbours in one /64.
        self.assertEqual(send(self.node, X_Forwarded_For="198.51.100.77").status, 429)
        self.assertEqual([send(self.node, X_Forwarded_For=f"2001:db8:1:2::{i}").status
                          for i in range(1, 5)], [202, 202, 202, 429])
        self.assertEqual(send(self.node, X_Forwarded_For="2001:db8:1:3::1").status, 202)
        self.assertIsNone(limits_of(self.node)["account"])

    def test_a_path_is_one_client(self):
        self.assertEqual([send(self.node, None, "open", X_Forwarded_For=f"198.51.100.{i}").status
                          for i in range(101, 105)], [202, 202, 202, 429])
        self.assertEqual(send(self.node, None, "openly", X_Forwarded_For="198.51.100.104").status, 202)

    # -- what it may do ------------------------------------------------------------------------------

    def test_keys_that_are_not_in_force(self):
        key = self.key()["key"]
        mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")
        unknown = key[:9] + key[9:].swapcase()
        for wrong in (mistyped, unknown, "psk_live_", "x", "ü", "a" * 4000):
            self.refused(send(self.node, wrong), 401, "not known")
            self.refused(self.node.request("GET", "/v1/usage", headers={"X-Api-Key": wrong}), 401, "not known")
        with self.node.client() as client:
            client.send(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + key.encode()
                        + b"\r\nX-Api-Key: " + key.encode() + b"\r\nContent-Length: 1\r\n\r\nx")
            self.refused(client.read(), 400, "repeated")
        self.assertEqual(used(self.node, key)["all"], 0)

    def test_revoked_and_expired(self):
        made = self.key()
        self.assertEqual(send(self.node, made["key"]).status, 202)
        self.assertEqual(self.node.admin("DELETE", "/v1/admin/keys/" + made["id"]).status, 204)
        self.refused(send(self.node, made["key"]), 401, "not known")
        soon = time.time() + 1.2
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(soon)) + f".{int(soon % 1 * 1000):03}Z"
        key = self.key(expires=text)["key"]
        self.assertEqual(send(self.node, key).status, 202)
        wait_for(lambda: send(self.node, key).status == 401, "it expires", 3)
        self.assertGreaterEqual(time.time(), soon - 0.002)
        self.refused(send(self.node, key), 401, "expired")

    def test_restrictions(self):
        key = self.key(streams=["orders"], origins=["https://shop.example"],
                       networks=["198.51.100.0/25", "2001:db8::/32"])["key"]
        good = {"Referer": "https://SHOP.example/cart?x", "X_Forwarded_For": "198.51.100.7"}
        self.assertEqual(send(self.node, key, "orders", **good).status, 202)
        self.assertEqual(send(self.node, key, "orders", **{**good, "X_Forwarded_For": "2001:db8:9::1"}).status,
                         202)
        self.refused(send(self.node, key, "errors", **good), 403, "stream")
        self.refused(send(self.node, key, **good), 403, "stream")
        for origin in ("https://shop.example.evil/", "http://shop.example/", "https://shop.example:444/",
                       "null", "https://evil.example/?https://shop.example"):
            self.refused(send(self.node, key, "orders", **{**good, "Referer": origin}), 403, "Referer")
        self.refused(send(self.node, key, "orders", X_Forwarded_For="198.51.100.7"), 403, "Referer")
        for address in ("198.51.100.128", "192.0.2.1", "2001:db9::1", "::ffff:198.51.100.200"):
            self.refused(send(self.node, key, "orders", **{**good, "X_Forwarded_For": address}), 403, "address")
        self.assertEqual(used(self.node, key, "?stream=orders", **good)["all"], 2)
        self.assertEqual(used(self.node, key, **good)["all"], 2)
        self.refused(self.node.request("GET", "/v1/usage", headers={"X-Api-Key": key}), 403, "address")

    def test_ten_megabytes_of_forwarded_for(self):
        with self.node.client() as client:
            try:
                client.send(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ")
                for _ in range(640):
                    client.send(b"198.51.100.7, " * 1170)
            except OSError:
                pass  # it has closed: that is the point
            else:
                self.assertEqual(client.read().status, 431)
        self.assertEqual(send(self.node, X_Forwarded_For=", ".join(["203.0.113.9"] * 700)).status, 202)
        self.assertLess(self.node.rss_bytes(), 200 << 20)

    # -- what it costs -------------------------------------------------------------------------------

    def test_limits_by_account_key_and_stream(self):
        one, two = self.key("shared"), self.key("shared")
        self.assertEqual([send(self.node, one["key"], s).status for s in "aaaaabb"],
                         [202] * 5 + [202] + [429])  # each: 6 a key
        self.assertEqual(send(self.node, two["key"], "a").status, 429)  # here: 5 a stream
        self.assertEqual([send(self.node, two["key"], s).status for s in "bbbcc"],
                         [202] * 4 + [429])  # all: 10 an account
        self.assertEqual(used(self.node, one["key"], "?stream=b"),
                         {"all": 10, "each": 6, "here": 4, "errors": 0, "watched": 1, "traffic": 10})
        self.assertEqual(used(self.node, two["key"], "?stream=b")["each"], 4)

    def test_limits_by_path_and_by_byte(self):
        key = self.key()["key"]
        self.assertEqual([send(self.node, key, "errors").status for _ in range(3)], [202, 202, 429])
        self.assertEqual(send(self.node, key, "orders", b"x" * 900).status, 202)
        self.assertEqual(send(self.node, key, "orders", b"x" * 99).status, 429)
        self.assertEqual(send(self.node, key, "orders", b"x" * 1001).status, 413)
        self.assertEqual(send(self.node, key, "orders", b"x" * 98).status, 202)
        self.assertEqual(used(self.node, key)["traffic"], 1000)

    def test_a_batch_is_taken_as_far_as_it_fits(self):
        key = self.key()["key"]
        body = b"".join(b"%d\n" % i for i in range(8))
        reply = self.node.post(body, "a", {"X-Api-Key": key, **NDJSON})
        self.assertEqual(reply.status, 202, reply)
        answer = reply.json()
        self.assertEqual((answer["accepted"], answer["rejected"]), (5, 3))
        self.assertEqual([(e["index"], e["status"]) for e in answer["errors"]],
                         [(5, 429), (6, 429), (7, 429)])
        self.assertEqual(used(self.node, key, "?stream=a")["all"], 5)
        self.assertEqual(used(self.node, key, "?stream=a")["traffic"], 5)

    def test_overrides_and_exemptions(self):
        key = self.key("partner")["key"]
        for _ in range(15):
            self.assertEqual(send(self.node, key).status, 202)
            self.assertEqual(send(self.node, X_Forwarded_For="203.0.113.200").status, 202)
        self.assertNotIn("ratelimit", send(self.node, key).headers)
        self.assertEqual([send(self.node, X_Client="noisy").status for _ in range(2)], [202, 429])
        self.assertEqual(limits_of(self.node, key)["plan"], "exempt")

    def test_a_changed_plan_keeps_what_was_used(self):
        def put(amount, status=200):
            reply = self.node.admin("PUT", "/v1/admin/plans/gold", {"limits": [quota("q", amount)]})
            self.assertEqual(reply.status, status, reply)
        put(5)
        key = self.key(plan="gold")["key"]
        self.assertEqual([send(self.node, key).status for _ in range(6)], [202] * 5 + [429])
        put(8)
        self.assertEqual([send(self.node, key).status for _ in range(4)], [202] * 3 + [429])
        put(2)
        self.assertEqual(send(self.node, key).status, 429)
        put(9)
        self.assertEqual([send(self.node, key).status for _ in range(2)], [202, 429])

    def test_usage_knows_account_and_key(self):
        made = self.key("counted")
        for _ in range(4):
            send(self.node, made["key"], "errors", b"xyz")
        def rows(by):
            reply = self.node.admin("GET", f"/v1/admin/usage?by={by}&top=1000").json()
            return {row["id"]: row for row in reply["top"]}
        wait_for(lambda: rows("account").get("counted", {}).get("requests") == 4, "usage is written")
        for by, one in (("account", "counted"), ("key", made["id"])):
            row = rows(by)[one]
            self.assertEqual((row["requests"], row["events"], row["bytes"], row["refused"]), (4, 2, 6, 2))

    # The last by name: what all of the others have left behind.
    def test_z_no_key_and_no_hash_is_anywhere(self):
        self.assertGreater(len(self.secrets), 8)
        secret = (self.node.data_dir / "client-secret").read_bytes()
        files = [f for f in self.node.data_dir.rglob("*") if f.is_file()] + [self.node.log_file]
        log = self.node.log_file.read_bytes()
        self.assertNotIn(secret.strip(), log)
        for key in self.secrets:
            hashed = hashlib.sha256(key.encode()).hexdigest()
            for file in files:
                content = file.read_bytes()
                self.assertNotIn(key[11:].encode(), content, file)
                self.assertNotIn(hashed.encode(), content.lower(), file)
        # Keyed hashes are in the store, and nowhere else.
        with contextlib.closing(sqlite3.connect(self.node.data_dir / "accounts.db")) as store:
            rows = store.execute("SELECT lower(hex(hash)) FROM key").fetchall()
        self.assertGreater(len(rows), 8)
        for row, in rows:
            self.assertNotIn(row[:16].encode(), log.lower())


class ThreeNodes(unittest.TestCase):
    def setUp(self):
        self.nodes = cluster(3, {"plans.pro.limits": [quota("all", 30)], "identity.order": ["x-api-key", "ip"]})
        for node in self.nodes:
            self.addCleanup(node.close)
            node.launch()
        for node in self.nodes:
            node.wait_ready()
        for node in self.nodes:
            wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") == 2, "links")

    def status(self, node, key):
        return node.post(b"x", "", {"X-Api-Key": key}).status

    def test_a_revoked_key_is_refused_everywhere_within_a_second(self):
        slowest = {"made": 0.0, "revoked": 0.0}
        for round_ in range(12):
            here, *others = self.nodes[round_ % 3:] + self.nodes[:round_ % 3]
            began = time.monotonic()
            made = make_key(here, f"account-{round_}")
            for node in others:
                wait_for(lambda: self.status(node, made["key"]) == 202, "the key works", 5, 0.001)
            slowest["made"] = max(slowest["made"], time.monotonic() - began)
            began = time.monotonic()
            self.assertEqual(here.admin("DELETE", "/v1/admin/keys/" + made["id"]).status, 204)
            for node in self.nodes:
                wait_for(lambda: self.status(node, made["key"]) == 401, "the key is refused", 5, 0.001)
            slowest["revoked"] = max(slowest["revoked"], time.monotonic() - began)
        print(" ".join(f"{what} everywhere within {s * 1e3:.0f} ms" for what, s in slowest.items()),
              end=" ", flush=True)
        self.assertLess(slowest["revoked"], 1)

    def test_an_account_is_counted_once_whatever_node_it_uses(self):
        key = make_key(self.nodes[0])["key"]
        for node in self.nodes:
            wait_for(lambda: node.request("GET", "/v1/usage", headers={"X-Api-Key": key}).status == 200, "known")
        answers = [self.status(self.nodes[i % 3], key) for i in range(45)]
        self.assertEqual((answers.count(202), answers.count(429)), (30, 15))
        for node in self.nodes:
            reply = node.request("GET", "/v1/usage", headers={"X-Api-Key": key}).json()
            self.assertEqual(reply["limits"][0]["used"], 30)
        # A changed plan is in force on all, with what was used.
        self.assertEqual(self.nodes[1].admin("PUT", "/v1/admin/plans/pro", {"limits": [quota("all", 33)]}).status, 200)
        for node in self.nodes:
            wait_for(lambda: [l["amount"] for l in node.request(
                "GET", "/v1/usage", headers={"X-Api-Key": key}).json()["limits"]] == [33], "the plan is known")
        answers = [self.status(self.nodes[i % 3], key) for i in range(9)]
        self.assertEqual((answers.count(202), answers.count(429)), (3, 6))


if __name__ == "__main__":
    harness.main()
