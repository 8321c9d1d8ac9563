"""Tasks of handlers, and the context in which what belongs to a request has to run.

Used by ``web.application``, which starts them, and by what goes on behind a handler's back.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context, copy_context
from typing import Any

if sys.version_info >= (3, 12):

    def run_in_task(coroutine: Any) -> asyncio.Task[None]:
        """A task that starts at once where Python can (3.12), soon otherwise."""
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)

    def context_of(task: asyncio.Task[Any]) -> Context | None:
        """The context that ``task`` runs in, as far as that can be known."""
        return task.get_context()

else:

    def run_in_task(coroutine: Any) -> asyncio.Task[None]:
        """A task that starts at once where Python can (3.12), soon otherwise."""
        context = copy_context()
        loop = asyncio.get_running_loop()
        task: asyncio.Task[None] = asyncio.Task(coroutine, loop=loop, context=context)
        task.context_of_handler = context  # type: ignore[attr-defined]  # no other way to it
        return task

    def context_of(task: asyncio.Task[Any]) -> Context | None:
        """The context that ``task`` runs in, as far as that can be known."""
        return getattr(task, "context_of_handler", None)


def current_context(connection: object) -> Context | None:
    """The context that the caller runs in, itself and not a copy, as far as that can be known: who
    has set a variable in it may reset it in what runs there later.

    :param connection: that of the request that is handled: where no task is running, it is the
        connection that has called the handler, in a context that it keeps.
    """
    task = asyncio.current_task()
    context = None if task is None else context_of(task)
    if context is None:
        context = getattr(connection, "variables", None)
    return context if isinstance(context, Context) else None
