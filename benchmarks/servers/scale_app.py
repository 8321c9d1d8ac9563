"""tornado_style.py's application and what scale.py needs besides: `scale_app.py PACKAGE PORT`.

The same program for tornadoish and Tornado, as there.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any

from serving import CHUNK, run
from tornado_style import MAX_BODY, Route, rules, web

if TYPE_CHECKING:
    from tornadoish import websocket
else:
    websocket = importlib.import_module(f"{sys.argv[1]}.websocket")


class Sized(web.RequestHandler):
    """An answer of so many bytes, 64 KiB at a time, no faster than the client takes them."""

    async def get(self, size: str) -> None:
        left = int(size)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(left))
        while left > 0:
            self.write(CHUNK[:left])
            left -= len(CHUNK)
            await self.flush()


class Kept(web.RequestHandler):
    """A body that the framework holds until it is whole."""

    def post(self) -> None:
        self.write(str(len(self.request.body)))


class Silent(websocket.WebSocketHandler):
    """A WebSocket that echoes."""

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message)


def all_rules(routes: int, patterns: int) -> list[tuple[str, Any]]:
    """`routes` that begin with a text of their own, `patterns` with none in any segment."""
    unlike = [(rf"/(\w+)\.p{number}", Route) for number in range(patterns)]
    more = [(r"/sized/(\d+)", Sized), (r"/kept", Kept), (r"/ws", Silent)]
    return [*unlike, *rules(routes), *more]


async def main(port: int, handlers: list[Any]) -> None:
    """Serve until ended from outside."""
    app = web.Application(handlers)
    app.listen(port, address="127.0.0.1", backlog=1024, max_body_size=MAX_BODY)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", help="tornado or tornadoish")
    parser.add_argument("port", type=int)
    parser.add_argument("--routes", type=int, default=0)
    parser.add_argument("--patterns", type=int, default=0)
    options = parser.parse_args()
    run(main(options.port, all_rules(options.routes, options.patterns)))
