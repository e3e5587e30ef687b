"""A small HTTP client over raw sockets: what it sends is what the test wrote, byte for byte."""

import json
import socket
import time

TIMEOUT_S = 15.0
MAX_HEAD_BYTES = 64 << 10


class Closed(Exception):
    """The server ended the connection where an answer was due; `partial` is what came of it."""

    def __init__(self, partial=b""):
        super().__init__(f"connection closed after {partial!r}")
        self.partial = partial


class Reply:
    def __init__(self, status, version, headers, body):
        self.status = status
        self.version = version
        self.header_list = headers
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def request_bytes(method, target, body=b"", headers=(), host="test", version="HTTP/1.1"):
    """One request. Headers are a dict or pairs; Content-Length is added unless they say how long
    the body is."""
    if isinstance(body, str):
        body = body.encode()
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    names = {name.lower() for name, _ in pairs}
    if host is not None and "host" not in names:
        pairs.insert(0, ("Host", host))
    if (body or method == "POST") and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    head = f"{method} {target} {version}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    return head.encode("latin-1") + body


class Client:
    """One connection. Every read has a deadline."""

    def __init__(self, port, host="127.0.0.1", timeout_s=TIMEOUT_S, receive_buffer=None,
                 source=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.host_header = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        try:
            if source:
                self.socket.bind((source, 0))
            self.socket.connect((host, port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(64 << 10)
        except ConnectionResetError:
            data = b""
        if not data:
            partial, self.buffer = self.buffer, b""
            raise Closed(partial)
        self.buffer += data

    def read(self, head_only=False):
        """The next answer."""
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise AssertionError("the answer's header does not end")
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"a bad header line: {line!r}"
            headers.append((name, value.strip()))
        reply = Reply(int(status), version, headers, b"")
        if reply.status >= 200 and reply.status not in (204, 304) and not head_only:
            length = int(reply.headers["content-length"])
            while len(self.buffer) < length:
                self._more()
            reply.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return reply

    def request(self, method, target, body=b"", headers=(), **more):
        self.send(request_bytes(method, target, body, headers,
                                **{"host": self.host_header, **more}))
        return self.read(head_only=method == "HEAD")

    def post(self, body, stream="", headers=(), **more):
        target = f"/v1/events/{stream}" if stream else "/v1/events"
        return self.request("POST", target, body, headers, **more)

    def read_to_end(self, within_s=TIMEOUT_S):
        """All bytes until the server closes; fails if it does not within the time."""
        deadline = time.monotonic() + within_s
        data, self.buffer = self.buffer, b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"the connection is still open after {within_s} s")
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(64 << 10)
            except ConnectionResetError:
                return data
            except socket.timeout:
                continue
            if not piece:
                return data
            data += piece


def once(port, method, target, body=b"", headers=(), host="127.0.0.1", **more):
    """One request on a connection of its own."""
    with Client(port, host) as client:
        return client.request(method, target, body, headers, **more)
