"""One of the two frameworks, and an application of it on a free port with a client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from libraries import Library

from tornadoish.testing import MemoryTransport, memory_connection

# Made once: it costs more than a whole test, and nothing here speaks TLS.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

PATIENCE = 10.0  # seconds: never waited for unless a test fails
IN_MEMORY_PORT = 8888  # in URLs, where nobody listens


class Framework(Library):
    """A library, of which applications are made."""

    @property
    def is_tornado(self) -> bool:
        return self.name == "tornado"


@dataclass
class Answer:
    """A response as it came over the wire."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    complete: bool = True

    def get(self, name: str) -> str | None:
        """The value of a field that must not repeat."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} repeats: {values}"
        return values[0] if values else None


class Peer:
    """A connection whose bytes are written and read by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *lines: str | bytes, body: bytes = b"") -> None:
        """Send a head, given line by line, and a body."""
        head = [line.encode() if isinstance(line, str) else line for line in lines]
        self.writer.write(b"\r\n".join([*head, b"", b""]) + body)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one response; ``to_head``: its body stays away whatever its fields say."""
        async with asyncio.timeout(PATIENCE):
            block = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = block[:-4].split("\r\n")
            _, code, *reason = first.split(" ", 2)
            pairs = [line.partition(":") for line in lines]
            answer = Answer(
                int(code), "".join(reason), [(name, value.strip()) for name, _, value in pairs], b""
            )
            if to_head or answer.status in (204, 304) or answer.status < 200:
                return answer
            if answer.get("Transfer-Encoding") == "chunked":
                answer.body, answer.complete = await self._chunks()
            else:
                length = answer.get("Content-Length")
                wanted = -1 if length is None else int(length)
                try:
                    answer.body = await (
                        self.reader.read() if wanted < 0 else self.reader.readexactly(wanted)
                    )
                except asyncio.IncompleteReadError as error:
                    answer.body, answer.complete = error.partial, False
            return answer

    async def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        try:
            while True:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                body += await self.reader.readexactly(size)
                if await self.reader.readexactly(2) != b"\r\n":  # no assert: -O would not read
                    raise ValueError("A chunk without its line end")
                if size == 0:
                    return body, True
        except (asyncio.IncompleteReadError, ConnectionError):
            return body, False

    async def ask(self, *lines: str | bytes, body: bytes = b"") -> Answer:
        """Send a request and read its answer."""
        self.send(*lines, body=body)
        first = lines[0] if isinstance(lines[0], bytes) else lines[0].encode()
        return await self.answer(to_head=first.startswith(b"HEAD "))

    async def ended(self) -> bool:
        """Wait until the server has closed the connection, and nothing more came."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        """Close at once; what was not read makes it a reset."""
        self.writer.transport.abort()


@dataclass
class Site:
    """An application on a free port, or in memory, and a client for it."""

    framework: Framework
    application: Any
    server: Any
    port: int
    client: httpx.AsyncClient
    in_memory: bool = False
    peers: list[Peer] = field(default_factory=list)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.post(path, **options)

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.client.request(method, path, **options)

    async def connect(self) -> Peer:
        """A connection of one's own."""
        if self.in_memory:
            connection = memory_connection(self.server)
            peer = Peer(connection.reader, connection.writer)
        else:
            peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def close(self) -> None:
        await self.client.aclose()
        self.server.stop()
        for peer in self.peers:
            peer.close()
        await self.server.close_all_connections()


Serve = Callable[..., Awaitable[Site]]


def start_site(
    framework: Framework,
    handlers: Any,
    *,
    server: dict[str, Any] | None = None,
    application_class: Any = None,
    in_memory: bool = False,
    **settings: Any,
) -> Site:
    """Serve ``handlers``, or what is a server's callback already, on a free port of 127.0.0.1.

    :param in_memory: serve ours without a socket; Tornado has nothing else.
    """
    application = handlers
    if isinstance(handlers, list):
        application = (application_class or framework.web.Application)(handlers, **settings)
    http_server = framework.httpserver.HTTPServer(application, **(server or {}))
    options: dict[str, Any]
    if in_memory := in_memory and framework.is_ours:
        port = IN_MEMORY_PORT
        options = {"transport": MemoryTransport(http_server)}
    else:
        sockets = framework.netutil.bind_sockets(0, "127.0.0.1")
        http_server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        options = {"verify": _NO_TLS}
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE, **options
    )
    return Site(framework, application, http_server, port, client, in_memory)


def by_hand(
    framework: Framework,
    method: str = "GET",
    uri: str = "/",
    *,
    handler_class: Any = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    **settings: Any,
) -> Any:
    """A handler without a server, as applications make them in their own tests."""
    request = framework.httputil.HTTPServerRequest(
        start_line=framework.httputil.RequestStartLine(method, uri, "HTTP/1.1"),
        headers=framework.httputil.HTTPHeaders({"Host": "a", **(headers or {})}),
        body=body,
        connection=MagicMock(),
    )
    application = framework.web.Application(**settings)
    return (handler_class or framework.web.RequestHandler)(application, request)


def getting(web: Any, act: Callable[[Any], Any]) -> Any:
    """A handler whose GET is ``act``."""
    return type("Handler", (web.RequestHandler,), {"get": act})


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` is true; fail if it never is."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


plain_or_coroutine = pytest.mark.parametrize("coroutine", [False, True], ids=["plain", "coroutine"])


def as_method(act: Callable[..., object], coroutine: bool) -> Callable[..., Any]:
    """A handler's method that does ``act``: a plain function, or a coroutine function."""

    def plain(*args: Any, **kwargs: Any) -> None:
        act(*args, **kwargs)

    async def later(*args: Any, **kwargs: Any) -> None:
        act(*args, **kwargs)

    return later if coroutine else plain
