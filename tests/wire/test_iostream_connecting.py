"""IOStream: connecting, and sockets that are connected already."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from streams import OURS, Calls, Streams, fails
from support import soon, until


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
