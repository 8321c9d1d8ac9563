"""Servers behind proxies, and requests as proxies send them, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from libraries import Library
from support import Client, soon

from tornadoish.netutil import bind_sockets

PROXY, STRANGER = "127.0.0.1", "127.0.0.2"
#: what is known of a request if no proxy says anything
PLAIN = (PROXY, "http", "own.example")


@contextlib.asynccontextmanager
async def connected(port: int | str, source: str = PROXY) -> AsyncIterator[Client]:
    """A connection from ``source`` to a port of loopback, or to the path of a Unix socket."""
    if isinstance(port, str):
        ends = await soon(asyncio.open_unix_connection(port))
    elif ":" in source:
        ends = await soon(asyncio.open_connection("::1", port))
    else:
        ends = await soon(asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
    client = Client(*ends)
    try:
        yield client
    finally:
        client.writer.transport.abort()
        with contextlib.suppress(OSError):
            await soon(client.writer.wait_closed())


def request(*fields: str, target: str = "/p?q", host: str = "own.example") -> bytes:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Behind:
    """Servers that answer with what they know of a request."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.requests: list[Any] = []
        self._servers: list[Any] = []

    def tell(self, request: Any) -> None:
        self.requests.append(request)
        context = request.connection.context
        told = {
            "who": [request.remote_ip, request.protocol, request.host],
            "url": request.full_url(),
            "context": [context.remote_ip, context.protocol],
            "original": [context._orig_remote_ip, context._orig_protocol],
        }
        body = json.dumps(told).encode()
        httputil = self.library.httputil
        request.connection.write_headers(
            httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
            httputil.HTTPHeaders({"Content-Length": str(len(body))}),
            body,
        )
        request.connection.finish()

    def serve(self, *, server_class: Any = None, sock: Any = None, **options: Any) -> int:
        """A server's port."""
        server = (server_class or self.library.httpserver.HTTPServer)(self.tell, **options)
        self._servers.append(server)
        sockets = [sock] if sock else bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        name = sockets[0].getsockname()
        return name if isinstance(name, str) else name[1]  # type: ignore[no-any-return]

    async def ask(
        self, port: int | str, *fields: str, source: str = PROXY, first: bytes = b""
    ) -> Any:
        """What is known of a request with these fields, on a connection that begins with
        ``first``."""
        async with connected(port, source) as client:
            await client.send(first + request(*fields))
            return json.loads((await client.response()).body)

    async def who(self, port: int | str, *fields: str, source: str = PROXY) -> tuple[str, ...]:
        return tuple((await self.ask(port, *fields, source=source))["who"])

    async def close(self) -> None:
        for server in self._servers:
            server.stop()
            await soon(server.close_all_connections())
