"""Reader, writer and the tables of states, driven with everything in every state, in both roles.

Whatever is called: the half is in a state that its table leads to, or what was wrong has been said.
A peer's fault (HTTPInputError) leaves the reader CLOSED, a fault of ours (HTTPOutputError,
IllegalTransition) leaves the half where it was, or CLOSED. There is no third thing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1 import states
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import (
    CLOSE,
    CLOSED,
    DATA,
    END,
    END_LAST,
    INFORM,
    NEXT,
    OPEN,
    STATES,
    SWITCH,
    WHOLE,
    WHOLE_LAST,
    Event,
    IllegalTransition,
    State,
)
from tornadoish.http1.writer import Writer
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)

VERDICTS = (states.WAIT, states.REUSE, states.DRAIN, states.FINISH, states.ABANDON, states.HANDOVER,
            states.GONE)  # fmt: skip

# -- what may be done, and to which events of the table it may amount

HEADS = {INFORM, OPEN, WHOLE, WHOLE_LAST, SWITCH}
PIECES = {DATA, END, END_LAST}
FAULT = {CLOSE}


class Operation(NamedTuple):
    """What is called, to which events it may amount, and whether it must, or be refused."""

    act: Callable[[Any], object]
    events: set[Event] = set()
    must: bool = False


READING: dict[str, Operation] = {
    "next_event": Operation(lambda reader: reader.next_event(), HEADS | PIECES | FAULT),
    "next_head": Operation(lambda reader: reader.next_head(), HEADS | FAULT),
    "next_piece": Operation(lambda reader: reader.next_piece(), PIECES | FAULT),
    "next_message": Operation(lambda reader: reader.next_message(), {NEXT}, True),
    "end_of_input": Operation(lambda reader: reader.end_of_input(), FAULT),
    "switch": Operation(lambda reader: reader.switch(), {SWITCH}, True),
    "close": Operation(lambda reader: reader.close(), {CLOSE}, True),
    "limit_body(0)": Operation(lambda reader: reader.limit_body(0)),
    "limit_body(99)": Operation(lambda reader: reader.limit_body(99)),
    "check_body_size": Operation(lambda reader: reader.check_body_size(), FAULT),
    "repr": Operation(repr),
}


def _response(code: int, fields: dict[str, str], chunk: bytes | None) -> Operation:
    line = ResponseStartLine("HTTP/1.1", code, "Said")
    return Operation(
        lambda writer: writer.response(line, HTTPHeaders(fields), chunk),
        {OPEN, INFORM, SWITCH} if code < 200 else {OPEN},
        True,
    )


def _request(method: str, fields: dict[str, str], chunk: bytes | None) -> Operation:
    line = RequestStartLine(method, "/", "HTTP/1.1")
    return Operation(lambda writer: writer.request(line, HTTPHeaders(fields), chunk), {OPEN}, True)


L2, L0 = {"Content-Length": "2"}, {"Content-Length": "0"}
WRITING: dict[str, Operation] = {
    "answer GET": Operation(lambda writer: writer.answer("GET", "HTTP/1.1", True)),
    "answer HEAD": Operation(lambda writer: writer.answer("HEAD", "HTTP/1.1", True)),
    "answer 1.0": Operation(lambda writer: writer.answer("GET", "HTTP/1.0", False)),
    "close_after": Operation(lambda writer: writer.close_after()),
    "200 of 2": _response(200, L2, None),
    "200 of 2, whole": _response(200, L2, b"hi"),
    "200 of 2, too much": _response(200, L2, b"hi!"),
    "200 in chunks": _response(200, {}, b"hi"),
    "200 and close": _response(200, {"Connection": "close"} | L0, None),
    "200 of nonsense": _response(200, {"Content-Length": "x"}, None),
    "103": _response(103, {"Link": "a"}, None),
    "101": _response(101, {"Upgrade": "x"}, None),
    "204": _response(204, {}, None),
    "304": _response(304, L2, None),
    "GET": _request("GET", {"Host": "x"}, None),
    "POST of 2": _request("POST", {"Host": "x"} | L2, b"h"),
    "POST in chunks": _request("POST", {"Host": "x", "Connection": "close"}, b"h"),
    "data": Operation(lambda writer: writer.data(b"i"), {DATA}, True),
    "no data": Operation(lambda writer: writer.data(b""), {DATA}, True),
    "end": Operation(lambda writer: writer.end(), {END, END_LAST}, True),
    "next_message": Operation(lambda writer: writer.next_message(), {NEXT}, True),
    "switch": Operation(lambda writer: writer.switch(), {SWITCH}, True),
    "close": Operation(lambda writer: writer.close(), {CLOSE}, True),
    "repr": Operation(repr),
}


def check(half: Any, operation: Operation) -> None:
    """Do it, and see that the half went where its table leads, or says why not."""
    before: State = half.state
    try:
        operation.act(half)
    except HTTPInputError as fault:
        assert 400 <= fault.status < 600
        assert half.state is CLOSED and isinstance(half, Reader)
    except (HTTPOutputError, IllegalTransition):
        assert half.state is before or half.state is CLOSED
    else:
        allowed = {before.after[event] for event in operation.events if event in before.after}
        assert half.state in {before, *allowed}, f"{before} -> {half.state}"
        assert allowed or not operation.must, f"not refused in {before}"


# -- every operation in every state

REQUEST, RESPONSE = b"POST / HTTP/1.1\r\nHost: x\r\n", b"HTTP/1.1 200 OK\r\n"
LENGTH, CHUNKED = b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"
LAST_ONE = b"Connection: close\r\n"
#: what is behind the bytes that led to a state: nothing, another message, something else
BEHIND = [
    b"",
    REQUEST + b"\r\n",
    RESPONSE + LENGTH + b"\r\nhi",
    b"hi",
    b"2\r\nhi\r\n0\r\n\r\n",
    b"\0\n",
]


def reader_in(state: State, client: bool, framing: bytes, behind: bytes) -> Reader:
    """A reader that has come to ``state`` by what it has read or was told."""
    buffer = ReceiveBuffer()
    reader = Reader(buffer, Limits(), is_client=client)
    start = RESPONSE if client else REQUEST
    if state is states.BODY:
        buffer.append(start + framing + b"\r\n")
    elif state is states.DONE:
        buffer.append(start + b"Content-Length: 0\r\n\r\n")
    elif state is states.LAST:
        buffer.append(start + b"Content-Length: 0\r\n" + LAST_ONE + b"\r\n")
    reader.next_event()
    if state is states.SWITCHED:
        reader.switch()
    elif state is CLOSED:
        reader.close()
    assert reader.state is state
    if behind:
        buffer.append(behind)
    return reader


def writer_in(state: State, client: bool, framing: bytes) -> Writer:
    """The same for a writer."""
    writer = Writer()
    if not client:
        writer.answer("GET", "HTTP/1.1", True)
    if state in (states.BODY, states.DONE, states.LAST):
        fields = HTTPHeaders.parse((framing + (LAST_ONE if state is states.LAST else b"")).decode())
        if client:
            writer.request(RequestStartLine("POST", "/", "HTTP/1.1"), fields, b"h")
        else:
            writer.response(ResponseStartLine("HTTP/1.1", 200, "OK"), fields, b"h")
        if state is not states.BODY:
            writer.data(b"i")
            writer.end()
    elif state is states.SWITCHED:
        writer.switch()
    elif state is CLOSED:
        writer.close()
    assert writer.state is state
    return writer


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("state", STATES)
def test_everything_in_every_state_of_a_reader(state: State, client: bool) -> None:
    for framing, behind, operation in product((LENGTH, CHUNKED, b""), BEHIND, READING.values()):
        if state is states.BODY and not framing and not client:
            continue  # that is a request without a body
        check(reader_in(state, client, framing, behind), operation)


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("state", STATES)
def test_everything_in_every_state_of_a_writer(state: State, client: bool) -> None:
    for framing, operation in product((LENGTH, CHUNKED, b""), WRITING.values()):
        check(writer_in(state, client, framing), operation)


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_every_pair_of_halves_has_a_verdict(client: bool) -> None:
    for received, sent in product(STATES, STATES):
        reader = reader_in(received, client, LENGTH, b"")
        assert reader.state.with_sent[writer_in(sent, client, LENGTH).state] in VERDICTS


def test_every_state_is_come_to_and_every_event_happens() -> None:
    """The tables above leave nothing of the table of states out."""
    happened = set().union(*(done.events for done in (*READING.values(), *WRITING.values())))
    assert happened == set(states.EVENTS)


# -- any order of them

TOKENS = [
    REQUEST, RESPONSE, LENGTH, CHUNKED, LAST_ONE, b"\r\n", b"hi", b"2\r\nhi\r\n", b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"\0",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.1 100 Go\r\n\r\n", b"HTTP/1.1 101 Up\r\n\r\n", RESPONSE + b"\r\nhi",
    REQUEST + LENGTH + b"\r\nhi", REQUEST + CHUNKED + b"\r\n2\r\nhi\r\n0\r\n\r\n",
    RESPONSE + LENGTH + b"\r\nhi",
]  # fmt: skip


class Connection(RuleBasedStateMachine):
    """A reader and a writer of one connection, and somebody who does anything with them."""

    @initialize(client=st.booleans(), small=st.booleans(), method=st.sampled_from(["GET", "HEAD"]))
    def open(self, client: bool, small: bool, method: str) -> None:
        limits = Limits(body_bytes=1, header_bytes=60, piece_bytes=1) if small else Limits()
        self.buffer = ReceiveBuffer()
        self.reader = Reader(self.buffer, limits, is_client=client)
        self.reader.request_method = method if client else ""
        self.writer = Writer()
        self.read_last: State | None = None  # a state of the reader behind which nothing is read

    @rule(piece=st.sampled_from(TOKENS))
    def receive(self, piece: bytes) -> None:
        self.buffer.append(piece)

    @rule(name=st.sampled_from(sorted(READING)))
    def read(self, name: str) -> None:
        check(self.reader, READING[name])

    @rule()
    def read_all(self) -> None:
        for _ in range(9):
            check(self.reader, READING["next_event"])

    @rule(name=st.sampled_from(sorted(WRITING)))
    def write(self, name: str) -> None:
        check(self.writer, WRITING[name])

    @precondition(lambda self: self.reader.state.with_sent[self.writer.state] is states.REUSE)
    @rule()
    def reuse(self) -> None:
        self.reader.next_message()
        self.writer.next_message()
        assert self.reader.state is self.writer.state is states.HEAD

    @invariant()
    def both_halves_have_a_verdict(self) -> None:
        assert self.reader.state.with_sent[self.writer.state] in VERDICTS

    @invariant()
    def nothing_comes_back_from_the_end(self) -> None:
        ends = [states.LAST, states.SWITCHED, CLOSED]
        if self.read_last is not None:
            assert ends.index(self.reader.state) >= ends.index(self.read_last)
        if self.reader.state in ends:
            self.read_last = self.reader.state
            left = len(self.buffer)
            assert self.reader.next_event() is None
            assert len(self.buffer) == left


class TestConnection(Connection.TestCase):  # type: ignore[misc]
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
