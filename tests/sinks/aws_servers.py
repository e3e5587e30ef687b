"""Emulators of AWS services for tests: kinesalite and fauxqs from npm, on 127.0.0.1 and in memory,
each behind a fault proxy that stands for the server: it is what is killed and frozen, as the
emulator would forget all with its process.

fauxqs 1.9.2 asks for Node 20 and also runs on Debian 12's 18.19; its later versions ask for 22.5."""

import collections
import fcntl
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

import delivery
from harness import free_port, wait_for

HERE = pathlib.Path(__file__).resolve().parent
NPM_DIR = HERE.parent.parent / "build" / "npm"
INSTALL_S = 300
REUSE_S = 2  # of a connection; the emulators close one after 5 s without a request
REGION = "eu-west-1"
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]  # nodes shall not see what the tester has
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a/secret+of=tests"}


def install():
    """Installs the emulators into build/npm unless they are there; one test at a time. Skips the
    test where that is not possible."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise unittest.SkipTest("node and npm are needed to run the AWS emulators")
    NPM_DIR.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "servers" / "package.json").read_text()
    installed = NPM_DIR / "installed"
    with open(NPM_DIR / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text() == wanted:
            return
        (NPM_DIR / "package.json").write_text(wanted)
        try:
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=NPM_DIR,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            raise unittest.SkipTest(f"npm install took more than {INSTALL_S} s") from None
        if done.returncode != 0:
            raise unittest.SkipTest("npm could not install the AWS emulators:\n"
                                    + done.stdout.decode(errors="replace")[-1000:])
        installed.write_text(wanted)


class Emulator(delivery.ProcessServer):
    """The npm package's process."""

    def __init__(self, script):
        super().__init__()
        self.script, self.port = script, free_port()

    def command(self):
        return ["node", str(HERE / "servers" / self.script), str(NPM_DIR), str(self.port)]

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        return True


class AwsServer(delivery.ProcessServer):
    """The fault proxy before an emulator. A subclass names service, script and call prefix."""

    service = script = target = content_type = None

    def __init__(self, session_token=""):
        super().__init__()
        install()
        self.port = free_port()
        self.session_token = session_token
        self.counts = collections.Counter()
        self.credentials = self.folder / "credentials"
        self.write_credentials(KEYS)
        self.emulator = Emulator(self.script)
        self.emulator.start()
        self.reader = http.client.HTTPConnection("127.0.0.1", self.emulator.port, timeout=30)
        self.asked = 0

    def write_credentials(self, keys):
        lines = [f"{name.lower()} = {value}" for name, value in keys.items()]
        self.credentials.write_text("\n".join(["[default]", *lines, ""]))

    def sink_options(self, name):
        return {f"sinks.{name}.{key}": value for key, value in {
            "kind": self.service, "region": REGION, "endpoint": self.endpoint,
            "credentials_file": str(self.credentials)}.items()}

    def command(self):
        return [sys.executable, "-B", str(HERE / "fault_proxy.py"), str(self.port),
                str(self.emulator.port), self.service, REGION, KEYS["AWS_ACCESS_KEY_ID"],
                KEYS["AWS_SECRET_ACCESS_KEY"], self.session_token]

    def is_ready(self):
        return "requests" in self.state()

    def kill(self):
        if self.process.poll() is None:
            self.counts.update({k: v for k, v in self.state().items() if isinstance(v, int)})
        super().kill()

    def counted(self, what):
        """Requests that a fault befell, over all lives of the proxy."""
        return self.counts[what] + self.state().get(what, 0)

    def stop(self):
        if self.process and self.process.poll() is None:
            super().kill()
        super().stop()
        self.reader.close()
        self.emulator.stop()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    # -- the proxy ---------------------------------------------------------------------------------

    def command_proxy(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body or {}).encode())
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def state(self):
        return self.command_proxy("GET", "/-/state")

    def fault(self, kind, **more):
        self.command_proxy("POST", "/-/faults", {"kind": kind, **more})

    def end_faults(self):
        self.command_proxy("DELETE", "/-/faults")

    # -- the emulator ------------------------------------------------------------------------------

    def ask(self, action, **members):
        """A call of the service's API, past the proxy."""
        if time.monotonic() - self.asked > REUSE_S:
            self.reader.close()  # opened again by the next request
        self.asked = time.monotonic()
        headers = {
            "Content-Type": self.content_type, "X-Amz-Target": f"{self.target}.{action}",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/{self.service}/"
                             "aws4_request, SignedHeaders=host, Signature=0"}
        self.reader.request("POST", "/", json.dumps(members).encode(), headers)
        reply = self.reader.getresponse()
        body = reply.read()
        assert reply.status == 200, (action, reply.status, body)
        return json.loads(body) if body else {}


# -- faults of a schedule: functions of (exercise, seconds) ------------------------------------------

def throttling(run, seconds):
    run.server.fault("throttle", for_s=seconds)


def errors_503(run, seconds):
    run.server.fault("status", status=503, for_s=seconds)


def partial_failures(run, seconds):
    run.server.fault("partial", for_s=seconds, share=0.5)


def lost_answers(run, seconds):
    run.server.fault("lose_answer", for_s=seconds, share=0.3)


SCHEDULE = [
    (0.05, throttling, 1.0),
    (0.15, "kill_server", 0.5),
    (0.25, partial_failures, 2.0),
    (0.35, lost_answers, 2.0),
    (0.45, "kill_node", 0),
    (0.55, errors_503, 1.0),
    (0.65, "freeze_server_and_kill_node", 0.5),
    (0.75, "freeze_server", 2.5),
    (0.85, partial_failures, 2.0),
]


class KinesisServer(AwsServer):
    service, script, target = "kinesis", "kinesalite.js", "Kinesis_20131202"
    content_type = "application/x-amz-json-1.1"
    shards = 3

    def __init__(self, **more):
        super().__init__(**more)
        self.ask("CreateStream", StreamName="events", ShardCount=self.shards)
        wait_for(lambda: self.describe()["StreamStatus"] == "ACTIVE", "the stream is there")
        self.iterators = [
            self.ask("GetShardIterator", StreamName="events", ShardId=shard["ShardId"],
                     ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            for shard in self.describe()["Shards"]]
        self.read = []  # (shard, record)

    def describe(self):
        return self.ask("DescribeStream", StreamName="events")["StreamDescription"]

    def sink_options(self, name):
        return {**super().sink_options(name), f"sinks.{name}.stream": "events"}

    def read_records(self):
        for shard, iterator in enumerate(self.iterators):
            while True:
                page = self.ask("GetRecords", ShardIterator=iterator, Limit=10_000)
                self.read += [(shard, record) for record in page["Records"]]
                iterator = page["NextShardIterator"]
                if not page["Records"]:
                    break
            self.iterators[shard] = iterator
        return self.read


class SqsServer(AwsServer):
    service, script, target = "sqs", "fauxqs.js", "AmazonSQS"
    content_type = "application/x-amz-json-1.0"
    queue = "events"

    def __init__(self, attributes=None, **more):
        super().__init__(**more)
        self.queue_url = self.ask("CreateQueue", QueueName=self.queue,
                                  Attributes=attributes or {})["QueueUrl"]
        self.read = []

    def sink_options(self, name):
        return {**super().sink_options(name), f"sinks.{name}.queue_url": self.queue_url}

    def read_messages(self):
        """All that were sent so far, as they were received."""
        while True:
            found = self.ask("ReceiveMessage", QueueUrl=self.queue_url, MaxNumberOfMessages=10,
                             AttributeNames=["All"]).get("Messages", [])
            if not found:
                return self.read
            self.read += found
            self.ask("DeleteMessageBatch", QueueUrl=self.queue_url, Entries=[
                {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(found)])


class FifoServer(SqsServer):
    queue = "events.fifo"

    def __init__(self, **more):
        super().__init__(attributes={"FifoQueue": "true"}, **more)
