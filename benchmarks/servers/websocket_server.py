"""Echo over WebSocket, by each of the peers: `websocket_server.py KIND PORT [--loop asyncio]`.

Each in the way that its own documentation shows first, without compression; tornadoish and Tornado
run the same program.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import serving

HOST = "127.0.0.1"
#: whether the server pings every second
PINGS = "--pings" in sys.argv


def run(main: Coroutine[Any, Any, None]) -> None:
    if "asyncio" in sys.argv:
        asyncio.run(main)
    else:
        serving.run(main)


def tornado_style(package: str, port: int, *, coroutine: bool = False) -> None:
    """tornadoish and Tornado: a plain ``on_message``, or a coroutine that awaits its answer."""
    web: Any = importlib.import_module(f"{package}.web")
    websocket: Any = importlib.import_module(f"{package}.websocket")

    class Echo(websocket.WebSocketHandler):  # type: ignore[misc]
        def on_message(self, message: str | bytes) -> None:
            self.write_message(message, binary=isinstance(message, bytes))

    class EchoLater(websocket.WebSocketHandler):  # type: ignore[misc]
        async def on_message(self, message: str | bytes) -> None:
            await self.write_message(message, binary=isinstance(message, bytes))

    settings: dict[str, Any] = {"log_function": lambda handler: None}
    if PINGS:
        settings |= {"websocket_ping_interval": 1, "websocket_ping_timeout": 1}

    async def main() -> None:
        handler = EchoLater if coroutine else Echo
        web.Application([("/", handler)], **settings).listen(port, HOST)
        await asyncio.Event().wait()

    run(main())


def iterating(port: int) -> None:
    """tornadoish's other way: ``async for``."""
    from tornadoish.web import Application
    from tornadoish.websocket import WebSocketHandler

    class Echo(WebSocketHandler):
        async def open(self) -> None:
            async for message in self:
                await self.send(message)

    async def main() -> None:
        Application([("/", Echo)], log_function=lambda handler: None).listen(port, HOST)
        await asyncio.Event().wait()

    run(main())


def broadcasting(port: int) -> None:
    """tornadoish: what one sends goes to all."""
    from tornadoish.web import Application
    from tornadoish.websocket import WebSocketHandler, broadcast

    everyone: set[WebSocketHandler] = set()

    class Talk(WebSocketHandler):
        def open(self) -> None:
            everyone.add(self)

        def on_message(self, message: str | bytes) -> None:
            broadcast(everyone, message)

        def on_close(self) -> None:
            everyone.discard(self)

    async def main() -> None:
        Application([("/", Talk)], log_function=lambda handler: None).listen(port, HOST)
        await asyncio.Event().wait()

    run(main())


def aiohttp(port: int) -> None:
    """aiohttp.web."""
    from aiohttp import WSMsgType, web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        async for message in ws:
            if message.type == WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type == WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", echo)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()

    run(main())


def uvicorn(port: int) -> None:
    """uvicorn with websockets, and a bare ASGI callable."""
    import uvicorn

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") is not None:
                await send({"type": "websocket.send", "text": event["text"]})
            else:
                await send({"type": "websocket.send", "bytes": event["bytes"]})

    uvicorn.run(
        app, host=HOST, port=port, ws="websockets", ws_per_message_deflate=False, lifespan="off",
        log_level="critical", access_log=False, ws_ping_interval=None,
        loop="asyncio" if "asyncio" in sys.argv else "auto",
    )  # fmt: skip


def picows(port: int) -> None:
    """picows: a listener that is called with frames."""
    from picows import WSFrame, WSListener, WSTransport, WSUpgradeRequest, ws_create_server

    class Echo(WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())

    def listener(request: WSUpgradeRequest) -> WSListener:
        return Echo()

    async def main() -> None:
        server = await ws_create_server(listener, HOST, port)
        await server.serve_forever()

    run(main())


KINDS: dict[str, Callable[[int], None]] = {
    "tornadoish": lambda port: tornado_style("tornadoish", port),
    "tornadoish-coro": lambda port: tornado_style("tornadoish", port, coroutine=True),
    "tornadoish-iter": iterating,
    "tornadoish-broadcast": broadcasting,
    "tornado": lambda port: tornado_style("tornado", port),
    "tornado-coro": lambda port: tornado_style("tornado", port, coroutine=True),
    "aiohttp": aiohttp,
    "uvicorn": uvicorn,
    "picows": picows,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
