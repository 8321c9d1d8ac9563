"""How connections are looked after: pings, closing in time, faults, the server's end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import socket
import ssl
from typing import Any

import pytest
from support import FakeClock, settled
from web.serving import PATIENCE, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tornadoish.http1connection import HTTP1ServerConnection
from tornadoish.http1connection.keeper import ConnectionState
from tornadoish.web import OutputTransform
from tornadoish.websocket import WebSocketHandler

from .ours import framework  # noqa: F401 - a fixture
from .talking import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Notes,
    Raw,
    Serve,
    close_frame,
    frame,
)


class Noting(WebSocketHandler):
    """Writes down what happens to it."""

    def initialize(self, notes: Notes, **attributes: Any) -> None:
        self.notes = notes
        for name, value in attributes.items():
            setattr(self, name, value)

    def open(self) -> None:
        self.notes(self)

    def on_message(self, message: str | bytes) -> None:
        self.notes(message)

    def on_pong(self, data: bytes) -> None:
        self.notes(("pong", data))

    def on_close(self) -> None:
        self.notes(("closed", self.close_code, self.close_reason))


async def opened(serve: Serve, notes: Notes, clock: FakeClock, **options: Any) -> tuple[Raw, Any]:
    talk = await serve([("/", Noting, {"notes": notes})], clock=clock, **options)
    raw = await talk.raw()
    return raw, notes.pop(0)


async def pinged(raw: Raw, clock: FakeClock, seconds: float) -> bool:
    """Whether a ping comes when so much time passes."""
    clock.passes(seconds)
    await settled()
    has_come = bool(raw.reader._buffer)  # type: ignore[attr-defined]  # what nobody has read
    if has_come:
        assert await raw.frame() == (0x80 | PING, b"")
    return has_come


# ---- Pings -----------------------------------------------------------------------------------


async def test_pings(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    raw, _ = await opened(serve, notes, clock, websocket_ping_interval=30)
    assert not await pinged(raw, clock, 14)
    assert await pinged(raw, clock, 20)
    for _ in range(3):
        raw.frames(frame(PONG))
        await notes.has(("pong", b""))
        notes.clear()
        assert not await pinged(raw, clock, 29)
        assert await pinged(raw, clock, 3)


async def test_pings_go_on_behind_a_shorter_time_out(
    serve: Serve, notes: Notes, clock: FakeClock
) -> None:
    raw, _ = await opened(
        serve, notes, clock, websocket_ping_interval=30, websocket_ping_timeout=10
    )
    assert await pinged(raw, clock, 32)
    for _ in range(3):
        raw.frames(frame(PONG))
        await notes.has(("pong", b""))
        notes.clear()
        assert not await pinged(raw, clock, 12)
        assert not await pinged(raw, clock, 18)
        assert await pinged(raw, clock, 4)


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 30), (10, 10), (100, 30)])
async def test_a_silent_peer(
    serve: Serve, notes: Notes, clock: FakeClock, timeout: float | None, seconds: float
) -> None:
    raw, _ = await opened(
        serve, notes, clock, websocket_ping_interval=30, websocket_ping_timeout=timeout
    )
    raw.text("a")
    await notes.has("a")
    notes.clear()
    assert await pinged(raw, clock, 40)
    clock.passes(seconds)
    await settled()
    assert notes == []
    clock.passes(3)
    assert await raw.frame() == (0x80 | CLOSE, (1011).to_bytes(2, "big") + b"Ping timed out")
    clock.passes(7)  # it does not answer that either
    await notes.has(("closed", 1011, "Ping timed out"))
    assert await raw.ended()


async def test_nobody_looks(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    raw, _ = await opened(serve, notes, clock, websocket_ping_interval=30, websocket_ping_timeout=0)
    assert await pinged(raw, clock, 32)
    for _ in range(5):
        assert await pinged(raw, clock, 32)
    assert notes == []


async def test_any_byte_is_a_sign_of_life(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    """Who is in the middle of a large frame cannot answer."""
    raw, _ = await opened(serve, notes, clock, websocket_ping_interval=30)
    assert await pinged(raw, clock, 32)
    message = frame(TEXT, "x" * 100)
    for byte in message[:5]:
        raw.frames(bytes([byte]))
        await settled()
        assert await pinged(raw, clock, 32)
    raw.frames(message[5:])
    await notes.has("x" * 100)


async def test_who_is_not_read_is_not_silent(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    class Busy(Noting):
        async def on_message(self, message: str | bytes) -> None:
            notes("begin")
            await event.wait()

    event = asyncio.Event()
    talk = await serve([("/", Busy, {"notes": notes})], clock=clock, websocket_ping_interval=30)
    raw = await talk.raw()
    handler = notes.pop(0)
    raw.frames(frame(BINARY, b"x" * 50000), frame(BINARY, b"x" * 50000))
    await notes.has("begin")
    await until(lambda: handler.ws_connection.stream.paused)
    for _ in range(5):
        clock.passes(32)
    assert not handler.ws_connection.is_closing()
    event.set()
    await until(lambda: len(notes) == 2)


async def test_who_is_behind_is_not_silent(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    """Nor do pings pile up behind what waits for him."""

    class Patient(Noting):
        send_timeout = None

    talk = await serve([("/", Patient, {"notes": notes})], clock=clock, websocket_ping_interval=30)
    raw = await talk.raw()
    handler = notes.pop(0)
    assert await pinged(raw, clock, 32)
    raw.stop_reading()
    count = 0
    while not handler.ws_connection.stream.blocked:
        handler.write_message("x" * 50000)
        count += 1
        await settled()
    for _ in range(5):
        clock.passes(32)
    assert not handler.ws_connection.is_closing()
    for _ in range(count):
        assert await raw.message() == "x" * 50000
    assert not await pinged(raw, clock, 0)
    assert await pinged(raw, clock, 32)


async def test_short_intervals_make_the_clock_faster(
    serve: Serve, notes: Notes, clock: FakeClock
) -> None:
    await opened(serve, notes, clock, websocket_ping_interval=2)
    assert clock.deadlines.interval == 0.5


async def test_without_pings_the_system_looks(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    _, handler = await opened(serve, notes, clock)
    sock = handler.ws_connection.stream.socket
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    clock.passes(10_000)
    await settled()
    assert notes == []


async def test_a_hundred_connections_have_no_tasks(serve: Serve, notes: Notes) -> None:
    talk = await serve([("/", Noting, {"notes": notes})], websocket_ping_interval=30)
    raws = await asyncio.gather(*[talk.raw() for _ in range(100)])
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(raws) == len(notes) == 100


async def test_what_belongs_to_the_answer_goes_with_it(serve: Serve, notes: Notes) -> None:
    """A WebSocket lives long; the connection of HTTP that it was does not."""

    def connections() -> int:  # counted, for there are no weak references to what is compiled
        gc.collect()
        return sum(issubclass(type(one), HTTP1ServerConnection) for one in gc.get_objects())

    class Looking(Noting):
        def prepare(self) -> None:
            seen.append(connections())

    seen = [connections()]
    raw = await (await serve([("/", Looking, {"notes": notes})])).raw()
    assert seen[1] > seen[0]
    assert connections() == seen[0]
    assert not notes[0]._headers
    raw.text("a")
    await notes.has("a")


# ---- Closing ---------------------------------------------------------------------------------


async def test_a_peer_that_never_closes(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    raw, handler = await opened(serve, notes, clock)
    connection = handler.ws_connection
    handler.close(4000)
    raw.text("a", "b")
    assert await raw.close_code() == 4000
    clock.passes(5)
    await settled()
    assert not connection.stream.closed()
    clock.passes(2)
    assert await raw.ended()
    await notes.has(("closed", None, None))
    assert len(notes) == 1


async def test_transforms_are_for_answers(serve: Serve, notes: Notes) -> None:
    class Adding(OutputTransform):
        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> tuple[int, Any, bytes]:
            return status_code, headers, chunk + b"added"

    talk = await serve([("/", Noting, {"notes": notes})], transforms=[Adding])
    raw = await talk.raw()
    raw.text("a")
    await notes.has("a")


@pytest.mark.parametrize("interval", [None, 30])
async def test_closed_as_it_opens(
    serve: Serve, notes: Notes, clock: FakeClock, interval: float | None
) -> None:
    class Closing(Noting):
        def open(self) -> None:
            self.notes(self.ws_connection)
            self.close(4000)

    talk = await serve(
        [("/", Closing, {"notes": notes})], clock=clock, websocket_ping_interval=interval
    )
    raw = await talk.raw(behind=frame(TEXT, "early"))
    assert await raw.close_code() == 4000
    clock.passes(7)
    await notes.has(("closed", None, None))
    assert await raw.ended()
    assert len(notes) == 2


async def test_a_slow_reader_gets_all_that_came_before(
    serve: Serve, notes: Notes, clock: FakeClock
) -> None:
    raw, handler = await opened(serve, notes, clock)
    connection, count = handler.ws_connection, 0
    while not connection.stream.blocked:
        handler.write_message("x" * 50000)
        count += 1
    handler.close(4000)
    clock.passes(7)
    clock.passes(7)
    for _ in range(count):
        assert await raw.message() == "x" * 50000
    assert await raw.close_code() == 4000
    raw.frames(close_frame(4000))
    await notes.has(("closed", 4000, None))


@pytest.mark.parametrize(
    ("code", "reason"), [(1005, None), (1006, ""), (999, "a"), (5000, None), (1000, "x" * 124)]
)
async def test_what_cannot_be_sent(
    serve: Serve, notes: Notes, clock: FakeClock, code: int, reason: str | None
) -> None:
    raw, handler = await opened(serve, notes, clock)
    with pytest.raises(ValueError, match=r"code|reason"):
        handler.close(code, reason)
    handler.close(1000, "x" * 123)
    assert await raw.frame() == (0x88, (1000).to_bytes(2, "big") + b"x" * 123)


# ---- Faults of the peer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, "a", mask=False), 1002),
        (frame(TEXT, "a", rsv=4), 1002),
        (frame(3), 1002),
        (frame(CONTINUATION, "a"), 1002),
        (frame(TEXT, "a", fin=False) + frame(TEXT, "b"), 1002),
        (frame(PING, "x" * 126), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xee"), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (b"\x82\xff\x00\x00\x00\x00\x10\x00\x00\x00", 1009),
    ],
)
async def test_a_fault(
    serve: Serve, notes: Notes, clock: FakeClock, sent: bytes, code: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """It is told which, though it goes on sending, and the log has one line."""
    caplog.set_level(logging.INFO)
    raw, _ = await opened(serve, notes, clock)
    raw.text("before")
    raw.frames(sent)
    raw.text("behind")
    raw.writer.write(b"x" * 1_000_000)
    first, payload = await raw.frame()
    assert first == 0x80 | CLOSE
    assert int.from_bytes(payload[:2], "big") == code
    assert await raw.ended()  # half of it
    await notes.has("before")
    assert notes == ["before", ("closed", code, payload[2:].decode())]
    lines = [r.getMessage() for r in caplog.records if r.name == "tornado.general"]
    assert len(lines) == 1
    assert f"({code})" in lines[0]


async def test_who_sends_on_is_cut(
    serve: Serve, notes: Notes, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However quick he is."""
    monkeypatch.setattr("tornadoish.websocket.lifetime.LINGER_BYTES", 1 << 20)
    raw, _ = await opened(serve, notes, clock)
    raw.frames(frame(TEXT, b"\xff"))
    assert await raw.close_code() == 1007
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while True:
                raw.writer.write(bytes(65536))
                await raw.writer.drain()
                await asyncio.sleep(0)


async def test_who_does_not_stop_is_cut(serve: Serve, notes: Notes, clock: FakeClock) -> None:
    raw, handler = await opened(serve, notes, clock)
    stream = handler.ws_connection.stream
    raw.frames(frame(3))
    assert await raw.close_code() == 1002
    clock.passes(5)
    assert not stream.closed()
    clock.passes(2)
    assert stream.closed()


async def test_over_tls(
    serve: Serve, notes: Notes, clock: FakeClock, certificates: tuple[str, str]
) -> None:
    """Messages, a slow reader, and a fault, whose reason comes before the end."""

    class Echo(Noting):
        async def on_message(self, message: str | bytes) -> None:
            await self.send(message)

    certfile, keyfile = certificates
    talk = await serve(
        [("/", Echo, {"notes": notes})], clock=clock,
        server={"ssl_options": {"certfile": certfile, "keyfile": keyfile}},
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certfile)
    url = f"wss://localhost:{talk.site.port}/"
    client = await connect(url, ssl=context, proxy=None, compression=None, ping_interval=None)
    for message in ("a", b"b" * 300_000):
        await client.send(message)
        assert await client.recv() == message
    client.transport.write(frame(3) + bytes(100_000))
    await until(lambda: len(notes) == 2)
    assert notes[1][:2] == ("closed", 1002)
    await settled(100)
    clock.passes(3)
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(client.recv(), PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1002


# ---- The server's end ------------------------------------------------------------------------


async def test_draining(serve: Serve, notes: Notes) -> None:
    talk = await serve([("/", Noting, {"notes": notes})])
    raws = [await talk.raw() for _ in range(3)]
    handlers = list(notes)
    notes.clear()
    draining = asyncio.ensure_future(talk.server.drain(PATIENCE))
    for raw in raws:
        assert await raw.close_code() == 1001
    assert talk.application.draining.is_set()
    await settled()
    assert not draining.done()
    for raw in raws:
        raw.frames(close_frame(1001))
    assert await draining == 0
    assert notes == [("closed", 1001, None)] * 3
    assert [handler.ws_connection for handler in handlers] == [None] * 3
    assert talk.application.event_streams == set()


async def test_draining_what_is_being_opened(serve: Serve, notes: Notes) -> None:
    class Slowly(Noting):
        async def prepare(self) -> None:
            notes("prepare")
            await event.wait()

    event = asyncio.Event()
    talk = await serve([("/", Slowly, {"notes": notes})])
    opening = asyncio.ensure_future(talk.raw())
    await notes.has("prepare")
    draining = asyncio.ensure_future(talk.server.drain(PATIENCE))
    await talk.application.draining.wait()
    event.set()
    raw = await opening
    assert await raw.close_code() == 1001
    raw.frames(close_frame(1001))
    assert await draining == 0


async def test_a_handler_s_own_way_to_drain(serve: Serve, notes: Notes) -> None:
    class Polite(Noting):
        def prepare(self) -> None:
            name.set("Ann")

        async def on_message(self, message: str | bytes) -> None:
            notes("begin")
            await notes.cancellation()

        def on_drain(self) -> None:
            if self.get_argument("fails", ""):
                raise ZeroDivisionError
            self.write_message(f"bye, {name.get()}")

    name = contextvars.ContextVar("name", default="nobody")
    talk = await serve([("/", Polite, {"notes": notes})])
    raw, fails = await talk.raw(), await talk.raw("/?fails=1")
    raw.text("a")
    await notes.has("begin")
    draining = asyncio.ensure_future(talk.server.drain(0.2))
    assert await raw.message() == "bye, Ann"
    assert await fails.close_code() == 1001
    fails.frames(close_frame(1001))
    assert await draining == 1
    assert await raw.ended()
    assert notes[-2:] == ["cancelled", ("closed", None, None)]


async def test_draining_what_never_ends(serve: Serve, notes: Notes) -> None:
    """Its client has answered the Close, so nobody is left for whom it could work."""

    class Endless(Noting):
        async def open(self) -> None:  # type: ignore[override]
            await notes.cancellation()

    talk = await serve([("/", Endless, {"notes": notes})])
    raw = await talk.raw()
    draining = asyncio.ensure_future(talk.server.drain(PATIENCE))
    assert await raw.close_code() == 1001
    raw.frames(close_frame(1001))
    assert await draining == 0
    await notes.has(("closed", 1001, None))
    assert notes == ["cancelled", ("closed", 1001, None)]


@pytest.mark.parametrize("code", [None, 4000])
async def test_draining_what_was_lost_before(
    serve: Serve, notes: Notes, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its work is for nobody: it is ended, and none is begun."""

    class Endless(Noting):
        async def on_message(self, message: str | bytes) -> None:
            notes(message)
            await notes.cancellation()

    talk = await serve([("/", Endless, {"notes": notes})])
    raw = await talk.raw()
    connection = notes.pop().ws_connection
    raw.text("a")
    await notes.has("a")
    raw.text("b")
    if code is not None:
        raw.frames(close_frame(code))
    raw.writer.close()
    await until(lambda: connection._lost)
    assert await talk.server.drain(PATIENCE) == 0
    await notes.has(("closed", code, None))
    assert notes == ["a", "cancelled", ("closed", code, None)]
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_the_server_s_hook(serve: Serve, notes: Notes) -> None:
    states: list[ConnectionState] = []
    talk = await serve(
        [("/", Noting, {"notes": notes})],
        server={"connection_hook": lambda connection, state: states.append(state)},
    )
    raw = await talk.raw()
    raw.frames(close_frame(1000))
    await notes.has(("closed", 1000, None))
    await until(lambda: talk.server.connections == 0)
    assert states == [ConnectionState.NEW, ConnectionState.ACTIVE, ConnectionState.DETACHED]


async def test_a_client_that_goes_before_the_answer(
    serve: Serve, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    """``open`` is not called, so neither is ``on_close``."""

    class Slowly(Noting):
        async def prepare(self) -> None:
            notes("prepare")
            connection = self.request.connection
            await until(connection.stream.closed)

        def on_finish(self) -> None:
            notes("finish")

    talk = await serve([("/", Slowly, {"notes": notes})])
    opening = asyncio.ensure_future(talk.raw())
    await notes.has("prepare")
    talk.site.peers[0].close()
    await notes.has("finish")
    assert notes == ["prepare", "finish"]
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await opening
