"""The life of an application: hooks as it starts, as its server begins to stop, and at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from libraries import installed

from tornadoish import routing
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornadoish.routing import Mount, RuleRouter
from tornadoish.web import Application, RequestHandler

from .serving import Framework, Peer, Serve, Site, until

GET = ("GET / HTTP/1.1", "Host: a")


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("hello")


class Waiting(RequestHandler):
    async def get(self) -> None:
        self.settings["events"].append("request")
        try:
            await self.settings["gate"].wait()
        finally:
            self.settings["events"].append("answered")


def hooked(
    events: list[str], name: str = "", handlers: Any = (), fail: str = "", **settings: Any
) -> Application:
    """An application that writes down what is called; the one called ``fail`` raises."""
    application = Application(list(handlers), events=events, **settings)

    def happen(what: str) -> None:
        events.append(name + what)
        if what == fail:
            raise ZeroDivisionError(name + what)

    def plain(what: str) -> Any:
        def hook(given: Any) -> None:
            assert given is application
            happen(what)

        return hook

    def coroutine(what: str) -> Any:
        async def hook(given: Any) -> None:
            assert given is application
            await asyncio.sleep(0)
            happen(what)

        return hook

    async def generator(given: Any) -> AsyncIterator[None]:
        assert given is application
        happen("enter 1")
        yield
        await asyncio.sleep(0)
        happen("exit 1")

    @asynccontextmanager
    async def context(given: Any) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        happen("enter 2")
        try:
            yield
        finally:
            happen("exit 2")

    application.on_startup += [plain("start 1"), coroutine("start 2")]
    application.on_shutdown += [coroutine("shut 1"), plain("shut 2")]
    application.on_cleanup += [coroutine("clean 1"), plain("clean 2")]
    application.cleanup_ctx += [generator, context]
    return application


START = ["start 1", "start 2", "enter 1", "enter 2"]
SHUT = ["shut 1", "shut 2"]
END = ["clean 1", "clean 2", "exit 2", "exit 1"]


def listening(server: HTTPServer) -> int:
    server.listen(0, "127.0.0.1")
    port: int = next(iter(server._sockets.values())).getsockname()[1]
    return port


Connect = Callable[[int], Awaitable[Peer]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    peers: list[Peer] = []

    async def connect(port: int) -> Peer:
        peers.append(Peer(*await asyncio.open_connection("127.0.0.1", port)))
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()


async def drained(site: Site) -> None:
    """Drain its server; its client keeps no connection open."""
    await site.client.aclose()
    assert await site.server.drain() == 0


async def hello(connect: Connect, port: int) -> bytes:
    """What is answered to a request on a connection of its own."""
    peer = await connect(port)
    answer = await peer.ask(*GET)
    peer.close()
    return answer.body


# ---- The order -----------------------------------------------------------------------------------


async def test_the_order(connect: Connect) -> None:
    events: list[str] = []
    gate = asyncio.Event()
    application = hooked(events, handlers=[("/", Waiting)], gate=gate)
    async with HTTPServer(application) as server:
        assert events == START
        peer = await connect(listening(server))
        peer.send(*GET)
        await until(lambda: "request" in events)
        draining = asyncio.ensure_future(server.drain())
        await until(lambda: "shut 2" in events)
        assert application.draining.is_set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert events == [*START, "request", *SHUT]
        gate.set()
        answer = await peer.answer()
        assert (answer.status, answer.get("Connection")) == (200, "close")
        peer.close()
        assert await draining == 0
    assert events == [*START, "request", *SHUT, "answered", *END]


async def test_shutdown_hooks_come_before_anything_is_closed(connect: Connect) -> None:
    """Who has to wait for a load balancer serves meanwhile."""
    served: list[int] = []
    application = Application([("/", Hello)])
    server = HTTPServer(application)
    port = listening(server)
    idle = await connect(port)
    await idle.ask(*GET)

    async def still_serving(_: Any) -> None:
        assert application.draining.is_set()
        for peer in (idle, idle, await connect(port)):
            served.append((await peer.ask(*GET)).status)
        peer.close()
        idle.close()

    application.on_shutdown.append(still_serving)
    assert await server.drain() == 0
    assert served == [200, 200, 200]


async def test_hooks_may_be_appended_by_hooks() -> None:
    events: list[str] = []

    def start(application: Application) -> None:
        application.on_startup.append(lambda _: events.append("more"))
        application.on_cleanup.append(lambda _: events.append("clean"))

    application = Application()
    application.on_startup.append(start)
    async with HTTPServer(application):
        assert events == ["more"]
    assert events == ["more", "clean"]


async def test_what_handlers_share_is_in_the_settings(serve: Serve) -> None:
    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(self.settings["pool"])

    async def pool(application: Application) -> AsyncIterator[None]:
        application.settings["pool"] = "open"
        yield
        application.settings["pool"] = "closed"

    application = Application([("/", Handler)])
    application.cleanup_ctx.append(pool)
    site = await serve(application)
    await site.server.start_application()
    assert (await site.get("/")).text == "open"
    await drained(site)
    assert application.settings["pool"] == "closed"


async def test_without_hooks_there_is_nothing(connect: Connect) -> None:
    application = Application([("/", Hello)])
    async with HTTPServer(application) as server:
        assert await hello(connect, listening(server)) == b"hello"
    assert application._life is None


async def test_a_function_has_no_life() -> None:
    async with HTTPServer(lambda request: None):
        pass


# ---- Errors and cancellation ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail", "events"),
    [
        ("start 1", ["start 1", "clean 1", "clean 2"]),
        ("start 2", ["start 1", "start 2", "clean 1", "clean 2"]),
        ("enter 1", [*START[:3], "clean 1", "clean 2"]),
        ("enter 2", [*START, "clean 1", "clean 2", "exit 1"]),
    ],
)
async def test_a_start_that_fails_is_undone(fail: str, events: list[str]) -> None:
    seen: list[str] = []
    server = HTTPServer(hooked(seen, fail=fail))
    with pytest.raises(ZeroDivisionError, match=fail):
        async with server:
            pytest.fail("it was started")
    assert seen == events
    await server.drain()
    assert seen == events


async def test_a_failed_start_can_be_repeated() -> None:
    events: list[str] = []
    application = hooked(events)
    application.on_startup.insert(0, lambda _: {}[0])
    with pytest.raises(KeyError):
        await application.startup()
    del application.on_startup[0]
    events.clear()
    async with HTTPServer(application):
        pass
    assert events == [*START, *SHUT, *END]


async def test_a_start_that_is_cancelled_is_undone() -> None:
    events: list[str] = []
    application = hooked(events)

    async def hang(_: Any) -> AsyncIterator[None]:
        try:
            events.append("hang")
            await asyncio.Event().wait()
            yield
        finally:
            events.append("cancelled")

    application.cleanup_ctx.append(hang)
    task = asyncio.ensure_future(application.startup())
    await until(lambda: "hang" in events)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == [*START, "hang", "cancelled", *END]


async def test_errors_while_undoing_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    application = hooked(events, fail="clean 1")
    application.cleanup_ctx.append(lambda _: 7)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="7 is no async generator"):
        await application.startup()
    assert events == [*START, *END]
    assert [r.name for r in caplog.records] == ["tornado.application"]
    assert "clean 1" in caplog.text


@pytest.mark.parametrize("fail", END)
async def test_a_cleanup_that_fails_keeps_no_other_from_running(
    fail: str, connect: Connect
) -> None:
    events: list[str] = []
    server = HTTPServer(hooked(events, fail=fail))
    port = 0
    with pytest.raises(ExceptionGroup) as caught:
        async with server:
            port = listening(server)
    assert events == [*START, *SHUT, *END]
    (error,) = caught.value.exceptions
    assert isinstance(error, ZeroDivisionError)
    assert str(error) == fail
    with pytest.raises(ConnectionRefusedError):
        await connect(port)


async def test_all_errors_of_a_cleanup_are_told() -> None:
    application = Application()
    application.on_cleanup += [lambda _: {}["key"], lambda _: int("x")]
    with pytest.raises(ExceptionGroup, match="as an application was cleaned up") as caught:
        await application.cleanup()
    assert [type(each) for each in caught.value.exceptions] == [KeyError, ValueError]


async def test_a_shutdown_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """For the drain goes on."""
    events: list[str] = []
    async with HTTPServer(hooked(events, fail="shut 1")):
        pass
    assert events == [*START, *SHUT, *END]
    assert "ZeroDivisionError: shut 1" in caplog.text


async def test_a_shutdown_that_hangs_is_cut_with_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All hooks are called, and none is waited for when the time is over."""
    events: list[str] = []
    application = hooked(events)

    async def hang(_: Any) -> None:
        events.append("hang")
        await asyncio.Event().wait()

    application.on_shutdown[:0] = [hang, hang]
    server = HTTPServer(application)
    await server.start_application()
    assert await server.drain(0) == 0
    # The coroutine among the others comes to its first await.
    assert events == [*START, "hang", "hang", "shut 2", *END]
    assert "has not shut down in 0 seconds" in caplog.text


async def test_a_drain_that_is_cancelled_cleans_up(connect: Connect) -> None:
    events: list[str] = []
    application = hooked(events, handlers=[("/", Waiting)], gate=asyncio.Event())
    server = HTTPServer(application)
    await server.start_application()
    peer = await connect(listening(server))
    peer.send(*GET)
    await until(lambda: "request" in events)
    draining = asyncio.ensure_future(server.drain())
    await until(lambda: "shut 2" in events)
    for _ in range(5):
        await asyncio.sleep(0)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    assert events == [*START, "request", *SHUT, "answered", *END]
    assert await peer.ended()


async def test_a_cleanup_that_is_cancelled_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    application = hooked(events, fail="clean 2")

    async def hang(_: Any) -> None:
        events.append("hang")
        await asyncio.Event().wait()

    await application.startup()
    application.on_cleanup.insert(0, hang)
    task = asyncio.ensure_future(application.cleanup())
    await until(lambda: "hang" in events)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events == [*START, "hang", *END]
    assert "ZeroDivisionError: clean 2" in caplog.text


# ---- Requests that come too early ----------------------------------------------------------------


async def test_before_the_start_requests_get_a_503(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []
    gate = asyncio.Event()
    application = hooked(events, handlers=[("/", Hello)])

    async def wait(_: Any) -> None:
        await gate.wait()

    application.on_startup.append(wait)
    site = await serve(application)
    for path in ("/", "/nowhere"):
        response = await site.get(path)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    # Once, for it may be that nobody is going to start it.
    errors = [r.getMessage() for r in caplog.records if r.name == "tornado.application"]
    assert len(errors) == 1
    assert "asked before it was started" in errors[0]
    starting = asyncio.ensure_future(site.server.start_application())
    await until(lambda: "start 2" in events)
    assert (await site.get("/")).status_code == 503
    gate.set()
    await starting
    assert (await site.get("/")).text == "hello"
    await application.cleanup()
    assert (await site.get("/")).status_code == 503
    assert events == [*START, *END]


async def test_hooks_of_the_end_alone_need_no_start(serve: Serve) -> None:
    events: list[str] = []
    application = Application([("/", Hello)])
    application.on_shutdown.append(lambda _: events.append("shut"))
    application.on_cleanup.append(lambda _: events.append("clean"))
    site = await serve(application)
    assert (await site.get("/")).text == "hello"
    await drained(site)
    assert events == ["shut", "clean"]


async def test_what_was_not_started_is_not_ended(serve: Serve) -> None:
    events: list[str] = []
    site = await serve(hooked(events))
    await drained(site)
    assert events == []


# ---- Several servers, several drains -------------------------------------------------------------


async def test_one_application_on_two_servers(connect: Connect) -> None:
    """It starts with the first and ends with the last."""
    events: list[str] = []
    application = hooked(events, handlers=[("/", Hello)])
    first, second = HTTPServer(application), HTTPServer(application)
    await asyncio.gather(first.start_application(), second.start_application())
    assert events == START
    await first.drain()
    assert events == [*START, *SHUT]
    assert await hello(connect, listening(second)) == b"hello"
    await second.drain()
    assert events == [*START, *SHUT, *END]
    with pytest.raises(RuntimeError, match="cannot start again"):
        await application.startup()


async def test_drains_at_the_same_time() -> None:
    """None is done before the application is."""
    events: list[str] = []
    gate = asyncio.Event()
    application = hooked(events)

    async def wait(_: Any) -> None:
        await gate.wait()
        events.append("waited")

    application.on_cleanup.append(wait)
    server = HTTPServer(application)
    await server.start_application()
    drains = [asyncio.ensure_future(server.drain()) for _ in range(2)]
    await until(lambda: "clean 2" in events)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not any(drain.done() for drain in drains)
    gate.set()
    assert await asyncio.gather(*drains) == [0, 0]
    assert events == [*START, *SHUT, "clean 1", "clean 2", "waited", "exit 2", "exit 1"]
    assert await server.drain() == 0


# ---- Applications within applications ------------------------------------------------------------


def nested(events: list[str], fail: str = "") -> Application:
    inner = hooked(events, "inner ", fail=fail.removeprefix("inner "))
    host = hooked(events, "host ", fail=fail.removeprefix("host ") if "host" in fail else "")
    return hooked(
        events,
        handlers=[
            Mount("/in", inner),
            (routing.HostMatches("host"), [("/.*", RuleRouter([("/.*", host)]))]),
            ("/", Hello),
        ],
    )


def named(name: str, events: list[str]) -> list[str]:
    return [f"{name} {event}" for event in events]


async def test_nested_applications() -> None:
    """The outer one is ready when the inner ones start, and still there when they end."""
    events: list[str] = []
    for top in (nested(events), RuleRouter([("/.*", nested(events))])):
        events.clear()
        async with HTTPServer(top):
            # Host rules are tried first, so they come first.
            assert events == [*START, *named("inner", START), *named("host", START)]
            events.clear()
        assert events == [
            *SHUT, *named("inner", SHUT), *named("host", SHUT),
            *named("host", END), *named("inner", END), *END,
        ]  # fmt: skip


async def test_a_nested_application_that_cannot_start() -> None:
    events: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await nested(events, "host enter 1").startup()
    assert events == [
        *START, *named("inner", START), *named("host", START[:3]),
        *named("host", END[:2]), *named("inner", END), *END,
    ]  # fmt: skip


async def test_those_that_were_started_are_undone_backwards() -> None:
    events: list[str] = []
    each = [
        hooked(events, f"{number} ", fail="enter 1" if number == 3 else "") for number in (1, 2, 3)
    ]
    with pytest.raises(ZeroDivisionError, match="3 enter 1"):
        await RuleRouter([("/.*", application) for application in each]).startup()
    assert events[-8:] == [*named("2", END), *named("1", END)]


async def test_an_application_in_two_places() -> None:
    """It starts and ends once."""
    events: list[str] = []
    inner = hooked(events)
    places = [("/a/.*", inner), ("/b/.*", inner), Mount("/c", inner), ("/.*", [("/d/.*", inner)])]
    async with HTTPServer(Application(places)):
        pass
    assert events == [*START, *SHUT, *END]


async def test_a_nested_application_alone(serve: Serve) -> None:
    """The outer one has no hooks."""
    events: list[str] = []
    inner = hooked(events, handlers=[("/", Hello)])
    site = await serve([Mount("/in", inner), ("/", Hello)])
    assert (await site.get("/in/")).status_code == 503
    assert (await site.get("/")).status_code == 200
    await site.server.start_application()
    assert (await site.get("/in/")).text == "hello"
    await drained(site)
    assert events == [*START, *SHUT, *END]


async def test_errors_of_nested_applications_are_all_told() -> None:
    events: list[str] = []
    application = nested(events, "host clean 1")
    application.on_cleanup.append(lambda _: {}[0])
    await application.startup()
    events.clear()
    with pytest.raises(ExceptionGroup) as caught:
        await application.cleanup()
    assert events == [*named("host", END), *named("inner", END), *END]
    assert caught.group_contains(ZeroDivisionError, match="host clean 1")
    assert caught.group_contains(KeyError, depth=1)


async def test_other_delegates_hear_of_it_too(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a rule leads to: an ASGI application, say."""
    calls: list[str] = []

    class Other(HTTPServerConnectionDelegate):
        def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
            raise NotImplementedError

        def on_drain(self) -> None:
            calls.append("on_drain")

        async def startup(self) -> None:
            calls.append("startup")

        async def shutdown(self) -> None:
            calls.append("shutdown")

        async def cleanup(self) -> None:
            calls.append("cleanup")

    other = Other()
    for top in (other, Application([("/a", other), ("/b", other), ("/c", [("/d", Other)])])):
        calls.clear()
        async with HTTPServer(top):
            pass
        assert calls == ["startup", "on_drain", "shutdown", "cleanup"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
