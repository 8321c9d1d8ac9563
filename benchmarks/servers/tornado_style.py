"""The one application that both tornadoish and Tornado serve: `tornado_style.py PACKAGE PORT`.

It is a single program on purpose. The only difference between the two rows of a table is the name
that `importlib` is given here, so a difference in cost cannot come from the application.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any

from serving import CHUNK, CHUNKS_PER_MIB, HELLO, loop_name, parser, run, tls_context

if TYPE_CHECKING:
    from tornadoish import web
else:
    # The handlers below are defined on the package's own base class, so its name must be known
    # before argparse sees the command line.
    web = importlib.import_module(f"{sys.argv[1]}.web")

Rules = list[tuple[str, type[web.RequestHandler]]]

MAX_BODY = 1 << 40
"""Far above any upload the benchmark sends: the limit is not what is measured."""


class Hello(web.RequestHandler):
    """A plain method: the cheapest request there is."""

    def get(self) -> None:
        """Answer 13 bytes."""
        self.write(HELLO)


class HelloCoroutine(web.RequestHandler):
    """The same answer from a coroutine that does not suspend."""

    async def get(self) -> None:
        """Answer 13 bytes."""
        self.write(HELLO)


class Json(web.RequestHandler):
    """A path argument, a query argument and a dict written as JSON."""

    def get(self, number: str) -> None:
        """Answer both arguments."""
        self.write({"id": int(number), "name": self.get_query_argument("name")})


class Echo(web.RequestHandler):
    """A small body, buffered by the framework."""

    def post(self) -> None:
        """Answer the body."""
        self.write(self.request.body)


@web.stream_request_body
class Upload(web.RequestHandler):
    """A large body, counted as it arrives and never kept."""

    received = 0

    def data_received(self, chunk: bytes) -> None:
        """Count one piece."""
        self.received += len(chunk)

    def post(self) -> None:
        """Answer how many bytes came."""
        self.write(str(self.received))


class Download(web.RequestHandler):
    """A large answer, a chunk at a time, each waiting until the client has taken enough."""

    async def get(self, mib: str) -> None:
        """Write `mib` MiB."""
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", str(int(mib) << 20))
        for _ in range(int(mib) * CHUNKS_PER_MIB):
            self.write(CHUNK)
            await self.flush()


class Route(web.RequestHandler):
    """The target of each of the many routes."""

    def get(self, name: str) -> None:
        """Answer the route's argument."""
        self.write(name)


class LoopName(web.RequestHandler):
    """Tells the benchmark which event loop it is measuring."""

    def get(self) -> None:
        """Answer the loop's class."""
        self.write(loop_name())


def rules(routes: int) -> Rules:
    """The URL table; the many routes come first so that `routes` measures only them."""
    many: Rules = [(rf"/r{number}/(\w+)", Route) for number in range(routes)]
    return [
        *many,
        (r"/", Hello),
        (r"/coro", HelloCoroutine),
        (r"/json/(\d+)", Json),
        (r"/echo", Echo),
        (r"/upload", Upload),
        (r"/download/(\d+)", Download),
        (r"/loop", LoopName),
    ]


async def main(port: int, routes: int, tls: list[str] | None) -> None:
    """Serve until ended from outside."""
    handlers: list[Any] = list(rules(routes))
    app = web.Application(handlers)
    # The queue is longer than the usual 128: slow_clients.py opens connections by the hundred.
    app.listen(
        port,
        address="127.0.0.1",
        backlog=1024,
        max_body_size=MAX_BODY,
        ssl_options=tls_context(tls),
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = parser(f"{__doc__} PACKAGE is tornado or tornadoish.").parse_args(sys.argv[2:])
    run(main(options.port, options.routes, options.tls))
