"""Foreign ASGI applications that the tests of their WebSockets share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tornadoish.asgi import ASGIContainer, Event, Receive, Scope, Send

Act = Callable[[Scope, Receive, Send], Awaitable[None]]
ACCEPT: Event = {"type": "websocket.accept"}
CONNECT: Event = {"type": "websocket.connect"}


def app(act: Act, *, accept: bool = False, **options: Any) -> ASGIContainer:
    """A container of an application without a lifespan; with ``accept``, it accepts first."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise ValueError(scope["type"])
        if accept:
            event = await receive()
            if event != CONNECT:
                raise ValueError(event)
            await send(ACCEPT)
        await act(scope, receive, send)

    return ASGIContainer(application, **options)


def disconnected(code: int, reason: str = "") -> Event:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})
