"""What scale.py loads a server with, beside what load.py has: connections that do nothing, wrk on a
server that already holds them, bodies of any size over one connection, haproxy in between.

As there, what is not answered right raises ServerError. The caller is on the load's CPU.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import IPPROTO_IP, create_server, socket

import load
from cases import Case
from load import Meter, Settings
from processes import (
    HOST,
    READY_SECONDS,
    ServerError,
    cpu_time,
    peak_growth,
    resident_now,
    running,
    tree,
)
from wire import BLOCK, TIMEOUT_SECONDS, connect, head, read_head, read_reply

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: where the package is that is measured; `scale.py --tree` sets it
PACKAGE = ROOT
MIB = 1 << 20
EVERYWHERE = os.sched_getaffinity(0)
"""The CPUs of this process before it was put on that of the load."""

IP_BIND_ADDRESS_NO_PORT = 24  # Linux; the name is in Python's socket from 3.12 on
SPARE_DESCRIPTORS = 80
"""Of a process that holds as many connections as it may: its own files, and those of the load."""
PACED_UPLOADS, PACED_BYTES_PER_SECOND, PACED_SECONDS = 40, 10e6 / 8, 1.0
"""Uploads at the same time, of 10 Mbit/s each."""
PER_ADDRESS = 10_000
"""Connections from one address: the servers and the system allow some more."""

_KEY = "AAECAwQFBgcICQoLDA0ODw=="
_UPGRADE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", _KEY),
)
_ACCEPT = base64.b64encode(
    hashlib.sha1(_KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
)


def most_connections() -> int:
    """How many one process may hold here, once its soft bound is raised to the hard one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # servers inherit it
    return most - SPARE_DESCRIPTORS


def server_port() -> int:
    """A free port that the system gives to no client: those of thousands, some of them gone for a
    minute, are all around, and one may take a port between its choice and its use."""
    while True:
        port = random.randrange(10_000, 30_000)  # below net.ipv4.ip_local_port_range
        with contextlib.suppress(OSError), create_server((HOST, port)):
            return port


@contextmanager
def serving(
    command: Sequence[str], cpu: int | None, port: int | None = None
) -> Iterator[tuple[int, int]]:
    """`command`, in which "PORT" is the port, by default a free one: pid and port while it runs."""
    port = port or server_port()
    words = [str(port) if word == "PORT" else word for word in command]
    with running(words, port, cpu, PACKAGE) as pid:
        try:
            yield pid, port
        except OSError as error:
            raise ServerError(f"{type(error).__name__}: {error}") from error


def app(package: str, *arguments: str) -> list[str]:
    """The command of servers/scale_app.py."""
    return [str(HERE / "servers" / "scale_app.py"), package, "PORT", *arguments]


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What wrk made of a server: CPU microseconds of its tree a request, and the rest."""

    cost: float
    others: float
    rate: float
    p50_us: int
    p99_us: int


def _varied(case: Case, port: int, settings: Settings, fields: int) -> dict[str, int]:
    """wrk with so many header fields, of which one is another in each request."""
    url = f"http://{HOST}:{port}{case.target}"
    command = ["wrk", "-t1", f"-c{settings.connections}", f"-d{settings.seconds}s"]
    command += ["-s", str(HERE / "wrk_varied.lua"), url, "--", str(fields)]
    output = load._pinned(command, settings.cpus.load, settings.seconds + 30.0)
    counts: dict[str, int] = json.loads(output.strip().splitlines()[-1])
    return counts


def rated(case: Case, pid: int, port: int, settings: Settings, fields: int = 0) -> Rated:
    """One run of wrk against a server that is there, or against what stands before it at `port`;
    `pid` is whose tree is measured. `fields` above 0: see `_varied`."""
    reply = load._verify(case, port, load.WARM_UP_REQUESTS)
    meter = Meter(pid, settings.cpus.server)
    counts = (_varied(case, port, settings, fields) if fields
              else load._wrk(case, port, settings))  # fmt: skip
    used, others = meter.read()
    load._check_counts(counts, reply, settings.connections)
    load._verify(case, port, 1)
    return Rated(
        cost=used * 1e6 / counts["requests"],
        others=others,
        rate=counts["requests"] / counts["microseconds"] * 1e6,
        p50_us=counts["p50_us"],
        p99_us=counts["p99_us"],
    )


def descriptors(pid: int) -> int:
    """How many files and sockets the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def own_descriptors(pid: int) -> int:
    """Those that are there when the connections of a load have gone."""
    counts = [descriptors(pid)]
    while len(counts) < 10 or len(set(counts[-10:])) > 1:
        time.sleep(0.02)
        counts.append(descriptors(pid))
    return counts[-1]


def slab_kib() -> int:
    """What the kernel holds for itself, sockets among it."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1])
    return 0


def resident_kib(pid: int) -> int:
    """VmRSS of the server's tree."""
    return sum(resident_now(pid).values())


@dataclass
class Idle:
    """Connections that have had an answer and now say nothing; WebSockets if `websocket`.

    They come from several addresses of the loopback: one has ports for half of them, and a server
    has a bound for each.
    """

    port: int
    websocket: bool = False
    sockets: list[socket] = field(default_factory=list)

    def hold(self, count: int) -> None:
        """Open or close until there are `count`."""
        while len(self.sockets) > count:
            self.sockets.pop().close()
        while len(self.sockets) < count:
            self.sockets.append(self._open(2 + len(self.sockets) // PER_ADDRESS))

    def _open(self, address: int) -> socket:
        sock = socket()
        try:
            sock.settimeout(TIMEOUT_SECONDS)
            # The port is chosen by connect(): those of earlier servers are still in TIME_WAIT.
            sock.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((f"127.0.0.{address}", 0))
            sock.connect((HOST, self.port))
            self._ask(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _ask(self, sock: socket) -> None:
        if not self.websocket:
            sock.sendall(head("GET", "/", self.port))
            reply = read_reply(sock)
            if reply.status != 200 or not reply.body:
                raise ServerError(f"wrong answer: {reply.status} {reply.body[:200]!r}")
            return
        sock.sendall(head("GET", "/ws", self.port, _UPGRADE))
        answer = sock.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101") or _ACCEPT not in answer:
            raise ServerError(f"no WebSocket: {answer[:200]!r}")

    def check(self, every: int = 50) -> None:
        """Ask again on some of them: they must still be there."""
        for sock in self.sockets[::every]:
            if self.websocket:
                # A masked text of two letters, whose key is 0; the echo is not masked.
                sock.sendall(b"\x81\x82\0\0\0\0hi")
                if sock.recv(16) != b"\x81\x02hi":
                    raise ServerError("an idle WebSocket does not echo")
            else:
                self._ask(sock)

    def close(self) -> None:
        """Close them all; the server has closed none of them before."""
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()


@contextmanager
def idle_on(port: int, websocket: bool = False) -> Iterator[Idle]:
    """Idle connections to `port`, closed in the end."""
    idle = Idle(port, websocket)
    try:
        yield idle
    finally:
        idle.close()


# -- bodies


def send_body(sock: socket, port: int, target: str, size: int, times: int) -> None:
    """POST `size` bytes; each answer must be their number."""
    block = memoryview(bytes(BLOCK))
    for _ in range(times):
        start = head("POST", target, port, [("Content-Length", str(size))])
        if size <= BLOCK:
            sock.sendall(start + block[:size])
        else:
            sock.sendall(start)
            for sent in range(0, size, BLOCK):
                sock.sendall(block[: min(BLOCK, size - sent)])
        reply = read_reply(sock)
        if reply.status != 200 or reply.body != str(size).encode():
            raise ServerError(f"{target}, {size} bytes: {reply.status} {reply.body[:80]!r}")


def fetch_body(sock: socket, port: int, size: int, times: int, *, whole: bool) -> None:
    """GET `size` bytes; `whole` looks at each of them, else they are counted."""
    buffer = bytearray(BLOCK)
    for _ in range(times):
        sock.sendall(head("GET", f"/sized/{size}", port))
        status, headers, _, rest = read_head(sock)
        if status != 200 or headers["content-length"] != str(size):
            raise ServerError(f"download of {size} bytes answered {status} {headers}")
        left, strange = size - len(rest), len(rest) - rest.count(b"d")
        while left > 0:
            count = sock.recv_into(buffer, min(left, BLOCK))
            if not count:
                raise ServerError(f"closed {left} bytes before the end of the download")
            left -= count
            if whole:
                strange += count - buffer.count(b"d", 0, count)
        if strange or left < 0:
            raise ServerError(f"download of {size} bytes: not what was asked for")


@dataclass(frozen=True)
class Moved:
    """What bodies of a size cost: CPU microseconds each, and the rise of memory at its peak."""

    cost: float
    others: float
    peak: int


def _move(
    kind: str, sock: socket, port: int, size: int, times: int, *, whole: bool = False
) -> None:
    if kind == "down":
        fetch_body(sock, port, size, times, whole=whole)
    else:
        send_body(sock, port, {"up": "/upload", "kept": "/kept"}[kind], size, times)


def moved(kind: str, pid: int, port: int, cpu: int | None, size: int, amount: int) -> Moved:
    """Bodies of `size` over one connection, about `amount` bytes of them, but not too few or many.

    `kind` is "up" (streamed), "kept" (held until it is whole) or "down".
    """
    times = max(4, min(1000, amount // max(1, size)))
    first = min(times, load.WARM_UP_REQUESTS) if size < MIB else 1
    with connect(port) as sock:
        resident = resident_now(pid)
        _move(kind, sock, port, size, first, whole=True)
        meter = Meter(pid, cpu)
        _move(kind, sock, port, size, times)
        used, others = meter.read()
    return Moved(used * 1e6 / times, others, peak_growth(pid, resident))


def paced(pid: int, port: int, cpu: int | None, piece: int) -> tuple[float, float]:
    """Uploads as slow clients send them, a piece at a time: CPU microseconds a MiB, and the others'
    share. What is read at once is then a piece, not all that fits into a buffer."""
    each = int(PACED_BYTES_PER_SECOND * PACED_SECONDS) // piece * piece
    data = bytes(piece)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(port)) for _ in range(PACED_UPLOADS)]
        send_body(socks[0], port, "/upload", piece, load.WARM_UP_REQUESTS)
        for sock in socks:
            sock.sendall(head("POST", "/upload", port, [("Content-Length", str(each))]))
        meter, start = Meter(pid, cpu), time.monotonic()
        for number in range(each // piece):
            due = start + number * piece / PACED_BYTES_PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            for sock in socks:
                sock.sendall(data)
        for sock in socks:
            if (reply := read_reply(sock)).body != str(each).encode():
                raise ServerError(f"a slow upload answered {reply.status} {reply.body[:80]!r}")
        used, others = meter.read()
    return used * 1e6 * MIB / (each * PACED_UPLOADS), others


# -- haproxy

_HAPROXY = """\
global
    nbthread 1
    maxconn {most}
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout tunnel 10m
listen balanced
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{secure} ssl crt {certificate}
    server one 127.0.0.1:{server}
"""


@contextmanager
def haproxy(server: int, cpu: int | None, folder: Path) -> Iterator[tuple[int, int, int]]:
    """haproxy, one thread, in front of the port `server`: its pid, and its ports without and with
    TLS. Its files are in `folder`."""
    plain, secure = server_port(), server_port()
    certificate = folder / "both.pem"
    certificate.write_text("".join(Path(part).read_text() for part in load._certificate()))
    configuration = folder / "haproxy.cfg"
    values = {"plain": plain, "secure": secure, "server": server, "certificate": certificate}
    most = most_connections() // 2 - 100  # each is two sockets
    configuration.write_text(_HAPROXY.format(most=most, **values))
    # `running` starts Python, which becomes haproxy and keeps its pid.
    start = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    command = ["-c", start, "haproxy", "-db", "-f", str(configuration)]
    with serving(command, cpu, plain) as (pid, _):
        yield pid, plain, secure


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """What is started in this block has these variables."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def on_all_cpus() -> Iterator[None]:
    """This process, and all that it starts, wherever the system likes."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, EVERYWHERE)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def pin(pid: int, cpu: int | None) -> None:
    """A whole tree that runs already, to one CPU."""
    for process in tree(pid) if cpu is not None else ():
        os.sched_setaffinity(process, {cpu})


def settle(pid: int, processes: int) -> None:
    """Wait until a tree of so many processes has started and does nothing any more.

    What a worker needs to start must not count as what its requests cost.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        start = cpu_time(pid)
        time.sleep(0.25)
        if len(tree(pid)) == processes and cpu_time(pid).since(start) < 0.01:
            return
    raise ServerError(f"{len(tree(pid))} processes instead of {processes}, or they do not rest")
