#!/usr/bin/env python3
"""ack = "replicated": a node is lost with its disk, and every event that was promised reaches the
sink once, with its id and bytes; two wire versions in one cluster.

PENSTOCK_LOSSES=200 loses that many nodes, one after the other (default 3). PENSTOCK_EARLIER=PROGRAM
is a build that speaks wire version 4 or a later one before this one's, to stand in for this one held
back to 4."""

import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks"):
    sys.path.insert(0, str(HERE.parent / folder))

import harness  # noqa: E402
from event_server import EventServer  # noqa: E402
from harness import Node, free_port, wait_for  # noqa: E402
from http_client import Closed  # noqa: E402
from nats_client import NatsServer  # noqa: E402
from redis_server import RedisServer  # noqa: E402

LOSSES = int(os.environ.get("PENSTOCK_LOSSES", "3"))
CLIENTS_A_NODE = 2
WIRE_VERSION = 10


class Sender(threading.Thread):
    """A client of one node: single events and batches, until that node is gone. `promised` maps the
    ids of answers that say nothing else than 202 to bodies; `stored` those whose answer says that
    they are journaled only."""

    def __init__(self, node, name):
        super().__init__(daemon=True)
        self.node, self.name_ = node, name
        self.promised, self.stored, self.other = {}, {}, []
        self.pause_s, self.stopped = 0.003, threading.Event()

    def run(self):
        for turn in itertools.count():
            try:
                with self.node.client() as connection:
                    while not self.stopped.is_set():
                        self.send(connection, turn)
                        turn += 1
                        time.sleep(self.pause_s)
            except (OSError, Closed):
                pass
            if self.stopped.is_set() or self.node.process.poll() is not None:
                return

    def send(self, connection, turn):
        bodies = [b'{"from":"%s","n":%d,"i":%d}' % (self.name_.encode(), turn, i)
                  for i in range(1 + turn % 4)]
        headers = {"X-Client": self.name_}
        if len(bodies) > 1:
            headers |= {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}
        reply = connection.post(b"\n".join(bodies), headers=headers)
        if reply.status != 202:
            self.other.append(reply)
            return
        answer = reply.json()
        ids = answer["ids"] if len(bodies) > 1 else [answer["id"]]
        (self.stored if answer.get("ack") else self.promised).update(zip(ids, bodies))


class Cluster(unittest.TestCase):
    def setUp(self):
        self.nats, self.redis = NatsServer(), RedisServer()
        for server in (self.nats, self.redis):
            self.addCleanup(server.stop)
            server.start()
        self.names = (f"node{i}" for i in itertools.count())

    def node(self, **more):
        node = Node({
            "node.name": next(self.names),
            "http.threads": 1,
            "cluster.name": "keeping",
            "cluster.directory": "nats",
            "cluster.nats_url": f"nats://127.0.0.1:{self.nats.port}",
            "cluster.listen": f"127.0.0.1:{free_port()}",
            "cluster.secret": "0123456789abcdef",
            "cluster.adopt_after": "2s",
            "identity.order": ["header:X-Client", "ip"],
            "journal.segment_size": "4MiB",
            "streams.default.ack": "replicated",
            "streams.default.sinks": ["out"],
            "sinks.out.retry_max": "200ms",
            "sinks.out.timeout": "2s",
            **self.redis.sink_options("out"),
            **more})
        self.addCleanup(node.close)
        return node

    def start(self, count, **more):
        nodes = [self.node(**more) for _ in range(count)]
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()
        self.wait_for_holders(nodes)
        return nodes

    def wait_for_holders(self, nodes):
        for node in nodes:
            wait_for(lambda: node.metrics().get("penstock_cluster_peers_up") >= len(nodes) - 1,
                     "links")
            wait_for(lambda: node.metrics().get("penstock_replication_has_holder") == 1,
                     "a holder")

    def senders(self, nodes):
        started = [Sender(node, f"{node.options['node.name']}-{i}")
                   for node in nodes for i in range(CLIENTS_A_NODE)]
        for one in started:
            one.start()
        return started

    def lose(self, node):
        """For good: the process and its disk."""
        node.kill()
        shutil.rmtree(node.data_dir)

    def stop(self, senders):
        for one in senders:
            one.stopped.set()
        for one in senders:
            one.join(30)
            self.assertEqual(one.other[:1], [])

    def missing(self, promised):
        return promised.keys() - {event[0] for event in self.redis.read_all()}

    def check_arrived(self, senders, within_s=40):
        promised = {id_: body for one in senders for id_, body in one.promised.items()}
        known = promised | {id_: body for one in senders for id_, body in one.stored.items()}

        def missing():
            return self.missing(promised)
        try:
            wait_for(lambda: not missing(), "every promised event arrives", within_s, 0.2)
        except AssertionError:
            self.fail(f"{len(missing())} of {len(promised)} promised events did not arrive, such "
                      f"as {sorted(missing())[:3]}")
        arrived = self.redis.read_all()
        ids = [event[0] for event in arrived]
        self.assertEqual(len(ids), len(set(ids)), "an event arrived twice")
        for id_, _, body in arrived:
            if id_ in known:
                self.assertEqual(body, known[id_], id_)
        return len(promised)


class Replicated(Cluster):
    def test_losses_for_good(self):
        """The sink is away for a while before each loss, so that the lost node owes events. The next
        is lost when the one before is replaced and published: one failure at a time."""
        nodes = self.start(3)
        senders = {node: self.senders([node]) for node in nodes}
        everyone = [one for some in senders.values() for one in some]
        owed = 0
        for _ in range(LOSSES):
            time.sleep(0.3)
            self.redis.freeze()
            time.sleep(0.4)
            lost = nodes.pop(0)
            self.lose(lost)
            self.redis.thaw()
            its = senders.pop(lost)
            self.stop(its)
            owed += sum(len(self.missing(one.promised)) for one in its)
            fresh = self.node()
            fresh.start()
            nodes.append(fresh)
            senders[fresh] = self.senders([fresh])
            everyone += senders[fresh]
            self.wait_for_holders(nodes)
            self.check_arrived(its)
            lost.close()
        time.sleep(0.3)
        for some in senders.values():
            self.stop(some)
        promised = self.check_arrived(everyone)
        journaled = sum(len(one.stored) for one in everyone)
        self.assertGreater(promised, 50 * LOSSES)
        self.assertGreater(owed, LOSSES)
        print(f"{LOSSES} losses: {promised} events promised, of which the lost nodes had not "
              f"published {owed}; {journaled} journaled only ", end="", file=sys.stderr)

    def test_the_holder_goes(self):
        """What the dead holder had goes to the next one: then the origin is lost, too."""
        nodes = self.start(3)
        senders = self.senders(nodes[:1])
        time.sleep(0.3)
        self.redis.freeze()
        time.sleep(0.5)
        holder = wait_for(lambda: [n for n in nodes[1:]
                                   if n.metrics().get("penstock_replica_events_total") > 0],
                          "somebody holds events")[0]
        self.lose(holder)
        other = next(n for n in nodes[1:] if n is not holder)
        wait_for(lambda: nodes[0].metrics().get("penstock_replication_holder_changes_total") > 1
                 and nodes[0].metrics().get("penstock_replication_has_holder") == 1,
                 "another holder")
        time.sleep(0.5)
        # All that the first holder had is with the second: what it holds grows with new ones only.
        before = other.metrics().get("penstock_replica_events_total")
        wait_for(lambda: other.metrics().get("penstock_replica_events_total") > before, "more")
        self.lose(nodes[0])
        self.redis.thaw()
        self.stop(senders)
        self.check_arrived(senders)

    def test_nobody_is_left(self):
        """Who is alone says so, and promises no more than it has."""
        nodes = self.start(2, **{"streams.default.replicate_timeout": "300ms"})
        self.assertNotIn("ack", nodes[0].post(b"x").json())
        nodes[1].kill()
        reply = nodes[0].post(b"x")
        self.assertEqual((reply.status, reply.json().get("ack")), (202, "journaled"))
        nodes[0].configure({"streams.default.on_replicate_timeout": "refuse"})
        nodes[0].signal(signal.SIGHUP)
        wait_for(lambda: "reloaded" in nodes[0].log(), "a reload")
        began = time.monotonic()
        reply = nodes[0].post(b"x")
        self.assertLess(time.monotonic() - began, 0.25)  # nobody for long: no need to wait
        self.assertEqual((reply.status, reply.json().get("ack")), (503, "journaled"))
        self.assertIn("no other node is in reach", reply.json()["detail"])
        self.assertEqual(nodes[0].metrics().get("penstock_unreplicated_answers_total"), 2)
        nodes[1].start()
        wait_for(lambda: nodes[0].post(b"x").status == 202, "a second node")
        self.assertEqual(nodes[0].metrics().get("penstock_replicated_answers_total"), 2)

    def test_a_node_that_comes_back(self):
        """Down for longer than adopt_after: the holder publishes, and nothing is there twice."""
        nodes = self.start(3, **{"cluster.adopt_after": "2s"})
        senders = self.senders(nodes)
        time.sleep(0.3)
        self.redis.freeze()
        time.sleep(0.4)
        nodes[0].kill()
        self.redis.thaw()
        wait_for(lambda: sum(n.metrics().get("penstock_replica_adopted_total")
                             for n in nodes[1:]) > 0, "adopted", 30)
        nodes[0].start()
        time.sleep(0.5)
        self.stop(senders)
        self.check_arrived(senders)


class PassedOn(Cluster):
    """What is held is held twice again, as soon as its origin or its holder has gone: nodes go one
    after the other, each when all that is left say that no event is on one node only."""

    def single(self, nodes):
        return sum(n.metrics().get("penstock_replication_single_events") for n in nodes)

    def wait_held_twice(self, nodes):
        wait_for(lambda: self.single(nodes) == 0, "everything is held twice", 20)

    def owing(self, **more):
        """Three nodes, of which the first owes events that its holder has, as the sink is away."""
        nodes = self.start(3, **{"cluster.adopt_after": "8s", **more})
        senders = self.senders(nodes[:1])
        time.sleep(0.3)
        self.redis.freeze()
        time.sleep(0.5)
        holder = wait_for(lambda: [n for n in nodes[1:]
                                   if n.metrics().get("penstock_replica_events_total") > 0],
                          "somebody holds events")[0]
        other = next(n for n in nodes[1:] if n is not holder)
        return nodes[0], holder, other, senders

    def finish(self, senders):
        self.redis.thaw()
        self.stop(senders)
        owed = len(self.missing({id_: body for one in senders for id_, body in one.promised.items()}))
        self.check_arrived(senders)
        return owed

    def test_the_origin_is_lost_then_its_holder(self):
        origin, holder, other, senders = self.owing()
        self.lose(origin)
        self.wait_held_twice([holder, other])
        self.assertGreater(holder.metrics().get("penstock_replica_passed_events_total"), 0)
        self.lose(holder)
        wait_for(lambda: self.single([other]) > 0, "it knows that it is the last")
        self.finish(senders)

    def test_the_origin_is_drained_then_its_holder(self):
        """Both leave with their disks: nothing is killed, and nothing is published."""
        origin, holder, other, senders = self.owing(**{"node.drain_timeout": "5s"})
        self.stop(senders)
        origin.stop()
        wait_for(lambda: holder.metrics().get("penstock_replica_passed_events_total") > 0, "passed on")
        self.wait_held_twice([holder, other])
        shutil.rmtree(origin.data_dir)
        holder.stop()
        shutil.rmtree(holder.data_dir)
        self.assertNotIn("held for other nodes", holder.log())
        self.finish(senders)

    def test_the_holder_is_drained_then_the_origin_lost(self):
        origin, holder, other, senders = self.owing()
        holder.stop()
        self.assertNotIn("held for other nodes", holder.log())
        self.wait_held_twice([origin, other])
        self.lose(origin)
        self.finish(senders)

    def test_damage_on_the_copy_that_is_published_first(self):
        """The other holder has kept its copy, and publishes what is missing."""
        origin, holder, other, senders = self.owing()
        self.stop(senders)

        def tag_of(node):
            return pathlib.Path(node.data_dir, "journal", "tag").read_text().strip()

        tag = tag_of(origin)
        self.lose(origin)
        self.wait_held_twice([holder, other])
        first = min([holder, other], key=tag_of)
        segment = max(pathlib.Path(first.data_dir, "replicas", tag, "journal").glob("*.db"))
        with contextlib.closing(sqlite3.connect(segment)) as db:
            with db:
                db.execute("UPDATE block SET ends = 'x' WHERE seq = (SELECT max(seq) FROM block)")
        self.finish(senders)
        # The sink has all before the adoption has ended, and is told of.
        wait_for(lambda: "but for those that can't be read" in first.log(), "the adoption has ended")
        self.assertTrue(list(pathlib.Path(first.data_dir, "replicas").glob("*.adopted")))

    def test_a_holder_that_nobody_relieves_says_so(self):
        nodes = self.start(2)
        self.redis.freeze()
        nodes[0].post(b"x")
        nodes[1].stop()
        self.assertIn("1 events that are held for other nodes are held by no node that stays",
                      nodes[1].log())
        wait_for(lambda: self.single(nodes[:1]) == 1, "it is told")


class Keys(Cluster):
    """A repeat is answered as the first request was, while the node that stored it is away."""

    def again(self, node, key, body):
        """A client that comes again while nodes learn of a change."""
        def answered():
            reply = node.post(body, headers={"Idempotency-Key": key, "X-Client": "one"})
            return reply if reply.status != 503 else None
        reply = wait_for(answered, "an answer", 20)
        self.assertEqual(reply.status, 202, reply)
        return reply

    def check_repeats(self, node, first):
        for key, id_ in first.items():
            reply = self.again(node, key, key.encode())
            self.assertEqual((reply.json()["id"], reply.headers.get("idempotent-replayed")), (id_, "true"), key)

    def test_keys_are_known_while_their_node_is_away(self):
        nodes = self.start(3)
        first = {f"key-{n}": None for n in range(150)}
        for key in first:
            reply = self.again(nodes[0], key, key.encode())
            self.assertNotIn("ack", reply.json())
            first[key] = reply.json()["id"]
        self.assertEqual(len({id_[-8:] for id_ in first.values()}), 3, "each node stored some")
        nodes[2].kill()
        for node in nodes[:2]:
            self.check_repeats(node, first)
        nodes[2].start()
        self.wait_for_holders(nodes)
        for node in nodes:
            self.check_repeats(node, first)
        wait_for(lambda: len(self.redis.read_all()) >= len(first), "all arrive", 20)
        self.assertEqual(sorted(event[0] for event in self.redis.read_all()), sorted(first.values()))


class Space(Cluster):
    """A holder keeps what is owed, and little more: not what came after it."""

    MAX_BYTES = 16 << 20
    BODY = b"x" * 30000
    EVERY = 20    # of so many events one is for the stream whose sink is away
    AT_ONCE = 25  # events between two looks

    def space_node(self, late, **more):
        return self.node(**{
            "cluster.replica_max_size": f"{self.MAX_BYTES >> 20}MiB",
            "journal.max_size": "64MiB",
            "streams.late.ack": "replicated", "streams.late.sinks": ["late"],
            "streams.work.ack": "replicated", "streams.work.sinks": ["queue"],
            "sinks.queue.kind": "embedded",
            **late.sink_options("late"), "sinks.late.retry_max": "200ms", "sinks.late.timeout": "2s",
            **more})

    def post(self, client, stream, body):
        reply = client.post(body, stream)
        self.assertEqual((reply.status, reply.json().get("ack")), (202, None), reply)
        return reply.json()["id"]

    def work(self, node, poison):
        """A consumer that gives one event back for ever."""
        for _ in range(self.AT_ONCE):
            messages = node.receive("work")
            taken = [m for m in messages if m["id"] != poison]
            node.settle("work", [m for m in messages if m["id"] == poison], "nack")
            if not taken:
                return
            node.settle("work", taken)

    def feed(self, nodes, poison, events):
        """Sends to all three streams, and lets the holder get rid of what is delivered; gives what
        was sent to the one whose sink is away."""
        owed = {}
        with nodes[0].client() as client:
            for n in range(events):
                if n % self.EVERY == 0:
                    body = b"late %d" % n
                    owed[self.post(client, "late", body)] = body
                self.post(client, ("default", "work")[n % 2], self.BODY)
                if n % self.AT_ONCE == 0:
                    self.work(nodes[0], poison)
                    wait_for(lambda: self.held_bytes(nodes[1]) < self.MAX_BYTES // 4 * 3,
                             "the holder has room", 30)
            self.work(nodes[0], poison)
        return owed

    def held_bytes(self, node):
        """By the files, since the metric is a second old."""
        sizes = 0
        for file in pathlib.Path(node.data_dir, "replicas").glob("*/journal/*"):
            with contextlib.suppress(FileNotFoundError):
                sizes += file.stat().st_size
        return sizes

    def wait_until_told(self, nodes):
        """Until the holder knows of all deliveries so far: it lets go of something that is sent now."""
        with nodes[0].client() as client:
            ids = [self.post(client, "default", self.BODY) for _ in range(self.MAX_BYTES // 4 // len(self.BODY))]
        first = int(ids[0].partition("-")[0], 16)
        wait_for(lambda: self.count_held(nodes[1], first) < len(ids), "the holder is told")

    def count_held(self, node, first):
        """Events of `default` from number `first` on."""
        count = 0
        for file in pathlib.Path(node.data_dir, "replicas").glob("*/journal/*.db"):
            try:
                with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as segment:
                    rows = segment.execute(
                        "SELECT sum(n) FROM block WHERE stream = 'default' AND seq >= ?", (first,))
                    count += rows.fetchone()[0] or 0
            except sqlite3.OperationalError:  # it has just gone: look again
                return sys.maxsize
        return count

    def test_what_is_delivered_does_not_wait_for_what_is_not(self):
        late = RedisServer(key="late")
        self.addCleanup(late.stop)
        late.start()
        nodes = [self.space_node(late) for _ in range(2)]
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_ready()
        self.wait_for_holders(nodes)
        late.freeze()
        events = 5 * self.MAX_BYTES // len(self.BODY)
        poison = nodes[0].post(b"poison", "work").json()["id"]
        owed = self.feed(nodes, poison, events // 2)
        nodes[1].kill()
        nodes[1].start()
        self.wait_for_holders(nodes)
        owed |= self.feed(nodes, poison, events - events // 2)
        for node in nodes:
            self.assertNotIn("are not kept", node.log())
            self.assertNotIn("damaged", node.log())
        self.wait_until_told(nodes)
        self.lose(nodes[0])
        late.thaw()
        wait_for(lambda: nodes[1].metrics().get("penstock_replica_adopted_total") == 1, "adopted", 40)
        arrived = [(event[0], event[2]) for event in late.read_all()]
        self.assertEqual(sorted(arrived), sorted(owed.items()))
        self.assert_left_for_consumers(nodes[1], poison)

    def assert_left_for_consumers(self, node, poison):
        """Of the queue's events the one that was never taken is left, once, under its id."""
        left, = pathlib.Path(node.data_dir, "replicas").glob("*.adopted")
        catcher = EventServer()
        self.addCleanup(catcher.close)
        done = subprocess.run([harness.binary, "adopt", str(left), "--config", node.config_file,
                               "--to", catcher.url.removesuffix("/v1/events")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(catcher.ids(), [poison])


class WireVersions(Cluster):
    def test_an_earlier_one_in_between(self):
        """It is served as before, and holds nothing."""
        new = [self.node(**{"streams.default.replicate_timeout": "10s"}) for _ in range(2)]
        old = self.node(**{"cluster.max_wire_version": 4, "streams.default.ack": "journaled"})
        earlier = os.environ.get("PENSTOCK_EARLIER")
        if earlier:
            del old.options["cluster.max_wire_version"], old.options["cluster.adopt_after"]
        for node in [*new, old]:
            node.options["plans.anonymous.limits"] = [
                {"name": "shared", "algorithm": "fixed_window", "amount": 90, "window": "720h"}]
            node.configure({})
            with harness.program(earlier if node is old and earlier else harness.binary):
                node.launch()
        for node in [*new, old]:
            node.wait_ready()
        for node in [*new, old]:
            wait_for(lambda: node.metrics().get("penstock_cluster_members") == 3
                     and node.metrics().get("penstock_cluster_peers_up") == 2, "three members")
        wait_for(lambda: sum(n.metrics().get("penstock_shards", state="owned")
                             for n in [*new, old]) == 256, "all shards owned")
        self.wait_for_holders(new)

        def epochs():
            return [n.metrics().get("penstock_cluster_epoch") for n in [*new, old]]
        before = epochs()
        taken = dict.fromkeys((f"client-{i}" for i in range(8)), 0)
        for turn in range(120):
            for client in taken:
                reply = [*new, old][turn % 3].post(b"x", headers={"X-Client": client})
                self.assertIn(reply.status, (202, 429))
                self.assertNotIn("ack", reply.json())
                taken[client] += reply.status == 202
        # A machine that stops a node for 0.8 s makes a fault of it, which has a bound of its own.
        if epochs() == before:
            self.assertEqual(taken, dict.fromkeys(taken, 90))
        else:
            print("a node was taken out meanwhile, totals not compared ", end="", file=sys.stderr)
        if not earlier:
            self.assertEqual(old.metrics().get("penstock_replica_events_total"), 0)
            for node in new:
                self.assertGreater(node.metrics().get("penstock_replica_events_total"), 0)
        for node in new:
            spoken = {int(n) for n in re.findall(r"linked to the peer .* wire version (\d+)", node.log())}
            self.assertEqual(max(spoken), WIRE_VERSION)
            self.assertEqual(len(spoken), 2, "and another with the earlier one")
        for node in [*new, old]:
            self.assertNotRegex(node.log(), r"Z (error|critical) ")
        # The upgrade's second step.
        old.stop()
        old.configure({"cluster.max_wire_version": 5, "streams.default.ack": "replicated"})
        old.start()
        self.wait_for_holders([*new, old])
        self.assertNotIn("ack", old.post(b"x", headers={"X-Client": "late"}).json())


if __name__ == "__main__":
    harness.main()
