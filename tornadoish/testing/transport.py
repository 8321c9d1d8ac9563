"""MemoryTransport: httpx talks to an application without a socket.

It is given to ``httpx.AsyncClient(transport=...)``. What goes over the connection in memory is
HTTP/1.1 as httpcore writes and reads it, and what answers is a real ``HTTPServer``: framing,
limits, streaming, back-pressure and broken connections are those of the wire, unlike with
transports that call an application. Imported only where httpx is installed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from typing import Any, TypeVar

import httpcore
import httpx

from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import pipe
from tornadoish.testing.memory import MemoryConnection, memory_connection
from tornadoish.testing.serving import end_server

T = TypeVar("T")


class MemoryTransport(httpx.AsyncBaseTransport):
    """An httpx transport to an application in the same process and loop (ours alone).

    ::

        transport = MemoryTransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            response = await client.get("/")

    All hosts are this application; ``https`` URLs are requests whose ``protocol`` is "https",
    though nothing is encrypted. The application's hooks are called: at the first request, and when
    the client is closed, which closes all connections and ends the server.

    :param app: what :class:`HTTPServer` serves: an ``Application``, a delegate, a callable; or such
        a server itself, which then is neither started nor ended here.
    :param client_address: where requests come from (``remote_ip``).
    :param capacity: see :func:`memory_connection`; so is ``read_size``.
    :param server_options: of the :class:`HTTPServer` that is made.
    :raises TypeError: options for a server that is there already.
    """

    def __init__(
        self,
        app: Any,
        *,
        client_address: tuple[str, int] = ("127.0.0.1", 50000),
        capacity: int = pipe.CAPACITY,
        read_size: int = pipe.READ_SIZE,
        **server_options: Any,
    ) -> None:
        if isinstance(app, HTTPServer) and server_options:
            raise TypeError(f"the server is made already, without {', '.join(server_options)}")
        self._app = app
        self._server_options = server_options
        self._connection_options = {
            "client_address": client_address,
            "capacity": capacity,
            "read_size": read_size,
        }
        self._server: HTTPServer | None = None
        self._starting: asyncio.Future[None] | None = None
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}  # by scheme

    @property
    def server(self) -> HTTPServer:
        """The server that answers. To be asked for where a loop runs."""
        if self._server is None:
            if isinstance(self._app, HTTPServer):
                self._server = self._app
            else:
                self._server = HTTPServer(self._app, **self._server_options)
        return self._server

    async def _start(self) -> None:
        """Let the application get ready, before the first request; all others wait, too."""
        if self._starting is None:
            start = self.server.start_application()
            self._starting = asyncio.ensure_future(start)
        await asyncio.shield(self._starting)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; see httpx.

        :raises httpx.TransportError: as over a socket.
        """
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"neither http nor https: {url}", request=request)
        if self._app is not self.server:
            await self._start()
        pool = self._pools.get(url.scheme)
        if pool is None:
            tls = url.scheme == "https"
            backend = _Backend(self.server, {**self._connection_options, "tls": tls})
            pool = self._pools[url.scheme] = httpcore.AsyncConnectionPool(
                network_backend=backend,
                max_connections=None,
                max_keepalive_connections=None,
            )
        sent = httpcore.Request(
            method=request.method,
            # To httpcore all is plain: TLS would want contexts and certificates.
            url=httpcore.URL(scheme=b"http", host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        response = await _as_httpx(pool.handle_async_request(sent))
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections, and the server if it was made here."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()
        if self._server is not None and self._server is not self._app:
            await end_server(self._server)


class _Body(httpx.AsyncByteStream):
    """The body of an answer, piece by piece as it arrives."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterable[bytes] = self._stream
        try:
            async for piece in pieces:
                yield piece
        except Exception as error:
            raise _httpx_error(error) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """What connects, for httpcore: to the one server, whatever the host."""

    def __init__(self, server: HTTPServer, options: dict[str, Any]) -> None:
        self._server = server
        self._options = options

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            connection = memory_connection(
                self._server, server_address=("127.0.0.1", port), **self._options
            )
        except ConnectionRefusedError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(connection)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection in memory, for httpcore."""

    def __init__(self, connection: MemoryConnection) -> None:
        self._connection = connection

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._connection.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(f"nothing came for {timeout} seconds") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._connection.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(f"nothing was taken for {timeout} seconds") from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._connection.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no TLS in memory")

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of idle connections: whether the server has ended them
            reader = self._connection.reader
            return reader.at_eof() or reader.exception() is not None
        names = {"client_addr": "sockname", "server_addr": "peername", "socket": "socket"}
        return self._connection.transport.get_extra_info(names.get(info, info))


async def _as_httpx(awaitable: Awaitable[T]) -> T:
    """Await what raises httpcore's errors; httpx has the same ones by the same names."""
    try:
        return await awaitable
    except Exception as error:
        raise _httpx_error(error) from error


def _httpx_error(error: Exception) -> Exception:
    for kind in type(error).__mro__:
        if kind.__module__.partition(".")[0] == "httpcore" and hasattr(httpx, kind.__name__):
            made: Exception = getattr(httpx, kind.__name__)(str(error))
            return made
    return error
