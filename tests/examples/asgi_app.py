"""An application of ours for foreign servers: `uvicorn asgi_app:app`."""

from __future__ import annotations

import asyncio

from tornadoish import web
from tornadoish.asgi import ASGIApplication
from tornadoish.iostream import StreamClosedError
from tornadoish.websocket import IncomingMessage, WebSocketClosedError, WebSocketHandler

PIECE = bytes(64 * 1024)
log: list[str] = []
pieces = 0


class Echo(web.RequestHandler):
    def get(self) -> None:
        request = self.request
        self.write(
            {
                "asked": [request.method, request.full_url(), request.version],
                "from": request.remote_ip,
                "arguments": {name: self.get_arguments(name) for name in request.arguments},
                "files": {name: len(files[0].body) for name, files in request.files.items()},
            }
        )

    head = post = get


class Pieces(web.RequestHandler):
    async def get(self) -> None:
        for number in range(100):
            self.write(f"{number}\n")
            await self.flush()


class Half(web.RequestHandler):
    async def get(self) -> None:
        self.write("some")
        await self.flush()
        raise web.HTTPError(500)


@web.stream_request_body
class Upload(web.RequestHandler):
    size = 0

    async def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def post(self) -> None:
        self.write(str(self.size))


@web.stream_request_body
class Refused(web.RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.finish("no")


class Endless(web.RequestHandler):
    """More than any client takes."""

    async def get(self) -> None:
        global pieces
        try:
            while True:
                self.write(PIECE)
                await self.flush()
                pieces += 1
        except StreamClosedError:
            log.append("endless ended")

    def on_connection_close(self) -> None:
        log.append("endless closed")


class Waiting(web.RequestHandler):
    cancel_on_close = True

    async def get(self) -> None:
        self.write("waiting")
        await self.flush()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("waiting cancelled")
            raise


class Events(web.RequestHandler):
    async def get(self) -> None:
        await self.send_event({"number": 1}, id="1")
        await self.send_event("two", event="named")
        self.finish()


class Socket(WebSocketHandler):
    """Echoes, and closes as it is told."""

    def prepare(self) -> None:
        self.set_cookie("seen", "yes")

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[-1] if subprotocols else None

    def open(self) -> None:
        request = self.request
        asked = [request.full_url(), request.remote_ip, request.version, self.get_cookie("c")]
        self.write_message({"asked": asked})

    async def on_message(self, message: str | bytes) -> None:
        if isinstance(message, str) and message == "close":  # -bb compares no bytes with text
            self.close(4001, "why")
        else:
            await self.send(message)

    def on_close(self) -> None:
        log.append(f"socket {self.close_code}")


class Iterating(WebSocketHandler):
    async def open(self) -> None:
        async for message in self:
            await self.send(message)
        log.append("iterated")


class Parts(WebSocketHandler):
    message_in_parts = True

    async def on_message(self, message: IncomingMessage) -> None:
        await self.send(str(sum([len(part) async for part in message])))


class EndlessSocket(WebSocketHandler):
    """More than any client takes."""

    async def open(self) -> None:
        global pieces
        pieces = 0
        try:
            while True:
                await self.send(PIECE)
                pieces += 1
        except WebSocketClosedError:
            log.append("endless socket ended")


class WaitingSocket(WebSocketHandler):
    cancel_on_close = True

    async def on_message(self, message: str) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("waiting socket cancelled")
            raise


class Log(web.RequestHandler):
    def get(self) -> None:
        self.write({"log": log, "pieces": pieces, "tasks": len(asyncio.all_tasks())})


async def on_startup(application: web.Application) -> None:
    log.append("startup")


async def on_cleanup(application: web.Application) -> None:
    print("cleaned up", flush=True)


application = web.Application(
    [
        ("/echo", Echo),
        ("/pieces", Pieces),
        ("/half", Half),
        ("/upload", Upload),
        ("/refused", Refused),
        ("/endless", Endless),
        ("/waiting", Waiting),
        ("/events", Events),
        ("/socket", Socket),
        ("/iterating", Iterating),
        ("/parts", Parts),
        ("/endless-socket", EndlessSocket),
        ("/waiting-socket", WaitingSocket),
        ("/log", Log),
    ]
)
application.on_startup.append(on_startup)
application.on_cleanup.append(on_cleanup)
app = ASGIApplication(application)
