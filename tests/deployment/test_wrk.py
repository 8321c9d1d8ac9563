"""wrk counts what is lost while workers are replaced, and when one is killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from ports import free_ports

from .running import PATIENCE, Processes, tool, wait_until

CONNECTIONS = 32


class Loaded:
    """A server with two workers, and wrk."""

    def __init__(self, processes: Processes) -> None:
        program = tool("wrk")
        self._processes = processes
        [self.port] = free_ports(1)
        self.server = processes.serve(self.port, "--workers", "2")
        self._wrk = processes.start(
            "wrk", program, "-t1", f"-c{CONNECTIONS}", "-d60", "--timeout", "60s",
            f"http://127.0.0.1:{self.port}/",
        )  # fmt: skip
        self.wait(lambda: sum(self.held_by(pid) for pid in self.workers()) == CONNECTIONS)

    def wait(self, condition: Callable[[], object]) -> None:
        wait_until(condition, self.server)

    def said(self) -> str:
        return self._processes.said(f"server-{self.port}")

    def workers(self) -> list[int]:
        pid = self.server.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def held_by(self, pid: int) -> int:
        """How many connections a process has on our port."""
        wanted = f"0100007F:{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {row[9] for row in rows if row[1] == wanted and row[3] == "01"}
        count = 0
        for each in Path(f"/proc/{pid}/fd").iterdir():
            try:
                count += os.readlink(each).removeprefix("socket:[").rstrip("]") in inodes
            except OSError:  # closed meanwhile
                pass
        return count

    def end_wrk(self) -> tuple[int, int, str]:
        """How many requests were answered, how many were lost, and all that wrk says."""
        self._wrk.send_signal(signal.SIGINT)
        self._wrk.wait(PATIENCE)
        said = self._processes.said("wrk")
        [answered] = re.findall(r"(\d+) requests in", said)
        lost = re.findall(r"(?:connect|read|write|timeout|responses:) (\d+)", said)
        return int(answered), sum(map(int, lost)), said


@pytest.fixture
def loaded(processes: Processes) -> Loaded:
    return Loaded(processes)


pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux's /proc")


def test_wrk_across_a_roll(loaded: Loaded) -> None:
    first = set(loaded.workers())
    for rolls in (1, 2):
        loaded.server.send_signal(signal.SIGHUP)
        loaded.wait(lambda rolls=rolls: loaded.said().count("has drained") == 2 * rolls)
    assert not first & set(loaded.workers())
    answered, lost, said = loaded.end_wrk()
    assert answered > CONNECTIONS
    assert lost == 0, said


def test_wrk_across_a_worker_s_death(loaded: Loaded) -> None:
    victim = loaded.workers()[0]
    held = loaded.held_by(victim)
    os.kill(victim, signal.SIGKILL)
    loaded.wait(lambda: len(loaded.workers()) == 2 and victim not in loaded.workers())
    loaded.wait(lambda: sum(loaded.held_by(pid) for pid in loaded.workers()) == CONNECTIONS)
    _, lost, said = loaded.end_wrk()
    assert 0 < lost <= held, said
    print(f"{held} requests held, {lost} lost")
