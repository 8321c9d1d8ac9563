"""The application that websocket_soak.py drives: `websocket_soak_app.py PORT [--loop asyncio]`.

WebSocket handlers of every kind, and soak_app.py's /stats.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
from typing import Any

from soak_app import KEPT_IN_TABLES, CountingLog, CountingServer, PlannedError, Stats, run_counted

from tornadoish.http1.limits import Limits
from tornadoish.web import Application
from tornadoish.websocket import IncomingMessage, WebSocketHandler, broadcast

KEPT_IN_TABLES.update(("Deflate", "Parameters"))
#: seconds of every bound on time
SECONDS = 2.0


class Base(WebSocketHandler):
    """What the handlers share."""

    close_timeout = 5 * SECONDS  # 5 000 clients in one process are slow, too
    send_timeout = SECONDS
    max_unsent_bytes = 2 << 20

    def initialize(self, everyone: set[Any]) -> None:
        self.everyone = everyone

    def open(self) -> None:
        self.everyone.add(self)

    def on_close(self) -> None:
        self.everyone.discard(self)


class Plain(Base):
    def on_message(self, message: str | bytes) -> None:
        if message == "fail":
            raise PlannedError
        if message == "close":
            self.close(4000, "as you like")
        else:
            self.write_message(message, binary=isinstance(message, bytes))


class Coroutine(Plain):
    async def on_message(self, message: str | bytes) -> None:
        await asyncio.sleep(0)
        super().on_message(message)


class Compressing(Coroutine):
    def get_compression_options(self) -> dict[str, Any]:
        return {}


class Iterating(Base):
    async def open(self) -> None:
        super().open()
        async for message in self:
            if message == "close":
                break
            if message == "fail":
                raise PlannedError
            await self.send(message)


class Parts(Base):
    message_in_parts = True

    async def on_message(self, message: IncomingMessage) -> None:
        size = 0
        async for part in message:
            size += len(part)
        await self.send(str(size))


class Flood(Base):
    """Sends until the peer or it is at its end; odd ones wait for the peer."""

    async def on_message(self, message: str) -> None:
        if message == "wait":
            while True:
                await self.send("x" * 50_000)
        while True:
            self.write_message("x" * 50_000)
            await asyncio.sleep(0)


class Talk(Base):
    def on_message(self, message: str) -> None:
        some = [handler for _, handler in zip(range(20), self.everyone, strict=False)]
        broadcast({*some, self} - {None}, message)


class TrimmedStats(Stats):
    """The allocator first gives back what it keeps: it depends on how many floods met."""

    def get(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        super().get()


async def main(port: int, log: CountingLog) -> None:
    """Serve until ended from outside."""
    kinds = (Plain, Coroutine, Compressing, Iterating, Parts, Flood, Talk)
    routes: list[Any] = [(f"/{kind.__name__.lower()}", kind, {"everyone": set()}) for kind in kinds]
    application = Application(
        [*routes, ("/stats", TrimmedStats)],
        log=log,
        log_function=lambda handler: None,
        websocket_ping_interval=60,  # of those that wait for the others nobody answers
        websocket_max_message_size=1 << 20,
    )
    limits = Limits(linger_seconds=SECONDS, connections_per_address=None)
    server = application.settings["server"] = CountingServer(application, limits=limits)
    server.listen(port, "127.0.0.1", backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    options = parser.parse_args()
    run_counted(lambda log: main(options.port, log), options.loop)
