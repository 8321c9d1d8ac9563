"""What a peer can make one connection hold, measured in the worst states; docs/limits.md says so.

The peers are plain sockets, and what they send is given to the streams as if it had come in reads
as large as there are: what is traced in between is the server's alone, and the same every time. The
systems' buffers are not counted.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import App, Delegate, Served, get, post, settled, until

from tornadoish.http1.limits import KIB
from tornadoish.httputil import HTTPHeaders, ResponseStartLine

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
PEERS = 16
READ = 256 * KIB  # what the event loops read at a time
#: the size of an answer, or of a piece of it: the application's, on top of what is documented
ANSWER = 30 * KIB


def documented() -> dict[str, int]:
    """The table of docs/limits.md: what a peer does, and the bytes that its connection holds."""
    _, _, section = PAGE.read_text().partition("\n## What a peer can make one connection hold\n")
    rows = re.findall(r"^\| (.*?) \| (\d+) KiB \|$", section, re.MULTILINE)
    return {name: int(kib) * KIB for name, kib in rows}


# -- applications


def slow() -> App:
    """Every answer is yet to come."""
    return App(on_finish=lambda delegate: None)


def large() -> App:
    """Every answer is there at once, and large."""
    return App(on_finish=lambda delegate: delegate.answer(bytes(ANSWER)))


def endless() -> App:
    """Writes more as soon as there is room."""

    async def on_finish(delegate: Delegate) -> None:
        await delegate.connection.write_headers(OK, HTTPHeaders())
        while True:
            await delegate.connection.write(bytes(ANSWER))

    return App(on_finish=on_finish)


def busy() -> App:
    """Is at the first piece of a body for ever."""

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await asyncio.Event().wait()

    return App(on_data=on_data)


# -- states


class State(NamedTuple):
    app: Callable[[], App]
    reads: list[bytes]  #: what comes from the peer, read by read
    reached: Callable[[Any], object]  #: whether a connection is in this state
    answers: int = 0  #: how many of the application's are held


def turn(name: str) -> Callable[[Any], object]:
    return lambda connection: connection.turn.name == name


HEAD = get("/", "A: " + "b" * 32_000, "B: " + "b" * 32_000)
MUCH = get("/", "A: " + "b" * 60) * 4000

STATES: dict[str, State] = {
    "sends nothing": State(App, [], turn("PEER")),
    "waits between two requests": State(App, [get()], lambda c: not c._heading),
    "sends most of a head of 64 KiB, little by little": State(
        App, [HEAD[i : i + 1000] for i in range(0, len(HEAD) - 1000, 1000)], turn("PEER")
    ),
    "sends such a head, and waits for the answer": State(slow, [HEAD], turn("ANSWER")),
    "does that, and sends more requests": State(
        slow, [HEAD[:-1], HEAD[-1:] + MUCH[: READ - 1]], lambda c: c.stream.paused
    ),
    "sends a body to a handler that is not ready for it": State(
        busy, [post(bytes(READ * 2))[:READ]], lambda c: c.stream.paused
    ),
    "sends many requests, and does not read the answers": State(
        large, [MUCH[:READ]], turn("ROOM"), answers=1
    ),
    "does not read an answer without end": State(
        endless, [get()], lambda c: c.stream._write_waiters, answers=1
    ),
}


async def connect(served: Served, peers: list[socket.socket]) -> None:
    for peer in peers:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", served.port))
    await until(lambda: len(served.connections) == len(peers))
    for connection in served.connections:
        # With as little system buffer as possible, or an answer must be megabytes.
        sock = connection.stream.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


async def bring(served: Served, state: State) -> None:
    """Bring all connections into this state."""
    connections = served.connections
    for data in state.reads:
        for connection in connections:
            connection.stream.data_received(bytes(bytearray(data)))  # each has its own copy
    await until(lambda: all(map(state.reached, connections)))
    await settled(50)
    assert served.connections and all(map(state.reached, connections))


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Bytes that are allocated at the moment."""

    def now() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield now
    tracemalloc.stop()


@pytest.mark.parametrize("name", STATES)
async def test_what_one_connection_holds(
    serve: Serve, traced: Callable[[], int], name: str
) -> None:
    """At most what is documented; and not so much less that the page would be of no use."""
    state = STATES[name]
    most = documented()[name]
    # Twice, for what is allocated once and stays.
    for count in (1, PEERS):
        served = await serve(state.app(), check=False)
        peers = [socket.socket() for _ in range(count)]
        before = traced()
        await connect(served, peers)
        await bring(served, state)
        held = (traced() - before) / count - state.answers * ANSWER
        for connection in served.connections:
            connection.cut()
        for peer in peers:
            peer.close()
        await until(lambda: not served.connections)  # noqa: B023
    assert most / 2 <= held <= most, f"{held / KIB:.1f} KiB"


def test_every_state_is_documented() -> None:
    assert list(documented()) == list(STATES)
