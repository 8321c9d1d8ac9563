"""Servers and the proxies before them, as processes; their configuration is that of the pages."""

from __future__ import annotations

import asyncio
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


class Load:
    """Browsers that ask again and again, GET and POST by turns; each loss is noted."""

    def __init__(self, port: int, browsers: int = 8, *, tls: bool = False) -> None:
        self._browsers = [Browser(port, tls=tls) for _ in range(browsers)]
        self.answered = 0
        self.pids: set[int] = set()
        self.lost: list[str] = []
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def _ask(self, browser: Browser) -> None:
        post = False
        while not self._stopped:
            post = not post
            try:
                told = await browser.ask("POST" if post else "GET", "/", b"x" * 100 * post)
            except (OSError, EOFError) as error:
                self.lost.append(f"{'POST' if post else 'GET'} {error!r}")
                browser.close()
            else:
                self.pids.add(told["pid"])
                self.answered += 1
                await asyncio.sleep(0.002)  # there are things to do beside the load
        browser.close()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.ensure_future(self._ask(browser)) for browser in self._browsers]
        await self.goes_on()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stopped = True
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._tasks)

    async def goes_on(self, more: int = 100) -> None:
        """Wait for so many more answers."""
        goal = self.answered + more
        await self.until(lambda: self.answered >= goal)

    async def until(self, condition: Callable[[], object]) -> None:
        """Go on until it holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.01)
