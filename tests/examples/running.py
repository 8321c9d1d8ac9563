"""An example as a running process: started, asked for its address, ended, its words checked."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 20.0  # seconds until a thing that should happen at once counts as not happening


class Example:
    """A process of `examples/NAME`, ready for its first connection."""

    def __init__(self, name: str, *arguments: str, log: Path) -> None:
        """`log` is the file that its standard error goes to; standard output goes beside it."""
        self._log, self._output = log, log.with_suffix(".out")
        path = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
            "PYTHONWARNINGS": "error",
        }
        with log.open("wb") as stderr, self._output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "examples" / name), *arguments],
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=log.parent,
            )
        self.url = self._read_address()
        parts = urlsplit(self.url)
        self.host, self.port = parts.hostname or "", parts.port or 0

    def _read_address(self) -> str:
        try:
            until(lambda: self._addresses() or self.process.poll() is not None)
            assert self._addresses(), f"no address; it said: {self.said()}"
        except AssertionError:
            self.process.kill()
            self.close()
            raise
        return self._addresses()[0]

    def _addresses(self) -> list[str]:
        """What it has printed, or its server has logged."""
        return re.findall(r"http://\S+(?=\s)", self._output.read_text() + self.said())

    def said(self) -> str:
        """Its standard error."""
        return self._log.read_text(encoding="utf-8")

    def connect(self) -> socket.socket:
        """A new connection to it."""
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its exit status; it must end in time."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
            finally:
                self.close()
        return self.process.returncode

    def close(self) -> None:
        """Let go of the process once it has ended, or was killed."""
        self.process.wait(PATIENCE)

    def check_clean_end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal: status 0, and not a word of a bug."""
        assert self.stop(number) == 0, self.said()
        for word in ("Traceback", "Warning", "never awaited", "never retrieved"):
            assert word not in self.said(), self.said()


def until(condition: Callable[[], object]) -> None:
    """Return as soon as `condition()` is true; an AssertionError where that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
