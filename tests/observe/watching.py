"""What the tests of observers share: an observer that writes everything down, and an application
whose requests end in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from support import App, Delegate, until

from tornadoish.httputil import Exchange, HTTPHeaders, Observer, ResponseStartLine

OK = ResponseStartLine("", 200, "OK")


class Watch(Observer):
    """Writes down what it is told."""

    wants_request = True

    def __init__(self) -> None:
        self.begun_ones: list[Exchange] = []
        self.waiting_ones: list[Exchange] = []
        self.ended_ones: list[Exchange] = []
        self.routes: list[str] = []
        self.connections: list[tuple[str, object]] = []
        self.limits: list[str] = []
        self.drains = 0

    def connection_opened(self, connection: object) -> None:
        self.connections.append(("opened", connection))

    def connection_closed(self, connection: object, detached: Exchange | None) -> None:
        self.connections.append(("closed" if detached is None else "lost", connection))

    def begun(self, exchange: Exchange) -> None:
        self.begun_ones.append(exchange)

    def waiting(self, exchange: Exchange) -> None:
        self.waiting_ones.append(exchange)

    def ended(self, exchange: Exchange) -> None:
        assert exchange.finished >= exchange.begun > 0
        self.routes.append(exchange.route)
        self.ended_ones.append(exchange)

    def limit_reached(self, name: str) -> None:
        self.limits.append(name)

    def draining(self) -> None:
        self.drains += 1

    async def end_of_one(self) -> Exchange:
        """The only exchange, when it has ended."""
        await until(lambda: self.ended_ones)
        (exchange,) = self.ended_ones
        return exchange

    async def all_closed(self) -> None:
        """All connections are gone, and each was told of once as it came and once as it went."""
        await until(lambda: self.connections and len(self.connections) % 2 == 0)
        opened = [one for what, one in self.connections if what == "opened"]
        gone = [one for what, one in self.connections if what != "opened"]
        assert len(set(opened)) == len(opened)
        assert set(opened) == set(gone) and len(gone) == len(opened)


class Endings(App):
    """Requests that end in every way, by their path."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def on_headers(self, delegate: Delegate) -> None:
        if delegate.line.path == "/early":
            delegate.answer(b"early")

    def on_finish(self, delegate: Delegate) -> Awaitable[None] | None:
        path, connection = delegate.line.path, delegate.connection
        if path == "/coroutine":
            return self.wait()
        if path == "/task":
            self.tasks.append(asyncio.get_running_loop().create_task(self.answer_later(delegate)))
        elif path == "/half":
            connection.write_headers(OK, HTTPHeaders(), b"half")
        elif path == "/pieces":
            connection.write_headers(ResponseStartLine("", 103, "Early Hints"), HTTPHeaders())
            connection.write_headers(OK, HTTPHeaders(), b"one")
            connection.write(b"")
            connection.write(b"three")
            connection.finish()
        elif path == "/abort":
            connection.abort()
        elif path == "/fail":
            raise ZeroDivisionError
        elif path == "/detach":
            connection.detach().close()
        elif path == "/short":
            connection.write_headers(OK, HTTPHeaders({"Content-Length": "9"}), b"half")
            connection.finish()
        elif path not in ("/slow", "/early"):
            return super().on_finish(delegate)
        return None

    async def wait(self) -> None:
        await self.gate.wait()

    async def answer_later(self, delegate: Delegate) -> None:
        await self.gate.wait()
        delegate.answer(b"later")


def facts(exchange: Exchange) -> tuple[Any, ...]:
    """How it ended, the status, and the bytes of both bodies."""
    return exchange.ended, exchange.status, exchange.bytes_in, exchange.bytes_out
