"""What every server script shares: the answers they must give, and the way they are run.

The answers are written once so that nobody is measured on a shorter body than another; the loop is
chosen once so that nobody is measured on a slower one.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

HELLO = b"Hello, world!"
"""The 13-byte answer of `hello`, `hello-coro` and `browser`."""

CHUNK = b"d" * 65536
"""One write of a streamed download."""

CHUNKS_PER_MIB = (1 << 20) // len(CHUNK)


KEEP_ALIVE_SECONDS = 75
"""For how long an idle connection is kept, where a server's own default is shorter than ours."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of every server of compare.py, of which each heeds what concerns it."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("port", type=int)
    made.add_argument("--routes", type=int, default=0, help="so many, before all others")
    made.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="files, as PEM")
    made.add_argument("--pipelined", type=int, default=1, help="requests that come in one write")
    return made


def tls_context(files: list[str] | None) -> ssl.SSLContext | None:
    """A server's, for those who take one: Python's own defaults, the same for all of them."""
    if files is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    return context


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
