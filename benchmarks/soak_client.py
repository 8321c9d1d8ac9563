"""One connection of the soak test, with everything that a good client never does.

It sends bytes as it is told, in one piece or in many, reads answers strictly, and ends in any of
the ways in which connections end. It is none of the libraries under test.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

READ_BYTES = 1 << 16
MAX_HEAD = 1 << 16
RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class WrongAnswerError(Exception):
    """The server did not answer as it should have."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One response, interim ones included."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A connection to the server; `sock` is connected and does not block."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._data = bytearray()

    @classmethod
    async def connect(cls, address: tuple[str, int], receive_bytes: int | None = None) -> Peer:
        """A new connection; `receive_bytes` is what the system may hold of it before it is read,
        if not the usual: little makes a slow reader."""
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if receive_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            await asyncio.get_running_loop().sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    # -- sending

    async def send(self, *data: bytes) -> None:
        """Send all of it, as fast as it goes."""
        for piece in data:
            await self._loop.sock_sendall(self._socket, piece)

    async def send_cut(self, data: bytes, rng: Random, cuts: int = 4) -> None:
        """Send `data` in pieces, cut at random: each may be a read of its own for the server."""
        places = sorted(rng.randrange(len(data) + 1) for _ in range(cuts))
        for start, end in zip([0, *places], [*places, len(data)], strict=True):
            if start < end:
                await self.send(data[start:end])
                await asyncio.sleep(0)

    def shut(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    # -- ends

    def close(self) -> None:
        """Close as usual; a second time, too."""
        self._socket.close()

    def reset(self) -> None:
        """Close as a crash does, with a TCP reset."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._socket.close()

    # -- receiving

    async def receive(self, size: int = READ_BYTES) -> bytes:
        """What is there, at most `size` bytes; nothing at the end."""
        return await self._loop.sock_recv(self._socket, size)

    async def _more(self) -> None:
        piece = await self.receive()
        if not piece:
            raise WrongAnswerError(f"closed within an answer: {bytes(self._data[:200])!r}")
        self._data += piece

    async def _line(self) -> bytes:
        """One line, without its end."""
        while (end := self._data.find(b"\r\n")) < 0:
            if len(self._data) > MAX_HEAD:
                raise WrongAnswerError(f"no end of a line: {bytes(self._data[:200])!r}")
            await self._more()
        line = bytes(self._data[:end])
        del self._data[: end + 2]
        return line

    async def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            await self._more()
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int(await self._line(), 16):
            body += await self._exactly(size)
            if await self._line():
                raise WrongAnswerError("a chunk does not end where it should")
        while await self._line():
            pass  # a trailer
        return bytes(body)

    async def answer(self, method: str = "GET") -> Answer:
        """Read one response to a request of `method`."""
        version, _, rest = (await self._line()).partition(b" ")
        if version != b"HTTP/1.1" or not rest[:3].isdigit():
            raise WrongAnswerError(f"no status line: {version!r} {rest[:100]!r}")
        status = int(rest[:3])
        headers: dict[str, str] = {}
        while line := await self._line():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() in headers:
                raise WrongAnswerError(f"{name} twice")
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in (204, 304) or status < 200:
            body = b""
        elif "content-length" in headers:
            body = await self._exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self.rest()
        return Answer(status=status, headers=headers, body=body)

    async def expect(self, status: int, body: bytes | None = None, method: str = "GET") -> Answer:
        """Read one response, which has to be this one."""
        answer = await self.answer(method)
        if answer.status != status or (body is not None and answer.body != body):
            raise WrongAnswerError(
                f"{answer.status}, {len(answer.body)} bytes {answer.body[:200]!r}; expected "
                f"{status}" + ("" if body is None else f", {len(body)} bytes {body[:200]!r}")
            )
        return answer

    async def rest(self) -> bytes:
        """All that comes until the end, be it a reset."""
        try:
            while piece := await self.receive():
                self._data += piece
        except ConnectionError:
            pass
        rest = bytes(self._data)
        self._data.clear()
        return rest

    async def expect_end(self) -> None:
        """The server closes the connection and sends nothing before it does."""
        if rest := await self.rest():
            raise WrongAnswerError(f"more than was to come: {rest[:200]!r}")


def request(
    method: str,
    target: str,
    *fields: str,
    body: bytes | None = None,
    chunks: Sequence[bytes] | None = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """A request as bytes: with `body` and its length, or with `chunks`, or without a body."""
    lines = [f"{method} {target} {version}", "Host: soak.example", *fields]
    if chunks is not None:
        lines.append("Transfer-Encoding: chunked")
        pieces = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
        body = b"".join([*pieces, b"0\r\n\r\n"])
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
