#!/usr/bin/env python3
"""What clients have used of their limits survives restarts, crashes and changed plans."""

import signal
import time
import unittest

import harness
from harness import Node, wait_for

NDJSON = {"Content-Type": "application/x-ndjson"}

# A crash forgets what was charged since the last hand-over that became durable: half a second's
# use and the time of a commit. In one second a client sends at most this much here.
FORGOTTEN_S = 1.0


def limit(amount, window="1h", **more):
    return {"name": "quota", "algorithm": "fixed_window", "amount": amount, "window": window, **more}


def node_with(*limits):
    return Node({"plans.anonymous.limits": list(limits), "streams.default.sinks": []})


def send(node, count):
    """Sends so many single events; gives how many were accepted."""
    with node.client() as client:
        return sum(client.post(b"x").status == 202 for _ in range(count))


def remaining(node):
    """What the limit still has, without using any of it: a request that is not valid costs nothing."""
    reply = node.request("POST", "/v1/events/no%20name", b"x")
    assert reply.status == 400, reply
    return int(reply.headers["ratelimit"].split(";r=")[1].split(";")[0])


def saved_rows(node):
    return node.metrics().get("penstock_limiter_saved_rows_total")


class LimitsRestart(unittest.TestCase):
    def test_a_clean_restart_keeps_every_unit(self):
        with node_with(limit(100)) as node:
            accepted = 0
            for life in range(4):
                accepted += send(node, 30)
                if life < 3:
                    self.assertEqual(node.stop(), 0, node.log())
                    node.start()
            self.assertEqual(accepted, 100)
            self.assertEqual(remaining(node), 0)

    def test_a_calendar_quota_and_bytes_survive_too(self):
        limits = [{"name": "month", "algorithm": "calendar", "amount": 50, "window": "month"},
                  limit("1kB", cost="byte", scope="stream")]
        with node_with(*limits) as node:
            with node.client() as client:
                self.assertEqual(client.post(b"x" * 900, "a").status, 202)
                self.assertEqual(client.post(b"x" * 900, "b").status, 202)
            self.assertEqual(node.stop(), 0, node.log())
            node.start()
            with node.client() as client:
                self.assertEqual(client.post(b"x" * 101, "a").status, 429)
                self.assertEqual(client.post(b"x" * 100, "a").status, 202)
                self.assertEqual(client.post(b"x" * 1001, "c").status, 413)
                self.assertEqual(sum(client.post(b"", "c").status == 202 for _ in range(60)), 47)

    def test_killed_no_more_is_forgotten_than_the_bound(self):
        with node_with(limit(100)) as node:
            accepted = send(node, 60)
            self.assertEqual(accepted, 60)
            time.sleep(FORGOTTEN_S)
            self.assertGreaterEqual(saved_rows(node), 1)
            node.kill()
            node.start()
            accepted += send(node, 100)
            self.assertEqual(accepted, 100, "all of it was older than the bound")

    def test_killed_while_sending(self):
        with node_with(limit(1_000_000)) as node:
            worst_s = 0
            sent = []  # when each was accepted
            for _ in range(4):
                until = time.monotonic() + 1.3
                with node.client() as client:
                    while time.monotonic() < until:
                        self.assertEqual(client.post(b"x").status, 202)
                        sent.append(time.monotonic())
                killed = time.monotonic()
                node.kill()
                node.start()
                known = 1_000_000 - remaining(node)
                self.assertLessEqual(known, len(sent))
                if known < len(sent):
                    worst_s = max(worst_s, killed - sent[known])
                del sent[known:]  # what is forgotten can be sent again
            print(f"forgotten at most: the last {worst_s:.3f} s ", end="", flush=True)
            self.assertGreater(worst_s, 0)
            self.assertLess(worst_s, FORGOTTEN_S)

    def test_a_changed_plan_keeps_what_was_used(self):
        with node_with(limit(100)) as node:
            self.assertEqual(send(node, 60), 60)
            node.configure({"plans.anonymous.limits": [
                {"name": "rate", "algorithm": "gcra", "amount": 1000, "window": "1s"}, limit(80)]})
            node.signal(signal.SIGHUP)
            wait_for(lambda: 'q=80' in node.request("POST", "/v1/events/a%20b", b"")
                     .headers["ratelimit-policy"], "the plan is the new one")
            self.assertEqual(send(node, 15), 15)
            # And across a restart with yet other numbers.
            self.assertEqual(node.stop(), 0, node.log())
            node.configure({"plans.anonymous.limits": [limit(90, "2h")]})
            node.start()
            self.assertEqual(send(node, 50), 15)

    def test_a_limit_of_seconds_is_not_saved(self):
        with node_with(limit(5, "30s")) as node:
            self.assertEqual(send(node, 9), 5)
            time.sleep(0.7)
            self.assertEqual(saved_rows(node), 0)
            self.assertEqual(node.stop(), 0, node.log())
            node.start()
            self.assertEqual(send(node, 9), 5)

    def test_shadow_and_partial_batches(self):
        with node_with(limit(10), {**limit(3), "name": "tried", "shadow": True}) as node:
            reply = node.post(b"\n".join(b"%d" % n for n in range(15)), "", NDJSON)
            self.assertEqual((reply.json()["accepted"], reply.json()["rejected"]), (10, 5))
            self.assertNotIn("tried", reply.headers["ratelimit-policy"])
            metrics = node.metrics()
            self.assertEqual(metrics.get("penstock_limit_shadow_refusals_total", limit="tried"), 1)
            self.assertEqual(metrics.get("penstock_limit_refusals_total", limit="tried"), 0)

    def test_rules_by_path(self):
        rules = limit(2, paths=["/v1/events/errors*"])
        with node_with(rules) as node, node.client() as client:
            self.assertEqual([client.post(b"x", "errors").status for _ in range(3)], [202, 202, 429])
            self.assertEqual(client.post(b"x", "errors2").status, 429)
            self.assertEqual([client.post(b"x", "other").status for _ in range(3)], [202] * 3)

    def test_a_damaged_file_is_put_aside_and_told(self):
        with node_with(limit(100)) as node:
            self.assertEqual(node.stop(), 0)
            (node.data_dir / "counters.db").write_bytes(b"this is no database" * 1000)
            node.start()
            self.assertRegex(node.log(), "error .*counters.db.* moved to .*used of their limits")
            self.assertTrue((node.data_dir / "damaged" / "1" / "counters.db").exists())
            self.assertEqual(node.metrics().get("penstock_damaged_stores"), 1)


if __name__ == "__main__":
    harness.main()
