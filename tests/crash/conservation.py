#!/usr/bin/env python3
"""The conservation check: what clients were promised is what arrives, whatever is killed when.

Senders on several connections post numbered events and write down each 202. The node is ended with
SIGKILL at random moments and started again, while a consumer drains its queue. In the end every
promised event must have arrived with the id and the bytes of its promise.

stdout: one line of JSON. stderr: what happened, for people. Exit: 0 as it should be, 1 not.
"""

import argparse
import json
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import harness  # noqa: E402
from harness import Client, Closed, Node, body_of, request_bytes  # noqa: E402
from numbered_events import Event, Record  # noqa: E402

STREAMS = ["default", "audit"]
UNREAD_SHARE = 0.03
LEASE_S = 1
READY_S = 30.0
DRAIN_S = 60.0
SLOW_WRITES = {"PENSTOCK_TEST_WRITE_DELAY_MS": "5"}
# What is lost of a promise that should hold, or shows that something else is broken.
FAULTS = ["missing", "swapped", "changed", "reused_ids", "unordered", "acked_again", "malformed"]


class Sender(threading.Thread):
    """Posts on one connection, a few requests at once; after a kill it connects again. An event
    without an answer may or may not arrive, and is not sent again."""

    def __init__(self, index, port, record, rate, stop, unread):
        super().__init__(daemon=True)
        self.index, self.port, self.record, self.stop = index, port, record, stop
        self.unread = unread
        self.pause_s = 1 / rate
        self.number = 0
        self.unanswered = self.refused = 0
        self.chance = random.Random(f"{record.seed} sender {index}")

    def run(self):
        while not self.stop.is_set():
            try:
                with Client(self.port, timeout_s=10) as client:
                    while not self.stop.is_set():
                        self.round(client)
            except (OSError, Closed):
                time.sleep(0.005)  # the node is down

    def next_event(self, in_batch):
        self.number += 1
        return self.number, Event(self.record.seed, self.index, self.number, in_batch)

    def batch(self):
        events = [self.next_event(True) for _ in range(self.chance.randrange(1, 30))]
        body = b"\n".join(event.body for _, event in events)
        headers = {"Content-Type": "application/x-ndjson", "Prefer": "return=representation"}
        return [number for number, _ in events], body, headers

    def single(self):
        number, event = self.next_event(False)
        return [number], event.body, {"Content-Type": event.content_type}

    def round(self, client):
        """Sends a few requests together and reads their answers."""
        requests = [self.batch() if self.chance.random() < 0.2 else self.single()
                    for _ in range(self.chance.choice([1, 1, 1, 4]))]
        waiting = sum(len(numbers) for numbers, _, _ in requests)
        started = time.monotonic()
        self.unanswered += waiting
        is_read = not self.unread or self.chance.random() > UNREAD_SHARE
        stream = self.chance.choice(STREAMS if is_read else self.unread)
        client.send(b"".join(request_bytes("POST", f"/v1/events/{stream}", body, headers)
                             for _, body, headers in requests))
        for numbers, _, headers in requests:
            reply = client.read()
            self.unanswered -= len(numbers)
            if reply.status != 202:
                self.refused += len(numbers)
                continue
            answer = reply.json()
            ids = answer["ids"] if "Prefer" in headers else [answer["id"]]
            for number, event_id in zip(numbers, ids, strict=True):
                self.record.promise(event_id, self.index, number)
        self.stop.wait(max(0, started + waiting * self.pause_s - time.monotonic()))


class Consumer(threading.Thread):
    """Drains the queue: mostly acknowledges, sometimes gives back or forgets a message, so that it
    must come again. Ends when told to and nothing is left."""

    def __init__(self, port, record, finish, unread):
        super().__init__(daemon=True)
        self.port, self.record, self.finish, self.unread = port, record, finish, unread
        self.chance = random.Random(f"{record.seed} consumer")
        self.failure = None

    def run(self):
        while True:
            try:
                with Client(self.port, timeout_s=30) as client:
                    while True:
                        got = [self.round(client, stream) for stream in self.streams()]
                        if self.finish.is_set() and not any(got) and self.is_empty(client):
                            return
            except (OSError, Closed):
                time.sleep(0.005)
            except Exception as failure:  # told by the main thread
                self.failure = failure
                return

    def call(self, client, target, document):
        reply = client.request("POST", target, json.dumps(document),
                               {"Content-Type": "application/json"})
        if reply.status == 503:
            raise Closed()  # it is starting or ending
        assert reply.status == 200, reply
        return reply.json()

    def streams(self):
        return STREAMS + (self.unread if self.finish.is_set() else [])

    def is_empty(self, client):
        return all(client.request("GET", f"/v1/queue/{stream}").json()["depth"] == 0
                   for stream in self.streams())

    def round(self, client, stream):
        wait_s = 0.02 if self.finish.is_set() else 0
        messages = self.call(client, f"/v1/queue/{stream}/receive",
                             {"max": 200, "wait_s": wait_s, "lease_s": LEASE_S})["messages"]
        done, back = [], []
        for message in messages:
            self.record.deliver(stream, message, body_of(message))
            # When all is sent, everything is acknowledged, so that the end comes.
            luck = 1 if self.finish.is_set() else self.chance.random()
            if luck > 0.02:
                done.append(message)
            elif luck > 0.01:
                back.append(message)
        if back:
            self.call(client, f"/v1/queue/{stream}/nack",
                      {"receipts": [m["receipt"] for m in back]})
        if done:
            self.call(client, f"/v1/queue/{stream}/ack",
                      {"receipts": [m["receipt"] for m in done]})
            self.record.confirm(m["id"] for m in done)
        if not messages:
            time.sleep(0.005)
        return len(messages)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary", help="the penstock program")
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=None, help="default: drawn and printed")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rate", type=float, default=400, help="events a second and connection")
    parser.add_argument("--life", type=float, default=0.4, help="seconds between kills, on average")
    parser.add_argument("--ack", choices=["journaled", "received"], default="journaled")
    parser.add_argument("--received-delay", default="10ms")
    parser.add_argument("--expect-loss", action="store_true",
                        help="succeed only if promised events are missing: shows that the check "
                             "notices")
    parser.add_argument("--slow-writes", metavar="LIBRARY",
                        help="load the library built from slow_write.cpp into the node, so that a "
                             "202 sent before its event is written would be lost")
    parser.add_argument("--unread", type=int, default=0, metavar="STREAMS",
                        help="so many streams get a few events that are consumed at the end only: "
                             "what else there is must go from between them, and they be moved")
    parser.add_argument("--max-seconds", type=float, default=3600)
    return parser.parse_args()


def start(node):
    node.start(READY_S)
    return node.process.pid


def moved_by(node):
    """The segments that this life of the node has moved."""
    try:
        return int(node.metrics().get("penstock_journal_segments_moved_total"))
    except (OSError, Closed):
        return 0


def kill_and_restart(node, options, chance, told):
    """Kills until the number is reached or the time is over; gives kills, those while it was
    starting, segments moved, and slowest start."""
    deadline = time.monotonic() + options.max_seconds
    kills = early = moved = 0
    slowest_s = 0.0
    while kills < options.kills and time.monotonic() < deadline:
        time.sleep(min(chance.expovariate(1 / options.life), 4 * options.life))
        moved += moved_by(node) if options.unread else 0
        node.kill()
        kills += 1
        if chance.random() < 0.1 and kills < options.kills:
            # Once more while it recovers.
            node.launch()
            time.sleep(chance.uniform(0, 0.05))
            node.kill()
            kills += 1
            early += 1
        began = time.monotonic()
        start(node)
        slowest_s = max(slowest_s, time.monotonic() - began)
        told(kills)
    return kills, early, moved, slowest_s


def progress(total):
    def told(kills):
        if sys.stderr.isatty():
            print(f"\r{kills}/{total} kills", end="\n" if kills >= total else "", file=sys.stderr)
        elif kills % 100 == 0:
            print(f"{kills}/{total} kills", file=sys.stderr)
    return told


def run(options):
    chance = random.Random(options.seed)
    record = Record(options.seed)
    node = Node({"streams.default.ack": options.ack, "streams.default.sinks": ["queue"],
                 "journal.received_delay": options.received_delay,
                 "journal.segment_size": "1MiB", "log.level": "warn"},
                environment=SLOW_WRITES | {"LD_PRELOAD": options.slow_writes}
                if options.slow_writes else None)
    with node:
        stop_sending, finish = threading.Event(), threading.Event()
        unread = [f"unread-{n}" for n in range(options.unread)]
        senders = [Sender(i, node.http_port, record, options.rate, stop_sending, unread)
                   for i in range(options.connections)]
        consumer = Consumer(node.admin_port, record, finish, unread)
        began = time.monotonic()
        for thread in [*senders, consumer]:
            thread.start()
        kills, early, moved, slowest_s = kill_and_restart(node, options, chance,
                                                          progress(options.kills))
        stop_sending.set()
        for sender in senders:
            sender.join()
        finish.set()
        consumer.join(DRAIN_S)
        if consumer.failure:
            raise consumer.failure
        summary = {"kills": kills, "while_starting": early, "segments_moved": moved,
                   "seed": options.seed,
                   "ack": options.ack, **record.summary(),
                   "unanswered": sum(s.unanswered for s in senders),
                   "refused": sum(s.refused for s in senders),
                   "drained": not consumer.is_alive(),
                   "damage_reports": node.log().count(" is damaged"),
                   "slowest_start_s": round(slowest_s, 3),
                   "seconds": round(time.monotonic() - began, 1)}
        exit_code = node.stop()
        summary["exit_code"] = exit_code
    return summary, record


def verdict(summary, options):
    """Why the run is not as it should be; empty when it is."""
    wrong = [f"{name} = {summary[name]}" for name in FAULTS if summary[name]]
    if options.slow_writes and not pathlib.Path(options.slow_writes).exists():
        wrong.append(f"there is no {options.slow_writes}: nothing was slow")
    if options.expect_loss:
        wrong = [w for w in wrong if not w.startswith("missing")]
        if not summary["missing"]:
            wrong.append("no loss was noticed, though the events were only in memory")
    elif summary["damage_reports"]:
        wrong.append(f"damage_reports = {summary['damage_reports']}")
    if summary["kills"] < options.kills:
        wrong.append(f"only {summary['kills']} of {options.kills} kills within the time")
    if not summary["drained"]:
        wrong.append(f"the queue was not empty after {DRAIN_S:.0f} s")
    if summary["promised"] < 20 * summary["kills"]:
        wrong.append(f"only {summary['promised']} events were promised: that shows little")
    if options.unread and summary["segments_moved"] < summary["kills"] / 10:
        wrong.append(f"only {summary['segments_moved']} segments were moved: that shows little")
    if summary["exit_code"] != 0:
        wrong.append(f"the node's exit code was {summary['exit_code']}")
    return wrong


def main():
    options = arguments()
    harness.binary = options.binary
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"conservation check: {options.kills} kills, seed {options.seed}", file=sys.stderr)
    summary, record = run(options)
    wrong = verdict(summary, options)
    summary["ok"] = not wrong
    print(json.dumps(summary))
    for example in record.examples:
        print(f"  {example}", file=sys.stderr)
    print(f"{summary['promised']} events promised, {summary['delivered']} different ones arrived, "
          f"{summary['missing']} missing, {summary['duplicates']} came more than once, over "
          f"{summary['kills']} kills in {summary['seconds']} s: "
          + ("as it should be" + (" (the loss was expected)" if options.expect_loss else "")
             if not wrong else "WRONG: " + "; ".join(wrong)), file=sys.stderr)
    return 0 if not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
