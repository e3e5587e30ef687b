"""A redis-server for tests, and a client of a few lines."""

import pathlib
import socket
import ssl
import subprocess

from delivery import ProcessServer, event_of
from harness import free_port

READ_AT_ONCE = 5000


class RedisError(Exception):
    pass


class Redis:
    """One connection: commands in, Python values out. Texts are bytes."""

    def __init__(self, port, tls=None, auth=()):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        self.file = self.socket.makefile("rb")
        if auth:
            self("AUTH", *auth)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        number = int(rest)
        if kind == b":" or number < 0:
            return number if kind == b":" else None
        if kind == b"$":
            return self.file.read(number + 2)[:-2]
        return [self.reply() for _ in range(number)]


class RedisServer(ProcessServer):
    """Keeps what it has confirmed: each write is synced before it is answered."""

    deduplicates = True

    def __init__(self, key="events:{stream}", arguments=()):
        super().__init__()
        self.port = free_port()
        self.key, self.arguments = key, list(arguments)
        self.entries, self.last_entry = [], "-"

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always",
                "--save", "", *self.arguments]

    def client(self):
        return Redis(self.port)

    def is_ready(self):
        try:
            with self.client() as client:
                return client("PING") == b"PONG"
        except RedisError:
            return False  # it reads its data

    def sink_options(self, name):
        return {f"sinks.{name}.kind": "redis", f"sinks.{name}.key": self.key,
                f"sinks.{name}.url": f"redis://127.0.0.1:{self.port}"}

    def read_all(self):
        """Reads on from where it was: entries of a stream are never changed."""
        key = self.key.replace("{stream}", "default")
        with self.client() as client:
            while True:
                found = client("XRANGE", key, self.last_entry, "+", "COUNT", READ_AT_ONCE)
                for entry_id, fields in found:
                    fields = dict(zip(fields[::2], fields[1::2]))
                    event = event_of(fields[b"event"])
                    assert fields[b"id"].decode() == event[0], fields
                    self.entries.append(event)
                    self.last_entry = f"({entry_id.decode()}"
                if len(found) < READ_AT_ONCE:
                    return self.entries


class SecureRedisServer(RedisServer):
    """TLS alone, with a certificate for "localhost", a user with a password, and only what the sink
    needs allowed to it."""

    username, password = "penstock", "p@ss/w:rd"
    # As docs/sinks/redis.md says.
    rules = ["~events:*", "~{events:*", "+xadd", "+set", "+get", "+type", "+multi", "+exec",
             "+watch", "+unwatch", "+select"]

    def __init__(self):
        super().__init__()
        self.make_certificates()
        (self.folder / "users").write_text(
            "user default on >of-the-test ~* &* +@all\n"
            f"user {self.username} on >{self.password} {' '.join(self.rules)}\n")
        self.arguments = [
            "--port", "0", "--tls-port", str(self.port), "--tls-cert-file", "server.pem",
            "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem",
            "--tls-auth-clients", "no", "--aclfile", "users"]

    def make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=test authority")
        openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr",
                "-subj", "/CN=localhost")
        (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")

    def client(self):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        return Redis(self.port, context, ["of-the-test"])

    def sink_options(self, name):
        return {**super().sink_options(name),
                f"sinks.{name}.url": f"rediss://localhost:{self.port}/0",
                f"sinks.{name}.username": self.username, f"sinks.{name}.password": self.password,
                f"sinks.{name}.ca_file": str(pathlib.Path(self.folder, "ca.pem"))}
