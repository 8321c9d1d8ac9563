"""Do WebSockets leave anything behind? `python benchmarks/websocket_soak.py`

Opens thousands of them at once, in each round; they talk and come to their end in every way there
is: closed by either side, cut within a frame, reset, against the rules, too large, not reading.
Then the server is asked what is still alive. As soak.py, on which it stands; the exit status is 0
only if every answer was right and nothing is left or grows.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from processes import HOST
from soak import CASE_SECONDS, Round, Soak, Tally, add_options, carry_out
from soak_cases import ABORTED, BAD, GOOD, Case
from soak_client import WrongAnswerError
from websocket_client import frame

OPENING_AT_ONCE = 200
ECHOES = ("plain", "coroutine", "iterating", "compressing")


class Peer:
    """One WebSocket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def open(self, port: int, kind: str) -> None:
        self.reader, self.writer = await asyncio.open_connection(HOST, port)
        offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if kind == "compressing" else ""
        self.writer.write(
            f"GET /{kind} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
            f"{offer}\r\n".encode()
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise WrongAnswerError(f"no WebSocket: {head[:100]!r}")

    def send(self, payload: bytes, *, binary: bool = False) -> None:
        self.writer.write(frame(payload, binary=binary, masked=True))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame; pings are answered."""
        while True:
            first, size = await self.reader.readexactly(2)
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
            payload = await self.reader.readexactly(size)
            if first != 0x89:
                return first, payload
            self.writer.write(b"\x8a\x80" + bytes(4))

    async def expect(self, first: int, payload: bytes) -> None:
        got = await self.frame()
        if got != (first, payload):
            raise WrongAnswerError(f"{got[0]:#x} {got[1][:50]!r}, not {first:#x} {payload[:50]!r}")

    async def closed(self, *codes: int, answer: bool = True) -> None:
        """Read on to the server's Close, answer it, and read on to the end."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                break
        if int.from_bytes(payload[:2]) not in codes:
            raise WrongAnswerError(f"closed with {payload!r}, not {codes}")
        if answer:
            self.writer.write(b"\x88\x82" + bytes(4) + payload[:2])
        await self.reader.read()

    def cut(self, *, reset: bool) -> None:
        transport = self.writer.transport
        if reset:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def talk(peer: Peer, rng: random.Random) -> None:
    """Some messages and their echoes."""
    for _ in range(rng.randrange(1, 6)):
        payload = rng.randbytes(rng.choice((0, 10, 50)))
        peer.send(payload, binary=True)
        await peer.expect(0x82, payload)
    size = rng.choice((1000, 20_000, 200_000))
    peer.send(b"x" * size, binary=True)
    first, payload = await peer.frame()
    if first == 0x82 and payload != b"x" * size:
        raise WrongAnswerError("another echo")


async def leave(peer: Peer, rng: random.Random) -> None:
    await talk(peer, rng)
    peer.writer.write(b"\x88\x82" + bytes(4) + (1000).to_bytes(2))
    await peer.closed(1000, answer=False)


async def be_closed(peer: Peer, rng: random.Random) -> None:
    await talk(peer, rng)
    peer.send(b"close")
    await peer.closed(4000, 1000)  # 1000: it iterates


async def fail(peer: Peer, rng: random.Random) -> None:
    peer.send(b"fail")
    await peer.closed(1011)


async def parts(peer: Peer, rng: random.Random) -> None:
    peer.send(b"x" * 500_000, binary=True)
    await peer.expect(0x81, b"500000")
    peer.cut(reset=True)


async def listen(peer: Peer, rng: random.Random) -> None:
    peer.send(b"to all")
    await peer.expect(0x81, b"to all")


async def within_a_frame(peer: Peer, rng: random.Random) -> None:
    await talk(peer, rng)
    message = frame(b"x" * 100_000, binary=False, masked=True)
    peer.writer.write(message[: rng.randrange(1, len(message))])
    await asyncio.sleep(rng.random() / 10)


async def vanish(peer: Peer, rng: random.Random) -> None:
    await talk(peer, rng)
    peer.cut(reset=rng.random() < 0.5)


async def half_close(peer: Peer, rng: random.Random) -> None:
    await talk(peer, rng)
    peer.writer.write_eof()
    await peer.reader.read()


async def not_read(peer: Peer, rng: random.Random) -> None:
    """Take nothing of a flood: the server has to be the one who ends it."""
    peer.writer.transport.pause_reading()
    peer.send(rng.choice((b"wait", b"write")))
    await asyncio.sleep(1 + 4 * rng.random())


async def never_close(peer: Peer, rng: random.Random) -> None:
    """Ask to be closed and do not answer."""
    peer.send(b"close")
    while (await peer.frame())[0] != 0x88:
        pass
    await peer.reader.read()


def wrong(sent: bytes, code: int) -> Callable[[Peer, random.Random], Awaitable[None]]:
    async def run(peer: Peer, rng: random.Random) -> None:
        await talk(peer, rng)
        peer.writer.write(sent)
        await peer.closed(code, answer=False)

    return run


@dataclass(frozen=True)
class Way:
    """One way of a connection from its opening to its end."""

    name: str
    kind: str
    run: Callable[[Peer, random.Random], Awaitable[None]]
    handlers: tuple[str, ...] = ECHOES
    weight: int = 10


SIMPLE = ("plain", "coroutine", "iterating")
WAYS = [
    Way("leave", GOOD, leave, weight=40),
    Way("be closed", GOOD, be_closed),
    Way("fail", GOOD, fail, weight=1),
    Way("parts", GOOD, parts, ("parts",)),
    Way("listen", GOOD, listen, ("talk",)),
    Way("unmasked", BAD, wrong(b"\x81\x01a", 1002)),
    Way("not UTF-8", BAD, wrong(frame(b"\xff", binary=False, masked=True), 1007)),
    Way("too large", BAD, wrong(b"\x82\xff" + (2 << 20).to_bytes(8) + bytes(4), 1009)),
    Way("within a frame", ABORTED, within_a_frame),
    Way("vanish", ABORTED, vanish, weight=20),
    Way("half close", ABORTED, half_close),
    Way("not read", ABORTED, not_read, ("flood",), weight=2),
    Way("never close", ABORTED, never_close, SIMPLE, weight=2),
]


class WebSocketSoak(Soak):
    """Rounds of WebSockets that are all open at once."""

    async def round(self, number: int, before: dict[str, Any]) -> Round:
        self.opening = asyncio.Semaphore(OPENING_AT_ONCE)
        self.missing = self.options.connections
        self.all_open = asyncio.Event()
        return await super().round(number, before)

    async def client(
        self, first: Case | None, share: int, rng: random.Random, tally: Tally
    ) -> None:
        way = rng.choices(WAYS, [way.weight for way in WAYS])[0]
        handler = rng.choice(way.handlers)
        tally.requests[way.kind] += 1
        peer = Peer()
        try:
            async with asyncio.timeout(CASE_SECONDS * 3):
                try:
                    async with self.opening:
                        await peer.open(self.address[1], handler)
                finally:
                    self.missing -= 1
                    if not self.missing:
                        self.all_open.set()
                await self.all_open.wait()
                await way.run(peer, rng)
        except (WrongAnswerError, ValueError, OSError, EOFError) as error:
            tally.wrong.append(f"{way.name}, {handler}: {type(error).__name__} {error}")
        finally:
            if hasattr(peer, "writer"):
                peer.cut(reset=False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=5_000, help="a round (%(default)s)")
    add_options(parser)
    options = parser.parse_args()
    options.requests = options.connections
    options.seconds = 2.0
    return options


if __name__ == "__main__":
    sys.exit(carry_out(WebSocketSoak, parse(), "websocket_soak_app.py"))
