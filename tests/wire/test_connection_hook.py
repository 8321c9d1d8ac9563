"""What a server tells of its connections: their states, and how many requests are in flight."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import (
    CLOSE,
    App,
    Client,
    Delegate,
    Endings,
    FakeClock,
    Served,
    get,
    post,
    settled,
    soon,
    until,
)

from tornadoish.http1.limits import Limits
from tornadoish.http1connection import ConnectionState
from tornadoish.http1connection.keeper import Keeper
from tornadoish.httputil import ResponseStartLine

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
NEW, ACTIVE, IDLE, DETACHED, CLOSED = ConnectionState
CHUNKED = get("/", "Transfer-Encoding: chunked")


class Hook:
    """Writes down the states of each connection."""

    def __init__(self) -> None:
        self.told: dict[object, list[ConnectionState]] = {}

    def __call__(self, connection: object, state: ConnectionState) -> None:
        self.told.setdefault(connection, []).append(state)

    @property
    def states(self) -> list[ConnectionState]:
        """Those of the only connection."""
        (states,) = self.told.values() or [[]]
        return states

    async def ends(self) -> list[ConnectionState]:
        """Those of the only connection, when it has come to its last."""
        await until(lambda: self.told and self.states[-1] in (DETACHED, CLOSED))
        return self.states


def in_flight(served: Served) -> int:
    count: int = served.server._keeper.requests
    return count


# -- states


async def test_requests_one_after_the_other(serve: Serve) -> None:
    hook = Hook()
    served = await serve(App(), connection_hook=hook)
    async with Client.connect(served.port) as client:
        await until(lambda: hook.told)
        assert hook.states == [NEW]
        for count in (1, 2):
            await client.send(get())
            await client.response()
            assert hook.states == [NEW, *[ACTIVE, IDLE] * count]
        connection = served.connections[0]
    assert await hook.ends() == [NEW, ACTIVE, IDLE, ACTIVE, IDLE, CLOSED]
    assert list(hook.told) == [connection]


@pytest.mark.parametrize("data", [get() * 3, get() * 3 + b"GET", post(b"x") * 3])
async def test_requests_at_once(serve: Serve, data: bytes) -> None:
    """The states are those of the requests, not of the reads that brought them."""
    hook = Hook()
    served = await serve(App(), connection_hook=hook)
    async with Client.connect(served.port) as client:
        await client.send(data)
        for _ in range(3):
            await client.response()
        assert hook.states == [NEW, *[ACTIVE, IDLE] * 3]
    assert await hook.ends() == [NEW, *[ACTIVE, IDLE] * 3, CLOSED]


async def test_a_request_in_flight_is_active(serve: Serve) -> None:
    hook = Hook()
    app = App(on_finish=lambda delegate: None)
    served = await serve(app, connection_hook=hook)
    async with Client.connect(served.port) as client:
        await client.send(post(b"x")[:-1])
        await until(lambda: app.delegates)
        assert hook.states == [NEW, ACTIVE]
        await client.send(b"x")
        await soon(app.something.wait())
        assert hook.states == [NEW, ACTIVE]
        app.delegates[0].answer(b"x")
        assert hook.states == [NEW, ACTIVE, IDLE]


ENDINGS: dict[str, tuple[bytes, list[ConnectionState]]] = {
    "nothing": (b"", [NEW, CLOSED]),
    "half a head": (b"GET", [NEW, CLOSED]),
    "malformed": (b"nonsense\r\n\r\n", [NEW, CLOSED]),
    "malformed behind a request": (get() + b"nonsense\r\n\r\n", [NEW, ACTIVE, IDLE, CLOSED]),
    "the last answer": (get("/", CLOSE), [NEW, ACTIVE, CLOSED]),
    "HTTP/1.0": (get(version="HTTP/1.0"), [NEW, ACTIVE, CLOSED]),
    "half a body": (post(b"xx")[:-1], [NEW, ACTIVE, CLOSED]),
    "a body that is malformed": (CHUNKED + b"x", [NEW, ACTIVE, CLOSED]),
    "in flight": (get("/slow"), [NEW, ACTIVE, CLOSED]),
    "a coroutine in flight": (get("/coroutine"), [NEW, ACTIVE, CLOSED]),
    "a body behind its answer": (post(b"xx", path="/early")[:-1], [NEW, ACTIVE, CLOSED]),
    "half an answer": (get("/half"), [NEW, ACTIVE, CLOSED]),
    "aborted": (get("/abort"), [NEW, ACTIVE, CLOSED]),
    "failed": (get("/fail"), [NEW, ACTIVE, CLOSED]),
    "detached": (get("/detach"), [NEW, ACTIVE, DETACHED]),
    "detached in a coroutine": (get("/later"), [NEW, ACTIVE, DETACHED]),
}  # fmt: skip


@pytest.mark.parametrize("how", ["the client goes", "the server closes", "cut", "drained"])
@pytest.mark.parametrize("kind", ENDINGS)
async def test_every_ending(serve: Serve, kind: str, how: str) -> None:
    """The last state comes once; nothing is in flight any more."""
    data, states = ENDINGS[kind]
    hook, app = Hook(), Endings()
    served = await serve(app, connection_hook=hook)
    async with Client.connect(served.port) as client:
        await client.send(data)
        await until(lambda: hook.told)
        await settled(30)
        app.gate.set() if how == "drained" else None
        if how == "the server closes":
            app.gate.set()
            await soon(served.server.close_all_connections())
        elif how == "the client goes":
            client.writer.transport.abort()
            await settled(30)
            app.gate.set()
        elif how == "cut":
            await soon(served.server.drain(0))
        else:
            draining = asyncio.ensure_future(served.server.drain(0.05))
            await settled(30)
            client.writer.transport.abort()
            await soon(draining)
        assert await hook.ends() == states
        await until(lambda: not served.connections)
        await settled()
    assert hook.states == states
    assert in_flight(served) == 0


async def test_closed_for_its_silence(serve: Serve) -> None:
    hook, clock = Hook(), FakeClock()
    served = await serve(App(), connection_hook=hook, clock=clock)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        clock.passes(100)
        assert await hook.ends() == [NEW, ACTIVE, IDLE, CLOSED]


async def test_several_connections(serve: Serve) -> None:
    hook = Hook()
    served = await serve(App(), connection_hook=hook)
    async with Client.connect(served.port) as one, Client.connect(served.port) as other:
        await one.send(get())
        await one.response()
        await until(lambda: len(hook.told) == 2)
        assert sorted(map(len, hook.told.values())) == [1, 3]
        del other
    await until(lambda: all(states[-1] is CLOSED for states in hook.told.values()))


async def test_a_hook_that_fails(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """That is logged, and the server goes on."""

    def hook(connection: object, state: ConnectionState) -> None:
        raise ZeroDivisionError(state.name)

    served = await serve(App(), connection_hook=hook)
    async with Client.connect(served.port) as client:
        await client.send(get() * 2)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
    await until(lambda: not served.connections)
    logged = [r for r in caplog.records if r.name == "tornado.application"]
    assert {r.levelno for r in logged} == {logging.ERROR}
    assert [str(r.exc_info[1]) for r in logged if r.exc_info] == [
        "NEW", "ACTIVE", "IDLE", "ACTIVE", "IDLE", "CLOSED",
    ]  # fmt: skip


# -- requests in flight


async def test_those_answered_on_the_spot_are_not_in_flight(serve: Serve) -> None:
    seen: list[int] = []

    def on_finish(delegate: Delegate) -> None:
        seen.append(in_flight(served))
        delegate.answer(b"x")

    served = await serve(App(on_finish=on_finish), limits=Limits(requests=1))
    async with Client.connect(served.port) as client:
        await client.send(get() * 3)
        for _ in range(3):
            assert (await client.response()).status == 200
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("data", [get(), post(b"hello")[:-1], post(b"x")])
async def test_503(serve: Serve, data: bytes) -> None:
    """Above the bound: at once, with a word when to come again, and without a delegate."""
    app = App(on_finish=lambda d: None if d.line.path != "/fast" else d.answer(b"x"))
    hook = Hook()
    served = await serve(app, limits=Limits(requests=2), connection_hook=hook)
    async with Client.connect(served.port) as one, Client.connect(served.port) as two:
        for client in (one, two):
            await client.send(data)
        await until(lambda: in_flight(served) == 2)
        for method in ("GET", "HEAD", "POST"):
            async with Client.connect(served.port) as third:
                await third.send(get("/fast").replace(b"GET", method.encode()))
                answer = await third.response(method)
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert int(answer.headers["retry-after"]) >= 1
                assert bool(answer.body) == (method != "HEAD")
                assert await third.eof() == b""
        assert len(app.delegates) == 2
        # One of them is through, and there is room again.
        if data.endswith(b"hell"):
            await one.send(b"o")
        await until(lambda: app.delegates[0].ended or app.delegates[1].ended)
        next(d for d in app.delegates if d.ended).answer(b"done")
        assert in_flight(served) == 1
        async with Client.connect(served.port) as third:
            await third.send(get("/fast"))
            assert (await third.response()).status == 200
    await until(lambda: in_flight(served) == 0)
    ends = [states[-2:] for states in hook.told.values()]
    assert ends.count([ACTIVE, CLOSED]) >= 3, "the refused ones were told of, too"


async def test_a_waiting_connection_may_be_refused(serve: Serve) -> None:
    """One that was open before, and had its answers: its next request is as many as any."""
    app = App(on_finish=lambda d: None if d.line.path == "/slow" else d.answer(b"x"))
    served = await serve(app, limits=Limits(requests=1))
    async with Client.connect(served.port) as one, Client.connect(served.port) as two:
        await one.send(get())
        assert (await one.response()).status == 200
        await two.send(get("/slow"))
        await until(lambda: in_flight(served) == 1)
        await one.send(get())
        assert (await one.response()).status == 503
        assert await one.eof() == b""


async def test_no_request_at_all(serve: Serve) -> None:
    """0 means zero."""
    served = await serve(App(), limits=Limits(requests=0))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).status == 503


async def test_any_number_of_requests(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app, limits=Limits(requests=None))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: in_flight(served) == 1)
        assert not served.server._keeper.full
        assert not served.server._keeper.attentive


def test_a_keeper_counts() -> None:
    keeper = Keeper(2)
    seen = []
    for change in (1, 1, 1, -1, -1, -1):
        keeper.count(change)
        seen.append((keeper.requests, keeper.full))
    assert seen == [(1, False), (2, True), (3, True), (2, True), (1, False), (0, False)]
