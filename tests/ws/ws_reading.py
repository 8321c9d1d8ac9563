"""How the tests of the WebSocket core feed it, and what they write down of what came out.

An input's outcome is the list of its events with ``("error", code)`` behind them if it was wrong,
the state, and what the protocol has to say to the peer. However the input was cut, it is the same.
Frames are made here by other code than that under test.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from tornadoish.ws import Deflate, Message, MessagePart, Protocol, ProtocolError, State
from tornadoish.ws.states import CLOSED, FAILED, LOST, OPEN

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"  # the one of RFC 6455, 5.7

#: events, state, bytes to send
Outcome = tuple[list[Any], State, bytes]


def xor(data: bytes, key: bytes = KEY) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def raw(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """A frame; ``length`` and ``width`` (0, 2, 8 bytes behind the first two) to lie with."""
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    first = fin << 7 | rsv << 4 | opcode
    mask_bit = 0 if key is None else 0x80
    if width == 0:
        head = bytes([first, mask_bit | size])
    elif width == 2:
        head = bytes([first, mask_bit | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, mask_bit | 127]) + struct.pack("!Q", size)
    return head + (payload if key is None else key + xor(payload, key))


def said(opcode: int, payload: bytes = b"") -> bytes:
    """What a server says: a frame without a mask."""
    return raw(opcode, payload, key=None)


def closing(code: int, reason: str = "") -> bytes:
    """The payload of a Close."""
    return struct.pack("!H", code) + reason.encode()


class Case(NamedTuple):
    """An input, and what comes of it. Where ``error`` is a code, it ends the events."""

    name: str
    data: bytes
    events: list[Any] = []
    error: int | None = None
    state: State = OPEN
    said: bytes = b""
    client: bool = False
    deflate: Deflate | None = None
    size: int | None = 1000

    @property
    def outcome(self) -> Outcome:
        if self.error is None:
            return self.events, self.state, self.said
        return [*self.events, ("error", self.error)], FAILED, self.said

    def protocol(self, by_parts: bool = False) -> Protocol:
        return Protocol(
            self.client, deflate=self.deflate, max_message_size=self.size, by_parts=by_parts
        )


def read(pieces: Iterable[bytes], case: Case, *, by_parts: bool = False) -> Outcome:
    """What comes of an input cut into ``pieces``; the reason of a failure is not compared."""
    protocol = case.protocol(by_parts)
    events: list[Any] = []
    answers = b""
    for piece in pieces:
        protocol.receive(piece)
        try:
            while (event := protocol.next_event()) is not None:
                events.append(event)
                answers += protocol.bytes_to_send()
        except ProtocolError as fault:
            events.append(("error", fault.code))
            last = protocol.bytes_to_send()
            if not case.client and last:
                assert last == said(CLOSE, closing(fault.code, fault.reason))
            assert (protocol.close_code, protocol.close_reason) == (fault.code, fault.reason)
    if protocol.state in (CLOSED, FAILED, LOST):
        protocol.receive(raw(PING))
        assert protocol.next_event() is None, "something was read behind the end"
        assert protocol.unread == 0
    return whole(events), protocol.state, answers


def whole(events: list[Any]) -> list[Any]:
    """Parts of messages as the messages that they make, where these end."""
    found: list[Any] = []
    parts: list[Any] = []
    for event in events:
        if not isinstance(event, MessagePart):
            found.append(event)
            continue
        assert event.begins is not bool(parts)
        assert event.data or event.ends
        parts.append(event.data)
        if event.ends:
            found.append(Message(parts[0][:0].join(parts)))
            parts.clear()
    return found


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]
