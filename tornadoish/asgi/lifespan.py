"""Lifespan: tells a foreign application that it begins and ends (ASGI, "Lifespan Protocol").

One for each ``ASGIContainer``, which calls it when its server starts and stops.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from tornadoish.asgi.types import ASGIApp, Event
from tornadoish.log import gen_log


class LifespanError(RuntimeError):
    """The application says that it could not start, or end, and why."""


class Lifespan:
    """The life of ``application``. ``state`` is what it has to say to its requests."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self.state: dict[str, Any] = {}
        #: whether requests may come: it has started, or does not care
        self.ready = False
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Event] | None = None
        self._told = ""  # what the application was told last
        self._answer: asyncio.Future[None] | None = None  # and what it says to that
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Tell the application to get ready, unless it is.

        An application that does not know of lifespans shows that by an exception, or by ending; it
        is not told of its end then.

        :raises LifespanError: it has failed to, and says so.
        """
        async with self._turn:
            if self.ready:
                return
            self.state = {}
            self._events = asyncio.Queue()
            scope: dict[str, Any] = {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": self.state,
            }
            # Whoever starts it, for a request perhaps: the variables there are not its own.
            run = self._run(scope, self._events)
            self._task = asyncio.get_running_loop().create_task(run, context=Context())
            try:
                await self._tell("startup")
            except BaseException:
                await self._end_task()
                raise
            self.ready = True

    async def stop(self) -> None:
        """Tell the application that there will be no more requests, if it has been started.

        :raises LifespanError: it could not end as it should, and says so.
        """
        async with self._turn:
            if not self.ready:
                return
            self.ready = False
            try:
                await self._tell("shutdown")
            finally:
                await self._end_task()

    async def _tell(self, what: str) -> None:
        """Send an event, and wait for what the application says of it, or for its end."""
        task, events = self._task, self._events
        if task is None or events is None or task.done():
            return
        self._told = what
        self._answer = asyncio.get_running_loop().create_future()
        events.put_nowait({"type": f"lifespan.{what}"})
        await asyncio.wait([task, self._answer], return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done():
            self._answer.result()

    async def _end_task(self) -> None:
        """It has said its last word, and has a moment to come to an end."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task], timeout=1.0)
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, scope: dict[str, Any], events: asyncio.Queue[Event]) -> None:
        try:
            await self._application(scope, events.get, self._send)
        except Exception as error:
            if not self.ready:
                gen_log.info("The ASGI application does without a lifespan: %r", error)
            else:
                gen_log.error("Uncaught exception in the lifespan of an ASGI application",
                              exc_info=True)  # fmt: skip

    async def _send(self, event: Event) -> None:
        answer = self._answer
        kind = event["type"]
        if answer is not None and not answer.done():
            if kind == f"lifespan.{self._told}.complete":
                answer.set_result(None)
                return
            if kind == f"lifespan.{self._told}.failed":
                answer.set_exception(LifespanError(event.get("message") or f"{kind}"))
                return
        if self._task is None or not self._task.cancelling():  # else it only says that
            raise RuntimeError(f"Unexpected ASGI event {kind!r}")
