"""The garbage collector of a process that serves: what is there for good is not searched again.

Entered by the command line once an application has started, and for applications that are started
by a program of their own (ours alone, not Tornado's)::

    async def main():
        application = make_application()  # with all that it keeps
        application.listen(8888)
        with fitted_collector():
            await asyncio.Event().wait()

A request of ours makes no garbage that needs a collector. What an application makes besides starts
one all the same, and from time to time that walks through all that lives: modules, classes, routes,
caches. It never changes what is garbage, only what is searched for it.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["fitted_collector"]


@contextlib.contextmanager
def fitted_collector(*, freeze: bool = True, threshold: int | None = None) -> Iterator[None]:
    """Fit the collector to what the process holds by now, for as long as this is entered.

    Once for a process, when it has made all that it keeps and before its first request: the call
    itself takes as long as one collection of everything. Afterwards all is as before, but for what
    the application has frozen itself: that is let go, too.

    :param freeze: collect all garbage, and keep what is left then out of further collections
        (`gc.freeze`). What is dropped of it later is freed as ever, unless it is part of a cycle.
    :param threshold: how many more objects must have been made than freed before the young ones
        are searched (`gc.set_threshold`); 0 turns the collector off, None leaves it as it is.
    """
    before = gc.get_threshold()
    if threshold is not None:
        gc.set_threshold(threshold, *before[1:])
    if freeze:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        if freeze:
            gc.unfreeze()
        if threshold is not None:
            gc.set_threshold(*before)
