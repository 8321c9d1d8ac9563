"""A server and the delegates of its application: who is called when, what happens when they fail.

The contract checker stands in front of every application here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import pytest
from support import CLOSE, App, Client, Delegate, get, post, raw, soon, until

from tornadoish.httputil import HTTPHeaders, HTTPInputError, ResponseStartLine
from tornadoish.iostream import StreamClosedError

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
CHUNKED = get("/", "Transfer-Encoding: chunked")


async def go_away(client: Client) -> None:
    """Reset the connection: the server hears of it at once."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
    with contextlib.suppress(OSError):
        await soon(client.writer.wait_closed())


async def ask_and_go_away(serve: Serve, app: App) -> Any:
    """A server of ``app``, whose only client goes away as soon as its request is there."""
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        await go_away(client)
    await until(lambda: app.closed)
    return served


# -- back-pressure: what is waited for

MEGABYTE = b"x" * (1 << 20)


class Gate:
    """A delegate's method that waits until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, *arguments: Any) -> None:
        self.reached.set()
        await self.opened.wait()


@pytest.mark.parametrize("method", ["on_headers", "on_data"])
async def test_nothing_more_is_read_while_a_delegate_is_busy(serve: Serve, method: str) -> None:
    gate = Gate()
    app = App(**{method: gate})
    served = await serve(app, chunk_size=10_000)
    async with Client.connect(served.port) as client:
        client.writer.write(post(MEGABYTE * 16))
        await soon(gate.reached.wait())
        stream = served.connections[0].stream
        await until(lambda: stream.paused)
        held = len(stream.buffer)
        for _ in range(50):
            await asyncio.sleep(0)
        assert stream.paused
        assert len(stream.buffer) == held <= 512 * 1024, "one read of the transport, at most"
        assert len(app.delegates[0].chunks) == (1 if method == "on_data" else 0)
        gate.opened.set()
        answer = await client.response()
        assert len(answer.body) == 16 * len(MEGABYTE) + len(b"POST / ")


async def test_pipelined_requests_wait_outside_CVE_2026_54273(serve: Serve) -> None:
    """aiohttp: thousands of requests behind a slow one."""
    gate = Gate()

    async def slow(delegate: Delegate) -> None:
        await gate()
        delegate.answer(b"slow")

    app = App(on_finish=lambda d: slow(d) if d.line.path == "/slow" else d.answer(b"fast"))
    served = await serve(app)
    async with Client.connect(served.port) as client:
        client.writer.write(get("/slow") + get("/fast") * 200_000)
        await soon(gate.reached.wait())
        stream = served.connections[0].stream
        await until(lambda: stream.paused)
        assert len(stream.buffer) <= 512 * 1024
        assert len(app.delegates) == 1
        await go_away(client)
    gate.opened.set()
    await until(lambda: app.closed)


@pytest.mark.parametrize("reads", [True, False])
async def test_answers_that_are_not_taken_hold_back_the_next(serve: Serve, reads: bool) -> None:
    """A small request may have a large answer: who asks on and on, and reads nothing, would have
    the server hold them all."""
    count, size = 400, 100_000
    app = App(on_finish=lambda delegate: delegate.answer(bytes(size)))
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get() * count)
        await until(lambda: served.connections and served.connections[0].turn.name == "ROOM")
        stream = served.connections[0].stream
        for _ in range(200):
            await asyncio.sleep(0)
        assert stream._transport.get_write_buffer_size() < 64 * 1024 + size + 1000
        assert len(app.delegates) < count / 2
        if reads:
            for _ in range(count):
                head = await soon(client.reader.readuntil(b"\r\n\r\n"))
                assert head.startswith(b"HTTP/1.1 200 ")
                await soon(client.reader.readexactly(size))
            assert len(app.delegates) == count
            await client.send(get())
            await soon(client.reader.readuntil(b"\r\n\r\n"))
    await until(lambda: app.closed)


@pytest.mark.parametrize("kind", ["coroutine", "future", "task", "done future", "awaitable"])
async def test_any_awaitable_will_do(serve: Serve, kind: str) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        order.append(f"{name} begins")
        await asyncio.sleep(0)
        order.append(f"{name} ends")

    class Other:
        def __init__(self, name: str) -> None:
            self.name = name

        def __await__(self) -> Any:
            return work(self.name).__await__()

    def make(name: str) -> Any:
        loop = asyncio.get_running_loop()
        if kind == "done future":
            future = loop.create_future()
            future.set_result(None)
            order.extend([f"{name} begins", f"{name} ends"])
            return future
        if kind == "awaitable":
            return Other(name)
        coroutine = work(name)
        if kind == "coroutine":
            return coroutine
        task = loop.create_task(coroutine)
        return task if kind == "task" else asyncio.shield(task)

    def on_finish(delegate: Delegate) -> Any:
        delegate.answer(b"done")
        return make("finish")

    app = App(
        on_headers=lambda d: make("headers"),
        on_data=lambda d, chunk: make("data"),
        on_finish=on_finish,
    )
    served = await serve(app, chunk_size=2)
    async with Client.connect(served.port) as client:
        await client.send(post(b"abcd") * 2)
        for _ in range(2):
            assert (await client.response()).body == b"done"
    names = ["headers", "data", "data", "finish"] * 2
    assert order == [word for name in names for word in (f"{name} begins", f"{name} ends")]


async def test_a_slow_reader_is_waited_for(serve: Serve) -> None:
    """The futures of write_headers and write are flow control: memory is bounded."""
    written = 0

    async def on_finish(delegate: Delegate) -> None:
        nonlocal written
        await delegate.connection.write_headers(OK, HTTPHeaders())
        for _ in range(64):
            written += 1
            await delegate.connection.write(MEGABYTE)
        delegate.connection.finish()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: written)
        for _ in range(100):
            await asyncio.sleep(0)
        assert written < 40
        received = 0
        while not (data := await client.more()).endswith(b"\r\n0\r\n\r\n"):
            received += len(data)
        assert received + len(data) > 64 * len(MEGABYTE)


# -- the peer goes away


@pytest.mark.parametrize("where", ["headers", "data", "body", "finish"])
@pytest.mark.parametrize("how", ["reset", "end"])
async def test_the_client_goes_away(serve: Serve, where: str, how: str) -> None:
    """Exactly one of finish and on_connection_close; the checker counts."""
    gate, gone = Gate(), asyncio.Event()
    waits: dict[str, Any] = {}
    if where == "headers":
        waits["on_headers"] = gate
    elif where == "data":
        waits["on_data"] = gate
    elif where == "finish":
        waits["on_finish"] = gate
    else:
        waits["on_data"] = lambda d, chunk: gate.reached.set()

    def start(app: App) -> None:
        original = app.start_request

        def start_request(server_conn: object, request_conn: Any) -> Delegate:
            request_conn.set_close_callback(gone.set)
            return original(server_conn, request_conn)

        app.start_request = start_request  # type: ignore[method-assign]

    app = App(**waits)
    start(app)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello")[: None if where == "finish" else -1])
        await soon(gate.reached.wait())
        if how == "reset":
            await go_away(client)
        else:
            client.writer.close()
        gate.opened.set()
        await until(lambda: app.closed)
    assert app.delegates[0].ended == ("finish" if where == "finish" else "close")
    assert served.checked.delegates[0].calls.count("on_connection_close") == (where != "finish")
    # Who has no delegate to hear it any more has the callback.
    assert gone.is_set() == (where == "finish")


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_an_answer_without_end(serve: Serve, how: str) -> None:
    """Who writes as long as there is room lets others have their turn, and hears of the end: its
    futures are done, and waiting for them alone would never let the loop run."""
    over = asyncio.Event()

    async def on_finish(delegate: Delegate) -> None:
        if delegate.line.path == "/":
            delegate.answer(b"other")
            return
        await delegate.connection.write_headers(OK, HTTPHeaders())
        try:
            while True:
                await delegate.connection.write(b"")
        except StreamClosedError:
            over.set()

    app = App(on_finish=on_finish)
    served = await serve(app)
    async with Client.connect(served.port) as client, Client.connect(served.port) as other:
        await client.send(get("/endless"))
        await client.more()
        await other.send(get())
        assert (await other.response()).body == b"other"
        if how == "reset":
            await go_away(client)
        else:
            client.writer.close()
        await soon(over.wait())


async def test_the_close_callback_while_an_answer_is_awaited(serve: Serve) -> None:
    calls: list[str] = []

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(lambda: calls.append("gone"))

    served = await ask_and_go_away(serve, App(on_finish=on_finish))
    assert calls == ["gone"]
    assert served.checked.delegates[0].calls == ["headers_received", "finish"]


async def test_no_close_callback_once_the_answer_is_finished(serve: Serve) -> None:
    calls: list[str] = []

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(lambda: calls.append("gone"))
        delegate.answer(b"x")

    app = App(on_finish=on_finish)
    served = await serve(app)
    await raw(served.port, get("/", CLOSE))
    await until(lambda: app.closed)
    assert calls == []


async def test_writing_to_a_client_that_is_gone(serve: Serve) -> None:
    gate = Gate()
    failed: list[BaseException] = []

    async def on_finish(delegate: Delegate) -> None:
        await gate()
        for write in (
            lambda: delegate.connection.write_headers(OK, HTTPHeaders(), b"x"),
            lambda: delegate.connection.write(b"y"),
        ):
            try:
                await write()
            except StreamClosedError as error:
                failed.append(error)
        delegate.connection.finish()

    app = App(on_finish=on_finish)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(gate.reached.wait())
        await go_away(client)
    stream = served.connections[0].stream
    await until(stream.closed)
    gate.opened.set()
    await until(lambda: app.closed)
    assert len(failed) == 2


async def test_a_last_word_to_a_client_that_is_gone(serve: Serve) -> None:
    """It has reset the connection, and nobody has noticed: reading is paused."""
    gate = Gate()

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await gate()
        raise HTTPInputError("too late", 422)

    app = App(on_data=on_data)
    served = await serve(app, chunk_size=10)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(1000))[:-1])
        await soon(gate.reached.wait())
        await client.send(b"x")
        await until(lambda: served.connections[0].stream.paused)
        await go_away(client)
        gate.opened.set()
        await until(lambda: app.closed)
    assert app.delegates[0].ended == "close"


# -- delegates that fail


def fails(*arguments: Any) -> Any:
    raise ZeroDivisionError("of the application")


async def fails_later(*arguments: Any) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("of the application")


@pytest.mark.parametrize("method", ["on_headers", "on_data", "on_finish"])
@pytest.mark.parametrize("fault", [fails, fails_later])
async def test_a_delegate_that_raises(
    serve: Serve, method: str, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(**{method: fault})
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello") + get("/never"))
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (500, "close")
        assert b"application" not in answer.body, "what went wrong is not for the peer"
        assert await client.eof() == b""
    await until(lambda: app.closed)
    assert len(app.delegates) == 1
    assert app.delegates[0].ended == ("finish" if method == "on_finish" else "close")
    logged = [r for r in caplog.records if r.name == "tornado.application"]
    assert len(logged) == 1
    assert logged[0].exc_info is not None
    assert isinstance(logged[0].exc_info[1], ZeroDivisionError)


async def test_a_start_request_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(App):
        def start_request(self, server_conn: object, request_conn: Any) -> Any:
            raise ZeroDivisionError

    app = Failing()
    served = await serve(app)
    answer = await raw(served.port, get())
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert [r.levelno for r in caplog.records if r.name == "tornado.application"] == [logging.ERROR]
    await until(lambda: app.closed)


async def test_an_on_connection_close_that_raises(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(on_gone=fails)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello")[:-1])
        await until(lambda: app.delegates)
        await go_away(client)
    await until(lambda: app.closed)
    assert [r.levelno for r in caplog.records if r.name == "tornado.application"] == [logging.ERROR]


async def test_a_close_callback_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    await ask_and_go_away(serve, App(on_finish=lambda d: d.connection.set_close_callback(fails)))
    assert [r.levelno for r in caplog.records if r.name == "tornado.application"] == [logging.ERROR]


@pytest.mark.parametrize("method", ["on_headers", "on_data", "on_finish"])
async def test_an_input_error_is_answered_with_its_status(serve: Serve, method: str) -> None:
    def refuse(*arguments: Any) -> None:
        raise HTTPInputError("not like this", 422)

    served = await serve(App(**{method: refuse}))
    answer = await raw(served.port, post(b"hello"))
    assert answer.startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("whole", [False, True])
async def test_failing_behind_what_is_written_already(serve: Serve, whole: bool) -> None:
    """Of half an answer the peer must see that it is not whole: no last chunk."""

    def on_finish(delegate: Delegate) -> None:
        if whole:
            delegate.answer(b"whole")
        else:
            delegate.connection.write_headers(OK, HTTPHeaders(), b"half")
        raise ZeroDivisionError

    served = await serve(App(on_finish=on_finish))
    answer = await raw(served.port, get() + get())
    assert answer.endswith(b"\r\n\r\nwhole" if whole else b"\r\n\r\n4\r\nhalf\r\n")
    assert answer.count(b"HTTP/1.1") == 1


async def test_fewer_bytes_than_announced(serve: Serve) -> None:
    def on_finish(delegate: Delegate) -> None:
        delegate.answer(b"short", Content_Length="10")

    served = await serve(App(on_finish=on_finish))
    answer = await raw(served.port, get())
    assert answer.endswith(b"\r\n\r\nshort")
    assert b"500" not in answer


async def test_stopping_for_a_stream_that_is_being_closed_is_no_mistake(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the end of a stream and the word of it: too little was written, to nobody."""
    failed: list[BaseException] = []

    async def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(OK, HTTPHeaders({"Content-Length": "10"}), b"short")
        served.connections[0].stream.abort()
        try:
            await delegate.connection.write(b"x")
        except StreamClosedError as error:
            failed.append(error)
        delegate.connection.finish()

    app = App(on_finish=on_finish)
    served = await serve(app)
    await raw(served.port, get())
    await until(lambda: app.closed)
    assert len(failed) == 1
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


async def test_abort(serve: Serve) -> None:
    def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(OK, HTTPHeaders(), b"half")
        delegate.connection.abort()

    app = App(on_finish=on_finish)
    served = await serve(app)
    assert (await raw(served.port, get())).endswith(b"\r\n\r\n4\r\nhalf\r\n")
    await until(lambda: app.closed)


# -- answers before the request is there


def answers_the_head(delegate: Delegate) -> None:
    delegate.answer(b"early " + delegate.line.path.encode())


def early() -> App:
    """Answers every request as soon as its head is there."""
    return App(on_headers=answers_the_head, on_finish=lambda delegate: None)


@pytest.mark.parametrize("chunked", [False, True])
async def test_what_is_left_of_a_small_request_is_drained(serve: Serve, chunked: bool) -> None:
    app = early()
    served = await serve(app)
    body = b"x" * 100_000
    rest = b"186a0\r\n" + body + b"\r\n0\r\n\r\n" if chunked else body
    head = CHUNKED if chunked else post(body)[: -len(body)]
    async with Client.connect(served.port) as client:
        await client.send(head)
        assert (await client.response()).body == b"early /"
        await client.send(rest + get("/next"))
        answer = await client.response()
        assert answer.body == b"early /next"
        assert "connection" not in answer.headers
    assert (app.delegates[0].ended, app.delegates[0].body) == ("close", b"")


async def test_what_has_arrived_already_is_drained(serve: Serve) -> None:
    app = early()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send((post(b"hello") + get("/next")) * 2)
        assert [(await client.response()).body for _ in range(4)] == [
            b"early /", b"early /next", b"early /", b"early /next",
        ]  # fmt: skip
    assert [d.ended for d in app.delegates] == ["close", "finish"] * 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_rest_is_not_read_but_the_answer_is(serve: Serve, chunked: bool) -> None:
    app = early()
    served = await serve(app)
    size = 8_000_000
    head = CHUNKED + b"7a1200\r\n" if chunked else post(b"x" * size)[:-size]
    async with Client.connect(served.port) as client:
        await client.send(head)
        for _ in range(80):
            await client.send(b"x" * 100_000)
        assert (await client.response()).body == b"early /"
        assert await client.eof() == b""
    assert (app.delegates[0].ended, app.delegates[0].body) == ("close", b"")
    await until(lambda: app.closed)


async def test_an_answer_in_the_middle_of_a_body(serve: Serve) -> None:
    def on_data(delegate: Delegate, chunk: bytes) -> None:
        if len(delegate.chunks) == 2:
            delegate.answer(b"enough")

    app = App(on_data=on_data)
    served = await serve(app, chunk_size=2)
    async with Client.connect(served.port) as client:
        await client.send(post(b"abcdefgh") + get("/next"))
        assert (await client.response()).body == b"enough"
        assert (await client.response()).body == b"GET /next "
    assert (app.delegates[0].body, app.delegates[0].ended) == (b"abcd", "close")


async def test_an_answer_while_the_head_is_waited_for(serve: Serve) -> None:
    """Nothing is delivered before the awaitable is done, whatever was answered meanwhile."""
    gate = Gate()

    async def on_headers(delegate: Delegate) -> None:
        delegate.answer(b"early")
        await gate()

    app = App(on_headers=on_headers)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello"))
        assert (await client.response()).body == b"early"
        assert app.delegates[0].ended == ""
        gate.opened.set()
        app.on_headers = lambda delegate: None  # type: ignore[method-assign]
        await client.send(get("/next"))
        assert (await client.response()).body == b"GET /next "
    assert app.delegates[0].ended == "close"


async def test_an_answer_finished_by_somebody_else_in_the_middle_of_a_body(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello")[:-1])
        await until(lambda: app.delegates and app.delegates[0].chunks)
        app.delegates[0].answer(b"enough")
        assert (await client.response()).body == b"enough"
        assert app.delegates[0].ended == "close"
        await client.send(b"o" + get("/next"))
        assert (await client.response()).body == b"GET /next "
