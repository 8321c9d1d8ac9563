"""``cancel_on_close``: a handler's coroutine ends when its client goes away; ours alone."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest
from libraries import installed

from tornadoish import web

from .serving import Framework, Peer, Serve, Site, until

GET = ("GET / HTTP/1.1", "Host: a")
POST = ("POST / HTTP/1.1", "Host: a", "Content-Length: 5")


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


class Watched(web.RequestHandler):
    """Writes down what becomes of it."""

    events: list[str]

    def initialize(self, events: list[str]) -> None:
        self.events = events

    async def wait(self) -> None:
        self.events.append("begin")
        try:
            await self.application.settings["gate"].wait()
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
        self.events.append("finish")


class Cancelled(Watched):
    cancel_on_close = True


async def start(serve: Serve, handler: Any, **options: Any) -> tuple[Site, list[str]]:
    events: list[str] = []
    site = await serve([("/", handler, {"events": events})], gate=asyncio.Event(), **options)
    return site, events


async def ask(site: Site, events: list[str], *head: str, body: bytes = b"") -> Peer:
    """A client whose request has begun to be worked on."""
    peer = await site.connect()
    peer.send(*(head or GET), body=body)
    await until(lambda: "begin" in events)
    return peer


async def gone(site: Site) -> None:
    await until(lambda: not site.server._connections)
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_is_cancelled(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """It hears of it first; nothing is logged as an error, for nothing has gone wrong."""
    site, events = await start(serve, Cancelled)
    peer = await ask(site, events)
    peer.close()
    await until(lambda: "finish" in events)
    await gone(site)
    assert events == ["begin", "close", "cancelled", "finish"]
    assert site.application._running == set()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_by_default_it_runs_on(serve: Serve) -> None:
    site, events = await start(serve, Watched)
    peer = await ask(site, events)
    peer.close()
    await gone(site)
    assert events == ["begin", "close"]
    site.application.settings["gate"].set()
    await until(lambda: "finish" in events)
    assert events == ["begin", "close", "end", "finish"]


async def test_without_a_hook_of_its_own(serve: Serve) -> None:
    """Whether ``on_connection_close`` is overridden makes no difference."""
    seen: list[str] = []

    class Handler(web.RequestHandler):
        cancel_on_close = True

        async def get(self) -> None:
            seen.append("begin")
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("end")

    site = await serve([("/", Handler)])
    peer = await ask(site, seen)
    peer.close()
    await until(lambda: "end" in seen)


async def test_a_callback_of_its_own_is_called_too(serve: Serve) -> None:
    """Who has set one in the connection keeps it."""

    class Handler(Cancelled):
        def prepare(self) -> None:
            self.request.connection.set_close_callback(lambda: self.events.append("callback"))

    site, events = await start(serve, Handler)
    peer = await ask(site, events)
    peer.close()
    await until(lambda: "finish" in events)
    assert events == ["begin", "callback", "cancelled", "finish"]


@pytest.mark.parametrize("handler", [Watched, Cancelled])
async def test_not_when_it_is_finished(serve: Serve, handler: type[Watched]) -> None:
    """What it does behind its answer is its own business."""

    class Finished(handler):  # type: ignore[misc,valid-type]
        async def get(self) -> None:
            self.finish("x")
            await self.wait()

    site, events = await start(serve, Finished)
    peer = await ask(site, events)
    assert (await peer.answer()).body == b"x"
    peer.close()
    await gone(site)
    assert events == ["finish", "begin"]
    site.application.settings["gate"].set()
    await until(lambda: "end" in events)
    assert events == ["finish", "begin", "end"]


async def test_not_when_it_has_been_answered(serve: Serve) -> None:
    """A whole request, on a connection that closes behind it."""
    site, events = await start(serve, Cancelled)
    site.application.settings["gate"].set()
    peer = await ask(site, events, *GET, "Connection: close")
    assert (await peer.answer()).status == 200
    assert await peer.ended()
    peer.close()
    await gone(site)
    assert events == ["begin", "end", "finish"]


async def test_half_an_answer(serve: Serve) -> None:
    class Streaming(Cancelled):
        async def get(self) -> None:
            self.write("half")
            await self.flush()
            await self.wait()

    site, events = await start(serve, Streaming)
    peer = await ask(site, events)
    await peer.reader.readuntil(b"half")
    peer.close()
    await until(lambda: "finish" in events)
    assert events == ["begin", "close", "cancelled", "finish"]


async def test_one_that_will_not_be_cancelled(serve: Serve) -> None:
    """It may clean up as long as it likes; nothing that it says reaches anybody."""

    class Stubborn(Cancelled):
        async def get(self) -> None:
            try:
                await self.wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                self.events.append("cleaned up")
            self.write("too late")

    site, events = await start(serve, Stubborn)
    peer = await ask(site, events)
    peer.close()
    await until(lambda: "finish" in events)
    assert events == ["begin", "close", "cancelled", "cleaned up", "finish"]


async def test_a_hook_that_raises_does_not_save_it(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Cancelled):
        def on_connection_close(self) -> None:
            super().on_connection_close()
            raise ZeroDivisionError

    site, events = await start(serve, Raising)
    peer = await ask(site, events)
    peer.close()
    await until(lambda: "finish" in events)
    assert events == ["begin", "close", "cancelled", "finish"]
    assert [r.name for r in caplog.records if r.levelno == logging.ERROR] == ["tornado.application"]


@pytest.mark.parametrize("where", ["prepare", "data_received", "body", "post"])
@pytest.mark.parametrize("cancels", [False, True])
async def test_a_streamed_body(serve: Serve, where: str, cancels: bool) -> None:
    """Wherever it is: in prepare(), at a piece of the body, waiting for one, or behind it. (Not
    while bytes wait that nobody takes: then nothing is read, the end neither.)"""

    class Streamed(Watched):
        cancel_on_close = cancels

        async def prepare(self) -> None:
            if where == "prepare":
                await self.wait()

        async def data_received(self, chunk: bytes) -> None:
            if where == "body":
                self.events.append("begin")
            elif where == "data_received":
                await self.wait()

        async def post(self) -> None:
            await self.wait()

    site, events = await start(serve, web.stream_request_body(Streamed))
    body = {"prepare": b"", "post": b"hello"}.get(where, b"hell")
    peer = await ask(site, events, *POST, body=body)
    peer.close()
    if cancels:
        await until(lambda: "close" in events and "finish" in events)
        await gone(site)
        cancelled = [] if where == "body" else ["cancelled"]
        assert sorted(events) == sorted(["begin", *cancelled, "close", "finish"])
    else:
        await until(
            lambda: site.server._connections == set() or where in ("prepare", "data_received")
        )
        for _ in range(10):
            await asyncio.sleep(0)
        assert "cancelled" not in events
        site.application.settings["gate"].set()
        await gone(site)
        assert events.count("close") == 1
        assert "cancelled" not in events
    assert site.application._running == set()


async def test_a_body_that_turns_out_to_be_malformed(serve: Serve) -> None:
    """Its client is answered, but not by the handler: that has nothing to wait for."""

    class Streamed(Cancelled):
        async def prepare(self) -> None:
            self.events.append("begin")

        def data_received(self, chunk: bytes) -> None: ...

    site, events = await start(serve, web.stream_request_body(Streamed))
    peer = await ask(site, events, "POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
    peer.writer.write(b"nonsense\r\n")
    assert (await peer.answer()).status == 400
    await until(lambda: "finish" in events)
    assert events == ["begin", "close", "finish"]


async def test_a_detached_stream_is_its_own(serve: Serve) -> None:
    """The handler has taken it away: that it closes is no end of its work."""

    class Detached(Cancelled):
        async def get(self) -> None:
            self.stream = self.detach()
            await self.wait()

    site, events = await start(serve, Detached)
    peer = await ask(site, events)
    peer.close()
    await gone(site)
    assert events == ["begin"]
    site.application.settings["gate"].set()
    await until(lambda: "end" in events)


@pytest.mark.parametrize("how", ["goes away", "answered"])
async def test_nothing_is_left(serve: Serve, how: str) -> None:
    """No reference keeps the handler, and none needs the collector."""
    handlers: list[Any] = []

    class Handler(Cancelled):
        async def get(self) -> None:
            handlers.append(weakref.ref(self))
            await self.wait()

    site, events = await start(serve, Handler)
    gc.collect()
    gc.disable()
    try:
        peer = await ask(site, events)
        if how == "goes away":
            peer.close()
        else:
            site.application.settings["gate"].set()
            await peer.answer()
        await until(lambda: "finish" in events)
        for _ in range(10):
            await asyncio.sleep(0)
        assert handlers[0]() is None
    finally:
        gc.enable()
