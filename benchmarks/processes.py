"""Starting, watching and ending one server process, and reading what it has cost so far.

Everything is read from Linux's /proc, for the whole tree below the process that was started: some
servers are a supervisor and a worker. Only processes started here, and their children, are ever
signalled, each by its pid.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
READY_SECONDS = 10.0
STOP_SECONDS = 5.0
SPARE_DESCRIPTORS = 200
TICKS = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """A server did not start, did not answer right, or failed under load: its row is void."""


@dataclass(frozen=True, kw_only=True)
class Cpus:
    """Which CPU the server and which the load run on; None where there is only one."""

    server: int | None
    load: int | None

    @classmethod
    def split(cls) -> Cpus:
        """The first CPU this process may use for the server, the second for the load."""
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            return cls(server=None, load=None)
        return cls(server=allowed[0], load=allowed[1])


@dataclass(frozen=True)
class CpuTime:
    """CPU time used by a process tree up to a moment.

    `seconds` is utime + stime, living and reaped processes together, exact but in ticks of (mostly)
    10 ms. `threads` is the scheduler's own count in nanoseconds of each living thread.
    """

    seconds: float
    threads: Mapping[tuple[int, int], int]
    processes: int

    def since(self, start: CpuTime) -> float:
        """Seconds used since `start`: the nanoseconds if no thread ended and the ticks agree."""
        coarse = self.seconds - start.seconds
        if not start.threads or start.threads.keys() - self.threads.keys():
            return coarse
        fine = (sum(self.threads.values()) - sum(start.threads.values())) / 1e9
        doubt = 2 * (self.processes + start.processes) / TICKS
        return fine if abs(fine - coarse) <= doubt else coarse


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command name; None if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def tree(root: int) -> dict[int, list[str]]:
    """Every living process below and including `root`: pid -> its stat fields."""
    everyone = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))) is not None:
            everyone[int(entry)] = fields
    members = {root: everyone[root]} if root in everyone else {}
    waiting = list(members)
    while waiting:
        parent = str(waiting.pop())
        for pid, fields in everyone.items():
            if fields[1] == parent and pid not in members:
                members[pid] = fields
                waiting.append(pid)
    return members


def _thread_times(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Nanoseconds on CPU of each thread; nothing where the kernel keeps no schedstat."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                text = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()
                yield (pid, int(thread)), int(text.split()[0])


def cpu_time(root: int) -> CpuTime:
    """What the tree of `root` has used; utime, stime, cutime and cstime are fields 14 to 17."""
    members = tree(root)
    ticks = sum(int(field) for fields in members.values() for field in fields[11:15])
    threads = {key: used for pid in members for key, used in _thread_times(pid)}
    return CpuTime(ticks / TICKS, threads, len(members))


def cpu_occupied(cpu: int | None) -> float:
    """Seconds for which `cpu` has been taken so far, by anyone: idle and iowait left out.

    Time a hypervisor stole is in it. 0.0 where no CPU was set aside for the server.
    """
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    return 0.0


def _memory_kib(pid: int, field: str) -> int:
    """One `Vm...` line of /proc/<pid>/status, in KiB; 0 if the process is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def resident_now(root: int) -> dict[int, int]:
    """VmRSS of each process in the tree, in KiB, after setting its peak back to the same."""
    now = {}
    for pid in tree(root):
        # Without the reset a peak reached while importing would hide a smaller one under load.
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        now[pid] = _memory_kib(pid, "VmRSS")
    return now


def peak_growth(root: int, before: Mapping[int, int]) -> int:
    """Bytes by which each process's peak (VmHWM) exceeds what it held `before`, summed."""
    grown = (_memory_kib(pid, "VmHWM") - before.get(pid, 0) for pid in tree(root))
    return 1024 * sum(max(0, kib) for kib in grown)


@contextlib.contextmanager
def on_cpu(cpu: int | None) -> Iterator[None]:
    """Whatever is started in this block runs on `cpu` from its first thread on.

    A child inherits the affinity of this process; setting the child's own afterwards would miss the
    threads it has made by then.
    """
    allowed = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server((HOST, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def allow_descriptors(connections: int) -> None:
    """Let this process, and all it starts, have so many connections open, and files beside."""
    wanted = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < wanted:
        raise ServerError(f"only {hard} open files are allowed, {wanted} are needed: ulimit -n")
    if resource.RLIM_INFINITY != soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tail(log: IO[bytes], lines: int = 12) -> str:
    """The end of what a server printed, for the message about its failure."""
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def _wait_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the port accepts; waiting on the process itself is the pause between tries."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(0.02)
                raise ServerError(f"ended with status {status} before accepting") from None
    raise ServerError(f"does not accept after {READY_SECONDS:g} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started and left behind."""
    members = tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, fields in members.items():
        # The start time (field 22) tells our orphan from a stranger who got its number.
        if pid != process.pid and (now := _stat(pid)) and now[19] == fields[19]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, cpu: int | None, extra_path: Path | None = None
) -> Iterator[int]:
    """Run `sys.executable command...` on `cpu` until the block ends; yields its pid when ready.

    Raises ServerError, with the end of the server's output, for any failure while it runs.
    """
    environment = dict(os.environ)
    if extra_path is not None:
        paths = [str(extra_path), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with tempfile.TemporaryFile() as log:
        with on_cpu(cpu):
            process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours to handle, in the finally below
            )
        try:
            _wait_ready(process, port)
            yield process.pid
            if process.poll() is not None:
                raise ServerError(f"ended with status {process.returncode} under load")
        except ServerError as error:
            raise ServerError(f"{error}\n{_tail(log)}".rstrip()) from None
        finally:
            stop(process)
