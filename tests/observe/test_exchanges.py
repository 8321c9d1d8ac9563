"""What observers are told of exchanges: each once, with its bytes, its times, and how it ended."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import pytest
from support import (
    CLOSE,
    OK,
    App,
    Client,
    Delegate,
    Endings,
    FakeClock,
    get,
    post,
    settled,
    soon,
    until,
)

from tornadoish.http1.limits import Limits
from tornadoish.http1connection import HTTP1ServerConnection
from tornadoish.httputil import Ended, Exchange, HTTPHeaders, Observer
from tornadoish.routing import Mount
from tornadoish.web import Application, RequestHandler

from .watching import Watch, facts

Serve = Callable[..., Awaitable[Any]]
CHUNKED = get("/", "Transfer-Encoding: chunked")
E = Ended

#: what is sent -> what is told of it, if the client goes away then
ENDINGS: dict[str, tuple[bytes, list[tuple[Any, ...]]]] = {
    "nothing": (b"", []),
    "half a head": (b"GET", []),
    "one": (get(), [(E.DONE, 200, 0, 6)]),
    "two": (get() * 2, [(E.DONE, 200, 0, 6)] * 2),
    "HEAD": (get().replace(b"GET", b"HEAD"), [(E.DONE, 200, 0, 0)]),
    "with a body": (post(b"abc"), [(E.DONE, 200, 3, 10)]),
    "chunks": (CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", [(E.DONE, 200, 3, 9)]),
    "in pieces": (get("/pieces"), [(E.DONE, 200, 0, 8)]),
    "the last": (get("/", CLOSE), [(E.DONE, 200, 0, 6)]),
    "HTTP/1.0": (get(version="HTTP/1.0"), [(E.DONE, 200, 0, 6)]),
    "malformed": (b"nonsense\r\n\r\n", [(E.MALFORMED, 400, 0, 38)]),
    "malformed behind": (get() + b"x\r\n\r\n", [(E.DONE, 200, 0, 6), (E.MALFORMED, 400, 0, 38)]),
    "half a body": (post(b"xx")[:-1], [(E.CLIENT_GONE, 499, 1, 0)]),
    "a malformed body": (CHUNKED + b"1\r\nab\r\n", [(E.MALFORMED, 400, 1, 52)]),
    "in flight": (get("/slow"), [(E.CLIENT_GONE, 499, 0, 0)]),
    "a coroutine in flight": (get("/coroutine"), [(E.CLIENT_GONE, 499, 0, 0)]),
    "a task in flight": (get("/task"), [(E.CLIENT_GONE, 499, 0, 0)]),
    "half an answer": (get("/half"), [(E.CLIENT_GONE, 200, 0, 4)]),
    "less than announced": (get("/short"), [(E.ABORTED, 200, 0, 4)]),
    "a body behind its answer": (post(b"xx", path="/early")[:-1], [(E.UNREAD, 200, 1, 5)]),
    "given up": (post(b"xx", CLOSE, path="/early")[:-1], [(E.UNREAD, 200, 1, 5)]),
    "aborted": (get("/abort"), [(E.ABORTED, 0, 0, 0)]),
    "failed": (get("/fail"), [(E.ERROR, 500, 0, 49)]),
    "detached": (get("/detach"), [(E.DETACHED, 0, 0, 0)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENDINGS)
async def test_every_ending(serve: Serve, kind: str) -> None:
    data, expected = ENDINGS[kind]
    watch, app = Watch(), Endings()
    served = await serve(app, observers=[watch])
    async with Client.connect(served.port) as client:
        await client.send(data)
        await until(lambda: watch.connections)
        await settled(30)
    await settled(20)
    app.gate.set()
    await watch.all_closed()
    await asyncio.gather(*app.tasks)
    assert [facts(exchange) for exchange in watch.ended_ones] == expected
    with_head = [exchange for exchange in watch.ended_ones if exchange.start_line is not None]
    assert watch.begun_ones == with_head
    assert watch.waiting_ones == [exchange for exchange in watch.ended_ones if exchange.waits]


SENT: dict[str, tuple[bytes, Ended, int]] = {
    "half a body": (post(b"xx")[:-1], E.CUT, 0),
    "in flight": (get("/slow"), E.CUT, 0),
    "a coroutine in flight": (get("/coroutine"), E.CUT, 0),
    "half an answer": (get("/half"), E.CUT, 200),
    "a body behind its answer": (post(b"xx", path="/early")[:-1], E.UNREAD, 200),
}


@pytest.mark.parametrize("how", ["drained", "closed"])
@pytest.mark.parametrize("kind", SENT)
async def test_a_server_that_stops(serve: Serve, kind: str, how: str) -> None:
    data, ended, status = SENT[kind]
    watch, app = Watch(), Endings()
    served = await serve(app, observers=[watch])
    async with Client.connect(served.port) as client:
        await client.send(data)
        await until(lambda: watch.begun_ones)
        await settled()
        if how == "drained":
            await soon(served.server.drain(0))
            assert watch.drains == 1
        else:
            await soon(served.server.close_all_connections())
        exchange = await watch.end_of_one()
        assert exchange.status == status
        assert exchange.ended in (ended, E.CUT)
    await watch.all_closed()


async def test_answered_in_the_drain(serve: Serve) -> None:
    watch, app = Watch(), Endings()
    served = await serve(app, observers=[watch])
    async with Client.connect(served.port) as client:
        await client.send(get("/task"))
        await until(lambda: watch.waiting_ones)
        drain = asyncio.ensure_future(served.server.drain())
        await settled()
        assert (watch.drains, watch.ended_ones) == (1, [])
        app.gate.set()
        assert (await client.response()).body == b"later"
        assert facts(await watch.end_of_one()) == (E.DONE, 200, 0, 5)
        assert await soon(drain) == 0


async def test_the_record_of_a_request(serve: Serve) -> None:
    watch = Watch()
    app = App(on_finish=lambda d: d.answer(b"x", 201, X_Own="y"))
    served = await serve(app, observers=[watch])
    async with Client.connect(served.port) as client:
        await client.send(get("/a?b", "User-Agent: me"))
        await client.response()
    exchange = await watch.end_of_one()
    assert exchange.start_line == ("GET", "/a?b", "HTTP/1.1")
    assert exchange.headers is not None and exchange.headers["user-agent"] == "me"
    assert exchange.response_headers is not None and exchange.response_headers["X-Own"] == "y"
    assert exchange.status == 201
    assert exchange.context.remote_ip == "127.0.0.1"
    assert exchange.begun < exchange.first_byte <= exchange.finished
    assert exchange.duration == exchange.finished - exchange.begun
    assert not exchange.waits


async def test_the_client_of_a_trusted_proxy(serve: Serve) -> None:
    watch = Watch()
    served = await serve(App(), observers=[watch], trusted_proxies=["127.0.0.1"])
    async with Client.connect(served.port) as client:
        await client.send(get("/", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"))
        await client.response()
    context = (await watch.end_of_one()).context
    assert (context.remote_ip, context.protocol) == ("192.0.2.7", "https")


# -- time


async def test_times_of_an_answer(serve: Serve) -> None:
    """First byte and end are those of the answer, whatever its delegate does behind it."""
    watch, stamps = Watch(), [0.0] * 4
    rest, over = asyncio.Event(), asyncio.Event()

    async def work(delegate: Delegate) -> None:
        stamps[0] = perf_counter()
        delegate.connection.write_headers(OK, HTTPHeaders({"Content-Length": "1"}))
        stamps[1] = perf_counter()
        await rest.wait()
        stamps[2] = perf_counter()
        delegate.connection.write(b"x")
        delegate.connection.finish()
        stamps[3] = perf_counter()
        await over.wait()

    served = await serve(App(on_finish=work), observers=[watch])
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: stamps[1])
        rest.set()
        await client.response()
        assert watch.ended_ones == []  # it is not told of before the delegate is through
        over.set()
        exchange = await watch.end_of_one()
    assert stamps[0] <= exchange.first_byte <= stamps[1]
    assert stamps[2] <= exchange.finished <= stamps[3]


async def test_the_end_of_an_answer_before_its_request(serve: Serve) -> None:
    watch = Watch()
    served = await serve(Endings(), observers=[watch])
    async with Client.connect(served.port) as client:
        data = post(b"xx", path="/early")
        await client.send(data[:-1])
        assert (await client.response()).body == b"early"
        answered = perf_counter()
        await client.send(data[-1:] + get())
        await client.response()
    assert [facts(e) for e in watch.ended_ones] == [(E.DONE, 200, 2, 5), (E.DONE, 200, 0, 6)]
    assert watch.ended_ones[0].finished <= answered


TIMED: dict[str, tuple[bytes, Ended, int, list[str]]] = {
    "half a head": (b"GET /", E.TIMEOUT, 408, ["header_seconds"]),
    "half a body": (post(b"xx")[:-1], E.TIMEOUT, 408, ["body_seconds"]),
}


@pytest.mark.parametrize("kind", TIMED)
async def test_time_limits(serve: Serve, kind: str) -> None:
    data, ended, status, limits = TIMED[kind]
    watch, clock = Watch(), FakeClock()
    times = Limits(header_seconds=5, body_gap_seconds=5)
    served = await serve(App(), observers=[watch], clock=clock, limits=times)
    async with Client.connect(served.port) as client:
        await client.send(data)
        await until(lambda: (served.connections and served.connections[0].stream.buffer)
                    or watch.begun_ones)  # fmt: skip
        await settled()
        clock.passes(6)
        clock.passes(1)
        exchange = await watch.end_of_one()
    assert (exchange.ended, exchange.status, watch.limits) == (ended, status, limits)
    assert exchange.bytes_out > 0


async def test_silence_is_no_exchange(serve: Serve) -> None:
    watch, clock = Watch(), FakeClock()
    served = await serve(App(), observers=[watch], clock=clock)
    async with Client.connect(served.port) as client:
        await until(lambda: watch.connections)
        clock.passes(100)
        clock.passes(1)
        assert await client.eof() == b""
        await watch.all_closed()
    assert (watch.ended_ones, watch.limits) == ([], [])


LIMITED: dict[str, tuple[bytes, int, str]] = {
    "a target": (get("/" + "x" * 300), 414, "start_line_bytes"),
    "a head": (get("/", "X: " + "x" * 300), 431, "header_bytes"),
    "a body": (post(b"x" * 300), 413, "body_bytes"),
    "a body in chunks": (CHUNKED + b"100\r\n" + b"x" * 256, 413, "body_bytes"),
}


@pytest.mark.parametrize("kind", LIMITED)
async def test_limits(serve: Serve, kind: str) -> None:
    data, status, name = LIMITED[kind]
    watch = Watch()
    limits = Limits(start_line_bytes=200, header_bytes=280, body_bytes=200)
    served = await serve(App(), observers=[watch], limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(data)
        assert (await client.response()).status == status
        exchange = await watch.end_of_one()
    assert (exchange.ended, exchange.status, watch.limits) == (E.LIMIT, status, [name])
    assert (exchange.start_line is None) == (status != 413)


async def test_too_many_requests(serve: Serve) -> None:
    """One that is turned away is told of, though no application has heard of it."""
    watch = Watch()
    app = App(on_finish=lambda delegate: None)
    served = await serve(app, observers=[watch], limits=Limits(requests=1))
    async with Client.connect(served.port) as one, Client.connect(served.port) as other:
        await one.send(get("/one"))
        await until(lambda: watch.waiting_ones)
        await other.send(get("/other"))
        assert (await other.response()).status == 503
        exchange = await watch.end_of_one()
        assert (exchange.ended, exchange.status, watch.limits) == (E.LIMIT, 503, ["requests"])
        assert exchange.start_line is not None and exchange.start_line.path == "/other"
        assert [one.start_line.path for one in watch.begun_ones if one.start_line] == ["/one"]


async def test_limits_on_connections(serve: Serve) -> None:
    watch = Watch()
    served = await serve(App(), observers=[watch], limits=Limits(connections_per_address=1))
    async with Client.connect(served.port), Client.connect(served.port) as other:
        assert await other.eof() == b""
        assert watch.limits == ["connections_per_address"]
    watch = Watch()
    served = await serve(App(), observers=[watch], limits=Limits(connections=1))
    async with Client.connect(served.port):
        await until(lambda: watch.limits)
        assert watch.limits == ["connections"]


# -- slow clients


class Slow:
    """A client that does not read, until it is told to; with small buffers on its way."""

    BODY = b"x" * (8 << 20)

    def __init__(self, serve: Serve, **options: Any) -> None:
        self.watch, self.clock = Watch(), FakeClock()
        app = App(on_finish=lambda delegate: delegate.answer(self.BODY))
        self.starting = serve(app, observers=[self.watch], clock=self.clock, **options)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Client]:
        """The client, when its answer has begun, and cannot go on."""
        served = await self.starting
        async with Client.connect(served.port, limit=1024) as client:
            await client.send(get())
            await until(lambda: served.connections and served.connections[0].stream.blocked)
            yield client


async def test_an_answer_that_is_taken_slowly_ends_when_it_is_taken(serve: Serve) -> None:
    slow = Slow(serve)
    async with slow.asking() as client:
        await settled(30)
        assert slow.watch.ended_ones == []
        assert len((await client.response()).body) == len(slow.BODY)
        exchange = await slow.watch.end_of_one()
        assert facts(exchange) == (E.DONE, 200, 0, len(slow.BODY))
        assert exchange.finished > exchange.first_byte


async def test_an_answer_that_is_never_taken(serve: Serve) -> None:
    slow = Slow(serve)
    async with slow.asking():
        await settled(30)
    exchange = await slow.watch.end_of_one()
    assert (exchange.ended, exchange.status) == (E.CLIENT_GONE, 200)


async def test_a_client_that_takes_too_little(serve: Serve) -> None:
    slow = Slow(serve, limits=Limits(write_seconds=5))
    async with slow.asking():
        for _ in range(4):
            slow.clock.passes(6)
        exchange = await slow.watch.end_of_one()
        assert (exchange.ended, slow.watch.limits) == (E.TIMEOUT, ["write_seconds"])


# -- what it is told of, and what it costs


async def test_routes(serve: Serve) -> None:
    class Own(RequestHandler):
        def get(self, **groups: Any) -> None:
            self.write("x")

    inner = Application([("/{name}", Own)])
    app = Application([("/plain", Own), (r"/re/(?P<number>\d+)", Own), Mount("/in", inner)])
    watch = Watch()
    served = await serve(app, observers=[watch], check=False)
    async with Client.connect(served.port) as client:
        for path in ("/plain", "/re/7", "/in/side", "/nowhere"):
            await client.send(get(path))
            await client.response()
    assert watch.routes == ["/plain", r"/re/(?P<number>\d+)", "/in/{name}", ""]


async def test_observers_of_an_application(serve: Serve) -> None:
    """For whoever does not make the server himself; beside the server's own."""
    watches = [Watch(), Watch()]
    app = Application([], observers=watches[:1], log_function=lambda handler: None)
    served = await serve(app, observers=watches[1:], check=False)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
    assert [facts(await watch.end_of_one())[1] for watch in watches] == [404, 404]


async def test_begun_runs_in_the_context_of_the_request(serve: Serve) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    seen: list[str] = []

    class Setter(Observer):
        def begun(self, exchange: Exchange) -> None:
            assert exchange.start_line is not None
            variable.set(exchange.start_line.path)

    app = App(on_finish=lambda d: (seen.append(variable.get()), d.answer(b"x"))[1])
    served = await serve(app, observers=[Setter()])
    async with Client.connect(served.port) as client:
        await client.send(get("/1") + get("/2"))
        await client.response(), await client.response()
    assert seen == ["/1", "/2"] and variable.get() == ""


class Failing(Observer):
    """Its every method fails."""

    def connection_opened(self, connection: object) -> None:
        raise ZeroDivisionError("opened")

    def connection_closed(self, connection: object, detached: Exchange | None) -> None:
        raise ZeroDivisionError("closed")

    def begun(self, exchange: Exchange) -> None:
        raise ZeroDivisionError("begun")

    def ended(self, exchange: Exchange) -> None:
        raise ZeroDivisionError("ended")


@pytest.mark.parametrize("observers", [1, 2])
async def test_observers_that_fail(
    serve: Serve, caplog: pytest.LogCaptureFixture, observers: int
) -> None:
    """That is logged, and neither the server nor another observer is the worse for it."""
    watch = Watch()
    served = await serve(App(), observers=[Failing(), watch][:observers])
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
    await until(lambda: not served.connections)
    logged = [r for r in caplog.records if r.name == "tornado.application"]
    assert {r.levelno for r in logged} == {logging.ERROR}
    assert [str(r.exc_info[1]) for r in logged if r.exc_info] == [
        "opened", "begun", "ended", "begun", "ended", "closed",
    ]  # fmt: skip
    if observers == 2:
        assert [facts(e) for e in watch.ended_ones] == [(E.DONE, 200, 0, 6)] * 2


async def test_who_is_not_observed_pays_nothing(serve: Serve) -> None:
    served = await serve(App())
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        assert type(served.connections[0]) is HTTP1ServerConnection


async def test_an_exchange_leaves_no_cycle_behind(serve: Serve) -> None:
    """Neither what is told nor what is kept until then."""

    class Silent(Observer):
        wants_request = True

        def ended(self, exchange: Exchange) -> None:
            assert exchange.request is not None

    class Own(RequestHandler):
        def get(self) -> None:
            self.write("x")

        def post(self) -> None:
            self.write(self.request.body)

    app = Application([("/", Own)])
    served = await serve(app, observers=[Silent()], check=False)
    async with Client.connect(served.port) as client:
        await client.send(get() + post(b"abc"))
        await client.response(), await client.response()
        await settled()
        gc.collect()
        gc.disable()
        try:
            await client.send((get() + post(b"abc")) * 5)
            for _ in range(10):
                await client.response()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            found = [type(o).__name__ for o in gc.garbage if "tornadoish" in type(o).__module__]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert found == []
