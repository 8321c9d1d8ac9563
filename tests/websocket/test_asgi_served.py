"""Our WebSocket handlers over ASGI: what they see, what hosts are sent."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest
from support import settled
from web.serving import until

from tornadoish import web
from tornadoish.asgi import Event
from tornadoish.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornadoish.routing import Mount
from tornadoish.websocket import WebSocketClosedError, WebSocketHandler

from .asgi_host import SocketHost, disconnect, text
from .talking import Notes

BYTES: Event = {"type": "websocket.receive", "bytes": b"\0\xff", "text": None}


def handling(cls: type[web.RequestHandler] | None = None, **members: Any) -> web.Application:
    """An application whose one handler has these members."""
    handler = cls or type("Handler", (WebSocketHandler,), members)
    return web.Application([(".*", handler)])


class Echo(WebSocketHandler):
    def on_message(self, message: str | bytes) -> Any:
        return self.write_message(message, binary=isinstance(message, bytes))


def noting(notes: Notes, **members: Any) -> web.Application:
    """An application whose handler takes messages, and says how it was closed."""

    def on_close(self: WebSocketHandler) -> None:
        notes((self.close_code, self.close_reason))

    def on_message(self: WebSocketHandler, message: str | bytes) -> None:
        notes(message)

    return handling(**{"on_close": on_close, "on_message": on_message, **members})


def closed(host: SocketHost) -> tuple[int, str]:
    """How the client was closed, at last."""
    event = host.sent[-1]
    if event["type"] != "websocket.close":
        raise ValueError(f"{event}")
    return event["code"], event["reason"]


# ---- What a handler sees ---------------------------------------------------------------------


async def test_the_request() -> None:
    seen: list[Any] = []

    def open(self: Any) -> None:
        request: HTTPServerRequest = self.request
        seen.extend([request.method, request.uri, request.path, request.query, request.version])
        seen.extend([request.host, request.remote_ip, request.protocol, request.full_url()])
        seen.append(request.headers.get_list("X-A"))
        seen.extend([self.get_argument("x"), self.get_cookie("c"), str(request.connection.context)])
        self.close()

    fields = [
        (b"host", b"b:1"), (b"x-a", b"1"), (b"x-a", "ü".encode()), (b"cookie", b"c=d"),
        (b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"8"),
        (b"sec-websocket-key", b"x"), (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"sec-websocket-protocol", b"not this"), (b"content-length", b"7"),
    ]  # fmt: skip
    scope: dict[str, Any] = {"query_string": b"x=%20", "scheme": "wss", "fields": fields}
    await SocketHost(handling(open=open), path="/a%20b", **scope).run()
    assert seen == [
        "GET", "/a%20b?x=%20", "/a%20b", "x=%20", "HTTP/1.1",
        "b:1", "192.0.2.1", "https", "https://b:1/a%20b?x=%20", ["1", "\xc3\xbc"],
        "", "d", "192.0.2.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "scope",
    [
        {"client": None, "server": None},
        {"client": ["192.0.2.1", "1234"], "server": ["192.0.2.2", "80"]},
        {"client": ("", 0), "server": ("/run/socket", None)},
        {"scheme": "ws", "http_version": "2", "extensions": ()},
        {"fields": [], "raw_path": None},
    ],
)
async def test_what_hosts_say_otherwise(scope: dict[str, Any]) -> None:
    host = SocketHost(handling(Echo), text("a"), **scope)
    sent = await host.has_sent(2)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send"]
    host.client(disconnect(1000))
    await host.run()


async def test_below_a_prefix() -> None:
    seen: list[Any] = []

    def open(self: Any, name: str) -> None:
        seen.extend(
            [self.request.root_path, self.request.path, name, self.reverse_url("here", "z")]
        )
        self.close()

    handler = type("Handler", (WebSocketHandler,), {"open": open})
    inner = web.Application([web.url("/x/(.*)", handler, name="here")])
    outer = web.Application([Mount("/in", inner)])
    await SocketHost(outer, path="/out/in/x/y", root_path="/out", check=False).run()
    assert seen == ["/out/in", "/out/in/x/y", "y", "/out/in/x/z"]


async def test_the_context_of_the_host() -> None:
    """Variables that are set in front of the application are there."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def open(self: Any) -> None:
        seen.append(variable.get())

    async def on_message(self: Any, message: str) -> None:
        seen.append(variable.get())
        self.close()

    host = SocketHost(handling(open=open, on_message=on_message), text("a"))
    variable.set("here")
    await host.run()
    assert seen == ["here", "here"]


# ---- Opening, or not -------------------------------------------------------------------------


async def test_it_is_accepted() -> None:
    def prepare(self: Any) -> None:
        self.set_cookie("a", "1")
        self.set_cookie("b", "2")
        self.set_header("X-A", "b")

    def select_subprotocol(self: Any, offered: list[str]) -> str:
        return offered[-1]

    application = handling(prepare=prepare, select_subprotocol=select_subprotocol)
    host = SocketHost(application, subprotocols=["x", "y"])
    event = await host.opened()
    assert event == {
        "type": "websocket.accept",
        "subprotocol": "y",
        "headers": [
            (b"x-a", b"b"), (b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2; Path=/")
        ],
    }  # fmt: skip
    host.client(disconnect(1000))
    await host.run()


async def test_it_is_accepted_without_more() -> None:
    host = SocketHost(handling(Echo), subprotocols=["x"])
    assert await host.opened() == {"type": "websocket.accept", "headers": []}
    host.client(disconnect())
    await host.run()


def another_site(**options: Any) -> SocketHost:
    return SocketHost(handling(Echo), headers={"origin": "https://evil.example"}, **options)


async def test_another_answer() -> None:
    host = await another_site().run()
    start, body = host.sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    names = [name for name, _ in start["headers"]]
    assert names == [b"content-type", b"content-length"]
    assert body == {
        "type": "websocket.http.response.body",
        "body": b"Cross origin websockets not allowed",
        "more_body": False,
    }


async def test_another_answer_for_a_host_that_has_no_words_for_it() -> None:
    host = await another_site(extensions=()).run()
    assert host.sent == [{"type": "websocket.close"}]


async def test_a_long_answer() -> None:
    """Piece by piece, and no faster than it is taken."""
    pieces: list[int] = []

    class Pieces(web.RequestHandler):
        async def get(self) -> None:
            self.set_status(404)
            for number in range(100):
                self.write(bytes(65536))
                await self.flush()
                pieces.append(number)

    host = SocketHost(handling(Pieces))
    host.takes.clear()
    host.start()
    await until(lambda: pieces)
    await settled(100)
    assert len(pieces) < 50
    host.takes.set()
    await host.run()
    bodies = host.sent[1:]
    assert sum([len(event["body"]) for event in bodies]) == 6_553_600
    assert max([len(event["body"]) for event in bodies]) < 500_000
    assert [event["more_body"] for event in bodies] == [True] * (len(bodies) - 1) + [False]


async def test_half_an_answer() -> None:
    class Half(web.RequestHandler):
        async def get(self) -> None:
            self.write("half")
            await self.flush()
            raise web.HTTPError(500)

    host = await SocketHost(handling(Half)).run()
    assert [event["type"] for event in host.sent] == ["websocket.http.response.start"]


async def test_no_answer() -> None:
    class Aborts(web.RequestHandler):
        def get(self) -> None:
            self.request.connection.abort()

    host = await SocketHost(handling(Aborts)).run()
    assert host.sent[0]["status"] == 500


async def test_a_function() -> None:
    def answer(request: HTTPServerRequest) -> None:
        request.connection.write_headers(
            ResponseStartLine("", 404, ""), HTTPHeaders({"Content-Length": "2"}), b"no"
        )
        request.connection.finish()

    host = await SocketHost(answer, check=False).run()
    assert (host.sent[0]["status"], host.sent[1]["body"]) == (404, b"no")


@pytest.mark.parametrize(
    "scope",
    [
        {"fields": [(b"host", b"a"), (b"host", b"b")]},
        {"headers": {"x": "a\0b"}},
        {"subprotocols": ["a b"]},
        {"subprotocols": ["a", "a"]},
    ],
)
async def test_what_is_no_request(scope: dict[str, Any]) -> None:
    host = await SocketHost(handling(Echo), **scope).run()
    assert host.sent[0]["status"] == 400
    assert host.checked is not None
    assert host.checked.delegates == []


@pytest.mark.parametrize("cancels", [True, False])
async def test_the_client_goes_before_it_is_answered(notes: Notes, cancels: bool) -> None:
    go_on = asyncio.Event()

    async def prepare(self: Any) -> None:
        notes("begun")
        await notes.cancellation(go_on)

    host = SocketHost(
        handling(
            prepare=prepare,
            cancel_on_close=cancels,
            on_connection_close=lambda self: notes("gone"),
        )
    )
    host.start()
    await notes.has("begun")
    host.client(disconnect(1001))
    await notes.has("gone")
    if cancels:
        await notes.has("cancelled")
    go_on.set()
    await host.run()
    assert host.sent == []


# ---- Messages --------------------------------------------------------------------------------


async def test_messages_both_ways() -> None:
    host = SocketHost(handling(Echo), text("hé"), BYTES, text(""), text("x" * 2_000_000))
    sent = await host.has_sent(5)
    assert sent[1:] == [
        {"type": "websocket.send", "text": "hé"},
        {"type": "websocket.send", "bytes": b"\0\xff"},
        {"type": "websocket.send", "text": ""},
        {"type": "websocket.send", "text": "x" * 2_000_000},
    ]
    host.client(disconnect(1000))
    await host.run()


async def test_a_handler_that_iterates(notes: Notes) -> None:
    async def open(self: Any) -> None:
        async for message in self:
            await self.send(message * 2)
        notes("over")

    host = SocketHost(noting(notes, open=open), text("a"), BYTES)
    sent = await host.has_sent(3)
    messages = [event.get("text", event.get("bytes")) for event in sent[1:]]
    assert messages == ["aa", b"\0\xff\0\xff"]
    host.client(disconnect(4000))
    await host.run()
    await until(lambda: len(notes) == 2)
    assert notes == ["over", (4000, None)]


async def test_messages_in_parts() -> None:
    class Parts(WebSocketHandler):
        message_in_parts = True

        async def on_message(self, message: Any) -> None:
            parts = [len(part) async for part in message]
            await self.send({"parts": len(parts) > 1, "size": sum(parts)})

    host = SocketHost(handling(Parts), text("x" * 1_000_000))
    _, answer = await host.has_sent(2)
    assert answer["text"] == '{"parts": true, "size": 1000000}'
    host.client(disconnect())
    await host.run()


async def test_a_message_that_is_too_large() -> None:
    host = SocketHost(handling(type("Small", (Echo,), {"max_message_size": 5})), text("x" * 6))
    await host.run()
    assert closed(host) == (1009, "Message too large")


async def test_pings_are_answered_here(notes: Notes) -> None:
    def open(self: Any) -> None:
        self.ping(b"a")

    def on_pong(self: Any, data: bytes) -> None:
        notes(data)
        self.close()

    await SocketHost(handling(open=open, on_pong=on_pong)).run()
    assert notes == [b"a"]


async def test_nothing_is_received_that_nobody_takes() -> None:
    go_on = asyncio.Event()

    async def on_message(self: Any, message: bytes) -> None:
        await go_on.wait()
        await self.send(str(len(message)))

    event: Event = {"type": "websocket.receive", "bytes": bytes(100_000)}
    host = SocketHost(handling(on_message=on_message), *[event] * 100)
    await host.opened()
    await settled(200)
    assert host.received < 10
    go_on.set()
    await host.has_sent(101)
    host.client(disconnect())
    await host.run()


async def test_who_sends_waits_for_a_client_that_does_not_read(notes: Notes) -> None:
    async def open(self: Any) -> None:
        for _ in range(100):
            await self.send(bytes(100_000))
            notes("sent")

    host = SocketHost(noting(notes, open=open))
    await host.opened()
    host.takes.clear()
    await notes.has("sent")
    await settled(200)
    assert len(notes) < 20
    host.takes.set()
    await host.has_sent(101)
    host.client(disconnect(1000))
    await host.run()


# ---- Its end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((4000, "bye"), (4000, "bye")),
        ((1001,), (1001, "")),
        ((), (1000, "")),
        ((None, "bye"), (1000, "bye")),
    ],
)
async def test_the_handler_closes(
    notes: Notes, arguments: tuple[Any, ...], told: tuple[int, str]
) -> None:
    def on_message(self: Any, message: str) -> None:
        self.write_message("last")
        self.close(*arguments)

    host = SocketHost(noting(notes, on_message=on_message), text("a"), text("b"))
    await host.run()
    assert [event["type"] for event in host.sent] == [
        "websocket.accept", "websocket.send", "websocket.close",
    ]  # fmt: skip
    assert closed(host) == told
    code, reason = arguments[0] if arguments else None, arguments[1] if arguments[1:] else None
    assert notes == [(1000 if reason and not code else code, None)]


async def test_the_handler_fails(caplog: pytest.LogCaptureFixture) -> None:
    def on_message(self: Any, message: str) -> None:
        raise KeyError("oops")

    host = await SocketHost(handling(on_message=on_message), text("a")).run()
    assert closed(host) == (1011, "")
    assert "oops" in caplog.text


async def test_the_handler_cuts() -> None:
    host = await SocketHost(handling(open=lambda self: self.ws_connection._abort())).run()
    assert closed(host) == (1011, "")


@pytest.mark.parametrize(
    ("event", "heard"),
    [
        (disconnect(4000, "bye"), (4000, "bye")),
        (disconnect(1001), (1001, None)),
        (disconnect(1005, ""), (None, None)),
        (disconnect(1006), (None, None)),
        (disconnect(), (None, None)),
        (disconnect(1015), (None, None)),
        (disconnect(77), (None, None)),
        (disconnect(4000, "é" * 100), (4000, None)),
    ],
)
async def test_the_client_closes(notes: Notes, event: Event, heard: tuple[Any, Any]) -> None:
    """All that came before is delivered before, however slow the handler is."""

    async def on_message(self: Any, message: bytes) -> None:
        await settled(1)
        notes(len(message))

    many: Event = {"type": "websocket.receive", "bytes": bytes(40_000)}
    host = SocketHost(noting(notes, on_message=on_message), *[many] * 5, event)
    await host.run()
    assert notes == [*[40_000] * 5, heard]
    assert [event["type"] for event in host.sent] == ["websocket.accept"]


async def test_a_handler_has_its_time_when_the_client_has_gone(notes: Notes) -> None:
    """As over a connection of our own: what has been sent is there."""
    go_on = asyncio.Event()

    async def on_message(self: Any, message: bytes) -> None:
        await go_on.wait()
        notes(len(message))

    many: Event = {"type": "websocket.receive", "bytes": bytes(40_000)}
    host = SocketHost(noting(notes, on_message=on_message), *[many] * 4, disconnect(4000))
    await host.opened()
    await settled(100)
    assert host.received == 6
    host.time_passes(1000)
    await settled(100)
    go_on.set()
    await host.run()
    assert notes == [*[40_000] * 4, (4000, None)]


@pytest.mark.parametrize("code", [1000, 1006])
async def test_what_goes_on_is_cancelled_when_the_client_goes(notes: Notes, code: int) -> None:
    async def on_message(self: Any, message: str) -> None:
        await notes.cancellation()

    host = SocketHost(noting(notes, on_message=on_message, cancel_on_close=True), text("a"))
    await host.opened()
    host.client(disconnect(code))
    await host.run()
    await until(lambda: len(notes) == 2)
    assert notes == ["cancelled", (None if code == 1006 else code, None)]


async def test_a_host_that_cannot_send_for_the_client_is_gone(notes: Notes) -> None:
    host = SocketHost(noting(notes))
    await host.opened()
    host.error = OSError("gone")
    handler = await _handler_of(host)
    await handler.send("a")
    await host.run()
    assert notes == [(None, None)]
    with pytest.raises(WebSocketClosedError):
        await handler.send("b")


async def test_a_client_that_is_gone_when_it_is_accepted(notes: Notes) -> None:
    host = SocketHost(noting(notes))
    host.error = OSError("gone")
    await host.run()
    assert notes == [(None, None)]


async def test_a_host_that_fails_to_send(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    host = SocketHost(noting(notes))
    await host.opened()
    host.error = RuntimeError("oops")
    handler = await _handler_of(host)
    await handler.send("a")
    await host.run(fails=True)
    assert notes == [(1011, None)]
    assert "cannot send: RuntimeError('oops')" in caplog.text


async def test_a_host_that_fails_to_receive(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    host = SocketHost(noting(notes))
    await host.opened()
    host.client(RuntimeError("oops"))
    await host.run()
    assert notes == [(None, None)]
    (record,) = [each for each in caplog.records if "cannot receive" in each.message]
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize("opened", [True, False])
async def test_a_host_that_gives_up(notes: Notes, opened: bool) -> None:
    async def prepare(self: Any) -> None:
        notes("begun")
        if not opened:
            await notes.cancellation()

    host = SocketHost(noting(notes, prepare=prepare))
    task = host.start()
    await notes.has("begun")
    if opened:
        await host.opened()
    task.cancel()
    await host.run(fails=True)
    assert task.cancelled()
    await until(lambda: len(notes) == 2)
    assert notes == ["begun", (None, None) if opened else "cancelled"]


async def test_an_application_that_ends(notes: Notes) -> None:
    """As it is told of the host's end, its clients are told to go elsewhere."""
    application = noting(notes)
    host = SocketHost(application, check=False)
    await host.opened()
    application.on_drain()
    await host.run()
    assert closed(host) == (1001, "")


async def _handler_of(host: SocketHost) -> Any:
    """The one handler, once it is open."""
    assert host.checked is not None
    application: Any = host.checked.delegate
    await until(lambda: application.event_streams)
    (connection,) = application.event_streams
    return connection._delegate
