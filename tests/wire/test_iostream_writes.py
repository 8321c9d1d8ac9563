"""IOStream over real sockets: writing, waiting for who does not read, and corks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from streams import OURS, Streams, fails
from support import soon, until


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


async def test_a_buffer_may_be_used_again_as_soon_as_it_was_written(streams: Streams) -> None:
    """``read_into`` and ``write`` in a loop: what is on its way is nobody's any more."""
    stream, peer = streams.pair(small=True)
    size, count = 65536, 40
    buffer = bytearray(size)

    async def produce() -> None:
        for number in range(count):
            buffer[:] = bytes([number]) * size
            await stream.write(memoryview(buffer))
        buffer[:] = b"!" * size

    producing = asyncio.ensure_future(produce())
    for number in range(count):
        assert await peer.take(size) == bytes([number]) * size
    await soon(producing)
