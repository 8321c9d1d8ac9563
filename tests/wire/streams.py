"""Streams of ours or of Tornado's over real sockets, and peers that are plain sockets.

The peers know nothing of the code under test. Everything is closed at the end of a test, and
nothing of ours may then be left: no task, no unclosed transport, nothing unheard by the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from libraries import Library
from support import PATIENCE, soon, until

CERTS = Path(__file__).parents[1] / "certs"
CERT, KEY = str(CERTS / "localhost.pem"), str(CERTS / "localhost.key")
SERVER_TLS = {"certfile": CERT, "keyfile": KEY}
CLIENT_TLS = {"ca_certs": CERT, "cert_reqs": 2}  # ssl.CERT_REQUIRED

#: For tests with the fixture ``library``: not over Tornado's
OURS = pytest.mark.parametrize("library", ["tornadoish"], indirect=True)


class Peer:
    """The other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock

    async def send(self, data: bytes) -> None:
        await soon(asyncio.get_running_loop().sock_sendall(self.sock, data))

    async def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes, or less if the end comes before."""
        loop = asyncio.get_running_loop()
        taken = bytearray()
        while len(taken) < count:
            data = await soon(loop.sock_recv(self.sock, min(count - len(taken), 1 << 20)))
            if not data:
                break
            taken += data
        return bytes(taken)

    async def rest(self) -> bytes:
        """All that follows, to the end."""
        return await self.take(1 << 40)

    def fill(self) -> int:
        """Send until the system takes no more; how many bytes that was."""
        sent, block = 0, bytes(1 << 16)
        try:
            while True:
                sent += self.sock.send(block)
        except BlockingIOError:
            return sent

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close so that the other side gets a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def open_sockets() -> int:
    """How many sockets this process has open. (libuv keeps a /dev/null for hard times.)"""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
    return count


def socket_pair(*, small: bool = False) -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets; ``small``: with as little system buffer as possible."""
    with socket.socket() as listener:
        ours = socket.socket()
        if small:  # before connecting, or the window has been announced already
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours.connect(listener.getsockname())
        return ours, listener.accept()[0]


class Streams:
    """Makes streams and ends them."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.io = library.iostream
        self.tasks = asyncio.all_tasks()
        self.unheard: list[dict[str, Any]] = []
        self._ends: list[Callable[[], object]] = []
        self._streams: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.unheard.append(context))

    def keep(self, stream: Any) -> Any:
        """Close ``stream`` at the end."""
        self._streams.append(stream)
        return stream

    def at_end(self, end: Callable[[], object]) -> None:
        self._ends.append(end)

    def pair(self, *, small: bool = False, **options: Any) -> tuple[Any, Peer]:
        """A stream over a connected socket, and its peer."""
        ours, theirs = socket_pair(small=small)
        peer = Peer(theirs)
        self._ends.append(peer.close)
        return self.keep(self.io.IOStream(ours, **options)), peer

    async def open_pair(self, **options: Any) -> tuple[Any, Peer]:
        """The same, when the stream has its transport."""
        stream, peer = self.pair(**options)
        await soon(stream.write(b"-"))
        await peer.take(1)
        return stream, peer

    def listener(self) -> socket.socket:
        """A listening socket."""
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self._ends.append(sock.close)
        return sock

    async def accept(self, listener: socket.socket) -> Peer:
        peer = Peer((await soon(asyncio.get_running_loop().sock_accept(listener)))[0])
        self._ends.append(peer.close)
        return peer

    async def close(self) -> None:
        for stream in self._streams:
            if self.library.is_ours:
                stream.abort()
            elif stream.socket is not None:
                stream.close()
        for end in self._ends:
            end()
        known = self.tasks | {asyncio.current_task()}
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() - known:
                await asyncio.sleep(0.001)
        if self.library.is_ours:
            await until(lambda: all(stream._transport is None for stream in self._streams))
            self._streams.clear()
            gc.collect()
            assert self.unheard == [], self.unheard


async def fails(streams: Streams, future: Any) -> BaseException:
    """The StreamClosedError that ``future`` must fail with."""
    with pytest.raises(streams.io.StreamClosedError) as caught:
        await soon(future)
    error: BaseException = caught.value
    return error


async def stream_has_read(stream: Any, count: int) -> bool:
    """Wait until a stream has ``count`` bytes in its buffer."""
    buffer = getattr(stream, "buffer", None)  # Tornado: what it holds is private
    await until(lambda: (stream._read_buffer_size if buffer is None else len(buffer)) >= count)
    return True


class Calls:
    """Counts calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
