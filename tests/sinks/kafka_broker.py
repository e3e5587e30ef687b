#!/usr/bin/env python3
"""A Kafka broker for tests of producers, as strict as a real one where the mock cluster is not: it
checks the sequence numbers of idempotent producers, keeps records and producers over SIGKILL, can
speak TLS and ask for a login, and refuses batches with a record that holds b"poison".

    kafka_broker.py PORT DATA_FILE PARTITIONS [CERT_FILE KEY_FILE CA_FILE] [USER PASSWORD]

Any topic exists. Records are read from DATA_FILE with read_records(); there is no Fetch."""

import collections
import socketserver
import ssl
import struct
import sys
import threading

PRODUCE, FETCH, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = (
    0, 1, 3, 17, 18, 22, 36)
VERSIONS = {PRODUCE: (0, 3), FETCH: (0, 4), METADATA: (0, 2), SASL_HANDSHAKE: (0, 1),
            API_VERSIONS: (0, 2), INIT_PRODUCER_ID: (0, 0), SASL_AUTHENTICATE: (0, 0)}
UNSUPPORTED_VERSION, OUT_OF_ORDER, INVALID_EPOCH, BAD_LOGIN, INVALID_RECORD = 35, 45, 47, 58, 87
BROKER_ID = 1
REMEMBERED_BATCHES = 5  # of a producer in a partition, as Kafka does
ENTRY = struct.Struct(">HII")  # topic's length, partition, batch's length

Record = collections.namedtuple("Record", "topic partition key body headers")


class Reader:
    """Takes a request apart."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        size = self.number("h")
        return None if size < 0 else self.take(size).decode()

    def varint(self):
        shift = value = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return (value >> 1) ^ -(value & 1)
            shift += 7

    def blob(self):
        return self.take(max(0, self.varint()))


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def batch_records(topic, partition, batch):
    """The records of one batch, which must not be compressed."""
    count, = struct.unpack_from(">i", batch, 57)
    reader = Reader(batch)
    reader.at = 61
    for _ in range(count):
        end = reader.varint() + reader.at
        reader.take(1)
        reader.varint()
        reader.varint()
        key, body = reader.blob(), reader.blob()
        headers = {reader.blob().decode(): reader.blob().decode() for _ in range(reader.varint())}
        assert reader.at == end
        yield Record(topic, partition, key.decode(), body, headers)


def read_batches(path, offset=0):
    """(topic, partition, batch, where the next one begins) for each whole batch of a data file."""
    with open(path, "rb") as file:
        file.seek(offset)
        while len(head := file.read(ENTRY.size)) == ENTRY.size:
            name_size, partition, size = ENTRY.unpack(head)
            name, batch = file.read(name_size), file.read(size)
            if len(batch) < size:
                return
            offset += ENTRY.size + name_size + size
            yield name.decode(), partition, batch, offset


class Log:
    """What the broker has, by topic and partition."""

    def __init__(self, path):
        self.mutex = threading.Lock()
        self.producers = {}  # (topic, partition, producer) → [epoch, next sequence, latest batches]
        self.next_producer = 1
        whole = 0
        try:
            for topic, partition, batch, whole in read_batches(path):
                self.note(topic, partition, batch)
        except FileNotFoundError:
            pass
        self.file = open(path, "ab", buffering=0)
        self.file.truncate(whole)

    def note(self, topic, partition, batch):
        producer, epoch, first, count = struct.unpack_from(">qhii", batch, 43)
        state = self.producers.setdefault((topic, partition, producer),
                                          [epoch, 0, collections.deque(maxlen=REMEMBERED_BATCHES)])
        if state[0] != epoch:
            state[0] = epoch
            state[2].clear()
        state[1] = first + count
        state[2].append((first, count))
        self.next_producer = max(self.next_producer, producer + 1)

    def append(self, topic, partition, batch):
        """Kafka's rule for idempotent producers. The error's number."""
        producer, epoch, first, count = struct.unpack_from(">qhii", batch, 43)
        with self.mutex:
            known_epoch, expected, latest = self.producers.get((topic, partition, producer),
                                                               (epoch, 0, ()))
            if epoch < known_epoch:
                return INVALID_EPOCH
            if epoch == known_epoch and (first, count) in latest:
                return 0
            if first != (expected if epoch == known_epoch else 0):
                return OUT_OF_ORDER
            if b"poison" in batch:
                return INVALID_RECORD
            name = topic.encode()
            self.file.write(ENTRY.pack(len(name), partition, len(batch)) + name + batch)
            self.note(topic, partition, batch)
            return 0

    def new_producer(self):
        with self.mutex:
            self.next_producer += 1
            return self.next_producer - 1


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        server = self.server
        self.logged_in = server.login is None
        try:
            if server.tls:
                self.request = server.tls.wrap_socket(self.request, server_side=True)
            file = self.request.makefile("rb")
            while len(size := file.read(4)) == 4:
                reader = Reader(file.read(struct.unpack(">i", size)[0]))
                api, version, number = (reader.number(f) for f in "hhi")
                reader.string()  # the client's name
                answer = self.answer(api, version, reader)
                if answer is None:
                    return
                self.request.sendall(struct.pack(">ii", 4 + len(answer), number) + answer)
        except OSError:
            pass

    def answer(self, api, version, reader):
        if api == API_VERSIONS:
            error = UNSUPPORTED_VERSION if version > VERSIONS[api][1] else 0
            out = struct.pack(">hi", error, len(VERSIONS)) + b"".join(
                struct.pack(">hhh", key, *span) for key, span in VERSIONS.items())
            return out + struct.pack(">i", 0) if version in (1, 2) else out
        if api == SASL_HANDSHAKE:
            return struct.pack(">hi", 0, 1) + text("PLAIN")
        if api == SASL_AUTHENTICATE:
            said = reader.take(reader.number("i")).decode().split("\0")[1:]
            self.logged_in = said == list(self.server.login or ())
            return struct.pack(">h", 0 if self.logged_in else BAD_LOGIN) + text(
                None if self.logged_in else "wrong name or password") + struct.pack(">i", 0)
        if not self.logged_in:
            return None
        return {METADATA: self.metadata, INIT_PRODUCER_ID: self.init_producer,
                PRODUCE: self.produce}[api](reader)

    def metadata(self, reader):
        topics = [reader.string() for _ in range(max(0, reader.number("i")))]
        out = struct.pack(">ii", 1, BROKER_ID) + text("127.0.0.1")
        out += struct.pack(">i", self.server.server_address[1]) + text(None) + text("test")
        out += struct.pack(">ii", BROKER_ID, len(topics))
        for topic in topics:
            out += struct.pack(">h", 0) + text(topic) + struct.pack(">?i", False,
                                                                    self.server.partitions)
            for partition in range(self.server.partitions):
                out += struct.pack(">hiiiiii", 0, partition, BROKER_ID, 1, BROKER_ID, 1, BROKER_ID)
        return out

    def init_producer(self, _reader):
        return struct.pack(">ihqh", 0, 0, self.server.log.new_producer(), 0)

    def produce(self, reader):
        reader.string(), reader.number("h"), reader.number("i")
        topics = reader.number("i")
        out = struct.pack(">i", topics)
        for _ in range(topics):
            topic, partitions = reader.string(), reader.number("i")
            out += text(topic) + struct.pack(">i", partitions)
            for _ in range(partitions):
                partition = reader.number("i")
                error = self.server.log.append(topic, partition, reader.take(reader.number("i")))
                out += struct.pack(">ihqq", partition, error, 0, -1)
        return out + struct.pack(">i", 0)


class Broker(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    tls = login = None


def main():
    port, path, partitions, *more = sys.argv[1:]
    server = Broker(("127.0.0.1", int(port)), Connection)
    server.log, server.partitions = Log(path), int(partitions)
    if len(more) >= 3:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(more[0], more[1])
        server.tls.load_verify_locations(more[2])
        server.tls.verify_mode = ssl.CERT_REQUIRED
    if len(more) in (2, 5):
        server.login = tuple(more[-2:])
    server.serve_forever()


if __name__ == "__main__":
    main()
