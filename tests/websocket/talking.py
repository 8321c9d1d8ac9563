"""What tests of WebSockets share: served handlers, and a client that sends and sees every frame."""

from __future__ import annotations

import asyncio
import base64
import importlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from support import FakeClock
from web.serving import PATIENCE, Answer, Framework, Peer, Site, start_site
from websockets.asyncio.client import ClientConnection, connect

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def websocket_of(framework: Framework) -> Any:
    """The framework's module ``websocket``."""
    module: Any = importlib.import_module(f"{framework.name}.websocket")
    if framework.is_tornado and hasattr(module.WebSocketClientConnection, "__del__"):
        # It warns of what closed itself, too, whenever garbage is collected.
        del module.WebSocketClientConnection.__del__
    return module


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
) -> bytes:
    """A client's frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    size = len(data)
    if size < 126:
        head.append(mask << 7 | size)
    elif size < 1 << 16:
        head.append(mask << 7 | 126)
        head += size.to_bytes(2, "big")
    else:
        head.append(mask << 7 | 127)
        head += size.to_bytes(8, "big")
    if not mask:
        return bytes(head) + data
    if size > 10000:  # takes long here; a key may be anything
        return bytes(head) + bytes(4) + data
    key = b"\x11\xa2\x7f\xc4"
    return bytes(head) + key + bytes(byte ^ key[i & 3] for i, byte in enumerate(data))


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def handshake(path: str = "/", *lines: str) -> list[str]:
    """The lines of a client's handshake."""
    return [
        f"GET {path} HTTP/1.1",
        "Host: a",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(range(16))).decode()}",
        *lines,
    ]


class Raw(Peer):
    """A connection that is a WebSocket's, with frames written and read by hand."""

    def frames(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    def stop_reading(self) -> None:
        """Take nothing more, until something is read."""
        transport: Any = self.writer.transport
        transport.pause_reading()
        self.reader._paused = True  # type: ignore[attr-defined]  # it goes on by itself

    def text(self, *messages: str) -> None:
        self.frames(*[frame(TEXT, message) for message in messages])

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return first, await self.reader.readexactly(size)

    async def message(self) -> str | bytes:
        first, payload = await self.frame()
        if first not in (0x81, 0x82):
            raise ValueError(f"No whole message: {first:#x} {payload!r}")
        return payload.decode() if first == 0x81 else payload

    async def close_code(self) -> int | None:
        """Read on to the server's Close; its code."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                return int.from_bytes(payload[:2], "big") if payload else None


@dataclass
class Talk:
    """A site, and the WebSockets that were opened to it."""

    site: Site
    websockets: list[ClientConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.site.port}"

    @property
    def server(self) -> Any:
        return self.site.server

    @property
    def application(self) -> Any:
        return self.site.application

    async def connect(self, path: str = "/", **options: Any) -> ClientConnection:
        """Open one with a foreign client."""
        options.setdefault("compression", None)
        options.setdefault("ping_interval", None)
        client = await connect(self.url + path, proxy=None, **options)
        self.websockets.append(client)
        return client

    async def raw(self, path: str = "/", *lines: str, behind: bytes = b"") -> Raw:
        """Open one by hand; ``behind`` is sent with the handshake."""
        raw, answer = await self.shake_hands(path, *lines, behind=behind)
        if answer.status != 101:
            raise ValueError(f"{answer}")
        return raw

    async def shake_hands(
        self, path: str = "/", *lines: str, behind: bytes = b""
    ) -> tuple[Raw, Answer]:
        peer = await self.site.connect()
        raw = Raw(peer.reader, peer.writer)
        return raw, await raw.ask(*handshake(path, *lines), body=behind)

    async def close(self) -> None:
        for client in self.websockets:
            client.transport.abort()
        await self.site.close()


Serve = Callable[..., Awaitable[Talk]]


def start_talk(
    framework: Framework, handlers: Any, *, clock: FakeClock | None = None, **options: Any
) -> Talk:
    """Serve ``handlers``: routes, or one handler for "/"."""
    if isinstance(handlers, type):
        handlers = [("/", handlers)]
    site = start_site(framework, handlers, **options)
    if clock is not None:
        site.server._clock = clock.deadlines
    return Talk(site)


class Notes(list[Any]):
    """What has happened, in order; others may wait for it."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__(items)
        self._more = asyncio.Event()

    def __call__(self, note: Any) -> None:
        self.append(note)
        self._more.set()

    async def has(self, note: Any) -> None:
        """Wait until ``note`` is there."""
        async with asyncio.timeout(PATIENCE):
            # By type, too: -bb compares no bytes with text.
            while not any(type(one) is type(note) and one == note for one in self):
                self._more.clear()
                await self._more.wait()

    async def cancellation(self, event: asyncio.Event | None = None) -> None:
        """Be at something until ``event``, or for ever, and note it if that is cancelled."""
        try:
            await (event or asyncio.Event()).wait()
        except asyncio.CancelledError:
            self("cancelled")
            raise
