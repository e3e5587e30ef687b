"""What one client gets in all while nodes are added, drained, killed, stopped and cut off: the part
`churn` of cluster_bench.py.

A window is one client, a limit of 10,000 in a minute, and a load of 800 to 1,000 requests a second,
each at one of five nodes at random. It goes on until the client has been refused for long, so what
the nodes set aside and nobody spent has come back by then. The sum of its 202s is compared with the
bar: nothing above the limit without a fault, with one less than 1% above it, and never less than 99%.
Nodes are on hosts of their own (tests/cluster/hosts.py), 10 ms apart.
"""

import collections
import dataclasses
import random
import select
import signal
import statistics
import sys
import time

import hosts
from http_client import Closed
from spray import Spray

KINDS = ("nothing", "planned", "killed", "stopped", "partitioned", "all")
FAULTLESS = ("nothing", "planned")
LIMIT = 10_000
PERCENT = LIMIT // 100
HOSTS, UP = 6, 5
SLOW = {"delay_ms": 10, "jitter_ms": 3, "loss": 0.01}
RATES = (800, 1_000)
# So many clients wait at once while an owner is missed, and the others go on. Each has a connection
# to each node, in all fewer than the 1,024 descriptors that a process gets by default.
WORKERS, BURST = 128, 4

MIN_LOAD_S, MAX_LOAD_S = 14, 42  # all within a window of the limit
REFUSED_IN_A_ROW = 1_000
IDLE_S = 4         # what lies idle is called back in half a second, or forgotten in two
STOPPED_S = 3
CUT_S = (2, 3)
DEAD_S = (0, 3)    # until a killed node is started again: missed already, replaced, or neither
WHOLE_S = 30
LOOK_S = 0.02
LOOK_WHOLE_S = 0.3  # costs time that the load does not get
OWNER_S, MAX_LOOKS = 0.2, 25  # in so long an owner leases something

# Of units: those that owners decided one by one and those that they leased are charged. A window's
# missing units are where charged and admitted, or leased, spent and returned differ.
COUNTED = {"decided": ("penstock_verdicts_total", {"result": "admitted"}),
           "leased": ("penstock_lease_units_total", {}),
           "spent": ("penstock_lease_requests_total", {"result": "admitted"}),
           "returned": ("penstock_lease_units_returned_total", {}),
           "fallbacks": ("penstock_limiter_fallback_total", {}),
           "taken over": ("penstock_shard_moves_total", {"kind": "taken_over"}),
           "incomplete": ("penstock_shard_moves_total", {"kind": "incomplete"})}


class Cluster(hosts.HostCluster):
    """Six nodes. Those that are up, or will be at once, are `nodes`: five but for a moment."""

    def __init__(self, seed):
        super().__init__(HOSTS, {"cluster.allow_plaintext": True, "plans.anonymous.limits": [
            {"name": "window", "algorithm": "fixed_window", "amount": LIMIT, "window": "1m"}]},
            seed=seed)
        self.every = list(self.nodes)
        self.nodes = self.every[:UP]
        self.net.everywhere(**SLOW)

    def close(self):
        self.nodes = getattr(self, "every", self.nodes)
        super().close()

    def spare(self):
        return next(node for node in self.every if node not in self.nodes)

    def is_whole(self):
        count = len(self.nodes)
        try:
            return (all(hosts.members(node) == count and hosts.links(node) >= count - 1
                        for node in self.nodes)
                    and sum(hosts.owned(node) for node in self.nodes) == 256)
        except (OSError, Closed):  # one was killed
            return False


class Load(Spray):
    """A node that comes back finds no client that still writes to the one before: what was sent
    on such a connection would count as unknown."""

    def exchange(self, node, connections, client, count):
        if node in connections and has_ended(connections[node]):
            self.drop(node, connections, "ended")
        return super().exchange(node, connections, client, count)

    def refused_in_a_row(self):
        count = 0
        for _, _, _, status in reversed(self.answers):
            if status == 202:
                break
            count += status == 429
        return count


def has_ended(connection):
    """Nothing is due on it, so what can be read is its end."""
    look = select.poll()
    look.register(connection.socket, select.POLLIN)
    return bool(look.poll(0))


class Figures:
    """What the nodes' processes counted since this was made, also those that are no more."""

    def __init__(self, nodes):
        self.first, self.last = {}, {}
        self.note(nodes)
        self.first = dict(self.last)

    def note(self, nodes):
        for node in nodes:
            page = node.metrics()
            self.last[node.process.pid] = {name: page.get(metric, **labels)
                                           for name, (metric, labels) in COUNTED.items()}

    def sum(self, name):
        return sum(page[name] - self.first.get(pid, {}).get(name, 0)
                   for pid, page in self.last.items())


@dataclasses.dataclass
class Outcome:
    kind: str
    admitted: int
    unknown: int      # sent, and the connection closed before the answer
    unavailable: int  # 503: nobody could be asked
    incomplete: int   # shards that somebody went on with though their counters had not come
    is_over: bool  # more was asked for than there was

    def misses(self):
        """What of the bar was missed, and whether that is sure, whatever became of the unknown."""
        most = LIMIT if self.kind in FAULTLESS else LIMIT + PERCENT
        most_admitted = self.admitted + self.unknown
        found = []
        if most_admitted > most:
            found.append(("too many", self.admitted > most))
        if self.is_over and self.admitted < LIMIT - PERCENT:
            found.append(("too few", most_admitted < LIMIT - PERCENT))
        return found


class Window:
    """`hits_owner`: the (first) fault is the client's owner's, else that of a node that merely
    holds a lease."""

    def __init__(self, cluster, kind, hits_owner, chance):
        self.cluster, self.kind, self.hits_owner, self.chance = cluster, kind, hits_owner, chance
        self.due = []      # (when, what), the next first
        self.leaving = {}  # node → whether to start it again when it has ended
        self.coming = []   # started and not ready
        self.done = []     # told at the end
        self.rate = chance.randint(*RATES)

    def run(self):
        cluster = self.cluster
        first_owner = self.chance.choice(cluster.nodes)
        self.client = cluster.client_of(first_owner, "client", 10_000)
        self.figures = Figures(cluster.nodes)
        self.plan()
        with Load(cluster.nodes, {self.client: self.rate}, WORKERS, BURST,
                  seed=self.chance.randrange(1 << 32)) as self.spray:
            while not (over := self.is_over()) and self.at_s() < MAX_LOAD_S:
                self.step()
                time.sleep(LOOK_S)
            time.sleep(IDLE_S)
            while not self.is_settled():
                self.step()
                time.sleep(LOOK_S)
        return self.outcome(first_owner, over)

    # -- what is done when ------------------------------------------------------------------------

    def plan(self):
        """Moments at which units are left: ten seconds of load use them up."""
        when = self.chance.uniform
        first, second = self.hits_owner, not self.hits_owner
        if self.kind in ("planned", "killed"):
            self.at(when(0.5, 2), self.add)
            self.at(when(2.5, 4.5), lambda: self.hit(first, self.leave))
            self.at(when(5, 7), lambda: self.hit(second, self.restart))
        if self.kind == "killed":
            self.at(when(1.5, 8), lambda: self.hit(first, self.kill))
        elif self.kind == "stopped":
            self.at(when(1, 7), lambda: self.hit(first, self.stop))
        elif self.kind == "partitioned":
            self.at(when(1, 7), lambda: self.hit(first, self.cut))
        elif self.kind == "all":
            self.at(when(1, 2.5), lambda: self.hit(first, self.kill))
            self.at(3, lambda: self.when_whole(lambda: self.hit(second, self.cut)))

    def at_s(self):
        return time.monotonic() - self.spray.began

    def at(self, when_s, what):
        self.due.append((when_s, what))
        self.due.sort(key=lambda each: each[0])

    def soon(self, after_s, what):
        self.at(self.at_s() + after_s, what)

    def step(self):
        if self.due and self.due[0][0] <= self.at_s():
            self.due.pop(0)[1]()
        for node, again in list(self.leaving.items()):
            if node.process.poll() is not None:
                del self.leaving[node]
                self.tell(node, f"ended with {node.wait()}")
                if again:
                    self.start(node)
        for node in [node for node in self.coming if node.is_ready()]:
            self.coming.remove(node)
            self.tell(node, "ready")
            self.spray.nodes = [*self.spray.nodes, node]

    def is_settled(self):
        return not (self.due or self.leaving or self.coming)

    def is_over(self):
        return (self.is_settled() and self.at_s() >= MIN_LOAD_S
                and self.spray.refused_in_a_row() > REFUSED_IN_A_ROW)

    def tell(self, node, what):
        self.done.append(f"{self.at_s():.1f} s {node.host.name} {what}")

    # -- to whom ----------------------------------------------------------------------------------

    def serving(self):
        """Those that clients use. A node that is stopped or cut off stays one of them."""
        return self.spray.nodes

    def hit(self, owner, what, looks=MAX_LOOKS):
        """what(node, role), with the client's owner or another. The owner is who leases units of
        it; while the client moves nobody does, or one that clients don't use yet."""
        before = self.leased()
        time.sleep(OWNER_S)
        by = {node: units - before.get(node, 0) for node, units in self.leased().items()}
        found = max(by, key=by.get)
        if by[found] == 0 or found not in self.serving():
            if looks > 0:
                return self.soon(0, lambda: self.hit(owner, what, looks - 1))
            return what(self.chance.choice(self.serving()), "whatever it is")
        others = [node for node in self.serving() if node is not found]
        what(found if owner else self.chance.choice(others), "owner" if owner else "holder")

    def leased(self):
        units = {}
        for node in self.cluster.nodes:
            try:
                units[node] = node.metrics().get(COUNTED["leased"][0])
            except (OSError, Closed):
                pass  # killed, or just starting
        return units

    def strike(self, node, role, what):
        busy = "" if self.is_whole() else ", while others come or go"
        self.figures.note(self.serving())
        unsent = node.metrics().get("penstock_limiter_unsent_units")
        self.tell(node, f"({role}) {what}, {self.admitted():,} admitted, {unsent:.0f} unsent{busy}")

    def is_whole(self):
        return not (self.leaving or self.coming) and self.cluster.is_whole()

    def admitted(self):
        return 1 + self.spray.count(self.client, 202)

    # -- what -------------------------------------------------------------------------------------

    def add(self):
        node = self.cluster.spare()
        self.cluster.nodes.append(node)
        self.start(node)

    def start(self, node):
        self.tell(node, "started")
        node.launch()
        self.coming.append(node)

    def leave(self, node, role):
        self.end(node, role, False)

    def restart(self, node, role):
        self.end(node, role, True)

    def end(self, node, role, again):
        self.strike(node, role, "told to restart" if again else "told to leave")
        node.signal(signal.SIGTERM)
        self.without(node)
        self.leaving[node] = again
        if not again:
            self.cluster.nodes.remove(node)

    def kill(self, node, role):
        self.strike(node, role, "killed")
        node.kill()
        self.without(node)
        self.soon(self.chance.uniform(*DEAD_S), lambda: self.start(node))

    def stop(self, node, role):
        self.strike(node, role, "stopped")
        node.signal(signal.SIGSTOP)
        def go_on():
            node.signal(signal.SIGCONT)
            self.tell(node, "goes on")
        self.soon(STOPPED_S, go_on)

    def cut(self, node, role):
        self.strike(node, role, "cut off")
        self.cluster.net.cut([node.host])
        def heal():
            self.cluster.net.everywhere(**SLOW)
            self.tell(node, "reached again")
        self.soon(self.chance.uniform(*CUT_S), heal)

    def when_whole(self, what):
        if self.is_whole():
            what()
        else:
            self.soon(LOOK_WHOLE_S, lambda: self.when_whole(what))

    def without(self, node):
        self.spray.nodes = [each for each in self.spray.nodes if each is not node]

    # -- what came of it --------------------------------------------------------------------------

    def outcome(self, first_owner, over):
        charged = self.charged()
        self.figures.note(self.cluster.nodes)
        statuses = collections.Counter(self.spray.statuses(self.client))
        found = Outcome(self.kind, self.admitted(), statuses[0], statuses[503],
                        int(self.figures.sum("incomplete")), over)
        told = ", ".join(f"{name} {self.figures.sum(name):.0f}" for name in COUNTED)
        missed = "; ".join(what if sure else f"{what}, perhaps" for what, sure in found.misses())
        print(f"{self.kind}, {self.rate}/s, {self.client} of {first_owner.host.name}: "
              + "".join(f"{each}; " for each in self.done)
              + f"admitted {found.admitted:,}, unknown {found.unknown}, charged {charged:,}, "
              + f"refused {statuses[429]:,}, unavailable {statuses[503]}, {told}"
              + ("" if over else "; NOT OVER, more could have been asked for")
              + (f"; MISSED: {missed}" if missed else ""), file=sys.stderr, flush=True)
        return found

    def charged(self):
        """What the owner counts in the end."""
        reply = self.cluster.nodes[0].request("GET", "/v1/usage",
                                              headers={"X-Client": self.client})
        assert reply.status == 200, reply
        return reply.json()["limits"][0]["used"]


def measure(arguments):
    """So many windows, of these kinds in turn."""
    kinds, seed = arguments.kinds.split(","), arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}", file=sys.stderr)
    cluster = Cluster(seed)
    outcomes = []
    try:
        cluster.start()
        for i in range(arguments.windows):
            kind, turn = kinds[i % len(kinds)], i // len(kinds)
            outcomes.append(Window(cluster, kind, turn % 2 == 0, chance).run())
            cluster.wait_whole(WHOLE_S, LOOK_WHOLE_S)
    finally:
        cluster.close()
        print_rows(outcomes, seed)


def print_rows(outcomes, seed):
    print(f"| seed {seed} | windows | least admitted of {LIMIT:,} | median | most | answers lost, most "
          "| 503, most | shards without counters, most | bar |\n|---|---|---|---|---|---|---|---|---|")
    for kind in dict.fromkeys(one.kind for one in outcomes):
        row = [one for one in outcomes if one.kind == kind]
        admitted = [one.admitted for one in row]
        most = (max(getattr(one, name) for one in row)
                for name in ("unknown", "unavailable", "incomplete"))
        print(f"| {kind} | {len(row)} | {min(admitted):,} | {statistics.median(admitted):,.0f} | "
              f"{max(admitted):,} | " + " | ".join(map(str, most)) + f" | {verdict(row)} |",
              flush=True)


def verdict(row):
    missed = collections.Counter(what if sure else f"{what}, perhaps"
                                 for one in row for what, sure in one.misses())
    if not missed:
        return "held" if all(one.is_over for one in row) else "held, not all was asked for"
    return "**missed**: " + ", ".join(f"{what} {times}×" for what, times in missed.items())
