"""What a peer can make one connection hold, measured in the worst states; docs/limits.md says so.

The peers are plain sockets that send before the server's loop runs: what is traced in between is
the server's alone. The systems' buffers are not counted, here or there.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import App, Delegate, Served, get, post, settled, until

from tornadoish.http1.limits import KIB
from tornadoish.httputil import HTTPHeaders, ResponseStartLine

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
PEERS = 20
#: the size of an answer here: it is the application's, and comes on top of what is documented
ANSWER = 100_000


def documented() -> dict[str, int]:
    """The table of docs/limits.md: what a peer does, and the KiB that its connection then holds."""
    _, _, section = PAGE.read_text().partition("\n## What a peer can make one connection hold\n")
    rows = re.findall(r"^\| (.*?) \| (\d+) KiB \|$", section, re.MULTILINE)
    return {name: int(kib) * KIB for name, kib in rows}


class Peers:
    """Many connections in the same state."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.sockets = [socket.socket() for _ in range(PEERS)]

    def connect(self) -> None:
        for sock in self.sockets:
            sock.connect(("127.0.0.1", self.served.port))
            sock.setblocking(False)

    def send(self, data: bytes) -> None:
        """As much of ``data`` as the system takes without a reader."""
        for sock in self.sockets:
            sock.send(data)

    async def all(self, condition: Callable[[Any], object]) -> None:
        """Wait until it holds for every connection of the server."""
        await until(
            lambda: (
                len(self.served.connections) == PEERS
                and all(map(condition, self.served.connections))
            )
        )
        await settled(50)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Bytes that are allocated at the moment."""

    def now() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield now
    tracemalloc.stop()


def slow() -> App:
    """Every answer is yet to come."""
    return App(on_finish=lambda delegate: None)


def large() -> App:
    return App(on_finish=lambda delegate: delegate.answer(bytes(ANSWER)))


def streaming() -> App:
    """Writes more as soon as there is room."""

    async def on_finish(delegate: Delegate) -> None:
        await delegate.connection.write_headers(OK, HTTPHeaders())
        while True:
            await delegate.connection.write(bytes(ANSWER))

    return App(on_finish=on_finish)


def busy() -> App:
    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await asyncio.Event().wait()

    return App(on_data=on_data)


MUCH = get("/", "A: " + "b" * 60) * 20_000  # more than one read
HEAD = get("/", "A: " + "b" * 30_000, "B: " + "b" * 30_000)
#: what a peer does -> the application, what it sends piece by piece, when it is in that state, and
#: how many of the application's answers are held
STATES: dict[str, tuple[Callable[[], App], list[bytes], Callable[[Any], object], int]] = {
    "nothing": (App, [], lambda c: True, 0),
    "waits for the next request": (App, [get()], lambda c: c.stream.deadline and _idle(c), 0),
    "sends a head of 64 KiB and stops before its end": (
        App,
        [HEAD[i : i + 5000] for i in range(0, len(HEAD) - 5000, 5000)],
        lambda c: len(c.stream.buffer) >= len(HEAD) - 10_000,
        0,
    ),
    "waits for an answer": (slow, [HEAD], lambda c: c.turn.name == "ANSWER", 0),
    "sends more requests while it waits for an answer": (
        slow,
        [HEAD[:-4], HEAD[-4:] + MUCH],
        lambda c: c.stream.paused,
        0,
    ),
    "sends a body faster than it is taken": (
        busy,
        [post(bytes(10_000_000))[:-1]],
        lambda c: c.stream.paused,
        0,
    ),
    "does not read the answers to its requests": (
        large,
        [MUCH],
        lambda c: c.turn.name == "ROOM",
        2,
    ),
    "does not read one answer without end": (
        streaming,
        [get()],
        lambda c: c.stream._write_waiters,
        2,
    ),
}


def _idle(connection: Any) -> bool:
    return connection.message is None and not connection._heading


def test_every_state_is_documented() -> None:
    assert list(documented()) == list(STATES)


@pytest.mark.parametrize("state", STATES)
async def test_what_one_connection_holds(
    serve: Serve, traced: Callable[[], int], state: str
) -> None:
    make, pieces, reached, answers = STATES[state]
    app = make()
    served = await serve(app, check=False)
    peers = Peers(served)
    try:
        # One connection more, for what is allocated once and stays.
        with socket.create_connection(("127.0.0.1", served.port)) as first:
            first.sendall(get())
        await until(lambda: app.closed)
        app.closed.clear()
        peers.connect()
        before = traced()
        await peers.all(lambda c: True)
        for number, piece in enumerate(pieces, 1):
            peers.send(piece)
            sent = sum(map(len, pieces[:number]))
            if number < len(pieces):
                await peers.all(lambda c: len(c.stream.buffer) >= sent)  # noqa: B023
        await peers.all(reached)
        held = (traced() - before) / PEERS - answers * ANSWER
        print("MEASURED", state, round(held / KIB, 1))
        assert documented().get(state, 1 << 40) / 4 <= held <= documented().get(state, 1 << 40)
    finally:
        peers.close()
