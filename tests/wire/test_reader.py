"""The reader in tables: what arrives, and what it is, however it was cut. (h11's idea.)"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_cases import CASES, CHUNKED, GET, POST
from reading import Case, check, read

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import BODY, CLOSED, DONE, HEAD, SWITCHED, IllegalTransition
from tornadoish.httputil import HTTPInputError


@pytest.mark.parametrize("case", CASES, ids=[f"{c.name:.50}" for c in CASES])
def test_case(case: Case) -> None:
    check(case)


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 250


@given(st.data())
def test_any_cuts(data: st.DataObject) -> None:
    """Two messages in any number of pieces are what they are whole."""
    case = data.draw(st.sampled_from([c for c in CASES if len(c.data) > 2]))
    cuts = data.draw(st.lists(st.integers(0, len(case.data)), max_size=8).map(sorted))
    edges = [0, *cuts, len(case.data)]
    pieces = [case.data[a:b] for a, b in pairwise(edges)]
    assert read(pieces, case) == (case.events, case.state)


def fed(data: bytes, limits: Limits | None = None, *, client: bool = False) -> Reader:
    buffer = ReceiveBuffer()
    buffer.append(data)
    return Reader(buffer, limits or Limits(), is_client=client)


def test_nothing_is_read_before_somebody_asks() -> None:
    reader = fed(POST + b"Content-Length: 5\r\n\r\nhello" + GET + b"\r\n")
    reader.next_event()
    assert bytes(reader.buffer.take(5)) == b"hello"


def test_pieces_are_no_larger_than_allowed_and_gathered_from_chunks() -> None:
    reader = fed(CHUNKED + b"1\r\na\r\n" * 10 + b"0\r\n\r\n", Limits(piece_bytes=4))
    reader.next_event()
    pieces = [reader.next_event() for _ in range(4)]
    assert pieces[:3] == [b"aaaa", b"aaaa", b"aa"]
    assert reader.state is HEAD or reader.state is DONE


def test_persists_and_expectation_of_each_message() -> None:
    reader = fed(
        POST + b"Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na"
        + GET + b"Connection: close\r\n\r\n"
    )  # fmt: skip
    reader.next_event()
    assert (reader.persists, reader.expects_continue) == (True, True)
    reader.next_event()
    reader.next_event()
    reader.next_message()
    reader.next_event()
    assert (reader.persists, reader.expects_continue) == (False, False)


@pytest.mark.parametrize(
    ("version", "more"),
    [(b"1.0", b"Content-Length: 1\r\n"), (b"1.1", b""), (b"1.1", b"Content-Length: 0\r\n")],
)
def test_nobody_waits_for_a_continue(version: bytes, more: bytes) -> None:
    # RFC 9110, 10.1.1: ignored from a 1.0 client, and without a body.
    reader = fed(
        b"POST / HTTP/" + version + b"\r\nHost: x\r\nExpect: 100-continue\r\n" + more + b"\r\n"
    )
    assert reader.next_event() is not None
    assert reader.expects_continue is False


def test_headers_are_not_shared_between_equal_heads() -> None:
    reader = fed((GET + b"A: 1\r\n\r\n") * 3)
    first: Any = reader.next_event()
    first[1]["A"] = "changed"
    first[1].add("B", "new")
    del first[1]["Host"]
    reader.next_message()
    second: Any = reader.next_event()
    assert list(second[1].get_all()) == [("Host", "x"), ("A", "1")]
    assert dict(second[1]) == {"Host": "x", "A": "1"}
    second[1].clear()
    reader.next_message()
    third: Any = reader.next_event()
    assert dict(third[1]) == {"Host": "x", "A": "1"}
    assert dict(first[1]) == {"A": "changed", "B": "new"}


def test_more_or_less_body_may_be_allowed_when_the_head_is_there() -> None:
    reader = fed(POST + b"Content-Length: 5\r\n\r\nhello", Limits(body_bytes=4))
    reader.next_event()
    reader.limit_body(5)
    assert reader.next_event() == b"hello"
    reader = fed(POST + b"Content-Length: 5\r\n\r\nhello")
    reader.next_event()
    reader.limit_body(4)
    with pytest.raises(HTTPInputError) as caught:
        reader.next_event()
    assert (caught.value.status, reader.state) == (413, CLOSED)


def test_a_body_too_large_is_known_before_it_comes() -> None:
    reader = fed(POST + b"Content-Length: 5\r\n\r\n", Limits(body_bytes=4))
    reader.next_event()
    with pytest.raises(HTTPInputError) as caught:
        reader.check_body_size()
    assert (caught.value.status, reader.state) == (413, CLOSED)


def test_the_end_between_messages_is_no_fault() -> None:
    reader = fed(GET + b"\r\n")
    reader.next_event()
    reader.next_message()
    reader.end_of_input()
    assert reader.state is CLOSED
    assert reader.next_event() is None


def test_the_end_in_a_request_head_is_a_fault() -> None:
    reader = fed(GET)
    assert reader.next_event() is None
    with pytest.raises(HTTPInputError):
        reader.end_of_input()


def test_nothing_is_read_once_switched() -> None:
    reader = fed(GET + b"\r\n" + b"anything")
    reader.next_event()
    reader.switch()
    assert (reader.state, reader.next_event()) == (SWITCHED, None)
    assert reader.buffer.take(99) == b"anything"


def test_the_next_message_before_the_end_of_one() -> None:
    reader = fed(POST + b"Content-Length: 5\r\n\r\nhe")
    reader.next_event()
    with pytest.raises(IllegalTransition):
        reader.next_message()


@pytest.mark.parametrize(
    ("name", "data", "unit"),
    [
        ("a start line", b"GET /", b"a"),
        ("a field", GET + b"A: ", b"b"),
        ("white space before a value", GET + b"A:", b" "),
        ("field lines", GET, b"A: b\r\n"),
        ("a chunk extension", CHUNKED + b"5", b";a"),
        ("trailers", CHUNKED + b"0\r\n", b"A: b\r\n"),
        ("small chunks", CHUNKED, b"1\r\na\r\n"),
    ],
)
def test_work_is_linear(name: str, data: bytes, unit: bytes) -> None:
    """What is dribbled in is not looked at again and again: bytes touched, not seconds."""

    class Counting(bytearray):
        touched = 0

        def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:  # type: ignore[override]
            end = len(self) if end is None else min(end, len(self))
            Counting.touched += max(0, end - start)
            return super().find(sub, start, end)

    huge = 1 << 30
    limits = Limits(start_line_bytes=huge, header_bytes=huge, header_fields=huge,
                    chunk_line_bytes=huge, trailer_bytes=huge, trailer_fields=huge)  # fmt: skip
    buffer = ReceiveBuffer()
    reader = Reader(buffer, limits)
    buffer.data = Counting(data)
    sent = len(data)
    while reader.next_event():
        pass
    for _ in range(2000):
        if buffer.data:
            buffer.data += unit
        else:
            buffer.data, buffer.pos = Counting(unit), 0
        sent += len(unit)
        while reader.next_event():
            pass
    assert reader.state in (HEAD, BODY)
    assert Counting.touched < 30 * sent + 2000 * 40
