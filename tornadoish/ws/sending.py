"""The sending half of a WebSocket connection: messages, pings and a Close become bytes.

``Protocol`` adds the receiving half. Every method returns frames that are ready to be written, in
the order in which they were asked for; nothing is kept but the context of compression, and the
answers that the protocol itself gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornadoish.ws.codes import MAX_CONTROL, close_payload
from tornadoish.ws.deflate import Deflate, compress_all
from tornadoish.ws.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    frame,
)
from tornadoish.ws.states import OPEN, SEND_CLOSE, State, WrongState, after

if TYPE_CHECKING:
    from zlib import _Compress

#: Pongs that wait to be sent; of those above it only the last one does (RFC 6455, 5.5.3).
MAX_PONGS = 64


class _Parts:
    """A message that is being sent in parts: text or binary, and the next frame's first byte."""

    __slots__ = ("compressor", "first", "kind")

    def __init__(self, kind: int, first: int, compressor: _Compress | None) -> None:
        self.kind = kind
        self.first = first
        self.compressor = compressor


def message_payload(
    data: str | bytes | bytearray | memoryview, binary: bool | None
) -> tuple[int, bytes | bytearray | memoryview]:
    """The first byte of a message's only frame, and its bytes.

    :raises TypeError: neither text nor bytes.
    :raises ValueError: as ``Sender.send_message``.
    """
    if isinstance(data, str):
        return FIN | (BINARY if binary else TEXT), data.encode()
    if isinstance(data, memoryview):
        if data.format != "B" or data.ndim != 1 or not data.c_contiguous:
            data = data.tobytes()
    elif not isinstance(data, (bytes, bytearray)):
        raise TypeError(f"A message is text or bytes, not {type(data).__name__}")
    if binary is False:
        str(data, "utf-8")
        return FIN | TEXT, data
    return FIN | BINARY, data


class Sender:
    """What both roles can send. Made as a part of ``Protocol`` only."""

    __slots__ = (
        "_answers", "_compressor", "_parts", "close_code", "close_reason", "deflate", "is_client",
        "state",
    )  # fmt: skip

    def __init__(self, is_client: bool, deflate: Deflate | None) -> None:
        self.is_client = is_client
        #: what was agreed on compression (None: nothing is compressed)
        self.deflate = deflate
        self.state: State = OPEN
        #: what the peer's Close said, or ours if the peer broke the rules; None where nothing did
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._answers: list[bytes] | None = None
        self._compressor: _Compress | None = None
        self._parts: _Parts | None = None

    # -- messages

    def send_message(
        self, data: str | bytes | bytearray | memoryview, *, binary: bool | None = None
    ) -> bytes:
        """A whole message in one frame.

        :param data: a str is sent as text, bytes as binary,
        :param binary: unless this says otherwise.
        :raises WrongState: a Close has been sent or has come, or a message in parts has not ended.
        :raises ValueError: text with half a surrogate pair; bytes to be sent as text that are no
            UTF-8.
        """
        first, payload = message_payload(data, binary)
        if self.state is not OPEN or self._parts is not None:
            raise self._not_now()
        deflate = self.deflate
        if deflate is not None and len(payload) >= deflate.threshold:
            compressor = self._compressor or deflate.new_compressor()
            payload = compress_all(compressor, payload)
            self._compressor = compressor if deflate.send_takeover else None
            first |= RSV1
        return frame(first, payload, self.is_client)

    def send_part(self, data: str | bytes | bytearray | memoryview, *, last: bool) -> bytes:
        """Some of a message, whose length need not be known; str for text, bytes for binary.

        While a message is sent in parts no other one can be sent, but pings and pongs can. What is
        compressed may come out with a later part; then this returns nothing.

        :raises WrongState: a Close has been sent or has come.
        :raises TypeError: text and binary in one message.
        :raises ValueError: half a surrogate pair.
        """
        first, payload = message_payload(data, None)
        if self.state is not OPEN:
            raise self._not_now()
        parts = self._parts
        if parts is None:
            if last:
                return self.send_message(data)
            parts = self._parts = self._begin_parts(first & ~FIN)
        elif parts.kind != first & ~FIN:
            raise TypeError("A message is either text or binary, in all of its parts")
        compressor = parts.compressor
        if compressor is not None:
            payload = compress_all(compressor, payload) if last else compressor.compress(payload)
        if last:
            self._parts = None
        elif not payload:
            return b""
        first = parts.first | FIN if last else parts.first
        parts.first = CONTINUATION
        return frame(first, payload, self.is_client)

    def _begin_parts(self, opcode: int) -> _Parts:
        deflate = self.deflate
        if deflate is None:
            return _Parts(opcode, opcode, None)
        compressor = self._compressor or deflate.new_compressor()
        self._compressor = compressor if deflate.send_takeover else None
        return _Parts(opcode, opcode | RSV1, compressor)

    # -- control frames

    def ping(self, data: bytes = b"") -> bytes:
        """A Ping; its Pong brings the same ``data``.

        :raises WrongState: a Close has been sent or has come.
        :raises ValueError: more than 125 bytes.
        """
        return self._control(PING, data)

    def pong(self, data: bytes = b"") -> bytes:
        """A Pong that nobody has asked for; the others are made by the protocol.

        :raises WrongState: a Close has been sent or has come.
        :raises ValueError: more than 125 bytes.
        """
        return self._control(PONG, data)

    def _control(self, opcode: int, data: bytes) -> bytes:
        if len(data) > MAX_CONTROL:
            raise ValueError(f"A control frame has at most {MAX_CONTROL} bytes, not {len(data)}")
        if self.state is not OPEN:
            raise self._not_now()
        return frame(FIN | opcode, data, self.is_client)

    def close(self, code: int | None = None, reason: str = "") -> bytes:
        """A Close: nothing can be sent behind it. What the peer sends until its own Close comes is
        still read.

        :raises WrongState: a Close has been sent or has come.
        :raises ValueError: a code that may not be sent, or a reason that is too long
            (``codes.close_payload``).
        """
        payload = close_payload(code, reason)
        self.state = after(self.state, SEND_CLOSE)
        return frame(FIN | CLOSE, payload, self.is_client)

    # -- answers

    def bytes_to_send(self) -> bytes:
        """What the protocol itself has to say: Pongs, and the Close that answers the peer's or
        tells it what it has done. To be asked for after ``next_event``; each answer comes once.

        While the peer takes nothing, do not ask: what waits here is bounded, for of many Pongs only
        the last one counts.
        """
        answers = self._answers
        if not answers:
            return b""
        self._answers = None
        return answers[0] if len(answers) == 1 else b"".join(answers)

    def _answer(self, opcode: int, payload: bytes) -> None:
        answers = self._answers
        if answers is None:
            answers = self._answers = []
        elif opcode == PONG and len(answers) >= MAX_PONGS:
            answers.pop()
        answers.append(frame(FIN | opcode, payload, self.is_client))

    # -- messages that others have made

    def start_context_anew(self) -> None:
        """A compressed message is about to be sent that was not made here (``PreparedMessage``):
        the peer has it in its window then, our context has not, so nothing may look back beyond it.
        """
        self._compressor = None

    def check_sendable(self) -> None:
        """:raises WrongState: a message cannot be sent now."""
        if self.state is not OPEN or self._parts is not None:
            raise self._not_now()

    def _not_now(self) -> WrongState:
        if self.state is OPEN:
            return WrongState("A message in parts has not ended")
        return WrongState(f"Nothing can be sent in {self.state.name}")
