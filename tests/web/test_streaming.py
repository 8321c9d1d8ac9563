"""Bodies that a handler takes as they arrive, and clients that go away."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from .serving import Framework, Serve, as_method, plain_or_coroutine, until

POST = ("POST / HTTP/1.1", "Host: a")


@plain_or_coroutine
async def test_a_streamed_body(web: Any, serve: Serve, coroutine: bool) -> None:
    events: list[str] = []

    class Streamed(web.RequestHandler):
        def prepare(self) -> Any:
            events.append("prepare")

        def data_received(self, chunk: bytes) -> Any:
            events.append(chunk.decode())

        def post(self) -> Any:
            events.append("post")
            self.write("got it")

        def on_finish(self) -> None:
            events.append("on_finish")

    class Coroutines(Streamed):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            super().prepare()

        async def data_received(self, chunk: bytes) -> None:
            events.append("<")
            await asyncio.sleep(0)
            super().data_received(chunk)
            events.append(">")

        async def post(self) -> None:
            await asyncio.sleep(0)
            super().post()

    handler = web.stream_request_body(Coroutines if coroutine else Streamed)
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        events.clear()
        peer.send(*POST, "Content-Length: 6", body=b"one")
        await until(lambda: "one" in events)
        peer.writer.write(b"two")
        answer = await peer.answer()
        assert answer.body == b"got it"
        data = ["<", "one", ">", "<", "two", ">"] if coroutine else ["one", "two"]
        assert events == ["prepare", *data, "post", "on_finish"]


async def test_a_streamed_body_in_chunks(web: Any, serve: Serve) -> None:
    @web.stream_request_body
    class Handler(web.RequestHandler):
        def initialize(self) -> None:
            self.data = b""

        def data_received(self, chunk: bytes) -> None:
            self.data += chunk

        def post(self) -> None:
            self.write(self.data)

    site = await serve([("/", Handler)])
    peer = await site.connect()
    chunked = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    answer = await peer.ask(*POST, "Transfer-Encoding: chunked", body=chunked)
    assert answer.body == b"onetwo"


@plain_or_coroutine
async def test_a_streaming_handler_without_a_body(web: Any, serve: Serve, coroutine: bool) -> None:
    @web.stream_request_body
    class Handler(web.RequestHandler):
        get = as_method(lambda self, group: self.write(group), coroutine)

    site = await serve([("/(.*)", Handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask("GET /x HTTP/1.1", "Host: a")).body == b"x"


async def test_a_coroutine_prepare_delays_the_body(web: Any, serve: Serve) -> None:
    events: list[Any] = []
    go_on = asyncio.Event()

    @web.stream_request_body
    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            events.append("prepare")
            await go_on.wait()
            events.append("prepared")

        def data_received(self, chunk: bytes) -> None:
            events.append(chunk.decode())

        def post(self) -> None:
            self.write("x")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 3", body=b"one")
    await until(lambda: events)
    for _ in range(20):
        await asyncio.sleep(0)
    assert events == ["prepare"]
    go_on.set()
    assert (await peer.answer()).body == b"x"
    assert events == ["prepare", "prepared", "one"]


@pytest.mark.parametrize("size", [100, 5000])
async def test_the_limit_may_be_set_in_prepare(
    framework: Framework, serve: Serve, size: int
) -> None:
    @framework.web.stream_request_body
    class Handler(framework.web.RequestHandler):
        def prepare(self) -> None:
            self.request.connection.set_max_body_size(5000)
            self.size = 0

        def data_received(self, chunk: bytes) -> None:
            self.size += len(chunk)

        def post(self) -> None:
            self.write(str(self.size))

    @framework.web.stream_request_body
    class Strict(Handler):
        def prepare(self) -> None:
            self.size = 0

    site = await serve([("/", Handler), ("/strict", Strict)], server={"max_body_size": 1000})
    assert (await site.post("/", content=b"x" * size)).text == str(size)
    peer = await site.connect()
    answer = await peer.ask(*POST, "Content-Length: 5001")
    # Tornado says 400 to every body that is too large; we 413 (RFC 9110, 15.5.14).
    too_large = 400 if framework.is_tornado else 413
    assert answer.status == too_large
    assert await peer.ended()
    peer = await site.connect()
    answer = await peer.ask("POST /strict HTTP/1.1", "Host: a", "Content-Length: 1001")
    assert answer.status == too_large


async def test_a_chunked_body_over_the_limit_is_not_an_answered_request(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []

    @framework.web.stream_request_body
    class Handler(framework.web.RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            pass

        def post(self) -> None:
            events.append("post")

        def on_connection_close(self) -> None:
            events.append("close")

    site = await serve([("/", Handler)], server={"max_body_size": 10})
    peer = await site.connect()
    peer.send(*POST, "Transfer-Encoding: chunked", body=b"6\r\n123456\r\n" * 2)
    answer = await peer.answer()
    assert answer.status == (400 if framework.is_tornado else 413)
    await until(lambda: events)
    assert events == ["close"]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@plain_or_coroutine
async def test_a_client_that_goes_away_within_its_body(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            events.append(chunk.decode())

        post = as_method(lambda self: events.append("post"), coroutine)

        def on_connection_close(self) -> None:
            events.append("close")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 6", body=b"one")
    await until(lambda: events)
    peer.close()
    await until(lambda: "close" in events)
    for _ in range(10):
        await asyncio.sleep(0)
    assert events == ["one", "close"]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_an_error_in_prepare_of_a_streaming_handler(web: Any, serve: Serve) -> None:
    events: list[Any] = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            raise web.HTTPError(403)

        def data_received(self, chunk: bytes) -> None:
            events.append(chunk.decode())

        def post(self) -> None:
            events.append("post")

    site = await serve([("/", Handler)])
    response = await site.post("/", content=b"body")
    assert response.status_code == 403
    assert events == []


async def test_an_error_in_data_received(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []

    @framework.web.stream_request_body
    class Handler(framework.web.RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            raise KeyError("no")

        def post(self) -> None:
            events.append("post")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 3", body=b"one")
    if framework.is_tornado:
        assert await peer.ended()  # it closes without a word
    else:
        assert (await peer.answer()).status == 500
    assert events == []
    assert any(r.exc_info and r.exc_info[0] is KeyError for r in caplog.records)


async def test_a_client_that_goes_away_while_a_handler_waits(web: Any, serve: Serve) -> None:
    events: list[str] = []
    waiting = asyncio.Event()

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            events.append("get")
            try:
                await waiting.wait()
                self.write("to nobody")
            finally:
                events.append("end")

        def on_connection_close(self) -> None:
            events.append("close")

        def on_finish(self) -> None:
            events.append("on_finish")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a")
    await until(lambda: events)
    peer.close()
    await until(lambda: "close" in events)
    assert events == ["get", "close"]
    waiting.set()
    await until(lambda: "on_finish" in events)
    assert events == ["get", "close", "end", "on_finish"]


async def test_on_connection_close_is_not_for_answered_requests(web: Any, serve: Serve) -> None:
    events: list[str] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.write("x")

        def on_connection_close(self) -> None:
            events.append("close")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    assert (await peer.ask("GET / HTTP/1.1", "Host: a")).body == b"x"
    peer.close()
    await site.close()
    assert events == []


async def test_writing_to_a_client_that_went_away(framework: Framework, serve: Serve) -> None:
    errors: list[type] = []
    gone = asyncio.Event()

    class Handler(framework.web.RequestHandler):
        async def get(self) -> None:
            self.write("one")
            await self.flush()
            await gone.wait()
            try:
                for _ in range(50):
                    self.write("x" * 65536)
                    await self.flush()
            except Exception as error:
                errors.append(type(error))
                raise

        def on_connection_close(self) -> None:
            gone.set()

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a")
    await peer.reader.readuntil(b"one\r\n")
    peer.close()
    await until(lambda: errors)
    assert errors == [framework.iostream.StreamClosedError]


def test_stream_request_body_is_for_handlers(framework: Framework) -> None:
    web = framework.web
    with pytest.raises(TypeError):
        web.stream_request_body(int)
    handler = type("Handler", (web.RequestHandler,), {})
    assert not web._has_stream_request_body(handler)
    assert web.stream_request_body(handler) is handler
    assert web._has_stream_request_body(handler)
    assert not web._has_stream_request_body(web.RequestHandler)
    with pytest.raises(TypeError):
        web._has_stream_request_body(int)


async def test_data_received_has_to_be_written(framework: Framework, serve: Serve) -> None:
    @framework.web.stream_request_body
    class Handler(framework.web.RequestHandler):
        def post(self) -> None:
            self.write("x")

    with pytest.raises(NotImplementedError):
        framework.web.RequestHandler.data_received(None, b"x")
    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 1", body=b"x")
    if framework.is_tornado:  # as for every error in data_received
        assert await peer.ended()
    else:
        assert (await peer.answer()).status == 500
