"""Servers of ours or of Tornado's over real sockets, and their clients, which are plain sockets.

Everything is closed at the end of a test, and nothing of ours may then be left.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable
from typing import Any

from libraries import Library
from streams import Peer, open_sockets
from support import PATIENCE, soon


class Servers:
    """Makes servers and clients and ends them; nothing may be left then."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.streams: list[Any] = []  #: that servers were given
        self.addresses: list[Any] = []
        self.unheard: list[dict[str, Any]] = []
        self._servers: list[Any] = []
        self._peers: list[Peer] = []
        self._known = asyncio.all_tasks()
        self._sockets = open_sockets()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.unheard.append(context)
        )

    def make(self, handle: Callable[..., Any] | None = None, **options: Any) -> Any:
        """A server of a subclass whose handle_stream is ``handle(stream)``."""
        outer = self

        class Server(self.library.tcpserver.TCPServer):  # type: ignore[name-defined,misc]
            def handle_stream(self, stream: Any, address: Any) -> Any:
                outer.streams.append(stream)
                outer.addresses.append(address)
                return None if handle is None else handle(stream)

        server = Server(**options)
        self._servers.append(server)
        return server

    def listening(self, handle: Callable[..., Any] | None = None, **options: Any) -> Any:
        server = self.make(handle, **options)
        server.listen(0, "127.0.0.1")
        return server

    async def connect(self, to: Any, source: str | None = None) -> Peer:
        """A client of a server (or of an address), whose own address is ``source``."""
        address = to if isinstance(to, (tuple, str)) else address_of(to)
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        peer = Peer(socket.socket(family))
        self._peers.append(peer)
        if source is not None:
            peer.sock.bind((source, 0))
        await soon(asyncio.get_running_loop().sock_connect(peer.sock, address))
        return peer

    def waiting(self, to: Any) -> Peer:
        """A client that has connected while the event loop did nothing: nobody has accepted it."""
        peer = Peer(socket.create_connection(address_of(to), PATIENCE))
        self._peers.append(peer)
        return peer

    async def close(self) -> None:
        for peer in self._peers:
            peer.close()
        for server in self._servers:
            server.stop()
        for stream in self.streams:
            stream.abort() if self.library.is_ours else stream.close()
        known = self._known | {asyncio.current_task()}
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() - known:
                await asyncio.sleep(0.001)
            if self.library.is_ours:
                while any(stream._transport is not None for stream in self.streams):
                    await asyncio.sleep(0.001)
                while any(server.connections or server._openings for server in self._servers):
                    await asyncio.sleep(0.001)
                self.streams.clear()
                gc.collect()
                assert self.unheard == [], self.unheard
            while open_sockets() > self._sockets:
                await asyncio.sleep(0.001)


def address_of(server: Any) -> tuple[str, int]:
    sockname: tuple[str, int] = next(iter(server._sockets.values())).getsockname()
    return sockname


async def echo(stream: Any) -> None:
    """Send back line by line, until the client has enough."""
    try:
        while True:
            await stream.write(await stream.read_until(b"\n"))
    except OSError:
        stream.close()


async def ask(peer: Peer, line: bytes = b"hello\n") -> bytes:
    """What an echo server sends back."""
    await peer.send(line)
    return await peer.take(len(line))


async def is_closed(peer: Peer) -> bool:
    """Whether nothing more comes, at its end or by a reset."""
    try:
        return await peer.take(1) == b""
    except ConnectionResetError:
        return True


async def rounds(count: int = 20) -> None:
    """Let the event loop do what it has to do."""
    for _ in range(count):
        await asyncio.sleep(0)
