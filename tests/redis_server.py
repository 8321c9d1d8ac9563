"""A Redis server of a test's own: on a free port of loopback, in a directory of its own.

It can be killed, started again on the same port, and frozen.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

REDIS_SERVER = shutil.which("redis-server")


class RedisServer:
    """A process of redis-server; started by :meth:`start`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "socket"
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it, until it can be connected to."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(REDIS_SERVER), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        said = b""
        for line in self._process.stdout:
            said += line
            if b"Ready to accept connections" in line:
                return
        raise AssertionError(said.decode())

    def kill(self) -> None:
        """As if its machine had lost its power; its clients see their connections end."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs, frozen or not."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None and process.stdout is not None
        process.send_signal(number)
        process.wait(10)
        process.stdout.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its connections stay, and nobody answers."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> Any:
        """What it answers."""
        import redis

        with redis.Redis(port=self.port, protocol=2, decode_responses=True) as client:
            return client.execute_command(*command)

    def channels(self) -> set[str]:
        """Those that somebody is subscribed to."""
        return set(self.ask("PUBSUB", "CHANNELS"))

    def clients(self) -> int:
        """How many connections it has, but for the one that asks."""
        return int(self.ask("INFO", "clients")["connected_clients"]) - 1


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis server."""
    pytest.importorskip("redis", reason="redis-py is not installed")
    if REDIS_SERVER is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
