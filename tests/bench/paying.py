"""The client that pays: so many requests a second, each on its time whatever became of the last, and
each promise remembered."""

import multiprocessing
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from http_client import Client, Closed  # noqa: E402

WORKERS = 10
TIMEOUT_S = 10.0
ADDRESS = "127.0.0.2"
# This one of the workers opens a connection for each request, as clients behind balancers do.
FRESH_WORKER = 0


def from_elsewhere(port, timeout_s=TIMEOUT_S):
    """A client at an address of its own: the attackers' are others."""
    return Client(port, timeout_s=timeout_s, source=ADDRESS)


class Paying:
    """`headers(n)` are those of the n-th request, whose body is `body_of(n)`."""

    def __init__(self, port, stream, key, rate, duration_s, headers=lambda n: {}):
        self.port, self.stream, self.key = port, stream, key
        self.rate, self.duration_s, self.headers = rate, duration_s, headers
        self.lock = threading.Lock()
        self.result = {"sent": 0, "status": {}, "errors": {}, "latencies_ms": [], "promised": {}}

    @staticmethod
    def body_of(number):
        return f"paid-{number}"

    def count(self, table, key):
        table[key] = table.get(key, 0) + 1

    def one(self, client, number, due):
        body = self.body_of(number)
        reply = client.post(body, self.stream, {"Authorization": "Bearer " + self.key,
                                                **self.headers(number)})
        latency_ms = (time.monotonic() - due) * 1000
        with self.lock:
            self.count(self.result["status"], str(reply.status))
            self.result["latencies_ms"].append(latency_ms)
            if reply.status == 202:
                self.result["promised"][reply.json()["id"]] = body
        return reply.headers.get("connection") != "close"

    def worker(self, index, began):
        client = None
        for number in range(index, int(self.rate * self.duration_s), WORKERS):
            due = began + number / self.rate
            time.sleep(max(0.0, due - time.monotonic()))
            with self.lock:
                self.result["sent"] += 1
            try:
                client = client or from_elsewhere(self.port)
                keep = self.one(client, number, due)
            except (OSError, Closed, ValueError) as failure:
                keep = False
                with self.lock:
                    self.count(self.result["errors"], type(failure).__name__)
            if client and (not keep or index == FRESH_WORKER):
                client.close()
                client = None
        if client:
            client.close()

    def run(self):
        began = time.monotonic()
        threads = [threading.Thread(target=self.worker, args=(i, began)) for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.result


class InProcess:
    """Runs `work()` in a process of its own, so that its timing is its own, too."""

    def __init__(self, work):
        context = multiprocessing.get_context("fork")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=self.child, args=(work, theirs), daemon=True)
        self.process.start()
        theirs.close()

    @staticmethod
    def child(work, pipe):
        pipe.send(work())

    def result(self, within_s):
        try:
            if not self.ours.poll(within_s):
                raise TimeoutError("a client of the test did not end in time")
            return self.ours.recv()
        finally:
            self.stop()

    def stop(self):
        if self.process.is_alive():
            self.process.join(1)
            self.process.kill()
        self.process.join()
