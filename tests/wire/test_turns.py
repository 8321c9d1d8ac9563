"""Peers that send more than is answered at once: in turns, with nothing piled up, nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import CLOSE, PATIENCE, App, Client, Delegate, get, raw, settled, soon, until

from tornadoish.http1.body import CHUNKS_PER_PIECE
from tornadoish.http1connection.pump import MESSAGES_PER_TURN, PIECES_PER_TURN, READ_AHEAD
from tornadoish.httputil import HTTPHeaders, ResponseStartLine

Serve = Callable[..., Awaitable[Any]]
ONE_READ = 256 * 1024


async def later(delegate: Delegate) -> None:
    await asyncio.sleep(0)
    delegate.answer(b"x")


async def flood(port: int, data: bytes, answers: int, look: Callable[[], None]) -> int:
    """Send ``data`` while the answers are read; how many came."""
    async with Client.connect(port) as client:
        sending = asyncio.ensure_future(client.send(data))
        count = 0
        try:
            while count < answers:
                count += (await client.more()).count(b"HTTP/1.1 ")
                look()
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        return count


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_pipelined_requests_do_not_pile_up_CVE_2026_54273(serve: Serve, kind: str) -> None:
    """Whoever reads its answers may ask as fast as it likes: it is read as fast as it is served."""
    app = App(on_finish=later) if kind == "later" else App()
    served = await serve(app, check=False)
    request = get("/", "A: " + "b" * 2000)
    count = 3000
    held: list[int] = []

    def look() -> None:
        held.extend(len(connection.stream.buffer) for connection in served.connections)

    assert await flood(served.port, request * count, count, look) == count
    assert max(held) <= 2 * ONE_READ + READ_AHEAD


async def most_in_a_round(port: int, data: bytes, counted: Callable[[], int], whole: int) -> int:
    """The most that ``counted`` grows by in one round of the loop, until it is ``whole``."""
    most, last = 0, counted()
    async with Client.connect(port) as client, asyncio.timeout(PATIENCE):
        client.writer.write(data)
        while last < whole:
            await asyncio.sleep(0)
            most = max(most, counted() - last)
            last = counted()
    return most


async def test_tiny_chunks_are_taken_in_turns_CVE_2025_69229(serve: Serve) -> None:
    """One peer does not hold the loop, however many chunks it sends at once."""
    taken = 0

    def on_data(delegate: Delegate, chunk: bytes) -> None:
        nonlocal taken
        taken += len(chunk)

    served = await serve(App(on_data=on_data))
    head = get("/", "Transfer-Encoding: chunked")
    count = 100_000
    most = await most_in_a_round(served.port, head + b"1\r\nx\r\n" * count, lambda: taken, count)
    assert most <= 2 * PIECES_PER_TURN * CHUNKS_PER_PIECE


async def test_requests_are_answered_in_turns(serve: Serve) -> None:
    app = App()
    served = await serve(app, check=False)
    most = await most_in_a_round(served.port, get() * 4000, lambda: len(app.delegates), 4000)
    assert most <= 2 * MESSAGES_PER_TURN


async def test_a_peer_that_ends_behind_many_requests_gets_its_answers(serve: Serve) -> None:
    app = App()
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get() * 500)
        client.writer.write_eof()
        assert (await client.eof()).count(b"HTTP/1.1 200 ") == 500


async def test_a_peer_that_goes_away_behind_a_few_bytes_is_noticed(serve: Serve) -> None:
    """What it sent ahead does not hide that it is gone."""
    gone: list[Delegate] = []

    def on_headers(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(lambda: gone.append(delegate))

    served = await serve(App(on_headers=on_headers, on_finish=lambda delegate: None))
    async with Client.connect(served.port) as client:
        await client.send(get() + b"\r\n" + get())
        await until(lambda: served.connections and served.connections[0].turn.name == "ANSWER")
    await until(lambda: gone)


async def test_what_is_read_ahead_is_bounded(serve: Serve) -> None:
    served = await serve(App(on_finish=lambda delegate: None))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: served.connections and served.connections[0].turn.name == "ANSWER")
        stream = served.connections[0].stream
        client.writer.write(b"x" * 4 * ONE_READ)
        await until(lambda: stream.paused)
        await settled()
        assert READ_AHEAD <= len(stream.buffer) <= READ_AHEAD + ONE_READ


# -- the last answer of a connection


async def unread(client: Client, wanted: int) -> bytes:
    """The answer, by a peer that has sent more and is slow to read."""
    data = b""
    while len(data) < wanted and (more := await client.more()):
        data += more
        await asyncio.sleep(0)
    return data


async def test_the_last_answer_outlives_what_comes_behind_its_request(serve: Serve) -> None:
    """RFC 9112, 9.6: the connection is half-closed first, and what comes is dropped."""
    body = bytes(6 << 20)

    def on_finish(delegate: Delegate) -> None:
        delegate.answer(body)

    served = await serve(App(on_finish=on_finish), no_keep_alive=True)
    async with Client.connect(served.port) as client:
        await client.send(get())
        first = await client.more()
        for _ in range(20):
            await client.send(get("/another"))
            await settled()
        rest = await unread(client, len(body))
        assert len(first + rest) > len(body)
        assert await client.eof() == b""


@pytest.mark.parametrize("stop", ["drain", "no_keep_alive"])
async def test_busy_clients_are_all_answered(serve: Serve, stop: str) -> None:
    """Each asks again as soon as it has its answer, until it is told that it was the last."""
    app = App()
    served = await serve(app, no_keep_alive=stop != "drain")
    unanswered = 0
    told = 0

    async def busy() -> None:
        nonlocal unanswered, told
        async with Client.connect(served.port) as client:
            while True:
                await client.send(get())
                try:
                    answer = await client.response()
                except (AssertionError, ConnectionError):
                    unanswered += 1
                    return
                if "close" in answer.headers.get("connection", ""):
                    told += 1
                    return

    clients = [asyncio.ensure_future(busy()) for _ in range(20)]
    if stop == "drain":
        await until(lambda: len(app.delegates) > 200)
        assert await soon(served.server.drain(3)) == 0
    await soon(asyncio.gather(*clients))
    assert (told, unanswered) == (20, 0)


async def test_an_answer_that_the_end_would_end_is_reset_where_it_is_cut(serve: Serve) -> None:
    """A client of HTTP/1.0 knows no other sign."""

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.write_headers(ResponseStartLine("", 200, "OK"), HTTPHeaders(), b"half")
        delegate.connection.abort()

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get(version="HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            await client.eof()
    assert b"half" in await raw(served.port, get())  # by its chunks everyone else can tell


# -- an answer in the middle of its request


@pytest.mark.parametrize(("size", "lives"), [(1_000_000, False), (100_000, True)])
async def test_an_early_answer_says_whether_it_is_the_last(
    serve: Serve, size: int, lives: bool
) -> None:
    served = await serve(
        App(on_headers=lambda delegate: delegate.answer(b"no", 403), on_finish=lambda _: None)
    )
    async with Client.connect(served.port) as client:
        await client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        answer = await client.response("POST")
        assert ("close" in answer.headers.get("connection", "")) is not lives


async def test_a_stream_is_detached_some_time_behind_its_101(serve: Serve) -> None:
    opened = asyncio.Event()
    streams: list[Any] = []
    gone: list[object] = []

    async def on_finish(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(lambda: gone.append(delegate))
        line = ResponseStartLine("", 101, "Switching Protocols")
        await delegate.connection.write_headers(line, HTTPHeaders({"Upgrade": "x"}))
        await opened.wait()
        streams.append(delegate.connection.detach())

    served = await serve(App(on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(get("/", "Connection: upgrade", "Upgrade: x"))
        assert (await client.more()).startswith(b"HTTP/1.1 101 ")
        await client.send(b"not HTTP")
        await settled()
        opened.set()
        await until(lambda: streams)
        assert await soon(streams[0].read_bytes(8)) == b"not HTTP"
        await streams[0].write(b"indeed")
        assert await client.more() == b"indeed"
    assert gone == []
    streams[0].close()


async def test_closing_does_not_wait_for_a_delegate_that_is_stuck(serve: Serve) -> None:
    stuck = asyncio.Event()

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        stuck.set()
        await asyncio.Event().wait()

    app = App(on_data=on_data)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/", "Transfer-Encoding: chunked") + b"1\r\nx\r\n")
        await soon(stuck.wait())
        served.server.stop()
        await soon(served.server.close_all_connections())
    assert [delegate.ended for delegate in app.delegates] == ["close"]


async def test_a_connection_that_says_close_is_over_when_the_client_has_its_answer(
    serve: Serve,
) -> None:
    """Half-closed only for as long as the client has not closed its side."""
    app = App()
    served = await serve(app)
    assert (await raw(served.port, get("/", CLOSE))).startswith(b"HTTP/1.1 200 ")
    await until(lambda: app.closed)
