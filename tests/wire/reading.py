"""How the tests of the reader feed it, and what they write down of what came out.

An input's outcome is the list of its events: ``("head", ...)``, ``("data", ...)`` with adjoining
pieces joined, ``("end", trailers)`` and ``("error", status)``, and behind them the reader's state.
However the input was cut, it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.body import END
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import BODY, DONE, HEAD, LAST, State
from tornadoish.httputil import HTTPInputError

Outcome = tuple[list[tuple[Any, ...]], State]

#: more than any input of a test has
MOST_EVENTS = 100_000

NEXT_REQUEST = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"
NEXT_RESPONSE = b"HTTP/1.1 200 Next\r\nContent-Length: 0\r\n\r\n"


class Case(NamedTuple):
    """An input and its outcome."""

    name: str
    data: bytes
    events: list[tuple[Any, ...]]
    state: State
    limits: Limits = Limits()
    client: bool = False
    method: str = "GET"  # as a client: of the request that is answered
    eof: bool = False  # whether the end of the connection follows


def head(first: str, second: str, third: str, *fields: tuple[str, str]) -> tuple[Any, ...]:
    return ("head", (first, second, third), list(fields))


def status(code: int, reason: str, *fields: tuple[str, str]) -> tuple[Any, ...]:
    return ("head", ("HTTP/1.1", code, reason), list(fields))


def error(code: int = 400) -> tuple[Any, ...]:
    return ("error", code)


def end(*trailers: tuple[str, str]) -> tuple[Any, ...]:
    return ("end", list(trailers))


def read(pieces: Iterable[bytes], case: Case) -> Outcome:
    """What the reader makes of an input cut into ``pieces``."""
    buffer = ReceiveBuffer()
    reader = Reader(buffer, case.limits, is_client=case.client)
    reader.request_method = case.method if case.client else ""
    events: list[tuple[Any, ...]] = []
    try:
        for piece in pieces:
            if piece:
                buffer.append(piece)
            events.extend(_events(reader))
        if case.eof:
            reader.end_of_input()
            events.extend(_events(reader))
    except HTTPInputError as fault:
        events.append(("error", fault.status))
        assert reader.next_event() is None, "something was read behind an error"
    return _joined(events), reader.state


def _events(reader: Reader) -> Iterator[tuple[Any, ...]]:
    for _ in range(MOST_EVENTS):
        event = reader.next_event()
        if event is None:
            return
        if event is END:
            yield ("end", [] if reader.trailers is None else list(reader.trailers.get_all()))
        elif isinstance(event, bytes):
            assert 0 < len(event) <= reader.limits.piece_bytes
            yield ("data", event)
        else:
            line, headers = event
            yield ("head", tuple(line), headers.wire_pairs().copy())
        if reader.state is DONE:
            reader.next_message()
    raise AssertionError("events without end")


def _joined(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    joined: list[tuple[Any, ...]] = []
    for event in events:
        if event[0] == "data" and joined and joined[-1][0] == "data":
            joined[-1] = ("data", joined[-1][1] + event[1])
        else:
            joined.append(event)
    return joined


def check(case: Case) -> None:
    """The case gives its outcome whole, cut in two anywhere, byte by byte and with more behind."""
    data, wanted = case.data, (case.events, case.state)
    assert read([data], case) == wanted, "whole"
    for cut in range(1, len(data)):
        assert read([data[:cut], data[cut:]], case) == wanted, f"cut at {cut}"
    assert read([data[i : i + 1] for i in range(len(data))], case) == wanted, "byte by byte"
    check_trailing(case)


def check_trailing(case: Case) -> None:
    """Another message behind the case changes nothing of its own outcome."""
    if case.state is BODY or case.eof:
        return  # what follows would belong to it
    if case.state is HEAD and (not case.events or case.events[-1][0] == "error"):
        return  # not a whole message yet
    following = NEXT_RESPONSE if case.client else NEXT_REQUEST
    more, state = list(case.events), case.state
    if case.client and case.state is HEAD:
        more.append(status(200, "Next", ("Content-Length", "0")))
    elif case.state is HEAD:
        more.append(head("GET", "/next", "HTTP/1.1", ("Host", "next")))
    whole = case.data + following
    assert read([whole], case) == (more, state), "followed by another message"
    for cut in (len(case.data) - 1, len(case.data), len(case.data) + 1):
        assert read([whole[:cut], whole[cut:]], case) == (more, state), "the same, cut"
    assert read([whole[i : i + 1] for i in range(len(whole))], case) == (more, state)


__all__ = ["LAST", "Case", "check", "end", "error", "head", "read", "status"]
