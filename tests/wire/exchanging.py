"""Whole exchanges over real sockets: bytes cut where a test says, and all that comes back.

Pieces arrive as they were cut: the next one is sent when the server has been given the one before,
which ``Arrivals`` counts.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import h11
import pytest
from support import PATIENCE

from tornadoish.iostream import BaseIOStream

#: connections that are open at a time
AT_ONCE = 32
#: bytes of answers to one entry, at the most
MOST = 1 << 20


class Answer(NamedTuple):
    """One answer as h11 reads it."""

    status: int
    closes: bool
    body: bytes


class Arrivals:
    """Counts what the streams of this process have been given, by their peer's port."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._counts: dict[int, int] = {}
        self._lost: set[int] = set()
        self._waiting: dict[int, tuple[int, asyncio.Future[None]]] = {}
        received, lost = BaseIOStream.data_received, BaseIOStream.connection_lost

        def data_received(stream: Any, data: bytes) -> None:
            port = stream.get_extra_info("peername")[1]
            received(stream, data)
            self._count(port, len(data))

        def connection_lost(stream: Any, error: BaseException | None) -> None:
            port = stream.get_extra_info("peername")[1]
            lost(stream, error)
            self._lost.add(port)
            self._count(port, 0)

        monkeypatch.setattr(BaseIOStream, "data_received", data_received)
        monkeypatch.setattr(BaseIOStream, "connection_lost", connection_lost)

    def _count(self, port: int, count: int) -> None:
        total = self._counts[port] = self._counts.get(port, 0) + count
        wanted, future = self._waiting.get(port, (0, None))
        if future is not None and not future.done() and (total >= wanted or port in self._lost):
            future.set_result(None)

    def forget(self, port: int) -> None:
        """A new connection may have the port of an old one."""
        self._counts.pop(port, None)
        self._lost.discard(port)
        self._waiting.pop(port, None)

    async def wait(self, port: int, count: int) -> bool:
        """Until ``count`` bytes from ``port`` have been taken in; False: nothing more can be."""
        if port not in self._lost and self._counts.get(port, 0) < count:
            future = asyncio.get_running_loop().create_future()
            self._waiting[port] = (count, future)
            await future
        return port not in self._lost


class Exchanges:
    """Connections to one server.

    ``may_reset``: whether a reset is as good as the end. It is where a client knows that an answer
    is the last and sends more; a refusal is never lost that way.
    """

    def __init__(self, port: int, arrivals: Arrivals, *, may_reset: bool = False) -> None:
        self.port = port
        self.arrivals = arrivals
        self.may_reset = may_reset
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, *pieces: bytes) -> bytes:
        """Send ``pieces``, each when the one before has arrived: all that comes back, to the end.

        :raises TimeoutError: the connection has not been ended in time.
        """
        loop = asyncio.get_running_loop()
        async with self._slots, asyncio.timeout(PATIENCE):
            with socket.socket() as sock:
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", self.port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sending = asyncio.ensure_future(self._send(sock, pieces))
                answer = b""
                try:
                    while more := await loop.sock_recv(sock, MOST):
                        answer += more
                        if len(answer) >= MOST:
                            raise AssertionError("more than anybody asked for")
                    await sending
                except (ConnectionResetError, BrokenPipeError):
                    if not self.may_reset:
                        raise
                finally:
                    sending.cancel()
        return answer

    async def _send(self, sock: socket.socket, pieces: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        own = sock.getsockname()[1]
        self.arrivals.forget(own)
        sent = 0
        for piece in pieces:
            if sent and not await self.arrivals.wait(own, sent):
                return  # it was the last: nobody listens any more
            await loop.sock_sendall(sock, piece)
            sent += len(piece)

    async def all(self, tries: Iterable[Sequence[bytes]]) -> list[bytes]:
        """The same for several, side by side."""
        return await asyncio.gather(*[self(*pieces) for pieces in tries])


def answers(data: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """What a server has sent, as h11 reads it: nothing may be left over, nothing missing.

    ``methods`` are those of the requests, as far as they matter.
    """
    found: list[Answer] = []
    while data:
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        answer, data = _one_answer(data, method)
        found.append(answer)
    return found


@lru_cache(maxsize=64)
def _one_answer(data: bytes, method: str) -> tuple[Answer, bytes]:
    parser = h11.Connection(h11.CLIENT)
    # To h11 a CONNECT that succeeds ends HTTP; what our application answers is an ordinary answer.
    parser.send(h11.Request(method="HEAD" if method == "HEAD" else "GET", target="/",
                            headers=[("Host", "x")]))  # fmt: skip
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    head, body = None, b""
    while True:
        event = parser.next_event()
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        elif event is h11.NEED_DATA and head and (b"connection", b"close") in head.headers:
            parser.receive_data(b"")  # a body may end where the connection did
        elif not isinstance(event, h11.InformationalResponse):
            raise AssertionError(f"no whole answer but {event!r} in {data[:200]!r}")
    if head is None:
        raise AssertionError("h11 ends a message that it has not begun")
    closes = (b"connection", b"close") in head.headers
    return Answer(head.status_code, closes, body), bytes(parser.trailing_data[0])


def cut(data: bytes, at: int) -> list[bytes]:
    return [data[:at], data[at:]]


def segments(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def cuts(data: bytes, most: int) -> list[int]:
    """Where to cut ``data`` in two: everywhere if that is not more than ``most`` places, or else at
    so many, as far as there are any around its line ends."""
    if len(data) - 1 <= most:
        return list(range(1, len(data)))
    ends = [match.start() for match in islice(re.finditer(rb"\r\n", data), most)]
    places = {place for end in ends for place in (end, end + 1, end + 2)}
    places.update(int(number * len(data) / most) for number in range(1, most))
    inside = sorted(place for place in places if 0 < place < len(data))
    return [inside[int(number * len(inside) / most)] for number in range(most)]
