"""librdkafka's mock cluster (kafka_mock.cpp) as a server for tests."""

import collections
import os
import shutil
import signal
import subprocess

from delivery import Server

TOPIC = "events-default"
PARTITIONS = int(os.environ.get("PENSTOCK_KAFKA_PARTITIONS", "12"))

Record = collections.namedtuple("Record", "partition key body headers")


class KafkaMock(Server):
    """The mock forgets its records with its process: kill() takes its brokers away instead."""

    program = os.environ.get("PENSTOCK_KAFKA_MOCK", "")

    def __init__(self):
        self.process = None
        self.topics = {}  # name → records read so far

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self.process = subprocess.Popen([*guard, self.program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()
        assert self.brokers, "the mock cluster did not start"
        self.make_topic(TOPIC)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()

    def ask(self, command):
        self.tell(command)
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{command}: {answer}"

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def make_topic(self, name, partitions=PARTITIONS):
        self.ask(f"topic {name} {partitions}")
        self.topics[name] = []

    def kill(self):
        self.ask("down")

    def restart(self):
        self.ask("up")

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def sink_options(self, name):
        return {f"sinks.{name}.kind": "kafka", f"sinks.{name}.brokers": self.brokers}

    def records(self, topic=TOPIC):
        """All records of a topic, those of a partition in order."""
        found = self.topics[topic]
        self.tell(f"dump {topic}")
        while True:
            words = self.process.stdout.readline().rstrip("\n").split("\t")
            if words[0].startswith("end "):
                return found
            assert not words[0].startswith("error"), words[0]
            partition, key, body, *headers = words
            found.append(Record(int(partition), key, bytes.fromhex(body), {
                name: bytes.fromhex(value).decode()
                for name, value in zip(headers[::2], headers[1::2], strict=True)}))

    def read_all(self):
        return [(r.headers["penstockid"], r.key, r.body) for r in self.records()]
