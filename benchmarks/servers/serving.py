"""What every server script shares: the answers they must give, and the way they are run.

The answers are written once so that nobody is measured on a shorter body than another; the loop is
chosen once so that nobody is measured on a slower one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

HELLO = b"Hello, world!"
"""The 13-byte answer of `hello`, `hello-coro` and `browser`."""

CHUNK = b"d" * 65536
"""One write of a streamed download."""

CHUNKS_PER_MIB = (1 << 20) // len(CHUNK)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it can be imported; None, asyncio's own, elsewhere."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on the fastest loop there is, without touching the global policy."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)


def loop_name() -> str:
    """The class of the running loop. Every server answers it on /loop: asked, not assumed."""
    loop = type(asyncio.get_running_loop())
    return f"{loop.__module__}.{loop.__qualname__}"
