"""WebSockets of foreign ASGI applications on our server: what these are told, and what becomes of
what they send."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import settled
from web.serving import until
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tornadoish.asgi import ASGIContainer, Event, Receive, Scope, Send
from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import StreamClosedError
from tornadoish.routing import Mount

from .ours import framework  # noqa: F401 - a fixture
from .talking import BINARY, TEXT, Notes, Serve, close_frame, frame, handshake

Act = Callable[[Scope, Receive, Send], Awaitable[None]]
ACCEPT: Event = {"type": "websocket.accept"}
CONNECT: Event = {"type": "websocket.connect"}


def app(act: Act, *, accept: bool = False, **options: Any) -> ASGIContainer:
    """A container of an application without a lifespan; with ``accept``, it accepts first."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise ValueError(scope["type"])
        if accept:
            assert await receive() == CONNECT
            await send(ACCEPT)
        await act(scope, receive, send)

    return ASGIContainer(application, **options)


def disconnected(code: int, reason: str = "") -> Event:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


# ---- What it is told -------------------------------------------------------------------------


async def scope_of(serve: Serve, path: str, *lines: str, prefix: str = "", **server: Any) -> Scope:
    scopes: list[Scope] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    container = app(act, accept=True)
    talk = await serve([Mount(prefix, container)] if prefix else container, server=server)
    await talk.raw(path, *lines)
    await until(lambda: scopes)
    scopes[0]["test.port"] = talk.site.port
    return scopes[0]


async def test_scope(serve: Serve) -> None:
    scope = await scope_of(serve, "/a%20b/%C3%A9?x=%20", "Sec-WebSocket-Protocol: a, b", "X-A: 1")
    port = scope.pop("test.port")
    assert scope.pop("client")[0] == "127.0.0.1"
    headers = scope.pop("headers")
    assert (b"x-a", b"1") in headers
    assert (b"sec-websocket-version", b"13") in headers
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"x=%20",
        "root_path": "",
        "subprotocols": ["a", "b"],
        "server": ("127.0.0.1", port),
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


async def test_below_a_prefix(serve: Serve) -> None:
    scope = await scope_of(serve, "/%C3%A9/x", prefix="/%C3%A9")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/é", "/é/x", b"/%C3%A9/x")


async def test_behind_a_proxy(serve: Serve) -> None:
    lines = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"]
    scope = await scope_of(serve, "/", *lines, trusted_proxies=["127.0.0.1"])
    assert (scope["client"], scope["scheme"]) == (("192.0.2.7", 0), "wss")


async def test_pages_of_other_sites_are_its_own_business(serve: Serve) -> None:
    lines = ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"]
    scope = await scope_of(serve, "/", *lines)
    assert (b"origin", b"https://evil.example") in scope["headers"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"), 426),
        (("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x"), 400),
        (("Connection: Upgrade", "Connection: close"), 400),
    ],
)
async def test_what_is_no_handshake(serve: Serve, change: tuple[str, str], status: int) -> None:
    """It is not told of."""
    called: list[Scope] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        called.append(scope)

    talk = await serve(app(act))
    lines = [line.replace(*change) for line in handshake()]
    answer = await (await talk.site.connect()).ask(*lines)
    assert (answer.status, called) == (status, [])


async def test_one_of_several_upgrades(serve: Serve) -> None:
    talk = await serve(app(echo, accept=True))
    lines = [line.replace("Upgrade: websocket", "Upgrade: x, WebSocket") for line in handshake()]
    assert (await (await talk.site.connect()).ask(*lines)).status == 101


# ---- Messages --------------------------------------------------------------------------------


async def test_messages_both_ways(serve: Serve) -> None:
    talk = await serve(app(echo, accept=True))
    client = await talk.connect()
    messages: list[str | bytes] = ["hé", b"\0\xff", "", b"", "x" * 100_000, bytes(1_000_000)]
    for message in messages:
        await client.send(message)
        assert await client.recv() == message


async def test_events_have_what_there_is(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes(await receive())
        notes(await receive())
        await send({"type": "websocket.send", "text": None, "bytes": b"b"})
        await send({"type": "websocket.send", "text": "t", "bytes": None})

    talk = await serve(app(act, accept=True))
    raw = await talk.raw(behind=frame(TEXT, "a") + frame(BINARY, b"b"))
    assert [await raw.message(), await raw.message()] == [b"b", "t"]
    assert notes == [
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "bytes": b"b"},
    ]


async def test_who_gives_up_receiving_loses_nothing(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        waiting: asyncio.Future[Event] = asyncio.ensure_future(receive())
        await settled()
        waiting.cancel()
        await asyncio.wait([waiting])
        notes("given up")
        notes((await receive())["text"])

    talk = await serve(app(act, accept=True))
    raw = await talk.raw()
    await notes.has("given up")
    raw.text("a")
    await notes.has("a")


async def test_nothing_is_read_that_nobody_receives(serve: Serve, notes: Notes) -> None:
    """The client's messages stay with it; those that were sent all come."""
    go_on = asyncio.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        for _ in range(300):
            notes(len((await receive())["bytes"]))

    talk = await serve(app(act, accept=True))
    client = await talk.connect(write_limit=0)

    async def send_all() -> None:
        for _ in range(300):
            await client.send(bytes(100_000))

    sending = asyncio.create_task(send_all())
    (connection,) = talk.application._sockets.event_streams
    await until(lambda: connection.stream.paused)
    await settled(50)
    assert not sending.done()
    assert len(connection.stream.buffer) < 1_000_000
    go_on.set()
    await sending
    await until(lambda: len(notes) == 300)


async def test_who_sends_waits_for_a_client_that_does_not_read(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(100_000)})
            notes("sent")

    talk = await serve(app(act, accept=True))
    raw = await talk.raw()
    raw.stop_reading()
    (connection,) = talk.application._sockets.event_streams
    await until(lambda: connection.stream.blocked)
    await settled(50)
    count = len(notes)
    await settled(50)
    assert len(notes) == count
    raw.close()


# ---- Accepting -------------------------------------------------------------------------------


async def test_a_subprotocol_and_fields(serve: Serve) -> None:
    fields = [(b"X-A", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"server", b"me")]

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": fields})
        await echo(scope, receive, send)

    talk = await serve(app(act))
    client = await talk.connect(subprotocols=["a", "b"])
    assert client.subprotocol == "b"
    assert client.response is not None
    headers = client.response.headers
    assert (headers["X-A"], headers["Server"]) == ("1", "me")
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert "Content-Type" not in headers


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ({"subprotocol": "c"}, "not offered"),
        ({"headers": [(b"Sec-WebSocket-Accept", b"x")]}, "handshake's"),
        ({"headers": [(b"sec-websocket-protocol", b"a")]}, "handshake's"),
        ({"headers": [(b"connection", b"close")]}, "handshake's"),
        ({"headers": [(b"content-length", b"1")]}, "handshake's"),
        ({"headers": [(b"x", b"a\r\nb: c")]}, "Unsafe"),
    ],
)
async def test_what_cannot_be_accepted(
    serve: Serve, notes: Notes, event: dict[str, Any], what: str
) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match=what):
            await send({"type": "websocket.accept", **event})
        notes("refused")
        await send(ACCEPT)

    talk = await serve(app(act))
    await talk.raw("/", "Sec-WebSocket-Protocol: a, b")
    assert notes == ["refused"]


async def test_what_is_not_the_time_for(serve: Serve, notes: Notes) -> None:
    async def tries(send: Send, *kinds: str) -> None:
        for kind in kinds:
            with pytest.raises(RuntimeError, match="Unexpected ASGI event"):
                await send({"type": f"websocket.{kind}"})

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await tries(send, "send", "http.response.body", "connect", "disconnect")
        await send(ACCEPT)
        await tries(send, "accept", "http.response.start", "http.response.body")
        await send({"type": "websocket.close"})
        await tries(send, "accept", "close", "send", "http.response.start")
        notes("over")

    talk = await serve(app(act))
    assert await (await talk.raw()).close_code() == 1000
    await notes.has("over")


# ---- Refusing --------------------------------------------------------------------------------


async def test_a_refusal(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes(await receive())
        await send({"type": "websocket.close", "code": 4000})
        notes(await receive())
        with pytest.raises(RuntimeError, match="refused"):
            await send(ACCEPT)
        notes("over")

    talk = await serve(app(act))
    _, answer = await talk.shake_hands()
    assert answer.status == 403
    await notes.has("over")
    assert notes[:2] == [CONNECT, disconnected(1006)]


def answering(status: Any, *bodies: bytes, headers: Any = ()) -> ASGIContainer:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await send(start)
        for number, body in enumerate(bodies, 1):
            more = number < len(bodies)
            event = {"type": "websocket.http.response.body", "body": body, "more_body": more}
            await send(event)

    return app(act)


async def test_an_answer_instead(serve: Serve) -> None:
    talk = await serve(answering(401, b"no", headers=[(b"x-a", b"1"), (b"connection", b"x")]))
    _, answer = await talk.shake_hands()
    assert (answer.status, answer.reason, answer.body) == (401, "Unauthorized", b"no")
    names = {name for name, _ in answer.fields}
    assert names == {"X-A", "Content-Length", "Date", "Server"}


async def test_an_answer_in_pieces(serve: Serve) -> None:
    talk = await serve(answering(599, b"a", b"b" * 100_000, b""))
    _, answer = await talk.shake_hands()
    assert (answer.status, answer.reason, answer.body) == (599, "", b"a" + b"b" * 100_000)
    talk = await serve(answering(204, b"dropped"))
    _, answer = await talk.shake_hands()
    assert (answer.status, answer.body, answer.get("Content-Length")) == (204, b"", None)


async def test_half_an_answer(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401})
        body = {"type": "websocket.http.response.body", "body": b"half", "more_body": True}
        await send(body)

    talk = await serve(app(act))
    _, answer = await talk.shake_hands()
    assert (answer.body, answer.complete) == (b"half", False)
    assert "ended without an answer" in caplog.text


@pytest.mark.parametrize("status", [101, 1000, "401"])
async def test_not_the_status_of_an_answer(
    serve: Serve, caplog: pytest.LogCaptureFixture, status: Any
) -> None:
    talk = await serve(answering(status, b""))
    _, answer = await talk.shake_hands()
    assert answer.status == 500
    assert "Not the status of an answer" in caplog.text


# ---- Its end ---------------------------------------------------------------------------------


async def test_it_closes(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match="1005"):
            await send({"type": "websocket.close", "code": 1005})
        await send({"type": "websocket.close", "code": 4001, "reason": "why"})
        notes(await receive())

    talk = await serve(app(act, accept=True))
    client = await talk.connect()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert (client.close_code, client.close_reason) == (4001, "why")
    await notes.has(disconnected(4001, "why"))


@pytest.mark.parametrize(
    ("closing", "event"),
    [
        (close_frame(4000, "bye"), disconnected(4000, "bye")),
        (frame(8), disconnected(1005)),
        (None, disconnected(1006)),
        (frame(3), disconnected(1002, "Reserved opcode")),
    ],
)
async def test_the_client_closes(
    serve: Serve, notes: Notes, closing: bytes | None, event: Event
) -> None:
    """All that came before is received before."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes((await receive())["text"])
        notes((await receive())["text"])
        notes(await receive())
        assert await receive() == event  # however often
        with pytest.raises(StreamClosedError):
            await send({"type": "websocket.send", "text": "x"})
        with pytest.raises(OSError):
            await send({"type": "websocket.close"})
        notes("over")

    talk = await serve(app(act, accept=True))
    raw = await talk.raw()
    raw.text("a", "b")
    if closing is None:
        raw.writer.close()
    else:
        raw.frames(closing)
    await notes.has("over")
    assert notes[:-1] == ["a", "b", event]


async def test_the_client_goes_while_it_decides(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes(await receive())
        notes(await receive())
        with pytest.raises(StreamClosedError):
            await send(ACCEPT)
        notes("over")
        await send({"type": "websocket.close"})  # what that raises is no news

    talk = await serve(app(act))
    peer = await talk.site.connect()
    peer.send(*handshake())
    await notes.has(CONNECT)
    peer.close()
    await notes.has("over")
    assert notes[1] == disconnected(1006)


async def test_the_client_goes_while_it_is_answered(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401})
        body = {"type": "websocket.http.response.body", "body": bytes(65536), "more_body": True}
        try:
            while True:
                await send(body)
                notes("sent")
        except StreamClosedError:
            notes("gone")
            raise

    talk = await serve(app(act))
    peer = await talk.site.connect()
    peer.send(*handshake())
    await notes.has("sent")
    peer.close()
    await notes.has("gone")


@pytest.mark.parametrize("accepted", [True, False])
async def test_it_fails(serve: Serve, caplog: pytest.LogCaptureFixture, accepted: bool) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("oops")

    talk = await serve(app(act, accept=accepted))
    raw, answer = await talk.shake_hands()
    if accepted:
        assert await raw.close_code() == 1011
    else:
        assert answer.status == 500
    (record,) = [record for record in caplog.records if "Uncaught" in record.message]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


async def test_what_it_raises_because_the_client_is_gone(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tornado.application")
    over = Notes()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.send", "text": "x"})
        finally:
            over("over")

    talk = await serve(app(act, accept=True))
    raw = await talk.raw()
    raw.frames(close_frame(1000))
    await over.has("over")
    await settled()
    assert "Uncaught" not in caplog.text


async def test_it_ends_without_a_word(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    talk = await serve(app(act, accept=True))
    assert await (await talk.raw()).close_code() == 1000
    assert "without an answer" not in caplog.text
    talk = await serve(app(act))
    _, answer = await talk.shake_hands()
    assert answer.status == 500
    assert "The ASGI application has ended without an answer" in caplog.text


async def test_a_server_that_stops(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes("begun")
        notes(await receive())

    talk = await serve([Mount("/api", app(act, accept=True))])
    client = await talk.connect("/api/x")
    await notes.has("begun")
    await talk.server.drain()
    await client.wait_closed()
    assert client.close_code == 1001
    assert notes[1:] == [disconnected(1001)]


async def test_a_server_that_stops_cuts_what_goes_on(serve: Serve, notes: Notes) -> None:
    """One that decides for ever, and one that does not listen."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/open":
            await send(ACCEPT)
        notes(scope["path"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes("cancelled " + scope["path"])
            raise

    talk = await serve(app(act))
    await talk.raw("/open")
    (await talk.site.connect()).send(*handshake("/decides"))
    await notes.has("/open")
    await notes.has("/decides")
    await talk.server.drain(0)
    assert "cancelled /decides" in notes
    await notes.has("cancelled /open")


# ---- Its life, and what is allowed -----------------------------------------------------------


@pytest.mark.parametrize("starts", [True, False])
async def test_a_lifespan(serve: Serve, caplog: pytest.LogCaptureFixture, starts: bool) -> None:
    """It begins with the first WebSocket, if the server has not begun it."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["number"] = 42
            what = "complete" if starts else "failed"
            await send({"type": f"lifespan.startup.{what}"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await receive()
            await send(ACCEPT)
            await send({"type": "websocket.send", "text": str(scope["state"]["number"])})

    talk = await serve(ASGIContainer(application))
    if starts:
        assert await (await talk.raw()).message() == "42"
    else:
        _, answer = await talk.shake_hands()
        assert answer.status == 503
        assert "could not be started" in caplog.text


async def test_what_is_allowed(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes(await receive())

    talk = await serve(app(act, accept=True, websocket_max_message_size=10))
    raw = await talk.raw(behind=frame(TEXT, "x" * 11))
    assert await raw.close_code() == 1009
    await notes.has(disconnected(1009, "Message too large"))


async def test_compression(serve: Serve) -> None:
    talk = await serve(app(echo, accept=True))
    client = await talk.connect(compression="deflate")
    assert "Sec-WebSocket-Extensions" not in client.response.headers  # type: ignore[union-attr]
    talk = await serve(app(echo, accept=True, websocket_compression={}))
    client = await talk.connect(compression="deflate")
    assert "Sec-WebSocket-Extensions" in client.response.headers  # type: ignore[union-attr]
    await client.send("x" * 10_000)
    assert await client.recv() == "x" * 10_000
    with pytest.raises(TypeError):
        app(echo, websocket_compression={"unknown": 1})


async def test_pings(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    talk = await serve(app(act, accept=True))
    await talk.raw()
    (connection,) = talk.application._sockets.event_streams
    assert connection.parameters.ping_interval == 20
    assert connection.parameters.pong_seconds == 20


async def test_requests_beside(serve: Serve) -> None:
    """What is no handshake goes to the application as a request."""
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    talk = await serve(ASGIContainer(application))
    assert isinstance(talk.server, HTTPServer)
    assert (
        await talk.site.request("POST", "/", headers={"Upgrade": "websocket"})
    ).status_code == 204
    with pytest.raises(InvalidStatus):
        await talk.connect()  # an application that knows no WebSockets
    assert seen == ["lifespan", "http", "websocket"]
