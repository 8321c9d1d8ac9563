"""How much a peer may send: every size and count of ``Limits`` at its bound and one above it.

The sizes that Tornado knows are in ``test_server_limits``.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from support import CLOSE, App, Client, Delegate, FakeClock, get, post, settled, until

from tornadoish.http1.limits import MIB, Limits
from tornadoish.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornadoish.iostream import IOStream

Serve = Callable[..., Awaitable[Any]]
CHUNKED = get("/", "Transfer-Encoding: chunked")
GZIP = "Content-Encoding: gzip"


def chunk(size: int, extension: int = 0) -> bytes:
    """A chunk of ``size`` bytes, whose size line is ``extension`` bytes longer than it must be."""
    line = b"%x" % size + (b";" + b"e" * (extension - 1) if extension else b"")
    return line + b"\r\n" + b"x" * size + b"\r\n"


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    return CHUNKED + b"".join(chunks) + b"0\r\n" + trailers + b"\r\n"


def field(size: int) -> str:
    """A field whose name and value are ``size`` bytes together."""
    return "A: " + "b" * (size - 1)


def lines(count: int) -> list[str]:
    """That many fields beside Host."""
    return [f"A{number}: b" for number in range(count - 1)]


def trailers(*sizes: int) -> bytes:
    """A line of each size, its end and what is between name and value included."""
    return b"".join(b"T: " + b"t" * (size - 5) + b"\r\n" for size in sizes)


def member(size: int) -> bytes:
    return gzip.compress(b"x" * size, mtime=0)


LINE = len("GET  HTTP/1.1")

#: what is bounded, the bound, a request at the bound, one above it, and the answer to that
BOUNDS: list[tuple[str, int, bytes, bytes, int]] = [
    ("start_line_bytes", 50, get("/" * (50 - LINE)), get("/" * (51 - LINE)), 414),
    ("header_bytes", 100, get("/", field(73)), get("/", field(74)), 431),
    ("header_fields", 5, get("/", *lines(5)), get("/", *lines(6)), 431),
    ("header_fields", 1, get(), get("/", "A: b"), 431),
    ("field_bytes", 20, get("/", field(20)), get("/", field(21)), 431),
    ("field_bytes", 30, chunked(trailers=trailers(34)), chunked(trailers=trailers(35)), 431),
    ("field_bytes", 20, get("/", *[field(20)] * 90), get("/", *[field(20)] * 90, field(21)), 431),
    ("body_bytes", 8, post(bytes(8)), post(bytes(9)), 413),
    ("body_bytes", 8, chunked(chunk(5), chunk(3)), chunked(chunk(5), chunk(4)), 413),
    ("chunk_line_bytes", 30, chunked(chunk(1, 29)), chunked(chunk(1, 30)), 400),
    # Of each line 16 bytes are free, and twice the data of its chunk.
    ("chunk_excess_bytes", 30, chunked(*[chunk(5, 40)] * 2), chunked(*[chunk(5, 41)] * 2), 400),
    ("chunk_excess_bytes", 30, chunked(*[chunk(8, 31)] * 99), chunked(*[chunk(8, 32)] * 31), 400),
    ("trailer_bytes", 60, chunked(trailers=trailers(20, 42)),
     chunked(trailers=trailers(20, 43)), 431),
    ("trailer_fields", 2, chunked(trailers=trailers(9) * 2), chunked(trailers=trailers(9) * 3), 431),  # noqa: E501
    ("decompressed_bytes", 90, post(member(90), GZIP), post(member(91), GZIP), 413),
    ("gzip_members", 2, post(member(1) * 2, GZIP), post(member(1) * 3, GZIP), 400),
]  # fmt: skip


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(
    "row", BOUNDS, ids=[f"{row[0]} {row[1]} {i}" for i, row in enumerate(BOUNDS)]
)
async def test_at_the_bound_and_above_it(serve: Serve, row: Any, cut: bool) -> None:
    """However the bytes are cut; and another request follows on the one at the bound."""
    name, bound, good, bad, status = row
    app = App()
    served = await serve(app, decompress_request=True, limits=Limits(**{name: bound}))
    async with Client.connect(served.port) as client:

        async def send(data: bytes) -> None:
            if not cut:
                await client.send(data)
                return
            stream = served.connections[0].stream
            for position in range(len(data)):
                # Driven from here: what one read has is not for the kernel to say.
                stream.data_received(data[position : position + 1])
                if stream.closed() or served.connections[0].turn.name == "LINGER":
                    return

        await until(lambda: served.connections)
        await send(good)
        assert (await client.response()).status == 200
        await send(bad)
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.eof() == b""
    assert app.delegates[0].ended == "finish"
    assert [d.ended for d in app.delegates[1:]] in ([], ["close"])


async def test_no_bytes_of_a_field(serve: Serve) -> None:
    """0 means zero, not the default and not unlimited."""
    served = await serve(App(), limits=Limits(field_bytes=0))
    async with Client.connect(served.port) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.response()).status == 200
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).status == 431


# -- decompression


def incompressible(size: int) -> bytes:
    """Bytes that gzip makes no smaller, and then as many zeros as it takes."""
    return os.urandom(size)


@pytest.mark.parametrize(("times", "status"), [(9, 200), (11, 413)])
async def test_decompressed_ratio(serve: Serve, times: int, status: int) -> None:
    """Beyond the first MiB a body may become so many times larger than it came."""
    app = App(on_finish=lambda delegate: delegate.answer(b"ok"))
    served = await serve(app, decompress_request=True, limits=Limits(decompressed_ratio=10))
    body = incompressible(200_000)
    data = gzip.compress(body + bytes(200_000 * (times - 1)), mtime=0)
    assert 200_000 < len(data) < 210_000 and 200_000 * times > MIB
    async with Client.connect(served.port) as client:
        await client.send(post(data, GZIP))
        assert (await client.response()).status == status
    assert len(app.delegates[0].body) <= 10 * len(data)


async def test_any_ratio(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: delegate.answer(b"ok"))
    served = await serve(app, decompress_request=True, limits=Limits(decompressed_ratio=None))
    async with Client.connect(served.port) as client:
        await client.send(post(gzip.compress(bytes(20 * MIB)), GZIP))
        assert (await client.response()).status == 200


async def test_the_first_mib_has_no_ratio(serve: Serve) -> None:
    """A small body of zeros is no bomb."""
    app = App(on_finish=lambda delegate: delegate.answer(b"ok"))
    served = await serve(app, decompress_request=True, limits=Limits(decompressed_ratio=1))
    async with Client.connect(served.port) as client:
        await client.send(post(gzip.compress(bytes(MIB)), GZIP))
        assert (await client.response()).status == 200
        await client.send(post(gzip.compress(bytes(MIB + 64 * 1024)), GZIP))
        assert (await client.response()).status == 413


@pytest.mark.parametrize(
    ("limits", "size", "status"),
    [
        (Limits(body_bytes=1000), 1000, 200),
        (Limits(body_bytes=1000), 1001, 413),
        (Limits(body_bytes=1000, decompressed_bytes=2000), 2000, 200),
        (Limits(body_bytes=1000, decompressed_bytes=500), 501, 413),
        (Limits(decompressed_bytes=0), 1, 413),
    ],
)
async def test_decompressed_bytes(serve: Serve, limits: Limits, size: int, status: int) -> None:
    """As many as ``body_bytes``, unless it says otherwise."""
    served = await serve(App(), decompress_request=True, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(post(member(size), GZIP))
        assert (await client.response()).status == status


# -- behind the answer


def early(when: str = "headers") -> App:
    """Answers as soon as the head is there, or the first byte of the body."""

    def on_data(delegate: Delegate, chunk: bytes) -> None:
        if len(delegate.chunks) == 1:
            delegate.answer(b"early")

    if when == "data":
        return App(on_data=on_data, on_finish=lambda d: d.chunks or d.answer(b"next"))
    return App(on_headers=lambda d: d.answer(b"early"), on_finish=lambda d: None)


@pytest.mark.parametrize("when", ["headers", "data"])
@pytest.mark.parametrize("kind", ["length", "one chunk", "chunks"])
@pytest.mark.parametrize("more", [0, 1])
async def test_drain_bytes(serve: Serve, when: str, kind: str, more: int) -> None:
    """What is left of a request when its answer is finished: so much is read, and no more."""
    begun = 1 if when == "data" else 0
    rest = 1000 + more
    size = begun + rest
    if kind == "length":
        request = post(b"x" * size)
    elif kind == "one chunk":
        request = chunked(chunk(size))
    else:
        request = chunked(*([chunk(begun)] if begun else []), chunk(500), chunk(rest - 500))
    cut = len(request) - rest if kind == "length" else request.index(b"\r\nx") + 2 + begun
    if when == "headers":
        cut = request.index(b"\r\n\r\n") + 4
    served = await serve(early(when), limits=Limits(drain_bytes=1000))
    async with Client.connect(served.port) as client:
        await client.send(request[:cut])
        assert (await client.response()).body == b"early"
        await client.send(request[cut:] + get("/next"))
        if more:
            assert await client.eof() == b""
        else:
            answer = await client.response()
            assert answer.body == (b"early" if when == "headers" else b"next")


async def test_nothing_is_drained(serve: Serve) -> None:
    """drain_bytes=0: an early answer is the last one, unless the request is there."""
    served = await serve(early(), limits=Limits(drain_bytes=0))
    async with Client.connect(served.port) as client:
        await client.send(post(b""))
        assert (await client.response()).body == b"early"
        await client.send(post(b"x"))
        assert (await client.response()).body == b"early"
        assert await client.eof() == b""


async def test_linger_bytes(serve: Serve) -> None:
    """Who is still sending gets an answer to read, but is not listened to for long."""
    served = await serve(App(), limits=Limits(body_bytes=10, linger_bytes=1000))
    async with Client.connect(served.port) as client:
        await client.send(CHUNKED + b"fffff\r\n")
        assert (await client.response()).status == 413
        connection = served.connections[0]
        await client.send(b"x" * 500)
        await until(lambda: connection._lingered >= 500)
        await settled()
        assert not connection.stream.closed()
        await client.send(b"x" * 600)
        await until(lambda: not served.connections)


async def test_linger_seconds(serve: Serve) -> None:
    clock = FakeClock()
    limits = Limits(body_bytes=10, linger_seconds=7)
    served = await serve(App(), clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(CHUNKED + b"fffff\r\n")
        assert (await client.response()).status == 413
        assert await client.eof() == b""
        for _ in range(7):
            await client.send(b"x")
            clock.passes(1)
        await settled()
        assert served.connections
        clock.passes(1)
        await until(lambda: not served.connections)


# -- how limits are given


async def test_limits_of_a_server_are_those_of_its_connections(serve: Serve) -> None:
    limits = Limits(header_fields=7, requests=3)
    served = await serve(App(), limits=limits)
    assert served.server.limits == limits
    async with Client.connect(served.port):
        await until(lambda: served.connections)
        connection = served.connections[0]
        assert connection.limits == connection.reader.limits == limits


async def test_limits_of_connection_parameters() -> None:
    """For a connection without a server."""
    app = App()
    served: list[HTTP1ServerConnection] = []
    loop = asyncio.get_running_loop()

    def accept() -> IOStream:
        stream = IOStream()
        stream.on_open = begin
        return stream

    def begin(stream: IOStream) -> None:
        params = HTTP1ConnectionParameters(limits=Limits(header_fields=2))
        connection = HTTP1ServerConnection(stream, params)
        served.append(connection)
        connection.start_serving(app)

    server = await loop.create_server(accept, "127.0.0.1", 0)
    async with Client.connect(server.sockets[0].getsockname()[1]) as client:
        await client.send(get("/", "A: b"))
        assert (await client.response()).status == 200
        await client.send(get("/", "A: b", "C: d"))
        assert (await client.response()).status == 431
    await until(lambda: app.closed)
    server.close()
    await server.wait_closed()


BASE = Limits(header_bytes=1, body_bytes=2, piece_bytes=3, body_seconds=4)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, Limits()),
        ({"limits": BASE}, BASE),
        ({"limits": BASE, "max_header_size": 9}, replace(BASE, header_bytes=9)),
        ({"limits": BASE, "max_body_size": 9}, replace(BASE, body_bytes=9)),
        ({"limits": BASE, "max_body_size": 0}, replace(BASE, body_bytes=0)),
        ({"limits": BASE, "chunk_size": 9}, replace(BASE, piece_bytes=9)),
        ({"limits": BASE, "body_timeout": 9}, replace(BASE, body_seconds=9)),
        ({"limits": BASE, "max_buffer_size": 9}, BASE),
        ({"max_buffer_size": 9}, Limits(body_bytes=9)),
        ({"max_buffer_size": 9, "max_body_size": 8}, Limits(body_bytes=8)),
        ({"max_buffer_size": 9, "idle_connection_timeout": 5},
         Limits(body_bytes=9, idle_seconds=5, header_seconds=5)),
        ({"limits": BASE, "idle_connection_timeout": 50}, replace(BASE, idle_seconds=50)),
    ],
)  # fmt: skip
async def test_what_counts_before_what(
    serve: Serve, options: dict[str, Any], wanted: Limits
) -> None:
    """Tornado's options count before ``limits``, and these before the defaults."""
    served = await serve(App(), **options)
    assert served.server.limits == wanted
    async with Client.connect(served.port):
        await until(lambda: served.connections)
        assert served.connections[0].limits == wanted


async def test_a_client_of_these_limits_is_told_what_is_wrong(serve: Serve) -> None:
    """Every refusal is an answer that can be read, with a length, and says what was too much."""
    served = await serve(App(), limits=Limits(field_bytes=10))
    async with Client.connect(served.port) as client:
        await client.send(get("/", field(11), CLOSE))
        answer = await client.response()
        assert (answer.status, int(answer.headers["content-length"])) == (431, len(answer.body))
        assert re.search(rb"field too large", answer.body)


@pytest.mark.parametrize("piece", [10**9, 1000, 77])
async def test_the_ratio_does_not_depend_on_the_cut(serve: Serve, piece: int) -> None:
    """What is dense behind what is not, is, however it comes."""
    app = App(on_finish=lambda delegate: delegate.answer(b"ok"))
    served = await serve(app, decompress_request=True)
    body = gzip.compress(bytes(3 * MIB) + random.Random(1).randbytes(60_000))
    answers = []
    async with Client.connect(served.port) as client:
        data = post(body, GZIP)
        for start in range(0, len(data), piece):
            client.writer.write(data[start : start + piece])
            await settled(3)
        answers.append((await client.response()).status)
    assert answers == [413]


async def test_one_request_may_have_more_or_less_when_it_is_decompressed(serve: Serve) -> None:
    allowed = 5000

    def on_headers(delegate: Delegate) -> None:
        delegate.connection.set_max_body_size(allowed)

    app = App(on_headers=on_headers, on_finish=lambda delegate: delegate.answer(b"ok"))
    served = await serve(app, decompress_request=True, max_body_size=20_000)
    for most, size, status in ((5000, 5001, 413), (5000, 5000, 200), (90_000, 90_000, 200)):
        allowed = most
        async with Client.connect(served.port) as client:
            await client.send(post(gzip.compress(bytes(size)), GZIP))
            assert (await client.response()).status == status
