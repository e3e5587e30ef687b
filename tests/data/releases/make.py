#!/usr/bin/env python3
"""Makes data directories as a release leaves them, and writes down what must be true of each.

    make.py PENSTOCK_BINARY FOLDER

PENSTOCK_BINARY is the release's program, FOLDER (named after its commit) takes three directories,
each as NAME.tar.xz with NAME.json beside it: `clean` was stopped, `killed` was killed under load,
`filled` has something in every store and was stopped. test_upgrade.py opens them with the program
under test. What the JSON has is in README.md, two folders up.
"""

import datetime
import json
import pathlib
import sqlite3
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))

import harness  # noqa: E402
from event_server import EventServer  # noqa: E402
from harness import Client, Closed, Node, wait_for  # noqa: E402
from book import BYTES, CLOUD, JSON, NDJSON, TEXT, Book, now_ms, sink_id  # noqa: E402

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920%04x-01"
LONG = "366d"
PRO = [{"name": "all", "algorithm": "fixed_window", "amount": 100, "window": LONG},
       {"name": "month", "algorithm": "calendar", "amount": 90, "window": "month"},
       {"name": "smooth", "algorithm": "sliding_window", "amount": 80, "window": LONG},
       {"name": "rate", "algorithm": "gcra", "amount": 70, "window": LONG},
       {"name": "traffic", "algorithm": "fixed_window", "amount": "100kB", "window": LONG,
        "cost": "byte"},
       {"name": "each", "algorithm": "fixed_window", "amount": 60, "window": LONG, "scope": "key"},
       {"name": "here", "algorithm": "calendar", "amount": 50, "window": "day", "scope": "stream"},
       {"name": "rare", "algorithm": "interval", "amount": 1, "window": LONG,
        "paths": ["/v1/events/rare"]}]
OPTIONS = {
    "journal.segment_size": "256KiB",
    "identity.order": ["bearer", "header:X-Client", "ip"],
    "idempotency.window": "90d",
    "node.drain_timeout": "1s",
    "streams.default.sinks": ["queue"],
    "plans.anonymous.limits": [{"name": "free", "algorithm": "fixed_window", "amount": 1_000_000,
                                "window": LONG}],
}
SINKS = {
    "streams.both.sinks": ["queue", "away"],
    "streams.away.sinks": ["away"],
    "sinks.away.lanes": 4,
    "sinks.away.timeout": "60s",
}


def send_all_kinds(book, stream):
    """Events of each form in which clients may send them."""
    book.send(stream, b"plain")
    book.send(stream, b"", TEXT)
    book.send(stream, b"traced", TEXT, {"traceparent": TRACE % 1})
    book.send(stream, b"\x00\xff\xfe bytes", BYTES)
    book.send(stream, '{"ü":"\\u0000","n":1.50}'.encode(), JSON)
    book.send(stream, b"".join(b'{"n":%d}\n' % n for n in range(20)), NDJSON,
              {"traceparent": TRACE % 2})
    event = {"specversion": "1.0", "type": "t", "source": "/s", "id": f"{stream}-1",
             "subject": "sub", "myext": "7", "data": {"k": 1}}
    book.send(stream, json.dumps(event).encode(), CLOUD,
              attributes={f"ce_{k}": v for k, v in event.items() if k != "data"})
    book.send(stream, b"binary mode", TEXT,
              {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": f"{stream}-2"},
              attributes={"ce_specversion": "1.0", "ce_type": "t", "ce_source": "/s",
                          "ce_id": f"{stream}-2"})


# -- clean -----------------------------------------------------------------------------------------


def make_clean(folder):
    with Node({**OPTIONS, "node.name": "clean"}) as node:
        book = Book(node)
        for stream in ("default", "audit"):
            send_all_kinds(book, stream)
        book.send_keyed("audit", "a-key", b"keyed")
        book.ack("audit", node.receive("audit", 3))
        book.check_own(("default", "audit"))
        book.finish(folder, "clean")


# -- killed ----------------------------------------------------------------------------------------


class Load(threading.Thread):
    """Sends on one connection until that breaks, not too much for an archive. `sent` counts the events that may be charged,
    `charged_ms` has the time of each that was."""

    def __init__(self, book, number):
        super().__init__()
        self.book, self.number = book, number
        self.sent, self.charged_ms = 0, []

    def run(self):
        client_name = {"X-Client": "loaded"}
        try:
            with Client(self.book.node.http_port) as client:
                for n in range(100_000):
                    time.sleep(0.01)
                    many = 5 if n % 5 == 0 else 1
                    self.sent += many
                    body = b"".join(b'{"sender":%d,"n":%d,"line":%d,"pad":"%s"}\n'
                                    % (self.number, n, i, b"x" * 300) for i in range(many))
                    if many > 1:
                        self.book.send("default", body, NDJSON, client_name, client)
                    elif n % 7 == 0:
                        self.book.send_keyed("audit", f"key-{self.number}-{n}", body, client=client)
                        continue  # another client: the address
                    else:
                        self.book.send("both", body, JSON, client_name, client)
                    self.charged_ms += [now_ms()] * many
        except (OSError, Closed):
            pass


def consume(book, stream, ended, maybe):
    """Acknowledges every third message; what it did not hear of is in `maybe`."""
    try:
        while not ended.is_set():
            messages = book.node.receive(stream, 30, wait_s=1)[::3]
            maybe[stream] = [m["id"] for m in messages]
            if messages:
                book.ack(stream, messages)
            maybe[stream] = []
    except (OSError, Closed):
        pass


def make_killed(folder, life_s=2.5):
    server = EventServer()
    with Node({**OPTIONS, **SINKS, **server.sink("away"), "node.name": "killed"}) as node:
        book = Book(node)
        ended, maybe = threading.Event(), {}
        loads = [Load(book, n) for n in range(3)]
        consumers = [threading.Thread(target=consume, args=(book, stream, ended, maybe))
                     for stream in ("default", "both")]
        for one in [*loads, *consumers]:
            one.start()
        time.sleep(life_s)
        killed_ms = now_ms()
        node.kill()
        ended.set()
        for one in [*loads, *consumers]:
            one.join()
        for events in book.facts["streams"].values():
            events.sort()
        charged = [at for load in loads for at in load.charged_ms]
        book.facts["maybe_acked"] = maybe
        book.facts["limits"] = [{"client": "loaded", "used_between": {"free": [
            sum(at < killed_ms - 1000 for at in charged), sum(load.sent for load in loads)]}}]
        book.facts["sinks"] = {"away": {"streams": ["both"], "confirmed": [],
                                        "maybe": [sink_id(e) for e in server.taken]}}
        book.finish(folder, "killed")
    server.close()


# -- filled ----------------------------------------------------------------------------------------


class StuckServer(EventServer):
    """Does not answer for events of those who are stuck; refuses what is bad."""

    def __init__(self):
        super().__init__(lambda event: "it is bad" if "bad" in str(event.get("data")) else None)
        self.stuck, self.released = set(), threading.Event()

    def take(self, batch):
        if any(isinstance(e.get("data"), dict) and e["data"].get("client") in self.stuck
               for e in batch):
            self.released.wait()
            return 503, {"title": "down"}
        return super().take(batch)


def retire_a_segment(book):
    """The first segment goes; its idempotency keys are kept in idempotency.db."""
    book.send_keyed("early", "early-key", b"early")
    book.send_keyed("early", "early-lines", b"1\n2\n3\n", NDJSON)
    event = {"specversion": "1.0", "type": "t", "source": "/s", "id": "early", "data": 1}
    book.send_keyed("early", None, json.dumps(event).encode(), CLOUD, attributes={
        f"ce_{k}": v for k, v in event.items() if k != "data"})
    for n in range(120):
        book.send("early", b"%d %s" % (n, b"e" * 3000))
    while messages := book.node.receive("early", 1000):
        book.ack("early", messages)
    wait_for(lambda: book.node.metrics().get("penstock_journal_segments_retired_total") >= 1,
             "a segment is retired")


def fill_queue(book):
    """Acknowledged in order and ahead of that, and what was never received."""
    send_all_kinds(book, "default")
    messages = book.node.receive("default", 20)
    acked = (0, 1, 2, 5, 7, 8, 9, 15)
    book.ack("default", [messages[i] for i in acked])
    book.node.settle("default", [m for i, m in enumerate(messages) if i not in acked], "nack")
    send_all_kinds(book, "both")


def fill_lanes(book, server):
    """A client gets no answer from some event on, so its lane stands still; the others go on."""
    def send(client, **event):
        book.send("away", json.dumps({"client": client, **event}).encode(), JSON,
                  {"X-Client": client})
    def arrived(count):
        wait_for(lambda: len(server.taken) >= count, "events arrive")
    clients = [f"c{n}" for n in range(12)]
    both = len(book.facts["streams"]["both"])
    for client in clients:
        send(client, n=0)
    arrived(both + len(clients))
    lane = {e["data"]["client"]: int(e["partitionkey"], 16) % SINKS["sinks.away.lanes"]
            for e in server.taken if isinstance(e.get("data"), dict) and "client" in e["data"]}
    free = [client for client in clients if lane[client] != lane["c0"]]
    assert len({lane[client] for client in free}) >= 2, "clients hash badly; once more"
    server.stuck = {"c0"}
    for n in range(1, 5):
        for client in clients:
            send(client, n=n)
    arrived(both + len(clients) + 4 * len(free))
    for n in range(4):
        send(free[0], n=n, say="bad")
    def letters():
        return book.node.admin("GET", "/v1/admin/dead-letters").json()["dead_letters"]
    wait_for(lambda: len(letters()) == 4, "dead letters")
    book.facts["dead_letters"] = sorted(x["id"] for x in letters())


def fill_accounts(book):
    """Keys that are good, restricted, revoked and expired; plans set, changed and deleted; units
    used under each kind of limit."""
    node = book.node
    def make(name, good=202, headers=(), **more):
        reply = node.admin("POST", "/v1/admin/keys", {"account": "acme", "plan": "pro", **more})
        assert reply.status == 201, reply
        made = reply.json()
        book.facts["keys"].append({"name": name, "id": made["id"], "key": made["key"],
                                   "status": good, "headers": dict(headers)})
        return made
    book.facts["keys"] = []
    assert node.admin("PUT", "/v1/admin/plans/pro", {"limits": PRO}).status == 200
    assert node.admin("PUT", "/v1/admin/plans/gone", {"limits": PRO[:1]}).status == 200
    assert node.admin("DELETE", "/v1/admin/plans/gone").status == 204
    live, other = make("live"), make("other", account="other")
    make("restricted", streams=["default"], origins=["https://shop.example"],
         networks=["127.0.0.0/8"], headers={"Referer": "https://shop.example/cart"})
    make("no origin", 403, origins=["https://shop.example"])
    make("other stream", 403, streams=["elsewhere"])
    make("elsewhere", 403, networks=["203.0.113.0/24"])
    make("not yet expired", expires="2100-01-01T00:00:00Z")
    revoked = make("revoked", 401)
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    expired = make("expired", 401, expires=soon.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
    bearer = {"Authorization": "Bearer " + revoked["key"]}
    assert book.send("spent", b"before", TEXT, bearer).status == 202
    assert node.admin("DELETE", "/v1/admin/keys/" + revoked["id"]).status == 204
    bearer = {"Authorization": "Bearer " + expired["key"]}
    wait_for(lambda: node.request("GET", "/v1/usage", headers=bearer).status == 401, "it expires")
    for made, count in ((live, 30), (other, 5)):
        bearer = {"Authorization": "Bearer " + made["key"]}
        for n in range(count):
            assert book.send("spent", b"s" * (100 + n), TEXT, bearer).status == 202
        assert book.send("rare", b"once", TEXT, bearer).status == 202
        assert book.send("rare", b"twice", TEXT, bearer).status == 429
        limits = node.request("GET", "/v1/usage?stream=spent", headers=bearer).json()["limits"]
        book.facts.setdefault("limits", []).append({"key": made["key"], "limits": limits})


def begin_replay(book, again):
    """A job that is under way when the node stops."""
    acked = set(book.facts["acked"]["default"])
    wish = {"stream": "default", "sink": "again", "rate": 10}
    reply = book.node.admin("POST", "/v1/admin/replay", wish)
    assert reply.status == 202, reply
    wait_for(lambda: len(again.taken) >= 5, "some are replayed")
    book.facts["replay"] = {"job": reply.json()["job"], "total": reply.json()["total"],
                            "ids": [e[0] for e in book.facts["streams"]["default"]]}
    assert acked and book.facts["replay"]["total"] == len(book.facts["replay"]["ids"])


def make_filled(folder):
    away, again = StuckServer(), EventServer()
    options = {**OPTIONS, **away.sink("away"), **again.sink("again"), **SINKS,
               "node.name": "filled"}
    with Node(options) as node:
        book = Book(node)
        retire_a_segment(book)
        fill_queue(book)
        fill_lanes(book, away)
        fill_accounts(book)
        for n in range(300):
            book.send("bulk", b"%d %s" % (n, b"b" * 3000))
        book.send_keyed("late", "late-key", b"late")
        book.send_keyed("late", "late-lines", b"1\n2\n3\n", NDJSON)
        book.check_own(("default", "both", "spent", "rare", "bulk", "late"))
        book.note_usage()
        begin_replay(book, again)
        node.receive("default", 5)  # leased when it stops
        assert node.stop() == 0, node.log()
        book.facts["sinks"] = {"away": {"streams": ["both", "away"], "maybe": [],
                                        "confirmed": [sink_id(e) for e in away.taken]}}
        book.facts["replay"]["sent"] = [sink_id(e) for e in again.taken]
        book.finish(folder, "filled")
        check_filled(node.data_dir)
    away.released.set()
    away.close()
    again.close()


def check_filled(data_dir):
    """All that the test is about is there."""
    def count(file, query):
        with tempfile.TemporaryDirectory() as copy:
            for part in file.parent.glob(file.name + "*"):
                (pathlib.Path(copy) / part.name).write_bytes(part.read_bytes())
            return sqlite3.connect(pathlib.Path(copy) / file.name).execute(query).fetchone()[0]
    sealed = [count(db, "SELECT value FROM meta WHERE key = 'sealed'")
              for db in sorted((data_dir / "journal").glob("*.db"))]
    assert sealed.count(1) >= 3 and sealed.count(0) >= 1, sealed
    assert count(data_dir / "idempotency.db", "SELECT count(*) FROM idempotency") == 3
    assert count(data_dir / "replays.db", "SELECT count(*) FROM job") == 1
    ahead = "SELECT count(*) FROM cursor WHERE acked_ahead <> '[]'"
    assert count(data_dir / "cursors.db", ahead) >= 1
    lanes = "SELECT count(DISTINCT seq) FROM cursor WHERE sink LIKE 'away#%' AND stream = 'away'"
    assert count(data_dir / "cursors.db", lanes) >= 2
    for table in ("minute", "hour", "day", "month"):
        assert count(data_dir / "usage.db", f"SELECT count(*) FROM {table}") > 0


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    if tomorrow.day != datetime.datetime.now(datetime.timezone.utc).day:
        sys.exit("not in the last hour of a day (UTC): limits of days would be over in the test")
    harness.binary = sys.argv[1]
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    make_clean(folder)
    make_killed(folder)
    make_filled(folder)


if __name__ == "__main__":
    main()
