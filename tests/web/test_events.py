"""Server-sent events (WHATWG HTML, 9.2); ours alone."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import weakref
from typing import Any

import pytest
from libraries import installed

from tornadoish import web
from tornadoish.iostream import StreamClosedError

from .serving import Framework, Peer, Serve, Site, by_hand, until

GET = ("GET / HTTP/1.1", "Host: a")


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


class Waiting(web.RequestHandler):
    """Sends one event, waits, and writes down what becomes of it."""

    notes: list[str]

    def initialize(self, notes: list[str]) -> None:
        self.notes = notes

    async def get(self) -> None:
        await self.send_event("first")
        await self.wait()

    async def wait(self) -> None:
        self.notes.append("begin")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise

    def on_connection_close(self) -> None:
        self.notes.append("close")

    def on_finish(self) -> None:
        self.notes.append("finish")


class InBlock(Waiting):
    """The same with a block, behind which something is left to say."""

    async def get(self) -> None:
        async with self.event_stream():
            await self.send_event("first")
            await self.wait()
        self.notes.append("behind")
        await self.send_event("last")


async def start(serve: Serve, handler: Any, **settings: Any) -> tuple[Site, list[str]]:
    notes: list[str] = []
    return await serve([("/", handler, {"notes": notes})], **settings), notes


async def events(peer: Peer) -> list[str]:
    """Head and body of a stream to its end, in pieces."""
    answer = await peer.answer()
    assert answer.complete
    return answer.body.decode().split("\n\n")


async def drain(site: Site, peer: Peer) -> list[str]:
    """Stop the server; what was streamed until then."""
    drained = asyncio.ensure_future(site.server.drain(10))
    streamed = await events(peer)
    assert await peer.ended()
    peer.close()
    assert await drained == 0
    return streamed


def sending(*calls: tuple[tuple[Any, ...], dict[str, Any]]) -> type[web.RequestHandler]:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            for args, kwargs in calls:
                await self.send_event(*args, **kwargs)

    return Handler


# ---- What goes on the wire -------------------------------------------------------------------


async def test_the_head(serve: Serve) -> None:
    site = await serve([("/", sending((("x",), {})))])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert answer.get("Content-Type") == "text/event-stream"
    assert answer.get("Cache-Control") == "no-store"
    assert answer.get("X-Accel-Buffering") == "no"
    assert (answer.get("Etag"), answer.get("Content-Length")) == (None, None)
    assert answer.body == b"data: x\n\n"
    assert (await peer.ask(*GET)).status == 200  # it was a whole answer


async def test_fields_of_ones_own_stay(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.set_header("Cache-Control", "no-cache")
            self.set_header("X-Accel-Buffering", "yes")
            await self.send_event("x")

    answer = await (await (await serve([("/", Handler)])).connect()).ask(*GET)
    assert answer.get("Cache-Control") == "no-cache"
    assert answer.get("X-Accel-Buffering") == "yes"


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("text",), {}, "data: text\n\n"),
        (("",), {}, "data: \n\n"),
        ((" two ",), {}, "data:  two \n\n"),
        (("ä€",), {}, "data: ä€\n\n"),
        ((b"\xc3\xa4",), {}, "data: ä\n\n"),
        (("a\nb\r\nc\rd\n",), {}, "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (("a\n\nevent: evil",), {}, "data: a\ndata: \ndata: event: evil\n\n"),
        (("a\u2028b\x85c\x0bd",), {}, "data: a\u2028b\x85c\x0bd\n\n"),  # no line ends here
        (({"a": [1, "x\ny"]},), {}, 'data: {"a": [1, "x\\ny"]}\n\n'),
        (([1, 2],), {}, "data: [1, 2]\n\n"),
        (("x", "tick", "7", 250), {}, "event: tick\nid: 7\nretry: 250\ndata: x\n\n"),
        (("x",), {"id": 12}, "id: 12\ndata: x\n\n"),
        (("x",), {"id": ""}, "id: \ndata: x\n\n"),  # forget the last one
        ((None,), {"retry": 0}, "retry: 0\n\n"),
    ],
)
async def test_an_event(
    serve: Serve, args: tuple[Any, ...], kwargs: dict[str, Any], expected: str
) -> None:
    site = await serve([("/", sending((args, kwargs)))])
    assert (await (await site.connect()).ask(*GET)).body.decode() == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "refused"),
    [
        (("x",), {"event": "a\nb"}, ValueError),
        (("x",), {"event": "a\r"}, ValueError),
        (("x",), {"event": "a\0"}, ValueError),
        (("x",), {"id": "1\n2"}, ValueError),
        (("x",), {"id": "1\0"}, ValueError),
        (("x",), {"retry": -1}, ValueError),
        (("\ud800",), {}, ValueError),
        ((5,), {}, TypeError),
        ((object(),), {}, TypeError),
    ],
)
async def test_an_event_that_is_refused(
    serve: Serve, args: tuple[Any, ...], kwargs: dict[str, Any], refused: type[Exception]
) -> None:
    """Nothing of it is sent, and no stream is opened by it."""
    seen: list[type[Exception]] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            try:
                await self.send_event(*args, **kwargs)
            except Exception as error:
                seen.append(type(error))
            self.write("no stream")

    site = await serve([("/", Handler)])
    answer = await (await site.connect()).ask(*GET)
    assert (answer.body, answer.get("Cache-Control")) == (b"no stream", None)
    assert len(seen) == 1
    assert issubclass(seen[0], refused)


async def test_comments(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            await self.send_comment("hello\ndata: no")
            await self.send_comment()

    answer = await (await (await serve([("/", Handler)])).connect()).ask(*GET)
    assert answer.body == b": hello\n: data: no\n\n: \n\n"
    assert answer.get("Content-Type") == "text/event-stream"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ([], None),
        (["Last-Event-ID: 17"], "17"),
        (["Last-Event-ID: "], ""),
        ([b"Last-Event-ID: \xc3\xa4\xe2\x82\xac"], "ä€"),
        ([b"Last-Event-ID: \xff"], "\ufffd"),
    ],
)
async def test_last_event_id(serve: Serve, field: list[Any], expected: str | None) -> None:
    seen: list[str | None] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            seen.append(self.last_event_id)

    site = await serve([("/", Handler)])
    await (await site.connect()).ask(*GET, *field)
    assert seen == [expected]


async def test_behind_another_head(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            await self.flush()
            with pytest.raises(RuntimeError):
                await self.send_event("x")
            with pytest.raises(RuntimeError):
                async with self.event_stream():
                    pass
            self.write("y")

    site = await serve([("/", Handler)])
    assert (await (await site.connect()).ask(*GET)).body == b"y"


@pytest.mark.parametrize("compress", ["not", "by_name"])
async def test_events_are_never_held_back(serve: Serve, compress: str) -> None:
    """Not compressed, unless somebody asks for it; and then each goes out as it is sent."""

    class Compressing(web.ContentEncoding):
        CONTENT_TYPES = {"text/event-stream"}

    site, _ = await start(
        serve, Waiting, transforms=[web.ContentEncoding if compress == "not" else Compressing]
    )
    peer = await site.connect()
    peer.send(*GET, "Accept-Encoding: gzip")
    head = await peer.reader.readuntil(b"\r\n\r\n")
    size = int(await peer.reader.readuntil(b"\r\n"), 16)
    data = await peer.reader.readexactly(size)
    assert (b"Content-Encoding" in head) == (compress == "by_name")
    if compress == "by_name":
        import zlib

        data = zlib.decompressobj(31).decompress(data)
    assert data == b"data: first\n\n"


# ---- The client goes away --------------------------------------------------------------------


@pytest.mark.parametrize("handler", [Waiting, InBlock])
async def test_a_client_that_goes_away(
    serve: Serve, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site, notes = await start(serve, handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    peer.close()
    await until(lambda: site.application._running == set())
    assert notes == ["begin", "close", "cancelled", "finish"]
    assert site.application.event_streams == set()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("kind", [Waiting, InBlock])
async def test_a_client_that_is_gone_before_the_stream_is_opened(
    serve: Serve, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody has been wrong: not a word in the log, but that the request is over."""
    caplog.set_level(logging.INFO, "tornado.access")
    asked, gone = asyncio.Event(), asyncio.Event()

    class Late(kind):  # type: ignore[misc]
        async def prepare(self) -> None:
            asked.set()
            await gone.wait()

        def on_connection_close(self) -> None:
            super().on_connection_close()
            gone.set()

    site, notes = await start(serve, Late)
    peer = await site.connect()
    peer.send(*GET)
    await asked.wait()
    peer.close()
    await until(lambda: "finish" in notes and not site.application.event_streams)
    assert notes == ["close", "finish"]
    assert [record.name for record in caplog.records] == ["tornado.access"]


async def test_a_client_that_does_not_read(serve: Serve) -> None:
    """``send_event`` waits for it."""
    sent: list[int] = []
    gone: list[str] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            try:
                while True:
                    await self.send_event("x" * 100_000)
                    sent.append(1)
            except (asyncio.CancelledError, StreamClosedError) as error:
                gone.append(type(error).__name__)
                raise

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    peer.send(*GET)
    count = -1
    while count != len(sent) or not sent:
        count = len(sent)
        for _ in range(1000):
            await asyncio.sleep(0)
    assert gone == []
    peer.close()
    await until(lambda: gone)
    assert gone == ["CancelledError"]


# ---- The server stops ------------------------------------------------------------------------


async def test_a_drain_ends_a_stream(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site, notes = await start(serve, Waiting)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    assert await drain(site, peer) == ["data: first", ""]
    assert notes == ["begin", "finish", "cancelled"]
    assert (site.application._running, site.application.event_streams) == (set(), set())
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_drain_leaves_a_block(serve: Serve) -> None:
    site, notes = await start(serve, InBlock)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    assert await drain(site, peer) == ["data: first", "data: last", ""]
    assert notes == ["begin", "cancelled", "behind", "finish"]


async def test_a_stream_that_is_opened_while_the_server_stops(serve: Serve) -> None:
    class Handler(InBlock):
        async def get(self) -> None:
            self.notes.append("come")
            await self.application.settings["gate"].wait()
            await super().get()

    gate = asyncio.Event()
    site, notes = await start(serve, Handler, gate=gate)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "come" in notes)
    drained = asyncio.ensure_future(site.server.drain(10))
    await until(site.application.draining.is_set)
    gate.set()
    assert (await events(peer))[-2:] == ["data: last", ""]
    peer.close()
    assert await drained == 0


async def test_a_stream_that_was_ended_takes_no_more(serve: Serve) -> None:
    """From a handler that does not let itself be cancelled."""
    seen: list[str] = []

    class Stubborn(Waiting):
        async def get(self) -> None:
            try:
                await super().get()
            except asyncio.CancelledError:
                try:
                    await self.send_event("more")
                except StreamClosedError:
                    seen.append("closed")

    site, notes = await start(serve, Stubborn)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    assert await drain(site, peer) == ["data: first", ""]
    assert seen == ["closed"]


async def test_a_stream_that_has_ended_by_itself(serve: Serve) -> None:
    """Whatever its handler does behind it, it is not cancelled."""
    gate = asyncio.Event()
    notes: list[str] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            async with self.event_stream():
                await self.send_event("x")
            self.finish()
            await gate.wait()
            with pytest.raises(RuntimeError):
                await self.send_event("y")
            notes.append("end")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    assert await events(peer) == ["data: x", ""]
    drained = asyncio.ensure_future(site.server.drain(10))
    assert await peer.ended()
    peer.close()
    assert await drained == 0
    assert len(site.application.event_streams) == 1
    gate.set()
    await until(lambda: notes)
    assert notes == ["end"]
    await until(lambda: site.application.event_streams == set())


async def test_somebody_else_cancels(serve: Serve) -> None:
    """A block is not left quietly for that: time-outs work in it and around it."""
    notes: list[str] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            try:
                async with asyncio.timeout(None) as outer:
                    async with self.event_stream():
                        try:
                            async with asyncio.timeout(0):
                                await asyncio.Event().wait()
                        except TimeoutError:
                            notes.append("within")
                        outer.reschedule(0)
                        await asyncio.Event().wait()
                    notes.append("never")
            except TimeoutError:
                notes.append("around")
            await self.send_event("end")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    assert await events(peer) == ["data: end", ""]
    assert notes == ["within", "around"]


async def test_a_block_that_swallows_its_end(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            async with self.event_stream():
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    await self.send_event("swallowed")
            task = asyncio.current_task()
            await self.send_event(f"{task and task.cancelling()}")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: site.application.event_streams)
    assert await drain(site, peer) == ["data: swallowed", "data: 0", ""]


async def test_it_is_finished_in_the_handlers_own_context(serve: Serve) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    class Handler(Waiting):
        async def get(self) -> None:
            self.token = variable.set(1)
            await super().get()

        def on_finish(self) -> None:
            variable.reset(self.token)
            seen.append(variable.get())

    site, notes = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    await drain(site, peer)
    assert seen == [0]


# ---- While nothing is sent -------------------------------------------------------------------


async def test_a_heartbeat(serve: Serve) -> None:
    class Handler(Waiting):
        event_heartbeat = 0.001

    site, _ = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    for _ in range(3):
        await peer.reader.readuntil(b"\r\n:\n\n\r\n")


async def test_no_heartbeat(serve: Serve) -> None:
    class Handler(Waiting):
        event_heartbeat = None

    site, notes = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    (stream,) = site.application.event_streams
    assert stream._timer is None
    stream._beat()
    assert await drain(site, peer) == ["data: first", ""]


async def test_a_heartbeat_only_where_it_is_due(serve: Serve) -> None:
    """Not behind an event, not into half of one, not to a client that has enough to read."""

    class Handler(Waiting):
        async def get(self) -> None:
            await self.send_event("first")
            self.write("data: half")
            await self.wait()

    site, notes = await start(serve, Handler)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: "begin" in notes)
    (stream,) = site.application.event_streams
    handler = stream._handler

    def beat(*, due: bool) -> None:
        if due:
            stream._last -= Handler.event_heartbeat
        last, timer = stream._last, stream._timer
        stream._beat()
        timer.cancel()
        assert (stream._last != last) == due
        assert abs(stream._timer.when() - stream._last - 15.0) < 0.1

    beat(due=False)
    beat(due=True)  # half of an event
    handler.write("\n\n")
    await handler.flush()
    stream._sent = asyncio.get_running_loop().create_future()
    beat(due=True)  # a slow client
    stream._sent.set_result(None)
    beat(due=True)
    assert await drain(site, peer) == ["data: first", "data: half", ":", ""]


async def test_a_stream_leaves_nothing_behind(serve: Serve) -> None:
    handlers: list[weakref.ref[Any]] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            handlers.append(weakref.ref(self))
            await self.send_event("x")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    gc.collect()
    gc.disable()
    try:
        await peer.ask(*GET)
        await until(lambda: site.application.event_streams == set())
        await peer.ask("GET /404 HTTP/1.1", "Host: a")
        await until(lambda: handlers[0]() is None)
    finally:
        gc.enable()


async def test_without_a_coroutine(framework: Framework) -> None:
    """Driven by hand, as no task of anybody's."""
    coroutine = by_hand(framework).send_event("x")
    loop = asyncio.get_running_loop()
    failed: list[str] = []

    def drive() -> None:
        try:
            coroutine.send(None)
        except RuntimeError as error:
            failed.append(str(error))

    loop.call_soon(drive)
    await until(lambda: failed)
    assert failed == ["A stream of events needs a coroutine"]
