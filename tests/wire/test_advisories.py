"""Every entry of the table of hostile input, whole and cut, to the reader and to a server.

The identifier of a test is that of its entry, and begins with the advisory that it comes from.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import socket
import struct
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from exchanging import Arrivals, Exchanges, answers, cut, cuts, segments
from hostile import CASES, FIRST, GROUPS, NEXT, REFUSED, SERVED, Case, Others, behind
from hostile import Served as Request
from reading import Case as Reading
from reading import Outcome, read
from support import App, Delegate, soon, until

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import CLOSED, HEAD
from tornadoish.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornadoish.httputil import HTTPInputError

Serve = Callable[..., Awaitable[Any]]

MAX_BODY = 1 << 20
AS_SERVER = Reading("", b"", [], HEAD, limits=Limits(body_bytes=MAX_BODY))
THE_FIRST = Request("GET", "/first")
THE_NEXT = Request("GET", "/next")
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
THE_LAST = Request("GET", "/last")

#: places at which an entry is cut on its way over a socket; the reader has it cut everywhere
CUTS = 6


def each(cases: Sequence[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


# -- the table itself


def test_every_entry_is_one_of_its_own() -> None:
    assert len(CASES) > 500
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.group for case in CASES} == set(GROUPS)
    for case in CASES:
        assert re.match(r"CVE-|GHSA-|RFC|[A-Za-z]+-", case.id), case.id
        assert case.id.isascii() and " " not in case.id
        assert (case.others is Others.SERVE) <= (case.status is None)
        assert not (case.lives and case.status is not None)


# -- the reader


def requests(outcome: Outcome) -> list[Request]:
    """The whole requests in an outcome."""
    found: list[Request] = []
    for kind, *what in outcome[0]:
        if kind == "head":
            found.append(Request(what[0][0], what[0][1]))
        elif kind == "data":
            found[-1] = found[-1]._replace(body=what[0])
    return found


def check_everywhere(data: bytes) -> Outcome:
    """What the reader makes of ``data``, the same however it is cut."""
    whole = read([data], AS_SERVER)
    for place in cuts(data, 1500 if len(data) <= 1500 else 8):
        assert read(cut(data, place), AS_SERVER) == whole, f"cut at {place}"
    size = 1 if len(data) <= 20_000 else 1000
    assert read(segments(data, size), AS_SERVER) == whole, f"{size} at a time"
    return whole


# What is in a gzip body the reader does not see.
@each([case for case in REFUSED if not case.decompress])
def test_the_reader_refuses(case: Case) -> None:
    outcome = check_everywhere(case.data)
    events, state = outcome
    assert (events[-1], state) == (("error", case.status), CLOSED)
    # Of a request that is refused within its body the head and some of the body may be there.
    assert requests(outcome)[: len(case.served)] == list(case.served)
    assert len(requests(outcome)) <= len(case.served) + 1
    assert read([case.data + NEXT], AS_SERVER) == outcome, "with a request behind it"


@each([case for case in SERVED if not case.decompress])
def test_the_reader_takes(case: Case) -> None:
    outcome = check_everywhere(case.data + NEXT)
    expected = [*case.served, THE_NEXT] if case.lives else list(case.served)
    assert requests(outcome) == expected
    assert all(event[0] != "error" for event in outcome[0])


# -- a server


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    return Arrivals(monkeypatch)


async def answer_later(delegate: Delegate) -> None:
    await asyncio.sleep(0)
    App.on_finish(delegate.app, delegate)


def on_finish(delegate: Delegate) -> Awaitable[None] | None:
    """What stands in front of an entry is waited for; all else is answered at once."""
    if delegate.line.path == THE_FIRST.target:
        return answer_later(delegate)
    return App.on_finish(delegate.app, delegate)


async def exchanges(serve: Serve, case: Case, arrivals: Arrivals) -> tuple[Exchanges, App]:
    app = App(on_finish=on_finish)
    served = await serve(app, max_body_size=MAX_BODY, decompress_request=case.decompress)
    last = case.status is None and not case.lives
    return Exchanges(served.port, arrivals, may_reset=last), app


def check_answer(data: bytes, case: Case, *more: Request) -> None:
    """All of a connection: an answer to each request, then the refusal, and nothing else.

    ``more`` stand behind the entry, and are served if it is.
    """
    found = answers(data, [request.method for request in case.served])
    expected = [*case.served, *more]
    good = found if case.status is None else found[:-1]
    for answer, request in zip(good, expected, strict=True):
        assert answer.status == 200
        assert answer.body == (b"" if request.method == "HEAD" else request.echo())
    assert [answer.closes for answer in found] == [False] * (len(found) - 1) + [True]
    if case.status is not None:
        assert found[-1].status == case.status


def check_application(app: App, case: Case, *more: Request) -> None:
    """Nothing was whole to the application but what there is to be served."""
    whole = {
        Request(delegate.line.method, delegate.line.path, delegate.body)
        for delegate in app.delegates
        if delegate.ended == "finish"
    }
    assert whole == {*case.served, *more}


@each(REFUSED)
async def test_refused(serve: Serve, arrivals: Arrivals, case: Case) -> None:
    """Whole, with more behind it, and behind a good request: one error, and the end."""
    exchange, app = await exchanges(serve, case, arrivals)
    late = behind(case, FIRST, THE_FIRST)
    whole, followed, preceded = await exchange.all(
        [[case.data], [case.data + NEXT], [late.data + NEXT]]
    )
    check_answer(whole, case)
    check_answer(followed, case)
    check_answer(preceded, late)
    check_application(app, case, THE_FIRST)


@each(REFUSED)
async def test_refused_in_pieces(serve: Serve, arrivals: Arrivals, case: Case) -> None:
    """Cut in two, in small segments, and with more behind it that comes later."""
    exchange, app = await exchanges(serve, case, arrivals)
    tries = [cut(case.data, place) for place in cuts(case.data, 2 if case.is_large else CUTS)]
    tries.append(segments(case.data, 1000 if case.is_large else 1))
    tries.append([case.data, NEXT])
    for pieces, data in zip(tries, await exchange.all(tries), strict=True):
        try:
            check_answer(data, case)
        except AssertionError as error:
            raise AssertionError(f"{len(pieces)} pieces, the first {pieces[0]!r:.200}") from error
    check_application(app, case)


@each(SERVED)
async def test_served(serve: Serve, arrivals: Arrivals, case: Case) -> None:
    """Whole, behind a good request, cut in two, in small segments: served, and so is what follows,
    unless it was the last."""
    exchange, app = await exchanges(serve, case, arrivals)
    more = [THE_LAST] if case.lives else []
    data = case.data + (LAST if case.lives else b"")
    late = behind(case, FIRST, THE_FIRST)
    preceded = await exchange(FIRST + data)
    check_answer(preceded, late, *more)
    tries = [[data], segments(data, 1000 if case.is_large else 1)]
    tries += [cut(data, place) for place in cuts(data, 2 if case.is_large else CUTS)]
    for pieces, answer in zip(tries, await exchange.all(tries), strict=True):
        try:
            check_answer(answer, case, *more)
        except AssertionError as error:
            raise AssertionError(f"{len(pieces)} pieces, the first {pieces[0]!r:.200}") from error
    check_application(app, case, THE_FIRST, *more)


async def test_cut_everywhere_on_the_way(serve: Serve, arrivals: Arrivals) -> None:
    """Where a cut matters most: in the midst of chunks and trailers, at every place of a socket."""
    chosen = [case for case in REFUSED if case.id.startswith(("CVE-2025-53643", "CVE-2025-43859"))]
    exchange, _ = await exchanges(serve, chosen[0], arrivals)
    for case in chosen[::3]:
        tries = [cut(case.data, place) for place in range(1, len(case.data))]
        for pieces, data in zip(tries, await exchange.all(tries), strict=True):
            assert answers(data)[-1].status == case.status, (case.id, pieces)
            check_answer(data, case)


# -- what is left of all this


def living() -> int:
    """How many connections, and messages on them, there are."""
    gc.collect()
    kinds = (HTTP1Connection, HTTP1ServerConnection)
    return sum(isinstance(each, kinds) for each in gc.get_objects())


async def test_nothing_is_left_of_a_connection_that_was_reset_uvicorn_2041(serve: Serve) -> None:
    """uvicorn keeps whatever a connection held, if it ended by a reset, as long as it would have
    kept the connection."""
    app = App()
    served = await serve(app, check=False)
    reader, writer = await soon(asyncio.open_connection("127.0.0.1", served.port))
    writer.write(FIRST)
    assert await soon(reader.readuntil(b"GET /first "))
    alive = living()
    app.delegates.clear()
    # A close that does not linger is a reset.
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await until(lambda: app.closed)
    app.closed.clear()
    assert served.connections == []
    await asyncio.sleep(0)  # the transport's last callback holds it until it is through
    assert living() == alive - 2


@each([case for case in REFUSED if case.is_large])
async def test_at_most_one_line_is_logged_CVE_2025_47287_CVE_2025_69230(
    serve: Serve, arrivals: Arrivals, caplog: pytest.LogCaptureFixture, case: Case
) -> None:
    """However much of it is wrong; and the line does not repeat what came."""
    caplog.set_level(logging.DEBUG)
    exchange, _ = await exchanges(serve, case, arrivals)
    await exchange(case.data)
    lines = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert len(lines) <= 1
    assert all(len(line) < 200 for line in lines)


def test_nothing_long_is_remembered() -> None:
    """What a peer chooses is kept only where it is short: these requests are 6 MB."""

    def work() -> None:
        for number in range(100):
            long = b"%d" % number + b"x" * 30_000
            for line in (b"Host: " + long, b"Host: x\r\n" + long + b": y"):
                buffer = ReceiveBuffer()
                buffer.append(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n")
                try:
                    event: Any = Reader(buffer, Limits()).next_event()
                except HTTPInputError:
                    continue
                assert len(list(event[1].get_all())) == 2

    tracemalloc.start()
    try:
        work()
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
