"""Many connections that misbehave, on one thread and in little CPU: what strangers send.

What a connection does is a script: a generator that yields
  bytes   to send all of them,
  a number of seconds to wait,
  ANSWER  to wait until something is received,
  HOLD    to do nothing more until the server closes.
When the script ends, the connection is closed; when it is closed, by whomever, the next one takes its
place, with a new script. All is bounded: by time, by the count of connections, by their rate.
"""

import collections
import dataclasses
import errno
import heapq
import itertools
import re
import resource
import select
import socket
import struct
import time

ANSWER = object()
HOLD = object()

PIECE = 256 << 10
TICK_S = 0.05
REFUSED_PAUSE_S = 0.2
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
# Where it is told not to choose a port before connect() knows the other end, ports can be shared.
BIND_ADDRESS_NO_PORT = 24


@dataclasses.dataclass
class Flood:
    """What is to be done. `script(i)` is the script of the i-th connection opened."""
    port: int
    connections: int
    script: object
    reads: str = "all"  # "all", "none", or "trickle": a byte a second
    again: bool = True  # whether a closed connection is followed by another
    hosts: tuple = ("127.0.0.1",)  # the addresses that connections come from, in turn
    opens_per_s: float = 2000
    receive_buffer: int = 0  # 0: the kernel's choice
    resets: bool = False  # closes with a reset, so that no port waits


@dataclasses.dataclass
class Done:
    """What was done and what came back."""
    opened: int = 0
    most_open: int = 0
    refused: int = 0
    closed_by_server: int = 0
    pieces: int = 0  # that scripts gave to be sent
    sent_bytes: int = 0
    received_bytes: int = 0
    status: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0

    def as_dict(self):
        status = {code.decode(): count for code, count in self.status.items()}
        return {**dataclasses.asdict(self), "status": status}


class Connection:
    def __init__(self, sock, script):
        self.socket = sock
        self.script = script
        self.out = memoryview(b"")
        self.waits_for_answer = False
        self.tail = b""  # of what was received, so that a status in two pieces is counted


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Engine:
    def __init__(self, flood, deadline):
        self.flood = flood
        self.deadline = deadline
        self.done = Done()
        self.epoll = select.epoll()
        self.open = {}
        self.timers = []  # (when, number, fd, connection)
        self.numbers = itertools.count()
        self.wanted = flood.connections
        self.not_before = 0.0

    def connect(self):
        flood = self.flood
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
            sock.bind((flood.hosts[self.done.opened % len(flood.hosts)], 0))
            if flood.receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, flood.receive_buffer)
            if flood.resets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            failed = sock.connect_ex(("127.0.0.1", flood.port))
        except OSError as error:
            failed = error.errno
        if failed not in (0, errno.EINPROGRESS):
            sock.close()
            self.done.refused += 1
            self.not_before = time.monotonic() + REFUSED_PAUSE_S
            return
        connection = Connection(sock, flood.script(self.done.opened))
        self.done.opened += 1
        self.open[sock.fileno()] = connection
        self.done.most_open = max(self.done.most_open, len(self.open))
        self.epoll.register(sock.fileno(), self.interest(connection, writes=True))

    def interest(self, connection, writes):
        # Where nothing is read, a close is seen as an error at the next write, or as EPOLLRDHUP.
        reads = select.EPOLLIN if self.flood.reads == "all" else select.EPOLLRDHUP
        return reads | (select.EPOLLOUT if writes else 0)

    def close(self, connection, by_server):
        fd = connection.socket.fileno()
        if self.open.pop(fd, None) is None:
            return
        self.epoll.unregister(fd)
        connection.socket.close()
        connection.script.close()
        self.done.closed_by_server += by_server
        if not self.flood.again:
            self.wanted -= 1

    def advance(self, connection):
        """Goes on with the script until it waits."""
        fd = connection.socket.fileno()
        while not connection.out:
            step = next(connection.script, None)
            if step is None:
                self.close(connection, by_server=False)
                return
            if step is HOLD or step is ANSWER:
                connection.waits_for_answer = step is ANSWER
                self.epoll.modify(fd, self.interest(connection, writes=False))
                return
            if isinstance(step, (int, float)):
                self.epoll.modify(fd, self.interest(connection, writes=False))
                self.later(step, fd, connection)
                return
            connection.out = memoryview(step)
            self.done.pieces += 1
        self.epoll.modify(fd, self.interest(connection, writes=True))

    def later(self, seconds, fd, connection):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.numbers), fd, connection))

    def write(self, connection):
        try:
            while connection.out:
                sent = connection.socket.send(connection.out[:PIECE])
                self.done.sent_bytes += sent
                connection.out = connection.out[sent:]
                if sent < PIECE:
                    break
        except BlockingIOError:
            return
        except OSError:
            self.close(connection, by_server=True)
            return
        if not connection.out:
            self.advance(connection)

    def read(self, connection, most=PIECE):
        try:
            data = connection.socket.recv(most)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.done.received_bytes += len(data)
        if not data:
            self.close(connection, by_server=True)
            return
        # The last 12 bytes are too few for a whole status, so none is counted twice.
        data = connection.tail + data
        self.done.status.update(STATUS.findall(data))
        connection.tail = data[-12:]
        if connection.waits_for_answer:
            connection.waits_for_answer = False
            self.advance(connection)

    def trickle(self):
        for connection in list(self.open.values()):
            self.read(connection, 1)

    def fire(self, now):
        while self.timers and self.timers[0][0] <= now:
            _, _, fd, connection = heapq.heappop(self.timers)
            if self.open.get(fd) is connection:
                self.advance(connection)

    def run(self):
        began = time.monotonic()
        trickled = began
        while (now := time.monotonic()) < self.deadline and self.wanted > 0:
            due = min(self.wanted - len(self.open),
                      int((now - began) * self.flood.opens_per_s) + 1 - self.done.opened)
            for _ in range(due if now >= self.not_before else 0):
                if self.not_before > now:
                    break
                self.connect()
            if self.flood.reads == "trickle" and now - trickled >= 1:
                trickled = now
                self.trickle()
            self.fire(now)
            for fd, events in self.epoll.poll(TICK_S, 1024):
                connection = self.open.get(fd)
                if connection is None:
                    continue
                if events & select.EPOLLOUT:
                    self.write(connection)
                if self.open.get(fd) is not connection:
                    continue
                if events & select.EPOLLIN:
                    self.read(connection)
                elif events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
                    self.close(connection, by_server=True)
        self.done.seconds = time.monotonic() - began
        for connection in list(self.open.values()):
            self.close(connection, by_server=False)
        self.epoll.close()
        return self.done


def run(flood, duration_s):
    raise_descriptor_limit()
    return Engine(flood, time.monotonic() + duration_s).run()
