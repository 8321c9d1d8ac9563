"""A client whose server ends the connection: behind the response, within it, and too early.

That a server closes behind its response is the normal case, and nothing of a response may be lost
because the client's delegate was busy at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import pytest
from streams import OURS, Calls, Peer, Streams, stream_has_read
from support import soon, until

from tornadoish.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornadoish.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine
from tornadoish.iostream import StreamClosedError
from tornadoish.testing import check_message_delegate

pytestmark = OURS

#: read to its end, or closing would be a reset
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH_5 = OK + b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\n\r\n"


class Busy(HTTPMessageDelegate):
    """Is told of a head and cannot go on before it is allowed to; then it collects, slowly."""

    def __init__(self, *, slow: bool = True) -> None:
        self.told = asyncio.Event()
        self.free = asyncio.Event()
        self.slow = slow
        self.codes: list[int] = []
        self.body = b""
        self.trailers: list[tuple[str, str]] = []
        self.ended = ""

    async def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self.codes.append(start_line.code)
        self.told.set()
        await self.free.wait()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.body += chunk
        return asyncio.sleep(0) if self.slow else None

    def trailers_received(self, trailers: HTTPHeaders) -> None:
        self.trailers += trailers.get_all()

    def finish(self) -> Awaitable[None] | None:
        self.ended = "finish"
        return asyncio.sleep(0) if self.slow else None

    def on_connection_close(self) -> None:
        self.ended = "close"


class Asking:
    """A GET on a connection whose other end is the test's, and who hears of the response."""

    def __init__(self, streams: Streams, delegate: Busy, **params: Any) -> None:
        self.stream, self.peer = streams.pair()
        self.connection = HTTP1Connection(self.stream, True, HTTP1ConnectionParameters(**params))
        self.delegate = delegate
        self.checked = check_message_delegate(delegate)
        line = RequestStartLine("GET", "/", "HTTP/1.1")
        self.connection.write_headers(line, HTTPHeaders({"Host": "x"}))
        self.connection.finish()
        self.closed = Calls()
        self.stream.set_close_callback(self.closed)

    def read(self) -> asyncio.Future[bool]:
        return self.connection.read_response(self.checked)

    async def answered(self, answer: bytes, end: Any = Peer.close) -> asyncio.Future[bool]:
        """The response comes, and ``end`` while the delegate is busy with its head.

        The transport would be paused as long as something is left in the buffer. That of TLS says
        all the same that it is the end, when both came at once: so this one may go on, too.
        """
        reading = self.read()
        await self.peer.send(answer)
        await soon(self.delegate.told.wait())
        await self.peer.take(len(REQUEST))
        self.stream.resume_reading()
        end(self.peer)
        await until(lambda: self.stream.socket is None)
        assert not reading.done()
        assert self.closed.count == 0, "the close callback waits for what has come before"
        self.delegate.free.set()
        return reading


@pytest.mark.parametrize("slow", [True, False])
@pytest.mark.parametrize(
    ("answer", "codes", "body"),
    [
        (LENGTH_5 + b"hello", [200], b"hello"),
        (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", [200], b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: x\r\n\r\n", [200], b"hello"),
        (OK + b"\r\nhello", [200], b"hello"),
        (OK + b"\r\n", [200], b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", [204], b""),
        (EARLY + LENGTH_5 + b"hello", [103, 200], b"hello"),
        (EARLY + EARLY + LENGTH_5 + b"hello", [103, 103, 200], b"hello"),
    ],
)
async def test_nothing_is_lost(
    streams: Streams, answer: bytes, codes: list[int], body: bytes, slow: bool
) -> None:
    asking = Asking(streams, Busy(slow=slow), chunk_size=2)
    reading = await asking.answered(answer)
    assert await soon(reading) is False
    delegate = asking.delegate
    assert (delegate.codes, delegate.body, delegate.ended) == (codes, body, "finish")
    assert delegate.trailers == ([("X-Trailer", "x")] if b"X-Trailer" in answer else [])
    assert asking.checked.violations == []
    await until(lambda: asking.closed.count)
    assert asking.closed.count == 1


@pytest.mark.parametrize(
    "answer",
    [
        LENGTH_5 + b"hell",
        CHUNKED + b"5\r\nhell",
        CHUNKED + b"4\r\nhell\r\n",
        CHUNKED + b"4\r\nhell\r\n0\r\n",
    ],
)
async def test_what_was_cut_is_not_whole(streams: Streams, answer: bytes) -> None:
    asking = Asking(streams, Busy())
    reading = await asking.answered(answer)
    assert await soon(reading) is False
    assert (asking.delegate.body, asking.delegate.ended) == (b"hell", "close")
    assert asking.checked.calls.count("on_connection_close") == 1
    await until(lambda: asking.closed.count)


@pytest.mark.parametrize("answer", [EARLY, EARLY + OK])
async def test_no_response_behind_an_interim_one(streams: Streams, answer: bytes) -> None:
    asking = Asking(streams, Busy())
    assert await soon(await asking.answered(answer)) is False
    assert (asking.delegate.codes, asking.delegate.ended) == ([103], "close")


async def test_what_is_malformed_behind_the_head(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asking = Asking(streams, Busy())
    assert await soon(await asking.answered(CHUNKED + b"2\r\nhe\r\nzz\r\n")) is False
    assert (asking.delegate.body, asking.delegate.ended) == (b"he", "close")
    assert [r.levelname for r in caplog.records if "Malformed" in r.message] == ["INFO"]


async def test_a_whole_response_outlives_a_reset(streams: Streams) -> None:
    asking = Asking(streams, Busy())
    assert await soon(await asking.answered(LENGTH_5 + b"hello", Peer.reset)) is False
    assert (asking.delegate.body, asking.delegate.ended) == (b"hello", "finish")


@pytest.mark.parametrize("answer", [LENGTH_5 + b"hell", OK + b"\r\nhell"])
async def test_a_reset_ends_no_response(streams: Streams, answer: bytes) -> None:
    """Not even one that the end of the connection would end (RFC 9112, 8)."""
    asking = Asking(streams, Busy())
    reading = await asking.answered(answer, Peer.reset)
    with pytest.raises(StreamClosedError) as caught:
        await soon(reading)
    assert isinstance(caught.value.real_error, ConnectionResetError)
    assert (asking.delegate.body, asking.delegate.ended) == (b"hell", "close")
    assert asking.checked.violations == []


async def test_who_closes_hears_no_more(streams: Streams) -> None:
    asking = Asking(streams, Busy())
    reading = asking.read()
    await asking.peer.send(LENGTH_5 + b"hello")
    await soon(asking.delegate.told.wait())
    asking.stream.close()
    await until(lambda: asking.stream.socket is None)
    asking.delegate.free.set()
    assert await soon(reading) is False
    assert (asking.delegate.body, asking.delegate.ended) == (b"", "close")


async def test_a_delegate_that_fails_behind_the_end(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Busy):
        def data_received(self, chunk: bytes) -> Awaitable[None] | None:
            raise LookupError

    asking = Asking(streams, Failing())
    assert await soon(await asking.answered(LENGTH_5 + b"hello")) is False
    assert asking.delegate.ended == "close"
    assert "Uncaught exception in a message delegate" in caplog.text


# -- errors


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 2", LENGTH_5 + b"hel", OK + b"\r\nhel"])
async def test_a_reset_is_told(
    streams: Streams, begin: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """To whoever waits for the response and to the delegate, which may pass it on."""

    class PassingOn(Busy):
        def on_connection_close(self) -> None:
            super().on_connection_close()
            raise stream.error

    delegate = PassingOn(slow=False)
    delegate.free.set()
    asking = Asking(streams, delegate)
    stream = asking.stream
    reading = asking.connection.read_response(delegate)
    await asking.peer.send(begin or b"\r\n")
    await asking.peer.take(len(REQUEST))
    if b"hel" in begin:
        await until(lambda: delegate.body)
        assert delegate.body == b"hel"
    asking.peer.reset()
    with pytest.raises(StreamClosedError) as caught:
        await soon(reading)
    assert isinstance(caught.value.real_error, ConnectionResetError)
    assert delegate.ended == "close"
    assert asking.closed.count == 0, "it has been said"
    assert caplog.records == []


async def test_another_error_of_a_delegate_is_logged(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Busy):
        def on_connection_close(self) -> None:
            raise LookupError

    asking = Asking(streams, Failing())
    reading = asking.connection.read_response(asking.delegate)
    await asking.peer.take(len(REQUEST))
    asking.peer.reset()
    with pytest.raises(StreamClosedError):
        await soon(reading)
    assert "Uncaught exception as a message ended" in caplog.text
    assert asking.closed.count == 1


async def test_nobody_has_to_look_at_the_error(streams: Streams) -> None:
    asking = Asking(streams, Busy())
    reading = asking.read()
    await asking.peer.take(len(REQUEST))
    asking.peer.reset()
    await until(reading.done)
    del reading  # or the fixture would find that its exception was never retrieved


# -- before anybody reads


async def test_an_answer_that_came_before_it_was_read(streams: Streams) -> None:
    """The server closed while the request was being written: its answer says why."""
    for answer, ended in (
        (LENGTH_5 + b"hello", "finish"),
        (LENGTH_5 + b"hell", "close"),
        (b"", "close"),
    ):
        delegate = Busy()
        delegate.free.set()
        asking = Asking(streams, delegate)
        await asking.peer.take(len(REQUEST))
        await asking.peer.send(answer)
        assert await stream_has_read(asking.stream, len(answer))
        asking.peer.close()
        await until(lambda asking=asking: asking.stream.socket is None)  # type: ignore[misc]
        assert await soon(asking.read()) is False
        assert delegate.ended == ended
        assert asking.checked.violations == []


# -- interim heads without end


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize(("count", "ended"), [(100, "finish"), (101, "close")])
async def test_interim_heads_are_bounded(
    streams: Streams, count: int, ended: str, busy: bool
) -> None:
    delegate = Busy()
    asking = Asking(streams, delegate)
    answer = EARLY * count + LENGTH_5 + b"hello"
    if busy:
        reading = await asking.answered(answer)
    else:
        delegate.free.set()
        reading = asking.read()
        await asking.peer.send(answer)
        await until(lambda: delegate.ended)
        asking.peer.close()
    await soon(reading)
    assert delegate.ended == ended
    assert delegate.codes == [103] * 100 + ([200] if ended == "finish" else [])


# -- the stream's side of it


async def test_take_close_callback(streams: Streams) -> None:
    stream, _ = streams.pair()
    assert stream.take_close_callback() is None
    closed = Calls()
    stream.set_close_callback(closed)
    assert stream.take_close_callback() is closed
    stream.close()
    assert closed.count == 0
