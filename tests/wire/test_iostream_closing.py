"""IOStream over real sockets: how a stream is closed, and who hears of it."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from typing import Any

import pytest
from servers import Servers
from streams import OURS, Calls, Streams, fails
from support import soon, until

from tornadoish.iostream import StreamClosedError
from tornadoish.iostream.outgoing import Progress


async def _close(stream: Any, peer: Any) -> None:
    stream.close()
    stream.close()


async def _peer_closes(stream: Any, peer: Any) -> None:
    peer.close()


async def _peer_resets(stream: Any, peer: Any) -> None:
    peer.reset()


async def _close_in_a_read(stream: Any, peer: Any) -> None:
    read = stream.read_bytes(1)
    stream.close()
    with pytest.raises(OSError):
        await read


async def _peer_closes_in_a_read(stream: Any, peer: Any) -> None:
    read = stream.read_until(b"x")
    peer.close()
    with pytest.raises(OSError):
        await read
    stream.close()


async def _too_much(stream: Any, peer: Any) -> None:
    read = stream.read_until(b"x", max_bytes=2)
    await peer.send(b"aaa")
    with pytest.raises(OSError):
        await read


async def _closed_with_unsent(stream: Any, peer: Any) -> None:
    stream.write(bytes(4 << 20))
    stream.close()
    peer.close()


WAYS = [_close, _peer_closes, _peer_resets, _close_in_a_read, _peer_closes_in_a_read, _too_much,
        _closed_with_unsent]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__[1:] for way in WAYS])
@pytest.mark.parametrize("open_first", [False, True])
async def test_the_close_callback_is_called_once(
    streams: Streams, way: Any, open_first: bool
) -> None:
    stream, peer = streams.pair(small=True)
    if open_first or way in (_peer_closes, _peer_resets):
        await soon(stream.write(b"-"))
    closed = Calls()
    stream.set_close_callback(closed)
    await soon(way(stream, peer))
    await until(lambda: closed.count)
    stream.close()
    assert stream.closed()
    for _ in range(5):
        await asyncio.sleep(0)
    assert closed.count == 1
    if streams.library.is_ours:
        await is_called_late(stream)


async def is_called_late(stream: Any) -> None:
    late = Calls()
    stream.set_close_callback(late)
    assert late.count == 0, "soon, but not from within"
    await until(lambda: late.count)


async def test_a_close_callback_can_be_taken_back(streams: Streams) -> None:
    stream, _ = streams.pair()
    await soon(stream.write(b"-"))
    closed, other = Calls(), Calls()
    stream.set_close_callback(closed)
    stream.set_close_callback(None)
    stream.set_close_callback(other)
    stream.close()
    await until(lambda: other.count)
    assert closed.count == 0


@OURS
async def test_a_close_callback_that_raises_is_logged(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    stream, peer = streams.pair()
    await soon(stream.write(b"-"))
    stream.set_close_callback(lambda: 1 // 0)
    peer.close()
    await until(stream.closed)
    assert "ZeroDivisionError" in caplog.text
    assert caplog.records[0].name == "tornado.application"


@pytest.mark.parametrize("open_first", [False, True])
async def test_close_with_an_error(streams: Streams, open_first: bool) -> None:
    stream, _ = streams.pair()
    if open_first:
        await soon(stream.write(b"-"))
    read = stream.read_bytes(1)
    try:
        raise ValueError("why")
    except ValueError as error:
        reason = error
        stream.close(exc_info=True)
    assert stream.error is reason
    failure: Any = await fails(streams, read)
    assert failure.real_error is reason
    stream.close(KeyError())
    assert stream.error is reason, "the first one counts"


@pytest.mark.parametrize("tuple_", [False, True])
async def test_close_with_an_error_that_is_given(streams: Streams, tuple_: bool) -> None:
    stream, _ = streams.pair()
    await soon(stream.write(b"-"))
    reason = ValueError("why")
    stream.close((ValueError, reason, None) if tuple_ else reason)
    assert stream.error is reason


async def test_close_without_an_error(streams: Streams) -> None:
    stream, peer = streams.pair()
    assert not stream.closed()
    await soon(stream.write(b"-"))
    stream.close()
    assert stream.closed() and stream.error is None
    assert await peer.rest() == b"-"


@OURS
async def test_close_sends_what_was_written(streams: Streams) -> None:
    """Tornado drops what the system has not taken yet."""
    stream, peer = streams.pair(small=True)
    await soon(stream.write(b"-"))
    await peer.take(1)
    stream.write(b"x" * (1 << 20))
    stream.close()
    assert stream.closed()
    assert len(await peer.rest()) == 1 << 20
    await until(lambda: stream.fileno() == -1)


@OURS
async def test_abort_drops_what_was_written(streams: Streams) -> None:
    stream, peer = streams.pair(small=True)
    await soon(stream.write(b"-"))
    stream.write(b"x" * (8 << 20))
    stream.abort()
    await until(lambda: stream.fileno() == -1)
    assert len(await peer.rest()) < 8 << 20


@OURS
async def test_close_does_not_wait_for_ever_for_a_peer_that_does_not_read(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornadoish.iostream.base.CLOSE_SECONDS", 0.02)
    stream, _ = streams.pair(small=True)
    await soon(stream.write(b"-"))
    closed = Calls()
    stream.set_close_callback(closed)
    stream.write(b"x" * (8 << 20))
    stream.close()
    await until(lambda: closed.count)
    assert stream.fileno() == -1


@OURS
async def test_a_peer_that_sends_no_more_and_does_not_read_cannot_hold_the_stream(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornadoish.iostream.base.CLOSE_SECONDS", 0.02)
    stream, peer = await streams.open_pair(small=True)
    stream.write(b"x" * (8 << 20))
    peer.sock.shutdown(socket.SHUT_WR)
    await until(stream.closed)
    await until(lambda: stream.fileno() == -1)
    assert len(await peer.rest()) < 8 << 20


@OURS
async def test_a_closed_stream_stays_as_long_as_the_peer_takes_something(streams: Streams) -> None:
    stream, peer = await streams.open_pair(small=True)
    transport = stream._transport
    stream.write(bytes(4 << 20))
    stream.close()
    got = 0
    while transport.get_write_buffer_size() > 1 << 20:
        progress = Progress(transport)
        while progress.taken() == 0:
            got += len(await peer.take(4096))
        stream.write_deadline_passed()  # what the clock does
    assert len(await peer.rest()) + got == 4 << 20


@OURS
async def test_a_closed_stream_is_freed_without_the_collector(streams: Streams) -> None:
    stream, peer = streams.pair()
    streams._streams.clear()
    await soon(stream.write(b"-"))
    read = stream.read_bytes(1)
    peer.close()
    with pytest.raises(OSError):
        await soon(read)
    await until(lambda: stream.fileno() == -1)  # noqa: F821 - deleted below
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(stream)
        del stream, read
        for _ in range(3):
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("library", ["tornadoish"], indirect=True)
async def test_writes_behind_one_that_failed_are_not_tried(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio logs each of them, from the fifth on, until the loop says that it is lost."""
    server = servers.listening()
    peer = await servers.connect(server)
    await until(lambda: servers.streams)
    stream = servers.streams[0]
    peer.reset()
    futures = [stream.write(b"x" * 100) for _ in range(20)]
    with pytest.raises(StreamClosedError):
        await soon(futures[-1])
    assert stream.closed()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_the_close_callback_of_a_stream_that_nobody_uses(streams: Streams) -> None:
    stream, peer = streams.pair()
    closed = asyncio.Event()
    stream.set_close_callback(closed.set)
    peer.close()
    await soon(closed.wait())
    assert stream.closed()
