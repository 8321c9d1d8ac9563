"""What a peer may take of a server: sizes, times, compressed bodies. Each in its bounds."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import App, Client, Delegate, get, post, raw, until

Serve = Callable[..., Awaitable[Any]]
CHUNKED = get("/", "Transfer-Encoding: chunked")


# -- sizes


async def test_max_header_size(serve: Serve) -> None:
    served = await serve(App(), max_header_size=100)
    fitting = get("/", "A: " + "b" * (100 - len(get("/", "A: ")) + 4))
    assert len(fitting) == 104
    async with Client.connect(served.port) as client:
        await client.send(fitting)
        assert (await client.response()).status == 200
        await client.send(get("/", "A: " + "b" * 100))
        assert (await client.response()).status == 431
        assert await client.eof() == b""


async def test_a_head_that_never_ends(serve: Serve) -> None:
    served = await serve(App(), max_header_size=1000)
    async with Client.connect(served.port) as client:
        await client.send(get()[:-2] + b"A: " + b"b" * 1000)
        assert (await client.response()).status == 431


@pytest.mark.parametrize("chunked", [False, True])
async def test_max_body_size(serve: Serve, chunked: bool) -> None:
    app = App()
    served = await serve(app, max_body_size=10)

    def request(size: int) -> bytes:
        if not chunked:
            return post(b"x" * size)
        return CHUNKED + b"6\r\nxxxxxx\r\n%x\r\n%b\r\n0\r\n\r\n" % (size - 6, b"x" * (size - 6))

    async with Client.connect(served.port) as client:
        await client.send(request(10))
        assert (await client.response()).status == 200
        await client.send(request(11))
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.eof() == b""
    assert [delegate.ended for delegate in app.delegates] == ["finish", "close"]
    assert len(app.delegates[1].body) <= 6


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("allowed", "status"), [(20, 200), (5, 413)])
async def test_set_max_body_size(serve: Serve, chunked: bool, allowed: int, status: int) -> None:
    """More than the server's limit, or less; and only for this one message."""

    def on_headers(delegate: Delegate) -> None:
        if delegate.line.path != "/":
            delegate.connection.set_max_body_size(allowed)

    served = await serve(App(on_headers=on_headers), max_body_size=10)
    path = b"POST /other HTTP/1.1\r\nHost: x\r\n"
    if chunked:
        special = path + b"Transfer-Encoding: chunked\r\n\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"
    else:
        special = path + b"Content-Length: 20\r\n\r\n" + b"x" * 20
    async with Client.connect(served.port) as client:
        await client.send(special)
        assert (await client.response()).status == status
        if status == 200:
            await client.send(post(b"x" * 20))
            assert (await client.response()).status == 413


async def test_a_body_of_no_bytes_may_be_all_that_is_allowed(serve: Serve) -> None:
    served = await serve(App(), max_body_size=0)
    async with Client.connect(served.port) as client:
        await client.send(post(b"") + get())
        assert (await client.response()).status == 200
        assert (await client.response()).status == 200
        await client.send(post(b"x"))
        assert (await client.response()).status == 413


@pytest.mark.parametrize("chunked", [False, True])
async def test_chunk_size(serve: Serve, chunked: bool) -> None:
    app = App()
    served = await serve(app, chunk_size=100)
    body = bytes(range(250)) * 4
    data = CHUNKED + b"3e8\r\n" + body + b"\r\n0\r\n\r\n" if chunked else post(body)
    async with Client.connect(served.port) as client:
        await client.send(data)
        await client.response()
    assert app.delegates[0].body == body
    assert max(map(len, app.delegates[0].chunks)) == 100


async def test_413_can_be_read_while_the_body_is_being_sent(serve: Serve) -> None:
    """RFC 9112, 9.6: closing at once would reset the connection and could take the answer along."""
    app = App()
    served = await serve(app, max_body_size=1000)
    async with Client.connect(served.port) as client:
        await client.send(post(b"")[: -len("0\r\n\r\n")] + b"8000000\r\n\r\n")
        for _ in range(80):
            await client.send(b"x" * 100_000)
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.eof() == b""
    assert app.delegates[0].body == b""


async def test_who_never_stops_sending_is_cut_off(serve: Serve) -> None:
    served = await serve(App(), max_body_size=1000)
    async with Client.connect(served.port) as client:
        await client.send(CHUNKED + b"fffffff\r\n")
        with pytest.raises(OSError):
            for _ in range(400):
                await client.send(b"x" * 200_000)
    await until(lambda: not served.connections)


# -- times, by the loop's own clock (``test_time_limits`` has one of its own)


async def test_a_silent_connection_is_closed(serve: Serve) -> None:
    served = await serve(App(), idle_connection_timeout=0.05)
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).status == 200
        assert await client.eof() == b""


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nHo", post(b"hello")[:-1]])
async def test_half_a_request_is_answered_408(serve: Serve, begun: bytes) -> None:
    served = await serve(App(), idle_connection_timeout=0.05, body_timeout=0.05)
    async with Client.connect(served.port) as client:
        await client.send(begun)
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await client.eof() == b""


# -- decompression


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


GZIP = "Content-Encoding: gzip"
BODY = b"hello hello hello " * 1000


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("body", [b"", b"a", BODY])
async def test_decompress(serve: Serve, coding: str, body: bytes) -> None:
    app = App()
    served = await serve(app, decompress_request=True)
    data = gzipped(body)
    async with Client.connect(served.port) as client:
        for request in (
            post(data, f"Content-Encoding: {coding}"),
            get("/", "Transfer-Encoding: chunked", f"Content-Encoding: {coding}")
            + b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n",
        ):  # fmt: skip
            await client.send(request)
            assert (await client.response()).status == 200
    for delegate in app.delegates:
        assert delegate.body == body
        assert delegate.headers.get("X-Consumed-Content-Encoding") == coding
        assert "Content-Encoding" not in delegate.headers


async def test_several_members_are_one_body(serve: Serve) -> None:
    app = App()
    served = await serve(app, decompress_request=True)
    async with Client.connect(served.port) as client:
        await client.send(post(gzipped(b"one ") + gzipped(b"") + gzipped(b"two"), GZIP))
        assert (await client.response()).body == b"POST / one two"


async def test_what_is_not_compressed_stays(serve: Serve) -> None:
    app = App()
    served = await serve(app, decompress_request=True)
    async with Client.connect(served.port) as client:
        await client.send(post(b"plain") + post(b"br", "Content-Encoding: br"))
        assert (await client.response()).body == b"POST / plain"
        assert (await client.response()).body == b"POST / br"


async def test_without_the_option_nothing_is_decompressed(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(gzipped(b"x"), GZIP))
        await client.response()
    assert app.delegates[0].body == gzipped(b"x")
    assert app.delegates[0].headers["Content-Encoding"] == "gzip"


BAD_GZIP = {
    "no gzip": b"not gzip at all",
    "cut in the data": gzipped(BODY)[:-9],
    "cut in the trailer": gzipped(BODY)[:-1],
    "cut in the header": gzipped(BODY)[:5],
    "wrong checksum": gzipped(BODY)[:-8] + b"\x00" * 8,
    "garbage behind": gzipped(b"x") + b"garbage",
    "cut in the second": gzipped(b"x") + gzipped(b"x")[:-1],
    "too many members": gzipped(b"x") * 17,
    "deflate": zlib.compress(b"deflate, not gzip"),
}


@pytest.mark.parametrize("kind", BAD_GZIP)
async def test_bad_gzip(serve: Serve, kind: str) -> None:
    app = App()
    served = await serve(app, decompress_request=True)
    async with Client.connect(served.port) as client:
        await client.send(post(BAD_GZIP[kind], GZIP))
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.eof() == b""
    assert app.delegates[0].ended == "close"


async def test_a_bomb(serve: Serve) -> None:
    app = App()
    served = await serve(app, decompress_request=True, max_body_size=100_000)
    bomb = gzipped(b"\x00" * 20_000_000)
    assert len(bomb) < 100_000
    answer = await raw(served.port, post(bomb, GZIP))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert len(app.delegates[0].body) <= 100_000
    assert max(map(len, app.delegates[0].chunks)) <= 65536


async def test_the_limit_is_for_what_was_decompressed(serve: Serve) -> None:
    served = await serve(App(), decompress_request=True, max_body_size=18000)
    async with Client.connect(served.port) as client:
        await client.send(post(gzipped(BODY), GZIP))
        assert (await client.response()).status == 200
        await client.send(post(gzipped(BODY + b"!"), GZIP))
        assert (await client.response()).status == 413


async def test_decompressing_waits_for_the_delegate(serve: Serve) -> None:
    """A small body that becomes a large one comes no faster than it is taken."""
    most = 0
    running = 0

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    app = App(on_data=on_data)
    served = await serve(app, decompress_request=True, chunk_size=1000)
    async with Client.connect(served.port) as client:
        await client.send(post(gzipped(BODY), GZIP))
        assert (await client.response()).status == 200
    assert app.delegates[0].body == BODY
    assert (most, max(map(len, app.delegates[0].chunks))) == (1, 1000)
