#!/usr/bin/env python3
"""One stream and several sinks: a dead one stalls itself alone, each has a cursor of its own, and
what one event does to a sink does not hold up the others."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
from event_server import EventServer  # noqa: E402
from harness import Node, main, wait_for  # noqa: E402

CLIENTS = 40
EVENTS = 10_000
BATCH = 100


def options(*sinks, queue=False, timeout="10s", **more):
    out = {
        "identity.order": ["header:X-Client", "ip"],
        "streams.default.sinks": [name for name, _ in sinks] + (["queue"] if queue else []),
        **more,
    }
    for name, server in sinks:
        out.update(server.sink(name, retry_min="20ms", retry_max="200ms", timeout=timeout))
    return out


def send(node, events=EVENTS, clients=CLIENTS, first=0):
    """Numbered events; gives the ids in the order in which they were promised."""
    ids = []
    with node.client() as client:
        for start in range(first, first + events, BATCH):
            name = f"c{start // BATCH % clients}"
            lines = "".join(json.dumps({"c": name, "n": n}) + "\n" for n in range(start, start + BATCH))
            reply = client.post(lines.encode(), headers=[("Content-Type", "application/x-ndjson"),
                                                         ("X-Client", name),
                                                         ("Prefer", "return=representation")])
            assert reply.status == 202, reply
            ids += reply.json()["ids"]
    return ids


def lag(node, sink):
    """Events; None until it is known."""
    found = [value for name, labels, value in node.metrics().samples
             if name == "penstock_sink_lag_events" and labels["sink"] == sink]
    return sum(found) if found else None


def by_client(events):
    out = {}
    for event in events:
        out.setdefault(event["data"]["c"], []).append(event["id"])
    return out


class Many(unittest.TestCase):
    def setUp(self):
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.close()

    def server(self, **more):
        self.servers.append(EventServer(**more))
        return self.servers[-1]

    def check_arrived(self, server, ids):
        wanted = set(ids)
        wait_for(lambda: wanted <= set(server.ids()), "all arrive", 30)
        self.assertEqual(set(server.ids()), wanted)
        for client, seen in by_client(server.taken).items():
            first_seen = list(dict.fromkeys(seen))
            self.assertEqual(first_seen, sorted(first_seen), client)

    def test_a_dead_sink_stalls_itself_alone(self):
        dead, alive = self.server(), self.server()
        dead.down = True
        with Node(options(("dead", dead), ("alive", alive), queue=True)) as node:
            ids = send(node)
            self.check_arrived(alive, ids)
            self.assertEqual(dead.ids(), [])
            def lags():
                metrics = node.metrics()
                return lag(node, "dead"), lag(node, "alive"), metrics.get("penstock_sink_up", sink="dead")
            wait_for(lambda: lags() == (EVENTS, 0, 0), "the lag of the dead sink alone is told")
            self.assertEqual(node.depth()["depth"], EVENTS)
            node.kill()  # each sink goes on from its own cursor
            node.start()
            self.assertEqual(dead.ids(), [])
            dead.down = False
            self.check_arrived(dead, ids)
            self.assertEqual([m["id"] for m in node.drain_queue()], ids)
            self.assertEqual(len(alive.ids()), EVENTS)

    def test_a_hanging_sink_is_one_too(self):
        alive = self.server()
        hanging = self.server()
        with hanging.lock, Node(options(("hangs", hanging), ("alive", alive), timeout="500ms")) as node:
            ids = send(node, 2000)
            self.check_arrived(alive, ids)
            wait_for(lambda: node.metrics().get("penstock_sink_up", sink="hangs") == 0,
                     "the breaker opens", 30)
            self.check_arrived(alive, ids + send(node, 1000, first=2000))

    def test_refused_events_hold_nobody_up(self):
        picky = self.server(refuse=lambda e: "odd" if e["data"]["n"] % 50 == 7 else None)
        with Node(options(("picky", picky))) as node:
            ids = send(node, 5000)
            good = [id for n, id in enumerate(ids) if n % 50 != 7]
            self.check_arrived(picky, good)
            wait_for(lambda: lag(node, "picky") == 0,
                     "nothing is left")
            letters = node.admin("GET", "/v1/admin/dead-letters?limit=1000").json()
            self.assertEqual(len(letters["dead_letters"]), 100)
            node.kill()
            node.start()
            again = send(node, 100, first=5000)
            self.check_arrived(picky, good + [id for n, id in enumerate(again) if n % 50 != 7])

    def test_events_of_a_stream_that_nobody_named(self):
        alive = self.server()
        with Node(options(("alive", alive))) as node:
            with node.client() as client:
                for stream in ("one", "two", "three"):
                    self.assertEqual(client.post(b'{"c":"a"}', stream, [
                        ("Content-Type", "application/json")]).status, 202)
            wait_for(lambda: len(alive.ids()) == 3, "they arrive", 5)
            self.assertEqual({e["type"] for e in alive.taken},
                             {"penstock.one", "penstock.two", "penstock.three"})

    def test_another_number_of_lanes_repeats_nothing(self):
        alive = self.server()
        with Node(options(("alive", alive))) as node:
            ids = send(node, 3000)
            self.check_arrived(alive, ids)
            for lanes in (1, 7):
                node.stop()
                node.configure({"sinks.alive.lanes": lanes})
                node.start()
                ids += send(node, 1000, first=len(ids))
                self.check_arrived(alive, ids)
            self.assertEqual(len(alive.ids()), len(ids))


if __name__ == "__main__":
    main()
