"""memory_connection: a connection to a server, without a socket, for tests of what goes over it.

The server's end is a real one: an ``IOStream`` of a real ``HTTPServer`` (or any ``TCPServer``),
with its limits, its clock and its delegates. The client's end is asyncio's ``StreamReader`` and
``StreamWriter``, beside which are the things that a test does to a connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from types import TracebackType
from typing import Any

from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import pipe
from tornadoish.tcpserver import TCPServer
from tornadoish.testing.serving import end_server

_RESET = struct.pack("ii", 1, 0)  # linger for no time, socket(7)


class MemoryConnection:
    """A client's end; see :func:`memory_connection`, which makes it.

    ``server`` is the server, ``reader`` and ``writer`` are asyncio's streams. As an asynchronous
    context manager it closes itself; and if the server was made for it, the application's hooks are
    called.
    """

    def __init__(
        self,
        server: TCPServer,
        owns_server: bool,
        capacity: int,
        read_size: int,
        client_address: tuple[str, int],
        server_address: tuple[str, int],
        tls: bool,
    ) -> None:
        self.server = server
        self._owns_server = owns_server
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self.transport, _ = pipe.connect(
            protocol,
            server.make_protocol(),
            capacity=capacity,
            read_size=read_size,
            client_address=client_address,
            server_address=server_address,
            tls=tls,
        )
        self.writer = asyncio.StreamWriter(self.transport, protocol, self.reader, loop)

    # -- sending

    def write(self, data: bytes) -> None:
        """Send ``data``, however much is waiting to be sent already."""
        self.writer.write(data)

    async def send(self, data: bytes) -> None:
        """Send ``data``, and wait until there is room for more: as slow as the server reads.

        :raises ConnectionError: the server is gone.
        """
        self.writer.write(data)
        await self.writer.drain()

    def write_eof(self) -> None:
        """End our side; what the server sends can still be read."""
        self.writer.write_eof()

    # -- reading

    async def read(self, count: int = 65536) -> bytes:
        """Whatever comes next, at most ``count`` bytes; nothing at the end.

        :raises ConnectionError: the server has reset the connection; so with the following.
        """
        return await self.reader.read(count)

    async def read_exactly(self, count: int) -> bytes:
        """So many bytes.

        :raises asyncio.IncompleteReadError: the connection ends before.
        """
        return await self.reader.readexactly(count)

    async def read_until(self, separator: bytes) -> bytes:
        """All up to and with ``separator``, at most 64 KiB.

        :raises asyncio.IncompleteReadError: the connection ends before.
        :raises asyncio.LimitOverrunError: it is not among the next 64 KiB.
        """
        return await self.reader.readuntil(separator)

    async def read_to_end(self) -> bytes:
        """All that comes until the server ends the connection."""
        return await self.reader.read(-1)

    def pause_reading(self) -> None:
        """Take nothing from the connection, until :meth:`resume_reading`: when it is full, the
        server has to wait."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    # -- ending

    def reset(self) -> None:
        """Break the connection off: the server sees a ConnectionResetError."""
        linger: Any = self.transport.get_extra_info("socket")
        linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def abort(self) -> None:
        """End the connection at once. To the server it is a reset if it has sent what was not taken
        from the connection, else an end."""
        self.transport.abort()

    async def close(self) -> None:
        """End the connection; returns when it is closed on our side. A server that was made for it
        is closed, too."""
        self.writer.close()
        self.transport.abort()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass
        if self._owns_server and isinstance(self.server, HTTPServer):
            await end_server(self.server)

    async def __aenter__(self) -> MemoryConnection:
        if self._owns_server and isinstance(self.server, HTTPServer):
            try:
                await self.server.start_application()
            except BaseException:
                self.abort()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def memory_connection(
    server: Any,
    *,
    capacity: int = pipe.CAPACITY,
    read_size: int = pipe.READ_SIZE,
    client_address: tuple[str, int] = ("127.0.0.1", 50000),
    server_address: tuple[str, int] = ("127.0.0.1", 80),
    tls: bool | None = None,
) -> MemoryConnection:
    """Connect to a server in memory (ours alone, not Tornado's). To be called where a loop runs.

    ::

        async with memory_connection(application) as connection:
            connection.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            head = await connection.read_until(b"\\r\\n\\r\\n")

    :param server: a :class:`tornadoish.tcpserver.TCPServer`, which need not listen anywhere; or
        what a :class:`HTTPServer` serves (an ``Application``, a delegate, a callable), for which
        one is made.
    :param capacity: bytes that may be on their way in each direction (default 64 KiB). Behind them
        each end's transport keeps 64 KiB more, until it asks its writer to wait.
    :param read_size: bytes that the server reads at once, at most: with 1 it reads byte by byte.
    :param client_address: what the server takes the client's address for.
    :param tls: whether the requests' ``protocol`` is to be "https", though nothing is encrypted. By
        default it is where the server has ``ssl_options``.
    :raises ConnectionRefusedError: the server has been stopped.
    :raises ValueError: ``capacity`` or ``read_size`` is below 1.
    """
    owns_server = not isinstance(server, TCPServer)
    tcp_server: TCPServer = HTTPServer(server) if owns_server else server
    if tls is None:
        tls = tcp_server.ssl_options is not None
    return MemoryConnection(
        tcp_server, owns_server, capacity, read_size, client_address, server_address, tls
    )
