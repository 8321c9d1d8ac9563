"""The receiving half of a WebSocket over generated conversations, and over the same after somebody
has meddled; beside the sans-io layer of ``websockets``, which is another's work.

Each law is tried on choices of Hypothesis's and on those of many seeds: TORNADOISH_SEEDS is how
many, if more than usual are wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from sources import Seeded, Source, generated, pick
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import CLIENT, SERVER
from websockets.protocol import OPEN as THEIR_OPEN
from websockets.protocol import Protocol as Theirs
from ws_grammar import SIZES, Sample, conversation, meddled
from ws_reading import bytewise, read

from tornadoish.ws import Close, Message, Ping, Pong, Protocol, ProtocolError

SEEDS = int(os.environ.get("TORNADOISH_SEEDS", "500"))
LAWS: dict[str, tuple[Callable[[Source], tuple[Any, ...]], Callable[..., None]]] = {}


def law(make: Callable[[Source], tuple[Any, ...]]) -> Any:
    """Enter a function of what ``make`` makes into the laws."""

    def enter(holds: Callable[..., None]) -> Callable[..., None]:
        LAWS[holds.__name__] = make, holds
        return holds

    return enter


def cut(source: Source, sample: Sample) -> tuple[Sample, list[bytes], int]:
    """A sample, its data in pieces, and a size that messages may have."""
    data, pieces, at = sample.data, [], 0
    while at < len(data):
        to = at + source.number(1, 1 + len(data) // 3)
        pieces.append(data[at:to])
        at = to
    return sample, pieces, pick(source, SIZES)


@law(lambda source: (conversation(source),))
def what_was_said_is_heard(sample: Sample) -> None:
    case = sample.case(2000)
    for by_parts in (False, True):
        assert read([sample.data], case, by_parts=by_parts)[0] == sample.events
        assert read(bytewise(sample.data), case, by_parts=by_parts)[0] == sample.events


@law(lambda source: cut(source, meddled(source)))
def it_does_not_matter_how_bytes_are_cut(sample: Sample, pieces: list[bytes], size: int) -> None:
    case = sample.case(size)
    events, state, said = read([sample.data], case)
    for cut_up in (pieces, bytewise(sample.data)):
        for by_parts in (False, True):
            again = read(cut_up, case, by_parts=by_parts)
            assert again[:2] == (events, state)
            assert case.client or again[2] == said


@law(lambda source: cut(source, conversation(source)))
def what_is_said_again_is_the_same(sample: Sample, pieces: list[bytes], size: int) -> None:
    """Messages that have been read, sent on by the protocol to another one."""
    near = Protocol(True, deflate=sample.deflate)
    far = Protocol(False, deflate=sample.deflate)
    for event in sample.events:
        if isinstance(event, Message):
            sent = near.send_message(event.data)
        elif isinstance(event, Ping):
            sent = near.ping(event.data)
        elif isinstance(event, Pong):
            sent = near.pong(event.data)
        else:
            sent = near.close(event.code, event.reason)
        far.receive(sent)
        assert far.next_event() == event


# -- beside another implementation


def theirs(sample: Sample, size: int) -> list[Any]:
    """What ``websockets`` makes of a sample, in our words. Text is checked here, as its callers
    do; so bad text is not noticed before its frame is complete.
    """
    protocol = Theirs(CLIENT if sample.client else SERVER, state=THEIR_OPEN, max_size=size)
    deflate = sample.deflate
    if deflate is not None:
        extension = PerMessageDeflate(
            not deflate.receive_takeover, False, deflate.receive_bits, deflate.send_bits
        )
        protocol.extensions = [extension]
    protocol.receive_data(sample.data)
    events: list[Any] = []
    kind, parts = 0, b""
    for frame in protocol.events_received():
        data = bytes(frame.data)
        if frame.opcode == 8:
            code = int.from_bytes(data[:2], "big") if data else None
            events.append(Close(code, data[2:].decode()))
        elif frame.opcode == 9:
            events.append(Ping(data))
        elif frame.opcode == 10:
            events.append(Pong(data))
        else:
            kind, parts = frame.opcode or kind, parts + data
            if frame.fin:
                try:
                    events.append(Message(parts.decode() if kind == 1 else parts))
                except UnicodeDecodeError:
                    return [*events, ("error", 1007)]
                parts = b""
    if protocol.parser_exc is not None and protocol.close_sent is not None:
        events.append(("error", protocol.close_sent.code))
    return events


def known(sample: Sample, ours: list[Any], other: list[Any], size: int) -> str:
    """Why the two differ, if that is known."""
    error = ours[-1][1] if ours and isinstance(ours[-1], tuple) else None
    their_error = other[-1][1] if other and isinstance(other[-1], tuple) else None
    if ours and their_error == 1002 and isinstance(ours[-1], Close) and ours[:-1] == other[:-1]:
        return "it does not take a Close within a message (RFC 6455, 5.4: MAY)"
    before = other[:-1] if their_error == 1009 else ours[:-1] if error else ours
    if before != ours[: len(before)] or before != other[: len(before)]:
        return ""
    if error == 1007:
        return "bad text and bad DEFLATE are 1007, and noticed before their frame is complete"
    if their_error == 1009 and isinstance(ours[len(before)], (Ping, Pong)):
        return "within a message it counts control frames, too"
    fault = _first_fault(sample, size)
    if fault == "Length that is not minimal, or has 64 bits":
        return "it takes lengths that are not minimal (RFC 6455, 5.2: MUST be)"
    if fault == "Close with an invalid code" and their_error == 1007:
        return "the code is before the reason"
    if error == 1002 and their_error == 1009:
        return "of two faults of a head it reports the length"
    if error == 1002 and their_error is None:
        return "a fault is one as soon as its byte is there"
    return ""


def _first_fault(sample: Sample, size: int) -> str:
    protocol = sample.case(size).protocol()
    protocol.receive(sample.data)
    try:
        while protocol.next_event() is not None:
            pass
    except ProtocolError as fault:
        return fault.reason
    return ""


@law(lambda source: (meddled(source), pick(source, [1000, 4000])))
def another_implementation_agrees(sample: Sample, size: int) -> None:
    ours = read([sample.data], sample.case(size))[0]
    other = theirs(sample, size)
    assert ours == other or known(sample, ours, other, size)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_over_seeds(name: str) -> None:
    make, holds = LAWS[name]
    for seed in range(SEEDS):
        try:
            holds(*make(Seeded(seed)))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("name", LAWS)
def test_a_law_over_choices(name: str) -> None:
    make, holds = LAWS[name]

    @settings(max_examples=40, deadline=None, database=None)
    @given(generated(make))
    def check(made: tuple[Any, ...]) -> None:
        holds(*made)

    check()
