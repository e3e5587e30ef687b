#!/usr/bin/env python3
"""Stands before an AWS emulator, which accepts any signature and never fails, and does both: it
checks each request's signature (SigV4) by recomputing it, and fails requests on command.

    fault_proxy.py LISTEN_PORT UPSTREAM_PORT SERVICE REGION KEY_ID SECRET [SESSION_TOKEN]

`POST /-/faults` adds a fault, a JSON object; `DELETE /-/faults` ends all; `GET /-/state` counts.
  kind     "status": answers {"status", "headers", "body"} without asking the emulator
           "throttle": the service's own error for too many requests
           "partial": forwards only every other entry, and says that the others failed
           "delay": answers `pause_s` late
           "cut": closes the connection without forwarding
           "lose_answer": forwards, then closes the connection
  count    of requests that it befalls; 0 or none: all
  share    of requests that it befalls, 0 to 1; at random
  for_s    how long it lasts
"""

import hashlib
import hmac
import http.client
import http.server
import json
import random
import re
import sys
import threading
import time

UPSTREAM_TIMEOUT_S = 30.0
MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-target", "content-type"}
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})")


def hashed(data):
    return hashlib.sha256(data).hexdigest()


def signed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def why_not_signed(headers, body, expected):
    """What is wrong with the signature of a `POST /`; None if nothing is. `headers` have lower-case
    names; `expected` has service, region, key_id, secret, session_token."""
    found = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        return "Authorization is " + headers.get("authorization", "missing")
    key_id, day, region, service, names, signature = found.groups()
    if (key_id, region, service) != (expected["key_id"], expected["region"], expected["service"]):
        return f"signed by {key_id} for {service} in {region}"
    names = names.split(";")
    if names != sorted(names):
        return f"SignedHeaders are not sorted: {names}"
    due = MUST_BE_SIGNED | ({"x-amz-security-token"} if expected["session_token"] else set())
    if not due <= set(names):
        return f"not signed: {sorted(due - set(names))}"
    if headers.get("x-amz-security-token", "") != expected["session_token"]:
        return "another session token"
    if any(name not in headers for name in names):
        return f"signed but not sent: {[n for n in names if n not in headers]}"
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    canonical = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{hashed(body)}"
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashed(canonical.encode())}"
    key = ("AWS4" + expected["secret"]).encode()
    for part in (day, region, service, "aws4_request"):
        key = signed(key, part)
    return None if signed(key, text).hex() == signature else "the signature is another"


class State:
    def __init__(self):
        self.mutex = threading.Lock()
        self.faults = []
        self.counts = {"requests": 0, "entries": 0, "connections": 0, "bad_signatures": 0}
        self.bad_signature = None
        self.chance = random.Random(7)

    def next_fault(self):
        now = time.monotonic()
        with self.mutex:
            self.counts["requests"] += 1
            for fault in list(self.faults):
                if now > fault["until"] or fault["left"] == 0:
                    self.faults.remove(fault)
                elif self.chance.random() < fault.get("share", 1):
                    fault["left"] -= 1
                    kind = fault["kind"]
                    self.counts[kind] = self.counts.get(kind, 0) + 1
                    return fault
        return {"kind": "none"}

    def add(self, fault):
        fault["until"] = time.monotonic() + fault.get("for_s", 1e9)
        fault["left"] = fault.get("count", 0) or -1
        with self.mutex:
            self.faults.append(fault)


THROTTLED = {
    "kinesis": {"__type": "ProvisionedThroughputExceededException",
                "message": "Rate exceeded for shard shardId-000000000000 in stream events."},
    "sqs": {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Rate exceeded"},
}
ENTRIES = {"kinesis": "Records", "sqs": "Entries"}


def merged(service, document, kept, answer):
    """The emulator's answer for the entries at the indexes `kept`, with the others as failed."""
    if service == "kinesis":
        records = [{"ErrorCode": "ProvisionedThroughputExceededException",
                    "ErrorMessage": "Rate exceeded for shard shardId-000000000000 in stream events."}
                   if i % 4 == 1 else
                   {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."}
                   for i in range(len(document["Records"]))]
        for index, record in zip(kept, answer["Records"]):
            records[index] = record
        failed = sum("ErrorCode" in record for record in records)
        return {"FailedRecordCount": failed, "Records": records}
    left = [e for i, e in enumerate(document["Entries"]) if i not in kept]
    answer["Failed"] = answer.get("Failed", []) + [
        {"Id": e["Id"], "SenderFault": False, "Code": "InternalError", "Message": "injected"}
        if i % 2 else {"Id": e["Id"], "SenderFault": True, "Code": "RequestThrottled"}
        for i, e in enumerate(left)]
    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.upstream = None
        with state.mutex:
            state.counts["connections"] += 1

    def finish(self):
        if self.upstream:
            self.upstream.close()
        super().finish()

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write("\r\n".join(lines + ["", ""]).encode() + data)

    def do_GET(self):
        with state.mutex:
            self.answer(200, {**state.counts, "bad_signature": state.bad_signature})

    def do_DELETE(self):
        with state.mutex:
            state.faults.clear()
        self.answer(200, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/-/faults":
            state.add(json.loads(body))
            return self.answer(200, {})
        headers = {name.lower(): value for name, value in self.headers.items()}
        wrong = why_not_signed(headers, body, expected)
        if wrong:
            with state.mutex:
                state.counts["bad_signatures"] += 1
                state.bad_signature = wrong
            return self.answer(403, {"__type": "InvalidSignatureException", "message": wrong})
        return self.befall(state.next_fault(), body)

    def befall(self, fault, body):
        kind = fault["kind"]
        if kind == "cut":
            self.close_connection = True
        elif kind == "status":
            self.answer(fault["status"], fault.get("body", {}), fault.get("headers"))
        elif kind == "throttle":
            self.answer(400, THROTTLED[expected["service"]])
        elif kind == "partial":
            self.forward_in_part(body)
        else:
            if kind == "delay":
                time.sleep(fault["pause_s"])
            status, data = self.forward(body)
            if kind == "lose_answer":
                self.close_connection = True
            else:
                self.answer(status, data)

    def forward_in_part(self, body):
        document = json.loads(body)
        entries = document[ENTRIES[expected["service"]]]
        kept = list(range(0, len(entries), 2))
        part = {**document, ENTRIES[expected["service"]]: [entries[i] for i in kept]}
        status, data = self.forward(json.dumps(part).encode())
        if status == 200:
            data = merged(expected["service"], document, kept, json.loads(data))
        self.answer(status, data)

    def forward(self, body):
        names = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization")
        headers = {name: self.headers[name] for name in names}
        if not self.upstream:
            self.upstream = http.client.HTTPConnection("127.0.0.1", upstream_port,
                                                       timeout=UPSTREAM_TIMEOUT_S)
        self.upstream.request("POST", "/", body, headers)
        reply = self.upstream.getresponse()
        return reply.status, reply.read()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    listen_port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    expected = dict(zip(("service", "region", "key_id", "secret", "session_token"),
                        [*sys.argv[3:], ""]))
    state = State()
    Server(("127.0.0.1", listen_port), Handler).serve_forever()
