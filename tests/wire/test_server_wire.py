"""A server over real sockets: what goes over the wire, request after request on one connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support import CLOSE, App, Client, Delegate, get, post, raw, soon

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornadoish.netutil import bind_unix_socket

Serve = Callable[..., Awaitable[Any]]


class CountingTransport:
    """A transport that writes down what is written to it."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(bytes(data))
        self._transport.write(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self._writes.append(b"".join(pieces))
        self._transport.writelines(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class CountingServer(HTTPServer):
    """Counts the writes of its transports."""

    writes: list[bytes]

    def handle_stream(self, stream: Any, address: Any) -> Any:
        self.writes = []
        stream._transport = CountingTransport(stream._transport, self.writes)
        return super().handle_stream(stream, address)


# -- keep-alive


@pytest.mark.parametrize(
    ("version", "field", "lives"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "Connection: close", False),
        ("HTTP/1.1", "Connection: x, Close", False),
        ("HTTP/1.1", "Connection: keep-alive", True),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "Connection: keep-alive", True),
        ("HTTP/1.0", "Connection: close", False),
    ],
)
async def test_keep_alive(serve: Serve, version: str, field: str | None, lives: bool) -> None:
    served = await serve(App())
    request = get("/", *([field] if field else []), version=version)
    async with Client.connect(served.port) as client:
        for number in range(2):
            await client.send(request)
            answer = await client.response()
            assert (answer.status, answer.body) == (200, b"GET / ")
            connection = answer.headers.get("connection")
            if not lives:
                assert connection == "close"
                assert await client.eof() == b""
                return
            assert connection == ("keep-alive" if version == "HTTP/1.0" else None)
            assert len(served.checked.delegates) == number + 1


async def test_no_keep_alive(serve: Serve) -> None:
    served = await serve(App(), no_keep_alive=True)
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        answer = await client.response()
        assert answer.headers["connection"] == "close"
        assert await client.eof() == b""
    assert len(served.checked.delegates) == 1


async def test_a_message_may_close_the_connection_behind_it(serve: Serve) -> None:
    def on_headers(delegate: Delegate) -> None:
        delegate.connection.no_keep_alive = True

    served = await serve(App(on_headers=on_headers))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).headers["connection"] == "close"
        assert await client.eof() == b""


async def test_a_request_that_comes_in_pieces(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        for byte in post(b"hello", "A: b"):
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.response()).body == b"POST / hello"
    assert app.delegates[0].headers["A"] == "b"


# -- pipelining


def answers_at_once(delegate: Delegate) -> None:
    delegate.answer(delegate.line.path.encode())


async def answers_in_a_coroutine(delegate: Delegate) -> None:
    await asyncio.sleep(0)
    delegate.answer(delegate.line.path.encode())


def answers_later(delegate: Delegate) -> None:
    asyncio.get_running_loop().call_soon(answers_at_once, delegate)


KINDS: dict[str, list[Callable[[Delegate], Any]]] = {
    "sync": [answers_at_once],
    "coroutine": [answers_in_a_coroutine],
    "later": [answers_later],
    "mixed": [answers_at_once, answers_in_a_coroutine, answers_later, answers_at_once],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_pipelined_answers_come_in_order(serve: Serve, kind: str) -> None:
    kinds = KINDS[kind]
    served = await serve(App(on_finish=lambda d: kinds[int(d.line.path[1:]) % len(kinds)](d)))
    async with Client.connect(served.port) as client:
        await client.send(b"".join(get(f"/{n}") for n in range(150)))
        assert [(await client.response()).body for _ in range(150)] == [
            b"/%d" % n for n in range(150)
        ]
    assert len(served.checked.delegates) == 150


async def test_pipelined_bodies(serve: Serve) -> None:
    served = await serve(App())
    chunked = get("/c", "Transfer-Encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n"
    async with Client.connect(served.port) as client:
        await client.send((post(b"GET / HTTP/1.1\r\n\r\n") + chunked + get("/g")) * 3)
        bodies = [(await client.response()).body for _ in range(9)]
    assert bodies == [b"POST / GET / HTTP/1.1\r\n\r\n", b"GET /c hi", b"GET /g "] * 3


async def test_one_request_is_one_write(serve: Serve) -> None:
    served = await serve(App(), server_class=CountingServer)
    async with Client.connect(served.port) as client:
        for _ in range(3):
            await client.send(get())
            await client.response()
    assert len(served.server.writes) == 3


async def test_answers_to_one_read_are_one_write(serve: Serve) -> None:
    served = await serve(App(), server_class=CountingServer)
    async with Client.connect(served.port) as client:
        await client.send(get() * 40)
        for _ in range(40):
            await client.response()
    assert len(served.server.writes) == 1


async def test_nobody_is_asked_while_the_one_before_is_unanswered(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/1") + get("/2"))
        await soon(app.something.wait())
        await client.send(get("/3"))
        await asyncio.sleep(0.01)  # nothing is to happen
        assert len(app.delegates) == 1
        answers_at_once(app.delegates[0])
        assert (await client.response()).body == b"/1"
        assert len(app.delegates) == 2
        answers_at_once(app.delegates[1])
        assert (await client.response()).body == b"/2"
        app.delegates[-1].answer(b"third")
        assert (await client.response()).body == b"third"


# -- Expect: 100-continue (RFC 9110, 10.1.1)

EXPECT = "Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_continue_granted(serve: Serve) -> None:
    served = await serve(App())
    head, body = post(b"hello", EXPECT)[:-5], b"hello"
    async with Client.connect(served.port) as client:
        for _ in range(2):
            await client.send(head)
            assert await client.more() == CONTINUE
            await client.send(body)
            assert (await client.response("POST")).body == b"POST / hello"


async def test_continue_granted_when_the_delegate_is_ready(serve: Serve) -> None:
    gate = asyncio.Event()

    async def on_headers(delegate: Delegate) -> None:
        await gate.wait()

    served = await serve(App(on_headers=on_headers))
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello", EXPECT)[:-5])
        waiting = asyncio.ensure_future(client.more())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        gate.set()
        assert await waiting == CONTINUE
        await client.send(b"hello")
        assert (await client.response()).body == b"POST / hello"


async def test_continue_refused_by_the_application(serve: Serve) -> None:
    app = App(on_headers=lambda delegate: delegate.answer(b"no", 403))
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello", EXPECT)[:-5])
        answer = await client.response()
        assert (answer.status, answer.body, answer.interim) == (403, b"no", [])
        assert answer.headers["connection"] == "close", "whether the body comes, nobody knows"
        assert await client.eof() == b""
    assert app.delegates[0].ended == "close"


@pytest.mark.parametrize("expect", [EXPECT, "Expect: tea"])
async def test_continue_refused_by_the_server(serve: Serve, expect: str) -> None:
    app = App()
    served = await serve(app, max_body_size=4)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello", expect)[:-5])
        answer = await client.response()
        assert answer.status == (413 if expect == EXPECT else 417)
        assert answer.interim == []
        assert await client.eof() == b""


async def test_no_continue_for_a_1_0_client(serve: Serve) -> None:
    served = await serve(App())
    data = f"POST / HTTP/1.0\r\n{EXPECT}\r\nContent-Length: 2\r\n\r\nhi".encode()
    answer = await raw(served.port, data)
    assert answer.startswith(b"HTTP/1.1 200")
    assert CONTINUE not in answer


# -- bodies that are not there


async def test_head(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get())
        answer = await client.response("HEAD")
        assert (answer.status, answer.headers["content-length"]) == (200, "7")
        assert (await client.response()).body == b"GET / "


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(serve: Serve, status: int) -> None:
    served = await serve(App(on_finish=lambda delegate: delegate.answer(status=status)))
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        for _ in range(2):
            answer = await client.response()
            assert answer.status == status
            assert "content-length" not in answer.headers
            assert "transfer-encoding" not in answer.headers


# -- chunks


async def test_chunked_in(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    body = b'3;x="y"\r\nabc\r\n00A\r\n0123456789\r\n0;end\r\nA: b\r\nHost: evil\r\n\r\n'
    async with Client.connect(served.port) as client:
        await client.send(get("/", "Transfer-Encoding: chunked") + body + get("/next"))
        assert (await client.response()).body == b"GET / abc0123456789"
        assert (await client.response()).body == b"GET /next "
    assert app.delegates[0].headers.get_list("Host") == ["x"]
    assert "A" not in app.delegates[0].headers


async def test_chunked_out(serve: Serve) -> None:
    async def on_finish(delegate: Delegate) -> None:
        connection = delegate.connection
        await connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"one ")
        for piece in (b"two ", b"", b"three"):
            await connection.write(piece)
            await asyncio.sleep(0)
        connection.finish()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        for _ in range(2):
            answer = await client.response()
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.body == b"one two three"


async def test_a_1_0_client_gets_no_chunks(serve: Serve) -> None:
    def on_finish(delegate: Delegate) -> None:
        connection = delegate.connection
        connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"one ")
        connection.write(b"two")
        connection.finish()

    served = await serve(App(on_finish=on_finish))
    keep = "Connection: keep-alive"
    head, _, body = (await raw(served.port, get("/", keep, version="HTTP/1.0"))).partition(
        b"\r\n\r\n"
    )
    assert b"Connection: close" in head
    assert b"chunked" not in head
    assert body == b"one two"


async def test_a_large_answer(serve: Serve) -> None:
    body = bytes(range(256)) * 20000

    async def on_finish(delegate: Delegate) -> None:
        head = ResponseStartLine("", 200, "OK")
        await delegate.connection.write_headers(head, HTTPHeaders())
        for start in range(0, len(body), 100_000):
            await delegate.connection.write(body[start : start + 100_000])
        delegate.connection.finish()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get() + get())
        assert (await client.response()).body == body
        assert (await client.response()).body == body


# -- faults


@pytest.mark.parametrize("split", [False, True])
async def test_garbage_behind_a_valid_request(serve: Serve, split: bool) -> None:
    app = App(on_finish=answers_in_a_coroutine if split else answers_at_once)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/good") + b"\x16\x03\x01 garbage\r\n\r\n")
        assert (await client.response()).body == b"/good"
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.eof() == b""
    assert len(app.delegates) == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 20000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
async def test_faults_are_answered(serve: Serve, data: bytes, status: int) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(data)
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.eof() == b""
    assert app.delegates == []


async def test_a_fault_in_a_body_is_answered_and_the_delegate_ended(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/", "Transfer-Encoding: chunked") + b"2\r\nhi\r\nzz\r\n")
        assert (await client.response()).status == 400
        assert await client.eof() == b""
    assert (app.delegates[0].body, app.delegates[0].ended) == (b"hi", "close")


async def test_a_fault_behind_the_head_of_an_answer_is_visible(serve: Serve) -> None:
    """What has been begun must not look whole."""

    def on_headers(delegate: Delegate) -> None:
        head = ResponseStartLine("", 200, "OK")
        delegate.connection.write_headers(head, HTTPHeaders(), b"begun")

    served = await serve(App(on_headers=on_headers))
    data = get("/", "Transfer-Encoding: chunked") + b"zz\r\n"
    answer = await raw(served.port, data)
    assert answer.endswith(b"\r\n\r\n5\r\nbegun\r\n")


# -- other ways in


async def test_a_plain_function_as_application(serve: Serve) -> None:
    def hello(request: HTTPServerRequest) -> None:
        body = f"{request.method} {request.path} {request.body!r}".encode()
        request.connection.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"),
            HTTPHeaders({"Content-Length": str(len(body))}),
        )
        request.connection.write(body)
        request.connection.finish()

    served = await serve(hello)
    async with Client.connect(served.port) as client:
        await client.send(post(b"abc", path="/p?q") + get("/g"))
        assert (await client.response()).body == b"POST /p b'abc'"
        assert (await client.response()).body == b"GET /g b''"


async def test_a_coroutine_function_as_application(serve: Serve) -> None:
    async def hello(request: HTTPServerRequest) -> None:
        await asyncio.sleep(0)
        request.connection.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": "2"}), b"hi"
        )
        request.connection.finish()

    served = await serve(hello)
    async with Client.connect(served.port) as client:
        await client.send(get() * 3)
        for _ in range(3):
            assert (await client.response()).body == b"hi"


async def test_a_unix_socket(tmp_path: Path) -> None:
    seen: list[Any] = []

    def hello(request: HTTPServerRequest) -> None:
        seen.append((request.remote_ip, str(request.connection.context)))
        request.connection.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": "2"}), b"hi"
        )
        request.connection.finish()

    path = str(tmp_path / "socket")
    server = HTTPServer(hello)
    server.add_socket(bind_unix_socket(path))
    reader, writer = await soon(asyncio.open_unix_connection(path))
    try:
        writer.write(get("/", CLOSE))
        assert (await soon(reader.read())).endswith(b"hi")
    finally:
        writer.close()
        await soon(writer.wait_closed())
        server.stop()
        await soon(server.close_all_connections())
    assert seen == [("0.0.0.0", "unix socket")]


async def test_several_ports(serve: Serve) -> None:
    served = await serve(App())
    more = socket.create_server(("127.0.0.1", 0))
    served.server.add_socket(more)
    for port in (served.port, more.getsockname()[1]):
        assert (await raw(port, get("/", CLOSE))).endswith(b"GET / ")


async def test_close_all_connections(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as idle, Client.connect(served.port) as busy:
        await idle.send(get("/")[:-2])
        await busy.send(get("/"))
        await soon(app.something.wait())
        served.server.stop()
        await soon(served.server.close_all_connections())
        assert (await idle.eof(), await busy.eof()) == (b"", b"")
    assert served.connections == []
    assert len(app.closed) == 2
