"""Bodies that a handler may read and does not: what is on the wire, and clients that go away."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tornadoish import web
from tornadoish.iostream import StreamClosedError
from tornadoish.web.bodies import PulledBody

from .pulling import CHUNKED, EXPECT, POST, Pulling, framework, lives_on, one_handler
from .serving import Serve, until

__all__ = ["framework"]  # a fixture


# -- an answer before the body has been read


class Early(web.RequestHandler):
    async def post(self) -> None:
        for _ in range(int(self.get_query_argument("pieces"))):
            await anext(self.request.body_chunks())
        self.finish("early")


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_small_rest_is_dropped_and_the_connection_lives_on(
    serve: Serve, pieces: int
) -> None:
    site = await one_handler(serve, Early)
    peer = await site.connect()
    line = f"POST /?pieces={pieces} HTTP/1.1"
    for body in (b"x" * 1000, b"x" * 250_000):
        peer.send(line, "Host: a", f"Content-Length: {len(body)}", body=body[:500])
        assert (await peer.answer()).body == b"early"
        peer.writer.write(body[500:])
        assert await lives_on(peer)


@pytest.mark.parametrize("pieces", [0, 1])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_rest_ends_the_connection(serve: Serve, pieces: int, framing: str) -> None:
    site = await one_handler(serve, Early)
    peer = await site.connect()
    line = f"POST /?pieces={pieces} HTTP/1.1"
    size = 3_000_000
    if framing == "length":
        peer.send(line, "Host: a", f"Content-Length: {size}", body=bytes(size))
    else:
        peer.send(line, "Host: a", CHUNKED, body=b"%x\r\n%s\r\n" % (size, bytes(size)))
    answer = await peer.answer()  # it is not lost in a reset
    assert (answer.body, answer.complete) == (b"early", True)
    peer.writer.write_eof()
    assert await peer.ended()


async def test_what_is_left_is_never_the_next_request(serve: Serve) -> None:
    site = await one_handler(serve, Early)
    peer = await site.connect()
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    line = "POST /?pieces=0 HTTP/1.1"
    peer.send(line, "Host: a", f"Content-Length: {len(smuggled)}", body=smuggled)
    assert (await peer.answer()).body == b"early"
    assert await lives_on(peer)


@pytest.mark.parametrize("pieces", [0, 1])
async def test_an_answer_is_not_held_up_by_who_works_on(serve: Serve, pieces: int) -> None:
    """The rest is dropped as soon as the answer is finished, not when the method is."""
    go_on = asyncio.Event()
    errors: list[Any] = []

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            for _ in range(pieces):
                await anext(self.request.body_chunks())
                await until(lambda: self.request._pulled._piece)  # the next one waits
            self.finish("early")
            await go_on.wait()
            with pytest.raises(StreamClosedError):
                while True:
                    await anext(self.request.body_chunks())
            errors.append("closed")

    site = await one_handler(serve, Handler, server={"chunk_size": 10})
    peer = await site.connect()
    assert (await peer.ask(*POST, "Content-Length: 50", body=b"x" * 50)).body == b"early"
    assert await lives_on(peer)
    go_on.set()
    await until(lambda: errors)


@pytest.mark.parametrize("where", ["prepare", "post"])
async def test_an_error_before_the_body_is_read(
    serve: Serve, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            if where == "prepare":
                raise web.HTTPError(401)

        async def post(self) -> None:
            raise web.HTTPError(401)

        def on_connection_close(self) -> None:
            raise AssertionError("the client is still there")

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    answer = await peer.ask(*POST, "Content-Length: 100", body=b"x" * 100)
    assert answer.status == 401
    assert await lives_on(peer)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_what_nobody_needs_is_not_kept() -> None:
    body = PulledBody()
    assert body.data_received(b"one") is not None
    body.let_go()
    assert body.data_received(b"two") is None
    assert body.wanted() is None
    body.on_connection_close()
    assert await anext(body) == b"one"
    for _ in range(2):
        with pytest.raises(StreamClosedError):
            await anext(body)


# -- 100-continue (RFC 9110, 10.1.1)


async def test_continue_when_first_read(serve: Serve) -> None:
    events: list[str] = []
    go_on = asyncio.Event()

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            events.append("post")
            await go_on.wait()
            self.write(await self.request.read_body())

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    for _ in range(2):
        go_on.clear()
        events.clear()
        peer.send(*POST, "Content-Length: 3", EXPECT)
        await until(lambda: events)
        for _ in range(20):  # for what must not happen, as nothing tells of that
            await asyncio.sleep(0)
        assert not peer.reader._buffer  # type: ignore[attr-defined]
        go_on.set()
        assert (await peer.answer()).status == 100
        peer.writer.write(b"abc")
        answer = await peer.answer()
        assert (answer.status, answer.body) == (200, b"abc")


@pytest.mark.parametrize("waits", [False, True])
async def test_refused_before_the_body_is_sent(serve: Serve, waits: bool) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            if waits:
                await asyncio.sleep(0)
            self.set_status(401)

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    answer = await peer.ask(*POST, "Content-Length: 3", EXPECT)
    assert (answer.status, answer.get("Connection")) == (401, "close")
    assert await peer.ended()  # nobody knows whether its body comes


async def test_who_does_not_wait_for_it_is_served_as_well(serve: Serve) -> None:
    site = await one_handler(serve, Pulling)
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 3", EXPECT, body=b"abc")
    assert (await peer.answer()).status == 100
    assert (await peer.answer()).body == b'{"pieces": ["abc"]}'
    assert await lives_on(peer)


# -- clients that go away


@pytest.mark.parametrize("state", ["reading", "busy", "before"])
async def test_a_client_that_goes_away(
    serve: Serve, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []
    go_on = asyncio.Event()

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            if state != "before":
                events.append((await anext(self.request.body_chunks())).decode())
            events.append("post")
            if state != "reading":
                await go_on.wait()
            try:
                await self.request.read_body() if state == "before" else [
                    c async for c in self.request.body_chunks()
                ]
            except StreamClosedError:
                events.append("gone")
                raise

        def on_connection_close(self) -> None:
            events.append("close")

        def on_finish(self) -> None:
            events.append("finished")

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 6", body=b"" if state == "before" else b"one")
    await until(lambda: "post" in events)
    peer.close()
    await until(lambda: "close" in events)  # at once, whatever the handler is at
    go_on.set()
    await until(lambda: "gone" in events)
    for _ in range(10):
        await asyncio.sleep(0)
    assert events == [*([] if state == "before" else ["one"]), "post", "close", "gone"]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("state", ["reading", "busy"])
async def test_cancel_on_close(serve: Serve, state: str) -> None:
    events: list[Any] = []

    class Handler(web.RequestHandler):
        cancel_on_close = True

        async def post(self) -> None:
            events.append("post")
            try:
                if state == "busy":
                    await asyncio.Event().wait()
                await self.request.read_body()
            except (asyncio.CancelledError, StreamClosedError) as error:
                events.append(type(error))
                raise

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 6", body=b"one" if state == "reading" else b"")
    await until(lambda: events)
    peer.close()
    await until(lambda: len(events) > 1)
    assert events[0] == "post"
    assert events[1] in (asyncio.CancelledError, StreamClosedError)


async def test_a_server_that_stops(serve: Serve) -> None:
    events: list[Any] = []

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            events.append("post")
            try:
                await self.request.read_body()
            except StreamClosedError:
                events.append("gone")

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 6", body=b"one")
    await until(lambda: events)
    await site.server.close_all_connections()
    await until(lambda: "gone" in events)
