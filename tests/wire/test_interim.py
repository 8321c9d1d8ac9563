"""Interim responses (RFC 9110, 15.2): early hints, and 100-continue in the application's hands."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import CLOSE, App, Client, Delegate, get, raw, settled, soon, until

from tornadoish.httputil import HTTPHeaders, HTTPOutputError, ResponseStartLine
from tornadoish.web import Application, HTTPError, RequestHandler, stream_request_body

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
EXPECT = "Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STYLE, SCRIPT = "</style.css>; rel=preload; as=style", "</script.js>; rel=preload; as=script"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
EXPECTING = POST + b"Expect: 100-continue\r\n\r\n"


def hint(*links: str) -> bytes:
    fields = "".join(f"Link: {link}\r\n" for link in links)
    return f"HTTP/1.1 103 Early Hints\r\n{fields}\r\n".encode()


class Hinting(RequestHandler):
    """Says what its page refers to before it has it."""

    def prepare(self) -> None:
        self.send_early_hints(STYLE)

    async def get(self) -> None:
        await self.send_early_hints([STYLE, SCRIPT])
        await asyncio.sleep(0)
        self.write("page")

    post = get


# -- early hints


async def test_early_hints(serve: Serve) -> None:
    """As often as one likes, and then the answer; on a connection that lives on."""
    served = await serve(Application([("/", Hinting)]))
    answer = await raw(served.port, get() + get("/", CLOSE))
    first, _, second = answer.partition(b"page")
    for one in (first, second):
        hints = hint(STYLE) + hint(STYLE, SCRIPT)
        assert one.startswith(hints + b"HTTP/1.1 200 OK\r\n")
        assert one.count(b"HTTP/1.1") == 3
    async with Client.connect(served.port) as client:
        await client.send(get())
        response = await client.response()
        assert (response.interim, response.body) == ([103, 103], b"page")


async def test_hints_are_sent_at_once(serve: Serve) -> None:
    """Not with the answer: that would be of no use to anyone."""
    gate = asyncio.Event()

    class Slow(RequestHandler):
        async def get(self) -> None:
            self.send_early_hints(STYLE)
            await gate.wait()
            self.write("page")

    served = await serve(Application([("/", Slow)]))
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        assert await client.more() == hint(STYLE)
        gate.set()
        assert (await client.response()).body == b"page"
        assert (await client.response()).body == b"page"


async def test_no_hints_for_a_1_0_client(serve: Serve) -> None:
    served = await serve(Application([("/", Hinting)]))
    answer = await raw(served.port, get(version="HTTP/1.0"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"103" not in answer.partition(b"\r\n\r\n")[0]
    assert answer.endswith(b"\r\n\r\npage")


@pytest.mark.parametrize("method", [b"HEAD", b"POST"])
async def test_hints_to_other_methods(serve: Serve, method: bytes) -> None:
    class Head(Hinting):
        head = Hinting.get

    served = await serve(Application([("/", Head)]))
    data = method + b" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    answer = await raw(served.port, data)
    assert answer.startswith(hint(STYLE))
    assert answer.endswith(b"\r\n\r\n" if method == b"HEAD" else b"\r\n\r\npage")


@pytest.mark.parametrize("flushed", [False, True])
async def test_hints_behind_the_head(serve: Serve, flushed: bool) -> None:
    errors: list[Exception] = []

    class Late(RequestHandler):
        async def get(self) -> None:
            self.write("page")
            if flushed:
                await self.flush()
            else:
                self.finish()
            with pytest.raises(RuntimeError) as caught:
                self.send_early_hints(STYLE)
            errors.append(caught.value)

    served = await serve(Application([("/", Late)]))
    answer = await raw(served.port, get("/", CLOSE))
    assert b" 103 " not in answer
    assert len(errors) == 1


@pytest.mark.parametrize("links", ["<a>\r\nSet-Cookie: b", ["<a>", "<b>\n"], "<\u20ac>", "<\x00>"])
async def test_links_that_must_not_be_sent(serve: Serve, links: Any) -> None:
    """Nothing of them is, and the answer is as if nobody had tried."""
    errors: list[Exception] = []

    class Injected(RequestHandler):
        def get(self) -> None:
            with pytest.raises(ValueError) as caught:
                self.send_early_hints(links)
            errors.append(caught.value)
            self.write("page")

    served = await serve(Application([("/", Injected)]))
    answer = await raw(served.port, get("/", CLOSE))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\npage")
    assert len(errors) == 1


async def test_hints_to_a_client_that_is_gone(serve: Serve) -> None:
    """Not an error of ours: its future fails, and the handler may go on."""
    gate, over = asyncio.Event(), asyncio.Event()

    class Slow(RequestHandler):
        async def get(self) -> None:
            begun.set()
            await gate.wait()
            future = self.send_early_hints(STYLE)
            assert future.exception() is not None
            over.set()

    begun = asyncio.Event()
    served = await serve(Application([("/", Slow)]))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(begun.wait())
    await until(lambda: not served.connections)
    gate.set()
    await soon(over.wait())


async def test_hints_and_then_an_error(serve: Serve) -> None:
    class Failing(RequestHandler):
        async def get(self) -> None:
            await self.send_early_hints(STYLE)
            raise HTTPError(409)

    served = await serve(Application([("/", Failing)]))
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        for _ in range(2):
            answer = await client.response()
            assert (answer.status, answer.interim) == (409, [103])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_reads_on_behind_hints(serve: Serve) -> None:
    served = await serve(Application([("/", Hinting)]))
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-D", "-", f"http://127.0.0.1:{served.port}/", "--next",
        "-sS", f"http://127.0.0.1:{served.port}/",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await soon(process.communicate())
    assert process.returncode == 0, out
    assert out.startswith(hint(STYLE) + hint(STYLE, SCRIPT) + b"HTTP/1.1 200 OK\r\n")
    assert out.endswith(b"page")
    assert out.count(b"page") == 2
    assert len(served.checked.delegates) == 2


# -- 100-continue


async def test_hints_before_the_word_to_go_on(serve: Serve) -> None:
    """Both are interim; the body is asked for all the same, and the connection lives on."""

    @stream_request_body
    class Streamed(Hinting):
        def initialize(self) -> None:
            self.size = 0

        def data_received(self, chunk: bytes) -> None:
            self.size += len(chunk)

        def post(self) -> None:
            self.write(str(self.size))

    served = await serve(Application([("/", Streamed)]))
    async with Client.connect(served.port) as client:
        for _ in range(2):
            await client.send(EXPECTING)
            received = b""
            while not received.endswith(CONTINUE):
                received += await client.more()
            assert received == hint(STYLE) + CONTINUE
            await client.send(b"hello")
            answer = await client.response()
            assert (answer.status, answer.body, answer.interim) == (200, b"5", [])
            assert "connection" not in answer.headers


@pytest.mark.parametrize("coroutine", [False, True])
@pytest.mark.parametrize("how", ["raises", "finishes"])
async def test_a_handler_that_refuses_the_body(serve: Serve, coroutine: bool, how: str) -> None:
    """In prepare(): the client is never told to go on, and whether its body comes nobody knows."""
    data: list[bytes] = []

    def refuse(handler: RequestHandler) -> None:
        if how == "raises":
            raise HTTPError(403)
        handler.set_status(403)
        handler.finish("no")

    @stream_request_body
    class Refusing(RequestHandler):
        def prepare(self) -> Any:
            return self.later() if coroutine else refuse(self)

        async def later(self) -> None:
            await asyncio.sleep(0)
            refuse(self)

        def data_received(self, chunk: bytes) -> None:
            data.append(chunk)

    served = await serve(Application([("/", Refusing)]))
    async with Client.connect(served.port) as client:
        await client.send(EXPECTING)
        answer = await client.response("POST")
        assert (answer.status, answer.interim) == (403, [])
        assert answer.headers["connection"] == "close"
        await client.send(b"hello" + get())
        assert await client.eof() == b""
    assert data == []


async def test_a_handler_that_takes_its_time_to_decide(serve: Serve) -> None:
    """No word goes out before prepare() is through."""
    gate = asyncio.Event()

    @stream_request_body
    class Careful(RequestHandler):
        async def prepare(self) -> None:
            await gate.wait()

        def data_received(self, chunk: bytes) -> None:
            self.write(chunk)

        def post(self) -> None:
            self.write("!")

    served = await serve(Application([("/", Careful)]))
    async with Client.connect(served.port) as client:
        await client.send(EXPECTING)
        await settled(30)
        task = asyncio.ensure_future(client.more())
        await settled(30)
        assert not task.done()
        gate.set()
        assert await task == CONTINUE
        await client.send(b"hello")
        assert (await client.response("POST")).body == b"hello!"


@pytest.mark.parametrize("where", ["headers", "headers coroutine"])
async def test_an_application_that_says_it_itself(serve: Serve, where: str) -> None:
    """Then it is not said twice, and the connection lives on."""

    def go_on(delegate: Delegate) -> None:
        line = ResponseStartLine("", 100, "Continue")
        delegate.connection.write_headers(line, HTTPHeaders())

    async def go_on_later(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        go_on(delegate)

    def on_headers(delegate: Delegate) -> Awaitable[None] | None:
        if "Expect" not in delegate.headers:
            return None
        return go_on(delegate) if where == "headers" else go_on_later(delegate)

    served = await serve(App(on_headers=on_headers))
    async with Client.connect(served.port) as client:
        await client.send(EXPECTING)
        received = await client.more()
        assert received == CONTINUE
        await client.send(b"hello" + get("/next"))
        answer = await client.response("POST")
        assert (answer.body, answer.interim) == (b"POST / hello", [])
        assert "connection" not in answer.headers
        assert (await client.response()).body == b"GET /next "


async def test_any_interim_head_may_be_written(serve: Serve) -> None:
    """102 and what is to come; but no 101 without a switch, and nothing behind the final one."""
    errors: list[Exception] = []

    def on_finish(delegate: Delegate) -> None:
        connection = delegate.connection
        for code in (102, 103, 199):
            connection.write_headers(ResponseStartLine("", code, "x"), HTTPHeaders({"A": "b"}))
        delegate.answer(b"final")
        with pytest.raises(HTTPOutputError) as caught:
            connection.write_headers(ResponseStartLine("", 103, "x"), HTTPHeaders())
        errors.append(caught.value)

    async def on_finish_later(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        connection = delegate.connection
        connection.write_headers(ResponseStartLine("", 102, "x"), HTTPHeaders())
        connection.write_headers(OK, HTTPHeaders(), b"begun")
        with pytest.raises(HTTPOutputError) as caught:
            connection.write_headers(ResponseStartLine("", 103, "x"), HTTPHeaders())
        errors.append(caught.value)
        connection.finish()

    app = App(on_finish=lambda d: on_finish(d) if d.line.path == "/" else on_finish_later(d))
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get() + get("/later"))
        answer = await client.response()
        assert (answer.interim, answer.body) == ([102, 103, 199], b"final")
        answer = await client.response()
        assert (answer.interim, answer.body) == ([102], b"begun")
    assert len(errors) == 2
