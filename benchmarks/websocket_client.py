"""WebSocket clients for measurements: many connections over bare transports, frames made once.

They trust nobody: every echo is counted to the byte, and the first and the last of a connection are
compared. What they cost is not measured, but they are quick so that they do not hold a server up.
"""

from __future__ import annotations

import asyncio
import os

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
)


def frame(payload: bytes, *, binary: bool, masked: bool) -> bytes:
    """A whole message in a frame: a client's (masked) or a server's."""
    head = bytes([0x82 if binary else 0x81])
    size, mask_bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 1 << 16:
        head += bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = os.urandom(4)
    cover = (key * (size // 4 + 1))[:size]
    covered = int.from_bytes(payload, "big") ^ int.from_bytes(cover, "big")
    return head + key + covered.to_bytes(size, "big")


class Echoed(asyncio.Protocol):
    """Sends a message, waits for its echo, and so on."""

    def __init__(self, sent: bytes, expected: bytes) -> None:
        self.sent = sent
        self.expected = expected
        self.echoes = 0
        self.going = True
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = len(expected)
        self._first = b""
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            if not self._head.startswith(b"HTTP/1.1 101"):
                self._fail(f"no WebSocket: {self._head[:200]!r}")
                return
            self.opened.set_result(None)
            return
        if self.echoes == 0 or not self.going:  # these are looked at, not only counted
            self._first += data
        self._left -= len(data)
        if self._left > 0:
            return
        if self._left < 0 or (self._first and self._first != self.expected):
            self._fail("the echo is not what was sent")
            return
        self._first = b""
        self.echoes += 1
        self._left = len(self.expected)
        if self.going:
            self.transport.write(self.sent)
        elif not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server has closed: {error}")

    def _fail(self, why: str) -> None:
        for future in (self.opened, self.over):
            if not future.done():
                future.set_exception(ConnectionError(why))
                future.exception()

    def begin(self) -> None:
        self.transport.write(self.sent)

    async def end(self) -> None:
        """Wait for the echo that is on its way."""
        self.going = False
        self._first = b""
        await self.over


async def connect(port: int, count: int, sent: bytes, expected: bytes) -> list[Echoed]:
    """So many connections, open."""
    loop = asyncio.get_running_loop()
    clients = [Echoed(sent, expected) for _ in range(count)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*[client.opened for client in clients])
    return clients
