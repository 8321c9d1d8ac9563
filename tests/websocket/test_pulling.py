"""Messages that a coroutine takes itself, and messages that are read as they arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from support import settled
from web.serving import PATIENCE, by_hand, until

from tornadoish.websocket import IncomingMessage, WebSocketClosedError, WebSocketHandler
from tornadoish.websocket.inbox import Inbox

from .ours import framework  # noqa: F401 - a fixture
from .talking import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Notes,
    Serve,
    close_frame,
    frame,
)


class Iterating(WebSocketHandler):
    """Takes its messages in open()."""

    def initialize(self, notes: Notes) -> None:
        self.notes = notes

    async def open(self) -> None:
        async for message in self:
            if isinstance(message, str) and message == "end":  # -bb compares no bytes with text
                break
            await self.send(message)
        else:
            self.notes(("iterated to", self.close_code, self.close_reason))
        self.notes("end of open")

    def on_message(self, message: Any) -> None:
        self.notes(("on_message", message))

    def on_close(self) -> None:
        self.notes(("closed", self.close_code))


async def test_open_iterates(serve: Serve, notes: Notes) -> None:
    raw = await (await serve([("/", Iterating, {"notes": notes})])).raw(
        behind=frame(TEXT, "with the handshake")
    )
    raw.text("a")
    raw.frames(frame(BINARY, b"b"), frame(PING, "p"))
    frames = [await raw.frame() for _ in range(4)]
    frames.remove((0x80 | PONG, b"p"))
    assert frames == [(0x81, b"with the handshake"), (0x81, b"a"), (0x82, b"b")]
    raw.text("end", "late")
    assert await raw.close_code() == 1000
    raw.frames(close_frame(1000))
    assert await raw.ended()
    await notes.has(("closed", 1000))
    assert notes == ["end of open", ("closed", 1000)]


@pytest.mark.parametrize("how", ["close", "reset", "1002"])
async def test_iterating_ends_with_the_connection(serve: Serve, notes: Notes, how: str) -> None:
    raw = await (await serve([("/", Iterating, {"notes": notes})])).raw()
    raw.text("a")
    assert await raw.message() == "a"
    if how == "close":
        raw.frames(close_frame(4000))
    elif how == "1002":
        raw.frames(frame(3))
    else:
        raw.close()
    code = {"close": 4000, "1002": 1002, "reset": None}[how]
    reason = "Reserved opcode" if how == "1002" else None
    await notes.has(("closed", code))
    assert notes == [("iterated to", code, reason), "end of open", ("closed", code)]


async def test_closed_by_somebody_else(serve: Serve, notes: Notes) -> None:
    """Then what nobody has taken is not given out any more."""

    class Waiting(Iterating):
        async def open(self) -> None:
            iterator = aiter(self)
            notes(self)
            await event.wait()
            async for message in iterator:
                notes(message)
            notes("end of open")

    event = asyncio.Event()
    talk = await serve([("/", Waiting, {"notes": notes}), ("/now", Iterating, {"notes": notes})])
    raw = await talk.raw()
    raw.text("a", "b")
    await settled()
    notes.pop(0).close(4000)
    event.set()
    await notes.has("end of open")
    assert await raw.close_code() == 4000
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000))
    assert notes == ["end of open", ("closed", 4000)]


async def test_in_a_task_of_its_own(serve: Serve, notes: Notes) -> None:
    class Tasks(Iterating):
        def open(self) -> None:
            self.task = asyncio.get_running_loop().create_task(super().open())

    raw = await (await serve([("/", Tasks, {"notes": notes})])).raw(behind=frame(TEXT, "first"))
    raw.text("a")
    assert [await raw.message(), await raw.message()] == ["first", "a"]
    raw.text("end")
    await notes.has("end of open")
    raw.frames(close_frame(4000))
    assert await raw.close_code() == 4000
    await notes.has(("closed", 4000))
    assert notes == ["end of open", ("closed", 4000)]


async def test_one_by_one(serve: Serve, notes: Notes) -> None:
    class First(Iterating):
        async def open(self) -> None:
            notes(await anext(self))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(self), 0.01)
            notes(await anext(self))
            notes(await anext(self, "over"))

    raw = await (await serve([("/", First, {"notes": notes})])).raw()
    raw.text("a")
    await notes.has("a")
    await asyncio.sleep(0.02)
    raw.text("b")
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000))
    assert notes == ["a", "b", "over", ("closed", 4000)]


async def test_all_that_came_is_given_out(serve: Serve, notes: Notes) -> None:
    """Also behind the end of the connection; and its memory is bounded before."""

    class Later(Iterating):
        async def open(self) -> None:
            iterator = aiter(self)
            await event.wait()
            notes([message async for message in iterator])

    event = asyncio.Event()
    raw = await (await serve([("/", Later, {"notes": notes})])).raw()
    raw.text(*map(str, range(500)))
    raw.frames(close_frame(4000))
    await settled(50)
    raw.writer.close()
    await settled(50)
    event.set()
    await notes.has(("closed", 4000))
    assert notes == [[*map(str, range(500))], ("closed", 4000)]


async def test_who_does_not_take_slows_the_peer_down(serve: Serve, notes: Notes) -> None:
    class Later(Iterating):
        async def open(self) -> None:
            iterator = aiter(self)
            notes(self.ws_connection)
            await event.wait()
            async for message in iterator:
                await self.send(str(len(message)))

    event = asyncio.Event()
    raw = await (await serve([("/", Later, {"notes": notes})])).raw()
    piece = frame(TEXT, "x" * 60000)
    sent = 0
    async with asyncio.timeout(PATIENCE):
        while raw.writer.transport.get_write_buffer_size() < 2**20:
            raw.writer.write(piece)
            sent += 1
            await asyncio.sleep(0)
            assert sent < 2000
    assert notes[0].stream.paused
    event.set()
    assert [await raw.message() for _ in range(sent)] == ["60000"] * sent


async def test_iterating_over_what_is_being_closed(serve: Serve, notes: Notes) -> None:
    """It ends at once, and does not wait for the peer."""

    class Closing(Iterating):
        async def open(self) -> None:
            assert self.ws_connection is not None
            self.ws_connection.close(4000)
            notes([message async for message in self])

    raw = await (await serve([("/", Closing, {"notes": notes})])).raw(behind=frame(TEXT, "a"))
    await notes.has([])
    assert await raw.close_code() == 4000
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000))


async def test_control_hooks_beside_it(serve: Serve, notes: Notes) -> None:
    """``open`` is still at it when one of them is done."""

    class Hooks(Iterating):
        async def on_ping(self, data: bytes) -> None:
            await asyncio.sleep(0)
            notes(data)

    raw = await (await serve([("/", Hooks, {"notes": notes})])).raw()
    for text in "ab":
        raw.frames(frame(PING, text))
        await notes.has(text.encode())
        raw.text(text)
        assert await raw.frame() == (0x80 | PONG, text.encode())
        assert await raw.message() == text
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000))
    assert notes == [b"a", b"b", ("iterated to", 4000, None), "end of open", ("closed", 4000)]


def test_not_before_the_handshake(framework: Any) -> None:  # noqa: F811
    with pytest.raises(RuntimeError, match="handshake"):
        aiter(by_hand(framework, handler_class=WebSocketHandler))


# ---- In parts --------------------------------------------------------------------------------

MEBIBYTE = b"0123456789abcdef" * 65536


class Parts(WebSocketHandler):
    message_in_parts = True

    def initialize(self, notes: Notes) -> None:
        self.notes = notes

    async def on_message(self, message: IncomingMessage) -> None:
        self.notes("begin")
        size, largest = 0, 0
        async for part in message:
            size += len(part)
            largest = max(largest, len(part))
        self.notes((message.binary, size))
        await self.send(f"{size} {largest <= 256 * 1024}")

    def on_close(self) -> None:
        self.notes(("closed", self.close_code))


async def test_a_message_of_any_size(serve: Serve, notes: Notes) -> None:
    """One frame of 64 MiB, more than any limit on messages."""
    raw = await (await serve([("/", Parts, {"notes": notes})])).raw()
    size = 64 << 20
    raw.writer.write(b"\x82\xff" + size.to_bytes(8, "big") + bytes(4))
    raw.writer.write(MEBIBYTE)
    await notes.has("begin")  # before it is all there
    for _ in range(63):
        raw.writer.write(MEBIBYTE)
        await raw.writer.drain()
    assert await raw.message() == f"{size} True"
    raw.text("")
    assert await raw.message() == "0 True"
    raw.frames(frame(TEXT, "Gr", fin=False), frame(CONTINUATION, "ü".encode()[:1], fin=False))
    raw.frames(frame(PING), frame(CONTINUATION, "ü".encode()[1:] + b"e"))
    assert await raw.frame() == (0x80 | PONG, b"")
    assert await raw.message() == "4 True"
    assert notes[1::2] == [(True, size), (False, 0), (False, 4)]


async def test_who_does_not_read_slows_the_peer_down(serve: Serve, notes: Notes) -> None:
    class Stopping(Parts):
        async def on_message(self, message: IncomingMessage) -> None:
            notes(await anext(message) != b"")
            await event.wait()
            await super().on_message(message)

    event = asyncio.Event()
    raw = await (await serve([("/", Stopping, {"notes": notes})])).raw()
    size = 32 << 20
    raw.writer.write(b"\x82\xff" + size.to_bytes(8, "big") + bytes(4))
    for _ in range(32):
        raw.writer.write(MEBIBYTE)
    await notes.has(True)
    await settled(100)
    assert raw.writer.transport.get_write_buffer_size() > 16 << 20
    event.set()
    assert str(await raw.message()).endswith("True")


@pytest.mark.parametrize("sizes", [[10, 10], [300_000, 10], [3_000_000, 3_000_000, 10]])
async def test_what_nobody_reads_is_dropped(serve: Serve, notes: Notes, sizes: list[int]) -> None:
    class Careless(Parts):
        async def on_message(self, message: IncomingMessage) -> None:
            notes(message.binary)

    class Iterating(Careless):
        async def open(self) -> None:
            async for message in self:
                notes(message.binary)

    class Plain(Careless):
        def on_message(self, message: IncomingMessage) -> None:  # type: ignore[override]
            notes(message.binary)

    for handler in (Careless, Iterating, Plain):
        notes.clear()
        raw = await (await serve([("/", handler, {"notes": notes})])).raw()
        raw.frames(*[frame(BINARY, bytes(size)) for size in sizes])
        raw.frames(frame(PING, "p"), close_frame(4000))
        async with asyncio.timeout(PATIENCE):
            assert await raw.close_code() == 4000
        await notes.has(("closed", 4000))
        assert notes == [True] * len(sizes) + [("closed", 4000)]


async def test_one_message_after_the_other(serve: Serve, notes: Notes) -> None:
    class Slow(Parts):
        async def on_message(self, message: IncomingMessage) -> None:
            text = await message.read(100)
            notes(f"begin {text}")
            await settled()
            notes(f"end {text}")

    raw = await (await serve([("/", Slow, {"notes": notes})])).raw()
    raw.text("a", "b", "c")
    await notes.has("end c")
    assert notes == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]


async def test_iterating_over_parts(serve: Serve, notes: Notes) -> None:
    class Reading(Parts):
        async def open(self) -> None:
            async for message in self:
                notes(await message.read(100))

    raw = await (await serve([("/", Reading, {"notes": notes})])).raw()
    raw.text(*["x" * n for n in range(50)])
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000))
    assert notes[:-1] == ["x" * n for n in range(50)]


@pytest.mark.parametrize(
    "end", [lambda raw: raw.close(), lambda raw: raw.frames(close_frame(4000))]
)
async def test_a_message_without_an_end(
    serve: Serve, notes: Notes, end: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    class Reading(Parts):
        async def on_message(self, message: IncomingMessage) -> None:
            notes(await anext(message))
            try:
                await message.read(100)
            except WebSocketClosedError:
                notes("cut")
                raise

    raw = await (await serve([("/", Reading, {"notes": notes})])).raw()
    raw.frames(frame(TEXT, "ab", fin=False))
    await notes.has("ab")
    end(raw)
    await until(lambda: len(notes) == 3)
    assert notes[1] == "cut"
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_no_message_begins_behind_our_close(serve: Serve, notes: Notes) -> None:
    class Closing(Parts):
        def open(self) -> None:
            self.close(4000)

    raw = await (await serve([("/", Closing, {"notes": notes})])).raw()
    raw.text("a")
    raw.frames(frame(BINARY, bytes(100_000), fin=False), close_frame(4000))
    await notes.has(("closed", 4000))
    assert notes == [("closed", 4000)]


async def test_control_hooks_within_a_message(serve: Serve, notes: Notes) -> None:
    class Hooks(Parts):
        async def on_ping(self, data: bytes) -> None:
            await asyncio.sleep(0)
            notes(data)

    raw = await (await serve([("/", Hooks, {"notes": notes})])).raw()
    raw.frames(frame(TEXT, "a", fin=False))
    await notes.has("begin")
    raw.frames(frame(PING, "p"))
    await notes.has(b"p")
    raw.frames(frame(CONTINUATION, "b"), frame(TEXT, "c"))
    assert await raw.frame() == (0x80 | PONG, b"p")
    assert [await raw.message(), await raw.message()] == ["2 True", "1 True"]


@pytest.mark.parametrize("how", ["plain", "ended", "next"])
async def test_who_reads_what_was_dropped(serve: Serve, notes: Notes, how: str) -> None:
    """He is told, and neither waits for ever nor takes it for the whole message."""

    class Reading(WebSocketHandler):
        message_in_parts = True

        def on_message(self, message: IncomingMessage) -> Any:
            loop = asyncio.get_running_loop()
            self.task = loop.create_task(self.read(message))
            return None if how == "plain" else asyncio.sleep(0.01)

        async def read(self, message: IncomingMessage) -> None:
            try:
                notes(await message.read(100))
            except RuntimeError as error:
                notes(str(error))

    class Iterating(Reading):
        async def open(self) -> None:
            async for message in self:
                self.on_message(message).close()
                await asyncio.sleep(0)

    raw = await (await serve(Iterating if how == "next" else Reading)).raw()
    raw.frames(frame(TEXT, "ab", fin=False))
    await until(lambda: notes)
    assert "can be read until" in notes[0]


async def test_read_has_a_limit(serve: Serve, notes: Notes) -> None:
    class Reading(Parts):
        async def on_message(self, message: IncomingMessage) -> None:
            try:
                notes(await message.read(4))
            except ValueError as error:
                notes(str(error))
                self.close(1009)

    raw = await (await serve([("/", Reading, {"notes": notes})])).raw()
    raw.text("abcd", "")
    raw.frames(frame(BINARY, b"abcd"), frame(BINARY, b"abcde"))
    assert await raw.close_code() == 1009
    assert notes == ["abcd", "", b"abcd", "A message of more than 4 bytes"]


async def test_a_limit_all_the_same(serve: Serve, notes: Notes) -> None:
    talk = await serve([("/", Parts, {"notes": notes})], websocket_max_message_size=1000)
    raw = await talk.raw()
    raw.text("x" * 1000)
    assert await raw.message() == "1000 True"
    raw.frames(frame(TEXT, "x" * 600, fin=False), frame(CONTINUATION, "x" * 401))
    assert await raw.close_code() == 1009
    await notes.has(("closed", 1009))


# ---- The queue between -----------------------------------------------------------------------


async def test_a_reader_that_is_cancelled_when_it_is_its_turn() -> None:
    """The next one has it."""
    inbox: Inbox[str] = Inbox()
    first, second = (asyncio.ensure_future(inbox.__anext__()) for _ in range(2))
    await settled()
    assert inbox.put("a") is None
    first.cancel()
    assert await asyncio.wait_for(second, PATIENCE) == "a"
    third, fourth = (asyncio.ensure_future(inbox.__anext__()) for _ in range(2))
    await settled()
    third.cancel()
    await settled()
    inbox.put("b")
    assert await asyncio.wait_for(fourth, PATIENCE) == "b"
    inbox.end()
    with pytest.raises(StopAsyncIteration):
        await inbox.__anext__()


async def test_all_readers_hear_of_the_end() -> None:
    inbox: Inbox[str] = Inbox()
    readers = [asyncio.ensure_future(anext(inbox, "over")) for _ in range(3)]
    await settled()
    inbox.put("a")
    inbox.end()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*readers) == ["a", "over", "over"]


async def test_when_there_is_enough() -> None:
    inbox: Inbox[str] = Inbox()
    rooms = [inbox.put("") for _ in range(20)]
    assert rooms[:15] == [None] * 15
    assert len(set(rooms[15:])) == 1
    for _ in range(4):
        inbox.take()
    room = rooms[15]
    assert room is not None
    assert room.done()
    large: Inbox[bytes] = Inbox()
    assert large.put(bytes(60_000)) is None
    assert large.put(bytes(10_000)) is not None
    message: Inbox[IncomingMessage] = Inbox()
    assert message.put(IncomingMessage(True)) is not None
