"""Calls that belong together, at the beginning and the end of an application's life.

Routers tell the delegates within them by these, and an Application its hooks. They know neither; an
error of one is never the end of the others, and none is lost.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Sequence

from tornadoish.httputil import HTTPServerConnectionDelegate
from tornadoish.log import app_log

#: plain or a coroutine function
Call = Callable[[], Awaitable[object] | None]


async def call_all(calls: Iterable[Call], what: str, *, hurry: bool = False) -> None:
    """Make every call, one after the other, and wait for each, whatever becomes of the others.

    If the task is cancelled, the call that is being waited for is cancelled, and the others are
    made all the same; with ``hurry`` they are not waited for any more.

    Raises an ExceptionGroup of what they have raised (``what`` is its text); or CancelledError if
    the task was cancelled, and then what they have raised is logged.
    """
    errors: list[Exception] = []
    cancelled: CancelledError | None = None
    for call in calls:
        try:
            pending = call()
            if pending is None:
                continue
            async with asyncio.timeout(0 if hurry and cancelled is not None else None):
                await pending
        except Exception as error:
            errors.append(error)
        except CancelledError as error:
            cancelled = error
    if cancelled is not None:
        for each in errors:
            app_log.error("%s", what, exc_info=each)
        raise cancelled
    if errors:
        raise ExceptionGroup(what, errors)


async def undo_all(calls: Iterable[Call], what: str) -> None:
    """Make the calls as :func:`call_all` does, because of an error that the caller raises: theirs
    are only logged."""
    try:
        await call_all(calls, what)
    except ExceptionGroup as group:
        app_log.error("%s", what, exc_info=group)


async def start_all(delegates: Sequence[HTTPServerConnectionDelegate]) -> None:
    """Call ``startup`` of each, in order. If one fails, or the task is cancelled, those that have
    been started are cleaned up, the last one first, and the error is raised."""
    started: list[HTTPServerConnectionDelegate] = []
    try:
        for delegate in delegates:
            await delegate.startup()
            started.append(delegate)
    except (Exception, CancelledError):
        calls = [delegate.cleanup for delegate in reversed(started)]
        await undo_all(calls, "Errors as an application that could not be started was cleaned up")
        raise
