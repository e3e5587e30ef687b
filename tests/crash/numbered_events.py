"""Events that say who sent them, and a record of what was promised and what arrived."""

import json
import pathlib
import random
import re
import threading

WEBHOOKS = pathlib.Path(__file__).resolve().parent.parent / "data/webhooks.ndjson"
NUMBERS = re.compile(rb"\D*(\d+)\D+(\d+)")
MAX_EXAMPLES = 10


class Event:
    """Event `number` of sender `sender`: everything about it follows from the two and the seed, so
    that nothing needs to be kept to know what must arrive."""

    webhooks = [line for line in WEBHOOKS.read_text().splitlines() if len(line) < 8000]

    def __init__(self, seed, sender, number, in_batch):
        chance = random.Random(f"{seed} {sender} {number}")
        kind = "json" if in_batch else chance.choices(["text", "json", "bytes", "large"],
                                                      [60, 20, 18, 2])[0]
        self.content_type = {"text": "text/plain", "json": "application/json"}.get(
            kind, "application/octet-stream")
        if kind == "text":
            self.body = b"%d %d %s" % (sender, number, b"x" * chance.randrange(300))
        elif kind == "json":
            payload = chance.choice(self.webhooks) if chance.random() < 0.1 else "null"
            self.body = b'{"c":%d,"n":%d,"batch":%s,"payload":%s}' % (
                sender, number, json.dumps(in_batch).encode(), payload.encode())
        else:
            size = chance.randrange(30_000, 90_000) if kind == "large" else chance.randrange(2000)
            self.body = b"%d %d \xff" % (sender, number) + chance.randbytes(size)


class Record:
    """What clients were promised and what consumers got. Ids are kept as given, events as numbers:
    a run of an hour fits in memory. Thread-safe."""

    def __init__(self, seed):
        self.seed = seed
        self.mutex = threading.Lock()
        self.promised = {}        # id → (sender, number)
        self.delivered = {}       # id → (sender, number)
        self.acked = set()        # ids whose acknowledgement was confirmed
        self.last_first = {}      # stream → the largest id delivered for the first time
        self.counts = dict.fromkeys(
            ["duplicates", "changed", "reused_ids", "unordered", "acked_again", "malformed"], 0)
        self.examples = []

    def fault(self, kind, text):
        self.counts[kind] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{kind}: {text}")

    def promise(self, event_id, sender, number):
        with self.mutex:
            if event_id in self.promised:
                self.fault("reused_ids", f"{event_id} was promised twice")
            self.promised[event_id] = (sender, number)

    def deliver(self, stream, message, body):
        event_id = message["id"]
        with self.mutex:
            match = NUMBERS.match(body)
            if not match:
                return self.fault("malformed", f"{event_id} has {body[:60]!r}")
            numbers = int(match.group(1)), int(match.group(2))
            known = self.delivered.get(event_id)
            if known is None:
                self.delivered[event_id] = numbers
                if event_id < self.last_first.get(stream, ""):
                    self.fault("unordered", f"{event_id} after {self.last_first[stream]}")
                self.last_first[stream] = max(event_id, self.last_first.get(stream, ""))
            elif known != numbers:
                self.fault("reused_ids", f"{event_id} came as {known} and as {numbers}")
            else:
                self.counts["duplicates"] += 1
                if event_id in self.acked:
                    self.fault("acked_again", f"{event_id} came after its acknowledgement")
        # Outside the lock: this is most of the work.
        in_batch = b'"batch":true' in body[:80]
        expected = Event(self.seed, *numbers, in_batch)
        if body != expected.body or message["content_type"] != expected.content_type:
            with self.mutex:
                self.fault("changed", f"{event_id} has {message['content_type']} {body[:60]!r}")

    def confirm(self, ids):
        with self.mutex:
            self.acked.update(ids)

    def summary(self):
        missing = [i for i in self.promised if i not in self.delivered]
        swapped = [i for i, numbers in self.promised.items()
                   if self.delivered.get(i, numbers) != numbers]
        for event_id in missing[:MAX_EXAMPLES]:
            self.examples.append(f"missing: {event_id}, event {self.promised[event_id]}")
        for event_id in swapped[:MAX_EXAMPLES]:
            self.examples.append(f"swapped: {event_id}, promised for {self.promised[event_id]}, "
                                 f"came as {self.delivered[event_id]}")
        return {"promised": len(self.promised), "delivered": len(self.delivered),
                "unpromised": len(self.delivered.keys() - self.promised.keys()),
                "missing": len(missing), "swapped": len(swapped), **self.counts}
