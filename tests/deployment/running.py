"""Servers and the proxies before them, as processes; their configuration is that of the pages."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli import supervising
from docs.blocks import blocks_of

import tornadoish

HERE = Path(__file__).resolve().parent
CERTIFICATES = HERE.parent / "certs"
ROOT = str(Path(tornadoish.__file__).parents[1])
PATIENCE = 30.0  # seconds: never waited for unless something hangs


def block(page: str, language: str, first: str = "") -> str:
    """The text of a block on a page in docs/deployment, the only one that begins so."""
    [found] = [
        each.text
        for each in blocks_of(f"docs/deployment/{page}")
        if each.language == language and each.text.startswith(first)
    ]
    return found


def replaced(text: str, changes: dict[str, str]) -> str:
    """``text`` with others' names, ports and paths; each must be there."""
    for old, new in changes.items():
        assert old in text, f"the page does not say {old!r}"
        text = text.replace(old, new)
    return text


def tool(name: str) -> str:
    """A program; the test is skipped where it is not installed."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


class Processes:
    """What a test has started; ``close`` leaves nothing behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Run a command; what it says goes to the file ``name``.log."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", **environment},
            )
        self._running.append(process)
        return process

    #: how tests start Python
    python = (sys.executable,)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python to its end."""
        return subprocess.run(
            [*self.python, *arguments],
            capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=self.directory,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}"},
        )  # fmt: skip

    def serve(self, port: int, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """Our own server on a port, with the application of these tests."""
        process = self.start(
            f"server-{port}", *self.python, "-m", "tornadoish", "app:make_app",
            "--port", str(port), "--no-access-log", *options, **environment,
        )  # fmt: skip
        said = self.directory / f"server-{port}.log"
        if "--workers" in options:
            wait_until(lambda: "workers serve" in said.read_text(), process)
        else:
            wait_until(lambda: listens(port), process)
        return process

    def said(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """SIGTERM, and its exit status."""
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE)

    def close(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                process.terminate()
        for process in self._running:
            try:
                process.wait(PATIENCE / 6)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Browser:
    """A connection of HTTP/1.1 that is kept open, with TLS or without, from any local address."""

    def __init__(self, port: int, *, tls: bool = False, source: str | None = None) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(CERTIFICATES / "localhost.pem"))
        self._options: dict[str, Any] = {"ssl": self._tls} if tls else {}
        if source:
            self._options["local_addr"] = (source, 0)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def send(self, method: str, path: str, body: bytes = b"", **fields: str) -> None:
        """Send a request; with ``Content-Length`` among the fields, ``body`` is its beginning."""
        if self.writer is None:
            opened = await asyncio.open_connection("localhost", self._port, **self._options)
            self.reader, self.writer = opened
        fields = {"Host": "localhost", "Content_Length": str(len(body))} | fields
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        assert self.reader is not None
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:-2])
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}

    async def answer(self) -> tuple[int, bytes]:
        """The status and the body of an answer whose length is known, or that is chunked."""
        assert self.reader is not None
        status, fields = await self.head()
        if fields.get("transfer-encoding") == "chunked":
            body = b""
            while chunk := await self.chunk():
                body += chunk
        else:
            body = await self.reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return status, body

    async def chunk(self) -> bytes:
        assert self.reader is not None
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def ask(self, method: str, path: str, body: bytes = b"", **fields: str) -> Any:
        """The JSON of an answer that must be a 200."""
        async with asyncio.timeout(PATIENCE):
            await self.send(method, path, body, **fields)
            status, answer = await self.answer()
        if status != 200:
            raise OSError(f"{status}: {answer!r}")
        return json.loads(answer)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
            self.reader = self.writer = None


class Load(supervising.Load):
    """Browsers that ask by GET and POST by turns."""

    def __init__(self, port: int, browsers: int = 8, *, tls: bool = False) -> None:
        super().__init__([Browser(port, tls=tls) for _ in range(browsers)])
        self.pids: set[int] = set()
        self._methods = {client: itertools.cycle(["POST", "GET"]) for client in self.clients}

    async def ask(self, client: Browser) -> None:
        method = next(self._methods[client])
        try:
            told = await client.ask(method, "/", b"x" * 100 if method == "POST" else b"")
        except (OSError, EOFError) as error:
            client.close()
            raise supervising.Lost(f"{method} {error!r}") from None
        self.pids.add(told["pid"])
