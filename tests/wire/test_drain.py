"""The end of a server without cutting anybody short: ``HTTPServer.drain``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from streams import CERT, SERVER_TLS
from support import App, Client, Delegate, FakeClock, Served, get, post, settled, soon, until

import tornadoish.httpserver.server as server_module
from tornadoish.http1.limits import Limits
from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.routing import Rule, RuleRouter
from tornadoish.web import Application, RequestHandler, stream_request_body

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
CHUNKED = get("/", "Transfer-Encoding: chunked")


def begin(served: Served, grace: float = 30.0, **options: bool) -> asyncio.Task[int]:
    """Drain as a task."""
    return asyncio.get_running_loop().create_task(served.server.drain(grace, **options))


async def idle(client: Client) -> None:
    """Bring the connection to where it waits for the next request."""
    await client.send(get())
    assert (await client.response()).status == 200


# -- who waits


async def test_nobody_is_there(serve: Serve) -> None:
    served = await serve(App())
    assert await soon(served.server.drain()) == 0


async def test_nothing_is_accepted_any_more(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await idle(client)
        draining = begin(served)
        await until(lambda: served.server._stopped)
        with pytest.raises(OSError):
            async with Client.connect(served.port):
                pass
        assert await client.eof() == b""
    assert await soon(draining) == 0


async def test_who_has_connected_is_served(serve: Serve) -> None:
    """Connected, but not yet accepted: the request waits in the system's queue."""
    served = await serve(App())
    with socket.create_connection(("127.0.0.1", served.port)) as sock:
        sock.sendall(get())
        draining = begin(served)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        answer = b""
        while data := await soon(loop.sock_recv(sock, 65536)):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    assert await soon(draining) == 0


@pytest.mark.parametrize("tls", [False, True])
async def test_idle_connections_are_closed_at_once(serve: Serve, tls: bool) -> None:
    """With an end, not a reset: no read fails."""
    served = await serve(App(), **({"ssl_options": SERVER_TLS} if tls else {}))
    context = ssl.create_default_context(cafile=CERT) if tls else None
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client.connect(served.port, ssl=context))
            for _ in range(3)
        ]
        for client in clients:
            await idle(client)
        draining = begin(served)
        for client in clients:
            assert await client.eof() == b""
            client.writer.close()
        assert await soon(draining) == 0
    assert served.connections == []


async def test_who_sends_when_it_is_too_late_is_not_reset(serve: Serve) -> None:
    """It gets an end without an answer, and may ask elsewhere."""
    clock = FakeClock()
    served = await serve(App(), clock=clock)
    async with Client.connect(served.port) as client:
        await idle(client)
        draining = begin(served)
        assert await client.eof() == b""
        await client.send(get() * 100)
        assert await client.eof() == b""
        assert served.connections, "it takes what comes"
        clock.passes(2)
        assert await soon(draining) == 0
        assert await client.eof() == b""


async def test_who_is_replaced_lets_idle_connections_ask_once_more(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is accepted, and the application hears of it behind them."""
    monkeypatch.setattr(server_module, "_UNHURRIED_SECONDS", 60.0)
    told = asyncio.Event()
    served = await serve(App(on_drain=told.set))
    async with Client.connect(served.port) as one, Client.connect(served.port) as other:
        for client in (one, other):
            await idle(client)
        draining = begin(served, 60.0, replaced=True)
        await until(lambda: served.server._stopped)
        with pytest.raises(OSError):
            async with Client.connect(served.port):
                pass
        await asyncio.sleep(0.2)  # the very thing: more than it is without being asked for
        for client in (one, other):
            assert not told.is_set()
            await client.send(get())
            answer = await client.response()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await client.eof() == b""
            client.writer.close()
        assert await soon(draining) == 0
    assert told.is_set()


@pytest.mark.parametrize("data", [get(), post(b"body")])
async def test_what_has_reached_the_host_is_answered(serve: Serve, data: bytes) -> None:
    """A request that is in the system's buffer as the server stops has come in time."""

    def on_drain() -> None:  # the loop has had no time to look
        assert os.write(client.writer.get_extra_info("socket").fileno(), data) == len(data)

    app = App(on_drain=on_drain)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await idle(client)
        draining = begin(served)
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0
    assert len(app.delegates) == 2


async def test_a_connection_that_was_just_made_has_a_second(serve: Serve) -> None:
    clock = FakeClock()
    served = await serve(App(), clock=clock)
    async with Client.connect(served.port) as early, Client.connect(served.port) as silent:
        await until(lambda: len(served.connections) == 2)
        draining = begin(served)
        await until(lambda: served.server._stopped)
        await settled()
        clock.passes(1)
        await early.send(get())
        answer = await early.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        early.writer.close()
        await until(lambda: len(served.connections) == 1)
        clock.passes(1)
        assert await silent.eof() == b""
        assert await soon(draining) == 0


@pytest.mark.parametrize("first", [True, False])
async def test_half_a_head_may_become_a_whole_one(serve: Serve, first: bool) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        if not first:
            await idle(client)
        request = get()
        await client.send(request[:10])
        await until(lambda: served.connections and served.connections[0].stream.buffer)
        draining = begin(served)
        await settled(30)
        await client.send(request[10:])
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        client.writer.close()
        assert await soon(draining) == 0


# -- requests that have begun


async def test_a_delegate_that_takes_its_time(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        draining = begin(served)
        await settled(30)
        app.delegates[0].answer(b"done")
        answer = await client.response()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0


async def test_a_delegate_that_is_a_coroutine(serve: Serve) -> None:
    gate = asyncio.Event()

    async def on_finish(delegate: Delegate) -> None:
        app.something.set()
        await gate.wait()
        delegate.answer(b"done")

    app = App(on_finish=on_finish)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        draining = begin(served)
        await settled(30)
        gate.set()
        answer = await client.response()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        client.writer.close()
        assert await soon(draining) == 0


@pytest.mark.parametrize("kind", ["length", "chunked"])
async def test_a_body_that_is_still_coming(serve: Serve, kind: str) -> None:
    app = App()
    served = await serve(app)
    begun, rest = (CHUNKED + b"5\r\nhe", b"llo\r\n0\r\n\r\n")
    if kind == "length":
        begun, rest = post(b"hello")[:-3], b"llo"
    async with Client.connect(served.port) as client:
        await client.send(begun)
        await until(lambda: app.delegates and app.delegates[0].chunks)
        draining = begin(served)
        await settled(30)
        await client.send(rest)
        answer = await client.response()
        assert answer.body.endswith(b" / hello")
        assert answer.headers["connection"] == "close"
        client.writer.close()
        assert await soon(draining) == 0


async def test_requests_behind_the_one_in_flight(serve: Serve) -> None:
    """The one that has begun is answered, and says that it is the last: those behind it are for
    their client to ask again (RFC 9112, 9.3.2). Its answer is not lost to a reset."""
    app = App(on_finish=lambda d: None if d.line.path == "/slow" else d.answer(b"fast"))
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/fast") + get("/slow") + get("/fast") * 1000)
        assert (await client.response()).body == b"fast"
        await until(lambda: len(app.delegates) == 2)
        draining = begin(served)
        await settled(30)
        app.delegates[1].answer(bytes(5_000_000))
        answer = await client.response()
        assert (len(answer.body), answer.headers["connection"]) == (5_000_000, "close")
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0
    assert len(app.delegates) == 2


async def test_an_answer_whose_head_is_out(serve: Serve) -> None:
    """It could not say that it is the last: so the connection ends behind it."""
    app = App(on_finish=lambda d: d.connection.write_headers(OK, HTTPHeaders(), b"half") and None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: app.delegates)
        draining = begin(served)
        await settled(30)
        app.delegates[0].connection.write(b" and half")
        app.delegates[0].connection.finish()
        answer = await client.response()
        assert answer.body == b"half and half"
        assert "connection" not in answer.headers
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0


async def test_the_rest_of_a_request_whose_answer_came_early(serve: Serve) -> None:
    """It is read as ever, and then the connection ends."""
    app = App(on_headers=lambda d: d.answer(b"early"), on_finish=lambda d: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello")[:-1])
        assert (await client.response()).body == b"early"
        draining = begin(served)
        await settled(30)
        await client.send(b"o")
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0


async def test_a_large_answer_goes_out_to_its_end(serve: Serve) -> None:
    """Written and finished, but not yet taken: the client reads on."""
    clock = FakeClock()
    app = App(on_finish=lambda d: d.answer(bytes(12_000_000)))
    limits = Limits(linger_seconds=1, write_bytes_per_second=0)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: app.delegates and served.connections[0].stream.blocked)
        draining = begin(served)
        await settled(30)
        for _ in range(5):
            clock.passes(4)
            client.rest += await client.more()
        assert len((await client.response()).body) == 12_000_000
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0


# -- handlers


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_coroutine_handler(serve: Serve, streamed: bool) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    class Slow(RequestHandler):
        async def post(self) -> None:
            begun.set()
            await gate.wait()
            self.write("done")

    class Streamed(Slow):
        async def data_received(self, chunk: bytes) -> None:
            await asyncio.sleep(0)

    application = Application([("/", stream_request_body(Streamed) if streamed else Slow)])
    served = await serve(application)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello"))
        await soon(begun.wait())
        draining = begin(served)
        await settled(30)
        gate.set()
        answer = await client.response("POST")
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        client.writer.close()
        assert await soon(draining) == 0


class Events(RequestHandler):
    """An event stream that would never end."""

    async def get(self) -> None:
        self.write("begin ")
        await self.flush()
        await self.application.draining.wait()  # type: ignore[attr-defined]
        self.write("end")


def applications() -> dict[str, Callable[[], Any]]:
    """Where an application may be that is told of the end."""
    return {
        "alone": lambda: Application([("/", Events)]),
        "in an application": lambda: Application([Rule(_any(), Application([("/", Events)]))]),
        "in a router": lambda: RuleRouter([Rule(_any(), Application([("/", Events)]))]),
        "in a router in a router": lambda: RuleRouter(
            [Rule(_any(), RuleRouter([Rule(_any(), Application([("/", Events)]))]))]
        ),
        "in a rule's list": lambda: Application(
            [(_any(), [("/other", Events), (_any(), Application([("/", Events)]))])]
        ),
        "behind a host": _behind_a_host,
    }


def _any() -> Any:
    from tornadoish.routing import AnyMatches

    return AnyMatches()


def _behind_a_host() -> Application:
    application = Application()
    application.add_handlers("x", [(_any(), Application([("/", Events)]))])
    return application


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("kind", applications())
async def test_event_streams_end_when_they_are_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, kind: str, replaced: bool
) -> None:
    """If the server has been replaced, that is a little later; not never."""
    monkeypatch.setattr(server_module, "_UNHURRIED_SECONDS", 0.01)
    served = await serve(applications()[kind]())
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert b"begin" in await client.more()
        draining = begin(served, replaced=replaced)
        assert (await client.eof()).endswith(b"3\r\nend\r\n0\r\n\r\n")
        client.writer.close()
        assert await soon(draining) == 0
    assert served.checked.calls.count("on_drain") == 1


async def test_the_application_is_told_first_and_once(serve: Serve) -> None:
    told: list[bool] = []
    app = App(on_drain=lambda: told.append(served.server._stopped))
    served = await serve(app)
    await soon(asyncio.gather(begin(served), begin(served)))
    await soon(served.server.drain())
    assert told == [False]


async def test_an_on_drain_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def on_drain() -> None:
        raise ZeroDivisionError

    served = await serve(App(on_drain=on_drain))
    async with Client.connect(served.port) as client:
        await idle(client)
        draining = begin(served)
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0
    assert [r.levelno for r in caplog.records if r.name == "tornado.application"] == [logging.ERROR]


# -- those who are not through in time


class Cut:
    """What became of the work for requests that were cut."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled: list[str] = []

    async def hang(self, name: str) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise


@pytest.mark.parametrize("method", ["on_headers", "on_data", "on_finish"])
async def test_a_delegate_is_cancelled(
    serve: Serve, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    cut = Cut()
    app = App(**{"on_finish": lambda d: None, method: lambda d, *_: cut.hang(method)})
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello"))
        await soon(cut.begun.wait())
        assert await soon(served.server.drain(0)) == 1
        with contextlib.suppress(ConnectionError):
            assert await client.eof() == b""
    assert cut.cancelled == [method]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "1 requests or detached connections were cut as the server stopped"
    ]


async def test_a_delegate_that_waits_for_a_future(serve: Serve) -> None:
    """Whatever it has returned is cancelled: nothing would come of it."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    app = App(on_headers=lambda d: future)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: app.delegates)
        assert await soon(served.server.drain(0)) == 1
    assert future.cancelled()
    assert app.delegates[0].ended == "close"


@pytest.mark.parametrize("where", ["prepare", "data_received", "post", "post behind data"])
async def test_a_handler_is_cancelled(serve: Serve, where: str) -> None:
    cut = Cut()
    events: list[str] = []

    @stream_request_body
    class Handler(RequestHandler):
        async def prepare(self) -> None:
            if where == "prepare":
                await cut.hang("prepare")

        async def data_received(self, chunk: bytes) -> None:
            if where == "data_received":
                await cut.hang("data_received")
            await asyncio.sleep(0)

        async def post(self) -> None:
            await cut.hang("post")

        def on_connection_close(self) -> None:
            events.append("close")

        def on_finish(self) -> None:
            events.append("finish")

    served = await serve(Application([("/", Handler)]))
    async with Client.connect(served.port) as client:
        data = post(b"" if where == "post" else b"hello")
        await client.send(data)
        await soon(cut.begun.wait())
        assert await soon(served.server.drain(0)) == 1
        await until(lambda: len(events) == 2)
    assert cut.cancelled == [where.split()[0]]
    assert sorted(events) == ["close", "finish"]


async def test_several_kinds_at_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Only requests without an answer count, and detached connections that are still there."""
    streams: list[Any] = []

    def on_finish(delegate: Delegate) -> None:
        path = delegate.line.path
        if path == "/detach":
            streams.append(delegate.connection.detach())
        elif path == "/early":
            delegate.answer(b"early")

    def on_headers(delegate: Delegate) -> None:
        if delegate.line.path == "/early":
            delegate.answer(b"early")

    app = App(on_finish=on_finish, on_headers=on_headers)
    served = await serve(app)
    async with contextlib.AsyncExitStack() as stack:
        for data in (
            b"", b"GET", get("/slow"), get("/detach"), post(b"x")[:-1],
            post(b"x", path="/early")[:-1], get("/slow") + get("/slow"),
        ):  # fmt: skip
            client = await stack.enter_async_context(Client.connect(served.port))
            await client.send(data)
        await until(lambda: len(app.delegates) == 5 and len(served.connections) == 6)
        assert await soon(served.server.drain(0)) == 4
    assert served.connections == []
    assert streams[0].closed()
    assert "4 requests" in caplog.text


async def test_who_does_not_let_himself_be_cancelled(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is not held up for ever: the server is left to its fate."""
    monkeypatch.setattr("tornadoish.httpserver.server._CUT_SECONDS", 0.01)
    gate = asyncio.Event()
    refused = 0

    async def on_finish(delegate: Delegate) -> None:
        nonlocal refused
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                refused += 1

    app = App(on_finish=on_finish)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        assert await soon(served.server.drain(0)) == 1
    assert refused == 1
    gate.set()
    await until(lambda: not served.connections)


async def test_grace_is_as_long_as_it_takes(serve: Serve) -> None:
    """Drained once more with less patience, while the first one waits."""
    cut = Cut()
    served = await serve(App(on_finish=lambda d: cut.hang("finish")))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(cut.begun.wait())
        patient = begin(served, 1000.0)
        await settled(30)
        assert not patient.done()
        assert await soon(served.server.drain(0)) == 1
        assert await soon(patient) == 0
    assert cut.cancelled == ["finish"]


async def test_drained_twice(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await idle(client)
        both = [begin(served), begin(served)]
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(asyncio.gather(*both)) == [0, 0]
    assert await soon(served.server.drain()) == 0


async def test_a_client_that_goes_away_is_not_cut(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        draining = begin(served)
        await settled(30)
        client.writer.close()
        assert await soon(draining) == 0


# -- as before


async def test_stop_lets_connections_live(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await idle(client)
        served.server.stop()
        await client.send(get())
        assert "connection" not in (await client.response()).headers
        await soon(served.server.close_all_connections())
        assert await client.eof() == b""


async def test_drain_behind_stop(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await idle(client)
        served.server.stop()
        draining = begin(served)
        assert await client.eof() == b""
        client.writer.close()
        assert await soon(draining) == 0


async def test_close_all_connections_while_draining(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        draining = begin(served)
        await settled(30)
        await soon(served.server.close_all_connections())
        assert await soon(draining) == 0
