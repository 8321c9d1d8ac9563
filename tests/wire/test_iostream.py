"""IOStream over real sockets: reading, writing, closing. Where it can be, the same test runs over
Tornado's own IOStream: what differs there is a decision of ours.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import sys
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from streams import Library, Streams
from support import soon, until

OURS = pytest.mark.parametrize("library", ["tornadoish"], indirect=True)


@pytest.fixture(params=["tornadoish", "tornado"])
def library(request: pytest.FixtureRequest) -> Library:
    if request.param == "tornado":
        pytest.importorskip("tornado")
    return Library(request.param)


@pytest.fixture
async def streams(library: Library) -> AsyncIterator[Streams]:
    streams = Streams(library)
    yield streams
    await streams.close()


async def fails(streams: Streams, future: Any) -> BaseException:
    """The StreamClosedError that ``future`` must fail with."""
    with pytest.raises(streams.io.StreamClosedError) as caught:
        await soon(future)
    error: BaseException = caught.value
    return error


# ------------------------------------------------------------------------------ reading


async def test_read_bytes_waits_for_all_of_them(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_bytes(6)
    await peer.send(b"abc")
    assert await soon(stream_has_read(stream, 3)) and not read.done()
    await peer.send(b"defg")
    assert await soon(read) == b"abcdef"
    assert await soon(stream.read_bytes(1)) == b"g"


async def stream_has_read(stream: Any, count: int) -> bool:
    """Wait until a stream has ``count`` bytes in its buffer."""
    buffer = getattr(stream, "buffer", None)  # Tornado: what it holds is private
    await until(lambda: (stream._read_buffer_size if buffer is None else len(buffer)) >= count)
    return True


async def test_read_bytes_partial_takes_what_is_there_and_no_more(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_bytes(4, partial=True)
    await peer.send(b"abc")
    assert await soon(read) == b"abc"
    await peer.send(b"defghi")
    assert await soon(stream.read_bytes(4, partial=True)) == b"defg"
    assert await soon(stream.read_bytes(4, partial=True)) == b"hi"


async def test_no_bytes_are_read_at_once(streams: Streams) -> None:
    stream, peer = streams.pair()
    assert await soon(stream.read_bytes(0)) == b""
    await peer.send(b"x")
    assert await soon(stream.read_bytes(1)) == b"x"
    assert await soon(stream.read_into(bytearray())) == 0


async def test_read_until_finds_a_delimiter_that_comes_in_two_pieces(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_until(b"\r\n\r\n")
    for count, piece in ((4, b"a\r\nb"), (7, b"\r\n\r")):
        await peer.send(piece)
        await stream_has_read(stream, count)
    await peer.send(b"\nrest")
    assert await soon(read) == b"a\r\nb\r\n\r\n"
    assert await soon(stream.read_bytes(4)) == b"rest"


async def test_read_until_regex(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_until_regex(rb"\r?\n\r?\n")
    await peer.send(b"head\n\nbody^x\nend")
    assert await soon(read) == b"head\n\n"
    assert await soon(stream.read_until_regex(rb"^b.*\n")) == b"body^x\n"
    assert await soon(stream.read_until_regex(rb"d")) == b"end"
    with pytest.raises(re.error):
        stream.read_until_regex(b"(")


@pytest.mark.parametrize("read", ["read_until", "read_until_regex"])
@pytest.mark.parametrize("sent", [b"0123456789abc", b"0123456789a\n"])
async def test_more_than_max_bytes_closes_the_stream(
    streams: Streams, read: str, sent: bytes
) -> None:
    stream, peer = streams.pair()
    future = getattr(stream, read)(b"\n", max_bytes=10)
    await peer.send(sent)
    error = await fails(streams, future)
    assert isinstance(error.real_error, streams.io.UnsatisfiableReadError)  # type: ignore[attr-defined]
    assert stream.closed() and stream.error is error.real_error  # type: ignore[attr-defined]
    assert await peer.rest() == b""


@pytest.mark.parametrize("read", ["read_until", "read_until_regex"])
async def test_max_bytes_counts_the_delimiter_and_nothing_behind_it(
    streams: Streams, read: str
) -> None:
    stream, peer = streams.pair()
    await peer.send(b"01234567\r\nfar more than ten bytes")
    assert await soon(getattr(stream, read)(b"\r\n", max_bytes=10)) == b"01234567\r\n"
    assert await soon(stream.read_bytes(3)) == b"far"


@pytest.mark.parametrize("read", ["read_until", "read_until_regex"])
async def test_max_bytes_may_be_more_than_the_buffer(streams: Streams, read: str) -> None:
    stream, peer = streams.pair(max_buffer_size=1000)
    await peer.send(b"short\n")
    assert await soon(getattr(stream, read)(b"\n", max_bytes=1_000_000)) == b"short\n"


async def test_read_into(streams: Streams) -> None:
    stream, peer = streams.pair()
    target = bytearray(b"-" * 8)
    read = stream.read_into(memoryview(target)[2:7])
    await peer.send(b"abc")
    await peer.send(b"defg")
    assert await soon(read) == 5
    assert target == b"--abcde-"
    target = bytearray(10)
    assert await soon(stream.read_into(target, partial=True)) == 2
    assert target.startswith(b"fg\0")
    target.clear()  # nobody holds a view of it any more
    read = stream.read_into(memoryview(bytearray(6)).cast("H"), partial=True)
    await peer.send(b"x")
    assert await soon(read) == 1


async def test_read_into_what_was_there_and_what_comes(streams: Streams) -> None:
    stream, peer = streams.pair()
    await peer.send(b"1\nabc")
    assert await soon(stream.read_until(b"\n")) == b"1\n"
    target = bytearray(6)
    read = stream.read_into(target)
    await peer.send(b"defghi")
    assert (await soon(read), bytes(target)) == (6, b"abcdef")
    assert await soon(stream.read_bytes(3)) == b"ghi"


async def test_read_into_a_large_buffer_keeps_nothing_in_the_stream(streams: Streams) -> None:
    size = 32 << 20  # more than max_buffer_size
    # Tornado takes its own limit for the caller's buffer too.
    stream, peer = streams.pair(max_buffer_size=1 << 20 if streams.library.is_ours else None)
    block = bytes(range(256)) * (1 << 10)
    target = bytearray(size)
    read = stream.read_into(memoryview(target))
    sending = asyncio.ensure_future(peer.send(block * (size // len(block))))
    assert await soon(read) == size
    await sending
    assert target == block * (size // len(block))


async def test_read_until_close(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_until_close()
    await peer.send(b"abc" * 100_000)
    assert not read.done()
    peer.close()
    assert await soon(read) == b"abc" * 100_000
    assert stream.closed()
    assert await soon(stream.read_until_close()) == b""


async def test_read_until_close_ends_with_our_own_close_too(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_until_close()
    await peer.send(b"abc")
    await stream_has_read(stream, 3)
    stream.close()
    assert await soon(read) == b"abc"


async def test_one_read_at_a_time(streams: Streams) -> None:
    stream, peer = streams.pair()
    first = stream.read_bytes(3)
    if streams.library.is_ours or __debug__:  # Tornado relies on assert statements
        with pytest.raises(AssertionError, match="Already reading"):
            stream.read_until(b"x")
    await peer.send(b"abc")
    assert await soon(first) == b"abc"


async def test_reading_says_whether_a_read_waits(streams: Streams) -> None:
    stream, peer = streams.pair()
    assert not stream.reading()
    read = stream.read_bytes(1)
    assert stream.reading()
    await peer.send(b"x")
    await soon(read)
    assert not stream.reading()


@OURS
async def test_a_cancelled_read_loses_no_bytes(streams: Streams) -> None:
    """Tornado keeps the dead read: the next one fails, and the bytes go nowhere."""
    stream, peer = streams.pair()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.read_bytes(4), 0.01)
    assert not stream.reading()
    await peer.send(b"abcdef")
    assert await soon(stream.read_bytes(4)) == b"abcd"
    read = asyncio.ensure_future(stream.read_until(b"\n"))
    await peer.send(b"g")
    await stream_has_read(stream, 3)
    read.cancel()
    await peer.send(b"h\n")  # comes while nobody reads
    await stream_has_read(stream, 5)
    assert await soon(stream.read_until(b"\n")) == b"efgh\n"


# ------------------------------------------------------------------------------ the peer's end


async def test_what_came_before_the_end_can_still_be_read(streams: Streams) -> None:
    stream, peer = streams.pair()
    await peer.send(b"one\ntwo\nhalf")
    peer.close()
    assert await soon(stream.read_until(b"\n")) == b"one\n"
    await until(stream.closed) if streams.library.is_ours else None
    assert await soon(stream.read_until_regex(b"\n")) == b"two\n"
    assert await soon(stream.read_bytes(2)) == b"ha"
    target = bytearray(2)
    assert await soon(stream.read_into(target)) == 2
    await fails_to_read(streams, stream)


async def fails_to_read(streams: Streams, stream: Any) -> None:
    """A read fails, at once or through its future."""
    with pytest.raises(streams.io.StreamClosedError):
        await soon(stream.read_bytes(1))


async def test_a_waiting_read_fails_when_the_peer_closes(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_bytes(10)
    await peer.send(b"abc")
    await stream_has_read(stream, 3)
    peer.close()
    error: Any = await fails(streams, read)
    assert error.real_error is None, "nothing went wrong: the peer has ended"
    assert isinstance(error, OSError)
    assert not stream.reading()
    await until(stream.closed)
    assert stream.error is None


async def test_a_waiting_read_says_what_broke_the_connection(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_bytes(10)
    await peer.send(b"a")
    await stream_has_read(stream, 1)
    peer.reset()
    error: Any = await fails(streams, read)
    assert isinstance(error.real_error, ConnectionResetError)
    assert stream.error is error.real_error


# ------------------------------------------------------------------------------ bounds


@pytest.mark.parametrize("read", ["read_until", "read_until_close"])
async def test_a_read_may_not_make_the_stream_hold_more(streams: Streams, read: str) -> None:
    stream, peer = streams.pair(max_buffer_size=10_000)
    future = stream.read_until(b"\n") if read == "read_until" else stream.read_until_close()
    sending = asyncio.ensure_future(peer.send(b"x" * (8 << 20)))
    error: Any = await fails(streams, future)
    assert isinstance(error.real_error, streams.io.StreamBufferFullError)
    assert stream.closed()
    with pytest.raises(OSError):
        await sending


async def test_read_until_close_may_fill_the_buffer_to_the_brim(streams: Streams) -> None:
    stream, peer = streams.pair(max_buffer_size=10_000)
    await peer.send(b"x" * 10_000)
    read = stream.read_until_close()
    await stream_has_read(stream, 10_000)
    peer.close()
    assert await soon(read) == b"x" * 10_000


@OURS
async def test_read_bytes_of_more_than_may_be_held_fails_at_once(streams: Streams) -> None:
    stream, _ = streams.pair(max_buffer_size=10_000)
    error: Any = await fails(streams, stream.read_bytes(10_001))
    assert isinstance(error.real_error, streams.io.StreamBufferFullError)


@pytest.mark.parametrize("begun", [False, True])
@OURS
async def test_what_a_peer_sends_to_nobody_is_not_hoarded(streams: Streams, begun: bool) -> None:
    """``begun``: the stream has been read from, and now nobody does."""
    total = 50 << 20
    stream, peer = streams.pair()
    stream.write(b"!")
    await peer.take(1)
    if begun:
        await peer.send(b"x")
        await soon(stream.read_bytes(1))
    sending = asyncio.ensure_future(peer.send(bytes(total)))
    await until(lambda: stream.paused)
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < len(stream.buffer) <= (64 << 10) + (256 << 10), "one read on top of a chunk"
    assert not sending.done(), "the system's buffers are full, and the peer feels it"
    # Whoever reads now gets all of it, and the stream never holds much.
    got = most = 0
    while got < total:
        got += len(await soon(stream.read_bytes(1 << 20, partial=True)))
        most = max(most, len(stream.buffer))
    await sending
    assert got == total
    assert most <= (64 << 10) + (256 << 10)


# ------------------------------------------------------------------------------ writing


async def test_write(streams: Streams) -> None:
    stream, peer = streams.pair()
    for data in (b"ab", bytearray(b"cd"), memoryview(b"ef"), b""):
        assert await soon(stream.write(data)) is None
    assert await peer.take(6) == b"abcdef"
    big = bytes(range(256)) * 40_000
    written = stream.write(memoryview(big))
    assert await peer.take(len(big)) == big
    assert await soon(written) is None
    assert not stream.writing()


async def test_writes_to_a_peer_that_does_not_read_wait(streams: Streams) -> None:
    stream, peer = await streams.open_pair(small=True)
    written = 0
    while (future := stream.write(b"x" * 65536)).done() and written < 100 << 20:
        await future
        written += 65536
    written += 65536
    assert not future.done()
    assert stream.writing()
    if streams.library.is_ours:
        assert stream._transport.get_write_buffer_size() <= (64 << 10) + 65536
    waiting = asyncio.ensure_future(soon(future))
    assert await peer.take(written) == b"x" * written
    assert await waiting is None
    await until(lambda: not stream.writing())


async def test_awaited_writes_never_hoard(streams: Streams) -> None:
    stream, peer = await streams.open_pair(small=True)
    most, total = 0, 4 << 20

    async def produce() -> None:
        nonlocal most
        for _ in range(total // 16384):
            await stream.write(b"x" * 16384)
            if streams.library.is_ours:
                most = max(most, stream._transport.get_write_buffer_size())

    producing = asyncio.ensure_future(produce())
    assert len(await peer.take(total)) == total
    await soon(producing)
    assert most <= (64 << 10) + 16384


async def test_to_cancel_one_who_waits_cancels_nobody_else(streams: Streams) -> None:
    stream, peer = streams.pair(small=True)
    size = 4 << 20
    first, second = stream.write(bytes(size)), stream.write(b"second")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first, 0.01)
    third = stream.write(b"third")
    assert not second.done() and not third.done()
    assert (await peer.take(size + 11))[-11:] == b"secondthird"
    await soon(second)
    await soon(third)
    assert await soon(stream.write(b"")) is None


async def test_max_write_buffer_size(streams: Streams) -> None:
    stream, peer = streams.pair(small=True, max_write_buffer_size=1 << 20)
    with pytest.raises(streams.io.StreamBufferFullError):
        for _ in range(100):
            stream.write(b"x" * (256 << 10))
    assert not stream.closed(), "what was refused was not written, no more"
    taking = asyncio.ensure_future(peer.rest())
    await until(lambda: not stream.writing())
    await soon(stream.write(b"and on"))
    stream.close()
    assert (await taking).endswith(b"xand on")


async def test_writers_who_wait_hear_of_the_end(streams: Streams) -> None:
    stream, peer = await streams.open_pair(small=True)
    futures = [stream.write(bytes(4 << 20)), stream.write(b"more")]
    peer.reset()
    for future in futures:
        error: Any = await fails(streams, future)
        assert isinstance(error.real_error, ConnectionError)
    with pytest.raises(streams.io.StreamClosedError):
        await soon(stream.write(b"x"))


async def test_write_and_read_on_a_closed_stream(streams: Streams) -> None:
    stream, _ = streams.pair()
    stream.close()
    with pytest.raises(streams.io.StreamClosedError):
        stream.write(b"x")
    with pytest.raises(streams.io.StreamClosedError):
        await stream.read_bytes(1)


@OURS
async def test_what_is_corked_is_sent_at_once(streams: Streams) -> None:
    stream, peer = streams.pair()
    await soon(stream.write(b"-"))  # over a transport
    await peer.take(1)
    stream.cork()
    for piece in (b"a", bytearray(b"b"), memoryview(b"c")):
        assert stream.write(piece).done()
    assert stream.writing()
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    stream.flush_cork()
    stream.write(b"d")
    assert await peer.take(3) == b"abc"
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    stream.uncork()
    assert await peer.take(1) == b"d"
    assert not stream.writing()
    stream.write(b"e")
    assert await peer.take(1) == b"e"


@OURS
async def test_a_cork_does_not_hoard(streams: Streams) -> None:
    stream, peer = streams.pair(small=True)
    await soon(stream.write(b"-"))
    stream.cork()
    futures = [stream.write(b"x" * 1024) for _ in range(1024)]
    assert sum(map(len, stream.corked)) <= 64 * 1024
    assert not futures[-1].done(), "whoever waits for it stops writing"
    taking = asyncio.ensure_future(peer.take(1 + (1 << 20)))
    await soon(futures[-1])
    stream.uncork()
    assert len(await taking) == 1 + (1 << 20)


@OURS
async def test_what_is_corked_is_sent_by_close(streams: Streams) -> None:
    stream, peer = streams.pair()
    await soon(stream.write(b"-"))
    stream.cork()
    stream.write(b"last words")
    stream.close()
    assert await peer.rest() == b"-last words"


# ------------------------------------------------------------------------------ closing


class Calls:
    """Counts calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


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
    got, before = 0, transport.get_write_buffer_size()
    while before > 1 << 20:
        while transport.get_write_buffer_size() == before:
            got += len(await peer.take(4096))
        stream._abort_if_stuck(before)  # what the timer does
        before = transport.get_write_buffer_size()
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


# ------------------------------------------------------------------------------ connecting


async def test_connect(streams: Streams) -> None:
    listener = streams.listener()
    stream = streams.keep(streams.io.IOStream(socket.socket()))
    connected = stream.connect(listener.getsockname())
    written = stream.write(b"before")
    peer = await streams.accept(listener)
    assert await soon(connected) is stream
    assert await peer.take(6) == b"before"
    assert await soon(written) is None
    assert await soon(stream.write(b" after")) is None
    assert await peer.take(6) == b" after"
    await peer.send(b"hello")
    assert await soon(stream.read_bytes(5)) == b"hello"
    assert stream.socket.getpeername() == listener.getsockname()


async def test_much_is_written_before_there_is_a_connection(streams: Streams) -> None:
    listener = streams.listener()
    stream = streams.keep(streams.io.IOStream(socket.socket()))
    stream.connect(listener.getsockname())
    futures = [stream.write(bytes([number]) * (1 << 20)) for number in range(5)]
    peer = await streams.accept(listener)
    data = await peer.take(5 << 20)
    assert data == b"".join(bytes([number]) * (1 << 20) for number in range(5))
    for future in futures:
        await soon(future)


async def test_max_write_buffer_size_holds_before_there_is_a_connection(streams: Streams) -> None:
    listener = streams.listener()
    stream = streams.keep(streams.io.IOStream(socket.socket(), max_write_buffer_size=10))
    connected = stream.connect(listener.getsockname())
    stream.write(b"12345678")
    with pytest.raises(streams.io.StreamBufferFullError):
        stream.write(b"abc")
    await soon(connected)
    peer = await streams.accept(listener)
    stream.write(b"9")
    assert await peer.take(9) == b"123456789"


async def test_connection_refused(streams: Streams) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    stream = streams.keep(streams.io.IOStream(socket.socket()))
    closed = Calls()
    stream.set_close_callback(closed)
    future = stream.connect(address)
    written = stream.write(b"lost")
    error: Any = await fails(streams, future)
    assert isinstance(error.real_error, ConnectionRefusedError)
    assert stream.closed() and stream.error is error.real_error
    await fails(streams, written)
    await until(lambda: closed.count)
    assert closed.count == 1


@OURS
@pytest.mark.parametrize("address", [("127.0.0.1", 70000), ("127.0.0.1",), 5])
async def test_an_address_that_is_none_fails_and_does_not_hang(
    streams: Streams, address: Any
) -> None:
    sock = socket.socket()
    stream = streams.keep(streams.io.IOStream(sock))
    error: Any = await fails(streams, stream.connect(address))
    assert isinstance(error.real_error, (TypeError, ValueError, OverflowError, OSError))
    assert stream.closed() and sock.fileno() == -1


@OURS
@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 4])
async def test_close_while_connecting(streams: Streams, ticks: int) -> None:
    listener = streams.listener()
    sock = socket.socket()
    stream = streams.keep(streams.io.IOStream(sock))
    closed = Calls()
    stream.set_close_callback(closed)
    future = stream.connect(listener.getsockname())
    future.add_done_callback(lambda done: done.exception())
    for _ in range(ticks):
        await asyncio.sleep(0)
    stream.close()
    await until(lambda: sock.fileno() == -1 and closed.count)
    await until(future.done)
    assert closed.count == 1
    # The descriptor's number is free for others, and the loop knows it.
    again, peer = streams.pair()
    await soon(again.write(b"x"))
    assert await peer.take(1) == b"x"


async def test_a_stream_over_a_connected_socket_opens_when_it_is_used(streams: Streams) -> None:
    stream, peer = streams.pair()
    assert stream.socket.fileno() > 0
    assert not stream.closed() and not stream.reading() and not stream.writing()
    await peer.send(b"x")
    assert await soon(stream.read_bytes(1)) == b"x"
    assert stream.socket.fileno() > 0
    if streams.library.is_ours:  # Tornado gives the socket itself
        assert stream.fileno() == stream.socket.fileno()


async def test_a_stream_that_is_never_used_closes_its_socket(streams: Streams) -> None:
    stream, peer = streams.pair()
    stream.close()
    assert stream.closed()
    assert await peer.rest() == b""


async def test_a_unix_socket(streams: Streams) -> None:
    ours, theirs = socket.socketpair()
    streams.at_end(theirs.close)
    theirs.settimeout(5)
    stream = streams.keep(streams.io.IOStream(ours))
    stream.set_nodelay(True)
    await soon(stream.write(b"x"))
    stream.set_nodelay(True)
    assert theirs.recv(10) == b"x"
    theirs.send(b"abc")
    assert await soon(stream.read_bytes(3)) == b"abc"


async def test_set_nodelay(streams: Streams) -> None:
    stream, _ = streams.pair()
    for opened in (False, True):
        if opened:
            await soon(stream.write(b"-"))
        for value in (True, False):
            stream.set_nodelay(value)
            option = stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert bool(option) is value
    stream.close()
    await until(lambda: stream.socket is None)
    stream.set_nodelay(True)


# ------------------------------------------------------------------------------ deadlines


class Receiver:
    """Takes what a stream gives it, as long as it is told to."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.taking = True
        self.events: list[str] = []
        self.received = b""
        self.fault: Exception | None = None

    def bytes_arrived(self) -> bool:
        if self.fault is not None:
            raise self.fault
        if self.taking:
            self.received += self.stream.buffer.take(1 << 30)
        return self.taking

    def end_of_input(self) -> None:
        self.events.append("end")

    def stream_closed(self) -> None:
        self.events.append("closed")

    def deadline_passed(self) -> None:
        self.events.append("deadline")
        if self.fault is not None:
            raise self.fault


async def pushed(streams: Streams, **options: Any) -> tuple[Any, Any, Receiver]:
    """An open stream with a receiver."""
    stream, peer = streams.pair(**options)
    await soon(stream.write(b"-"))
    await peer.take(1)
    receiver = Receiver(stream)
    stream.set_receiver(receiver)
    return stream, peer, receiver


@OURS
async def test_a_deadline_by_a_clock_of_ours(streams: Streams) -> None:
    now = 100.0
    clock = streams.io.DeadlineClock(interval=2.0, time=lambda: now)
    stream, _, receiver = await pushed(streams)
    other, _, other_receiver = await pushed(streams)
    stream.watch(clock)
    other.watch(clock)
    assert len(clock) == 2 and clock.now == now
    clock.sweep(110.0)
    stream.set_deadline(5)
    clock.sweep(110.0 + 1.9 + 5)  # it may have been set just before the next look at the time
    assert receiver.events == [], "never early"
    clock.sweep(110.0 + 5 + 2 * 2.0)
    assert receiver.events == ["deadline"], "late by two intervals at most"
    clock.sweep(1e9)
    assert receiver.events == ["deadline"] and other_receiver.events == []
    stream.set_deadline(1)
    stream.set_deadline(None)
    clock.sweep(2e9)
    assert receiver.events == ["deadline"]
    stream.set_deadline(0)
    clock.sweep(clock.now + 2.0)
    assert receiver.events == ["deadline"] * 2
    stream.abort()
    await until(lambda: len(clock) == 1)
    other.close()
    await until(lambda: len(clock) == 0)


@OURS
async def test_a_deadline_that_is_set_without_a_clock_comes(streams: Streams) -> None:
    stream, _, receiver = await pushed(streams)
    begin = time.monotonic()
    stream.set_deadline(0.05)
    await until(lambda: receiver.events)
    assert time.monotonic() - begin >= 0.05
    assert receiver.events == ["deadline"]
    clock = stream.clock
    stream.abort()
    await until(lambda: len(clock) == 0)
    assert clock._timer is None, "nothing ticks for nobody"
    stream.set_deadline(5)
    assert len(clock) == 0


@OURS
async def test_a_closed_stream_gets_no_clock(streams: Streams) -> None:
    stream, _ = streams.pair()
    stream.close()
    stream.set_deadline(5)
    assert stream.clock is None or (len(stream.clock) == 0 and stream.clock._timer is None)


@OURS
async def test_one_receiver_that_raises_does_not_stop_the_clock(streams: Streams) -> None:
    clock = streams.io.DeadlineClock(interval=0.01)
    stream, _, receiver = await pushed(streams)
    other, _, other_receiver = await pushed(streams)
    stream.watch(clock)
    other.watch(clock)
    receiver.fault = ValueError("a fault")
    stream.set_deadline(0)
    other.set_deadline(0.05)
    await until(lambda: other_receiver.events)
    assert receiver.events == ["deadline"]
    assert [context["exception"] for context in streams.unheard] == [receiver.fault]
    streams.unheard.clear()


# ------------------------------------------------------------------------------ pushing


@OURS
async def test_bytes_are_pushed_and_the_end_is_told(streams: Streams) -> None:
    _, peer, receiver = await pushed(streams)
    await peer.send(b"abc")
    await until(lambda: receiver.received)
    await peer.send(b"def")
    await until(lambda: receiver.received == b"abcdef")
    peer.close()
    await until(lambda: "closed" in receiver.events)
    assert receiver.events == ["end", "closed"]


@OURS
async def test_a_receiver_that_takes_no_more_pauses_the_peer(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    receiver.taking = False
    total = 20 << 20
    sending = asyncio.ensure_future(peer.send(bytes(total)))
    await until(lambda: stream.paused)
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < len(stream.buffer) <= 256 << 10, "one read"
    assert not sending.done()
    receiver.taking = True
    receiver.bytes_arrived()
    stream.resume_reading()
    await until(lambda: len(receiver.received) == total)
    await sending


@OURS
async def test_from_push_to_pull_with_bytes_that_nobody_took(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    receiver.taking = False
    await peer.send(b"one\ntw")
    await until(lambda: stream.paused)
    stream.set_receiver(None)
    assert await soon(stream.read_until(b"\n")) == b"one\n"
    read = stream.read_until(b"\n")
    assert not stream.paused
    await peer.send(b"o\nrest")
    assert await soon(read) == b"two\n"
    other = Receiver(stream)
    stream.set_receiver(other)
    assert other.received == b"", "what is there already is not announced"
    await peer.send(b"!")
    await until(lambda: other.received == b"rest!")


@OURS
async def test_a_receiver_that_raises_closes_its_stream(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    closed = Calls()
    stream.set_close_callback(closed)
    receiver.fault = ValueError("a fault")
    await peer.send(b"x")
    await until(lambda: closed.count)
    assert receiver.events == ["closed"] and closed.count == 1
    assert stream.error is receiver.fault
    assert await peer.rest() == b""
    assert [context["exception"] for context in streams.unheard] == [receiver.fault]
    streams.unheard.clear()


@OURS
async def test_a_receiver_is_let_go_of(streams: Streams) -> None:
    stream, _, receiver = await pushed(streams)
    held = sys.getrefcount(receiver)
    stream.abort()
    await until(lambda: "closed" in receiver.events)
    assert sys.getrefcount(receiver) < held
    assert receiver.events == ["closed"]
