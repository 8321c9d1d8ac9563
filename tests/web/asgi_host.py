"""Hosts of ASGI applications within the test: they do as they are told, and check the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tornadoish.asgi import ASGIApplication, Event, Scope
from tornadoish.testing import CheckedServerDelegate, check_message_delegate

from .serving import PATIENCE

GONE: Event = {"type": "http.disconnect"}


def piece(data: bytes = b"", more: bool = False) -> Event:
    return {"type": "http.request", "body": data, "more_body": more}


class AnyHost:
    """One connection scope for ``application``. Its events are those of ``incoming``, in order;
    when these are over, receiving waits for more."""

    def __init__(
        self,
        application: Any,
        incoming: Iterable[Event],
        *,
        path: str = "/",
        headers: dict[str, str] | None = None,
        fields: list[tuple[bytes, bytes]] | None = None,
        extensions: tuple[str, ...] = (),
        max_body_size: int | None = None,
        check: bool = True,
        **scope: Any,
    ) -> None:
        # Only a router is told of a root_path as a router is, and a function has no delegates.
        self.checked: CheckedServerDelegate | None = None
        if check:
            application = self.checked = check_message_delegate(application)
        options = {} if max_body_size is None else {"max_body_size": max_body_size}
        self._application = ASGIApplication(application, **options)
        if fields is None:
            named = {"host": "a", **(headers or {})}
            fields = [(name.encode(), value.encode()) for name, value in named.items()]
        self.scope: Scope = {
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": fields,
            "client": ("192.0.2.1", 1234),
            "extensions": {name: {} for name in extensions},
            **scope,
        }
        self.incoming: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self.client(*incoming)
        self.received = 0
        #: what the application has sent
        self.sent: list[Event] = []
        #: cleared, it keeps senders waiting
        self.takes = asyncio.Event()
        self.takes.set()
        #: what sending raises
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None

    def client(self, *events: Event | Exception) -> None:
        """The client sends these, or goes; or receiving raises."""
        for event in events:
            self.incoming.put_nowait(event)

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

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self._application(self.scope, self.receive, self.send))
        return self.task

    def check(self) -> None:
        """The contract was kept."""
        if self.checked is not None:
            assert self.checked.violations == []
            assert [each for each in self.checked.delegates if each.state != "ended"] == []


class Host(AnyHost):
    """One request; without events one that has no body."""

    def __init__(self, application: Any, *incoming: Event, **options: Any) -> None:
        options = {"type": "http", "method": "GET", **options}
        super().__init__(application, incoming or (piece(),), **options)

    async def run(self) -> Host:
        """Let it answer, to its end."""
        async with asyncio.timeout(PATIENCE):
            await (self.task or self.start())
        self.check()
        return self

    def check(self) -> None:
        super().check()
        if self.checked is not None:
            assert self.checked.calls[-1] == "on_close"

    # -- what was sent

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[str, str]:
        return {n.decode(): v.decode("latin-1") for n, v in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join([event.get("body", b"") for event in self.sent])

    @property
    def complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", False)

    @property
    def calls(self) -> list[str]:
        """What the delegate of the request was told."""
        (delegate,) = self.delegates
        return delegate.calls

    @property
    def delegates(self) -> list[Any]:
        """Those that the application has made."""
        return [] if self.checked is None else list(self.checked.delegates)
