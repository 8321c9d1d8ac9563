"""A host of ASGI applications within the test, for WebSockets: it does as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

from web.asgi_host import AnyHost
from web.serving import PATIENCE

from tornadoish.asgi import Event

from .asgi_apps import CONNECT


def text(message: str) -> Event:
    return {"type": "websocket.receive", "text": message}


def disconnect(code: int | None = None, reason: str | None = None) -> Event:
    event: Event = {"type": "websocket.disconnect"}
    if code is not None:
        event["code"] = code
    if reason is not None:
        event["reason"] = reason
    return event


class SocketHost(AnyHost):
    """One WebSocket, whose client has connected. What it sends then is put into ``incoming``; what
    it is sent is in ``sent``."""

    def __init__(self, application: Any, *incoming: Event, **options: Any) -> None:
        options = {
            "type": "websocket",
            "subprotocols": [],
            "extensions": ("websocket.http.response",),
            **options,
        }
        super().__init__(application, (CONNECT, *incoming), **options)
        self._more = asyncio.Event()  # it has been sent something more
        self._before: set[asyncio.Task[Any]] = set()

    def time_passes(self, seconds: float) -> None:
        """For the clock of the connections in memory."""
        self._application._clock.sweep(asyncio.get_running_loop().time() + seconds)

    async def send(self, event: Event) -> None:
        await super().send(event)
        self._more.set()

    def start(self) -> asyncio.Task[None]:
        self._before = asyncio.all_tasks()
        return super().start()

    async def has_sent(self, count: int) -> list[Event]:
        """Wait until so much was sent."""
        if self.task is None:
            self.start()
        async with asyncio.timeout(PATIENCE):
            while len(self.sent) < count:
                self._more.clear()
                await self._more.wait()
        return self.sent[:count]

    async def opened(self) -> Event:
        """Wait until it is accepted."""
        (event,) = await self.has_sent(1)
        if event["type"] != "websocket.accept":
            raise ValueError(f"{event}")
        return event

    async def run(self, *, fails: bool = False) -> SocketHost:
        """Let it come to its end: no task is left, and the contract was kept."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([self.task or self.start()])
        if self.task is not None and not self.task.cancelled():
            error = self.task.exception()
            assert fails or error is None, error
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() - self._before - {asyncio.current_task(), self.task}:
                await asyncio.sleep(0)
            if self.checked is not None:
                while self.checked.calls[-1:] not in ([], ["on_close"]):
                    await asyncio.sleep(0)
        self.check()
        return self
