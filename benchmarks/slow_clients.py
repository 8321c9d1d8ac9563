"""Slow clients by the hundred, and a normal one among them: `python benchmarks/slow_clients.py`.

Runs slowhttptest in its four modes against examples/upload/server.py with its default bounds, each
until the server has got rid of all slow connections by itself. Meanwhile a normal client asks for
the page every 100 ms, each time over a new connection. The exit status is 0 only if it was always
answered, within a second, and every slow connection was ended within the documented bounds; 2
without slowhttptest (Debian: apt-get install slowhttptest).

    python benchmarks/slow_clients.py --modes headers,body --connections 200
    python benchmarks/slow_clients.py --server tornado      # the same against the real Tornado
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO

from processes import (
    HOST,
    STOP_SECONDS,
    ServerError,
    cpu_time,
    free_port,
    peak_growth,
    resident_now,
    running,
)
from wire import ask

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MIB = 1 << 20

TOOL = "slowhttptest"
ASK_SECONDS = 0.1
WORST_SECONDS = 1.0
OPENINGS = 200  # a second
LEAST_SECONDS = 10.0
"""A mode that is over at once is watched for so long all the same."""

SLACK = 2.0
"""Seconds between the opening of a connection and what its bound counts from."""

TICKS = 2 * 1.0
"""Seconds by which a bound may be kept late: twice the interval of the server's clock."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way of being slow. `bound` is the time in seconds, of tornadoish's default Limits, in
    which the server has to end a connection that goes on like this, from its opening; `why` names
    the limits."""

    name: str
    target: Target
    flags: tuple[str, ...]
    bound: float
    why: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server to be asked: its command, where it takes a body, and its largest answer."""

    command: tuple[str, ...]
    upload: tuple[str, str]
    large: str


def tornado_style(package: str) -> Target:
    """The application of compare.py, whose download is more than the system takes at once."""
    return Target(
        command=("benchmarks/servers/tornado_style.py", package, "PORT"),
        upload=("POST", "/upload"),
        large="/download/8",
    )


TARGETS = {
    "example": Target(
        command=("examples/upload/server.py", "--port", "PORT", "--directory", "DIRECTORY"),
        upload=("PUT", "/files/slow.bin"),
        large="/upload.js",
    ),
    "tornadoish": tornado_style("tornadoish"),
    "tornado": tornado_style("tornado"),
}

IDLE = 75.0 + TICKS
WRITE = 60.0 + TICKS
LINGER = 5.0 + TICKS  # of a 408, for the client to read it


def slow_read(name: str, target: Target, bound: float, why: str) -> Mode:
    """Ten pipelined requests for the largest answer, taken 32 bytes a second."""
    flags = (
        "-X", "-t", "GET", "-u", target.large, "-k", "10",
        "-w", "512", "-y", "1024", "-n", "1", "-z", "32",
    )  # fmt: skip
    return Mode(name=name, target=target, flags=flags, bound=bound, why=why)


def modes(server: str) -> list[Mode]:
    """The four modes of slowhttptest, aimed at one of the servers."""
    target = TARGETS[server]
    verb, upload = target.upload
    # What the system takes from the server counts as taken by the client, who may so be given the
    # same time once more.
    behind = 2 * WRITE + SLACK
    reads = [slow_read("read", target, behind, "write_seconds, twice")]
    if server == "example":
        # All that it has to give is in the system's buffers at once: its clients count as idle.
        # So that the server has to wait for them too, the last one asks for more elsewhere.
        other = TARGETS["tornadoish"]
        reads = [
            slow_read("read", target, IDLE + SLACK, "idle_seconds"),
            slow_read("read-large", other, behind, "write_seconds, twice"),
        ]
    return [
        Mode(
            name="headers",
            target=target,
            flags=("-H", "-t", "GET", "-u", "/", "-i", "5", "-x", "24"),
            bound=30.0 + TICKS + LINGER,
            why="header_seconds, linger_seconds",
        ),
        Mode(
            name="body",
            target=target,
            flags=("-B", "-t", verb, "-u", upload, "-i", "5", "-x", "10", "-s", "8192"),
            # The average is looked at when more comes: 5 s later.
            bound=30.0 + TICKS + 5.0 + LINGER,
            why="body_bytes_per_second over body_gap_seconds, linger_seconds",
        ),
        *reads,
        Mode(
            name="range",
            target=target,
            flags=("-R", "-t", "GET", "-u", "/", "-a", "5", "-b", "2000"),
            bound=5.0,
            why="answered at once",
        ),
    ]  # fmt: skip


@dataclass
class Seen:
    """What was seen in one mode."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    most: int = 0
    last: int = 0
    gone: float | None = None
    cpu: float = 0.0
    seconds: float = 0.0
    memory: int = 0
    unavailable: int = 0

    def faults(self, mode: Mode, connections: int) -> list[str]:
        """All that was not as it should be."""
        faults = self.failures[:5]
        if self.failures:
            faults.append(f"{len(self.failures)} of {self.asked} requests failed")
        if max(self.latencies, default=0.0) >= WORST_SECONDS:
            faults.append(f"an answer took {max(self.latencies):.2f} s")
        if self.gone is None:
            faults.append(f"{self.last} still open after {self.seconds:.0f} s ({mode.why})")
        if self.unavailable:
            faults.append(f"{TOOL} found the server unavailable {self.unavailable} times")
        if mode.name != "range" and self.most < connections // 2:
            faults.append(f"only {self.most} slow connections came about: this shows nothing")
        return [f"{mode.name}: {fault}" for fault in faults]

    @property
    def asked(self) -> int:
        """Requests of the normal client."""
        return len(self.latencies) + len(self.failures)


def sockets(pid: int) -> int:
    """How many sockets the process has."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return count


@contextlib.contextmanager
def attack(
    mode: Mode, port: int, connections: int, log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """slowhttptest at work, for as long as the block runs or until it has nothing left to do."""
    flags = [f"http://{HOST}:{port}{flag}" if flag.startswith("/") else flag for flag in mode.flags]
    # The slow clients of the world do not run on the server's CPUs: ours must not be in its way.
    command = [
        "nice", "-n", "19", TOOL, *flags, "-c", str(connections), "-r", str(OPENINGS),
        "-l", str(int(mode.bound) + 60), "-p", "3", "-v", "1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
        if process.poll():
            log.seek(0)
            raise ServerError(f"{TOOL} failed: {log.read().decode(errors='replace')[-500:]}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask_once(port: int, seen: Seen) -> None:
    """The normal client's request, over a connection of its own."""
    start = time.monotonic()
    try:
        status = ask(port, "/").status
    except (OSError, ServerError) as error:
        seen.failures.append(f"{type(error).__name__}: {error}")
        return
    if status == 200:
        seen.latencies.append(time.monotonic() - start)
    else:
        seen.failures.append(f"status {status}")


def watch(
    mode: Mode, attacker: subprocess.Popen[bytes], pid: int, port: int, usual: int, opening: float
) -> Seen:
    """Ask, and count the server's connections, until all slow ones are gone or had to be."""
    seen = Seen()
    start = time.monotonic()
    give_up = start + mode.bound + opening
    turn = 0
    while True:
        # The normal client's own connection of 100 ms ago is gone by now.
        now, seen.last = time.monotonic(), sockets(pid) - usual
        if seen.last > 0:
            seen.gone = None
        elif seen.gone is None and (seen.most > 0 or attacker.poll() is not None):
            seen.gone = now - start
        seen.most = max(seen.most, seen.last)
        over = seen.gone is not None and now - start >= max(LEAST_SECONDS, opening + 2.0)
        if over or now >= give_up:
            break
        ask_once(port, seen)
        turn += 1
        time.sleep(max(0.0, start + turn * ASK_SECONDS - time.monotonic()))
        turn = max(turn, int((time.monotonic() - start) / ASK_SECONDS))
    seen.seconds = time.monotonic() - start
    return seen


def measure(mode: Mode, connections: int) -> Seen:
    """One mode against a server of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as log:
        script, *arguments = mode.target.command
        places = {"PORT": str(port), "DIRECTORY": directory}
        command = [str(ROOT / script), *(places.get(word, word) for word in arguments)]
        with running(command, port, None, ROOT) as pid:
            ask(port, "/")
            time.sleep(0.2)
            usual = sockets(pid)
            resident, used = resident_now(pid), cpu_time(pid)
            with attack(mode, port, connections, log) as attacker:
                seen = watch(mode, attacker, pid, port, usual, connections / OPENINGS)
            seen.cpu = cpu_time(pid).since(used)
            seen.memory = peak_growth(pid, resident)
        log.seek(0)
        seen.unavailable = len(re.findall(rb"available:\S*\s+\S*NO", log.read()))
    return seen


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    names = [mode.name for mode in modes("example")]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--modes", default=",".join(names), help="of: %(default)s")
    parser.add_argument("--connections", type=int, default=500, help="slow ones (%(default)s)")
    parser.add_argument("--server", choices=list(TARGETS), default="example", help="(%(default)s)")
    options = parser.parse_args(argv)
    options.modes = options.modes.split(",")
    if unknown := set(options.modes) - set(names):
        parser.error(f"--modes: unknown {', '.join(sorted(unknown))}; of {', '.join(names)}")
    return options


def allow_descriptors() -> None:
    """As many as there may be: the example keeps a file for each upload beside its connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if most == resource.RLIM_INFINITY else min(4096, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def report(mode: Mode, seen: Seen, connections: int) -> None:
    """A line of the table, all its times from the opening of the first connection."""
    bound = mode.bound + connections / OPENINGS
    times = sorted(seen.latencies) or [0.0]
    gone = f"{seen.last} left" if seen.gone is None else f"{seen.gone:.1f} s"
    print(
        f"| {mode.name} | {seen.most} | {gone} | {bound:.0f} s | {seen.asked} | "
        f"{len(seen.failures)} | {median(times) * 1000:.1f} ms | {times[-1] * 1000:.1f} ms | "
        f"{100 * seen.cpu / seen.seconds:.0f} % | {seen.memory / MIB:.1f} MiB |",
        flush=True,
    )


def main() -> int:
    """Run the modes one after the other."""
    options = parse()
    if shutil.which(TOOL) is None:
        print(f"{TOOL} is not installed (Debian: apt-get install {TOOL})", file=sys.stderr)
        return 2
    allow_descriptors()
    faults: list[str] = []
    print(
        "| slow | open at most | all gone after | bound | asked | failed | median | worst ", end=""
    )
    print(
        "| server's CPU | memory |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True
    )
    for mode in modes(options.server):
        if mode.name not in options.modes:
            continue
        try:
            seen = measure(mode, options.connections)
        except ServerError as error:
            faults.append(f"{mode.name}: {error}")
            continue
        report(mode, seen, options.connections)
        faults += seen.faults(mode, options.connections)
    print("\n" + "\n".join(faults or ["passed"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
