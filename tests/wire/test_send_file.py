"""Files as bodies: streams that send a file, and ``HTTPConnection.write_file`` over HTTP/1.

Every transport that we have: TCP, where the system moves the bytes, Unix sockets, TLS, where they
are read and written. What may go wrong on the way: a file that ends early, a peer that reads
slowly, not at all, or goes away; and nothing of it may be left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from libraries import Library
from streams import CERT, SERVER_TLS, Peer, Streams, fails
from support import App, Client, Delegate, FakeClock, get, raw, settled, soon, until

from tornadoish.http1.limits import Limits
from tornadoish.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine
from tornadoish.iostream import StreamClosedError, copy_file, files, send_file

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
SIZE = 3_000_000
LITTLE = 300_000  # bytes to be sent over a connection with small buffers, where they take long
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture
def library() -> Library:
    """Ours alone: nobody else sends files."""
    return Library("tornadoish")


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """A file with CONTENT, open for reading."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    number = os.open(path, os.O_RDONLY)
    yield number
    os.close(number)


@pytest.fixture(params=["at hand", "on disk", "nobody knows"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the system says of the file; real file systems say the first of files just written."""
    says = {"at hand": True, "on disk": False, "nobody knows": None}[request.param]
    monkeypatch.setattr(files, "at_hand", lambda fd, offset, count: says)
    name: str = request.param
    return name


def descriptors() -> int:
    """How many sockets and files are open. (Loops have some of their own, as they need them.)"""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            target = os.readlink(f"/proc/self/fd/{number}")
            count += target.startswith(("socket:", "/")) and target != "/dev/null"
    return count


@pytest.fixture
async def leaks() -> AsyncIterator[None]:
    """At the end no descriptor is open that was not at the beginning; so it has to come first."""
    before = descriptors()
    yield
    await until(lambda: descriptors() <= before)


async def unix_pair(streams: Streams) -> tuple[Any, Peer]:
    ours, theirs = socket.socketpair()
    peer = Peer(theirs)
    streams.at_end(peer.close)
    return streams.keep(streams.io.IOStream(ours)), peer


# -- streams


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize(
    ("offset", "count"), [(0, SIZE), (1, 10), (SIZE - 1, 1), (12_345, 2_000_000), (7, 0)]
)
async def test_part_of_a_file(
    leaks: None, streams: Streams, fd: int, memory: str, kind: str, offset: int, count: int
) -> None:
    """Behind what was written before, in front of what is written next."""
    stream, peer = streams.pair() if kind == "tcp" else await unix_pair(streams)
    assert await soon(stream.write(b"")) is None
    await soon(stream.write(b"<"))
    sending = asyncio.ensure_future(send_file(stream, fd, offset, count))
    sending.add_done_callback(lambda _: stream.write(b">"))
    assert await peer.take(count + 2) == b"<" + CONTENT[offset : offset + count] + b">"
    assert await soon(sending) == count


async def test_the_system_moves_the_bytes(
    streams: Streams, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TCP, on both loops, none of them passes through Python."""

    def nothing_is_read(*arguments: Any) -> bytes:
        raise AssertionError("read")

    monkeypatch.setattr(files, "read_at", nothing_is_read)
    stream, peer = await streams.open_pair()
    sending = asyncio.ensure_future(send_file(stream, fd, 0, SIZE))
    assert await peer.take(SIZE) == CONTENT
    assert await soon(sending) == SIZE


async def test_it_comes_behind_what_waits(leaks: None, streams: Streams, fd: int) -> None:
    """Megabytes before it that the peer has not taken yet; and what is corked."""
    stream, peer = await streams.open_pair(small=True)
    before = CONTENT[-LITTLE:]
    stream.write(before)
    assert stream.blocked
    stream.cork()
    stream.write(b"corked")
    sending = asyncio.ensure_future(send_file(stream, fd, 0, LITTLE))
    wanted = before + b"corked" + CONTENT[:LITTLE]
    assert await peer.take(len(wanted)) == wanted
    assert await soon(sending) == LITTLE
    assert not stream.blocked
    transport = stream._transport
    if hasattr(transport, "get_write_buffer_limits"):  # as they were
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)


@pytest.mark.parametrize("offset", [0, SIZE - 10, SIZE, SIZE + 10])
async def test_a_file_that_ends_early(streams: Streams, fd: int, memory: str, offset: int) -> None:
    """What there is is sent, and how much that was is said."""
    stream, peer = await streams.open_pair()
    sending = asyncio.ensure_future(send_file(stream, fd, offset, SIZE + 100))
    there = CONTENT[offset:]
    assert await peer.take(len(there)) == there
    assert await soon(sending) == len(there)


async def test_a_file_that_sendfile_does_not_take(
    streams: Streams, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some file systems have them, some of it may have been sent already; it is read then."""
    sendfile, calls = os.sendfile, 0

    def for_a_while(*arguments: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(22, "Invalid argument")
        return sendfile(*arguments)

    monkeypatch.setattr(files, "_sendfile", for_a_while)
    stream, peer = await streams.open_pair()
    sending = asyncio.ensure_future(send_file(stream, fd, 0, SIZE))
    assert await peer.take(SIZE) == CONTENT
    assert await soon(sending) == SIZE


async def test_a_transport_without_a_socket(streams: Streams, fd: int) -> None:
    """Such as one in memory, for tests: it is written to."""

    class InMemory(asyncio.Transport):
        written = b""

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.written += bytes(data)

        def is_closing(self) -> bool:
            return False

        def get_write_buffer_size(self) -> int:
            return 0

        def close(self) -> None:
            """Nothing is left open."""

        abort = close

    transport = InMemory()
    stream = streams.io.IOStream()
    stream.connection_made(transport)
    assert await soon(send_file(stream, fd, 5, LITTLE)) == LITTLE
    assert transport.written == CONTENT[5 : LITTLE + 5]


async def test_no_descriptor_is_left_to_wait_with(
    streams: Streams, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent all the same."""
    stream, peer = await streams.open_pair(small=True)

    def none_left(fd: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(files.os, "dup", none_left)
    sending = asyncio.ensure_future(send_file(stream, fd, 0, LITTLE))
    assert await peer.take(LITTLE) == CONTENT[:LITTLE]
    assert await soon(sending) == LITTLE


async def test_a_file_that_cannot_be_read(streams: Streams, tmp_path: Path, memory: str) -> None:
    stream, _ = await streams.open_pair()
    number = os.open(tmp_path, os.O_RDONLY)  # a directory
    try:
        with pytest.raises(OSError) as caught:
            await soon(send_file(stream, number, 0, 10))
        assert not isinstance(caught.value, StreamClosedError)
    finally:
        os.close(number)


async def test_a_fast_peer_lets_others_have_their_turn(
    streams: Streams, fd: int, memory: str
) -> None:
    """However much it takes, between two slices everybody else may run."""
    stream, peer = await streams.open_pair()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(others())
    taking = asyncio.ensure_future(peer.take(SIZE))
    assert await soon(send_file(stream, fd, 0, SIZE)) == SIZE
    assert turns >= SIZE // files.SLICE
    other.cancel()
    assert await taking == CONTENT


# -- peers that read slowly, or go


async def behind(streams: Streams, fd: int) -> tuple[Any, Peer, asyncio.Future[int]]:
    """A file on its way to a peer that does not read."""
    stream, peer = await streams.open_pair(small=True)
    sending = asyncio.ensure_future(send_file(stream, fd, 0, SIZE))
    await until(lambda: stream.blocked)
    return stream, peer, sending


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_a_stream_that_is_closed_meanwhile(
    leaks: None, streams: Streams, fd: int, way: str
) -> None:
    stream, peer, sending = await behind(streams, fd)
    getattr(stream, way)()
    await fails(streams, sending)
    assert len(await peer.rest()) < SIZE  # and its end: nothing holds the connection open


async def test_a_peer_that_goes_away(leaks: None, streams: Streams, fd: int) -> None:
    """By a reset: whoever is told first, the transport or sendfile."""
    stream, peer, sending = await behind(streams, fd)
    peer.reset()
    error = await fails(streams, sending)
    await until(stream.closed)
    assert isinstance(error, StreamClosedError)


async def test_a_peer_that_goes_away_and_is_noticed_by_sendfile(
    leaks: None, streams: Streams, fd: int
) -> None:
    stream, peer, sending = await behind(streams, fd)
    stream.pause_reading()
    peer.reset()
    error: Any = await fails(streams, sending)
    assert isinstance(error.real_error, OSError)
    assert isinstance(stream.error, OSError)


async def test_a_stream_that_is_closed_already(streams: Streams, fd: int) -> None:
    stream, _ = await streams.open_pair()
    stream.close()
    await fails(streams, asyncio.ensure_future(send_file(stream, fd, 0, 10)))


async def test_who_gives_up_leaves_nothing(leaks: None, streams: Streams, fd: int) -> None:
    stream, _, sending = await behind(streams, fd)
    sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()
    assert not stream.blocked
    assert stream._write_waiters == []


async def test_who_gives_up_waiting_for_the_disk(
    leaks: None, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has a descriptor of its own: it reads no other file, and closes it."""
    monkeypatch.setattr(files, "at_hand", lambda fd, offset, count: False)
    read: list[bytes] = []

    async def write(piece: bytes) -> None:
        read.append(piece)

    copying = asyncio.ensure_future(copy_file(fd, 0, SIZE, write))
    await asyncio.sleep(0)
    copying.cancel()
    await asyncio.wait([copying])
    assert read == []


async def take_until(stream: Any, peer: Peer, acknowledged: int) -> None:
    """Let the peer read until its system has had so much more."""
    while stream._progress.taken() < acknowledged:
        assert await peer.take(1000)


def clocked(stream: Any, seconds: float, rate: int) -> FakeClock:
    clock = FakeClock()
    stream.watch(clock.deadlines)
    stream.set_write_pace(seconds, rate)
    return clock


@pytest.mark.parametrize("takes", [0, 5_000, 20_000])
async def test_a_peer_that_reads_too_slowly(
    leaks: None, streams: Streams, fd: int, takes: int
) -> None:
    """10 seconds of 1 000 bytes: as for anything else that is written."""
    stream, peer = await streams.open_pair(small=True)
    clock = clocked(stream, 10, 1000)
    sending = asyncio.ensure_future(send_file(stream, fd, 0, SIZE))
    await until(lambda: stream.blocked)
    clock.passes(10)
    assert not stream.closed()
    await take_until(stream, peer, takes)
    clock.passes(1)
    if takes > 10_000:
        await settled()
        assert not stream.closed()
        assert not sending.done()
        clock.passes(12)  # and then no more
    error: Any = await fails(streams, sending)
    assert isinstance(error.real_error, TimeoutError)


async def test_little_by_little_is_one_time_of_being_behind(streams: Streams, fd: int) -> None:
    """Whoever takes a little whenever the time is nearly over does not begin a new one."""
    stream, peer = await streams.open_pair(small=True)
    clock = clocked(stream, 10, 100_000)
    sending = asyncio.ensure_future(send_file(stream, fd, 0, SIZE))
    await until(lambda: stream.blocked)
    for count in range(1, 6):
        clock.passes(2)
        await take_until(stream, peer, count * 30_000)
        assert stream.blocked
    clock.passes(1)
    error: Any = await fails(streams, sending)
    assert isinstance(error.real_error, TimeoutError)


async def test_who_has_caught_up_has_a_new_time(streams: Streams, fd: int) -> None:
    stream, peer = await streams.open_pair(small=True)
    clock = clocked(stream, 10, 1000)
    for _ in range(2):
        sending = asyncio.ensure_future(send_file(stream, fd, 0, LITTLE))
        await until(lambda: stream.blocked)
        clock.passes(10)
        assert await peer.take(LITTLE) == CONTENT[:LITTLE]
        assert await soon(sending) == LITTLE
        assert stream._progress is None
        clock.passes(100)
    assert not stream.closed()


# -- HTTP/1


def file_app(fd: int, *parts: tuple[int, int] | bytes, length: int | None = None) -> Any:
    """An application that answers with parts of a file and bytes; ``errors`` are what it meets."""

    async def on_finish(delegate: Delegate) -> None:
        headers = HTTPHeaders({} if length is None else {"Content-Length": str(length)})
        connection = delegate.connection
        try:
            await connection.write_headers(OK, headers)
            for part in parts:
                if isinstance(part, bytes):
                    await connection.write(part)
                else:
                    await connection.write_file(fd, *part)
            connection.finish()
        except (HTTPOutputError, StreamClosedError) as error:
            app.errors.append(error)  # type: ignore[attr-defined]

    app = App(on_finish=on_finish)
    app.errors = []  # type: ignore[attr-defined]
    return app


PARTS = (b"<", (10, 1_000_000), b"|", (0, 5), (2_000_000, 1_000_000), b">")
WHOLE = b"<" + CONTENT[10:1_000_010] + b"|" + CONTENT[:5] + CONTENT[2_000_000:] + b">"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("length", [None, len(WHOLE)], ids=["chunked", "length"])
async def test_files_between_bytes(serve: Serve, fd: int, tls: bool, length: int | None) -> None:
    """Twice on one connection: what is announced is what comes."""
    app = file_app(fd, *PARTS, length=length)
    served = await serve(app, **({"ssl_options": SERVER_TLS} if tls else {}))
    context = None
    if tls:
        import ssl

        context = ssl.create_default_context(cafile=CERT)
    async with Client.connect(served.port, ssl=context) as client:
        for _ in range(2):
            await client.send(get())
            answer = await client.response()
            assert answer.body == WHOLE
    assert app.errors == []


async def test_http_1_0_without_a_length(serve: Serve, fd: int) -> None:
    """Its end is that of the connection."""
    served = await serve(file_app(fd, *PARTS))
    answer = await raw(served.port, get(version="HTTP/1.0"), limit=1 << 23)
    assert answer.partition(b"\r\n\r\n")[2] == WHOLE


@pytest.mark.parametrize("length", [None, 5], ids=["chunked", "length"])
async def test_nothing_answers_a_head(
    serve: Serve, fd: int, length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is read for it."""
    monkeypatch.setattr(files, "read_at", None)
    monkeypatch.setattr(files, "_sendfile", None)
    served = await serve(file_app(fd, (0, 5), length=length))
    async with Client.connect(served.port) as client:
        for _ in range(2):
            await client.send(get().replace(b"GET", b"HEAD"))
            assert (await client.response("HEAD")).body == b""


async def test_what_has_a_fileno(serve: Serve, tmp_path: Path) -> None:
    """A file object; where it stands is of no account."""
    (tmp_path / "file").write_bytes(b"hello")

    async def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(OK, HTTPHeaders({"Content-Length": "4"}))
        with open(tmp_path / "file", "rb") as file:
            file.read(2)
            await delegate.connection.write_file(file, 1, 4)
        delegate.connection.finish()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).body == b"ello"


async def test_more_than_was_announced(serve: Serve, fd: int) -> None:
    """Nothing of it is sent, and what is announced still may be."""

    async def on_finish(delegate: Delegate) -> None:
        connection = delegate.connection
        connection.write_headers(OK, HTTPHeaders({"Content-Length": "5"}))
        with pytest.raises(HTTPOutputError, match="6 bytes of body where 5 were announced"):
            await connection.write_file(fd, 0, 6)
        await connection.write_file(fd, 0, 5)
        connection.finish()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).body == CONTENT[:5]


@pytest.mark.parametrize("length", [None, SIZE + 1], ids=["chunked", "length"])
async def test_a_file_that_has_become_shorter(serve: Serve, fd: int, length: int | None) -> None:
    """The peer sees that it is not all, whatever the framing."""
    app = file_app(fd, (0, SIZE + 1), length=length)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        rest = await client.eof()
        assert rest[-100:].endswith(CONTENT[-10:] + (b"\r\n" if length is None else b""))
    (error,) = app.errors
    assert isinstance(error, HTTPOutputError)


async def test_a_file_that_has_become_shorter_and_no_framing(serve: Serve, fd: int) -> None:
    """Where the end of the connection is that of the body, it is reset."""
    app = file_app(fd, (0, SIZE + 1))
    served = await serve(app)
    with pytest.raises(ConnectionResetError):
        await raw(served.port, get(version="HTTP/1.0"), limit=1 << 23)


async def test_nothing_may_come_between(serve: Serve, fd: int) -> None:
    """As long as a file is on its way: no bytes, no other file, no end."""
    refused = []

    async def on_finish(delegate: Delegate) -> None:
        connection = delegate.connection
        connection.write_headers(OK, HTTPHeaders({"Content-Length": str(SIZE)}))
        sending = asyncio.ensure_future(connection.write_file(fd, 0, SIZE))
        stream = connection.stream
        await until(lambda: stream.blocked)
        for attempt in (connection.write, lambda data: connection.write_headers(OK, HTTPHeaders())):
            with pytest.raises(HTTPOutputError) as caught:
                attempt(b"between")
            refused.append(caught.value)
        with pytest.raises(HTTPOutputError):
            await connection.write_file(fd, 0, 1)
        with pytest.raises(HTTPOutputError, match="while a file is being sent"):
            connection.finish()
        with pytest.raises(StreamClosedError):
            await sending
        app.something.set()

    app = App(on_finish=on_finish)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: len(refused) == 2)
        answer = await client.eof()
        assert b"between" not in answer
        assert len(answer) < SIZE


async def test_a_client_that_goes_away(leaks: None, serve: Serve, fd: int) -> None:
    app = file_app(fd, (0, SIZE), length=SIZE)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: served.connections and served.connections[0].stream.blocked)
    await until(lambda: app.errors)
    (error,) = app.errors
    assert isinstance(error, StreamClosedError)
    await until(lambda: not served.connections)


async def test_a_client_that_does_not_read(serve: Serve, fd: int) -> None:
    clock = FakeClock()
    app = file_app(fd, (0, SIZE), length=SIZE)
    served = await serve(app, clock=clock, limits=Limits(write_seconds=7))
    async with Client.connect(served.port) as client:
        client.writer.transport.pause_reading()
        await client.send(get())
        await until(lambda: served.connections and served.connections[0].stream.blocked)
        clock.passes(7)
        assert served.connections
        clock.passes(9)
        clock.passes(9)
        await until(lambda: not served.connections)
        (error,) = app.errors
        assert isinstance(error.real_error, TimeoutError)


async def test_after_the_connection(serve: Serve, fd: int) -> None:
    """A message that is over has no way to write to."""
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        with pytest.raises(StreamClosedError):
            await app.delegates[0].connection.write_file(fd, 0, 1)
