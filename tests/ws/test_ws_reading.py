"""The receiving half of a WebSocket over the tables, however the bytes are cut."""

from __future__ import annotations

from typing import Any

import pytest
from ws_cases import TABLES
from ws_reading import CLOSE, PING, Case, bytewise, closing, raw, read

from tornadoish.buffer import ReceiveBuffer
from tornadoish.ws import CLOSED, OPEN, Message, MessagePart, Protocol, ProtocolError

every_case = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{t}: {case.name}") for t, cases in TABLES.items() for case in cases],
)


def wanted(case: Case) -> Any:
    """A client's answers are masked with keys of its own: they are not compared."""
    events, state, said = case.outcome
    return events, state, None if case.client else said


def got(pieces: list[bytes], case: Case) -> Any:
    events, state, said = read(pieces, case)
    return events, state, None if case.client else said


@every_case
def test_whole(case: Case) -> None:
    assert got([case.data], case) == wanted(case)


@every_case
def test_byte_by_byte(case: Case) -> None:
    assert got(bytewise(case.data), case) == wanted(case)


@every_case
def test_in_two(case: Case) -> None:
    data = case.data
    cuts = range(1, len(data)) if len(data) < 300 else [*range(1, 20), 200, len(data) - 1]
    for cut in cuts:
        assert got([data[:cut], data[cut:]], case) == wanted(case), f"cut at {cut}"


@every_case
def test_by_parts(case: Case) -> None:
    """The same messages, as they arrive; of one that fails, what came before has been told."""
    events, state, said = case.outcome
    for pieces in ([case.data], bytewise(case.data)):
        outcome = read(pieces, case, by_parts=True)
        assert outcome[:2] == (events, state)
        assert case.client or outcome[2] == said


@every_case
def test_nothing_is_read_behind_the_end(case: Case) -> None:
    """What follows a Close or a fault, even in the same read, changes nothing."""
    if case.outcome[1] is not OPEN:
        assert got([case.data + b"\x00\xff" * 150], case) == wanted(case)


class TestPulling:
    def test_nothing_is_read_that_nobody_asks_for(self) -> None:
        protocol = Protocol(False)
        data = raw(1, b"Hello") + raw(PING, b"x") + raw(3)
        protocol.receive(data)
        assert protocol.unread == len(data)
        assert protocol.next_event() == Message("Hello")
        assert protocol.bytes_to_send() == b""  # the Ping has not been asked for
        assert protocol.unread == len(data) - 11

    def test_a_payload_does_not_wait_in_the_buffer(self) -> None:
        protocol = Protocol(False, max_message_size=None)
        protocol.receive(raw(2, b"x" * 100_000)[:50_000])
        assert protocol.next_event() is None
        assert protocol.unread == 0

    def test_parts_come_as_they_arrive(self) -> None:
        protocol = Protocol(False, max_message_size=None, by_parts=True)
        data = raw(1, "aé€".encode())
        parts = []
        for byte in bytewise(data):
            protocol.receive(byte)
            parts.append(protocol.next_event())
        assert [part for part in parts if part] == [
            MessagePart("a", True, False),
            MessagePart("é", False, False),
            MessagePart("€", False, True),
        ]

    def test_a_last_part_may_be_empty(self) -> None:
        protocol = Protocol(False, by_parts=True)
        protocol.receive(raw(2, b"a", fin=False) + raw(0))
        assert protocol.next_event() == MessagePart(b"a", True, False)
        assert protocol.next_event() == MessagePart(b"", False, True)
        assert protocol.next_event() is None

    def test_binary_is_bytes(self) -> None:
        for by_parts in (False, True):
            protocol = Protocol(False, by_parts=by_parts)
            for size in (0, 1, 300, 5000):
                protocol.receive(raw(2, b"x" * size))
                event = protocol.next_event()
                assert isinstance(event, (Message, MessagePart))
                assert event.binary and type(event.data) is bytes and len(event.data) == size

    def test_whether_control_is_next(self) -> None:
        """Who takes no message at the moment may take what is between messages, and fragments."""
        protocol = Protocol(False, max_message_size=None)
        seen = []
        for data in (raw(2, b"Hel", fin=False), raw(PING), raw(0, b"lo!")[:-1], raw(PING)):
            protocol.receive(data)
            seen.append(protocol.control_is_next())
            if len(seen) < 4:
                protocol.next_event()
        assert seen == [False, True, False, False]
        assert not Protocol(False).control_is_next()
        protocol = Protocol(False)
        protocol.receive(raw(CLOSE))
        assert not protocol.control_is_next()

    def test_the_end_of_the_connection(self) -> None:
        protocol = Protocol(False)
        protocol.receive(raw(1, b"Hel", fin=False))
        assert protocol.next_event() is None
        protocol.end_of_input()
        assert protocol.state.name == "LOST"
        assert (protocol.close_code, protocol.close_reason) == (None, None)
        protocol.end_of_input()
        protocol.receive(raw(0, b"lo"))
        assert protocol.next_event() is None

    @pytest.mark.parametrize("last", [raw(CLOSE), raw(3), None])
    def test_a_buffer_of_somebody_elses(self, last: bytes | None) -> None:
        """It is read until the last event, and not behind it, whatever is put there."""
        buffer = ReceiveBuffer()
        protocol = Protocol(False, buffer=buffer)
        buffer.append(raw(1, b"Hello"))
        assert protocol.next_event() == Message("Hello")
        if last is None:
            protocol.end_of_input()
        else:
            buffer.append(last + b"more")
            try:
                protocol.next_event()
            except ProtocolError:
                pass
        assert len(buffer) == 0
        buffer.append(raw(PING) + raw(1, b"Hello"))
        assert not protocol.control_is_next()
        assert protocol.next_event() is None

    def test_what_the_peer_has_said(self) -> None:
        protocol = Protocol(False)
        protocol.receive(raw(CLOSE, closing(4001, "why")))
        protocol.next_event()
        assert (protocol.close_code, protocol.close_reason) == (4001, "why")
        protocol.end_of_input()
        assert protocol.state is CLOSED
