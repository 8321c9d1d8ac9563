"""WebSockets of foreign ASGI applications on our server: what these are told, and what becomes of
what they send."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support import settled
from web.serving import until

from tornadoish.asgi import ASGIContainer, Event, Receive, Scope, Send
from tornadoish.iostream import unsent_bytes
from tornadoish.routing import Mount

from .asgi_apps import ACCEPT, CONNECT, app, disconnected, echo
from .ours import framework  # noqa: F401 - a fixture
from .talking import BINARY, TEXT, Notes, Serve, frame, handshake

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


async def test_who_gives_up_receiving_may_accept_all_the_same(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == CONNECT
        waiting: asyncio.Future[Event] = asyncio.ensure_future(receive())
        await settled()
        waiting.cancel()
        await asyncio.wait([waiting])
        await send(ACCEPT)
        await echo(scope, receive, send)

    talk = await serve(app(act))
    raw = await talk.raw(behind=frame(TEXT, "a"))
    assert await raw.message() == "a"


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
    assert not connection.is_closing()
    assert unsent_bytes(connection.stream) < 1_000_000
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
    talk = await serve(answering(200, b"yes"))
    _, answer = await talk.shake_hands()
    assert {name for name, _ in answer.fields} == {"Content-Length", "Date", "Server"}


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
