"""IOStream over real sockets: reading, up to the peer's end, and within bounds.

Where it can be, the same test runs over Tornado's own IOStream, here and in the other tests of
streams: what differs there is a decision of ours.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from streams import OURS, Peer, Streams, fails, stream_has_read
from support import soon, until


async def test_read_bytes_waits_for_all_of_them(streams: Streams) -> None:
    stream, peer = streams.pair()
    read = stream.read_bytes(6)
    await peer.send(b"abc")
    assert await soon(stream_has_read(stream, 3)) and not read.done()
    await peer.send(b"defg")
    assert await soon(read) == b"abcdef"
    assert await soon(stream.read_bytes(1)) == b"g"


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


async def waiting_read(streams: Streams) -> tuple[Any, Peer, Any]:
    """A stream, its peer, and a read for which too little has come."""
    stream, peer = streams.pair()
    read = stream.read_bytes(10)
    await peer.send(b"abc")
    await stream_has_read(stream, 3)
    return stream, peer, read


async def test_a_waiting_read_fails_when_the_peer_closes(streams: Streams) -> None:
    stream, peer, read = await waiting_read(streams)
    peer.close()
    error: Any = await fails(streams, read)
    assert error.real_error is None, "nothing went wrong: the peer has ended"
    assert isinstance(error, OSError)
    assert not stream.reading()
    await until(stream.closed)
    assert stream.error is None


async def test_a_waiting_read_says_what_broke_the_connection(streams: Streams) -> None:
    stream, peer, read = await waiting_read(streams)
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


async def test_what_cannot_be_read_is_refused_at_once(streams: Streams) -> None:
    """And the stream is none the worse for it."""
    stream, peer = streams.pair()
    for read in (
        lambda: stream.read_bytes(2.0),
        lambda: stream.read_bytes("2"),
        lambda: stream.read_into(bytes(3)),
    ):
        with pytest.raises((TypeError, AssertionError, ValueError)):
            await soon(read())
        if not streams.library.is_ours:
            return
    await peer.send(b"abc")
    assert await soon(stream.read_bytes(3)) == b"abc"


async def test_until_nothing(streams: Streams) -> None:
    stream, peer = streams.pair()
    await peer.send(b"abc")
    assert await soon(stream.read_until(b"")) == b""
    assert await soon(stream.read_bytes(3)) == b"abc"
