#!/usr/bin/env python3
"""Throughput of the http, kinesis and sqs sinks beside a plain client that sends the same requests,
made beforehand, to the same server, in turns: four lanes and connections for http, one each for the
emulators of kinesis and sqs, which do one thing at a time.

    request_bench.py SINK_DRIVE PENSTOCK [http|kinesis|sqs|fifo]…
"""

import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests" / "sinks"), str(ROOT / "tests" / "integration")]

import aws_servers  # noqa: E402
import harness  # noqa: E402

ROUNDS = 5
HTTP_LANES = 4
BODY_BYTES = 300
TAG = "benchtag"


def body():
    return '{"text":"' + "x" * (BODY_BYTES - 11) + '"}'


def cloud_event(number):
    return (f'{{"specversion":"1.0","id":"{number:016x}-{TAG}","source":"/penstock/bench",'
            '"type":"penstock.bench","time":"2023-11-14T22:13:20.000Z",'
            f'"partitionkey":"{number:016x}","datacontenttype":"application/json",'
            f'"data":{body()}}}')


def plain_client(port, path, headers, requests, name=0):
    """Events a second, where `requests` are (body, number of events)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began = time.monotonic()
    for number, (data, _) in enumerate(requests):
        is_ndjson = "ndjson" in headers["Content-Type"]
        key = {"Idempotency-Key": f"{path}-{name}-{number}"} if is_ndjson else {}
        connection.request("POST", path, data, {**headers, **key})
        reply = connection.getresponse()
        answer = reply.read()
        assert reply.status in (200, 202), (reply.status, answer[:300])
    took = time.monotonic() - began
    connection.close()
    return sum(count for _, count in requests) / took


def plain_clients(count, port, path, headers, requests):
    """The same of several at a time, each with a connection and a share of the requests."""
    shares = [requests[number::count] for number in range(count)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda number: plain_client(port, path, headers, shares[number], number),
                      range(count)))
    return sum(events for _, events in requests) / (time.monotonic() - began)


def our_sink(program, events, batch, *options, lanes=1):
    done = subprocess.run([program, str(events), str(BODY_BYTES), str(lanes), str(batch), *options],
                          env={**os.environ, **aws_servers.KEYS}, stdout=subprocess.PIPE, check=True,
                          timeout=300)
    return json.loads(done.stdout)["events_per_s"]


def aws_headers(server, action):
    return {"Content-Type": server.content_type, "X-Amz-Target": f"{server.target}.{action}",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=x/20260101/{aws_servers.REGION}/"
                             f"{server.service}/aws4_request, SignedHeaders=host, Signature=0"}


def compare(name, unit_events, plain, ours):
    """Rounds in turn; prints the medians."""
    plains, sinks = [], []
    for round_number in range(ROUNDS):
        plains.append(plain(round_number))
        sinks.append(ours(round_number))
    ratio = statistics.median(o / p for o, p in zip(sinks, plains))
    print(f"{name:28} {unit_events:5} events a request: plain client "
          f"{statistics.median(plains):8.0f}/s, sink {statistics.median(sinks):8.0f}/s, "
          f"ratio {ratio:.2f} ({min(o / p for o, p in zip(sinks, plains)):.2f} to "
          f"{max(o / p for o, p in zip(sinks, plains)):.2f})")


def kinesis(program):
    events, batch = 5000, 500
    with aws_servers.KinesisServer() as server:
        def plain(round_number):
            requests = [(json.dumps({"StreamName": "events", "Records": [
                {"Data": base64.b64encode(cloud_event(first + n).encode()).decode(),
                 "PartitionKey": f"{(first + n) * 0x9e3779b97f4a7c15 % 2**64:016x}"}
                for n in range(batch)]}).encode(), batch) for first in range(0, events, batch)]
            return plain_client(server.emulator.port, "/", aws_headers(server, "PutRecords"), requests)
        endpoint = f"endpoint=http://127.0.0.1:{server.emulator.port}"
        compare("kinesis (kinesalite)", batch, plain, lambda _: our_sink(
            program, events, batch, "kind=kinesis", "stream=events",
            f"region={aws_servers.REGION}", endpoint))


def sqs(program, fifo=False):
    events, batch = 5000, 10
    numbers = iter(range(10**9, 2 * 10**9))
    with (aws_servers.FifoServer() if fifo else aws_servers.SqsServer()) as server:
        def entry(place):
            number = next(numbers)
            group = {"MessageGroupId": f"{number:016x}",
                     "MessageDeduplicationId": f"{number:016x}-plain"} if fifo else {}
            return {"Id": str(place), "MessageBody": cloud_event(number), **group}

        def plain(_):
            requests = [(json.dumps({"QueueUrl": server.queue_url,
                                     "Entries": [entry(i) for i in range(batch)]}).encode(), batch)
                        for _ in range(events // batch)]
            return plain_client(server.emulator.port, "/", aws_headers(server, "SendMessageBatch"),
                                requests)
        def ours(round_number):
            # Its ids are the same each time, so it gets a queue that has not seen them.
            name = f"ours{round_number}" + (".fifo" if fifo else "")
            queue_url = server.ask("CreateQueue", QueueName=name, Attributes=(
                {"FifoQueue": "true"} if fifo else {}))["QueueUrl"]
            return our_sink(program, events, 100, "kind=sqs", f"queue_url={queue_url}",
                            f"region={aws_servers.REGION}",
                            f"endpoint=http://127.0.0.1:{server.emulator.port}")
        compare("sqs FIFO (fauxqs)" if fifo else "sqs standard (fauxqs)", batch, plain, ours)


def into_a_node(program, form):
    events, batch = 200_000, 1000
    joined = {"ndjson": lambda numbers: "\n".join(body() for _ in numbers),
              "cloudevents-batch": lambda numbers: "[" + ",".join(map(cloud_event, numbers)) + "]"}
    kinds = {"ndjson": "application/x-ndjson",
             "cloudevents-batch": "application/cloudevents-batch+json"}
    with harness.Node({"idempotency.max_keys": 2_000_000}) as node:
        url = f"http://127.0.0.1:{node.http_port}/v1/events/"

        def plain(round_number):
            start = (1 + round_number) * 10**9
            requests = [(joined[form](range(start + first, start + first + batch)).encode(), batch)
                        for first in range(0, events, batch)]
            return plain_clients(HTTP_LANES, node.http_port, f"/v1/events/plain{round_number}",
                                 {"Content-Type": kinds[form]}, requests)
        compare(f"http {form}", batch, plain, lambda round_number: our_sink(
            program, events, batch, "kind=http", f"url={url}ours{round_number}", f"format={form}",
            f"tag=benchta{round_number}", lanes=HTTP_LANES))  # by its id the node knows what it has


if __name__ == "__main__":
    bench, harness.binary = sys.argv[1:3]
    wanted = sys.argv[3:] or ["http", "kinesis", "sqs", "fifo"]
    if "http" in wanted:
        into_a_node(bench, "ndjson")
        into_a_node(bench, "cloudevents-batch")
    if "kinesis" in wanted:
        kinesis(bench)
    if "sqs" in wanted:
        sqs(bench)
    if "fifo" in wanted:
        sqs(bench, fifo=True)
