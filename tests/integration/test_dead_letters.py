#!/usr/bin/env python3
"""Dead letters: what a sink refuses for good is kept, listed, exported, sent again, dropped."""

import json
import os
import subprocess
import unittest

import harness
from event_server import EventServer, body_of_event
from harness import Node, body_of, wait_for

LETTERS = "/v1/admin/dead-letters"


def refuse_bad(event):
    body = body_of_event(event)
    return "it is bad" if b"bad" in body else None


class Letters(unittest.TestCase):
    def setUp(self):
        self.server = EventServer(refuse_bad)
        self.addCleanup(self.server.close)

    def node(self, **more):
        node = Node({"streams.default.sinks": ["next"], **self.server.sink("next"), **more})
        self.addCleanup(node.close)
        return node.start()

    def letters(self, node, query=""):
        reply = node.admin("GET", LETTERS + query)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def wait_for_letters(self, node, count):
        wait_for(lambda: len(self.letters(node)["dead_letters"]) == count, f"{count} dead letters")
        return self.letters(node)["dead_letters"]

    def send(self, node, bodies):
        return [node.post(body, headers={"Content-Type": "text/plain"}).json()["id"]
                for body in bodies]

    def wait_for_job(self, node, reply):
        self.assertEqual(reply.status, 202, reply)
        job = reply.json()["job"]
        def ended():
            state = node.admin("GET", f"/v1/admin/replay/{job}").json()
            return state["state"] != "running" and state
        return wait_for(ended, f"{job} ends")

    def run_command(self, node, *arguments):
        return subprocess.run([harness.binary, *arguments], capture_output=True, text=True,
                              timeout=60, check=False,
                              env={**os.environ,
                                   "PENSTOCK_ADMIN_LISTEN": f"127.0.0.1:{node.admin_port}"})

    # -- keeping -----------------------------------------------------------------------------------

    def test_what_is_refused_is_kept_and_blocks_nobody(self):
        node = self.node()
        ids = self.send(node, [b"good 1", b"bad 1", b"good 2", b"bad 2 \xff", b"good 3"])
        # The sink repeats what stands behind an event that is tried again, so that order is kept.
        wait_for(lambda: len(set(self.server.ids())) == 3, "the others arrive")
        letters = self.wait_for_letters(node, 2)
        self.assertEqual({x["id"] for x in letters}, {ids[1], ids[3]})
        for letter in letters:
            self.assertEqual((letter["sink"], letter["stream"], letter["tries"]),
                             ("next", "default", 2))
            self.assertIn("it is bad", letter["reason"])
        wait_for(lambda: node.metrics().get("penstock_dead_letters_bytes") > 0,
                 "the metrics say so")
        self.assertEqual(node.metrics().get("penstock_dead_letters", sink="next",
                                            stream="default"), 2)
        # Also after a kill; and what is delivered is not delivered again.
        node.kill()
        node.start()
        totals = self.letters(node)["totals"]
        self.assertEqual(totals["dead_letters"], 2)
        self.assertEqual(totals["by"][0]["dead_letters"], 2)
        shown = [node.admin("GET", f"{LETTERS}/{i}").json() for i in (ids[1], ids[3])]
        self.assertEqual([body_of(x) for x in shown], [b"bad 1", b"bad 2 \xff"])
        self.assertEqual(shown[0]["content_type"], "text/plain")
        self.assertEqual(set(self.server.ids()), {ids[0], ids[2], ids[4]})

    def test_sent_again_when_the_sink_takes_them(self):
        node = self.node()
        ids = self.send(node, [b"bad %d" % n for n in range(20)])
        self.wait_for_letters(node, 20)
        still = self.wait_for_job(node, node.admin("POST", LETTERS + "/replay", {"all": True}))
        self.assertEqual((still["state"], still["sent"], still["refused"]), ("done", 0, 20))
        self.assertEqual(self.wait_for_letters(node, 20)[0]["tries"], 3)

        self.server.refuse = lambda event: None
        one = self.wait_for_job(node, node.admin("POST", LETTERS + "/replay", {"ids": [ids[7]]}))
        self.assertEqual((one["sent"], one["total"]), (1, 1))
        self.assertEqual(self.server.ids(), [ids[7]])
        rest = self.wait_for_job(node, node.admin("POST", LETTERS + "/replay", {"sink": "next"}))
        self.assertEqual(rest["sent"], 19)
        self.assertEqual(sorted(self.server.ids()), ids)
        self.assertEqual(self.letters(node)["totals"], {"dead_letters": 0, "bytes": 0, "by": []})
        nothing = node.admin("POST", LETTERS + "/replay", {"all": True})
        self.assertEqual((nothing.status, nothing.json()["job"], nothing.json()["total"]),
                         (202, None, 0))

    def test_a_kill_in_a_retry_loses_nothing(self):
        node = self.node()
        ids = self.send(node, [b"bad %d" % n for n in range(300)])
        self.wait_for_letters(node, 100)  # a page
        wait_for(lambda: self.letters(node)["totals"]["dead_letters"] == 300, "all are kept")
        self.server.refuse = lambda event: None
        job = node.admin("POST", LETTERS + "/replay", {"all": True, "rate": 300}).json()["job"]
        wait_for(lambda: len(self.server.ids()) >= 60, "some are sent")
        node.kill()
        self.assertLess(len(set(self.server.ids())), 300)
        node.start()
        wait_for(lambda: node.admin("GET", f"/v1/admin/replay/{job}").json()["state"] == "done",
                 "the retry ends")
        self.assertEqual(sorted(set(self.server.ids())), ids)
        self.assertEqual(self.letters(node)["totals"]["dead_letters"], 0)

    def test_a_full_store_makes_its_lane_wait_and_loses_nothing(self):
        node = self.node(**{"dead_letters.max_size": "1MiB", "http.max_body": "1MiB"})
        self.send(node, [b"bad" + b"x" * 700_000])
        first = self.wait_for_letters(node, 1)[0]["id"]
        second = self.send(node, [b"bad" + b"y" * 700_000])[0]
        wait_for(lambda: node.metrics().get("penstock_dead_letters_failures_total") > 0,
                 "there is no room for another")
        self.assertIn("dead_letters.max_size", node.log())
        node.kill()  # it is still in the journal
        node.start()
        self.assertEqual([x["id"] for x in self.letters(node)["dead_letters"]], [first])
        dropped = node.admin("POST", LETTERS + "/drop", {"ids": [first]})
        self.assertEqual((dropped.status, dropped.json()), (200, {"dropped": 1}))
        wait_for(lambda: [x["id"] for x in self.letters(node)["dead_letters"]] == [second],
                 "the other is kept then")

    # -- asking ------------------------------------------------------------------------------------

    def test_pages_and_export(self):
        node = self.node()
        ids = self.send(node, [b"bad %d" % n for n in range(25)])
        wait_for(lambda: self.letters(node)["totals"]["dead_letters"] == 25, "all are kept")
        seen, after = [], 0
        while True:
            page = self.letters(node, f"?limit=10&after={after}")
            seen += [x["id"] for x in page["dead_letters"]]
            if "next" not in page:
                break
            after = page["next"]
        self.assertEqual(sorted(seen), ids)
        self.assertEqual(self.letters(node, "?sink=other")["dead_letters"], [])
        self.assertEqual(len(self.letters(node, "?from=-1h&to=now")["dead_letters"]), 25)
        self.assertEqual(self.letters(node, "?to=-1h")["dead_letters"], [])
        done = self.run_command(node, "dead-letters", "export", "--stream", "default")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual({x["id"]: x["data"] for x in lines},
                         {i: f"bad {n}" for n, i in enumerate(ids)})

    def test_wrong_questions(self):
        node = self.node()
        good = "0000000000000001-abcdefgh"
        for body, word in (({}, "which"), ({"ids": []}, "ids"), ({"ids": ["x"]}, "ids[0]"),
                           ({"ids": good}, "ids"), ({"sink": "no such"}, "sink"),
                           ({"stream": "a/b"}, "stream"), ({"all": 1}, "all"),
                           ({"al": True}, "al"), ({"all": True, "rate": 0}, "rate")):
            with self.subTest(body):
                reply = node.admin("POST", LETTERS + "/replay", body)
                self.assertEqual(reply.status, 400, reply)
                self.assertIn(word, reply.json()["detail"])
        self.assertEqual(node.admin("POST", LETTERS + "/drop", {"all": True, "rate": 1}).status, 400)
        self.assertEqual(node.admin("POST", LETTERS + "/replay", {"ids": [good]}).status, 404)
        self.assertEqual(node.admin("POST", LETTERS + "/replay", {"sink": "nope"}).status, 404)
        self.assertEqual(node.admin("POST", LETTERS + "/drop", {"all": True}).json(), {"dropped": 0})
        self.assertEqual(node.admin("GET", f"{LETTERS}/{good}").status, 404)
        for query, word in (("?limit=0", "limit"), ("?limit=1001", "limit"), ("?from=soon", "from"),
                            ("?colour=red", "colour"), ("?after=x", "after"), ("?sink=a%2", "sink")):
            with self.subTest(query):
                reply = node.admin("GET", LETTERS + query)
                self.assertEqual(reply.status, 400, reply)
                self.assertIn(word, reply.json()["detail"])
        self.assertEqual(node.admin("GET", f"{LETTERS}/x").status, 400)
        self.assertEqual(node.admin("DELETE", LETTERS).status, 405)

    def test_commands(self):
        node = self.node()
        ids = self.send(node, [b"bad 1", b"bad 2", b"bad 3"])
        self.wait_for_letters(node, 3)
        listed = self.run_command(node, "dead-letters", "list", "--sink", "next")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        rows = [line.split() for line in listed.stdout.splitlines()]
        self.assertEqual(rows[0][:3], ["ID", "SINK", "STREAM"])
        self.assertEqual({row[0] for row in rows[1:]}, set(ids))
        as_json = json.loads(self.run_command(node, "dead-letters", "list", "--json").stdout)
        self.assertEqual(as_json["totals"]["dead_letters"], 3)
        shown = self.run_command(node, "dead-letters", "show", ids[1])
        self.assertIn("bad 2", shown.stdout)
        refused = self.run_command(node, "dead-letters", "retry", "--all")
        self.assertEqual(refused.returncode, 69, refused.stderr)
        self.assertIn("3 refused", refused.stdout)
        self.server.refuse = lambda event: None
        retried = self.run_command(node, "dead-letters", "retry", ids[0], "--json")
        self.assertEqual(retried.returncode, 0, retried.stderr)
        self.assertEqual(json.loads(retried.stdout)["sent"], 1)
        dropped = self.run_command(node, "dead-letters", "drop", ids[1])
        self.assertEqual((dropped.returncode, dropped.stdout), (0, "dropped 1\n"))
        self.assertEqual(self.run_command(node, "dead-letters", "retry", "--stream", "default").stdout,
                         "d3: done, 1 of 1 events sent\n")
        nothing = self.run_command(node, "dead-letters", "retry", "--all")
        self.assertEqual((nothing.returncode, nothing.stdout), (0, "no dead letters match\n"))
        for arguments, code in ((["retry"], 64), (["drop"], 64), (["show"], 64),
                                (["show", "x"], 64), (["show", ids[0]], 64),
                                (["list", "--limit", "0"], 64),
                                (["list", "--admin", "http://127.0.0.1:1"], 69)):
            with self.subTest(arguments):
                done = self.run_command(node, "dead-letters", *arguments)
                self.assertEqual(done.returncode, code, done)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr)
        for name in ("list", "show", "export", "retry", "drop"):
            self.assertIn("xample", self.run_command(node, "dead-letters", name, "--help").stdout)


if __name__ == "__main__":
    harness.main()
