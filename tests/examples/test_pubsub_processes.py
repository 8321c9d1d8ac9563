"""Publish/subscribe over two server processes and a Redis server that is killed in the middle.

The clients are `websockets`. Each says numbers; in the end, each number has come to everybody, or
whoever said it was told that it has not been passed on; and who may have missed something was told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis_server import RedisServer, redis

from .conftest import Start
from .running import PATIENCE, Example

pytest.importorskip("websockets", reason="websockets is not installed")

from websockets.sync.client import ClientConnection, connect

__all__ = ["redis"]  # a fixture

SERVER = "../tests/examples/pubsub_server.py"


@pytest.fixture
def enter() -> Iterator[Callable[[Example], Client]]:
    """A function by which somebody enters the room, on one of the servers."""
    with ExitStack() as stack:
        yield lambda server: Client(
            stack.enter_context(connect(f"ws://127.0.0.1:{server.port}/rooms/one"))
        )


class Client:
    """Somebody in the room."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.said: list[str] = []
        self.heard: list[str] = []
        self.refused: dict[str, bool] = {}  # and whether that is uncertain
        self.lost: list[int | None] = []
        assert self.hear() == {"in": "one"}

    def hear(self) -> Any:
        return json.loads(self.connection.recv(PATIENCE))

    def say(self, *texts: str) -> None:
        for text in texts:
            self.said.append(text)
            self.connection.send(text)

    def listen(self, heard: int, refused: int = 0, lost: int = 0) -> None:
        """Until it has heard so many things, all in all."""
        while (len(self.heard), len(self.refused), len(self.lost)) != (heard, refused, lost):
            what = self.hear()
            if "said" in what:
                self.heard.append(what["said"])
            elif "refused" in what:
                self.refused[what["refused"]] = what["uncertain"]
            else:
                self.lost.append(what["lost"])


def test_killed_in_the_middle(
    start: Start, redis: RedisServer, enter: Callable[[Example], Client]
) -> None:
    servers = [start(SERVER, redis.url) for _ in range(2)]
    one, other = clients = [enter(server) for server in servers]
    assert redis.channels() == {"room:one"}

    # As long as there is a Redis server, everything comes to everybody, in one order.
    one.say(*(f"one {number}" for number in range(50)))
    other.say(*(f"other {number}" for number in range(50)))
    for client in clients:
        client.listen(heard=100)
    assert one.heard == other.heard

    # Without it, nothing does, and who says something hears that.
    redis.kill()
    one.say("one, in vain")
    other.say("other, in vain")
    for client in clients:
        client.listen(heard=100, refused=1)
    late = enter(servers[0])  # one can come in all the same

    # When it is back, everybody hears that something may be missing, and from then on nothing is.
    redis.start()
    one.listen(heard=100, refused=1, lost=1)
    other.listen(heard=100, refused=1, lost=1)
    late.listen(heard=0, lost=1)
    one.say("one is back")
    other.say("other is back")
    one.listen(heard=102, refused=1, lost=1)
    other.listen(heard=102, refused=1, lost=1)
    late.listen(heard=2, lost=1)
    assert one.heard == other.heard
    assert late.heard == one.heard[100:]
    assert one.lost == other.lost == late.lost == [None]

    # So nothing that was said has vanished without a word.
    for client in (one, other):
        assert sorted(client.said) == sorted(
            text for text in [*one.heard, *client.refused] if text in client.said
        )
