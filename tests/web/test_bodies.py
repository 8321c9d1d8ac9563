"""Handlers that read their body themselves: what is read when, and what is on the wire then."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import gzip
import logging
from typing import Any

import pytest

from tornadoish import web
from tornadoish.httputil import HTTPInputError, HTTPServerRequest
from tornadoish.iostream import StreamClosedError

from .pulling import CHUNKED, EXPECT, POST, Pulling, framework, lives_on, one_handler
from .serving import Serve, until

__all__ = ["framework"]  # a fixture


# -- reading


async def test_a_body_piece_by_piece(serve: Serve) -> None:
    events: list[str] = []

    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            events.append("prepare")
            await asyncio.sleep(0)

        async def post(self) -> None:
            events.append("post")
            async for chunk in self.request.body_chunks():
                events.append(chunk.decode())
            events.append("end")
            async for chunk in self.request.body_chunks():
                events.append(f"again {chunk!r}")
            self.write("done")

        def on_finish(self) -> None:
            events.append("on_finish")

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    for _ in range(2):
        events.clear()
        peer.send(*POST, "Content-Length: 6")
        await until(lambda: "post" in events)
        peer.writer.write(b"one")
        await until(lambda: "one" in events)
        peer.writer.write(b"two")
        assert (await peer.answer()).body == b"done"
        assert events == ["prepare", "post", "one", "two", "end", "on_finish"]
    chunked = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert (await peer.ask(*POST, CHUNKED, body=chunked)).body == b"done"


async def test_without_a_body(serve: Serve) -> None:
    class Handler(Pulling):
        def get(self) -> None:
            self.write(self.get_argument("a"))

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*POST)).body == b'{"pieces": []}'
        assert (await peer.ask(*POST, "Content-Length: 0")).body == b'{"pieces": []}'
        assert (await peer.ask("GET /?a=1 HTTP/1.1", "Host: a")).body == b"1"
        chunked = b"0\r\nX-Sum: 1\r\n\r\n"
        assert (await peer.ask(*POST, CHUNKED, body=chunked)).body == b'{"pieces": []}'


async def test_plain_methods_may_leave_the_body_alone(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def post(self) -> None:
            self.write("plain")

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*POST, "Content-Length: 3", body=b"abc")).body == b"plain"
    assert await lives_on(peer)


@pytest.mark.parametrize("form", [True, False])
async def test_read_body(serve: Serve, form: bool) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            before = self.get_arguments("a")
            body = await self.request.read_body(20)
            assert body == self.request.body == await self.request.read_body()
            assert [c async for c in self.request.body_chunks()] == [body]
            self.write({"before": before, "after": self.get_arguments("a"), "body": body.decode()})

    site = await one_handler(serve, Handler)
    kind = "application/x-www-form-urlencoded" if form else "text/plain"
    response = await site.post("/?a=1", content=b"a=2&b=3", headers={"Content-Type": kind})
    after = ["1", "2"] if form else ["1"]
    assert response.json() == {"before": ["1"], "after": after, "body": "a=2&b=3"}


@pytest.mark.parametrize("name", ["body", "body_arguments", "files"])
async def test_what_has_not_been_read_is_not_there(
    serve: Serve, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            getattr(self.request, name)

    site = await one_handler(serve, Handler)
    response = await site.post("/", data={"a": "2"})
    assert response.status_code == 500
    assert "await request.read_body() before" in caplog.text


async def test_body_arguments_of_no_form_are_none(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            self.write({"arguments": self.get_body_arguments("a"), "files": self.request.files})

    site = await one_handler(serve, Handler)
    assert (await site.post("/", content=b"a=2")).json() == {"arguments": [], "files": {}}


@pytest.mark.parametrize("where", ["header", "query", "body", "nowhere"])
async def test_the_xsrf_token_is_not_looked_for_in_the_body(serve: Serve, where: str) -> None:
    """As in Tornado's streamed bodies: it would have to be read, however large it is."""
    events: list[str] = []

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(self.xsrf_token)

        async def post(self) -> None:
            events.append("post")
            self.write(await self.request.read_body())

    site = await one_handler(serve, Handler, xsrf_cookies=True, cookie_secret="x" * 32)
    token = (await site.get("/")).text
    headers = {"X-XSRFToken": token} if where == "header" else {}
    path = f"/?_xsrf={token}" if where == "query" else "/"
    data = {"_xsrf": token} if where == "body" else {"a": "1"}
    response = await site.post(path, data=data, headers=headers)
    good = where in ("header", "query")
    assert (response.status_code, events) == ((200, ["post"]) if good else (403, []))
    assert not good or response.text == "a=1"


async def test_read_body_after_a_piece(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            await anext(self.request.body_chunks())
            await self.request.read_body()

    site = await one_handler(serve, Handler)
    assert (await site.post("/", content=b"abc")).status_code == 500
    assert "read already" in caplog.text


async def test_two_readers(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            first = asyncio.ensure_future(self.request.read_body())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="Somebody else"):
                await anext(self.request.body_chunks())
            self.write(await first)

    site = await one_handler(serve, Handler)
    assert (await site.post("/", content=b"abc")).content == b"abc"


async def test_a_reader_that_is_cancelled_loses_nothing(serve: Serve) -> None:
    waiting = asyncio.Event()

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            reader = asyncio.ensure_future(anext(self.request.body_chunks()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.set()
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            self.write(await self.request.read_body())

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 3")
    await waiting.wait()
    peer.writer.write(b"abc")
    assert (await peer.answer()).body == b"abc"


async def test_the_same_methods_where_the_body_is_collected(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            chunks = [chunk async for chunk in self.request.body_chunks()]
            assert chunks == [self.request.body] == [await self.request.read_body()]
            await self.request.read_body(2)

    site = await serve([("/", Handler)])
    assert (await site.post("/", content=b"abc")).status_code == 413
    request = HTTPServerRequest("GET", "/")
    assert request.body == await request.read_body(0) == b""
    assert [chunk async for chunk in request.body_chunks()] == []


async def test_a_gzip_body_is_pulled_too(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            self.write(str(len(await self.request.read_body(1_000_000))))

        async def put(self) -> None:
            await anext(self.request.body_chunks())
            self.write("enough")

    site = await one_handler(serve, Handler, server={"decompress_request": True})
    body = gzip.compress(b"x" * 500_000)
    assert len(body) < 1000
    headers = {"Content-Encoding": "gzip"}
    assert (await site.post("/", content=body, headers=headers)).text == "500000"
    assert (await site.request("PUT", "/", content=body, headers=headers)).text == "enough"
    assert (await site.get("/next")).text == "next"


# -- back-pressure


async def test_who_does_not_read_makes_the_client_wait(serve: Serve) -> None:
    go_on = asyncio.Event()
    requests: list[HTTPServerRequest] = []

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            requests.append(self.request)
            size = len(await anext(self.request.body_chunks()))
            await go_on.wait()
            async for chunk in self.request.body_chunks():
                size += len(chunk)
            self.write(str(size))

    site = await one_handler(serve, Handler)
    peer = await site.connect()
    total = 40_000_000
    peer.send(*POST, f"Content-Length: {total}", body=bytes(total))
    await until(lambda: requests)
    stream = requests[0].connection.stream
    await until(lambda: stream.paused)
    for _ in range(100):
        await asyncio.sleep(0)
    # What we hold: the piece at hand and what came with it in one read.
    assert len(stream.buffer) < 600_000
    assert peer.writer.transport.get_write_buffer_size() > 20_000_000
    go_on.set()
    assert (await peer.answer()).body == b"40000000"


async def test_pieces_are_not_ahead_of_their_reader(serve: Serve) -> None:
    """One is in the reader's hand, one in ours, the others are not taken out of the buffer."""
    bodies: list[web.bodies.PulledBody] = []
    go_on = asyncio.Event()

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            bodies.append(self.request._pulled)  # type: ignore[arg-type]
            await anext(self.request.body_chunks())
            await go_on.wait()
            self.write(str([len(chunk) async for chunk in self.request.body_chunks()]))

    site = await one_handler(serve, Handler, server={"chunk_size": 10})
    peer = await site.connect()
    peer.send(*POST, "Content-Length: 100", body=bytes(100))
    await until(lambda: bodies and bodies[0]._piece)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(bodies[0]._piece) == 10
    go_on.set()
    assert (await peer.answer()).body == str([10] * 9).encode()


async def test_both_ways_at_once(serve: Serve) -> None:
    class Echo(web.RequestHandler):
        async def post(self) -> None:
            async for chunk in self.request.body_chunks():
                self.write(chunk)
                await self.flush()

    site = await one_handler(serve, Echo)
    peer = await site.connect()
    peer.send(*POST, CHUNKED, body=b"3\r\none\r\n")
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"100 Continue" not in head
    assert await peer.reader.readuntil(b"one\r\n")
    peer.writer.write(b"3\r\ntwo\r\n")
    assert await peer.reader.readuntil(b"two\r\n")
    peer.writer.write(b"0\r\n\r\n")
    assert await peer.reader.readuntil(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert await lives_on(peer)


# -- limits


class Limited(web.RequestHandler):
    def prepare(self) -> None:
        limit = self.get_query_argument("server", None)
        if limit is not None:
            self.request.connection.set_max_body_size(int(limit))

    async def post(self) -> None:
        limit = self.get_query_argument("limit", None)
        self.write(str(len(await self.request.read_body(None if limit is None else int(limit)))))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"our own {status_code}")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("expect", [(), (EXPECT,)], ids=["", "expect"])
async def test_a_body_over_the_handler_s_limit(
    serve: Serve, framing: str, expect: tuple[str, ...]
) -> None:
    site = await one_handler(serve, Limited)
    peer = await site.connect()
    line = "POST /?limit=5 HTTP/1.1"
    if framing == "length":
        # Known beforehand: nothing is read, and who asks is not told to go on.
        peer.send(line, "Host: a", "Content-Length: 6", *expect, body=b"" if expect else b"123456")
    else:
        chunked = b"6\r\n123456\r\n0\r\n\r\n"
        peer.send(line, "Host: a", CHUNKED, *expect, body=b"" if expect else chunked)
        if expect:
            assert (await peer.answer()).status == 100
            peer.writer.write(chunked)
    answer = await peer.answer()
    assert (answer.status, answer.body) == (413, b"our own 413")
    if expect and framing == "length":
        assert await peer.ended()
    else:
        assert await lives_on(peer)


async def test_the_server_s_limit_may_be_set_in_prepare(serve: Serve) -> None:
    site = await one_handler(serve, Limited, server={"max_body_size": 10})
    assert (await site.post("/", content=b"x" * 10)).text == "10"
    assert (await site.post("/?server=5000", content=b"x" * 5000)).text == "5000"
    for path, size in (("/", 11), ("/?server=5000", 5001)):
        peer = await site.connect()
        answer = await peer.ask(f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {size}")
        assert answer.status == 413
        assert await peer.ended()


async def test_a_body_that_is_refused_while_it_is_read(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Any] = []

    class Handler(web.RequestHandler):
        async def post(self) -> None:
            try:
                async for chunk in self.request.body_chunks():
                    errors.append(chunk)
            except StreamClosedError as error:
                errors.append(type(error))
                raise

        def on_connection_close(self) -> None:
            errors.append("close")

    site = await one_handler(serve, Handler, server={"max_body_size": 10})
    for wrong, status in ((b"x\r\n", 400), (b"6\r\n123456\r\n", 413)):
        errors.clear()
        peer = await site.connect()
        peer.send(*POST, CHUNKED, body=b"5\r\n12345\r\n")
        await until(lambda: errors)
        peer.writer.write(wrong)
        assert (await peer.answer()).status == status
        assert await peer.ended()
        assert errors == [b"12345", "close", StreamClosedError]
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


# -- the decorator


def test_pull_request_body_is_for_handlers() -> None:
    class Handler(web.RequestHandler):
        pass

    class Streaming(web.RequestHandler):
        pass

    assert web.pull_request_body(Handler) is Handler
    assert web._has_stream_request_body(Handler)  # for who asks whether the body is collected
    assert not web._has_stream_request_body(web.RequestHandler)
    assert web.pull_request_body(type("Below", (Handler,), {}))
    with pytest.raises(TypeError):
        web.pull_request_body(int)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="streams its body already"):
        web.pull_request_body(web.stream_request_body(Streaming))


async def test_a_read_beyond_the_limit_is_the_client_s_fault() -> None:
    request = HTTPServerRequest("POST", "/", body=b"abc")
    with pytest.raises(HTTPInputError) as caught:
        await request.read_body(2)
    assert (caught.value.status, caught.value.survives) == (413, True)
