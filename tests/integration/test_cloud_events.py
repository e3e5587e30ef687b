#!/usr/bin/env python3
"""CloudEvents as the HTTP binding 1.0.2 has them, from the request to the consumer."""

import itertools
import json
import unittest

import harness
from harness import Node, body_of

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json", "Prefer": "return=representation"}


sources = itertools.count(1)
source = ""  # one a test: source and id together are what repeats are recognised by


def envelope(number, **more):
    return {"specversion": "1.0", "type": "com.example.test", "source": source, "id": f"e{number}",
            **more}


def attributes(event):
    def text(value):
        return value if isinstance(value, str) else json.dumps(value)
    return {f"ce_{k}": text(v) for k, v in event.items()
            if k not in ("data", "data_base64") and v is not None}


class CloudEvents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.close)
        cls.node.start()

    def setUp(self):
        global source
        self.stream = self.id().rsplit(".", 1)[1]
        source = f"/ü{next(sources)}"

    def refused(self, body, headers, names, status=400):
        reply = self.node.post(body, self.stream, headers)
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["content-type"], "application/problem+json")
        self.assertIn(names, reply.json()["detail"])

    # -- structured ----------------------------------------------------------------------------------

    def test_structured(self):
        event = envelope(1, subject="größe", time="2024-02-29T12:00:00Z", count=5, flag=True, gone=None,
                         datacontenttype="application/json", data={"a": [1, None, "ü"]})
        body = json.dumps(event, indent=2).encode()
        reply = self.node.post(body, self.stream, STRUCTURED)
        self.assertEqual(reply.status, 202, reply)
        message, = self.node.drain_queue(self.stream)
        self.assertEqual(message["id"], reply.json()["id"])
        self.assertEqual(body_of(message), body)
        self.assertEqual(message["content_type"], "application/cloudevents+json")
        self.assertEqual(message["attributes"], attributes(event))

    def test_structured_in_pieces(self):
        body = json.dumps(envelope(1, data="x" * 200_000)).encode()
        with self.node.client() as client:
            head = harness.request_bytes("POST", f"/v1/events/{self.stream}", b"",
                                         {**STRUCTURED, "Content-Length": str(len(body))})
            client.send(head)
            client.send(body[:70_000])
            client.send(body[70_000:])
            self.assertEqual(client.read().status, 202)
        message, = self.node.drain_queue(self.stream)
        self.assertEqual(body_of(message), body)

    def test_structured_errors_name_the_attribute(self):
        for missing in ("id", "source", "type", "specversion"):
            event = envelope(1)
            del event[missing]
            self.refused(json.dumps(event), STRUCTURED, f'"{missing}"')
        self.refused(json.dumps(envelope(1, specversion="0.3")), STRUCTURED, '"specversion"')
        self.refused(json.dumps(envelope(1, under_score="x")), STRUCTURED, "under_score")
        self.refused(json.dumps(envelope(1, time="noon")), STRUCTURED, '"time"')
        self.refused(json.dumps(envelope(1, data=1, data_base64="AA==")), STRUCTURED, "data_base64")
        self.refused(b'{"id":', STRUCTURED, "JSON")
        self.refused(b"[]", STRUCTURED, "object")
        self.assertEqual(self.node.receive(self.stream), [])

    def test_other_formats(self):
        for kind in ("+avro", "+xml", "-batch+avro", "+protobuf"):
            self.refused(b"x", {"Content-Type": f"application/cloudevents{kind}"}, "CloudEvents", 415)

    # -- batched -------------------------------------------------------------------------------------

    def test_batch(self):
        events = [envelope(n, data={"n": n}, note=f"number {n}") for n in range(3)]
        slices = [json.dumps(events[0]), json.dumps(events[1], indent=1),
                  json.dumps(events[2], ensure_ascii=False)]
        reply = self.node.post((" [" + " ,\n".join(slices) + " ] ").encode(), self.stream, BATCH)
        self.assertEqual(reply.status, 202, reply)
        answer = reply.json()
        self.assertEqual((answer["accepted"], answer["rejected"], answer["errors"]), (3, 0, []))
        messages = self.node.drain_queue(self.stream)
        self.assertEqual([m["id"] for m in messages], answer["ids"])
        self.assertEqual([answer["first_id"], answer["last_id"]], [answer["ids"][0], answer["ids"][2]])
        self.assertEqual([body_of(m) for m in messages], [s.encode() for s in slices])
        self.assertEqual([m["attributes"] for m in messages], [attributes(e) for e in events])
        self.assertEqual({m["content_type"] for m in messages}, {"application/cloudevents+json"})

    def test_batch_in_part(self):
        good = json.dumps(envelope(1))
        reply = self.node.post(f'[{good},{{"id":"x"}},7,{json.dumps(envelope(2))}]', self.stream, BATCH)
        self.assertEqual(reply.status, 202, reply)
        answer = reply.json()
        self.assertEqual((answer["accepted"], answer["rejected"]), (2, 2))
        self.assertEqual([(e["index"], e["status"]) for e in answer["errors"]], [(1, 400), (2, 400)])
        self.assertIn("specversion", answer["errors"][0]["detail"])
        self.assertEqual([i is None for i in answer["ids"]], [False, True, True, False])
        self.assertEqual(len(self.node.drain_queue(self.stream)), 2)

    def test_batch_of_none(self):
        reply = self.node.post(b"[]", self.stream, {"Content-Type": BATCH["Content-Type"]})
        self.assertEqual(reply.status, 202, reply)
        self.assertEqual(reply.json(), {"accepted": 0, "rejected": 0, "errors": []})
        self.refused(b"{}", BATCH, "array")
        self.refused(b"[", BATCH, "JSON")
        reply = self.node.post(b"[1]", self.stream, BATCH)
        self.assertEqual(reply.status, 400, reply)
        self.assertEqual(reply.json()["errors"][0]["index"], 0)

    def test_batch_too_many(self):
        body = ("[" + ",".join(json.dumps(envelope(n)) for n in range(10_001)) + "]")
        self.refused(body, BATCH, "10000", 413)

    # -- binary --------------------------------------------------------------------------------------

    def test_binary(self):
        headers = {"CE-SpecVersion": "1.0", "ce-type": "com.example.test", "ce-source": "/tests/%C3%BC",
                   "ce-id": "b1", "ce-subject": '"quoted \\"words\\""', "ce-note": "100%25",
                   "Content-Type": "application/vnd.test"}
        body = bytes(range(256))
        self.assertEqual(self.node.post(body, self.stream, headers).status, 202)
        message, = self.node.drain_queue(self.stream)
        self.assertEqual(body_of(message), body)
        self.assertEqual(message["content_type"], "application/vnd.test")
        self.assertEqual(message["attributes"], {
            "ce_specversion": "1.0", "ce_type": "com.example.test", "ce_source": "/tests/ü",
            "ce_id": "b1", "ce_subject": 'quoted "words"', "ce_note": "100%"})

    def test_binary_with_traces_in_pieces_and_without_data(self):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        base = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "s", "traceparent": parent}
        with self.node.client() as client:
            client.send(harness.request_bytes("POST", f"/v1/events/{self.stream}", b"",
                                              {**base, "ce-id": "1", "Content-Length": "100000"}))
            client.send(b"x" * 50_000)
            client.send(b"y" * 50_000)
            self.assertEqual(client.read().status, 202)
            reply = client.post(b"", self.stream,
                                {**base, "ce-id": "2", "Content-Type": "application/json"})
            self.assertEqual(reply.status, 202, reply)
        first, second = self.node.drain_queue(self.stream)
        self.assertEqual(body_of(first), b"x" * 50_000 + b"y" * 50_000)
        self.assertEqual(first["attributes"], {"traceparent": parent, "ce_specversion": "1.0",
                                               "ce_type": "t", "ce_source": "s", "ce_id": "1"})
        self.assertEqual(body_of(second), b"")

    def test_binary_errors(self):
        base = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "s", "ce-id": "i"}
        self.refused(b"x", {"ce-id": "1"}, '"specversion"')
        self.refused(b"x", {**base, "ce-subject": "%C0%A0"}, '"subject"')
        self.refused(b"x", {**base, "ce-datacontenttype": "a/b"}, "Content-Type")
        self.refused(b"x", [*base.items(), ("ce-id", "again")], '"id"')
        self.refused(b"{", {**base, "Content-Type": "application/json"}, "JSON")


if __name__ == "__main__":
    harness.main()
