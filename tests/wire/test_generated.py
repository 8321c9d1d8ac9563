"""The reader over messages that the grammar makes, and over the same after somebody has meddled.

The tables of ``reader_cases`` say what becomes of what somebody thought of; here stand the laws
that hold for whatever arrives. Each is tried on choices of Hypothesis's and on those of many seeds:
TORNADOISH_SEEDS is how many (for a law of those that are quick), if more than usual are wanted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from counting import counted_patterns, steps
from grammar import Sample, broken, broken_requests, broken_responses, request, request_row
from grammar import response_row as responses
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from reading import Case, read
from sources import Seeded, Source, generated, pick

from tornadoish.buffer import ReceiveBuffer
from tornadoish.compiling import is_compiled
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import BODY, CLOSED, DONE, HEAD, LAST, SWITCHED
from tornadoish.httputil import HTTPInputError

SEEDS = int(os.environ.get("TORNADOISH_SEEDS", "800"))
DEFAULT = Limits()
#: what fails is made small, but not explained: that would take minutes more
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]


class Law(NamedTuple):
    """What a law is about, as a source makes it, and the law."""

    make: Callable[[Source], tuple[Any, ...]]
    holds: Callable[..., None]
    weight: int = 1  # how many times slower than the others it is


LAWS: dict[str, Law] = {}


def law(make: Callable[[Source], tuple[Any, ...]], weight: int = 1) -> Any:
    """Enter a function of what ``make`` makes into the laws."""

    def enter(holds: Callable[..., None]) -> Callable[..., None]:
        LAWS[holds.__name__] = Law(make, holds, weight)
        return holds

    return enter


# -- what it is tried on


def valid(source: Source) -> Sample:
    return request_row(source) if source.number(0, 1) else responses(source)


def anything(source: Source) -> Sample:
    return broken_requests(source) if source.number(0, 2) else broken_responses(source)


def any_limits(source: Source) -> Limits:
    """The usual limits, or such as generated messages reach."""
    if source.number(0, 1):
        return DEFAULT
    return Limits(
        start_line_bytes=source.number(12, 40),
        header_bytes=source.number(20, 90),
        header_fields=source.number(1, 4),
        field_bytes=source.number(3, 30),
        body_bytes=source.number(0, 12),
        chunk_line_bytes=source.number(1, 12),
        chunk_excess_bytes=source.number(0, 20),
        trailer_bytes=source.number(4, 20),
        trailer_fields=source.number(0, 2),
        piece_bytes=source.number(1, 6),
    )


def case_of(row: Sample, limits: Limits = DEFAULT) -> Case:
    """The row as ``reading`` wants it; what comes out is still to be seen."""
    return Case("", row.data, [], HEAD, limits, row.is_response, row.method, row.until_close)


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


# -- what the grammar makes is read


@law(lambda source: (valid(source),))
def what_the_grammar_makes_is_read_back(row: Sample) -> None:
    assert read([row.data], case_of(row)) == (row.events, LAST if row.last else HEAD)


@law(lambda source: (request(source), broken(source, request(source))))
def a_valid_request_is_read_whatever_stands_behind_it(first: Sample, second: Sample) -> None:
    both, state = read([first.data + second.data], case_of(first))
    assert both[: len(first.events)] == first.events
    if first.last:
        assert (both, state) == (first.events, LAST), "what is behind the last one is left alone"
    else:
        assert (both[len(first.events) :], state) == read([second.data], case_of(second))


# -- how it was cut is nothing to the reader


@law(lambda source: (anything(source), any_limits(source)), weight=16)
def every_cut_gives_the_same(row: Sample, limits: Limits) -> None:
    case, data = case_of(row, limits), row.data
    whole = read([data], case)
    for cut in range(1, len(data)):
        assert read([data[:cut], data[cut:]], case) == whole, f"cut at {cut}"


def _cuts(source: Source) -> list[int]:
    return sorted(source.number(0, 400) for _ in range(source.number(0, 6)))


@law(lambda source: (anything(source), any_limits(source), _cuts(source)), weight=2)
def any_cuts_give_the_same(row: Sample, limits: Limits, cuts: list[int]) -> None:
    case = case_of(row, limits)
    whole = read([row.data], case)
    assert read([row.data[a:b] for a, b in pairwise([0, *cuts, 5000])], case) == whole
    assert read(bytewise(row.data), case) == whole, "byte by byte"


def _more(source: Source) -> bytes:
    if source.number(0, 1):
        return broken_requests(source).data
    return pick(source, [b"\r\n\r\n", b"\n", b"\r", b"\0"]) + source.octets(4)


@law(lambda source: (anything(source), any_limits(source), _more(source)))
def what_follows_changes_nothing_of_what_was_read(row: Sample, limits: Limits, more: bytes) -> None:
    case = case_of(row, limits)._replace(eof=False)
    before, state = read([row.data], case)
    after, _ = read([row.data + more], case)
    if state in (CLOSED, LAST, SWITCHED):
        assert after == before, "nothing is read behind the last message or an error"
    elif state is BODY and before[-1][0] == "data":
        assert after[: len(before) - 1] == before[:-1]
        assert after[len(before) - 1][1].startswith(before[-1][1]), "the same body, and more of it"
    else:
        assert after[: len(before)] == before


# -- what may come out, and what an error leaves

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile("(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
ONCE = ["host", "content-length", "transfer-encoding", "content-type"]


@law(lambda source: (anything(source),))
def only_what_the_grammar_has_comes_out(row: Sample) -> None:
    """Whatever was meddled with: names are tokens, values have no controls and no white space
    around them, and nothing is there twice that decides who reads what."""
    for event in read([row.data], case_of(row))[0]:
        if event[0] != "head":
            continue
        (first, second, third), pairs = event[1], event[2]
        for name, value in pairs:
            assert TOKEN.fullmatch(name) and VALUE.fullmatch(value), (name, value)
        if row.is_response:
            assert re.fullmatch(r"HTTP/1\.[0-9]", first) and 100 <= second <= 999
            continue
        assert TOKEN.fullmatch(first) and re.fullmatch(r"[!\x22$-~]+", second)
        assert re.fullmatch(r"HTTP/1\.[0-9]", third)
        names = [name.lower() for name, _ in pairs]
        assert all(names.count(name) <= 1 for name in ONCE)
        assert not ("content-length" in names and "transfer-encoding" in names)
        assert "host" in names or third == "HTTP/1.0"


@law(lambda source: (anything(source), any_limits(source)))
def an_error_is_the_peers_and_the_end(row: Sample, limits: Limits) -> None:
    """No other exception, and nothing but its status is known of what follows."""
    buffer = ReceiveBuffer()
    buffer.append(row.data)
    machine = Reader(buffer, limits, is_client=row.is_response)
    machine.request_method = row.method
    try:
        for _ in range(2 * len(row.data) + 9):
            if machine.next_event() is None:
                break
            if machine.state is DONE:
                machine.next_message()
        machine.end_of_input()
        for _ in range(len(row.data) + 9):
            machine.next_event()
    except HTTPInputError as fault:
        assert 400 <= fault.status <= 599
        assert machine.state is CLOSED
    assert machine.state in (CLOSED, LAST, SWITCHED)
    left = len(buffer)
    for more in (b"\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        buffer.append(more)
        left += len(more)
        assert machine.next_event() is machine.next_head() is machine.next_piece() is None
        machine.check_body_size()
    assert len(buffer) == left, "nothing was taken"
    machine.close()
    machine.end_of_input()
    assert machine.state is CLOSED


# -- what it costs

#: steps for each byte, and for each piece, however many bytes wait; three quarters of them are used
PER_BYTE, PER_PIECE = 30, 60


def _repeated(source: Source) -> bytes:
    """Anything, perhaps with a part of it many times over."""
    data = anything(source).data
    if not data or not source.number(0, 3):
        return data
    start, size = source.number(0, len(data) - 1), pick(source, [1, 2, 5, 40])
    part = data[start : start + size] * source.number(2, 1200 // size)
    return data[:start] + part + data[start + size :]


@law(lambda source: (_repeated(source), any_limits(source), source.number(2, 50),
                     bool(source.number(0, 1))), weight=4)  # fmt: skip
def work_is_linear(data: bytes, limits: Limits, size: int, client: bool) -> None:
    if is_compiled():
        pytest.skip("what is compiled is not seen at its work")
    case = Case("", data, [], HEAD, limits, client)
    with counted_patterns():
        for cut in (1, size, len(data) + 1):
            pieces = [data[i : i + cut] for i in range(0, len(data), cut)]
            most = PER_BYTE * (len(data) + 10) + PER_PIECE * len(pieces)
            assert steps(pieces, case) <= most


# -- the laws hold


@pytest.mark.timeout(600)  # what fails is made small first
@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=40, deadline=None, phases=PHASES)
@given(data=st.data())
def test_law(name: str, data: st.DataObject) -> None:
    LAWS[name].holds(*data.draw(generated(LAWS[name].make)))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", LAWS)
def test_law_of_many(name: str) -> None:
    make, holds, weight = LAWS[name]
    for seed in range(max(1, SEEDS // weight)):
        found = make(Seeded(seed))
        try:
            holds(*found)
        except Exception as error:
            error.add_note(f"seed {seed}: {found!r}")
            raise
