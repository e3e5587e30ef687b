#!/usr/bin/env python3
"""The wire between the hosts of hosts.py: carries IPv4 packets from one TUN device to another, late,
out of order or not at all, as it is told.

usage: wire.py SEED ADDRESS=FD…     one TUN device a host, by its file descriptor

Commands come as JSON, a line each, on stdin. When one is in force it is answered with a line, which
tells how many TCP segments that held data were carried so far: {"FROM TO": n, …}. A command
  {"from": [ADDRESS…], "to": [ADDRESS…], "delay_ms": 10, "jitter_ms": 3, "loss": 0.01}
sets what befalls packets on these ways; what is not named stays as it was. `loss` 1 is a cut that
nobody is told of. {} changes nothing. Each packet's delay is drawn for itself, so jitter also reorders, as with netem.
The wire ends when stdin does, and the devices with it.
"""

import errno
import heapq
import itertools
import json
import os
import random
import select
import socket
import sys
import time

MAX_PACKET_BYTES = 65536
MAX_WAITING_PACKETS = 20_000  # more are dropped, as a router would
MAX_PACKETS_A_TURN = 64       # of one device, before the others are looked at
NEVER_S = -1


def holds_data(packet):
    """Whether an IPv4 packet is a TCP segment with more than its headers."""
    header_bytes = (packet[0] & 15) * 4
    return (packet[9] == socket.IPPROTO_TCP and
            len(packet) > header_bytes + (packet[header_bytes + 12] >> 4) * 4)


class Way:
    """From one host to another."""

    def __init__(self):
        self.delay_ms = self.jitter_ms = self.loss = 0.0
        self.segments = 0


class Wire:
    def __init__(self, seed, devices):
        self.chance = random.Random(seed)
        self.devices = devices  # address as four bytes → descriptor
        self.ways = {(a, b): Way() for a in devices for b in devices if a != b}
        self.waiting = []  # (when due, a number to keep ties in order, descriptor, packet)
        self.numbers = itertools.count()
        self.epoll = select.epoll()
        for device in devices.values():
            os.set_blocking(device, False)
            self.epoll.register(device, select.EPOLLIN)
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)

    def run(self):
        while True:
            for descriptor, _ in self.epoll.poll(self.until_next_s()):
                if descriptor != sys.stdin.fileno():
                    self.read(descriptor)
                elif not self.obey():
                    return
            self.deliver()

    def until_next_s(self):
        return max(self.waiting[0][0] - time.monotonic(), 0) if self.waiting else NEVER_S

    def read(self, device):
        for _ in range(MAX_PACKETS_A_TURN):
            try:
                packet = os.read(device, MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EIO:  # the device is down
                    return
                raise
            self.take(packet)

    def take(self, packet):
        """Source and destination stand at fixed places in an IPv4 header."""
        way = self.ways.get((packet[12:16], packet[16:20])) if packet[0] >> 4 == 4 else None
        if way is None or self.chance.random() < way.loss or len(self.waiting) >= MAX_WAITING_PACKETS:
            return
        way.segments += holds_data(packet)
        delay_ms = way.delay_ms + self.chance.uniform(-way.jitter_ms, way.jitter_ms)
        heapq.heappush(self.waiting, (time.monotonic() + max(delay_ms, 0) / 1000,
                                      next(self.numbers), self.devices[packet[16:20]], packet))

    def deliver(self):
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(self.waiting)
            try:
                os.write(device, packet)
            except OSError:
                pass  # the device is down, or its queue full: lost

    def obey(self):
        line = sys.stdin.readline()
        if not line:
            return False
        command = json.loads(line)
        for source in command.get("from", []):
            for target in command["to"]:
                if source != target:
                    way = self.ways[socket.inet_aton(source), socket.inet_aton(target)]
                    for name in ("delay_ms", "jitter_ms", "loss"):
                        setattr(way, name, command.get(name, getattr(way, name)))
        print(json.dumps({f"{socket.inet_ntoa(a)} {socket.inet_ntoa(b)}": way.segments
                          for (a, b), way in self.ways.items()}), flush=True)
        return True


def main():
    devices = {}
    for argument in sys.argv[2:]:
        address, _, descriptor = argument.partition("=")
        devices[socket.inet_aton(address)] = int(descriptor)
    Wire(sys.argv[1], devices).run()


if __name__ == "__main__":
    main()
