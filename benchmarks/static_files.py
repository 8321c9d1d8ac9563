"""Static files beside Tornado's: `python benchmarks/static_files.py [--mib 1024] [--rounds 5]`.

Small files by wrk, CPU microseconds of the server per request; one large file by a raw client, CPU
seconds per GiB and how far the server's memory rises: by sendfile, copied (read and written), and
over TLS, where it has to be copied. Medians of all rounds, which take turns; in brackets the ratio
to the first row. Needs Linux and wrk. `--directory` puts the files elsewhere: on a file system that
does not say what it has in memory (tmpfs: /dev/shm), reading takes place in a thread.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from processes import Cpus, ServerError, cpu_time, free_port, on_cpu, peak_growth, resident_now
from processes import running as run_server
from wire import BLOCK, ask, connect, head, read_head

HERE = Path(__file__).resolve().parent
SMALL = {"100 B": 100, "10 KiB": 10 << 10, "64 KiB": 64 << 10}
SERVERS: dict[str, tuple[str, ...]] = {
    "tornadoish": ("tornadoish",),
    "tornadoish, copied": ("tornadoish", "--copy"),
    "tornadoish, TLS": ("tornadoish", "--tls"),
    "tornado": ("tornado",),
    "tornado, TLS": ("tornado", "--tls"),
}


def make_files(directory: Path, mib: int) -> None:
    """The files to be served; the large one of random bytes, all in the system's memory."""
    for name, size in SMALL.items():
        (directory / name.replace(" ", "")).write_bytes(os.urandom(size))
    block = os.urandom(1 << 20)
    with (directory / "large").open("wb") as file:
        for _ in range(mib):
            file.write(block)
    os.utime(directory / "large", (1e9, 1e9))


@contextmanager
def served(name: str, directory: Path, cpus: Cpus) -> Iterator[tuple[int, int]]:
    """A server, running: (pid, port)."""
    package, *flags = SERVERS[name]
    port = free_port()
    script = str(HERE / "servers" / "static_server.py")
    command = [script, package, str(directory), str(port), *flags]
    with run_server(command, port, cpus.server, HERE.parent) as pid:
        yield pid, port


def small(name: str, directory: Path, cpus: Cpus, file: str) -> float:
    """CPU microseconds per request."""
    with served(name, directory, cpus) as (pid, port):
        target = "/static/" + file.replace(" ", "")
        for _ in range(50):
            if ask(port, target).body != (directory / file.replace(" ", "")).read_bytes():
                raise ServerError("wrong answer")
        time.sleep(1)  # what was changed within a second is looked at anew each time
        command = ["wrk", "-t1", "-c32", "-d2s", "-s", str(HERE / "wrk.lua")]
        before = cpu_time(pid)
        with on_cpu(cpus.load):
            url = f"http://127.0.0.1:{port}{target}"
            done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        used = cpu_time(pid).since(before)
        counts = json.loads(done.stdout.strip().splitlines()[-1])
        if any(counts[kind] for kind in ("connect", "read", "write", "status", "timeout")):
            raise ServerError(f"wrk counted errors: {counts}")
        return used / int(counts["requests"]) * 1e6


def fetch(port: int, size: int, tls: bool) -> float:
    """Receive the large file into one buffer, over and over; returned are the seconds."""
    started = time.perf_counter()
    buffer = bytearray(BLOCK)
    sock = connect(port)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    with sock:
        sock.sendall(head("GET", "/static/large", port))
        status, _, _, rest = read_head(sock)
        left = size - len(rest)
        while left > 0:
            count = sock.recv_into(buffer, min(left, BLOCK))
            if not count or status != 200:
                raise ServerError(f"answered {status}, closed {left} bytes before the end")
            left -= count
    return time.perf_counter() - started


def large(name: str, directory: Path, cpus: Cpus) -> tuple[float, float, float]:
    """CPU seconds per GiB, MB/s and MiB of memory."""
    size = (directory / "large").stat().st_size
    tls = "TLS" in name
    with served(name, directory, cpus) as (pid, port), on_cpu(cpus.load):
        fetch(port, size, tls)  # the server's memory of it, and all else, is warm
        memory = resident_now(pid)
        before = cpu_time(pid)
        seconds = fetch(port, size, tls)
        used = cpu_time(pid).since(before)
        grown = peak_growth(pid, memory) / (1 << 20)
    return used / size * (1 << 30), size / seconds / 1e6, grown


def rows(names: list[str], rounds: int, measure: Callable[[str], tuple[float, ...]]) -> None:
    """A line for each server: medians, and the ratio of the first number to the first row's."""
    samples: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            samples[name].append(measure(name))
    medians = {name: [median(row) for row in zip(*samples[name], strict=True)] for name in names}
    for name in names:
        ratio = medians[name][0] / medians[names[0]][0]
        numbers = "".join(f"{number:10.2f}" for number in medians[name])
        print(f"  {name:20}{numbers}  ({ratio:.2f})", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    cpus = Cpus.split()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        directory = Path(name)
        make_files(directory, options.mib)
        for file in SMALL:
            print(f"{file}: CPU us per request")
            rows(
                ["tornadoish", "tornado"],
                options.rounds,
                lambda name, file=file: (small(name, directory, cpus, file),),
            )
        print(f"{options.mib} MiB: CPU s per GiB, MB/s, MiB of memory")
        rows(list(SERVERS), options.rounds, lambda name: large(name, directory, cpus))


if __name__ == "__main__":
    try:
        main()
    except (ServerError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
