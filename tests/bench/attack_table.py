"""The attacks: what each sends, and what must be true beside the node's life.

Each is a function of the node that gives its floods. All sizes are those of a full run; `scale`
divides the counts of connections for a short one.
"""

import itertools
import random
import struct

from attack_node import PAID_STREAM, TOKEN, UNUSED_STREAM, harness
from attack_parts import (BAD_LINES, BATCH, CHUNKED, GOOD_LINES, IDS_PLEASE, MANY_HOSTS, SEEDS,
                          TEN_HOSTS, Attack, again_and_again, few, in_turn, iter_of, mutated, post,
                          request)
from flood import ANSWER, HOLD, Flood

ATTACKS = {}


def attack(what, **more):
    def add(floods):
        name = floods.__name__
        ATTACKS[name] = Attack(name, what, floods, **more)
        return floods
    return add


def behind_a_proxy():
    """Strangers come through a proxy that is believed; it adds to what they claim."""
    return {"http.trusted_proxies": ["127.0.0.0/16"]}


# -- requests that should cost nothing ----------------------------------------------------------------

def smuggled(number):
    control = bytes([[1, 8, 10, 13, 27, 127][number % 6]])
    inner = b"POST /v1/events/smuggled HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx"
    extension = b';a="' + control + b'"'
    if number % 2:
        return CHUNKED + b"5" + extension + b"\r\nhello\r\n0\r\n\r\n" + inner
    return CHUNKED + b"5\r\nhello\r\n0" + extension + b"\r\n\r\n" + inner


@attack("control bytes in chunk extensions, a request behind them", expected=frozenset({400}))
def chunk_extensions(node, scale):
    return [Flood(node.http_port, few(64, scale), in_turn(smuggled))]


def streams_still_open(node, _, names=("", UNUSED_STREAM, "made-up-just-now")):
    wrong = []
    for name in names:
        for _ in range(6):  # each on a connection of its own, so that all lanes are asked
            target = "/v1/events" + ("/" + name if name else "")
            reply = node.ask("POST", target, b"x", node.keys["ample"])
            if reply.status != 202:
                wrong.append(f"after it, {target} is {reply.status} for a client with a key")
                break
    return wrong


@attack("thousands of names of streams by a client whose quota is used up", after=streams_still_open)
def stream_names(node, scale):
    def names(n):
        return b"".join(post(stream=b"x%d" % (64 * n + i)) for i in range(64))
    return [Flood(node.http_port, few(32, scale), in_turn(names))]


def configured_still_open(node, result):
    """Two hundred clients together may fill the table; what an operator named is always there."""
    return streams_still_open(node, result, ("", UNUSED_STREAM))


@attack("the same by clients at many addresses, each with a quota left", after=configured_still_open)
def stream_names_admitted(node, scale):
    return [Flood(node.http_port, few(200, scale), in_turn(lambda n: post(stream=b"y%d" % n)),
                  hosts=MANY_HOSTS)]


# -- answers that nobody reads -------------------------------------------------------------------------

def never_read(data, connections):
    def floods(node, scale):
        return [Flood(node.http_port, few(connections, scale), again_and_again(data), reads="none",
                      receive_buffer=4096)]
    return floods


for name, what, data in (
        ("bad_lines", "NDJSON of 10,000 bad lines, pipelined, answers never read", BAD_LINES),
        ("used_up", "NDJSON of 10,000 good lines beyond a quota, pipelined, never read", GOOD_LINES),
        ("ids_please", "the same, asking for all ids", IDS_PLEASE),
        ("bad_batches", "CloudEvents batches of 10,000 that are none, pipelined, never read",
         post(b"[" + b",".join([b"{}"] * 10_000) + b"]", fields=BATCH)),
        ("not_found", "requests for what is not there, pipelined, never read",
         request(b"GET", b"/v1/nothing-here") * 64),
        ("readiness", "GET /readyz?verbose, which no limit counts, pipelined, never read",
         request(b"GET", b"/readyz?verbose") * 64),
        ("usage_unread", "GET /v1/usage, pipelined, never read", request(b"GET", b"/v1/usage") * 64)):
    for connections in (8, 200):
        ATTACKS[f"{name}_{connections}"] = Attack(f"{name}_{connections}",
                                                  f"{what}, on {connections} connections",
                                                  never_read(data, connections))


@attack("10,000 bad lines, answers read a byte a second")
def slow_readers(node, scale):
    return [Flood(node.http_port, few(500, scale), again_and_again(BAD_LINES), reads="trickle",
                  receive_buffer=4096, hosts=MANY_HOSTS)]


# -- connections that hold something ------------------------------------------------------------------

@attack("idle keep-alive connections of one address up to http.max_connections")
def idle(node, scale):
    def script(_):
        yield post()
        yield HOLD
    return [Flood(node.http_port, few(10_500, scale), script)]


@attack("half a header on thousands of connections, a field now and then")
def half_headers(node, scale):
    def script(_):
        yield b"POST /v1/events HTTP/1.1\r\nHost: t\r\nX-A: " + b"a" * 8000 + b"\r\n"
        for n in itertools.count():
            yield 1.0
            yield b"X-%d: y\r\n" % n
    return [Flood(node.http_port, few(4000, scale), script, hosts=TEN_HOSTS)]


def unfinished_body(size, sent, head=b""):
    def script(_):
        yield head or b"POST /v1/events HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size
        yield b"x" * sent
        for _ in range(size - sent - 1):
            yield 1.0
            yield b"x"
    return script


@attack("bodies of 1 MiB that never end, the last bytes one a second")
def trickled_bodies(node, scale):
    return [Flood(node.http_port, few(600, scale), unfinished_body(1 << 20, (1 << 20) - 600),
                  hosts=MANY_HOSTS)]


@attack("chunks of one byte, each with a long extension")
def tiny_chunks(node, scale):
    chunks = (b"1;" + b"e" * 2000 + b"\r\nx\r\n") * 16

    def script(_):
        yield CHUNKED
        while True:
            yield chunks
    return [Flood(node.http_port, few(64, scale), script)]


@attack("connections that are opened, used once and reset")
def churn(node, scale):
    def script(_):
        yield post()
        yield ANSWER
    return [Flood(node.http_port, few(128, scale), script, resets=True, opens_per_s=20_000)]


@attack("connections that are opened and reset without a byte")
def empty_churn(node, scale):
    def script(_):
        yield 0.0
    return [Flood(node.http_port, few(256, scale), script, resets=True, opens_per_s=20_000)]


@attack("Expect: 100-continue, and no body comes")
def expectations(node, scale):
    head = (b"POST /v1/events HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
            b"Content-Length: 1048576\r\n\r\n")

    def script(_):
        yield head
        yield HOLD
    return [Flood(node.http_port, few(2000, scale), script, hosts=TEN_HOSTS)]


# -- the admin plane ----------------------------------------------------------------------------------

@attack("1,024 long polls of the queue and as many that come after them", plane="admin")
def long_polls(node, scale):
    data = request(b"POST", b"/v1/queue/default/receive", b'{"max":1,"wait_s":20}',
                   b"Content-Type: application/json\r\nAuthorization: Bearer " + TOKEN.encode()
                   + b"\r\n", b"127.0.0.1:%d" % node.admin_port)
    return [Flood(node.admin_port, few(1100, scale), lambda _: iter_of(data, HOLD))]


@attack("idle connections to the admin plane", plane="admin")
def admin_idle(node, scale):
    return [Flood(node.admin_port, few(1100, scale), lambda _: iter_of(HOLD))]


@attack("half a header to the admin plane, on 1,100 connections", plane="admin")
def admin_half_headers(node, scale):
    data = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 8000
    return [Flood(node.admin_port, few(1100, scale), lambda _: iter_of(data, HOLD))]


@attack("bodies of 4 MiB to the admin plane, without its token, never ended", plane="admin")
def admin_bodies(node, scale):
    head = (b"POST /v1/admin/keys HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json"
            b"\r\nContent-Length: %d\r\n\r\n" % (node.admin_port, 4 << 20))
    return [Flood(node.admin_port, few(600, scale),
                  unfinished_body(4 << 20, (4 << 20) - 600, head))]


@attack("the same, with its token: consumers that are broken", plane="admin")
def admin_bodies_with_token(node, scale):
    head = (b"POST /v1/queue/default/ack HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s"
            b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (node.admin_port, TOKEN.encode(), 4 << 20))
    return [Flood(node.admin_port, few(600, scale),
                  unfinished_body(4 << 20, (4 << 20) - 600, head))]


@attack("bodies of the admin plane whose size nobody says, with its token", plane="admin")
def admin_chunked_bodies(node, scale):
    head = (b"POST /v1/queue/default/ack HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s"
            b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            % (node.admin_port, TOKEN.encode()))
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"

    def script(_):
        yield head
        for _ in range(31):  # a little less than 1 MiB
            yield chunk
        while True:
            yield 1.0
            yield b"1\r\n \r\n"
    return [Flood(node.admin_port, few(600, scale), script)]


@attack("answers of the admin plane that nobody reads", plane="admin")
def admin_unread(node, scale):
    data = request(b"GET", b"/metrics", b"", b"Authorization: Bearer " + TOKEN.encode() + b"\r\n",
                   b"127.0.0.1:%d" % node.admin_port)
    return [Flood(node.admin_port, few(500, scale), again_and_again(data * 16), reads="none",
                  receive_buffer=4096)]


@attack("the same by strangers, of what needs no token", plane="admin")
def admin_unread_by_strangers(node, scale):
    host = b"127.0.0.1:%d" % node.admin_port
    data = request(b"GET", b"/", host=host) + request(b"GET", b"/readyz?verbose", host=host)
    return [Flood(node.admin_port, few(500, scale), again_and_again(data * 16), reads="none",
                  receive_buffer=4096)]


FORGERIES = (
    (b"Host: evil.example:8081\r\n", b"application/json"),
    (b"Host: %s\r\nOrigin: http://127.0.0.1:1\r\n", b"application/json"),
    (b"Host: %s\r\nOrigin: null\r\n", b"application/json"),
    (b"Host: %s\r\nOrigin: http://localhost.evil.example\r\n", b"application/json"),
    (b"Host: %s\r\nSec-Fetch-Site: same-site\r\n", b"text/plain"),
    (b"Host: %s\r\nSec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n", b"text/plain"),
    (b"Host: %s\r\n", b"application/x-www-form-urlencoded"),
    (b"Host: %s\r\n", b"text/plain; application/json"),
    (b"", b"application/json"),
)


def nothing_was_done(node, _):
    wrong = []
    accounts = {key["account"] for key in node.admin("GET", "/v1/admin/keys").json()["keys"]}
    if not accounts <= {"paying", "ample"}:
        wrong.append(f"keys were made: {sorted(accounts)}")
    if node.ask("GET", "/readyz").status != 200:
        wrong.append("the node drains")
    return wrong


@attack("forged Host, Origin and Content-Type: keys and drains by a page in a browser",
        plane="admin", token="", after=nothing_was_done,
        expected=frozenset({400, 403, 415, 421}))
def forged_hosts(node, scale):
    own = b"127.0.0.1:%d" % node.admin_port

    def forged(n):
        fields, content_type = FORGERIES[n % len(FORGERIES)]
        fields = fields.replace(b"%s", own)
        drains = n // len(FORGERIES) % 2
        target = b"/v1/admin/drain" if drains else b"/v1/admin/keys"
        body = b"{}" if drains else b'{"account":"evil","plan":"ample"}'
        return (b"POST %s HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                % (target, fields, content_type, len(body)) + body)
    return [Flood(node.admin_port, few(16, scale), in_turn(forged))]


# -- the cluster's port --------------------------------------------------------------------------------

def in_a_cluster():
    return {"cluster.name": "attacked", "cluster.directory": "static",
            "cluster.listen": f"127.0.0.1:{harness.free_port()}", "cluster.peers": ["127.0.0.1:9"],
            "cluster.secret": "a-secret-of-this-test", "cluster.reconnect_interval": "30s"}


def greeting(draw):
    """A header of CAF's protocol, as a peer's first, that announces more than comes."""
    length = draw.choice([0, 1, 64 << 10, 1 << 20, 100 << 20, 0x7fffffff, 0xffffffff])
    return struct.pack(">BBBBIQQQ", draw.randrange(8), 0, 0, draw.randrange(4), length,
                       draw.choice([0, 3]), draw.choice([0, 1, 1 << 63]), draw.choice([0, 1]))


@attack("idle, noisy and half-greeting connections to the cluster's port", plane="cluster",
        options=in_a_cluster)
def cluster_port(node, scale):
    port = int(node.options["cluster.listen"].rpartition(":")[2])

    def script(i):
        draw = random.Random(5_000_000 + i)
        if i % 4 == 0:
            yield HOLD
        elif i % 4 == 1:
            yield draw.randbytes(1000)
        else:
            yield greeting(draw) + draw.randbytes(draw.choice([0, 100, 60_000]))
        yield 2.0
    return [Flood(port, few(1500, scale), script, hosts=MANY_HOSTS)]


# -- sinks --------------------------------------------------------------------------------------------

@attack("CloudEvents with the ids that the paying client's will have", downstream="dedup")
def equal_ids(node, scale):
    def event(n):
        return post(b"another's", PAID_STREAM.encode(),
                    b"ce-specversion: 1.0\r\nce-type: t\r\nce-source: /paying\r\nce-id: %d\r\n"
                    % (n % 2000))
    return [Flood(node.http_port, few(64, scale), in_turn(event), hosts=MANY_HOSTS)]


@attack("names of streams that have no target at an http sink", downstream="names")
def sink_names(node, scale):
    return [Flood(node.http_port, few(200, scale),
                  in_turn(lambda n: post(b"{}", b"no-target-%d" % n,
                                         b"Content-Type: application/json\r\n")), hosts=MANY_HOSTS)]


def a_dead_sink():
    return {"sinks.gone.kind": "http", "sinks.gone.url": "http://127.0.0.1:9/",
            "streams.held.sinks": ["gone"], "streams.held.ack": "published",
            "streams.held.publish_timeout": "20s"}


@attack("requests that wait for a sink that is away", options=a_dead_sink)
def dead_sink(node, scale):
    data = post(b"x" * 2000, b"held") * 16

    def script(_):
        yield data
        yield HOLD
    return [Flood(node.http_port, few(600, scale), script, hosts=MANY_HOSTS)]


# -- who it is from ------------------------------------------------------------------------------------

@attack("Forwarded and X-Forwarded-For of thousands of elements, through a trusted proxy",
        options=behind_a_proxy)
def forwarded_lists(node, scale):
    lists = (b"Forwarded: " + b",".join([b"for=127.0.0.1"] * 1100) + b"\r\n",
             b"Forwarded: " + b"," * 15_000 + b"\r\n",
             b'Forwarded: for="' + b'\\"' * 7000 + b'"\r\n',
             b"X-Forwarded-For: " + b",".join([b"127.0.0.1"] * 1500) + b"\r\n",
             b"X-Forwarded-For: " + b", " * 7000 + b"\r\n")
    return [Flood(node.http_port, few(64, scale), in_turn(lambda n: post(fields=lists[n % 5])))]


@attack("a new client with each request, told by a trusted proxy",
        options=behind_a_proxy)
def many_clients(node, scale):
    def from_somewhere(n):
        address = b"2001:db8:%x:%x::1" % (n >> 16 & 0xffff, n & 0xffff)
        return post(fields=b"X-Forwarded-For: %s\r\nForwarded: for=\"[%s]\"\r\n" % (address, address))
    return [Flood(node.http_port, few(64, scale), in_turn(from_somewhere))]


@attack("cookies and Referers that are new with each request")
def many_identities(node, scale):
    def from_someone(n):
        if n % 2:
            return post(fields=b"Cookie: sid=%d; " % n + b"a=b; " * 2000 + b"\r\n")
        return post(fields=b"Referer: https://h%d.example/%s\r\n" % (n, b"p" * 8000))
    return [Flood(node.http_port, few(64, scale), in_turn(from_someone))]


@attack("keys that are none: 401, again and again", expected=frozenset({401}))
def wrong_keys(node, scale):
    return [Flood(node.http_port, few(64, scale), in_turn(
        lambda n: post(fields=b"X-Api-Key: psk_live_%032d\r\n" % n)))]


@attack("an idempotency key with each request, and repeats of those under way")
def idempotency_keys(node, scale):
    def with_key(n):
        key = b"%d" % (n if n % 4 else 0) + b"k" * 200
        return post(b"%d" % (n % 3), fields=b"Idempotency-Key: \"%s\"\r\n" % key)
    return [Flood(node.http_port, few(200, scale), in_turn(with_key), hosts=MANY_HOSTS)]


# -- everything that is malformed -----------------------------------------------------------------------

@attack("the largest JSON that is refused at its end, nested and long")
def late_errors(node, scale):
    json = b"Content-Type: application/json\r\n"
    bodies = [post(b"[" * 500_000 + b"]" * 500_000, fields=json),
              post(b"[" + b"1," * 520_000 + b"}", fields=json),
              post(b'{"a":"' + b"\\u0041" * 170_000 + b'\\ud83d"', fields=json),
              post(b'{"specversion":"1.0","id":"1","type":"t","source":"/s",'
                   + b",".join(b'"a%d":"b"' % n for n in range(60_000)) + b"}",
                   fields=b"Content-Type: application/cloudevents+json\r\n")]
    return [Flood(node.http_port, few(16, scale), in_turn(lambda n: bodies[n % 4]))]


@attack("malformed requests at random (seed 7)",
        options=behind_a_proxy)
def malformed(node, scale):
    def script(i):
        draw = random.Random(7_000_000 + i)
        yield b"".join(mutated(draw, draw.choice(SEEDS)) for _ in range(4))
        yield 0.2
    return [Flood(node.http_port, few(200, scale), script, resets=True, opens_per_s=3000,
                  hosts=MANY_HOSTS)]


@attack("malformed requests at random to the admin plane", plane="admin")
def admin_malformed(node, scale):
    seeds = [request(b"POST", b"/v1/queue/default/receive", b'{"max":1}',
                     b"Content-Type: application/json\r\n", b"127.0.0.1"),
             request(b"GET", b"/v1/admin/usage?by=ip&per=hour", b"", b"", b"127.0.0.1"),
             request(b"PUT", b"/v1/admin/plans/p", b'{"limits":[]}', b"", b"127.0.0.1"),
             b"POST /v1/admin/replay HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
             b"\r\n5;a=b\r\n{\"a\":\r\n0\r\n\r\n"]

    def script(i):
        draw = random.Random(9_000_000 + i)
        yield mutated(draw, draw.choice(seeds))
        yield 0.2
    return [Flood(node.admin_port, few(100, scale), script, resets=True, opens_per_s=2000)]
