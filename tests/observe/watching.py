"""What the tests of observers share: an observer that writes everything down."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support import until

from tornadoish.httputil import Exchange, Observer


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


def facts(exchange: Exchange) -> tuple[Any, ...]:
    """How it ended, the status, and the bytes of both bodies."""
    return exchange.ended, exchange.status, exchange.bytes_in, exchange.bytes_out


def uninstall(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on it is as if a package were not installed."""
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
