"""Several hosts on one machine, for tests: network namespaces, and between them a wire (wire.py) that
delays, loses and reorders packets and cuts hosts off, silently or not.

Nothing has a name outside this process and nothing is left behind: a namespace lasts as long as
something is in it or has it open, its device as long as the wire, and the wire and all nodes end with
the test, however that ends. So there is nothing to clean up after a crash either.

Needs /dev/net/tun and the right to make network namespaces, as root has it; why_not() says if they
are missing. Neither tc nor iptables: not every kernel has netem (docs/decisions/028).
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "sinks"):
    sys.path.insert(0, str(HERE.parent / folder))

from harness import Node, wait_for  # noqa: E402
from nats_client import NatsServer  # noqa: E402

CLUSTER_PORT = 4200
NETWORK = "10.77.0."
MAX_HOSTS = 250
OWN_NETWORK = "/proc/thread-self/ns/net"

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C

libc = ctypes.CDLL(None, use_errno=True)


def checked(outcome):
    if outcome != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def in_thread(work):
    """What work() gives, run on a thread that ends with it: entering a network is a thread's own."""
    outcome = {}
    def run():
        try:
            outcome["value"] = work()
        except BaseException as error:  # noqa: B036 (raised again below)
            outcome["error"] = error
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def why_not():
    """Why there can be no hosts on this machine; None if there can."""
    try:
        Host("none", NETWORK + "1").close()
        return None
    except OSError as error:
        return f"no network namespace with a TUN device can be made here: {error.strerror}"


def set_address(device, address, mask):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, mask)):
            fcntl.ioctl(control, request, struct.pack("16sHH4s8x", device, socket.AF_INET, 0,
                                                      socket.inet_aton(value)))


def set_up(device, up):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        reply = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", device, 0))
        flags = struct.unpack("16sH14x", reply)[1]
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", device, flags))


class Host:
    """A network of its own: a loopback, and a device `wire` with the address."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        self.network, self.device = in_thread(self._make)

    def _make(self):
        checked(libc.unshare(CLONE_NEWNET))
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
            set_up(b"lo", True)
            set_address(b"wire", self.address, "255.255.255.0")
            set_up(b"wire", True)
            return os.open(OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC), device
        except BaseException:
            os.close(device)
            raise

    @contextlib.contextmanager
    def entered(self):
        """What this thread opens or starts meanwhile is on this host. A socket stays there; so does
        a process. (Start processes from the main thread: they end with the thread they are of.)"""
        before = os.open(OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            checked(libc.setns(self.network, CLONE_NEWNET))
            yield self
        finally:
            checked(libc.setns(before, CLONE_NEWNET))
            os.close(before)

    def plug(self, in_it):
        """Pulls the plug, or puts it in again: without it a send fails at once."""
        with self.entered():
            set_up(b"wire", in_it)

    def close(self):
        for descriptor in (self.network, self.device):
            if descriptor is not None:
                os.close(descriptor)
        self.network = self.device = None


class Hosts:
    """So many hosts, h0, h1, …, and the wire."""

    def __init__(self, count, seed=1):
        assert count <= MAX_HOSTS
        self.hosts = []
        try:
            for i in range(count):
                self.hosts.append(Host(f"h{i}", f"{NETWORK}{i + 1}"))
            self.wire = subprocess.Popen(
                [sys.executable, "-B", str(HERE / "wire.py"), str(seed),
                 *(f"{host.address}={host.device}" for host in self.hosts)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                pass_fds=[host.device for host in self.hosts])
            # From here on the devices are the wire's alone, and end with it.
            for host in self.hosts:
                os.close(host.device)
                host.device = None
        except BaseException:
            for host in self.hosts:
                host.close()
            raise

    def __getitem__(self, at):
        return self.hosts[at]

    def __iter__(self):
        return iter(self.hosts)

    def command(self, **what):
        """See wire.py; gives the segments carried so far."""
        self.wire.stdin.write(json.dumps(what) + "\n")
        answer = self.wire.stdout.readline()
        assert answer, f"the wire ended: {self.wire.wait()}"
        return json.loads(answer)

    def ways(self, sources, targets, both=True, **how):
        """Sets delay_ms, jitter_ms, loss between hosts; in force on return."""
        from_, to = ([host.address for host in some] for some in (sources, targets))
        self.command(**{"from": from_, "to": to, **how})
        if both:
            self.command(**{"from": to, "to": from_, **how})

    def segments(self, some):
        """How many TCP segments with data these hosts sent each other."""
        addresses = {host.address for host in some}
        return sum(count for way, count in self.command().items() if set(way.split()) <= addresses)

    def everywhere(self, **how):
        self.ways(self.hosts, self.hosts, both=False, **how)

    def cut(self, some, others=None, loss=1.0, both=True):
        """Nothing passes between these and the others (all others), and nobody is told."""
        self.ways(some, others or [host for host in self.hosts if host not in some], both, loss=loss)

    def heal(self, loss=0.0):
        self.everywhere(loss=loss)

    def close(self):
        self.wire.stdin.close()
        self.wire.wait(10)
        self.wire.stdout.close()
        for host in self.hosts:
            host.close()


class HostNode(Node):
    """A node on a host: other nodes reach it at the host's address, clients and the admin plane on
    its loopback, by way of this object from any thread."""

    def __init__(self, host, options=None):
        self.host = host
        self.address = f"{host.address}:{CLUSTER_PORT}"
        super().__init__({"node.name": host.name, "cluster.listen": self.address, **(options or {})})

    def launch(self):
        with self.host.entered():
            return super().launch()

    def is_ready(self):
        with self.host.entered():
            return super().is_ready()

    def client(self, **more):
        with self.host.entered():
            return super().client(**more)

    def request(self, *arguments, **more):
        with self.host.entered():
            return super().request(*arguments, **more)

    def admin(self, *arguments, **more):
        with self.host.entered():
            return super().admin(*arguments, **more)


class HostNats(NatsServer):
    """A nats-server on a host."""

    listen = "0.0.0.0"

    def __init__(self, host):
        super().__init__(host=host.address)
        self.on = host

    def start(self):
        with self.on.entered():
            super().start()

    def client(self):
        with self.on.entered():
            return super().client()


class HostCluster:
    """So many hosts with a node each, not started, and one more with the directory. `each(i)` gives
    options for node i on top of `options`."""

    def __init__(self, count, options=None, each=lambda i: {}, **net):
        self.net = Hosts(count + 1, **net)
        self.nats, self.nodes, self.used = None, [], set()
        try:
            self.nats = HostNats(self.net[count])
            self.nats.start()
            self.nodes = [HostNode(self.net[i], {
                "cluster.name": "hosts", "cluster.directory": "nats",
                "cluster.nats_url": self.nats.url(), "cluster.secret": "0123456789abcdef",
                "cluster.on_owner_unreachable": "refuse", "cluster.verdict_timeout": "5s",
                "identity.order": ["header:X-Client", "ip"],
                "streams.default.ack": "received", "streams.default.sinks": [],
                **(options or {}), **each(i)}) for i in range(count)]
        except BaseException:
            self.close()
            raise

    def close(self):
        for node in self.nodes:
            node.close()
        if self.nats:
            self.nats.stop()
        self.net.close()

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_ready()
        self.wait_whole()

    def wait_whole(self, within_s=15, pause_s=0.01):
        """Until all nodes are members, linked, and own all shards among them. Looking costs time that
        a load from this process does not get."""
        count = len(self.nodes)
        def is_whole():
            return (all(members(node) == count and links(node) >= count - 1 for node in self.nodes)
                    and sum(owned(node) for node in self.nodes) == 256)
        try:
            wait_for(is_whole, "the cluster is whole", within_s, pause_s)
        except AssertionError as failure:
            state = "\n".join(f"{node.host.name}: {members(node):.0f} members, {links(node):.0f} "
                              f"links, {owned(node):.0f} shards\n{node.log()[-1500:]}"
                              for node in self.nodes)
            raise AssertionError(f"{failure}\n{state}") from None

    def client_of(self, owner, kind="client", most=1000):
        """A client nobody has heard of, KIND and a number below `most`, whose limits `owner` keeps;
        it has used one unit."""
        asked = next(node for node in self.nodes if node is not owner)
        for i in range(most):
            name = f"{kind}{i}"
            if name in self.used:
                continue
            self.used.add(name)
            before = owner.metrics().get("penstock_verdicts_total")
            with asked.client() as connection:
                reply = connection.post(b"x", headers={"X-Client": name})
            assert reply.status == 202, reply
            if owner.metrics().get("penstock_verdicts_total") > before:
                return name
        raise AssertionError("the node owns nobody")


def members(node):
    return node.metrics().get("penstock_cluster_members")


def links(node):
    return node.metrics().get("penstock_cluster_peers_up")


def owned(node):
    return node.metrics().get("penstock_shards", state="owned")
