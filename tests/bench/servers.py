"""The servers that are compared: how each is started, and what the kernel says it used."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
READY_S = 20.0
STOP_S = 20.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """A server that cannot be had on this machine; says why."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    """The process and all its children, theirs, and so on."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def cpu_s(pids):
    """User and system time of these processes, from /proc/PID/stat."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def written_bytes(pids):
    """Bytes that these processes caused to be written to storage; None where the kernel hides it."""
    total = 0
    for pid in pids:
        try:
            lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
    return total


class Server:
    """One running server. `url` is where events go."""

    name = ""
    expected_status = "202"
    batch_path = "/v1/events"

    def __init__(self, folder, tools, environment):
        self.folder = folder / self.name.replace(" ", "-")
        self.folder.mkdir(parents=True)
        self.tools = tools
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL,
                                            env={**os.environ, **environment})
        try:
            self.wait_until_ready()
        except Unavailable:
            self.stop()
            raise

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.is_ready():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        tail = (self.folder / "log").read_text(errors="replace")[-500:]
        raise Unavailable(f"{self.name} did not start: {tail.strip() or 'no output'}")

    def usage(self):
        pids = descendants(self.process.pid)
        return cpu_s(pids), written_bytes(pids)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Server):
    """`return 202`: the HTTP floor. nginx reads and discards the body."""

    name = "nginx"

    def command(self):
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        if not program:
            raise Unavailable("nginx is not installed")
        configuration = f"""
            daemon off;
            worker_processes auto;
            pid {self.folder}/pid;
            error_log {self.folder}/error.log warn;
            events {{ worker_connections 4096; }}
            http {{
              access_log off;
              keepalive_requests 1000000000;
              keepalive_timeout 300s;
              client_max_body_size 64m;
              client_body_buffer_size 64k;
              client_body_temp_path {self.folder}/body;
              tcp_nodelay on;
              server {{
                listen 127.0.0.1:{self.port} reuseport backlog=4096;
                location / {{
                  default_type application/json;
                  return 202 '{{"id":"0000000000000001-aaaaaaaa"}}';
                }}
              }}
            }}"""
        (self.folder / "nginx.conf").write_text(configuration)
        return [program, "-p", str(self.folder), "-c", "nginx.conf"]


class BeastHello(Server):
    """Plain Beast answering 202: what the HTTP side costs without a loop of our own."""

    name = "beast"

    def command(self):
        return [str(self.tools / "tests/bench/bench_beast_hello"), str(self.port),
                str(os.cpu_count())]


class Penstock(Server):
    """Penstock with a GCRA limit that is never reached, durable before the 202. Without sinks, so
    that the journal recycles its segments and the disk does not fill."""

    name = "penstock"
    ack = "journaled"
    settings = ()  # KEY=VALUE, over the file
    limit = '{ name = "rate", algorithm = "gcra", amount = 10000000, window = "1s" }'

    def command(self):
        admin = free_port()
        (self.folder / "penstock.toml").write_text(f"""
[node]
data_dir = "{self.folder}/data"
[http]
listen = "127.0.0.1:{self.port}"
max_body = "16MiB"
[admin]
listen = "127.0.0.1:{admin}"
[plans.anonymous]
limits = [{self.limit}]
[streams.default]
ack = "{self.ack}"
sinks = []
[log]
level = "warn"
""")
        return [str(self.tools / "penstock"), "run", "--config", str(self.folder / "penstock.toml"),
                *(part for setting in self.settings for part in ("--set", setting))]

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return s.recv(64).startswith(b"HTTP/1.1 200")


class PenstockReceived(Penstock):
    name = "penstock received"
    ack = "received"


class PenstockRefusal(Penstock):
    """A limit that is used up at once: every answer is a 429."""

    name = "refusal"
    expected_status = "429"
    limit = '{ name = "rate", algorithm = "gcra", amount = 1, window = "1h" }'


class Express(Server):
    """The third write-up's stack: express, express-rate-limit, better-sqlite3, synchronous=FULL."""

    name = "express"
    batch_path = "/v1/events/batch"
    modules = None  # set by install()

    @classmethod
    def install(cls, folder):
        """Installs the packages with npm, once. better-sqlite3 is compiled where no build of it can
        be fetched; that needs node's headers."""
        wanted = (HERE / "express/package.json").read_text()
        cls.modules = folder / "node_modules"
        done = folder / "installed.json"
        if done.exists() and done.read_text() == wanted:
            return
        if not (shutil.which("node") and shutil.which("npm")):
            raise Unavailable("node and npm are not installed")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        environment = dict(os.environ)
        prefix = pathlib.Path(shutil.which("node")).resolve().parent.parent
        if (prefix / "include/node/node.h").exists():
            environment.setdefault("npm_config_nodedir", str(prefix))
        result = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder,
                                env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise Unavailable("npm install failed: " + result.stderr.strip()[-500:])
        done.write_text(wanted)

    def command(self):
        # A link beside the modules, so that node finds them.
        script = self.modules.parent / "server.js"
        shutil.copyfile(HERE / "express/server.js", script)
        return ["node", str(script), str(self.port), str(self.folder / "events.db")]


class AppendFloor:
    """Not a server: raw append and fdatasync, with as many events a sync as are under way."""

    name = "append floor"

    @staticmethod
    def measure(folder, tools, group, event_bytes, duration_s, environment):
        out = subprocess.run(
            [str(tools / "tests/bench/bench_append_floor"), "--file", str(folder / "floor"),
             "--groups", str(group), "--event-bytes", str(event_bytes),
             "--duration-s", str(duration_s)],
            check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout
        return json.loads(out)


SERVERS = {cls.name: cls for cls in
           (Nginx, BeastHello, Penstock, PenstockReceived, PenstockRefusal, Express)}
