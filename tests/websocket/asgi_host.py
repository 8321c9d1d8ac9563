"""A host of ASGI applications within the test, for WebSockets: it does as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

from web.serving import PATIENCE

from tornadoish.asgi import ASGIApplication, Event, Scope
from tornadoish.testing import CheckedServerDelegate, check_message_delegate

CONNECT: Event = {"type": "websocket.connect"}


def text(message: str) -> Event:
    return {"type": "websocket.receive", "text": message}


def disconnect(code: int | None = None, reason: str | None = None) -> Event:
    event: Event = {"type": "websocket.disconnect"}
    if code is not None:
        event["code"] = code
    if reason is not None:
        event["reason"] = reason
    return event


class SocketHost:
    """One WebSocket to ``application``, whose client has connected. What it sends then is put into
    ``incoming``; what it is sent is in ``sent``."""

    def __init__(
        self,
        application: Any,
        *incoming: Event,
        path: str = "/",
        headers: dict[str, str] | None = None,
        fields: list[tuple[bytes, bytes]] | None = None,
        extensions: tuple[str, ...] = ("websocket.http.response",),
        check: bool = True,
        **scope: Any,
    ) -> None:
        # Only a router is told of a root_path as a router is, and a function has no delegates.
        self.checked: CheckedServerDelegate | None = None
        if check:
            application = self.checked = check_message_delegate(application)
        self._application = ASGIApplication(application)
        if fields is None:
            named = {"host": "a", **(headers or {})}
            fields = [(name.encode(), value.encode()) for name, value in named.items()]
        self.scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": fields,
            "client": ("192.0.2.1", 1234),
            "subprotocols": [],
            "extensions": {name: {} for name in extensions},
            **scope,
        }
        self.incoming: asyncio.Queue[Event | Exception] = asyncio.Queue()
        for event in (CONNECT, *incoming):
            self.incoming.put_nowait(event)
        self.received = 0
        #: what the application has sent, and whether there is more of it
        self.sent: list[Event] = []
        self._more = asyncio.Event()
        #: cleared, it keeps senders waiting
        self.takes = asyncio.Event()
        self.takes.set()
        #: what sending raises
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None
        self._before: set[asyncio.Task[Any]] = set()

    def client(self, *events: Event | Exception) -> None:
        """The client sends these, or goes."""
        for event in events:
            self.incoming.put_nowait(event)

    def time_passes(self, seconds: float) -> None:
        """For the clock of the connections in memory."""
        self._application._clock.sweep(asyncio.get_running_loop().time() + seconds)

    async def receive(self) -> Event:
        event = await self.incoming.get()
        self.received += 1
        if isinstance(event, Exception):
            raise event
        return event

    async def send(self, event: Event) -> None:
        await self.takes.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(dict(event))
        self._more.set()

    def start(self) -> asyncio.Task[None]:
        self._before = asyncio.all_tasks()
        self.task = asyncio.create_task(self._application(self.scope, self.receive, self.send))
        return self.task

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
        if self.checked is not None:
            assert self.checked.violations == []
            assert [each for each in self.checked.delegates if each.state != "ended"] == []
        return self
