"""How WebSockets of foreign ASGI applications end, and what these are allowed."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support import settled, soon
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tornadoish.asgi import ASGIContainer, Event, Receive, Scope, Send, hosted_socket
from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import StreamClosedError
from tornadoish.routing import Mount
from tornadoish.ws import Opening

from .asgi_apps import ACCEPT, CONNECT, app, disconnected, echo
from .ours import framework  # noqa: F401 - a fixture
from .talking import TEXT, Notes, Serve, close_frame, frame, handshake

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


async def test_it_closes_and_the_client_just_goes(serve: Serve, notes: Notes) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4001})
        notes(await receive())

    talk = await serve(app(act, accept=True))
    raw = await talk.raw()
    assert await raw.close_code() == 4001
    raw.writer.close()
    await notes.has(disconnected(4001))


async def test_hands_that_cannot_be_shaken(
    serve: Serve, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason: the application does not wait for ever."""

    def answer(*args: Any) -> None:
        raise KeyError("oops")

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(StreamClosedError):
            await send(ACCEPT)
        notes(await receive())
        notes(await receive())

    monkeypatch.setattr(Opening, "answer", answer)
    talk = await serve(app(act))
    _, response = await talk.shake_hands()
    assert response.status == 500
    await notes.has(disconnected(1006))


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


@pytest.mark.parametrize("opened", [True, False])
async def test_a_server_that_stops_cuts_what_goes_on(
    serve: Serve, notes: Notes, monkeypatch: pytest.MonkeyPatch, opened: bool
) -> None:
    """One that does not listen has a moment to end; one that has not decided is cancelled."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        notes("begun")
        await notes.cancellation()

    monkeypatch.setattr(hosted_socket, "END_SECONDS", 0 if opened else 1000)
    talk = await serve(app(act, accept=opened))
    peer = await talk.site.connect()
    peer.send(*handshake())
    await notes.has("begun")
    await soon(talk.server.drain(0))
    await notes.has("cancelled")


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
