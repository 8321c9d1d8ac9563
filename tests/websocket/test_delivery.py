"""How messages come to a handler: back-pressure, and what else arrives meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
import weakref
import zlib
from typing import Any

import pytest
from support import settled
from web.serving import PATIENCE, until

from tornadoish.websocket import WebSocketClosedError, WebSocketConnection, WebSocketHandler

from .ours import framework  # noqa: F401 - a fixture
from .talking import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Notes,
    Raw,
    Serve,
    close_frame,
    frame,
)


class Slow(WebSocketHandler):
    """Is at a message until it is told to go on."""

    def initialize(self, notes: Notes) -> None:
        self.notes = notes
        self.go_on = asyncio.Semaphore(0)
        notes.handler = self  # type: ignore[attr-defined]

    async def on_message(self, message: str | bytes) -> None:
        self.notes(("begin", message if len(message) < 100 else len(message)))
        await self.go_on.acquire()
        await self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self.notes(("closed", self.close_code))


@pytest.fixture
async def slow(serve: Serve, notes: Notes) -> tuple[Raw, Slow]:
    raw = await (await serve([("/", Slow, {"notes": notes})])).raw()
    return raw, notes.handler  # type: ignore[attr-defined]


def connection_of(handler: WebSocketHandler) -> WebSocketConnection:
    connection = handler.ws_connection
    if connection is None:
        raise ValueError("closed")
    return connection


# ---- Back-pressure ---------------------------------------------------------------------------


async def test_the_next_message_waits(slow: tuple[Raw, Slow], notes: Notes) -> None:
    raw, handler = slow
    raw.text("a", "b")
    await notes.has(("begin", "a"))
    await settled()
    assert notes == [("begin", "a")]
    handler.go_on.release()
    await notes.has(("begin", "b"))
    handler.go_on.release()
    assert [await raw.message(), await raw.message()] == ["a", "b"]


async def test_a_slow_handler_slows_its_peer_down(slow: tuple[Raw, Slow], notes: Notes) -> None:
    """What is held of what it sends is bounded: it cannot go on sending."""
    raw, handler = slow
    sock: socket.socket = raw.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    piece = frame(TEXT, "x" * 60000)
    sent = 0
    async with asyncio.timeout(PATIENCE):
        while raw.writer.transport.get_write_buffer_size() < 4 * len(piece):
            raw.writer.write(piece)
            sent += 1
            await asyncio.sleep(0)
            assert sent < 2000
    connection = connection_of(handler)
    held = len(connection.stream.buffer) + connection.protocol.unread
    assert connection.stream.paused
    assert held <= 512 * 1024
    for _ in range(sent):
        handler.go_on.release()
    for _ in range(sent):
        assert await raw.message() == "x" * 60000


async def test_a_ping_is_answered_meanwhile(slow: tuple[Raw, Slow], notes: Notes) -> None:
    raw, handler = slow
    raw.text("a")
    await notes.has(("begin", "a"))
    raw.frames(frame(PING, "p"))
    assert await raw.frame() == (0x80 | PONG, b"p")
    raw.frames(frame(PING, "q")[:3])
    await settled()
    raw.frames(frame(PING, "q")[3:], frame(TEXT, "b"), frame(PING, "behind b"))
    assert await raw.frame() == (0x80 | PONG, b"q")
    await settled()
    handler.go_on.release()
    assert await raw.message() == "a"
    assert await raw.frame() == (0x80 | PONG, b"behind b")
    handler.go_on.release()
    assert await raw.message() == "b"


async def test_a_close_waits(slow: tuple[Raw, Slow], notes: Notes) -> None:
    """What came before it is answered before."""
    raw, handler = slow
    raw.text("a", "b")
    raw.frames(close_frame(4000))
    await notes.has(("begin", "a"))
    handler.go_on.release()
    await notes.has(("begin", "b"))
    handler.go_on.release()
    assert [await raw.message(), await raw.message()] == ["a", "b"]
    assert await raw.close_code() == 4000
    assert await raw.ended()
    assert notes[2:] == [("closed", 4000)]


@pytest.mark.parametrize("how", ["close", "end", "reset"])
async def test_what_came_before_the_end_is_delivered(
    slow: tuple[Raw, Slow], notes: Notes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw, handler = slow
    raw.text("a")
    await notes.has(("begin", "a"))
    raw.text("b")
    if how == "close":
        raw.frames(close_frame(4000))
    connection = connection_of(handler)
    await until(lambda: connection.stream.buffer or connection.protocol.unread)
    if how == "reset":
        raw.close()
    else:
        raw.writer.close()
    await until(connection.stream.closed)
    handler.go_on.release()
    await notes.has(("begin", "b"))
    handler.go_on.release()
    await notes.has(("closed", 4000 if how == "close" else None))
    assert notes == [("begin", "a"), ("begin", "b"), notes[-1]]
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_nothing_is_delivered_behind_our_close(serve: Serve, notes: Notes) -> None:
    class Once(WebSocketHandler):
        def on_message(self, message: str) -> None:
            notes(message)
            self.close(4000)

        def on_close(self) -> None:
            notes(self.close_code)

    raw = await (await serve(Once)).raw()
    raw.text("a", "b")
    raw.text("c")
    assert await raw.close_code() == 4000
    raw.text("d")
    raw.frames(close_frame(4000))
    assert await raw.ended()
    await notes.has(4000)
    assert notes == ["a", 4000]


async def test_closing_does_not_wait_for_the_handler(slow: tuple[Raw, Slow], notes: Notes) -> None:
    raw, handler = slow
    raw.text("a")
    await notes.has(("begin", "a"))
    handler.close(4000)
    assert await raw.close_code() == 4000
    raw.frames(close_frame(4000))
    assert await raw.ended()
    assert notes == [("begin", "a")]  # calls do not overlap
    handler.go_on.release()
    await notes.has(("closed", 4000))


async def test_many_messages_do_not_keep_others_waiting(serve: Serve, notes: Notes) -> None:
    class Counting(WebSocketHandler):
        def on_message(self, message: str) -> None:
            notes(message)

    talk = await serve(Counting)
    first, second = await talk.raw(), await talk.raw()
    first.frames(frame(TEXT, "1") * 1000)
    second.text("2")
    async with asyncio.timeout(PATIENCE):
        while len(notes) < 1001:
            await asyncio.sleep(0)
    assert notes.index("2") < 500


async def test_nor_do_large_ones(serve: Serve, notes: Notes) -> None:
    """40 MiB, compressed to what comes with one read."""

    class Compressing(WebSocketHandler):
        def get_compression_options(self) -> dict[str, Any]:
            return {}

        def on_message(self, message: str | bytes) -> None:
            notes(len(message))

    compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
    data = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    talk = await serve(Compressing)
    extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12"
    first, second = await talk.raw("/", extension), await talk.raw()
    first.frames(frame(BINARY, data[:-4], rsv=4) * 40)
    second.text("2")
    async with asyncio.timeout(PATIENCE):
        while len(notes) < 41:
            await asyncio.sleep(0)
    assert notes.index(1) < 10


# ---- Coroutines ------------------------------------------------------------------------------


async def test_the_context_is_the_request_s(serve: Serve, notes: Notes) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    class Context(WebSocketHandler):
        later = False

        def prepare(self) -> None:
            variable.set("prepare")

        async def open(self) -> None:
            notes(variable.get())
            variable.set("open")

        def on_message(self, message: str) -> Any:
            notes(variable.get())
            variable.set(message)
            return self.go_on() if message == "later" else None

        async def go_on(self) -> None:
            await asyncio.sleep(0)
            notes(variable.get())
            variable.set("went on")

        def on_close(self) -> None:
            notes(variable.get())

    raw = await (await serve(Context)).raw()
    raw.text("plain", "later", "last")
    raw.frames(close_frame(1000))
    assert await raw.ended() or True
    await notes.has("last")
    assert notes == ["prepare", "open", "plain", "later", "went on", "last"]


async def test_a_coroutine_without_a_client(serve: Serve, notes: Notes) -> None:
    class Waiting(WebSocketHandler):
        def initialize(self, cancel: bool) -> None:
            self.cancel_on_close = cancel

        async def on_message(self, message: str) -> None:
            notes("begin")
            await notes.cancellation(event)
            notes("end")

        def on_close(self) -> None:
            notes("closed")

    event = asyncio.Event()
    talk = await serve([("/", Waiting, {"cancel": False}), ("/cancel", Waiting, {"cancel": True})])
    for path, between in (("/", "end"), ("/cancel", "cancelled")):
        notes.clear()
        event.clear()
        raw = await talk.raw(path)
        raw.text("a")
        await notes.has("begin")
        raw.close()
        if path == "/":
            await settled(50)
            assert notes == ["begin"]
            event.set()
        await notes.has("closed")
        assert notes == ["begin", between, "closed"]


async def test_writing_to_who_is_gone_is_no_error(
    serve: Serve, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    class Waiting(WebSocketHandler):
        async def on_message(self, message: str) -> None:
            connection = connection_of(self)
            notes("begin")
            await until(connection.stream.closed)
            notes("lost")
            await self.write_message("late")

        def on_close(self) -> None:
            notes("closed")

    raw = await (await serve(Waiting)).raw()
    raw.text("a")
    await notes.has("begin")
    raw.close()
    await notes.has("closed")
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_nothing_is_begun_for_who_is_gone(serve: Serve, notes: Notes) -> None:
    """If what was begun is cancelled."""

    class Cancelled(Slow):
        cancel_on_close = True

    raw = await (await serve([("/", Cancelled, {"notes": notes})])).raw()
    raw.text("a")
    await notes.has(("begin", "a"))
    raw.text("b")
    raw.frames(close_frame(4000))
    await settled()
    raw.writer.close()
    await notes.has(("closed", 4000))
    assert notes == [("begin", "a"), ("closed", 4000)]


async def test_control_hooks_may_be_coroutines(serve: Serve, notes: Notes) -> None:
    class Hooks(WebSocketHandler):
        async def on_ping(self, data: bytes) -> None:
            await asyncio.sleep(0)
            notes(("ping", data))

        async def on_pong(self, data: bytes) -> None:
            await asyncio.sleep(0)
            notes(("pong", data))

        async def on_message(self, message: str) -> None:
            notes("begin")
            await event.wait()
            notes(message)

        async def on_close(self) -> None:
            await asyncio.sleep(0)
            notes("closed")

    event = asyncio.Event()
    raw = await (await serve(Hooks)).raw()
    raw.frames(frame(PING, "1"), frame(PONG, "2"), frame(TEXT, "a"))
    await notes.has("begin")
    raw.frames(frame(PING, "3"), frame(PING, "4"))
    await notes.has(("ping", b"4"))
    event.set()
    raw.frames(close_frame(1000))
    await notes.has("closed")
    assert notes == [
        ("ping", b"1"), ("pong", b"2"), "begin", ("ping", b"3"), ("ping", b"4"), "a", "closed",
    ]  # fmt: skip


class SlowPings(Slow):
    """Is at a ping, too, until it is told to go on."""

    async def on_ping(self, data: bytes) -> None:
        self.notes(data)
        await self.go_on.acquire()
        self.notes("end")


async def test_a_control_hook_is_over_before_the_next_call(serve: Serve, notes: Notes) -> None:
    raw = await (await serve([("/", SlowPings, {"notes": notes})])).raw()
    handler: SlowPings = notes.handler  # type: ignore[attr-defined]
    raw.text("a")
    await notes.has(("begin", "a"))
    raw.frames(frame(PING, "1"), frame(TEXT, "b"), frame(PING, "2"), close_frame(4000))
    await notes.has(b"1")
    handler.go_on.release()  # on_message has stood in line before
    assert await raw.frame() == (0x80 | PONG, b"1")
    assert await raw.message() == "a"
    await settled()
    assert notes == [("begin", "a"), b"1"]
    handler.go_on.release()
    await notes.has(("begin", "b"))
    handler.go_on.release()
    await notes.has(b"2")
    await settled()
    assert notes[2:] == ["end", ("begin", "b"), b"2"]
    handler.go_on.release()
    await notes.has(("closed", 4000))
    assert notes[5:] == ["end", ("closed", 4000)]


async def test_the_end_is_told_behind_a_control_hook(serve: Serve, notes: Notes) -> None:
    raw = await (await serve([("/", SlowPings, {"notes": notes})])).raw()
    handler: SlowPings = notes.handler  # type: ignore[attr-defined]
    raw.text("a")
    raw.frames(frame(PING, "1"))
    await notes.has(b"1")
    handler.close(4000)
    raw.frames(close_frame(4000))
    handler.go_on.release()
    await until(lambda: len(notes) == 2 and handler._ws_link is not None)
    await settled()
    assert notes == [("begin", "a"), b"1"]
    handler.go_on.release()
    await notes.has(("closed", 4000))
    assert notes[2:] == ["end", ("closed", 4000)]


async def test_errors_of_hooks_are_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(WebSocketHandler):
        def on_message(self, message: str) -> None: ...

        async def on_ping(self, data: bytes) -> None:
            raise ZeroDivisionError

        async def on_close(self) -> None:
            raise KeyError

    raw = await (await serve(Wrong)).raw()
    raw.frames(frame(PING, "1"))
    assert await raw.frame() == (0x80 | PONG, b"1")
    assert await raw.close_code() == 1011
    raw.frames(close_frame(1011))
    assert await raw.ended()

    def errors() -> list[Any]:
        return [r.exc_info and r.exc_info[0] for r in caplog.records if r.levelno == logging.ERROR]

    await until(lambda: len(errors()) == 2)
    assert errors() == [ZeroDivisionError, KeyError]


async def test_no_cycle_keeps_a_handler(serve: Serve) -> None:
    handlers: list[weakref.ref[Any]] = []

    class Plain(WebSocketHandler):
        def open(self) -> None:
            handlers.append(weakref.ref(self))
            handlers.append(weakref.ref(connection_of(self)))

        async def on_message(self, message: str) -> None:
            await asyncio.sleep(0)
            await self.send(message)

    talk = await serve(Plain)
    gc.collect()
    gc.disable()
    try:
        for how in (Raw.close, lambda raw: raw.frames(close_frame(1000))):
            raw = await talk.raw()
            raw.text("a")
            assert await raw.message() == "a"
            how(raw)
            await until(lambda: [ref() for ref in handlers] == [None] * len(handlers))
    finally:
        gc.enable()
    assert len(handlers) == 4
    assert talk.application.event_streams == set()


async def test_a_coroutine_that_is_cancelled_by_somebody(
    serve: Serve, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    class Cancelled(WebSocketHandler):
        async def on_message(self, message: str) -> None:
            task = asyncio.current_task()
            if task is not None:
                task.cancel()
            await asyncio.sleep(0)

        def on_close(self) -> None:
            notes(self.close_code)

    raw = await (await serve(Cancelled)).raw()
    raw.text("a")
    assert await raw.close_code() == 1011
    raw.close()
    await notes.has(1011)
    assert [r.name for r in caplog.records if r.levelno == logging.ERROR] == ["tornado.application"]


async def test_a_get_that_is_cancelled(serve: Serve, notes: Notes) -> None:
    class Lasting(WebSocketHandler):
        async def get(self) -> None:  # type: ignore[override]
            notes(asyncio.current_task())
            await super().get()

        def on_close(self) -> None:
            notes("closed")

    raw = await (await serve(Lasting)).raw()
    notes[0].cancel()
    assert await raw.ended()
    await notes.has("closed")


async def test_closed_errors_have_a_base() -> None:
    assert not issubclass(WebSocketClosedError, OSError)
