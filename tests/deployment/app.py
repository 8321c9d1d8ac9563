"""What is served behind proxies: it tells what it sees, and how far things have come."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import Any

from tornadoish.health import HealthHandlers
from tornadoish.web import Application, RequestHandler, stream_request_body
from tornadoish.websocket import WebSocketHandler

#: bytes of each upload that have come so far
uploaded: Counter[str] = Counter()
go_on: dict[str, asyncio.Event] = {}


class Seen(RequestHandler):
    """Who asks, and what for."""

    def get(self) -> None:
        request = self.request
        self.write(
            {
                "pid": os.getpid(),
                "version": os.environ.get("VERSION", ""),
                "client": request.remote_ip,
                "protocol": request.protocol,
                "host": request.host,
                "headers": dict(request.headers.get_all()),
            }
        )

    def post(self) -> None:
        self.write({"pid": os.getpid(), "bytes": len(self.request.body)})


@stream_request_body
class Upload(RequestHandler):
    def prepare(self) -> None:
        self.name = self.path_args[0]

    def data_received(self, chunk: bytes) -> None:
        uploaded[self.name] += len(chunk)

    def put(self, name: str) -> None:
        self.write({"bytes": uploaded[name]})


class Progress(RequestHandler):
    def get(self, name: str) -> None:
        self.write({"bytes": uploaded[name]})


class Parts(RequestHandler):
    """An answer in two parts; the second after a POST."""

    async def get(self, name: str) -> None:
        event = go_on[name] = asyncio.Event()
        self.write("first\n")
        await self.flush()
        await event.wait()
        self.write("second\n")

    def post(self, name: str) -> None:
        go_on[name].set()


class Echo(WebSocketHandler):
    def on_message(self, message: Any) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


def make_app() -> Application:
    health = HealthHandlers()
    application = Application(
        [
            ("/", Seen),
            *health,
            ("/upload/(.*)", Upload),
            ("/progress/(.*)", Progress),
            ("/parts/(.*)", Parts),
            ("/echo", Echo),
        ]
    )
    if seconds := os.environ.get("ANNOUNCE"):
        application.on_shutdown.append(health.announce(float(seconds)))
    return application
