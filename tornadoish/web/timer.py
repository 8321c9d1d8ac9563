"""HandlerTimer: ends the coroutine of a handler that takes too long (ours alone, not Tornado's).

``web.application`` starts one for each handler that has a ``handler_timeout`` and waits for
something; there is none for others. It is a timer of the event loop for each of them: some
microseconds beside the task that such a handler has anyway, it is exact, and it needs no server
that has a clock, so that it works wherever the application does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from tornadoish.log import app_log
from tornadoish.web.tasks import context_of

#: seconds in which a coroutine must have ended that was cancelled; then its client is answered
UNWIND_SECONDS = 1.0


class Timed(Protocol):
    """What a timer has to know of a handler."""

    handler_timeout: Any
    _finished: bool
    _overdue: float | None
    _timer: HandlerTimer | None

    def _answer_overdue(self) -> None: ...
    def _request_summary(self) -> str: ...


class HandlerTimer:
    """The time of one handler: it runs from :meth:`start` until the task is done, but not while the
    client is waited for (:meth:`pause` to :meth:`resume`)."""

    __slots__ = ("_handle", "_handler", "_left", "_paused", "_task", "seconds")

    def __init__(self, handler: Timed, seconds: float) -> None:
        """``seconds``: that it has. The handler keeps its timer as long as it works."""
        self.seconds = seconds
        self._handler = handler
        self._left = seconds
        self._paused = False
        self._task: asyncio.Task[Any] | None = None
        self._handle: asyncio.TimerHandle | None = None

    def start(self, task: asyncio.Task[Any]) -> None:
        """The handler's work is ``task``, from now on."""
        if task.done():
            self._let_go()
            return
        self._task = task
        task.add_done_callback(self._end)
        if not self._paused:
            self._arm(self._left)

    def pause(self) -> None:
        """What is waited for now is the client's business; it has limits of its own."""
        self._paused = True
        handle = self._handle
        if handle is not None and self._handler._overdue is None:
            self._left = handle.when() - asyncio.get_running_loop().time()
            handle.cancel()
            self._handle = None

    def resume(self) -> None:
        """The client has done its part."""
        if self._paused:
            self._paused = False
            if self._task is not None and self._handle is None:
                self._arm(self._left)

    def _arm(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_later(max(seconds, 0), self._expire)

    def _expire(self) -> None:
        """The time is over. What is answered or detached already is the handler's own business, and
        so is what has set itself no time-out meanwhile."""
        handler, task = self._handler, self._task
        self._handle = None
        if task is None or task.done() or handler._finished or handler.handler_timeout is None:
            return
        handler._overdue = self.seconds
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(UNWIND_SECONDS, self._insist)
        task.cancel(f"handler_timeout: {self.seconds:g} seconds")

    def _insist(self) -> None:
        """It has been cancelled and goes on: its client does not wait for it."""
        handler, task = self._handler, self._task
        self._handle = None
        if task is None or task.done():
            return
        app_log.error(
            "%s goes on although it was cancelled by its handler_timeout (%g seconds)",
            handler._request_summary(),
            self.seconds,
        )
        context = context_of(task)
        if context is None:
            handler._answer_overdue()
        else:
            context.run(handler._answer_overdue)

    def _end(self, task: asyncio.Task[Any]) -> None:
        handler, handle = self._handler, self._handle
        self._task = self._handle = None
        self._let_go()
        if handle is not None:
            handle.cancel()
            if handler._overdue is not None and not task.cancelled():
                app_log.warning(
                    "%s caught the cancellation by its handler_timeout (%g seconds), and ended",
                    handler._request_summary(),
                    self.seconds,
                )

    def _let_go(self) -> None:
        """Nothing is to go round in a circle."""
        self._handler._timer = None
        del self._handler
