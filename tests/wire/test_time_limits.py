"""How long a peer may keep a server waiting: for a head, between requests, for a body, for room.

Time is a ``FakeClock``: a bound is never early, and late by one interval (a second) here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from streams import CERT, SERVER_TLS
from support import CLOSE, App, Client, Delegate, FakeClock, Served, get, post, settled, soon, until

from tornadoish.http1.limits import Limits
from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.iostream import StreamClosedError
from tornadoish.iostream.outgoing import Progress

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")
CHUNKED = get("/", "Transfer-Encoding: chunked")
HALF = b"GET / HTTP/1.1\r\nHo"


async def quiet(client: Client) -> None:
    """Nothing comes, not even the end."""
    task = asyncio.ensure_future(client.reader.read(1))
    await settled()
    assert not task.done(), task.result()
    task.cancel()
    await asyncio.wait([task])


async def arrived(served: Served, data: bytes) -> None:
    """The server has read ``data`` and nobody has taken it yet."""
    await until(lambda: served.connections)
    buffer = served.connections[0].stream.buffer
    await until(lambda: bytes(buffer.data[buffer.pos :]) == data)


async def is_408(client: Client) -> None:
    """The next answer is a 408 that says that it is the last, and it is."""
    answer = await client.response()
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert await client.eof() == b""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


# -- the head


async def test_a_silent_connection_is_closed_without_an_answer(
    serve: Serve, clock: FakeClock
) -> None:
    served = await serve(App(), clock=clock, limits=Limits(header_seconds=7))
    async with Client.connect(served.port) as client:
        await until(lambda: served.connections)
        clock.passes(7)
        await quiet(client)
        clock.passes(1)
        assert await client.eof() == b""
    await until(lambda: not served.connections)


async def test_half_a_first_head(serve: Serve, clock: FakeClock) -> None:
    """Its time counts from accepting on: nobody gains any by waiting."""
    app = App()
    served = await serve(app, clock=clock, limits=Limits(header_seconds=7, idle_seconds=70))
    async with Client.connect(served.port) as client:
        await until(lambda: served.connections)
        clock.passes(6)
        await client.send(HALF)
        await arrived(served, HALF)
        clock.passes(1)
        await quiet(client)
        clock.passes(1)
        await is_408(client)
    assert app.delegates == []


async def test_dribbling_does_not_extend_the_time_for_a_head(
    serve: Serve, clock: FakeClock
) -> None:
    """The time is for the whole head, not between two bytes (slowloris)."""
    served = await serve(App(), clock=clock, limits=Limits(header_seconds=7))
    head = get("/", "A: b")
    async with Client.connect(served.port) as client:
        for count in range(1, 8):
            await client.send(head[count - 1 : count])
            await arrived(served, head[:count])
            clock.passes(1)
        await quiet(client)
        clock.passes(1)
        await is_408(client)


@pytest.mark.parametrize("idle", [3, 70])
@pytest.mark.parametrize("requests", [1, 3])
async def test_silence_between_requests(
    serve: Serve, clock: FakeClock, idle: int, requests: int
) -> None:
    """Shorter or longer than that of a head; each request begins it anew."""
    served = await serve(App(), clock=clock, limits=Limits(header_seconds=7, idle_seconds=idle))
    async with Client.connect(served.port) as client:
        for _ in range(requests):
            await client.send(get())
            assert (await client.response()).status == 200
            clock.passes(idle)
        await quiet(client)
        clock.passes(1)
        assert await client.eof() == b""


@pytest.mark.parametrize("idle", [3, 70])
async def test_half_a_later_head(serve: Serve, clock: FakeClock, idle: int) -> None:
    """From its first byte on the time of a head counts, and no longer that of silence."""
    served = await serve(App(), clock=clock, limits=Limits(header_seconds=7, idle_seconds=idle))
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert (await client.response()).status == 200
        clock.passes(idle)
        for count, byte in enumerate(HALF[:7], 1):
            await client.send(bytes([byte]))
            await arrived(served, HALF[:count])
            clock.passes(1)
        await quiet(client)
        clock.passes(1)
        await is_408(client)


async def test_half_a_head_right_behind_a_request(serve: Serve, clock: FakeClock) -> None:
    """The same, if it came in one read with the request before it."""
    served = await serve(App(), clock=clock, limits=Limits(header_seconds=7, idle_seconds=70))
    async with Client.connect(served.port) as client:
        await client.send(get() + HALF)
        assert (await client.response()).status == 200
        clock.passes(7)
        await quiet(client)
        clock.passes(1)
        await is_408(client)


async def test_a_head_in_time_ends_its_time(serve: Serve, clock: FakeClock) -> None:
    """However long its answer takes."""
    app = App(on_finish=lambda delegate: None)
    limits = Limits(header_seconds=1, idle_seconds=1, body_gap_seconds=1, connection_seconds=None)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        for request in (get(), post(b"x")):
            app.something.clear()
            await client.send(request)
            await soon(app.something.wait())
            clock.passes(10_000)
            await quiet(client)
            app.delegates[-1].answer(b"at last")
            assert (await client.response()).body == b"at last"


@pytest.mark.parametrize("field", ["", CLOSE])
async def test_an_answer_on_its_way_outlives_all_deadlines(
    serve: Serve, clock: FakeClock, field: str
) -> None:
    """As long as the peer takes it, it is not idle; and who closes behind it lets it go out."""
    app = App(on_finish=lambda delegate: delegate.answer(bytes(SIZE)))
    limits = Limits(header_seconds=7, idle_seconds=7, write_bytes_per_second=0)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(get("/", *filter(None, [field])))
        await until(lambda: app.delegates)
        stream = served.connections[0].stream
        for _ in range(10):
            await until_taken(stream, client)
            clock.passes(8)
        assert len((await client.response()).body) == SIZE
        if not field:
            await until(lambda: not stream.blocked)
            await client.send(get("/next"))
            assert (await client.response()).status == 200


async def test_a_last_answer_to_a_peer_that_is_still_sending_is_not_cut(
    serve: Serve, clock: FakeClock
) -> None:
    """The time for lingering begins when it is out."""
    app = App(on_headers=lambda d: d.answer(bytes(SIZE)), on_finish=lambda d: None)
    limits = Limits(linger_seconds=2, write_bytes_per_second=0)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(1_000_000))[:-500_000])
        await until(lambda: app.delegates)
        stream = served.connections[0].stream
        for _ in range(10):
            await until_taken(stream, client)
            clock.passes(3)
        assert len((await client.response()).body) == SIZE
        assert await client.eof() == b""
        await until(lambda: not stream.writing())
        assert len(served.connections) == 1
        for _ in range(2):
            clock.passes(3)
        await until(lambda: not served.connections)


SIZE = 12_000_000  # more than the systems' buffers hold


async def passes_until_cut(clock: FakeClock, served: Served, seconds: float) -> None:
    """Time passes, ``seconds`` at once: twice at least, as the peer's system has taken some."""
    for _ in range(20):  # the system acknowledges when it likes
        clock.passes(seconds)
        await settled()
        if not served.connections:
            return
    raise AssertionError("not cut")


async def until_taken(stream: Any, client: Client, count: int = 1) -> None:
    """The client reads until ``count`` bytes more have been taken."""
    progress = Progress(stream._transport)
    while progress.taken() < count:
        data = await client.more()
        assert data
        client.rest += data


# -- age


@pytest.mark.parametrize("in_flight", [False, True])
async def test_an_old_connection_gets_a_last_answer(
    serve: Serve, clock: FakeClock, in_flight: bool
) -> None:
    """The first answer to a request that came beyond the age says that it is the last."""
    app = App(on_finish=lambda d: None if d.line.path == "/slow" else d.answer(b"x"))
    limits = Limits(connection_seconds=100, idle_seconds=None, header_seconds=None)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(get())
        assert "connection" not in (await client.response()).headers
        clock.passes(100)
        await client.send(get())
        assert "connection" not in (await client.response()).headers, "not early"
        if in_flight:
            await client.send(get("/slow"))
            await until(lambda: len(app.delegates) == 3)
        clock.passes(1.5)
        if in_flight:
            app.delegates[-1].answer(b"slow")
            assert (await client.response()).body == b"slow"
        else:
            await quiet(client)
        await client.send(get())
        answer = await client.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.eof() == b""


async def test_behind_the_last_answer_nothing_is_answered(serve: Serve, clock: FakeClock) -> None:
    app = App()
    served = await serve(app, clock=clock, limits=Limits(connection_seconds=100))
    async with Client.connect(served.port) as client:
        await until(lambda: served.connections)
        clock.passes(30)
        await client.send(get())
        await client.response()
        clock.passes(71.5)
        await client.send(get() * 3)
        assert (await client.response()).headers["connection"] == "close"
        assert await client.eof() == b""
    assert len(app.delegates) == 2


# -- the body: silence, rate, all of it

BEGUN = [post(b"hello")[:-1], CHUNKED + b"2\r\nh", CHUNKED + b"2", CHUNKED + b"1\r\nx\r\n0\r\nA"]


@pytest.mark.parametrize("begun", BEGUN)
async def test_a_gap_in_a_body(serve: Serve, clock: FakeClock, begun: bytes) -> None:
    app = App()
    served = await serve(app, clock=clock, limits=Limits(body_gap_seconds=7))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        await client.send(begun)
        await until(lambda: len(app.delegates) == 2)
        await settled()
        clock.passes(7)
        await quiet(client)
        clock.passes(1)
        await is_408(client)
    assert app.delegates[-1].ended == "close"


async def test_a_size_line_that_dribbles_is_a_gap(serve: Serve, clock: FakeClock) -> None:
    """Only data counts, or a chunk's extension could be written for ever."""
    app = App()
    served = await serve(app, clock=clock, limits=Limits(body_gap_seconds=7))
    line = b"1;abcdefghi"
    async with Client.connect(served.port) as client:
        await client.send(CHUNKED)
        await until(lambda: app.delegates)
        for count in range(1, 8):
            await client.send(line[count - 1 : count])
            await arrived(served, line[:count])
            clock.passes(1)
        await quiet(client)
        clock.passes(1)
        await is_408(client)


async def feed(clock: FakeClock, app: App, client: Client, seconds: int, step: float, size: int)\
        -> bool:  # fmt: skip
    """Send ``size`` bytes of the first message's body every ``step`` seconds for ``seconds``; False
    if that was not suffered to the end."""
    delegate = app.delegates[0]
    for _ in range(int(seconds / step)):
        await clock.ticks(step)
        before = len(delegate.body)
        await client.send(b"x" * size)
        await until(lambda: delegate.ended or len(delegate.body) == before + size)  # noqa: B023
        await settled()
        if delegate.ended:
            return False
    return True


RATE = Limits(body_gap_seconds=20, body_bytes_per_second=100)


@pytest.mark.parametrize("busy", [False, True])
async def test_a_trickling_body(serve: Serve, clock: FakeClock, busy: bool) -> None:
    """A byte now and then keeps nobody for long; a delegate that is a coroutine changes nothing."""

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await asyncio.sleep(0)

    app = App(**({"on_data": on_data} if busy else {}))
    served = await serve(app, clock=clock, limits=RATE)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(1000))[:-1000])
        await until(lambda: app.delegates)
        began = clock.now
        assert not await feed(clock, app, client, 100, 10, 1)
        assert 20 <= clock.now - began <= 20 + 10 + 2
        await is_408(client)


async def test_an_honest_slow_body(serve: Serve, clock: FakeClock) -> None:
    """Just fast enough, for many of the times over which the average is taken."""
    app = App()
    served = await serve(app, clock=clock, limits=RATE)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(25_000))[:-25_000])
        await until(lambda: app.delegates)
        assert await feed(clock, app, client, 240, 10, 1000)
        await client.send(b"x" * 1000)
        assert (await client.response()).status == 200


async def test_a_body_too_slow(serve: Serve, clock: FakeClock) -> None:
    app = App()
    served = await serve(app, clock=clock, limits=RATE)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(25_000))[:-25_000])
        await until(lambda: app.delegates)
        assert not await feed(clock, app, client, 200, 5, 300)
        await is_408(client)


async def test_a_rate_of_none(serve: Serve, clock: FakeClock) -> None:
    app = App()
    limits = Limits(body_gap_seconds=20, body_bytes_per_second=0)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(21))[:-21])
        await until(lambda: app.delegates)
        assert await feed(clock, app, client, 380, 19, 1)
        await client.send(b"x")
        assert (await client.response()).status == 200


async def test_our_own_time_is_not_the_peer_s(serve: Serve, clock: FakeClock) -> None:
    """A delegate that takes minutes over each piece: the peer is as fast as it may be."""
    gate = asyncio.Event()

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await gate.wait()
        gate.clear()

    app = App(on_data=on_data)
    served = await serve(app, clock=clock, limits=RATE)
    async with Client.connect(served.port) as client:
        await client.send(post(b"abcde")[:-5])
        await until(lambda: app.delegates)
        for count in range(1, 6):
            await client.send(b"x")
            await until(lambda: len(app.delegates[0].chunks) == count)  # noqa: B023
            await clock.ticks(60)
            assert app.delegates[0].ended == ""
            gate.set()
            await until(lambda: not gate.is_set())
        assert (await client.response()).body == b"POST / xxxxx"


async def test_the_time_before_and_behind_our_own_is_the_peer_s(
    serve: Serve, clock: FakeClock
) -> None:
    """What the peer has used of its time is not given back because a delegate was busy."""
    gate = asyncio.Event()

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await gate.wait()

    app = App(on_data=on_data)
    served = await serve(app, clock=clock, limits=RATE)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(1000))[:-1000])
        await until(lambda: app.delegates)
        await clock.ticks(15)
        await client.send(b"x")
        await until(lambda: app.delegates[0].chunks)
        await clock.ticks(100)
        gate.set()
        await until(lambda: not served.connections[0].stream.paused)
        await settled()
        await clock.ticks(10)
        await client.send(b"x")
        await is_408(client)


@pytest.mark.parametrize("how", ["option", "limits", "set_body_timeout"])
@pytest.mark.parametrize("busy", [False, True])
async def test_a_whole_body(serve: Serve, clock: FakeClock, how: str, busy: bool) -> None:
    """All of it together has a time, in which our own is included, if one is given."""
    gate = asyncio.Event()

    async def on_data(delegate: Delegate, chunk: bytes) -> None:
        await gate.wait()

    app = App(**({"on_data": on_data} if busy else {}))
    options: dict[str, Any] = {"limits": Limits(body_gap_seconds=5, body_bytes_per_second=0)}
    if how == "option":
        options["body_timeout"] = 7
    elif how == "limits":
        options["limits"] = Limits(body_gap_seconds=5, body_bytes_per_second=0, body_seconds=7)
    else:
        app.on_headers = lambda d: d.connection.set_body_timeout(7)  # type: ignore[method-assign]
    served = await serve(app, clock=clock, **options)
    async with Client.connect(served.port) as client:
        await client.send(post(bytes(10))[:-10])
        await until(lambda: app.delegates)
        for count in (1, 2):
            await client.send(b"x")
            await until(lambda: len(app.delegates[0].body) == (1 if busy else count))  # noqa: B023
            clock.passes(3.5)
        await quiet(client)
        if busy:
            clock.passes(20)
            await quiet(client)
            gate.set()
            await settled()
        clock.passes(1)
        await is_408(client)


async def test_a_body_in_time_ends_its_time(serve: Serve, clock: FakeClock) -> None:
    """No deadline of a body outlives it."""
    app = App()
    served = await serve(app, clock=clock, body_timeout=3, limits=Limits(body_gap_seconds=3))
    async with Client.connect(served.port) as client:
        for _ in range(3):
            await client.send(post(b"x"))
            assert (await client.response()).status == 200
            clock.passes(20)
            await quiet(client)


async def test_the_rest_of_a_request_behind_its_answer_has_the_same_time(
    serve: Serve, clock: FakeClock
) -> None:
    """It is read to nobody, but not for ever; the answer has been given."""
    app = App(on_headers=lambda delegate: delegate.answer(b"early"), on_finish=lambda d: None)
    served = await serve(app, clock=clock, limits=Limits(body_gap_seconds=7))
    async with Client.connect(served.port) as client:
        await client.send(post(b"hello")[:-1])
        assert (await client.response()).body == b"early"
        clock.passes(7)
        await quiet(client)
        clock.passes(1)
        assert await client.eof() == b""


# -- the answer


def large_answer() -> App:
    """An application that answers with 100 MB, a megabyte at a time as it is taken."""

    async def on_finish(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(app.something.set)
        app.something.clear()
        await delegate.connection.write_headers(OK, HTTPHeaders())
        try:
            for _ in range(100):
                await delegate.connection.write(bytes(1_000_000))
        except StreamClosedError as error:
            errors.append(error)
            return
        delegate.connection.finish()

    app = App(on_finish=on_finish)
    errors: list[StreamClosedError] = []
    app.errors = errors  # type: ignore[attr-defined]
    return app


def https() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERT)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_peer_that_does_not_read(serve: Serve, clock: FakeClock, tls: bool) -> None:
    app = large_answer()
    options = {"ssl_options": SERVER_TLS} if tls else {}
    served = await serve(app, clock=clock, limits=Limits(write_seconds=7), **options)
    async with Client.connect(served.port, ssl=https() if tls else None) as client:
        await client.send(get())
        await until(lambda: served.connections)
        stream = served.connections[0].stream
        await until(lambda: stream.blocked)
        clock.passes(7)
        assert not stream.closed()
        await passes_until_cut(clock, served, 8)
        assert isinstance(stream.error, TimeoutError)
        (error,) = app.errors  # type: ignore[attr-defined]
        assert error.real_error is stream.error
        assert len(clock.deadlines) == 0


async def test_the_close_callback_of_a_peer_that_does_not_read(
    serve: Serve, clock: FakeClock
) -> None:
    """Who has written all and not waited is told, too, as long as the answer is not finished."""
    told: list[str] = []

    def on_finish(delegate: Delegate) -> None:
        delegate.connection.set_close_callback(lambda: told.append("gone"))
        delegate.connection.write_headers(OK, HTTPHeaders(), bytes(SIZE))

    served = await serve(App(on_finish=on_finish), clock=clock, limits=Limits(write_seconds=7))
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: served.connections and served.connections[0].stream.blocked)
        await passes_until_cut(clock, served, 8)
    assert told == ["gone"]


async def test_a_peer_that_asks_on_and_does_not_read(serve: Serve, clock: FakeClock) -> None:
    """Neither idle nor slow with a head: its next request is here, and waits for it."""
    app = App(on_finish=lambda delegate: delegate.answer(bytes(100_000)))
    limits = Limits(header_seconds=7, idle_seconds=7, write_seconds=70)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(get() * 1000)
        await until(lambda: served.connections and served.connections[0].turn.name == "ROOM")
        for _ in range(7):
            clock.passes(9.9)
            assert not served.connections[0].stream.closed()
        await passes_until_cut(clock, served, 71)
    assert len(app.delegates) < 1000


@pytest.mark.parametrize("takes", [True, False])
async def test_a_tls_connection_that_closes(serve: Serve, clock: FakeClock, takes: bool) -> None:
    """What was written goes out, however long that takes, if it is taken; and nobody waits for ever
    for the peer to end its side."""
    app = App(on_finish=lambda delegate: delegate.answer(bytes(SIZE)))
    limits = Limits(write_bytes_per_second=0)
    served = await serve(app, clock=clock, limits=limits, ssl_options=SERVER_TLS)
    async with Client.connect(served.port, ssl=https()) as client:
        await client.send(get("/", CLOSE))
        await until(lambda: app.delegates and served.connections[0].stream.closed())
        stream = served.connections[0].stream
        if takes:
            for _ in range(5):
                await until_taken(stream, client)
                clock.passes(30)
            assert len((await client.response()).body) == SIZE
        else:
            await passes_until_cut(clock, served, 31)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_peer_that_reads_slowly(serve: Serve, clock: FakeClock, tls: bool) -> None:
    """More than the least that is asked for: it may take as long as it takes."""
    app = large_answer()
    options = {"ssl_options": SERVER_TLS} if tls else {}
    limits = Limits(write_seconds=10, write_bytes_per_second=1000)
    served = await serve(app, clock=clock, limits=limits, **options)
    async with Client.connect(served.port, ssl=https() if tls else None) as client:
        await client.send(get())
        await until(lambda: app.delegates and served.connections[0].stream.blocked)
        stream = served.connections[0].stream
        for _ in range(10):
            await until_taken(stream, client, 10_000)
            await clock.ticks(8)
        assert not stream.closed()
        await passes_until_cut(clock, served, 11)


async def test_a_peer_that_reads_too_slowly(serve: Serve, clock: FakeClock) -> None:
    """Some, but not enough of it."""
    app = App(on_finish=lambda delegate: delegate.answer(bytes(SIZE)))
    limits = Limits(write_seconds=10, write_bytes_per_second=1_000_000)
    served = await serve(app, clock=clock, limits=limits)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: app.delegates)
        stream = served.connections[0].stream
        await until_taken(stream, client)
        clock.passes(11)
        assert stream.closed()


async def test_who_has_caught_up_is_not_behind(serve: Serve, clock: FakeClock) -> None:
    """The next answer has a time of its own, even if the one before was nearly over."""
    app = App(on_finish=lambda delegate: delegate.answer(bytes(SIZE)))
    served = await serve(app, clock=clock, limits=Limits(write_seconds=7, idle_seconds=None))
    async with Client.connect(served.port) as client:
        for _ in range(2):
            await client.send(get())
            await until(lambda: served.connections and served.connections[0].stream.blocked)
            clock.passes(7)
            assert len((await client.response()).body) == SIZE
            clock.passes(60)


# -- none, zero, and Tornado's names

NONE = Limits(
    header_seconds=None,
    idle_seconds=None,
    connection_seconds=None,
    body_gap_seconds=None,
    body_seconds=None,
    write_seconds=None,
)
AGES = 1e9  # seconds


@pytest.mark.parametrize("begun", [b"", HALF, get(), get() + HALF, *BEGUN])
async def test_none_is_no_bound(serve: Serve, clock: FakeClock, begun: bytes) -> None:
    served = await serve(App(), clock=clock, limits=NONE)
    async with Client.connect(served.port) as client:
        await client.send(begun)
        await until(lambda: served.connections)
        if begun.startswith(get()):
            answer = await client.response()
            assert "connection" not in answer.headers
        await settled()
        clock.passes(AGES)
        await quiet(client)
        assert len(served.connections) == 1


@pytest.mark.parametrize("name", ["header_seconds", "idle_seconds", "body_gap_seconds"])
async def test_each_may_be_none_by_itself(serve: Serve, clock: FakeClock, name: str) -> None:
    """And the others hold all the same."""
    begun = {"header_seconds": get() + HALF, "idle_seconds": get(), "body_gap_seconds": BEGUN[0]}
    for of in begun:
        served = await serve(App(), clock=clock, limits=Limits(**{name: None}))
        async with Client.connect(served.port) as client:
            await client.send(begun[of])
            await until(lambda: served.connections)  # noqa: B023
            if of != "body_gap_seconds":
                await client.response()
            await settled()
            clock.passes(3000)
            if of == name:
                await quiet(client)
            else:
                await until(lambda: served.connections == [] or lingers(served))  # noqa: B023


def lingers(served: Served) -> bool:
    return bool(served.connections[0].turn.name == "LINGER")


async def test_no_bound_on_a_peer_that_does_not_read(serve: Serve, clock: FakeClock) -> None:
    served = await serve(large_answer(), clock=clock, limits=NONE)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: served.connections)
        stream = served.connections[0].stream
        await until(lambda: stream._write_waiters)
        clock.passes(AGES)
        await settled()
        assert not stream.closed()


@pytest.mark.parametrize(
    ("name", "begun", "answers"),
    [
        ("header_seconds", HALF, ["408"]),
        ("header_seconds", b"", []),
        ("idle_seconds", get(), ["200"]),
        ("body_gap_seconds", BEGUN[0], ["408"]),
        ("body_seconds", BEGUN[0], ["408"]),
        ("write_seconds", get("/large"), []),
    ],
)
async def test_zero_is_zero(
    serve: Serve, clock: FakeClock, name: str, begun: bytes, answers: list[str]
) -> None:
    """At the next look of the clock (and not at once: that would be early for what has begun)."""

    def on_finish(delegate: Delegate) -> None:
        delegate.answer(bytes(SIZE if delegate.line.path == "/large" else 0))

    served = await serve(App(on_finish=on_finish), clock=clock, limits=Limits(**{name: 0}))
    async with Client.connect(served.port) as client:
        await client.send(begun)
        await until(lambda: served.connections)
        stream = served.connections[0].stream
        if name == "write_seconds":
            await until(lambda: stream.blocked)
            await passes_until_cut(clock, served, 1)
            return
        await settled(50)
        clock.passes(1)
        received = await client.eof()
    assert re.findall(r"HTTP/1.1 (\d+)", received.decode()) == answers


async def test_an_age_of_zero(serve: Serve, clock: FakeClock) -> None:
    """Every connection has one answer, from the next look of the clock on."""
    served = await serve(App(), clock=clock, limits=Limits(connection_seconds=0))
    async with Client.connect(served.port) as client:
        await until(lambda: served.connections)
        clock.passes(1.5)
        await client.send(get())
        assert (await client.response()).headers["connection"] == "close"
        assert await client.eof() == b""


@pytest.mark.parametrize(
    ("options", "header", "idle", "body"),
    [
        ({}, 30, 75, None),
        ({"idle_connection_timeout": 5}, 5, 5, None),
        ({"idle_connection_timeout": 3600}, 30, 3600, None),
        ({"idle_connection_timeout": 0}, 0, 0, None),
        ({"idle_connection_timeout": 5, "limits": Limits(header_seconds=None)}, 5, 5, None),
        ({"idle_connection_timeout": 5, "limits": Limits(header_seconds=2)}, 2, 5, None),
        ({"body_timeout": 5}, 30, 75, 5),
        ({"body_timeout": 0}, 30, 75, 0),
        ({"body_timeout": 5, "limits": Limits(body_seconds=9, idle_seconds=1)}, 30, 1, 5),
        ({"limits": Limits(header_seconds=1, idle_seconds=2, body_seconds=3)}, 1, 2, 3),
    ],
)
async def test_tornado_s_options(
    serve: Serve, options: dict[str, Any], header: Any, idle: Any, body: Any
) -> None:
    served = await serve(App(), **options)
    async with Client.connect(served.port):
        await until(lambda: served.connections)
        for limits in (served.server.limits, served.connections[0].limits):
            found = (limits.header_seconds, limits.idle_seconds, limits.body_seconds)
            assert found == (header, idle, body)


@pytest.mark.parametrize(
    ("limits", "interval"),
    [(Limits(), 1.0), (Limits(header_seconds=2), 0.5), (Limits(idle_seconds=0), 0.01), (NONE, 1.0)],
)
async def test_the_clock_looks_as_often_as_the_shortest_time_needs(
    serve: Serve, limits: Limits, interval: float
) -> None:
    served = await serve(App(), limits=limits)
    async with Client.connect(served.port):
        await until(lambda: served.connections)
        assert served.server._clock.interval == interval
