"""The application that soak.py drives: `soak_app.py PORT [--seconds S] [--loop asyncio|uvloop]`.

Handlers of every kind, bounds short enough to be met within a run, and at /stats what is alive in
this process: tasks, descriptors, connections, objects of the library, resident memory, log lines.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from serving import loop_factory, loop_name

from tornadoish.http1.limits import Limits
from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.log import LogFormatter, access_log, app_log, gen_log
from tornadoish.netutil import bind_sockets
from tornadoish.web import Application, HTTPError, RequestHandler, stream_request_body

BLOCK = 16 * 1024
"""Bytes of one piece of a download, and of a plain answer that is not small."""

SEND_BUFFER = 32 * 1024
"""Bytes that the system may hold of an answer. Its own choice is megabytes on loopback: no peer
would ever be so slow that the server itself had to wait for it."""

MAX_BODY = 4 << 20

KEPT_IN_TABLES = {"RequestStartLine"}
"""Kinds of objects of which the library remembers a bounded number."""


class PlannedError(Exception):
    """What /fails raises: the one error that may be in the log."""


MAX_KIB = 1024
PATTERN = b"".join(b"%07d\n" % number for number in range(MAX_KIB * 128))
"""A body of which no two lines are the same; a download is the beginning of it. The client has the
same."""


class Plain(RequestHandler):
    """A plain method: no task, no future."""

    def get(self, name: str) -> None:
        self.write(f"plain {name}")

    def head(self, name: str) -> None:
        self.get(name)


class Block(RequestHandler):
    """A plain method whose answer is large beside its request."""

    def get(self) -> None:
        self.write(PATTERN[:BLOCK])


class Coroutine(RequestHandler):
    """A task that waits so many milliseconds."""

    async def get(self, name: str, milliseconds: str) -> None:
        await asyncio.sleep(int(milliseconds) / 1000)
        self.write(f"coroutine {name}")

    async def head(self, name: str, milliseconds: str) -> None:
        await self.get(name, milliseconds)


class Echo(RequestHandler):
    """A body that the framework collects."""

    def post(self) -> None:
        self.write(self.request.body)


@stream_request_body
class Upload(RequestHandler):
    """A body counted as it arrives; with `wait`, the server has to wait for each piece of it."""

    size = 0
    crc = 0
    wait = False

    def initialize(self, wait: bool) -> None:
        self.wait = wait

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.size += len(chunk)
        self.crc = zlib.crc32(chunk, self.crc)
        return asyncio.sleep(0.001) if self.wait else None

    def put(self) -> None:
        self.write({"size": self.size, "crc": self.crc})


@stream_request_body
class Refused(RequestHandler):
    """Answered at the head: the body that follows is for nobody."""

    def prepare(self) -> None:
        raise HTTPError(403)

    def data_received(self, chunk: bytes) -> None:
        """Not called."""

    def put(self) -> None:
        """Not called either."""


class Download(RequestHandler):
    """A large answer in pieces, each waiting until the client has taken enough."""

    def initialize(self, announced: bool) -> None:
        self.announced = announced

    async def get(self, kib: str) -> None:
        size = min(int(kib), MAX_KIB) * 1024
        self.set_header("Content-Type", "application/octet-stream")
        if self.announced:
            self.set_header("Content-Length", size)
        try:
            for start in range(0, size, BLOCK):
                self.write(PATTERN[start : min(start + BLOCK, size)])
                await self.flush()
        except StreamClosedError:
            return  # the client has gone: nobody is left to be told


class Fails(RequestHandler):
    """A bug of the application."""

    def get(self) -> None:
        raise PlannedError


class CountingServer(HTTPServer):
    """A server that counts what it accepts and what it hears to be closed."""

    open = 0
    accepted = 0

    def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        self.open += 1
        self.accepted += 1
        return super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        self.open -= 1
        super().on_close(server_conn)


class CountingLog(logging.StreamHandler[Any]):
    """Writes the log to standard error, counts it, and keeps what should not be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LogFormatter(color=False))
        self.lines = 0
        self.bytes = 0
        self.unexpected = 0
        self.examples: Counter[str] = Counter()

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        self.lines += text.count("\n") + 1
        self.bytes += len(text) + 1
        if not self._is_expected(record):
            self.unexpected += 1
            example = f"{record.name}: {record.exc_text or record.getMessage()}"[:4000]
            if len(self.examples) < 20 or example in self.examples:
                self.examples[example] += 1
        return text

    def _is_expected(self, record: logging.LogRecord) -> bool:
        """An access, a peer's fault at level INFO, or the planned error."""
        if record.name == access_log.name:
            return True
        if record.name == gen_log.name:
            return record.levelno <= logging.INFO
        planned = record.exc_info is not None and record.exc_info[0] is PlannedError
        return record.name == app_log.name and planned


class Stats(RequestHandler):
    """What is alive. The request that asks is part of it, each time in the same way."""

    def get(self) -> None:
        server: CountingServer = self.settings["server"]
        log: CountingLog = self.settings["log"]
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.write(
            {
                "loop": loop_name(),
                "tasks": len(asyncio.all_tasks()),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "connections": server.open,
                "accepted": server.accepted,
                "objects": census(),
                "resident": pages * os.sysconf("SC_PAGE_SIZE"),
                "log_lines": log.lines,
                "log_bytes": log.bytes,
                "unexpected": log.unexpected,
                "examples": dict(log.examples),
            }
        )


def census() -> dict[str, int]:
    """How many objects of each of the library's and this program's classes there are, and of the
    event loop's."""
    ours = ("tornadoish.", "asyncio.", "_asyncio", "uvloop.", "__main__")
    kinds = (type(thing) for thing in gc.get_objects())
    count = Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(ours))
    return {name: number for name, number in count.items() if name not in KEPT_IN_TABLES}


def make_server(seconds: float, log: CountingLog) -> CountingServer:
    """The application behind a server whose bounds on time are all about `seconds`."""
    application = Application(
        [
            (r"/plain/(\w+)", Plain),
            (r"/block", Block),
            (r"/coroutine/(\w+)/(\d+)", Coroutine),
            (r"/echo", Echo),
            (r"/upload", Upload, {"wait": False}),
            (r"/upload-slowly", Upload, {"wait": True}),
            (r"/refused", Refused),
            (r"/download/(\d+)", Download, {"announced": True}),
            (r"/stream/(\d+)", Download, {"announced": False}),
            (r"/fails", Fails),
            (r"/stats", Stats),
        ],
        log=log,
    )
    limits = Limits(
        body_bytes=MAX_BODY,
        header_seconds=seconds,
        idle_seconds=seconds,
        body_gap_seconds=seconds,
        write_seconds=seconds,
        linger_seconds=2.0,
    )
    server = application.settings["server"] = CountingServer(application, limits=limits)
    return server


async def main(port: int, seconds: float, log: CountingLog) -> None:
    """Serve until ended from outside."""
    sockets = bind_sockets(port, "127.0.0.1", backlog=1024)
    for sock in sockets:  # what is accepted inherits it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    make_server(seconds, log).add_sockets(sockets)
    await asyncio.Event().wait()


def run_counted(main: Callable[[CountingLog], Any], loop: str) -> None:
    """Run ``main`` on that loop, with all that is logged counted."""
    log = CountingLog()
    logging.basicConfig(level=logging.INFO, handlers=[log])
    logging.captureWarnings(True)
    with asyncio.Runner(loop_factory=loop_factory() if loop == "uvloop" else None) as runner:
        runner.run(main(log))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each bound (%(default)s)")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    options = parser.parse_args()
    run_counted(lambda log: main(options.port, options.seconds, log), options.loop)
