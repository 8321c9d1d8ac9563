"""``handler_timeout``: a handler's coroutine ends when it takes too long; ours alone."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextvars import ContextVar
from typing import Any

import pytest
from libraries import installed

from tornadoish import web
from tornadoish.web import timer as timers

from .serving import Framework, Peer, Serve, Site, until

GET = ("GET / HTTP/1.1", "Host: a")
POST = ("POST / HTTP/1.1", "Host: a", "Content-Length: 5")
#: seconds: is over at once, and nothing here depends on when
SHORT = 0.01

word: ContextVar[str] = ContextVar("word", default="unset")


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


class Slow(web.RequestHandler):
    """Waits for ever, and writes down what becomes of it."""

    handler_timeout: Any = SHORT

    @property
    def events(self) -> list[str]:
        events: list[str] = self.settings["events"]
        return events

    async def wait(self) -> None:
        self.settings["latest"] = self
        self.events.append("begin")
        try:
            await self.settings["gate"].wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        self.events.append("end")

    async def get(self) -> None:
        await self.wait()

    post = get

    def on_connection_close(self) -> None:
        self.events.append("close")

    def on_finish(self) -> None:
        self.events.append(f"finish {self.get_status()}")


async def start(serve: Serve, handler: Any, **options: Any) -> tuple[Site, list[str]]:
    events: list[str] = []
    site = await serve([("/", handler)], gate=asyncio.Event(), events=events, **options)
    return site, events


def time_is_over(site: Site) -> None:
    """What its timer does to the handler that waits."""
    site.application.settings.pop("latest")._timer._expire()


def own(**attributes: Any) -> Any:
    """A class of handlers, `Slow` but for these."""
    return type("Own", (Slow,), attributes)


# ---- What the client sees ------------------------------------------------------------------------


async def test_a_503(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site, events = await start(serve, Slow)
    peer = await site.connect()
    for _ in range(2):  # the connection goes on
        answer = await peer.ask(*GET)
        assert (answer.status, answer.reason) == (503, "Service Unavailable")
        assert b"503: Service Unavailable" in answer.body
        await until(lambda: "finish 503" in events)
        assert events == ["begin", "cancelled", "finish 503"]
        events.clear()
    await until(lambda: not site.application._running)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings[0] == (
        "503 GET / (127.0.0.1): no answer within the handler_timeout of 0.01 seconds"
    )
    assert "caught" not in caplog.text


@pytest.mark.parametrize(
    ("attributes", "settings", "status"),
    [
        ({"handler_timeout": ...}, {"handler_timeout": SHORT}, 503),
        ({"handler_timeout": ...}, {"handler_timeout": 0}, 503),
        ({"handler_timeout": SHORT}, {"handler_timeout": 1000}, 503),
        ({"handler_timeout": SHORT}, {"handler_timeout": None}, 503),
        ({"handler_timeout_status": 504}, {}, 504),
        ({}, {"handler_timeout_status": 504}, 504),
        ({"handler_timeout_status": 500}, {"handler_timeout_status": 504}, 500),
    ],
)
async def test_the_class_and_the_setting(
    serve: Serve, attributes: Any, settings: Any, status: int
) -> None:
    site, _ = await start(serve, own(**attributes), **settings)
    assert (await site.get("/")).status_code == status


@pytest.mark.parametrize("attributes", [{"handler_timeout": ...}, {"handler_timeout": None}])
async def test_without_one(serve: Serve, attributes: Any) -> None:
    settings = {} if attributes["handler_timeout"] is ... else {"handler_timeout": SHORT}
    timer: list[Any] = []

    class Handler(own(**attributes)):  # type: ignore[misc]
        async def get(self) -> None:
            await asyncio.sleep(0)
            timer.append(self._timer)
            await self.wait()

    site, events = await start(serve, Handler, **settings)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in events)
    await asyncio.sleep(2 * SHORT)
    site.application.settings["gate"].set()
    assert (await peer.answer()).status == 200
    assert timer == [None]


async def test_the_time_of_one_that_is_quick(serve: Serve) -> None:
    """Nothing is left of its timer."""
    handlers: list[Any] = []

    class Quick(web.RequestHandler):
        handler_timeout = 1000

        async def get(self) -> None:
            handlers.append(weakref.ref(self))
            await asyncio.sleep(0)
            assert self._timer is not None
            self.write("x")

    site, _ = await start(serve, Quick)
    gc.collect()
    gc.disable()
    try:
        assert (await site.get("/")).text == "x"
        await until(lambda: handlers[0]() is None)
    finally:
        gc.enable()


async def test_half_an_answer(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """It must not look whole."""

    class Streaming(Slow):
        async def get(self) -> None:
            self.write("half")
            await self.flush()
            await self.wait()

    site, events = await start(serve, Streaming)
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.body, answer.complete) == (200, b"half", False)
    await until(lambda: "finish 200" in events)
    assert "no answer within the handler_timeout" in caplog.text


async def test_one_s_own_error_page(serve: Serve) -> None:
    class Handler(Slow):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            error = kwargs["exc_info"][1]
            assert isinstance(error, web.HTTPError)
            self.finish(f"{status_code} {error.get_message()}")

    site, _ = await start(serve, Handler)
    text = (await site.get("/")).text
    assert text == "503 no answer within the handler_timeout of 0.01 seconds"


# ---- What is interrupted -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["prepare", "future", "coroutine of a plain method"])
async def test_wherever_it_waits(serve: Serve, where: str) -> None:
    async def prepare(self: Slow) -> None:
        await self.wait()

    attributes: dict[str, Any] = {"get": lambda self: self.events.append("get")}
    if where == "prepare":
        attributes["prepare"] = prepare
    elif where == "future":
        attributes["get"] = lambda self: asyncio.ensure_future(self.wait())
    else:
        attributes["get"] = lambda self: self.wait()
    site, events = await start(serve, own(**attributes))
    assert (await site.get("/")).status_code == 503
    await until(lambda: "finish 503" in events)
    assert sorted(events) == ["begin", "cancelled", "finish 503"]


async def test_prepare_and_the_method_share_it(serve: Serve) -> None:
    class Handler(Slow):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            assert self._timer is not None
            self.ends = self._timer._handle

        async def get(self) -> None:
            assert self._timer is not None
            assert self._timer._handle is self.ends is not None
            await self.wait()

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).status_code == 503


async def test_a_plain_method_is_not_interrupted(serve: Serve) -> None:
    class Handler(Slow):
        handler_timeout = 0

        def get(self) -> None:
            self.write("x")

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).text == "x"


async def test_what_is_done_behind_the_answer_is_its_own(serve: Serve) -> None:
    class Handler(Slow):
        async def get(self) -> None:
            self.finish("x")
            await self.wait()

    site, events = await start(serve, Handler)
    assert (await site.get("/")).text == "x"
    await asyncio.sleep(2 * SHORT)
    assert events == ["finish 200", "begin"]
    site.application.settings["gate"].set()
    await until(lambda: "end" in events)


async def test_a_detached_stream_is_its_own(serve: Serve) -> None:
    class Handler(Slow):
        async def get(self) -> None:
            stream = self.detach()
            await asyncio.sleep(2 * SHORT)
            await stream.write(b"still here\n")
            stream.close()

    site, _ = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    assert await peer.reader.readline() == b"still here\n"


async def test_a_stream_of_events_may_go_on(serve: Serve) -> None:
    class Handler(Slow):
        async def get(self) -> None:
            await self.send_event("one")
            await asyncio.sleep(2 * SHORT)
            await self.send_event("two")

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).text == "data: one\n\ndata: two\n\n"


async def test_it_may_be_lifted_meanwhile(serve: Serve) -> None:
    class Handler(Slow):
        async def get(self) -> None:
            self.handler_timeout = None
            await asyncio.sleep(2 * SHORT)
            self.write("x")

    class Late(Slow):
        handler_timeout = 10 * SHORT  # a busy machine may take its time for the first step

        async def get(self) -> None:
            await asyncio.sleep(0)
            self.handler_timeout = None
            await asyncio.sleep(12 * SHORT)
            self.write("x")

    for handler in (Handler, Late):
        site, _ = await start(serve, handler)
        assert (await site.get("/")).text == "x"


# ---- Bodies --------------------------------------------------------------------------------------


async def send_slowly(site: Site, events: list[str]) -> Peer:
    """A client that takes longer for its body than the handler may take."""
    peer = await site.connect()
    peer.send(*POST, body=b"he")
    await until(lambda: "begin" in events or "prepare" in events)
    await asyncio.sleep(3 * SHORT)
    peer.writer.write(b"llo")
    return peer


@pytest.mark.parametrize("waits", ["nowhere", "prepare", "post"])
async def test_waiting_for_a_streamed_body_costs_nothing(serve: Serve, waits: str) -> None:
    @web.stream_request_body
    class Handler(Slow):
        async def prepare(self) -> None:
            self.events.append("prepare")
            if waits == "prepare":
                await self.wait()

        def data_received(self, chunk: bytes) -> None:
            self.events.append(chunk.decode())

        async def post(self) -> None:
            if waits == "post":
                await self.wait()
            self.write("x")

    site, events = await start(serve, Handler)
    peer = await send_slowly(site, events)
    answer = await peer.answer()
    if waits == "nowhere":
        assert answer.body == b"x"
    else:
        assert answer.status == 503
        assert "cancelled" in events
    if waits != "prepare":
        assert "".join(events).startswith("preparehello")


@pytest.mark.parametrize("waits", [False, True])
async def test_waiting_for_a_body_that_is_read_costs_nothing(serve: Serve, waits: bool) -> None:
    @web.pull_request_body
    class Handler(Slow):
        async def post(self) -> None:
            self.events.append("prepare")
            self.write(await self.request.read_body())
            if waits:
                await self.wait()

    site, events = await start(serve, Handler)
    peer = await send_slowly(site, events)
    answer = await peer.answer()
    if waits:
        assert answer.status == 503
    else:
        assert answer.body == b"hello"


# ---- Who will not be cancelled -------------------------------------------------------------------


async def test_cleaning_up_takes_its_time(serve: Serve) -> None:
    """A second at the most; the client waits for it."""

    class Handler(Slow):
        async def get(self) -> None:
            try:
                await self.wait()
            finally:
                await asyncio.sleep(0)
                self.events.append("cleaned up")

    site, events = await start(serve, Handler)
    assert (await site.get("/")).status_code == 503
    assert events == ["begin", "cancelled", "cleaned up", "finish 503"]


async def test_an_error_in_place_of_the_cancellation(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered like any other."""

    class Handler(Slow):
        async def get(self) -> None:
            try:
                await self.wait()
            except asyncio.CancelledError:
                raise web.HTTPError(504, "upstream") from None

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).status_code == 504
    assert "caught" not in caplog.text


async def test_who_catches_it_and_ends_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """What it says in time is its answer."""

    class Handler(Slow):
        async def get(self) -> None:
            try:
                await self.wait()
            except asyncio.CancelledError:
                self.write("an old one")

    site, _ = await start(serve, Handler)
    response = await site.get("/")
    assert (response.status_code, response.text) == (200, "an old one")
    await until(lambda: "caught the cancellation" in caplog.text)


async def test_who_answers_as_it_is_cancelled(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(Slow):
        async def get(self) -> None:
            try:
                await self.wait()
            except asyncio.CancelledError:
                self.finish("its own")
                raise

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).text == "its own"
    await until(lambda: not site.application._running)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("flushed", [False, True])
async def test_who_goes_on_is_answered_for(
    serve: Serve,
    flushed: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "UNWIND_SECONDS", SHORT)

    class Stubborn(Slow):
        def prepare(self) -> None:
            self.token = word.set("mine")

        async def get(self) -> None:
            if flushed:
                self.write("half")
                await self.flush()
            try:
                await self.wait()
            except asyncio.CancelledError:
                await self.wait()
            self.events.append(word.get())
            self.write("too late")

        def on_finish(self) -> None:
            super().on_finish()
            word.reset(self.token)  # which is possible only where it was set

    site, events = await start(serve, Stubborn)
    answer = await (await site.connect()).ask(*GET)
    if flushed:
        assert (answer.body, answer.complete) == (b"half", False)
    else:
        assert answer.status == 503
    finish = "finish 200" if flushed else "finish 503"
    assert events[:4] == ["begin", "cancelled", "begin", finish]
    assert "goes on although it was cancelled" in caplog.text
    assert "different Context" not in caplog.text
    site.application.settings["gate"].set()
    await until(lambda: not site.application._running)
    assert events[4] == "end"
    assert events[5] == "unset"


# ---- With others who cancel ----------------------------------------------------------------------


@pytest.mark.parametrize("cancels", [False, True])
async def test_the_client_goes_away_first(serve: Serve, cancels: bool) -> None:
    site, events = await start(serve, own(cancel_on_close=cancels, handler_timeout=1000))
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in events)
    peer.close()
    await until(lambda: "close" in events)
    if not cancels:
        time_is_over(site)
    await until(lambda: events[-1].startswith("finish"))
    assert events[:-1] == ["begin", "close", "cancelled"]
    assert (events[-1] == "finish 503") is not cancels  # nobody is told either
    await until(lambda: not site.application._running)


@pytest.mark.parametrize("cancels", [False, True])
async def test_the_client_goes_away_while_it_cleans_up(serve: Serve, cancels: bool) -> None:
    class Handler(Slow):
        cancel_on_close = cancels

        async def get(self) -> None:
            try:
                await self.wait()
            finally:
                await self.settings["gate"].wait()

    site, events = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "cancelled" in events)
    peer.close()
    await until(lambda: "close" in events)
    if not cancels:
        site.application.settings["gate"].set()
    await until(lambda: events[-1].startswith("finish"))
    assert events == ["begin", "cancelled", "close", "finish 503"]
    await until(lambda: not site.application._running)


async def test_it_counts_while_the_server_stops(serve: Serve) -> None:
    site, events = await start(serve, own(handler_timeout=1000))
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in events)
    draining = asyncio.ensure_future(site.server.drain())
    await until(site.application.draining.is_set)
    time_is_over(site)
    answer = await peer.answer()
    assert (answer.status, answer.get("Connection")) == (503, "close")
    peer.close()
    assert await draining == 0
    assert events == ["begin", "cancelled", "finish 503"]


@pytest.mark.parametrize("overdue", [False, True])
async def test_the_server_cuts_it(serve: Serve, overdue: bool) -> None:
    """Before its time is over, or while it cleans up behind it."""

    class Handler(Slow):
        handler_timeout = SHORT if overdue else 1000

        async def get(self) -> None:
            try:
                await self.wait()
            finally:
                if overdue:
                    await asyncio.Event().wait()

    site, events = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: ("cancelled" if overdue else "begin") in events)
    assert await site.server.drain(0) == 1
    events.remove("close")
    assert events[:-1] == ["begin", "cancelled"]
    assert (events[-1] == "finish 503") is overdue
    await until(lambda: not site.application._running)
    assert await peer.ended()


async def test_a_timeout_of_its_own_within_it(serve: Serve) -> None:
    """The two are told apart."""

    class Handler(Slow):
        handler_timeout = 1000

        async def get(self) -> None:
            try:
                async with asyncio.timeout(SHORT):
                    await self.wait()
            except TimeoutError:
                self.events.append("own")
            asyncio.get_running_loop().call_soon(lambda: time_is_over(site))
            async with asyncio.TaskGroup() as group:
                group.create_task(self.wait())

    site, events = await start(serve, Handler)
    assert (await site.get("/")).status_code == 503
    assert events == ["begin", "cancelled", "own", "begin", "cancelled", "finish 503"]


async def test_execute_may_be_a_future(serve: Serve) -> None:
    """As of gen.coroutine, which cannot be cancelled: then there is no time-out."""

    class Handler(Slow):
        def _execute(self, transforms: Any, *args: Any, **kwargs: Any) -> Any:
            return asyncio.ensure_future(super()._execute(transforms, *args, **kwargs))

        async def get(self) -> None:
            await asyncio.sleep(2 * SHORT)
            self.write("x")

    site, _ = await start(serve, Handler)
    assert (await site.get("/")).text == "x"
