"""BatchObserver: an observer that gathers what it is told, and deals with it now and then.

What is written goes out many lines at a time, what is added up is handed on as one sum: that takes
away most of what it costs. Exchanges are not kept for it, for the garbage collector would look at
all that hangs on them. Made for ``tornadoish.accesslog`` and ``tornadoish.metrics``.
"""

from __future__ import annotations

import asyncio
import atexit
import weakref

from tornadoish.httputil import Observer
from tornadoish.log import app_log


class BatchObserver(Observer):
    """Subclasses gather, call :meth:`_flush_later` when that is the first since the last time, and
    write :meth:`take`.

    :param seconds: between gathering and dealing with it; so much can be lost by a process that is
        killed. At the end of a process all is dealt with.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        atexit.register(_flush, weakref.ref(self))

    def _flush_later(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is None or loop is not self._loop:
            self._loop = loop
            self._timer = loop.call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Deal with what there is."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        try:
            self.take()
        except Exception:
            app_log.error("Uncaught exception in an observer", exc_info=True)

    def take(self) -> None:
        """Deal with what has been gathered, if anything has."""
        raise NotImplementedError


def _flush(reference: weakref.ref[BatchObserver]) -> None:
    observer = reference()
    if observer is not None:
        observer.flush()
