"""Load from clients that know many nodes: each takes one of them at random for every few requests, and
another when that one is gone. What became of each request is kept."""

import collections
import random
import threading
import time

from http_client import Closed, request_bytes

ANSWER_S = 10.0
MAX_BEHIND_S = 1.0  # what a client that waited catches up with, at most


class Spray:
    """`rates`: client → requests a second, over all nodes together. `nodes` may be changed while it
    runs: put another list in its place. `retry`: what a node did not answer, since it closed the
    connection or took none, goes to the others, one after the other; `unknown` counts by client what
    was sent for all that, and may have been charged. `promised`, if given, takes the ids of 202s."""

    def __init__(self, nodes, rates, workers=4, burst=4, retry=False, seed=1, promised=None):
        self.nodes = list(nodes)
        self.rates, self.burst, self.retry = rates, burst, retry
        self.answers = []  # (when, client, node, status); status 0: sent, and no answer
        self.errors = collections.Counter()
        self.unknown = collections.Counter()
        self.promised = promised
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(seed + i), workers))
                        for i in range(workers)]

    def __enter__(self):
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def until(self, after_s):
        """Waits until so long after the beginning."""
        time.sleep(max(0, self.began + after_s - time.monotonic()))

    def count(self, client, status):
        return sum(1 for answer in list(self.answers) if answer[1] == client and answer[3] == status)

    def statuses(self, client):
        return dict(collections.Counter(a[3] for a in list(self.answers) if a[1] == client))

    def work(self, chance, workers):
        names, weights = zip(*self.rates.items())
        pause_s = workers * self.burst / sum(weights)
        due = time.monotonic() + chance.random() * pause_s
        connections = {}
        while not self.ended.wait(max(0, due - time.monotonic())):
            client = chance.choices(names, weights)[0]
            left = self.burst
            nodes = self.nodes
            for node in chance.sample(nodes, len(nodes) if self.retry else 1):
                left = self.exchange(node, connections, client, left)
                if not left:
                    break
            if left and self.retry:
                self.answers += [(time.monotonic(), client, None, 0)] * left
            due = max(due + pause_s, time.monotonic() - MAX_BEHIND_S)
        for connection in connections.values():
            connection.close()

    def exchange(self, node, connections, client, count):
        """How many of `count` requests have to be sent again."""
        try:
            connection = connections.get(node) or node.client(timeout_s=ANSWER_S)
            connections[node] = connection
            connection.send(count * request_bytes("POST", "/v1/events", b"x", {"X-Client": client}))
        except OSError as error:
            self.drop(node, connections, error)
            return count
        for answered in range(count):
            try:
                reply = connection.read()
            except (OSError, Closed) as error:
                self.drop(node, connections, error)
                self.unknown[client] += count - answered
                if not self.retry:
                    now = time.monotonic()
                    self.answers += [(now, client, node, 0)] * (count - answered)
                    return 0
                return count - answered
            self.answers.append((time.monotonic(), client, node, reply.status))
            if self.promised is not None and reply.status == 202:
                self.promised.append(reply.json()["id"])
            if reply.headers.get("connection") == "close":
                # What was sent behind it is not looked at.
                self.drop(node, connections, "closed")
                return count - answered - 1
        return 0

    def drop(self, node, connections, why):
        self.errors[str(why)[:60]] += 1
        gone = connections.pop(node, None)
        if gone:
            gone.close()
