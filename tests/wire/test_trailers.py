"""Trailers, both ways: fields behind a chunked body (RFC 9110, 6.5; RFC 9112, 7.1.2)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import App, Client, Delegate, get, post, raw, soon, until

from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerRequest,
    ResponseStartLine,
)
from tornadoish.httputil.trailers import NOT_IN_TRAILERS
from tornadoish.routing import Rule, RuleRouter
from tornadoish.testing import check_message_delegate
from tornadoish.web import Application, RequestHandler, stream_request_body

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
CHUNKED = get("/", "Transfer-Encoding: chunked")
BODY = b"5\r\nhello\r\n0\r\n"
CLOSED = "Connection: close"


def request(*trailers: str, head: bytes = CHUNKED) -> bytes:
    """A request with a chunked body and these trailer fields."""
    return head + BODY + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


class Listening(Delegate):
    """A delegate that hears of trailers, too."""

    trailers: HTTPHeaders | None = None

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        self.trailers = trailers
        heard: Awaitable[None] | None = self.app.on_trailers(self)  # type: ignore[attr-defined]
        return heard


class ListeningApp(App):
    def on_trailers(self, delegate: Delegate) -> Awaitable[None] | None:
        return None

    def start_request(self, server_conn: object, request_conn: Any) -> Delegate:
        delegate = Listening(self, request_conn)
        self.delegates.append(delegate)
        return delegate


async def ask(served: Any, data: bytes) -> bytes:
    """The body of the answer."""
    async with Client.connect(served.port) as client:
        await client.send(data)
        body: bytes = (await client.response("POST")).body
        return body


# -- of a request


async def test_a_delegate_hears_of_trailers(serve: Serve) -> None:
    app = ListeningApp()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(request("Digest: abc", "A: b", "a: c") + request() + get())
        for _ in range(3):
            assert (await client.response()).status == 200
    first, *others = [delegate.trailers for delegate in app.delegates]  # type: ignore[attr-defined]
    assert list(first.get_all()) == [("Digest", "abc"), ("A", "b"), ("A", "c")]
    assert others == [None, None], "no call without any"
    assert [checked.calls for checked in served.checked.delegates] == [
        ["headers_received", "data_received", "trailers_received", "finish"],
        ["headers_received", "data_received", "finish"],
        ["headers_received", "finish"],
    ]


async def test_what_is_awaited_is_waited_for(serve: Serve) -> None:
    gate = asyncio.Event()

    async def on_trailers(delegate: Delegate) -> None:
        app.something.set()
        await gate.wait()

    app = ListeningApp(on_trailers=on_trailers)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(request("A: b") + get())
        await soon(app.something.wait())
        assert app.delegates[0].ended == ""
        gate.set()
        assert (await client.response()).body == b"GET / hello"
        assert (await client.response()).body == b"GET / "


@pytest.mark.parametrize("how", ["raises", "raises later", "goes away", "answers"])
async def test_what_may_happen_at_them(serve: Serve, how: str) -> None:
    """The contract holds; whoever looks for a word of the delegate's gets one."""

    async def later(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    def on_trailers(delegate: Delegate) -> Awaitable[None] | None:
        if how == "raises":
            raise ZeroDivisionError
        if how == "goes away":
            delegate.connection.close()
        elif how == "answers":
            delegate.answer(b"early")
        return later(delegate) if how == "raises later" else None

    app = ListeningApp(
        on_trailers=on_trailers,
        on_finish=lambda d: None if how == "answers" else d.answer(b"late"),
    )
    served = await serve(app)
    answer = await raw(
        served.port, request("A: b", head=get("/", CLOSED, "Transfer-Encoding: chunked"))
    )
    await until(lambda: app.closed)
    if how == "goes away":
        assert answer == b""
    else:
        assert answer.startswith(b"HTTP/1.1 200" if how == "answers" else b"HTTP/1.1 500")
    ended = "finish" if how == "answers" else "close"
    assert app.delegates[0].ended == ended


async def test_the_client_goes_away_at_them(serve: Serve) -> None:
    gate = asyncio.Event()

    async def on_trailers(delegate: Delegate) -> None:
        app.something.set()
        await gate.wait()

    app = ListeningApp(on_trailers=on_trailers)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(request("A: b"))
        await soon(app.something.wait())
    await until(served.connections[0].stream.closed)
    gate.set()
    await until(lambda: app.closed)
    assert app.delegates[0].ended == "close"


async def test_a_delegate_that_knows_none(serve: Serve) -> None:
    """Of Tornado's interface: it has no such method."""

    class Old:
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def headers_received(self, start_line: Any, headers: Any) -> None: ...

        def data_received(self, chunk: bytes) -> None: ...

        def finish(self) -> None:
            self.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"ok")
            self.connection.finish()

        def on_connection_close(self) -> None: ...

    app = App(start_request=lambda server_conn, connection: Old(connection))
    served = await serve(app, check=False)
    assert await ask(served, request("A: b")) == b"ok"


@pytest.mark.parametrize("name", sorted(NOT_IN_TRAILERS))
async def test_what_must_not_stand_there_is_dropped(serve: Serve, name: str) -> None:
    """RFC 9110, 6.5.1: framing, routing, request modifiers, authentication and the like."""
    app = ListeningApp()
    served = await serve(app)
    assert await ask(served, request(f"{name.title()}: 1", "A: b")) == b"GET / hello"
    assert await ask(served, request(f"{name.upper()}: 1")) == b"GET / hello"
    some, none = [delegate.trailers for delegate in app.delegates]  # type: ignore[attr-defined]
    assert list(some.get_all()) == [("A", "b")]
    assert none is None
    assert name not in app.delegates[0].headers or name in ("host", "transfer-encoding")


async def test_they_come_through_everything_in_between(serve: Serve) -> None:
    """Decompression, proxies, routers, the checker: each passes them on."""
    seen: list[Any] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            seen.append((self.request.body, self.request.trailers))
            self.write("ok")

    inner = Application([("/", Handler)])
    from tornadoish.routing import AnyMatches

    router = RuleRouter([Rule(AnyMatches(), RuleRouter([Rule(AnyMatches(), inner)]))])
    served = await serve(router, decompress_request=True, xheaders=True)
    assert await ask(served, request("A: b")) == b"ok"
    ((body, trailers),) = seen
    assert (body, dict(trailers)) == (b"hello", {"A": "b"})


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_handler_finds_them_in_its_request(serve: Serve, streamed: bool) -> None:
    seen: list[Any] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            seen.append(self.request.trailers)
            self.write("ok")

    class Streamed(Handler):
        async def prepare(self) -> None:
            seen.append(self.request.trailers)

        async def data_received(self, chunk: bytes) -> None:
            seen.append(self.request.trailers)

    handler = stream_request_body(Streamed) if streamed else Handler
    served = await serve(Application([("/", handler)]))
    assert await ask(served, request("A: b")) == b"ok"
    assert await ask(served, get()) == b"ok"
    before = [None, None] if streamed else []
    assert [t if t is None else dict(t) for t in seen] == [
        *before, {"A": "b"}, *before[1:], None,
    ]  # fmt: skip


async def test_a_callback_finds_them_in_its_request(serve: Serve) -> None:
    seen: list[Any] = []

    def hello(request: HTTPServerRequest) -> None:
        seen.append(request.trailers)
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"hi")
        request.connection.finish()

    served = await serve(hello)
    assert await ask(served, request("A: b")) == b"hi"
    assert await ask(served, get()) == b"hi"
    assert dict(seen[0]) == {"A": "b"}
    assert seen[1] is None


# -- of an answer

FIELDS = {"Digest": "abc", "A": "b"}
TAIL = b"0\r\nDigest: abc\r\nA: b\r\n\r\n"


def answers(**fields: str) -> App:
    """Answers with a piece of a body, and with trailers."""

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(OK, HTTPHeaders(fields), b"body")
        delegate.connection.finish(HTTPHeaders(FIELDS))

    return App(on_finish=on_finish)


async def test_an_answer_with_trailers(serve: Serve) -> None:
    served = await serve(answers())
    answer = await raw(served.port, get() + get("/", CLOSED))
    assert answer.count(b"4\r\nbody\r\n" + TAIL) == 2
    assert answer.endswith(TAIL)


@pytest.mark.parametrize("kind", ["HTTP/1.0", "HEAD", "length", "204", "no trailers", "none"])
async def test_where_there_is_no_place_for_them(serve: Serve, kind: str) -> None:
    """They are dropped, as any recipient may do; all else is as ever."""

    def on_finish(delegate: Delegate) -> None:
        trailers = {"no trailers": HTTPHeaders(), "none": None}.get(kind, HTTPHeaders(FIELDS))
        fields = HTTPHeaders({"Content-Length": "4"} if kind == "length" else {})
        line = ResponseStartLine("", 204, "x") if kind == "204" else OK
        delegate.connection.write_headers(line, fields, b"" if kind == "204" else b"body")
        delegate.connection.finish(trailers)

    served = await serve(App(on_finish=on_finish))
    line = {"HTTP/1.0": b"GET / HTTP/1.0", "HEAD": b"HEAD / HTTP/1.1"}
    data = line.get(kind, b"GET / HTTP/1.1") + b"\r\nHost: x\r\nConnection: close\r\n\r\n"
    head, _, body = (await raw(served.port, data)).partition(b"\r\n\r\n")
    assert body == {
        "HEAD": b"", "204": b"", "no trailers": b"4\r\nbody\r\n0\r\n\r\n",
        "none": b"4\r\nbody\r\n0\r\n\r\n",
    }.get(kind, b"body")  # fmt: skip
    assert b"Digest" not in head


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Set-Cookie", "host"])
async def test_what_must_not_be_sent_there(serve: Serve, name: str) -> None:
    """An error, and the answer must not look whole."""
    errors: list[Exception] = []

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(OK, HTTPHeaders(), b"body")
        try:
            delegate.connection.finish(HTTPHeaders({name: "1"}))
        except HTTPOutputError as error:
            errors.append(error)

    served = await serve(App(on_finish=on_finish))
    answer = await raw(served.port, get())
    assert answer.endswith(b"4\r\nbody\r\n")
    assert len(errors) == 1


class Sums(RequestHandler):
    """Sends a checksum behind its body."""

    async def get(self, kind: str) -> None:
        if kind == "length":
            self.set_header("Content-Length", "4")
        self.set_trailer("X-Sum", 17)
        self.write("body")
        if kind == "flushed":
            await self.flush()
            self.set_trailer("X-Sum", "18")
        elif kind == "cleared":
            self.clear()
            self.write("other")

    head = get


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", b"4\r\nbody\r\n0\r\nX-Sum: 17\r\n\r\n"),
        ("flushed", b"4\r\nbody\r\n0\r\nX-Sum: 18\r\n\r\n"),
        ("length", b"body"),
        ("cleared", b"other"),
    ],
)
async def test_a_handler_s_trailers(serve: Serve, kind: str, body: bytes) -> None:
    served = await serve(Application([("/(.*)", Sums)]))
    answer = await raw(served.port, get(f"/{kind}", CLOSED))
    assert answer.partition(b"\r\n\r\n")[2] == body
    answer = await raw(served.port, get(f"/{kind}", version="HTTP/1.0"))
    assert answer.partition(b"\r\n\r\n")[2] in (b"body", b"other")
    answer = await raw(served.port, get(f"/{kind}", CLOSED).replace(b"GET", b"HEAD"))
    assert answer.partition(b"\r\n\r\n")[2] == b""


async def test_a_1_0_client_of_a_handler_with_trailers_keeps_its_connection(serve: Serve) -> None:
    """Its answer has a length, so it need not end with the connection."""
    served = await serve(Application([("/(.*)", Sums)]))
    async with Client.connect(served.port) as client:
        for _ in range(2):
            await client.send(get("/", "Connection: keep-alive", version="HTTP/1.0"))
            answer = await client.response()
            assert (answer.body, answer.headers["content-length"]) == (b"body", "4")


async def test_an_entity_that_the_client_has(serve: Serve) -> None:
    """A 304 has no body, and nothing behind it."""
    served = await serve(Application([("/(.*)", Sums)]))
    async with Client.connect(served.port) as client:
        await client.send(get())
        tag = (await client.response()).headers["etag"]
        await client.send(get("/", f"If-None-Match: {tag}") + get("/length", CLOSED))
        assert (await client.response()).status == 304
        assert (await client.response()).body == b"body"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("A", "b\r\nc: d", ValueError),
        ("A\r\nb", "c", ValueError),
        ("A", "\u20ac", ValueError),
        ("A", 1.5, TypeError),
        ("Content-Length", "1", ValueError),
        ("set-cookie", "a=b", ValueError),
    ],
)
async def test_trailers_that_a_handler_must_not_set(
    serve: Serve, name: str, value: Any, error: type[Exception]
) -> None:
    """It is told at once, when there is still an answer to be given."""
    caught: list[type[Exception]] = []

    class Handler(RequestHandler):
        def get(self) -> None:
            try:
                self.set_trailer(name, value)
            except (ValueError, TypeError) as raised:
                caught.append(type(raised))
            self.write("body")

    served = await serve(Application([("/", Handler)]))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).body == b"body"
    assert issubclass(caught[0], error)


async def test_a_client_of_ours_hears_of_them(serve: Serve) -> None:
    import socket

    from tornadoish.http1connection import HTTP1Connection
    from tornadoish.httputil import RequestStartLine
    from tornadoish.iostream import IOStream

    heard: list[Any] = []

    class Response(HTTPMessageDelegate):
        def trailers_received(self, trailers: HTTPHeaders) -> None:
            heard.append(dict(trailers))

        def finish(self) -> None:
            heard.append("finish")

    served = await serve(answers())
    stream = IOStream(socket.socket())
    await soon(stream.connect(("127.0.0.1", served.port)))
    for _ in range(2):
        connection = HTTP1Connection(stream, is_client=True)
        line = RequestStartLine("POST", "/", "HTTP/1.1")
        connection.write_headers(line, HTTPHeaders({"Host": "x"}), b"body")
        connection.finish(HTTPHeaders({"C": "d"}))
        checked = check_message_delegate(Response())
        assert await soon(connection.read_response(checked))
        assert checked.violations == []
    assert heard == [FIELDS, "finish"] * 2
    stream.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_reads_them(serve: Serve) -> None:
    served = await serve(answers())
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-D", "-", f"http://127.0.0.1:{served.port}/",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await soon(process.communicate())
    assert process.returncode == 0, out
    assert out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"body" in out
    assert b"Digest: abc\r\nA: b\r\n" in out, "curl passes trailers on as it does header fields"


async def test_trailers_that_come_slowly_belong_to_their_request(serve: Serve) -> None:
    """Byte by byte, and the next request right behind."""
    app = ListeningApp()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await until(lambda: served.connections)
        stream = served.connections[0].stream
        for byte in request("A: b", "C: d") + post(b"x"):
            stream.data_received(bytes([byte]))
        assert (await client.response()).body == b"GET / hello"
        assert (await client.response()).body == b"POST / x"
    trailers = app.delegates[0].trailers  # type: ignore[attr-defined]
    assert dict(trailers) == {"A": "b", "C": "d"}
    assert app.delegates[1].trailers is None  # type: ignore[attr-defined]
