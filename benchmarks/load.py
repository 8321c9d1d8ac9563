"""One measurement: start a server, check its answer, load it, and say what that cost the server.

A measurement is thrown out, loudly, rather than corrected: any error wrk counts, and any mismatch
between the requests and the bytes it counts, raises ServerError.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cases import ROOT, AnyCase, Case, Crowd, Server, Transfer
from processes import (
    HOST,
    Cpus,
    ServerError,
    allow_descriptors,
    cpu_occupied,
    cpu_time,
    free_port,
    on_cpu,
    peak_growth,
    resident_now,
    running,
)
from wire import Reply, ask, connect, head, read_replies

HERE = Path(__file__).resolve().parent
WARM_UP_REQUESTS = 300  # enough for the interpreter to specialise what they run through
WARM_UP_MIB = 2
TRANSFER_SECONDS = 120.0
CROWD_SECONDS = 120.0
"""For the opening of all connections, beside the load itself."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How hard to load."""

    seconds: int
    connections: int
    mib: int
    cpus: Cpus


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One round of one server on one case.

    `amount` is requests, or bytes for a transfer; `others` the share of the time for which the
    server's CPU was taken by something else. `memory_growth` is the peak within a transfer, and
    what stays for a crowd.
    """

    case: str
    server: str
    loop: str
    amount: int
    cpu_seconds: float
    wall_seconds: float
    others: float
    memory_growth: int = 0
    p50_us: int = 0
    p99_us: int = 0

    @property
    def rate(self) -> float:
        """Requests, or bytes, a second."""
        return self.amount / self.wall_seconds

    @property
    def busy(self) -> float:
        """The share of the wall time that the server spent on a CPU."""
        return self.cpu_seconds / self.wall_seconds


class Meter:
    """What a server uses from now on, and what everyone else takes of its CPU."""

    def __init__(self, pid: int, cpu: int | None) -> None:
        self._pid = pid
        self._cpu = cpu
        self._start = time.monotonic()
        self._occupied = cpu_occupied(cpu)
        self._used = cpu_time(pid)

    def read(self) -> tuple[float, float]:
        """The server's CPU seconds, and the share of the time that was not for it to have."""
        used = cpu_time(self._pid).since(self._used)
        occupied = cpu_occupied(self._cpu) - self._occupied
        return used, max(0.0, occupied - used) / (time.monotonic() - self._start)


def available(server: Server) -> bool:
    """Whether the server's package is there, without importing it into this process."""
    code = "import sys, importlib.util as u; sys.exit(u.find_spec(sys.argv[1]) is None)"
    # From the tree's root, since "" (the working directory) is first on the path of `-c`.
    command = [sys.executable, "-c", code, server.module]
    probe = subprocess.run(command, cwd=HERE.parent, check=False)
    return probe.returncode == 0


@cache
def _certificate() -> tuple[str, str]:
    """The files of a self-signed certificate and its key, made for this run."""
    sys.path.append(str(ROOT))
    from tornadoish.testing.certificate import certificate_files

    return certificate_files()


def _trust(case: AnyCase) -> str | None:
    """The certificate that the server of this case shows, if it does."""
    return _certificate()[0] if isinstance(case, Case) and case.tls else None


@contextmanager
def _served(server: Server, case: AnyCase, cpus: Cpus) -> Iterator[tuple[int, int]]:
    """The server, running and ready for this case: (pid, port)."""
    port = free_port()
    extra = case.server_args if isinstance(case, Case) else ()
    if _trust(case):
        extra += ("--tls", *_certificate())
    command = [str(HERE / "servers" / server.script), *server.args, str(port), *extra]
    with running(command, port, cpus.server, server.tree) as pid:
        try:
            yield pid, port
        except OSError as error:
            raise ServerError(f"{type(error).__name__}: {error}") from error


def _loop_of(server: Server, port: int, trust: str | None = None) -> str:
    """The event loop by the server's own account; the bare protocol cannot be asked."""
    if server.name == "bare":
        return "uvloop.Loop"
    reply = ask(port, "/loop", trust)
    if reply.status != 200:
        raise ServerError(f"/loop answered {reply.status}")
    return reply.body.decode()


def _verify(case: Case, port: int, times: int) -> Reply:
    """Send what the case sends in one write `times` times on one connection, check each answer."""
    headers = list(case.headers)
    body = b"x" * case.body_bytes
    if body:
        headers += [
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(len(body))),
        ]
    request = head("POST" if body else "GET", case.target, port, headers) + body
    with connect(port, _trust(case)) as sock:
        for _ in range(times):
            sock.sendall(request * case.pipelined)
            for reply in read_replies(sock, case.pipelined):
                if reply.status != 200 or not case.check(reply):
                    raise ServerError(f"wrong answer: {reply.status} {reply.body[:200]!r}")
    return reply


def _pinned(command: list[str], cpu: int | None, timeout: float) -> str:
    """Run a load generator on its CPU and return what it printed; any failure is ours to tell."""
    try:
        with on_cpu(cpu):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, check=False
            )
    except subprocess.TimeoutExpired:
        raise ServerError(f"the load did not end within {timeout:g} s") from None
    if done.returncode:
        raise ServerError(f"the load failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _wrk(case: Case, port: int, settings: Settings) -> dict[str, int]:
    """Run wrk; its counts as wrk.lua prints them."""
    command = ["wrk", "-t1", f"-c{settings.connections}", f"-d{settings.seconds}s"]
    for name, value in case.headers:
        command += ["-H", f"{name}: {value}"]
    scheme = "https" if case.tls else "http"
    command += ["-s", str(HERE / "wrk.lua"), f"{scheme}://{HOST}:{port}{case.target}"]
    if case.body_bytes or case.pipelined > 1:
        command += ["--", str(case.body_bytes)]
    if case.pipelined > 1:
        command.append(str(case.pipelined))
    output = _pinned(command, settings.cpus.load, settings.seconds + 30.0)
    counts: dict[str, int] = json.loads(output.strip().splitlines()[-1])
    return counts


def _check_counts(counts: dict[str, int], reply: Reply, waiting: int) -> None:
    """Refuse a run with errors, or whose bytes are not those of its requests' right answers.

    wrk takes a redirect for a success and never looks at a body; the sum of the bytes shows both.
    What is cut off when the time is up may add at most the `waiting` responses, which are those of
    one write on each connection.
    """
    kinds = ("connect", "read", "write", "status", "timeout")
    if errors := {kind: counts[kind] for kind in kinds if counts[kind]}:
        raise ServerError(f"wrk counted errors: {errors} in {counts['requests']} requests")
    if not counts["requests"]:
        raise ServerError("wrk completed no request: the server, or the machine, stood still")
    surplus = counts["bytes"] - counts["requests"] * reply.size
    if abs(surplus) > waiting * reply.size:
        mean = counts["bytes"] / counts["requests"]
        raise ServerError(f"answers of {mean:.1f} bytes under load, {reply.size} when checked")


def measure_requests(server: Server, case: Case, settings: Settings) -> Sample:
    """One round of wrk."""
    with _served(server, case, settings.cpus) as (pid, port):
        loop = _loop_of(server, port, _trust(case))
        reply = _verify(case, port, WARM_UP_REQUESTS)
        meter = Meter(pid, settings.cpus.server)
        counts = _wrk(case, port, settings)
        used, others = meter.read()
        _check_counts(counts, reply, settings.connections * case.pipelined)
        _verify(case, port, 1)  # wrk does not see a server that fell silent within its last 2 s
    return Sample(
        case=case.name,
        server=server.name,
        loop=loop,
        amount=counts["requests"],
        cpu_seconds=used,
        others=others,
        wall_seconds=counts["microseconds"] / 1e6,
        p50_us=counts["p50_us"],
        p99_us=counts["p99_us"],
    )


def measure_transfer(server: Server, case: Transfer, settings: Settings) -> Sample:
    """One large body; a small one goes first so that caches and code paths are warm.

    Memory is counted from before the small one: what that one makes the server keep is growth too.
    """
    with _served(server, case, settings.cpus) as (pid, port):
        loop = _loop_of(server, port)
        client = [sys.executable, str(HERE / "transfer.py"), case.name, str(port)]
        resident = resident_now(pid)
        _pinned([*client, str(WARM_UP_MIB)], settings.cpus.load, TRANSFER_SECONDS)
        meter = Meter(pid, settings.cpus.server)
        output = _pinned([*client, str(settings.mib)], settings.cpus.load, TRANSFER_SECONDS)
        used, others = meter.read()
        growth = peak_growth(pid, resident)
    moved = json.loads(output)
    return Sample(
        case=case.name,
        server=server.name,
        loop=loop,
        amount=moved["bytes"],
        cpu_seconds=used,
        others=others,
        wall_seconds=moved["seconds"],
        memory_growth=growth,
    )


def measure_crowd(server: Server, case: Crowd, settings: Settings) -> Sample:
    """Many connections, few of which ask; crowd.py reads by itself what that costs."""
    allow_descriptors(case.connections)  # the client's and the server's: both inherit it
    with _served(server, case, settings.cpus) as (pid, port):
        loop = _loop_of(server, port)
        command = [sys.executable, str(HERE / "crowd.py"), str(pid), str(port)]
        command += [f"--idle={case.idle}", f"--active={case.active}"]
        command.append(f"--seconds={settings.seconds}")
        if settings.cpus.server is not None:
            command.append(f"--cpu={settings.cpus.server}")
        seen = json.loads(_pinned(command, settings.cpus.load, settings.seconds + CROWD_SECONDS))
    return Sample(
        case=case.name,
        server=server.name,
        loop=loop,
        amount=seen["requests"],
        cpu_seconds=seen["cpu_seconds"],
        others=seen["others"],
        wall_seconds=seen["seconds"],
        memory_growth=seen["memory_growth"],
        p50_us=seen["p50_us"],
        p99_us=seen["p99_us"],
    )


def measure(server: Server, case: AnyCase, settings: Settings) -> Sample:
    """One round of one server on one case; ServerError if it does not count."""
    if isinstance(case, Crowd):
        return measure_crowd(server, case, settings)
    if isinstance(case, Transfer):
        return measure_transfer(server, case, settings)
    return measure_requests(server, case, settings)
