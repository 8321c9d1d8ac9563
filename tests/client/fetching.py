"""What the scenarios work with: one of the clients, one of the servers, and words for the outcome.

Everything here runs in the process of a client, in which ``tornado`` has been imported as it is or
with ours beneath it; so nothing of it is imported before somebody fetches.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import WeakSet

from client.pages import digest
from client.processes import CERT

#: fields that say nothing of a client
UNTOLD = {"Date", "Server"}
_keys = itertools.count()


class Site:
    """A server, as a scenario sees it."""

    def __init__(self, ports: dict[str, int | None]) -> None:
        self.ports = ports
        self.streams: WeakSet[Any] = WeakSet()
        #: the modules of the streams and connections that were used
        self.used: set[str] = set()

    def url(self, path: str, over: str = "http") -> str:
        host = {"http6": "[::1]", "localhost": "localhost"}.get(over, "127.0.0.1")
        scheme = "https" if over == "https" else "http"
        return f"{scheme}://{host}:{self.ports['http' if over == 'localhost' else over]}{path}"

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Any]:
        """A client of its own, and nothing is left of it."""
        from tornado import simple_httpclient

        site = self

        class Connection(simple_httpclient._HTTPConnection):  # type: ignore[misc, unused-ignore]
            def _create_connection(self, stream: Any) -> Any:
                connection = super()._create_connection(stream)
                site.streams.add(stream)
                site.used |= {type(stream).__module__, type(connection).__module__}
                return connection

        class Client(simple_httpclient.SimpleAsyncHTTPClient):
            def _connection_class(self) -> type:
                return Connection

        client = Client(force_instance=True, **options)
        try:
            yield client
        finally:
            client.close()

    async def fetch(
        self, path: str, *, over: str = "http", client: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """One request, and what became of it in words."""
        async with self.client(**(client or {})) as fetcher:
            return await self.told(fetcher, self.url(path, over), **options)

    async def told(self, client: Any, url: str, **options: Any) -> dict[str, Any]:
        """The same with a client that is there."""
        if url.startswith("https:"):
            options.setdefault("ca_certs", CERT)
        try:
            response = await client.fetch(url, raise_error=False, **options)
        except Exception as error:
            return {"raised": type(error).__name__, "text": str(error)}
        return self.in_words(response)

    def in_words(self, response: Any) -> dict[str, Any]:
        fields = [[name, value] for name, value in response.headers.get_all()]
        words: dict[str, Any] = {
            "code": response.code,
            "reason": response.reason,
            "fields": [pair for pair in fields if pair[0] not in UNTOLD],
            "body": digest(response.body),
            "url": response.effective_url,
        }
        if ["Content-Type", "application/json"] in fields and response.body:
            words["seen"] = json.loads(response.body)
            del words["body"]
        return words

    def held(self, name: str) -> tuple[str, Callable[[str], Awaitable[None]]]:
        """A page that is held in the middle: its path, and a function that says how it goes on."""
        key = f"{os.getpid()}-{next(_keys)}"  # other clients have the same servers

        async def release(how: str) -> None:
            path = f"/release?key={key}&how={how}"
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["http"])
            try:
                writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                await reader.read()
            finally:
                writer.transport.abort()

        return f"/held?name={name}&key={key}", release


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server that reads something, sends ``answer`` and closes: its port, and when it has."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        closed.set()

    closed = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], closed
        await closed.wait()
    finally:
        server.close()
        await server.wait_closed()


def unused_port() -> int:
    """A port of which nobody takes connections: most probably, for a while."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Deaf:
    """A listening socket of which nobody takes connections."""

    def __init__(self, *, full: bool) -> None:
        """``full``: not even the system answers those who connect."""
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port: int = self.socket.getsockname()[1]
        self._fillers: list[socket.socket] = []
        for _ in range(2 if full else 0):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.socket, *self._fillers):
            each.close()


def descriptors() -> int:
    """How many descriptors this process has, the one that looks included."""
    return len(os.listdir("/dev/fd"))
