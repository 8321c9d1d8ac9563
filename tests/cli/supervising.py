"""Supervisors as running processes: started, loaded, asked how they are, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import tornadoish

TESTS = Path(__file__).resolve().parent
ROOT = str(Path(tornadoish.__file__).parents[1])
PATIENCE = 30.0  # seconds: never waited for unless something hangs


async def until(condition: Callable[[], Any]) -> Any:
    """What ``condition()``, a coroutine function or not, gives as soon as it is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.005)


class Lost(Exception):
    """A request was not answered."""


class Client:
    """One connection, kept open as long as the server does."""

    def __init__(self, where: Any) -> None:
        self._where = where
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        #: the worker that has answered on this connection
        self.pid: int | None = None

    async def send(self, path: str) -> None:
        if self._writer is None:
            if isinstance(self._where, str):
                opening = asyncio.open_unix_connection(self._where)
            else:
                opening = asyncio.open_connection(*self._where)
            self._reader, self._writer = await opening
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    async def receive(self) -> Any:
        assert self._reader is not None
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await self._reader.readexactly(int(fields[b"Content-Length"]))
        except (OSError, EOFError) as error:
            self.close()
            raise Lost(repr(error)) from None
        if fields.get(b"Connection") == b"close":
            self.close()
        told = json.loads(body)
        self.pid = told["pid"] if self._writer is not None else None
        return told

    async def get(self, path: str = "/") -> Any:
        await self.send(path)
        async with asyncio.timeout(PATIENCE):
            return await self.receive()

    def close(self) -> None:
        self.pid = None
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None


class Load:
    """Clients that ask again and again, as long as a test is within it; each loss is noted."""

    def __init__(self, clients: Sequence[Any]) -> None:
        self.clients = clients
        self.answered = 0
        #: what ``ask`` says of each lost request
        self.lost: list[Any] = []
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, client: Any) -> None:
        """Send one request, and raise Lost if it is not answered."""
        raise NotImplementedError

    async def _go_on(self, client: Any) -> None:
        while not self._stopped:
            try:
                await self.ask(client)
            except Lost as lost:
                self.lost.append(lost.args[0])
            else:
                self.answered += 1
                await asyncio.sleep(0.002)  # there are things to do beside the load
        client.close()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.ensure_future(self._go_on(client)) for client in self.clients]
        await self.goes_on()
        return self

    async def __aexit__(self, kind: object, *others: object) -> None:
        try:
            if kind is None:
                await self.goes_on()
        finally:
            self._stopped = True
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*self._tasks)

    async def goes_on(self, more: int = 100) -> None:
        """Wait for so many more answers."""
        goal = self.answered + more
        await until(lambda: self.answered >= goal)


class WorkersLoad(Load):
    """Of each lost request it notes the worker that had answered the one before it."""

    async def ask(self, client: Client) -> None:
        pid = client.pid
        try:
            await client.get()
        except (Lost, OSError):
            raise Lost(pid) from None

    def held_by(self, pid: int) -> int:
        """How many connections one worker has, each with one request."""
        return sum(client.pid == pid for client in self.clients)


class Supervised:
    """A supervisor with its workers. All that happens is below its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._log = directory / "log"
        self.where: Any = None
        self.behave()

    def behave(self, **behaviour: Any) -> None:
        """What workers do that are started from now on."""
        (self.directory / "behaviour").write_text(json.dumps(behaviour))

    async def start(
        self,
        *,
        prefix: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
        serves: bool = True,
        policy: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Start it, and wait until all its workers are ready, if they can be."""
        options["policy"] = policy or {}
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *prefix, sys.executable, "-W", "error", str(TESTS / "supervised.py"),
                json.dumps(options), stdout=asyncio.subprocess.PIPE, stderr=log,
                cwd=self.directory, pass_fds=pass_fds, start_new_session=True,
                env={**os.environ, "PYTHONPATH": ROOT, **(environment or {})},
            )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            line = await self._stdout().readline()
        assert line, self.said()
        self.where = json.loads(line)
        if isinstance(self.where, str):
            self.where = str(self.directory / self.where)
        if serves:
            await self.all_serve(options.get("workers", 2))

    def _stdout(self) -> asyncio.StreamReader:
        assert self.process.stdout is not None
        return self.process.stdout

    def said(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8")

    async def view(self) -> Any:
        try:
            reader, writer = await asyncio.open_unix_connection(self.directory / "control")
            told = json.loads(await reader.read())
            writer.close()
        except OSError:
            raise AssertionError(f"it is gone: {self.said()}") from None
        return told

    async def workers(self) -> list[dict[str, Any]]:
        return (await self.view())["workers"]

    async def pids(self, state: str = "ready") -> set[int]:
        return {worker["pid"] for worker in await self.workers() if worker["state"] == state}

    async def all_serve(self, count: int = 2, instead_of: set[int] | None = None) -> set[int]:
        """Wait until so many workers serve and there are no others; none of some. Their ids."""

        async def ready() -> set[int] | None:
            workers = await self.workers()
            pids = {worker["pid"] for worker in workers}
            done = all(worker["state"] == "ready" for worker in workers) and len(pids) == count
            return pids if done and not pids & (instead_of or set()) else None

        return await until(ready)

    def load(self, clients: int = 4) -> WorkersLoad:
        return WorkersLoad([Client(self.where) for _ in range(clients)])

    async def get(self, path: str = "/") -> Any:
        """Ask on a connection of its own."""
        client = Client(self.where)
        try:
            return await client.get(path)
        finally:
            client.close()

    async def hold(self) -> tuple[Client, asyncio.Task[Any]]:
        """A request that is answered after :meth:`release`."""
        client = Client(self.where)
        await client.send("/hold")
        await until((self.directory / "holds").exists)
        return client, asyncio.ensure_future(client.receive())

    def release(self) -> None:
        (self.directory / "release").touch()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit status; it must end in time."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def reason(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self._stdout().readline())["reason"]

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def clean_up(self) -> None:
        """Leave nothing behind, whatever has happened."""
        if not hasattr(self, "process"):
            return
        pids: set[int] = set()
        if self.process.returncode is None:
            with contextlib.suppress(AssertionError, OSError, ValueError):
                pids = {worker["pid"] for worker in await self.workers()}
            self.process.kill()
        await self.process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def refuses(where: Any) -> bool:
    """Whether nobody listens there."""
    with contextlib.closing(socket.socket()) as sock:
        return sock.connect_ex(tuple(where)) != 0
