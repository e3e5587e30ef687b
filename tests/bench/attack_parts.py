"""What attacks are made of: requests, scripts of connections, and the control beside them."""

import dataclasses
import itertools
import time

from attack_node import TOKEN
from flood import ANSWER, Flood

MAX_CONTROL_BODY = 512 << 10
MANY_HOSTS = tuple(f"127.0.1.{n}" for n in range(1, 201))
# Who has thousands of addresses can hold all connections that there are, as any client can; what a
# node can do against is to be told how many an address may have.
TEN_HOSTS = MANY_HOSTS[:10]


@dataclasses.dataclass
class Attack:
    name: str
    what: str
    floods: object  # (node, scale) → [Flood]
    plane: str = "http"
    options: object = dict  # () → options of the node, over those of all
    expected: frozenset = frozenset()  # statuses that are right; empty: any
    after: object = None  # (node, table) → what is wrong
    downstream: str = ""  # what stands behind an `http` sink: "", "names" or "dedup"
    token: str = TOKEN


def request(method, target, body=b"", fields=b"", host=b"t"):
    return (b"%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n"
            % (method, target, host, fields, len(body)) + body)


def post(body=b"x", stream=b"", fields=b""):
    return request(b"POST", b"/v1/events" + (b"/" + stream if stream else b""), body, fields)


def again_and_again(data):
    """Sends without ever waiting for an answer."""
    def script(_):
        while True:
            yield data
    return script


def in_turn(make):
    """Sends what make(n) gives and waits for the answer, again and again."""
    numbers = itertools.count()

    def script(_):
        while True:
            yield make(next(numbers))
            yield ANSWER
    return script


def few(count, scale, least=4):
    return max(least, count // scale)


def iter_of(*steps):
    yield from steps


def control(port, key, connections, bytes_per_s, request_bytes):
    """As many connections that send as many valid bytes, in requests of the same size, each on its
    time."""
    fields = b"Authorization: Bearer %s\r\n" % key.encode()
    around = len(post(b"", b"control", fields))
    data = post(b"x" * min(max(1, request_bytes - around), MAX_CONTROL_BODY), b"control", fields)
    pause_s = len(data) * connections / bytes_per_s if bytes_per_s else 3600.0

    def script(i):
        due = time.monotonic() + pause_s * (i % 97) / 97
        while True:
            if (wait_s := due - time.monotonic()) > 0:
                yield wait_s
            yield data
            yield ANSWER
            due += pause_s
    return Flood(port, connections, script, hosts=MANY_HOSTS)


def mutated(draw, data):
    """A request with a few of its bytes changed, cut, or doubled."""
    data = bytearray(data)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(data))
        how = draw.randrange(4)
        if how == 0:
            data[at] = draw.randrange(256)
        elif how == 1:
            del data[at:at + draw.randrange(1, 20)]
        elif how == 2:
            data[at:at] = data[max(0, at - 30):at]
        else:
            data[at:at] = draw.choice([b"\r\n", b"\n", b"\0", b": ", b",", b'"', b"0\r\n\r\n", b"\xff"])
        if not data:
            return b"\r\n"
    return bytes(data)


NDJSON = b"Content-Type: application/x-ndjson\r\n"
CHUNKED = b"POST /v1/events/v HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_LINES = post(b"x\n" * 10_000, fields=NDJSON)
GOOD_LINES = post(b"1\n" * 10_000, fields=NDJSON)
IDS_PLEASE = post(b"1\n" * 10_000, fields=NDJSON + b"Prefer: return=representation\r\n")
BATCH = b"Content-Type: application/cloudevents-batch+json\r\n"
SEEDS = (
    post(b'{"a":1}', b"m", b"Content-Type: application/json\r\n"),
    post(b"1\n2\nx\n", b"m", NDJSON),
    post(b'[{"specversion":"1.0","id":"1","type":"t","source":"/s","data":1}]', b"m", BATCH),
    post(b"x", b"m", b"ce-specversion: 1.0\r\nce-type: t\r\nce-source: /s\r\nce-id: 1\r\n"),
    CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX-T: y\r\n\r\n",
    post(b"x", b"m", b"Idempotency-Key: \"k\"\r\nExpect: 100-continue\r\n"),
    post(b"x", b"m", b"Cookie: sid=a; b=c\r\nReferer: https://e.example/\r\n"),
    post(b"x", b"m", b"Forwarded: for=\"[2001:db8::1]\";by=x\r\nX-Forwarded-For: 1.2.3.4\r\n"),
    request(b"GET", b"/v1/usage"), request(b"OPTIONS", b"*"), request(b"HEAD", b"/readyz?verbose"),
)
