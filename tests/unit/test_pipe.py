"""Transports in memory behave as asyncio's over a pair of sockets: the same tests over both."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support import settled, soon, until

from tornadoish.iostream import pipe

LOOP = os.environ.get("TORNADOISH_TEST_LOOP", "asyncio")


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.calls: list[Any] = []
        self.data = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes and data
        self.data += data
        if self.calls[-1] != "data":
            self.calls.append("data")

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append(("lost", type(exc)))

    @property
    def lost(self) -> bool:
        return self.calls[-1] in (("lost", type(None)), ("lost", ConnectionResetError))


Connect = Callable[..., Awaitable[tuple[Recorder, Recorder]]]


@pytest.fixture(params=["memory", "sockets"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """A function that connects two recorders."""
    ends: list[Recorder] = []

    async def make(keep_open: bool = False) -> tuple[Recorder, Recorder]:
        one, other = Recorder(keep_open), Recorder(keep_open)
        ends.extend([one, other])
        if request.param == "memory":
            pipe.connect(one, other)
            assert one.calls == []
        else:
            loop = asyncio.get_running_loop()
            listening = socket.create_server(("127.0.0.1", 0))
            client = socket.create_connection(listening.getsockname())
            served, _ = listening.accept()
            listening.close()
            await loop.create_connection(lambda: one, sock=client)
            await loop.connect_accepted_socket(lambda: other, served)
        await until(lambda: other.calls and one.calls)
        return one, other

    yield make
    for end in ends:
        if not end.lost:
            end.transport.abort()
    await until(lambda: all(end.lost for end in ends))


MORE_THAN_FITS = bytes(20_000_000)  # whatever the system's buffers are


async def test_bytes_go_both_ways(connect: Connect) -> None:
    one, other = await connect()
    one.transport.write(b"a")
    one.transport.write(bytearray(b"b"))
    one.transport.writelines([b"c", memoryview(b"d")])
    one.transport.write(b"")
    other.transport.write(b"back")
    await until(lambda: other.data == b"abcd" and one.data == b"back")
    assert one.calls == other.calls == ["made", "data"]


async def test_what_is_written_is_copied(connect: Connect) -> None:
    one, other = await connect()
    other.transport.pause_reading()
    buffer = bytearray(MORE_THAN_FITS)
    one.transport.write(buffer)
    if isinstance(one.transport, pipe.PipeTransport):  # asyncio's own does from 3.12 on only
        buffer[-1] = 1
    other.transport.resume_reading()
    await until(lambda: len(other.data) == len(buffer))
    assert other.data == MORE_THAN_FITS


async def test_nothing_is_delivered_in_the_call_that_sends_it(connect: Connect) -> None:
    one, other = await connect()
    one.transport.write(b"a")
    assert other.data == b""
    await until(lambda: other.data)


async def test_a_paused_reader_makes_the_writer_wait(connect: Connect) -> None:
    one, other = await connect()
    other.transport.pause_reading()
    assert not other.transport.is_reading()
    one.transport.write(MORE_THAN_FITS)
    assert one.calls == ["made", "pause"]
    await settled()
    assert other.data == b"" and one.calls == ["made", "pause"]
    assert one.transport.get_write_buffer_size() > 64 * 1024
    other.transport.resume_reading()
    assert other.transport.is_reading()
    await until(lambda: len(other.data) == len(MORE_THAN_FITS))
    await until(lambda: one.calls == ["made", "pause", "resume"])
    assert one.transport.get_write_buffer_size() == 0


async def test_the_limits_of_the_writer(connect: Connect) -> None:
    one, other = await connect()
    transport = one.transport
    transport.set_write_buffer_limits(high=100)
    assert transport.get_write_buffer_limits() == (25, 100)
    transport.set_write_buffer_limits(low=10)
    assert transport.get_write_buffer_limits() == (10, 40)
    transport.set_write_buffer_limits(high=7, low=7)
    assert transport.get_write_buffer_limits() == (7, 7)
    for limits in ({"high": 1, "low": 2}, {"high": -1}, {"low": -1}):
        with pytest.raises(ValueError):
            transport.set_write_buffer_limits(**limits)
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == (16384, 65536)
    transport.set_write_buffer_limits(high=0)
    other.transport.pause_reading()
    transport.write(MORE_THAN_FITS)
    assert one.calls == ["made", "pause"]
    other.transport.resume_reading()
    await until(lambda: one.calls == ["made", "pause", "resume"])
    assert transport.get_write_buffer_size() == 0


async def test_pausing_and_resuming_twice_is_as_once(connect: Connect) -> None:
    one, other = await connect()
    for _ in range(2):
        other.transport.pause_reading()
    one.transport.write(b"a")
    await settled()
    assert other.data == b""
    for _ in range(2):
        other.transport.resume_reading()
    await until(lambda: other.data == b"a")


async def test_closing_sends_what_was_written(connect: Connect) -> None:
    one, other = await connect()
    one.transport.write(MORE_THAN_FITS)
    one.transport.close()
    assert one.transport.is_closing()
    one.transport.close()
    if isinstance(one.transport, pipe.PipeTransport):  # asyncio's own may still send it
        one.transport.write(b"dropped")
    await until(lambda: other.lost and one.lost)
    assert other.data == MORE_THAN_FITS
    assert other.calls == ["made", "data", "eof", ("lost", type(None))]
    assert one.calls[-1] == ("lost", type(None))
    assert other.transport.is_closing()


async def test_aborting_drops_what_was_kept(connect: Connect) -> None:
    one, other = await connect()
    other.transport.pause_reading()
    one.transport.write(MORE_THAN_FITS)
    one.transport.abort()
    await until(lambda: one.lost)
    other.transport.resume_reading()
    await until(lambda: other.lost)
    assert 0 < len(other.data) < len(MORE_THAN_FITS)
    assert other.calls == ["made", "data", "eof", ("lost", type(None))]


async def test_half_closed(connect: Connect) -> None:
    one, other = await connect(keep_open=True)
    assert one.transport.can_write_eof()
    one.transport.write(b"question")
    one.transport.write_eof()
    one.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        one.transport.write(b"more")
    await until(lambda: "eof" in other.calls)
    assert not one.transport.is_closing() and not other.transport.is_closing()
    other.transport.write(b"answer")
    await until(lambda: one.data == b"answer")
    other.transport.close()
    await until(lambda: other.lost and "eof" in one.calls)
    one.transport.close()
    await until(lambda: one.lost)
    assert other.calls == ["made", "data", "eof", ("lost", type(None))]
    assert one.calls == ["made", "data", "eof", ("lost", type(None))]


async def test_the_end_comes_behind_all_that_was_written(connect: Connect) -> None:
    one, other = await connect(keep_open=True)
    one.transport.write(MORE_THAN_FITS)
    one.transport.write_eof()
    await until(lambda: "eof" in other.calls)
    assert other.data == MORE_THAN_FITS
    assert not one.lost


async def test_closing_with_unread_bytes_resets(connect: Connect) -> None:
    one, other = await connect()
    other.transport.pause_reading()
    one.transport.write(b"never read")
    await settled()
    other.transport.close()
    await until(lambda: one.lost)
    assert one.calls == ["made", ("lost", ConnectionResetError)]
    assert other.calls == ["made", ("lost", type(None))]


async def test_a_reset_by_so_linger(connect: Connect) -> None:
    one, other = await connect()
    sock = one.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.transport.abort()
    await until(lambda: other.lost)
    assert other.calls == ["made", ("lost", ConnectionResetError)]


async def test_writing_to_nobody_is_a_reset(connect: Connect) -> None:
    one, other = await connect(keep_open=True)
    other.transport.close()
    await until(lambda: "eof" in one.calls)

    async def write() -> None:
        while not one.transport.is_closing():
            one.transport.write(b"x")
            await asyncio.sleep(0)

    await soon(write())
    await until(lambda: one.calls[-1][0] == "lost")
    assert one.calls[-1][1] in (ConnectionResetError, BrokenPipeError)
    one.calls[-1] = ("lost", ConnectionResetError)


async def test_a_writer_that_waits_hears_of_a_reset_though_it_does_not_read(
    connect: Connect,
) -> None:
    one, other = await connect()
    one.transport.pause_reading()
    other.transport.pause_reading()
    one.transport.write(MORE_THAN_FITS)
    await settled()
    other.transport.abort()
    await until(lambda: one.calls[-1][0] == "lost")
    assert one.calls[-1][1] in (ConnectionResetError, BrokenPipeError)
    one.calls[-1] = ("lost", ConnectionResetError)


async def test_what_is_no_bytes_is_refused(connect: Connect) -> None:
    one, _ = await connect()
    with pytest.raises(TypeError):
        one.transport.write("text")


async def test_who_they_are(connect: Connect) -> None:
    one, other = await connect()
    for name, opposite in (("sockname", "peername"), ("peername", "sockname")):
        mine, theirs = one.transport.get_extra_info(name), other.transport.get_extra_info(opposite)
        assert mine == theirs and mine[0] == "127.0.0.1"
    assert one.transport.get_extra_info("ssl_object") is None
    assert one.transport.get_extra_info("nonsense", 5) == 5
    sock = one.transport.get_extra_info("socket")
    assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    assert sock.getsockname() == one.transport.get_extra_info("sockname")
    assert sock.getpeername() == one.transport.get_extra_info("peername")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert one.transport.get_protocol() is one


async def test_another_protocol_takes_over(connect: Connect) -> None:
    one, other = await connect()
    third = Recorder()
    third.connection_made(other.transport)
    other.transport.set_protocol(third)
    one.transport.write(b"a")
    await until(lambda: third.data == b"a")
    assert other.data == b""
    one.transport.close()
    await until(lambda: third.lost and one.lost)
    other.calls.append(("lost", type(None)))  # for the fixture


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
async def test_a_protocol_that_fails_loses_its_connection(connect: Connect, method: str) -> None:
    one, other = await connect()
    heard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

    def fail(*args: Any) -> None:
        raise ValueError("broken")

    setattr(other, method, fail)
    one.transport.write(b"a")
    one.transport.close()
    await until(lambda: one.lost and other.calls[-1][0] == "lost")
    assert other.calls[-1][1] is ValueError or LOOP == "uvloop"  # which makes an error of its own
    if LOOP != "uvloop" or isinstance(one.transport, pipe.PipeTransport):  # it tells nobody
        assert [str(context["exception"]) for context in heard] == ["broken"]
    other.calls[-1] = ("lost", type(None))


# -- in memory alone


async def test_how_much_is_on_its_way_and_how_much_is_read_at_once() -> None:
    one, other = Recorder(), Recorder()
    pieces: list[bytes] = []
    other.data_received = pieces.append  # type: ignore[method-assign]
    near, far = pipe.connect(one, other, capacity=10, read_size=3)
    await until(lambda: other.calls)
    far.pause_reading()
    near.write(b"0123456789abc")
    assert near.get_write_buffer_size() == 3
    far.resume_reading()
    await until(lambda: near.get_write_buffer_size() == 0 and b"".join(pieces)[-1:] == b"c")
    assert max(map(len, pieces)) == 3 and b"".join(pieces) == b"0123456789abc"
    near.abort()
    await until(lambda: one.lost and other.lost)


@pytest.mark.parametrize("options", [{"capacity": 0}, {"read_size": 0}])
async def test_a_connection_over_which_nothing_can_go(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="nothing can go"):
        pipe.connect(Recorder(), Recorder(), **options)


async def test_there_is_no_descriptor() -> None:
    one, other = Recorder(), Recorder()
    near, _ = pipe.connect(one, other)
    sock = near.get_extra_info("socket")
    with pytest.raises(OSError) as caught:
        sock.fileno()
    assert caught.value.errno == errno.ENOTSUP
    with pytest.raises(OSError) as caught:
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert caught.value.errno == errno.ENOPROTOOPT
    await until(lambda: one.calls and other.calls)
    near.abort()
    await until(lambda: one.lost and other.lost)
