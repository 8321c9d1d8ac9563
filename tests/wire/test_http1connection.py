"""HTTP1Connection by itself: a client of our server and of hand-written ones, and a server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support import App, Delegate, get, post, soon, until

from tornadoish.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.testing import CheckedMessageDelegate, check_message_delegate

Serve = Callable[..., Awaitable[Any]]


class Response(HTTPMessageDelegate):
    """Collects a response, its interim heads too."""

    def __init__(self) -> None:
        self.heads: list[tuple[int, str]] = []
        self.headers = HTTPHeaders()
        self.body = b""
        self.ended = ""

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        self.heads.append((start_line.code, start_line.reason))
        self.headers = headers
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.body += chunk
        return None

    def finish(self) -> Awaitable[None] | None:
        self.ended = "finish"
        return None

    def on_connection_close(self) -> None:
        self.ended = "close"


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[IOStream]:
    stream = IOStream(socket.socket())
    await soon(stream.connect(("127.0.0.1", port)))
    try:
        yield stream
    finally:
        stream.close()
        await until(lambda: stream.socket is None)


class Asked:
    """What became of one request."""

    def __init__(self, response: Response, checked: CheckedMessageDelegate, lives: bool) -> None:
        self.response, self.lives = response, lives
        self.calls = checked.calls
        assert checked.violations == []
        assert checked.state == "ended"


async def ask(
    stream: IOStream,
    method: str = "GET",
    path: str = "/",
    body: bytes | None = None,
    params: HTTP1ConnectionParameters | None = None,
    response: Response | None = None,
    **headers: str,
) -> Asked:
    """One request and its response, read by a new HTTP1Connection."""
    connection = HTTP1Connection(stream, True, params)
    fields = HTTPHeaders({"Host": "x", **{k.replace("_", "-"): v for k, v in headers.items()}})
    if body is not None:
        fields["Content-Length"] = str(len(body))
    connection.write_headers(RequestStartLine(method, path, "HTTP/1.1"), fields, body)
    connection.finish()
    response = response or Response()
    checked = check_message_delegate(response)
    lives = await soon(connection.read_response(checked))
    return Asked(response, checked, lives)


@contextlib.asynccontextmanager
async def answering(*answers: bytes, close: bool = True) -> AsyncIterator[int]:
    """A server by hand: it reads one head and sends one of ``answers``, and so on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for answer in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            if not close:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
        await soon(done.wait())
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await soon(server.wait_closed())


async def ask_for(
    answer: bytes,
    method: str = "GET",
    params: HTTP1ConnectionParameters | None = None,
    *,
    close: bool = False,
) -> Asked:
    """One request to a server by hand, and what became of its ``answer``."""
    async with answering(answer, close=close) as port, connected(port) as stream:
        return await ask(stream, method, params=params)


# -- a client of our own server


async def test_request_after_request_on_one_stream(serve: Serve) -> None:
    served = await serve(App())
    async with connected(served.port) as stream:
        for number in range(5):
            asked = await ask(stream, "POST", f"/{number}", b"hello")
            assert (asked.response.heads, asked.response.body) == (
                [(200, "Status")],
                b"POST /%d hello" % number,
            )
            assert asked.lives
            assert not stream.closed()
            assert asked.calls == ["headers_received", "data_received", "finish"]


async def test_close(serve: Serve) -> None:
    served = await serve(App())
    async with connected(served.port) as stream:
        asked = await ask(stream, Connection="close")
        assert (asked.response.body, asked.lives) == (b"GET / ", False)
        assert stream.closed()


async def test_the_body_in_pieces_of_unknown_length(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with connected(served.port) as stream:
        connection = HTTP1Connection(stream, True)
        line = RequestStartLine("POST", "/", "HTTP/1.1")
        await connection.write_headers(line, HTTPHeaders({"Host": "x"}), b"one ")
        await connection.write(b"two ")
        response = Response()
        waiting = connection.read_response(check_message_delegate(response))
        await until(lambda: app.delegates and app.delegates[0].body == b"one two ")
        await connection.write(b"three")
        connection.finish()
        assert await soon(waiting) is True
        assert response.body == b"POST / one two three"
    assert app.delegates[0].headers["Transfer-Encoding"] == "chunked"


async def test_continue(serve: Serve) -> None:
    served = await serve(App())
    async with connected(served.port) as stream:
        connection = HTTP1Connection(stream, True)
        granted = asyncio.Event()

        class Waiting(Response):
            def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
                super().headers_received(start_line, headers)
                if start_line.code == 100:
                    granted.set()

        response = Waiting()
        fields = HTTPHeaders({"Host": "x", "Expect": "100-continue", "Content-Length": "5"})
        connection.write_headers(RequestStartLine("PUT", "/", "HTTP/1.1"), fields)
        checked = check_message_delegate(response)
        waiting = connection.read_response(checked)
        await soon(granted.wait())
        connection.write(b"hello")
        connection.finish()
        assert await soon(waiting) is True
        assert [code for code, _ in response.heads] == [100, 200]
        assert response.body == b"PUT / hello"
        assert checked.violations == []


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_head_and_get_in_turn(serve: Serve, method: str) -> None:
    served = await serve(App())
    async with connected(served.port) as stream:
        for each in (method, "GET", "HEAD", "GET"):
            asked = await ask(stream, each)
            assert asked.response.headers["Content-Length"] == str(len(f"{each} / "))
            assert asked.response.body == (b"" if each == "HEAD" else b"GET / ")
            assert asked.lives


async def test_304(serve: Serve) -> None:
    served = await serve(App(on_finish=lambda d: d.answer(status=304, Etag='"x"')))
    async with connected(served.port) as stream:
        for _ in range(2):
            asked = await ask(stream)
            assert (asked.response.heads[0][0], asked.response.body) == (304, b"")
            assert (asked.lives, asked.calls) == (True, ["headers_received", "finish"])


async def test_an_answer_before_the_request_is_written(serve: Serve) -> None:
    served = await serve(App(on_headers=lambda d: d.answer(b"no", 403)))
    async with connected(served.port) as stream:
        connection = HTTP1Connection(stream, True)
        fields = HTTPHeaders({"Host": "x", "Content-Length": "5"})
        connection.write_headers(RequestStartLine("PUT", "/", "HTTP/1.1"), fields)
        response = Response()
        waiting = connection.read_response(check_message_delegate(response))
        await until(lambda: response.ended)
        assert not waiting.done(), "our own half is not through"
        connection.write(b"hello")
        connection.finish()
        assert await soon(waiting) is True
        assert (response.heads[0][0], response.body) == (403, b"no")


async def test_awaitables_of_the_delegate_are_waited_for(serve: Serve) -> None:
    served = await serve(App(on_finish=lambda d: d.answer(b"x" * 300_000)))

    class Slow(Response):
        async def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            super().headers_received(start_line, headers)

        async def data_received(self, chunk: bytes) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            super().data_received(chunk)

        async def finish(self) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            super().finish()

    async with connected(served.port) as stream:
        asked = await ask(stream, response=Slow())
        assert (len(asked.response.body), asked.response.ended) == (300_000, "finish")
        assert asked.lives


# -- a client of servers written by hand


@pytest.mark.parametrize(
    ("answer", "code", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (b"HTTP/1.1 500\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"2;x\r\nhi\r\n0\r\nA: b\r\n\r\n", 500, b"hi"),
    ],
)  # fmt: skip
async def test_answers_that_are_the_last(answer: bytes, code: int, body: bytes) -> None:
    asked = await ask_for(answer, close=True)
    assert (asked.response.heads[0][0], asked.response.body) == (code, body)
    assert (asked.response.ended, asked.lives) == ("finish", False)


async def test_keep_alive_and_what_has_arrived_too_early() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    async with answering(one + b"one" + one + b"two", close=False) as port:
        async with connected(port) as stream:
            first = await ask(stream)
            second = await ask(stream)
            assert (first.response.body, second.response.body) == (b"one", b"two")
            assert second.lives


async def test_nothing_is_read_before_somebody_asks() -> None:
    """Not even where the response has arrived before the request is finished."""
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    async with answering(one + b"one" + one + b"two", close=False) as port:
        async with connected(port) as stream:
            await ask(stream)
            connection = HTTP1Connection(stream, True)
            line = RequestStartLine("GET", "/", "HTTP/1.1")
            connection.write_headers(line, HTTPHeaders({"Host": "x"}))
            connection.finish()
            for _ in range(5):
                await asyncio.sleep(0)
            response = Response()
            assert await soon(connection.read_response(check_message_delegate(response))) is True
            assert (response.heads, response.body) == ([(200, "OK")], b"two")


async def test_interim_answers() -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    )
    asked = await ask_for(answer)
    assert [code for code, _ in asked.response.heads] == [103, 103, 200]
    assert (asked.response.body, asked.lives) == (b"hi", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_cut_answers(answer: bytes) -> None:
    asked = await ask_for(answer, close=True)
    assert (asked.response.ended, asked.lives) == ("close", False)
    assert asked.calls.count("on_connection_close") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"\x00",
        b"HTTP/1.1 200 OK\r\nA\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    ],
)
async def test_malformed_answers(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tornado.general")
    async with answering(answer, close=False) as port, connected(port) as stream:
        asked = await ask(stream)
        assert (asked.response.ended, asked.lives) == ("close", False)
        assert stream.closed()
    assert len([r for r in caplog.records if r.name == "tornado.general"]) == 1


async def test_too_large_an_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901"
    asked = await ask_for(answer, params=HTTP1ConnectionParameters(max_body_size=10))
    assert (asked.response.ended, asked.response.body) == ("close", b"")


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_an_answer_that_does_not_come(begin: bytes) -> None:
    asked = await ask_for(begin, params=HTTP1ConnectionParameters(header_timeout=0.05))
    assert (asked.response.ended, asked.lives) == ("close", False)


async def test_a_body_that_does_not_come() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"
    asked = await ask_for(answer, params=HTTP1ConnectionParameters(body_timeout=0.05))
    assert (asked.response.ended, asked.response.body) == ("close", b"hi")


async def test_decompress() -> None:
    body = gzip.compress(b"hello", mtime=0)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    asked = await ask_for(answer + body, params=HTTP1ConnectionParameters(decompress=True))
    assert (asked.response.body, asked.lives) == (b"hello", True)


async def test_decompress_the_answer_to_a_head() -> None:
    """It names a coding and has no body: nothing is missing."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
    asked = await ask_for(answer, "HEAD", HTTP1ConnectionParameters(decompress=True))
    assert (asked.response.ended, asked.lives) == ("finish", True)


async def test_switching_protocols() -> None:
    streams: list[IOStream] = []
    answer = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nnot HTTP"
    async with answering(answer, close=False) as port, connected(port) as stream:
        connection = HTTP1Connection(stream, True)

        class Switching(Response):
            def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
                super().headers_received(start_line, headers)
                streams.append(connection.detach())

        fields = HTTPHeaders({"Host": "x", "Upgrade": "x", "Connection": "upgrade"})
        connection.write_headers(RequestStartLine("GET", "/", "HTTP/1.1"), fields)
        connection.finish()
        checked = check_message_delegate(Switching())
        assert await soon(connection.read_response(checked)) is False
        assert streams == [stream]
        assert await soon(stream.read_bytes(8)) == b"not HTTP"
        assert checked.violations == []
        assert checked.state == "ended"


async def test_a_delegate_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Response):
        def data_received(self, chunk: bytes) -> None:
            raise ZeroDivisionError

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    async with answering(answer, close=False) as port, connected(port) as stream:
        asked = await ask(stream, response=Failing())
        assert (asked.response.ended, asked.lives) == ("close", False)
        assert stream.closed()
    assert [r.levelno for r in caplog.records if r.name == "tornado.application"] == [logging.ERROR]


async def test_reading_from_a_stream_that_is_closed() -> None:
    async with answering(b"", close=True) as port, connected(port) as stream:
        connection = HTTP1Connection(stream, True)
        stream.close()
        await until(lambda: stream.socket is None)
        response = Response()
        assert await soon(connection.read_response(check_message_delegate(response))) is False
        assert response.ended == "close"
        with pytest.raises(StreamClosedError):
            await connection.write_headers(
                RequestStartLine("GET", "/", "HTTP/1.1"), HTTPHeaders({"Host": "x"})
            )
        # the hand-written server waits for somebody
        async with connected(port) as other:
            await other.write(get())


async def test_the_client_writes_less_than_it_said() -> None:
    async with answering(b"", close=False) as port, connected(port) as stream:
        connection = HTTP1Connection(stream, True)
        fields = HTTPHeaders({"Host": "x", "Content-Length": "5"})
        connection.write_headers(RequestStartLine("PUT", "/", "HTTP/1.1"), fields, b"hi")
        with pytest.raises(HTTPOutputError):
            connection.finish()
        assert stream.closed()


# -- as a server without a server connection


async def test_one_request_read_and_answered() -> None:
    left, right = socket.socketpair()
    ours, theirs = IOStream(left), IOStream(right)
    try:
        await theirs.write(post(b"hello") + get("/next"))
        for path, body in (("/", b"hello"), ("/next", b"")):
            connection = HTTP1Connection(ours, False)
            delegate = Delegate(App(), connection)
            checked = check_message_delegate(delegate)
            assert await soon(connection.read_response(checked)) is True
            assert (delegate.line.path, delegate.body) == (path, body)
            answer = await soon(theirs.read_until(delegate.line.path.encode() + b" " + body))
            assert answer.startswith(b"HTTP/1.1 200 Status\r\n")
            assert checked.violations == []
    finally:
        ours.close()
        theirs.close()
        await until(lambda: ours.socket is None and theirs.socket is None)


async def test_a_malformed_request_is_answered() -> None:
    left, right = socket.socketpair()
    ours, theirs = IOStream(left), IOStream(right)
    try:
        await theirs.write(b"GARBAGE\r\n\r\n")
        connection = HTTP1Connection(ours, False)
        delegate = Delegate(App(), connection)
        waiting = connection.read_response(check_message_delegate(delegate))
        assert (await soon(theirs.read_until_close())).startswith(b"HTTP/1.1 400 ")
        assert await soon(waiting) is False
        assert delegate.ended == "close"
    finally:
        ours.close()
        theirs.close()
        await until(lambda: ours.socket is None and theirs.socket is None)


async def test_a_message_of_a_server_connection_is_not_read_twice(serve: Serve) -> None:
    errors: list[BaseException] = []

    def on_finish(delegate: Delegate) -> None:
        try:
            delegate.connection.read_response(delegate)
        except RuntimeError as error:
            errors.append(error)
        delegate.answer(b"x")

    served = await serve(App(on_finish=on_finish))
    async with connected(served.port) as stream:
        await ask(stream)
    assert len(errors) == 1


def test_parameters_are_frozen_and_mean_what_they_say() -> None:
    params = HTTP1ConnectionParameters(max_body_size=0, max_header_size=10)
    assert params.bounds(5, is_client=False).body_bytes == 0
    assert params.bounds(5, is_client=False).header_bytes == 10
    assert HTTP1ConnectionParameters().bounds(5, is_client=True).body_bytes == 5
    with pytest.raises(AttributeError):
        params.max_body_size = 1  # type: ignore[misc]


async def test_a_response_line_is_written_by_a_server_only(serve: Serve) -> None:
    """What kind of head is written is decided by what it is."""
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with connected(served.port) as stream:
        await stream.write(get())
        await soon(app.something.wait())
        line = ResponseStartLine("HTTP/1.0", 299, "Ours")
        await app.delegates[0].connection.write_headers(line, HTTPHeaders(), b"x")
        answer = await soon(stream.read_until(b"\r\n\r\n"))
        assert answer.startswith(b"HTTP/1.1 299 Ours\r\n")
