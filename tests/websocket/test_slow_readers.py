"""Peers that do not take what they are sent: who waits for them, and how much is kept for them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from support import FakeClock, settled
from web.serving import PATIENCE, until

from tornadoish import websocket
from tornadoish.websocket import WebSocketClosedError, WebSocketHandler, broadcast
from tornadoish.ws import PreparedMessage, prepared

from .ours import framework  # noqa: F401 - a fixture
from .talking import TEXT, Notes, Raw, Serve, Talk, close_frame, frame

MESSAGE = "x" * 50000


class Pushing(WebSocketHandler):
    """Is only pushed to."""

    close_timeout = 3.0

    def initialize(self, notes: Notes, **attributes: Any) -> None:
        self.notes = notes
        for name, value in attributes.items():
            setattr(self, name, value)

    def open(self) -> None:
        self.notes(self)

    def on_message(self, message: str) -> None:
        self.notes(message)

    def on_close(self) -> None:
        self.notes(("closed", self.close_code, self.close_reason))


async def push_to(
    serve: Serve, notes: Notes, clock: FakeClock | None = None, **attributes: Any
) -> tuple[Talk, Raw, Any]:
    """A handler, and its peer, which reads nothing by itself."""
    talk = await serve([("/", Pushing, {"notes": notes, **attributes})], clock=clock)
    raw = await talk.raw()
    raw.stop_reading()
    return talk, raw, notes.pop(0)


async def fill(handler: Any) -> int:
    """Write until the peer is behind and stays so."""
    count = 0
    while not handler.ws_connection.stream.blocked:
        handler.write_message(MESSAGE)
        count += 1
        if handler.ws_connection.stream.blocked:
            await settled()
    return count


async def test_awaiting_write_message(serve: Serve, notes: Notes) -> None:
    _, raw, handler = await push_to(serve, notes)
    count = await fill(handler) + 1
    future = handler.write_message(MESSAGE)
    await settled()
    assert not future.done()
    for _ in range(count):
        assert await raw.message() == MESSAGE
    assert await future is None


async def test_a_future_of_write_message_fails(serve: Serve, notes: Notes) -> None:
    _, raw, handler = await push_to(serve, notes)
    await fill(handler)
    future, nobody_looks = handler.write_message(MESSAGE), handler.write_message(MESSAGE)
    cancelled = handler.write_message(MESSAGE)
    cancelled.cancel()
    raw.close()
    with pytest.raises(WebSocketClosedError):
        await future
    assert nobody_looks.done()


async def test_write_message_has_a_cap(
    serve: Serve, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    _, raw, handler = await push_to(serve, notes, clock, max_unsent_bytes=1_000_000)
    count = await fill(handler)
    with pytest.raises(WebSocketClosedError):
        for _ in range(25):
            handler.write_message(MESSAGE)
            count += 1
    with pytest.raises(WebSocketClosedError):
        handler.write_message("")
    lines = [r.getMessage() for r in caplog.records if r.name == "tornado.general"]
    assert len(lines) == 1
    assert "is too slow" in lines[0]
    # Who reads after all gets all that was written, and then why.
    for _ in range(count):
        assert await raw.message() == MESSAGE
    assert await raw.close_code() == 1013
    raw.frames(close_frame(1013, "bye"))
    await notes.has(("closed", 1013, "bye"))


async def test_it_is_cut_if_it_does_not_go_on(serve: Serve, notes: Notes) -> None:
    clock = FakeClock()
    _, _, handler = await push_to(serve, notes, clock, max_unsent_bytes=1_000_000)
    with pytest.raises(WebSocketClosedError):
        for _ in range(500):
            handler.write_message(MESSAGE)
    clock.passes(3)
    await settled()
    assert notes == []
    clock.passes(2)
    await notes.has(("closed", 1013, "Too slow"))
    assert len(notes) == 1


async def test_small_messages_cost_more_than_their_bytes(serve: Serve, notes: Notes) -> None:
    _, _, handler = await push_to(serve, notes, max_unsent_bytes=2_000_000)
    await fill(handler)
    with pytest.raises(WebSocketClosedError):
        for _ in range(2000):
            handler.write_message("")


async def test_send_waits(serve: Serve, notes: Notes) -> None:
    """One behind the other, and what waits is not in the transport."""
    _, raw, handler = await push_to(serve, notes)
    count = await fill(handler)
    held = handler.ws_connection.stream._transport.get_write_buffer_size()
    tasks = [asyncio.ensure_future(handler.send(f"{n}")) for n in range(20)]
    tasks.append(asyncio.ensure_future(handler.send({"n": 20})))
    tasks.append(asyncio.ensure_future(handler.send(b"21")))
    await settled()
    assert not any(task.done() for task in tasks)
    assert handler.ws_connection.stream._transport.get_write_buffer_size() == held
    tasks[5].cancel()
    for _ in range(count):
        assert await raw.message() == MESSAGE
    assert [await raw.message() for _ in range(19)] == [str(n) for n in range(20) if n != 5]
    assert [await raw.message() for _ in range(2)] == ['{"n": 20}', b"21"]
    await asyncio.wait(tasks)
    assert handler.ws_connection._queue is None
    await handler.send("and on")
    assert await raw.message() == "and on"


async def test_memory_of_a_slow_reader(serve: Serve, notes: Notes) -> None:
    """``send`` never has more than a message above the transport's high-water mark."""
    _, raw, handler = await push_to(serve, notes)
    transport = handler.ws_connection.stream._transport
    most = 0

    async def push() -> None:
        nonlocal most
        for _ in range(400):
            await handler.send(MESSAGE)
            most = max(most, transport.get_write_buffer_size())

    pushing = asyncio.ensure_future(push())
    for _ in range(400):
        assert await raw.message() == MESSAGE
    await pushing
    assert most <= 64 * 1024 + len(MESSAGE) + 100


async def test_send_has_a_limit(serve: Serve, notes: Notes) -> None:
    _, _, handler = await push_to(serve, notes, max_unsent_bytes=500_000)
    await fill(handler)
    tasks = [asyncio.ensure_future(handler.send(MESSAGE)) for _ in range(9)]
    await settled()
    assert not any(task.done() for task in tasks)
    with pytest.raises(WebSocketClosedError, match="too slow"):
        await handler.send(MESSAGE)
    handler.ws_connection._abort()
    for task in tasks:
        with pytest.raises(WebSocketClosedError):
            await task
    await notes.has(("closed", 1013, "Too slow"))


async def test_send_waits_with_a_message_of_any_size(serve: Serve, notes: Notes) -> None:
    """It is not more than without a peer that is behind."""
    _, raw, handler = await push_to(serve, notes, max_unsent_bytes=10_000)
    connection = handler.ws_connection
    while not connection.stream.blocked:
        handler.write_message("a" * 9000)
    task = asyncio.ensure_future(handler.send(MESSAGE))
    await settled()
    while (message := await raw.message()) != MESSAGE:
        assert message == "a" * 9000
    await task


async def test_send_does_not_wait_for_ever(serve: Serve, notes: Notes) -> None:
    _, raw, handler = await push_to(serve, notes, send_timeout=0.05)
    count = await fill(handler)
    with pytest.raises(WebSocketClosedError, match="too slow"):
        await handler.send("a")
    with pytest.raises(WebSocketClosedError):
        await handler.send("b")
    for _ in range(count):
        await raw.message()
    assert await raw.close_code() == 1013


async def test_send_to_who_goes_away(serve: Serve, notes: Notes) -> None:
    _, raw, handler = await push_to(serve, notes)
    await fill(handler)
    task = asyncio.ensure_future(handler.send("a"))
    await settled()
    raw.close()
    with pytest.raises(WebSocketClosedError):
        await task
    await notes.has(("closed", None, None))


async def test_pongs_are_not_piled_up(serve: Serve, notes: Notes) -> None:
    _, raw, handler = await push_to(serve, notes)
    count = await fill(handler)
    raw.frames(*[frame(9, str(n)) for n in range(5000)], frame(TEXT, "end"))
    await notes.has("end")
    held = handler.ws_connection.stream._transport.get_write_buffer_size()
    assert held < 64 * 1024 + 60000
    for _ in range(count):
        await raw.message()
    pongs = [await raw.frame()]
    while pongs[-1] != (0x8A, b"4999"):
        pongs.append(await raw.frame())
    assert len(pongs) <= 64


# ---- Broadcast -------------------------------------------------------------------------------


class Listening(Pushing):
    listeners: set[Any] = set()

    def initialize(self, notes: Notes, **attributes: Any) -> None:
        super().initialize(notes, **attributes)
        self.select = self.get_argument("deflate", None)

    def get_compression_options(self) -> dict[str, Any] | None:
        return None if self.select is None else {"level": int(self.select)}


@pytest.mark.parametrize(
    ("message", "received"),
    [("a" * 1000, "a" * 1000), (b"b" * 1000, b"b" * 1000), ({"a": 1}, '{"a": 1}'),
     (PreparedMessage("c"), "c")],
)  # fmt: skip
async def test_a_broadcast(
    serve: Serve, notes: Notes, message: Any, received: str | bytes, monkeypatch: Any
) -> None:
    """To each in its own compression, which is done once for each of them."""
    compressed: list[int] = []
    compress_all = prepared.compress_all

    def counting(*args: Any) -> bytes:
        compressed.append(1)
        return compress_all(*args)

    monkeypatch.setattr(prepared, "compress_all", counting)
    talk = await serve([("/", Listening, {"notes": notes})])
    clients = [
        await talk.connect(f"/{query}", compression="deflate")
        for query in ("", "?deflate=1", "?deflate=1", "?deflate=9") * 2
    ]
    handlers = list(notes)
    for _ in range(2):
        assert broadcast(handlers, message) == 8
        for client in clients:
            assert await client.recv() == received
    assert len(compressed) == (4 if len(received) == 1000 else 0)
    assert websocket.broadcast is broadcast


async def test_who_is_closed_is_passed_over(serve: Serve, notes: Notes) -> None:
    talk = await serve([("/", Pushing, {"notes": notes})])
    raws = [await talk.raw() for _ in range(4)]
    handlers = list(notes)
    handlers[0].close()
    handlers[1].ws_connection.close()
    raws[2].close()
    await notes.has(("closed", None, None))
    assert broadcast(iter(handlers), "a") == 1
    assert await raws[3].message() == "a"


async def test_one_slow_reader_delays_nobody(serve: Serve, notes: Notes) -> None:
    talk = await serve([("/", Pushing, {"notes": notes, "max_unsent_bytes": 1_000_000})])
    slow, *others = [await talk.raw() for _ in range(4)]
    slow.stop_reading()
    handlers = list(notes)
    counts = set()
    async with asyncio.timeout(PATIENCE):
        for n in range(200):
            counts.add(broadcast(handlers, f"{n} {MESSAGE}"))
            for raw in others:
                assert await raw.message() == f"{n} {MESSAGE}"
    assert counts == {4, 3}
    assert handlers[0].ws_connection.is_closing()
    await until(lambda: not handlers[1].ws_connection.stream.blocked)
