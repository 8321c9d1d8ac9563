"""Crossing: what threads and the event loop have to know of each other.

Used on both ways, by the body that comes in and by the answer that goes out.
"""

from __future__ import annotations

import asyncio

#: bytes that one side may be ahead of the other, and a piece more
HELD_BYTES = 256 * 1024


def tell_loop(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    """From a thread: what ``waiter`` stands for has come."""
    try:
        loop.call_soon_threadsafe(_set_done, waiter)
    except RuntimeError:  # the loop is closed: nobody waits there any more
        pass


def _set_done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def is_in_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the loop's own thread: whoever waits for the loop here waits for ever."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
