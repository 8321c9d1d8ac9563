"""A worker for tests of the supervisor. What it is to do it reads, as it starts, from the file
``behaviour`` in its directory: so a test can put other code in place of the first."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPServerRequest, ResponseStartLine
from tornadoish.supervisor import Figures, WorkerLink

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Worker:
    def __init__(self, link: WorkerLink, behaviour: dict[str, Any]) -> None:
        self.link = link
        self.behaviour = behaviour
        self.requests = 0
        self.held: list[bytes] = []
        self.stop = asyncio.get_running_loop().create_future()
        self.released = asyncio.Event()
        self.server = HTTPServer(self.answer)

    def answer(self, request: HTTPServerRequest) -> None:
        self.requests += 1
        what, _, value = request.path[1:].partition("/")
        if what == "hold":
            self.task = asyncio.ensure_future(self.answer_when_released(request))
            return
        if what == "hang":
            Path("hangs").touch()
            time.sleep(float(value))
        elif what == "grow":
            self.held.append(b"\1" * int(value))
        elif what == "exit":
            os._exit(int(value))
        elif what == "garbage":
            # Behind the answer: it is the last thing that this process does.
            asyncio.get_running_loop().call_soon(self.link._say, b"[]\n")
        elif what == "release":
            self.released.set()
        self.reply(request)

    async def answer_when_released(self, request: HTTPServerRequest) -> None:
        Path("holds").touch()
        while not Path("release").exists():
            await asyncio.sleep(0.01)
        self.reply(request)

    def reply(self, request: HTTPServerRequest) -> None:
        told = {
            "word": self.behaviour.get("word", ""),
            "pid": os.getpid(),
            "slot": self.link.slot,
            "inherited": sorted(name for name in os.environ if name in INHERITED),
        }
        body = json.dumps(told).encode()
        connection = request.connection
        assert connection is not None
        headers = {"Content-Length": str(len(body))}
        connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), _headers(headers), body)
        connection.finish()

    def figures(self) -> Figures:
        return Figures(requests=self.requests, connections=self.server.connections)

    def told_to_drain(self, grace: float) -> None:
        if not self.stop.done():
            self.stop.set_result(grace)

    def on_signal(self) -> None:
        if self.stop.done():
            os._exit(9)
        self.link.draining()
        self.told_to_drain(5.0)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.link.start(self.told_to_drain, self.figures)
        for number in SIGNALS:
            loop.add_signal_handler(number, self.on_signal)
        self.server.add_sockets(self.link.sockets)
        self.link.ready()
        grace = await self.stop
        await self.server.drain(grace, replaced=self.link.replaced)
        if self.behaviour.get("stays"):
            await asyncio.Event().wait()
        self.link.close()
        sys.exit(self.behaviour.get("status", 0))


INHERITED = ("TORNADOISH_LINK", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID")


def _headers(fields: dict[str, str]) -> Any:
    from tornadoish.httputil import HTTPHeaders

    return HTTPHeaders(fields)


async def main() -> None:
    behaviour = json.loads(Path("behaviour").read_text())
    link = WorkerLink.from_environment()
    if link is None:
        raise SystemExit("no link")
    with Path("starts").open("a") as file:
        file.write(f"{link.slot}\n")
    if "fails" in behaviour and behaviour.get("slot", link.slot) == link.slot:
        link.failed(*behaviour["fails"])
        sys.exit(5)
    if "exits" in behaviour and behaviour.get("slot", link.slot) == link.slot:
        sys.exit(behaviour["exits"])
    if behaviour.get("never ready"):
        time.sleep(60)
    if behaviour.get("orphan"):
        # Its parent ends first: it is given to process 1.
        os.system("(sleep 0.05 &) ; true")
    await Worker(link, behaviour).run()


if __name__ == "__main__":
    socket.setdefaulttimeout(20)
    signal.alarm(60)
    asyncio.run(main())
