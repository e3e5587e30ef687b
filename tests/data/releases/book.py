"""What a release's node was made to promise, and the two files that keep it: a packed directory, and
JSON that says what must be true of it."""

import hashlib
import io
import json
import lzma
import subprocess
import tarfile
import threading
import time

import harness
from harness import body_of, wait_for

MAX_ARCHIVE_BYTES = 300 << 10
TEXT, JSON, BYTES = "text/plain", "application/json", "application/octet-stream"
NDJSON, CLOUD = "application/x-ndjson", "application/cloudevents+json"


def now_ms():
    return int(time.time() * 1000)


def digest(body):
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def sink_id(event):
    """The id that this node gave an event that went to a sink."""
    return event.get("penstockid", event["id"])


def pack(data_dir, target):
    """The same bytes for the same files. The reserves hold nothing and are made again."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(data_dir.rglob("*")):
            if path.suffix == ".reserve":
                continue
            entry = tarfile.TarInfo(str(path.relative_to(data_dir)))
            entry.mode = path.stat().st_mode & 0o777
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                content = path.read_bytes()
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    target.write_bytes(lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    size = target.stat().st_size
    assert size <= MAX_ARCHIVE_BYTES, f"{target} has {size} bytes"
    return size


class Book:
    """What clients were promised, in the form that the JSON has."""

    def __init__(self, node):
        self.node = node
        self.lock = threading.Lock()
        self.requests = 0
        self.facts = {"options": dict(node.options), "streams": {}, "acked": {}, "keyed": []}
        for key in [k for k in self.facts["options"]
                    if k.endswith((".listen", ".data_dir", ".url"))]:
            del self.facts["options"][key]

    def note(self, stream, ids, content_type, bodies, attributes):
        with self.lock:
            self.facts["streams"].setdefault(stream, []).extend(
                [one, content_type, digest(body), attributes]
                for one, body in zip(ids, bodies, strict=True))

    def send(self, stream, body, content_type=TEXT, headers=(), client=None, attributes=None):
        """One event, or one a line; each is noted when it is promised. Gives the answer."""
        fields = {"Content-Type": content_type, "Prefer": "return=representation", **dict(headers)}
        reply = (client or self.node).post(body, stream, fields)
        self.requests += 1
        if reply.status != 202:
            return reply
        answer = reply.json()
        if attributes is None:
            attributes = {k: v for k, v in fields.items() if k == "traceparent"}
        if content_type == NDJSON:
            self.note(stream, answer["ids"], JSON, body.splitlines(), attributes)
        else:
            self.note(stream, [answer["id"]], content_type, [body], attributes)
        return reply

    def send_keyed(self, stream, key, body, content_type=TEXT, **more):
        """With an idempotency key; the request and its answer are noted, too."""
        headers = {"Idempotency-Key": f'"{key}"'} if key else {}
        reply = self.send(stream, body, content_type, headers, **more)
        assert reply.status == 202, reply
        with self.lock:
            self.facts["keyed"].append({
                "stream": stream, "content_type": content_type, "key": key,
                "body": body.decode(), "status": reply.status, "answer": reply.json()})
        return reply

    def ack(self, stream, messages):
        self.node.settle(stream, messages)
        with self.lock:
            self.facts["acked"].setdefault(stream, []).extend(m["id"] for m in messages)

    def check_own(self, streams):
        """The release itself must deliver what is written down; it gives all back."""
        for stream in streams:
            messages = []
            while batch := self.node.receive(stream, 1000):
                messages += batch
            acked = set(self.facts["acked"].get(stream, []))
            found = [[m["id"], m["content_type"], digest(body_of(m)),
                      m["attributes"]] for m in messages]
            wanted = [e for e in self.facts["streams"][stream] if e[0] not in acked]
            assert found == wanted, (stream, found[:3], wanted[:3])
            self.node.settle(stream, messages, "nack")

    def usage_of(self, by):
        reply = self.node.admin("GET", f"/v1/admin/usage?by={by}&per=month&top=1000").json()
        return {"total": reply["total"], "top": reply["top"]}

    def note_usage(self):
        wait_for(lambda: self.usage_of("ip")["total"]["requests"] == self.requests,
                 "all requests are counted")
        self.facts["usage"] = {by: self.usage_of(by)
                               for by in ("account", "key", "ip", "referer", "stream")}

    def finish(self, folder, name):
        """Stops the node and writes both files."""
        node = self.node
        if node.process.poll() is None:
            assert node.stop() == 0, node.log()
        self.facts["program"] = subprocess.run([harness.binary, "version"], capture_output=True,
                                               text=True, check=True).stdout.strip()
        self.facts["stopped_ms"] = now_ms()
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
                           for key, value in sorted(self.facts.items()))
        (folder / f"{name}.json").write_text("{\n" + lines + "\n}\n")
        size = pack(node.data_dir, folder / f"{name}.tar.xz")
        events = sum(map(len, self.facts["streams"].values()))
        print(f"{name}: {events} events promised, {size} bytes packed")
