"""An application of ours for foreign servers: `uvicorn asgi_app:app`."""

from __future__ import annotations

import asyncio

from tornadoish import web
from tornadoish.asgi import ASGIApplication
from tornadoish.iostream import StreamClosedError

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


class Log(web.RequestHandler):
    def get(self) -> None:
        self.write({"log": log, "pieces": pieces})


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
        ("/log", Log),
    ]
)
application.on_startup.append(on_startup)
application.on_cleanup.append(on_cleanup)
app = ASGIApplication(application)
