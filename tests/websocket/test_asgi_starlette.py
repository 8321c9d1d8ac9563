"""Starlette's WebSockets within our applications."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tornadoish.asgi import ASGIContainer
from tornadoish.routing import Mount

from .ours import framework  # noqa: F401 - a fixture
from .talking import Notes, Serve, Talk

pytest.importorskip("starlette")
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


def make_application(notes: Notes) -> Starlette:
    class Echo(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket) -> None:
            notes([str(websocket.url), str(websocket.url_for("echo")), websocket.state.number])
            offered = websocket.scope["subprotocols"]
            await websocket.accept(
                subprotocol=offered[-1] if offered else None,
                headers=[(b"set-cookie", b"a=1")],
            )

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            send = websocket.send_text if isinstance(data, str) else websocket.send_bytes
            await send(data)

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            notes(close_code)

    async def iterates(websocket: WebSocket) -> None:
        await websocket.accept()
        async for number in websocket.iter_json():
            await websocket.send_json({"twice": 2 * number})
        notes("iterated")

    async def closes(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4001, "why")

    async def refuses(websocket: WebSocket) -> None:
        await websocket.close()

    async def answers(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("go away", 401))

    async def raises(websocket: WebSocket) -> None:
        raise HTTPException(402)

    async def endless(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_bytes(bytes(10_000))
        except WebSocketDisconnect as error:
            notes(error.code)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"number": 42}

    routes = [WebSocketRoute("/echo", Echo, name="echo")]
    for each in (iterates, closes, refuses, answers, raises, endless):
        routes.append(WebSocketRoute(f"/{each.__name__}", each))
    return Starlette(routes=routes, lifespan=lifespan)


@pytest.fixture(params=["", "/api"], ids=["alone", "below a prefix"])
async def talk(request: pytest.FixtureRequest, serve: Serve, notes: Notes) -> Talk:
    container = ASGIContainer(make_application(notes))
    prefix: str = request.param
    talk = await serve([Mount(prefix, container)] if prefix else container)
    talk.prefix = prefix  # type: ignore[attr-defined]
    return talk


def below(talk: Any, path: str) -> str:
    where: str = talk.prefix + path
    return where


async def test_messages(talk: Talk, notes: Notes) -> None:
    client = await talk.connect(below(talk, "/echo?q"), subprotocols=["a", "b"])
    assert client.subprotocol == "b"
    assert client.response is not None
    assert client.response.headers["Set-Cookie"] == "a=1"
    base = talk.url + below(talk, "/echo")
    assert notes == [[f"{base}?q", base, 42]]
    for message in ("hé", b"\0", "", bytes(200_000)):
        await client.send(message)
        assert await client.recv() == message
    await client.close(4000)
    await notes.has(4000)


async def test_iterating(talk: Talk, notes: Notes) -> None:
    client = await talk.connect(below(talk, "/iterates"))
    for number in range(10):
        await client.send(str(number))
        assert await client.recv() == f'{{"twice":{2 * number}}}'
    await client.close()
    await notes.has("iterated")


async def test_it_closes(talk: Talk) -> None:
    client = await talk.connect(below(talk, "/closes"))
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert (client.close_code, client.close_reason) == (4001, "why")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/refuses", 403, b"Forbidden"),
        ("/none", 403, b"Forbidden"),
        ("/answers", 401, b"go away"),
        ("/raises", 402, b"Payment Required"),
    ],
)
async def test_refusals(talk: Talk, path: str, status: int, body: bytes) -> None:
    with pytest.raises(InvalidStatus) as raised:
        await talk.connect(below(talk, path))
    assert (raised.value.response.status_code, raised.value.response.body) == (status, body)


async def test_a_client_that_goes_away(talk: Talk, notes: Notes) -> None:
    raw = await talk.raw(below(talk, "/endless"))
    raw.stop_reading()
    raw.close()
    await notes.has(1006)


async def test_a_server_that_stops(talk: Talk, notes: Notes) -> None:
    client = await talk.connect(below(talk, "/echo"))
    await talk.server.drain()
    assert notes[-1] == 1001
    await client.wait_closed()
    assert client.close_code == 1001
