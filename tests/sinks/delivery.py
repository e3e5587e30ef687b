"""The outage exercise that every sink's test runs: events from many clients go through a node into a
real server while server and node are killed, frozen and started again. Then what clients were
promised is compared with what the server has.

A test describes its server by a subclass of Server or ProcessServer and calls exercise().
PENSTOCK_DELIVERY_EVENTS=100000 makes it larger.
"""

import atexit
import base64
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from harness import Client, Closed, Node, wait_for  # noqa: E402

EVENTS = int(os.environ.get("PENSTOCK_DELIVERY_EVENTS", "20000"))
CLIENTS = 40
SENDERS = 4
EVENTS_PER_S = 2500
MAX_BATCH = 100
SEND_S = 300.0
DRAIN_S = 60.0
READY_S = 20.0
MAX_EXAMPLES = 5
SINK = "out"
NUMBERS = re.compile(rb'\{"c":(\d+),"n":(\d+),')

# (share of the events that are promised, what happens then, for how many seconds). Faults follow
# each other without a pause where one outlasts the next one's share: the node is killed with a
# backlog under way.
SCHEDULE = [
    (0.05, "kill_server", 0.5),
    (0.15, "freeze_server", 2.5),  # longer than the sink's timeout: its answers come to nobody
    (0.40, "kill_node", 0),
    (0.45, "kill_server", 0),
    (0.55, "freeze_server_and_kill_node", 0.5),  # what the dead node had sent is read afterwards
    (0.80, "kill_server", 1.0),
]

# Small pauses, so that a test takes seconds.
DELIVERY = {"timeout": "2s", "retry_min": "20ms", "retry_max": "500ms"}


def stray_streams(test, node, arrived, reason, streams=40, events=50):
    """Events to streams "lost-N" that have no target: those of `default` arrive at once all the
    same, the others are told by name and are dead letters after missing_target_after. `arrived()`
    is how many events the server has."""
    json_type = {"Content-Type": "application/json"}
    before = arrived()
    for n in range(streams):
        test.assertEqual(202, node.post(b"1", f"lost-{n}", json_type).status)
    for n in range(events):
        test.assertEqual(202, node.post(b"%d" % n, "default", json_type).status)
        wait_for(lambda count=before + n + 1: arrived() >= count, "the next of default arrives", 5)
    test.assertEqual(before + events, arrived())

    def letters():
        answer = node.admin("GET", "/v1/admin/dead-letters?limit=1000").json()
        return {(letter["stream"], letter["reason"]) for letter in answer["dead_letters"]}
    wait_for(lambda: len(letters()) >= streams, "they are dead letters", 60)
    test.assertEqual({f"lost-{n}" for n in range(streams)}, {stream for stream, _ in letters()})
    for _, why in letters():
        test.assertIn(reason, why)
    test.assertIn("stream 'lost-", node.log())
    states = {s["stream"]: s["state"] for s in
              node.admin("GET", "/v1/admin/status").json()["sinks"][0]["streams"]}
    test.assertEqual("ok", states["default"])


class Server:
    """What a test says of its server. Bodies and ids are as the server has them."""

    deduplicates = False  # whether nothing may arrive twice, whatever happens

    def start(self):
        """Returns when it answers."""
        raise NotImplementedError

    def stop(self):
        """For the end of the test; also when it does not run."""
        raise NotImplementedError

    def kill(self):
        """SIGKILL; connections are refused from then on."""
        raise NotImplementedError

    def freeze(self):
        """SIGSTOP: connections are accepted by the kernel, nothing is answered."""
        raise NotImplementedError

    def thaw(self):
        raise NotImplementedError

    def restart(self):
        """After kill(), with the data it had; returns when it answers."""
        self.start()

    def sink_options(self, name):
        """{"sinks.NAME.key": value} for the node."""
        raise NotImplementedError

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def read_all(self):
        """[(our event id, the client's key or None, body bytes)], those of a client in the server's
        order. Called often; may keep what it read before."""
        raise NotImplementedError


class ProcessServer(Server):
    """A server that is one process in a directory of its own. A subclass gives command() and
    is_ready()."""

    environment = {}

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-sink-"))
        self.process = None
        atexit.register(self.stop)

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        """Whether it answers; an OSError is a no."""
        raise NotImplementedError

    def start(self):
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        command = self.command()  # once: it writes the file that the server reads
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*guard, *command], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.folder,
                                            env={**os.environ, **self.environment})
        wait_for(self._answers, f"{command[0]} answers", READY_S)

    def _answers(self):
        assert self.process.poll() is None, f"the server ended:\n{self.log()[-2000:]}"
        try:
            return self.is_ready()
        except OSError:
            return False

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if not os.environ.get("PENSTOCK_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


def event_of(structured):
    """(id, client key, body) of an event that did not come as a CloudEvent, from the structured
    CloudEvents JSON that sinks write."""
    document = json.loads(structured)
    event_id = document.get("penstockid", document["id"])
    if "data_base64" in document:
        body = base64.b64decode(document["data_base64"], validate=True)
    elif "json" in document.get("datacontenttype", ""):
        # The bytes themselves: `data` stands last, and no attribute before it holds a bare quote.
        body = structured[structured.index(b',"data":') + len(b',"data":'):-1]
    else:
        body = document["data"].encode()
    return event_id, document["partitionkey"], body


def body_of(client, number):
    """The event `number` of a client: it follows from the two, so that nothing has to be kept."""
    pad = "x" * (number * 7919 % 300)
    return b'{"c":%d,"n":%d,"text":"\xc3\xa4 \\" \\u0001", "pad":"%s"}' % (client, number, pad.encode())


class Promises:
    """What clients were told. Thread-safe."""

    def __init__(self):
        self.mutex = threading.Lock()
        self.by_id = {}  # id → (client, number)

    def add(self, client, numbers, ids):
        with self.mutex:
            for number, event_id in zip(numbers, ids, strict=True):
                assert event_id not in self.by_id, f"{event_id} was promised twice"
                self.by_id[event_id] = (client, number)

    def __len__(self):
        return len(self.by_id)


class Sender(threading.Thread):
    """Posts batches for its clients in turn on one connection, at a steady rate, until enough is
    promised. A batch without an answer is not sent again: it may arrive or not."""

    def __init__(self, clients, port, promises, enough, stop, events_per_s):
        super().__init__(daemon=True)
        self.clients, self.port, self.promises = clients, port, promises
        self.enough, self.stop = enough, stop
        self.events_per_s = events_per_s
        self.next_number = dict.fromkeys(clients, 1)
        self.chance = random.Random(clients[0])
        self.refused = self.unanswered = 0  # events
        self.failure = None

    def run(self):
        try:
            while not self.is_over():
                try:
                    with Client(self.port, timeout_s=10) as client:
                        while not self.is_over():
                            self.round(client)
                except (OSError, Closed):
                    self.stop.wait(0.02)  # the node is down
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def is_over(self):
        return self.stop.is_set() or len(self.promises) >= self.enough

    def round(self, connection):
        began = time.monotonic()
        client = self.chance.choice(self.clients)
        count = self.chance.randrange(1, MAX_BATCH + 1)
        first = self.next_number[client]
        numbers = range(first, first + count)
        self.next_number[client] += count
        self.unanswered += count
        reply = connection.post(b"\n".join(body_of(client, n) for n in numbers), headers={
            "Content-Type": "application/x-ndjson", "Prefer": "return=representation",
            "X-Client": f"client-{client}"})
        self.unanswered -= count
        if reply.status == 202:
            ids = reply.json()["ids"]
            assert None not in ids, reply
            self.promises.add(client, numbers, ids)
        else:
            self.refused += count
        self.stop.wait(max(0, began + count / self.events_per_s - time.monotonic()))


class Exercise:
    """One run: the node, its senders, and the faults by their names in a schedule."""

    def __init__(self, server, events, clients, options, events_per_s):
        self.server = server
        self.node = Node({
            "identity.order": ["header:X-Client", "ip"],
            "streams.default.sinks": [SINK],
            **{f"sinks.{SINK}.{key}": value for key, value in DELIVERY.items()},
            **server.sink_options(SINK), **(options or {})})
        self.promises = Promises()
        self.stop_sending = threading.Event()
        self.events = events
        self.senders = [Sender(range(i, clients, SENDERS), self.node.http_port, self.promises,
                               events, self.stop_sending, events_per_s / SENDERS)
                        for i in range(min(SENDERS, clients))]

    def kill_server(self, seconds):
        self.server.kill()
        time.sleep(seconds)  # of refused connections
        self.server.restart()

    def freeze_server(self, seconds):
        self.server.freeze()
        time.sleep(seconds)
        self.server.thaw()

    def kill_node(self, _seconds):
        self.node.kill()
        self.node.start()

    def freeze_server_and_kill_node(self, seconds):
        self.server.freeze()
        time.sleep(seconds)
        self.kill_node(0)
        self.server.thaw()

    def run_faults(self, schedule):
        for share, fault, seconds in schedule:
            self.wait_promised(share * self.events)
            if callable(fault):
                fault(self, seconds)
            else:
                getattr(self, fault)(seconds)
        self.wait_promised(self.events)

    def wait_promised(self, count):
        def enough():
            for sender in self.senders:
                if sender.failure:
                    raise sender.failure
            return len(self.promises) >= count
        wait_for(enough, f"{count:.0f} events are promised", SEND_S)

    def lag_events(self):
        """What the node says that its sink has yet to get; None if it does not say."""
        metrics = self.node.metrics()
        name = "penstock_sink_lag_events"
        return metrics.get(name, sink=SINK) if name in metrics.names() else None

    def wait_delivered(self, within_s):
        def all_there():
            if self.lag_events():
                return False
            return self.promises.by_id.keys() <= {event[0] for event in self.server.read_all()}
        try:
            wait_for(all_there, "everything promised has arrived", within_s, pause_s=0.2)
        except AssertionError as late:
            print(f"{late}; the node said:\n{self.node.log()[-2000:]}", file=sys.stderr)


def check(promised, arrived, deduplicates):
    """Compares {id: (client, number)} with [(id, key, body)] in the server's order. Gives the number
    of repeats and what is wrong, a line each."""
    wrong = collections.defaultdict(list)
    seen, last_of, key_of = set(), {}, {}
    repeats = 0
    for event_id, key, body in arrived:
        numbers = NUMBERS.match(body)
        client, number = (int(n) for n in numbers.groups()) if numbers else (None, None)
        if not numbers or body != body_of(client, number):
            wrong["changed"].append(f"{event_id} has {body[:80]!r}")
        elif promised.get(event_id, (client, number)) != (client, number):
            wrong["swapped"].append(f"{event_id} was promised for {promised[event_id]}, has "
                                    f"{client}, {number}")
        if key is not None and key_of.setdefault(client, key) != key:
            wrong["keys"].append(f"client {client} has the keys {key_of[client]} and {key}")
        if event_id in seen:
            repeats += 1
            if deduplicates:
                wrong["repeated"].append(event_id)
            continue
        seen.add(event_id)
        if event_id < last_of.get(client, ""):
            wrong["unordered"].append(f"client {client}: {event_id} after {last_of[client]}")
        last_of[client] = max(event_id, last_of.get(client, ""))
    if len(set(key_of.values())) < len(key_of):
        wrong["keys"].append("clients share a key")
    wrong["missing"] = [f"{i} of {promised[i]}" for i in sorted(promised.keys() - seen)]
    return repeats, [f"{len(found)} {kind}, such as {'; '.join(found[:MAX_EXAMPLES])}"
                     for kind, found in wrong.items() if found]


def exercise(testcase, server, events=EVENTS, clients=CLIENTS, schedule=None, options=None,
             events_per_s=EVENTS_PER_S):
    """Runs the exercise on a server that has been started, and fails the test unless every promised
    event arrived unchanged, in its client's order, and once where the server deduplicates. A fault
    in the schedule is a method of Exercise by name, or a function of (Exercise, seconds)."""
    schedule = SCHEDULE if schedule is None else schedule
    began = time.monotonic()
    run = Exercise(server, events, clients, options, events_per_s)
    with run.node:
        for sender in run.senders:
            sender.start()
        try:
            run.run_faults(schedule)
        finally:
            run.stop_sending.set()
        for sender in run.senders:
            sender.join()
        drain_began = time.monotonic()
        run.wait_delivered(DRAIN_S + events / 1000)
        drain_s = time.monotonic() - drain_began
        exit_code = run.node.stop()
        # What an earlier connection left behind may come as late as this.
        arrived = server.read_all()
    repeats, wrong = check(run.promises.by_id, arrived, server.deduplicates)
    faults = collections.Counter(getattr(fault, "__name__", fault) for _, fault, _ in schedule)
    print(f"{type(server).__name__}: {len(run.promises)} events promised, {len(arrived)} arrived, "
          f"{repeats} twice, in {time.monotonic() - began:.1f} s ({drain_s:.1f} s after the last "
          f"promise); {sum(s.refused for s in run.senders)} refused, "
          f"{sum(s.unanswered for s in run.senders)} unanswered; faults: "
          + ", ".join(f"{count} × {name}" for name, count in faults.items()), file=sys.stderr)
    testcase.assertEqual([], wrong)
    testcase.assertEqual(0, exit_code, "of the node")
