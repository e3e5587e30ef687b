"""A small client of NATS and JetStream in the text protocol, and real servers to talk to."""

import collections
import json
import pathlib
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from delivery import ProcessServer, Server, wait_for  # noqa: E402
from harness import free_port  # noqa: E402

Message = collections.namedtuple("Message", "subject reply headers body")
NANOSECONDS = 1_000_000_000
FETCH = 500


class NatsError(Exception):
    pass


class NatsClient:
    """One connection; requests one at a time. `user`: fields of CONNECT."""

    def __init__(self, port, context=None, user=None, timeout_s=5.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.file = self.socket.makefile("rb")
        self.info = json.loads(self.file.readline().split(b" ", 1)[1])
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            self.file = self.socket.makefile("rb")
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "lang": "python", "version": "0", **(user or {})}
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nSUB in.* 1\r\nPING\r\n")
        self.requests = 0
        self.inbox = f"in.{id(self)}"
        while (line := self.line()) != b"PONG":
            if line.startswith(b"-ERR"):
                raise NatsError(line.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        if line == b"PING\r\n":
            self.send(b"PONG\r\n")
        return line[:-2]

    def message(self):
        """The next message; answers pings on the way."""
        while True:
            words = self.line().decode().split()
            if words[0] in ("MSG", "HMSG"):
                break
            if words[0] == "-ERR":
                raise NatsError(" ".join(words))
        size = int(words[-1])
        header_size = int(words[-2]) if words[0] == "HMSG" else 0
        # MSG subject sid [reply] size; HMSG has the headers' size before the whole.
        reply = words[3] if len(words) == (6 if words[0] == "HMSG" else 5) else None
        data = self.file.read(size + 2)[:-2]
        headers = {}
        lines = data[:header_size].decode().split("\r\n")
        if lines[0].startswith("NATS/1.0 "):
            headers["Status"] = lines[0].split(" ")[1]
        for line in filter(None, lines[1:]):
            name, _, value = line.partition(":")
            assert name not in headers, f"{name} twice"
            headers[name] = value.strip()
        return Message(words[1], reply, headers, data[header_size:])

    def ask(self, subject, body=b""):
        self.requests += 1
        reply = f"in.{self.requests}"
        self.send(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(body), body))
        while (answer := self.message()).subject != reply:
            pass  # an answer to a request before
        return answer

    def api(self, subject, **body):
        answer = self.ask(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"")
        if answer.headers.get("Status") == "503":
            raise NatsError("JetStream is not ready")
        result = json.loads(answer.body)
        if "error" in result:
            raise NatsError(result["error"].get("description", "?"))
        return result

    def create_stream(self, name, subjects, **more):
        return self.api(f"STREAM.CREATE.{name}", name=name, subjects=subjects, **{
            "retention": "limits", "storage": "file", "discard": "old", "num_replicas": 1,
            "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "duplicate_window": 120 * NANOSECONDS, **more})

    def stream(self, name):
        return self.api(f"STREAM.INFO.{name}")

    def create_consumer(self, stream, name):
        self.api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", stream_name=stream, config={
            "durable_name": name, "deliver_policy": "all", "ack_policy": "none",
            "replay_policy": "instant", "max_ack_pending": -1})

    def fetch(self, stream, name):
        """What is left for a pull consumer, at most FETCH messages."""
        self.requests += 1
        reply = f"in.{self.requests}"
        body = json.dumps({"batch": FETCH, "no_wait": True}).encode()
        self.send(b"PUB $JS.API.CONSUMER.MSG.NEXT.%s.%s %s %d\r\n%s\r\n" % (
            stream.encode(), name.encode(), reply.encode(), len(body), body))
        found = []
        while len(found) < FETCH:
            message = self.message()
            if "Status" in message.headers:  # 404, 408: no more
                break
            found.append(message)
        return found


class NatsServer(ProcessServer):
    """One nats-server with JetStream on files and a stream EVENTS."""

    deduplicates = True
    stream_options = {}
    listen = "127.0.0.1"

    def __init__(self, config="", context=None, user=None, scheme="nats", host="127.0.0.1"):
        super().__init__()
        self.port = free_port()
        self.config, self.context, self.user = config, context, user
        self.scheme, self.host = scheme, host
        self.read = {}  # stream sequence → what read_all() gives

    def command(self):
        (self.folder / "server.conf").write_text(
            f'listen: "{self.listen}:{self.port}"\njetstream {{ store_dir: "{self.folder}/js" }}\n'
            f'max_payload: 1000000\n{self.config}')
        return ["nats-server", "-c", str(self.folder / "server.conf")]

    def client(self):
        return NatsClient(self.port, self.context, self.user)

    def is_ready(self):
        try:
            with self.client() as client:
                return client.api("INFO")
        except NatsError:
            return False

    def start(self):
        super().start()
        with self.client() as client:
            try:
                client.stream("EVENTS")
            except NatsError:
                client.create_stream("EVENTS", ["events.>"], **self.stream_options)

    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def sink_options(self, name):
        return {f"sinks.{name}.kind": "nats", f"sinks.{name}.url": self.url(),
                f"sinks.{name}.stream": "EVENTS", f"sinks.{name}.subject": "events.{stream}"}

    def messages(self):
        """All messages of the stream, by sequence; what was read before is kept."""
        with self.client() as client:
            name = f"reader{time.monotonic_ns()}"
            client.api(f"CONSUMER.DURABLE.CREATE.EVENTS.{name}", stream_name="EVENTS", config={
                "durable_name": name, "deliver_policy": "by_start_sequence", "ack_policy": "none",
                "opt_start_seq": max(self.read, default=0) + 1, "replay_policy": "instant"})
            while found := client.fetch("EVENTS", name):
                for message in found:
                    # $JS.ACK.STREAM.CONSUMER.DELIVERED.STREAM_SEQ.…
                    self.read[int(message.reply.split(".")[5])] = message
            client.api(f"CONSUMER.DELETE.EVENTS.{name}")
        return [self.read[sequence] for sequence in sorted(self.read)]

    def read_all(self):
        return [(m.headers.get("ce-penstockid", m.headers.get("ce-id")),
                 m.headers.get("ce-partitionkey"), m.body) for m in self.messages()]


class NatsCluster(Server):
    """Three servers, and a stream EVENTS with a copy on each."""

    deduplicates = True

    def __init__(self):
        routes = [free_port() for _ in range(3)]
        where = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
        self.servers = [NatsClusterServer(i, routes[i], where) for i in range(3)]
        self.down = None

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_ready()
        def created():
            try:
                with self.servers[0].client() as client:
                    return client.create_stream("EVENTS", ["events.>"], num_replicas=3)
            except (NatsError, OSError):
                return False
        wait_for(created, "the stream with three copies exists", 30, pause_s=0.2)
        wait_for(self.leader, "the stream has a leader", 30)

    def stop(self):
        for server in self.servers:
            server.stop()

    def up(self):
        return [server for server in self.servers if server is not self.down]

    def leader(self):
        for server in self.up():
            try:
                with server.client() as client:
                    name = client.stream("EVENTS")["cluster"].get("leader")
            except (NatsError, OSError):
                continue
            for found in self.up():
                if found.name == name:
                    return found
        return None

    def kill(self):
        """The stream's leader."""
        self.down = wait_for(self.leader, "the stream has a leader", 30)
        self.down.kill()

    def restart(self):
        self.down.launch()
        self.down.wait_ready()
        self.down = None

    def freeze(self):
        self.frozen = wait_for(self.leader, "the stream has a leader", 30)
        self.frozen.freeze()

    def thaw(self):
        self.frozen.thaw()

    def sink_options(self, name):
        options = self.servers[0].sink_options(name)
        options[f"sinks.{name}.url"] = ",".join(server.url() for server in self.servers)
        return options

    def read_all(self):
        def read():
            try:
                return self.leader().read_all()
            except (NatsError, OSError, AttributeError):
                return False
        return wait_for(read, "the stream can be read", 30, pause_s=0.2)


class NatsClusterServer(NatsServer):
    def __init__(self, number, route_port, routes):
        self.name = f"s{number}"
        super().__init__(f'server_name: {self.name}\ncluster {{ name: test, '
                         f'listen: "127.0.0.1:{route_port}", routes: [{routes}] }}\n')

    def launch(self):
        self.launching = True
        ProcessServer.start(self)

    def is_ready(self):
        if self.launching:  # the others may have to be started first
            with self.client():
                return True
        return super().is_ready()

    def wait_ready(self):
        self.launching = False
        wait_for(self._answers, f"{self.name} is ready", 30)
