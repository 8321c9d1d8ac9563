"""Protocol: one WebSocket connection behind its handshake, sans-io, in either role.

Bytes go in with ``receive``, events are pulled with ``next_event``; what is sent comes out as bytes
of the methods of ``Sender``. Nothing is parsed that nobody asks for: who does not pull stops the
peer, by not reading. The result does not depend on how the bytes were cut.

    protocol.receive(data)
    while (event := protocol.next_event()) is not None:
        ...                                   # may raise ProtocolError, once
    transport.write(protocol.bytes_to_send())

Knows nothing of HTTP, sockets or time: pings, their time-outs and the closing of the connection are
for its caller.
"""

from __future__ import annotations

from tornadoish.buffer import ReceiveBuffer
from tornadoish.ws.assembly import Assembly
from tornadoish.ws.codes import (
    INVALID_DATA,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    TOO_LARGE,
    close_payload,
    parse_close,
)
from tornadoish.ws.deflate import TAIL, Deflate, Inflater
from tornadoish.ws.events import Close, Event, Message, MessagePart, Ping, Pong, ProtocolError
from tornadoish.ws.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MASKED,
    PING,
    PONG,
    RSV1,
    TEXT,
    Head,
    read_head,
)
from tornadoish.ws.masking import SHORT, mask, mask_short, rotated
from tornadoish.ws.sending import Sender
from tornadoish.ws.states import (
    CLOSING,
    END,
    FAULT,
    OPEN,
    RECEIVE_CLOSE,
    Step,
    after,
)

#: what a message may have that has no length: more than anybody sends
NO_LIMIT = 1 << 63
#: frames of a message that may have less than SMALL_FRAME bytes on average
SPARE_FRAMES, SMALL_FRAME = 4096, 4

#: first bytes of a message in one frame
_WHOLE_BINARY = FIN | BINARY
_WHOLE = frozenset((FIN | TEXT, _WHOLE_BINARY, FIN | RSV1 | TEXT, FIN | RSV1 | BINARY))


class Protocol(Sender):
    """One connection.

    :param is_client: our role: a client masks what it sends, a server demands it (RFC 6455, 5.1).
    :param deflate: what the handshake agreed on, None for no compression.
    :param max_message_size: bytes of a message, decompressed; above: 1009. None: any number, which
        is for ``by_parts`` only.
    :param by_parts: messages come as ``MessagePart``, as they arrive, in constant memory.
    :param buffer: where what arrives is put by somebody else, a stream, say; behind the last event
        that must empty it, too. By default there is one that ``receive`` fills.
    """

    __slots__ = ("_assembly", "_buffer", "_inflater", "_mask_bit", "by_parts", "max_message_size")

    def __init__(
        self,
        is_client: bool,
        *,
        deflate: Deflate | None = None,
        max_message_size: int | None = 10 * 1024 * 1024,
        by_parts: bool = False,
        buffer: ReceiveBuffer | None = None,
    ) -> None:
        super().__init__(is_client, deflate)
        self.max_message_size = NO_LIMIT if max_message_size is None else max_message_size
        self.by_parts = by_parts
        self._mask_bit = 0 if is_client else MASKED
        self._buffer = ReceiveBuffer() if buffer is None else buffer
        self._assembly: Assembly | None = None
        self._inflater: Inflater | None = None

    def __repr__(self) -> str:
        role = "client" if self.is_client else "server"
        return f"<Protocol {role} {self.state.name} {len(self._buffer)} bytes unread>"

    # -- bytes

    def receive(self, data: bytes) -> None:
        """Take what has arrived; behind the last event it is dropped."""
        state = self.state
        if state is OPEN or state is CLOSING:
            self._buffer.append(data)

    def end_of_input(self) -> None:
        """The connection has ended; what it brought has been pulled as far as it goes."""
        self.state = after(self.state, END)
        self._forget()

    @property
    def unread(self) -> int:
        """Bytes that have been received and are no event yet."""
        return len(self._buffer)

    def _forget(self) -> None:
        """Nothing more is read, whoever fills the buffer: let go of what that took."""
        self._buffer.clear()
        self._buffer = ReceiveBuffer()
        self._assembly = self._inflater = None

    # -- events

    def next_event(self) -> Event | None:
        """The next event, or None if more has to arrive or nothing may follow.

        :raises ProtocolError: the peer broke the rules or a limit. It is FAILED then, the Close
            that says why waits in ``bytes_to_send``, and what follows is not looked at.
        """
        try:
            if self._assembly is None and not self.by_parts:
                buffer = self._buffer
                data = buffer.data
                if not data:
                    return None
                message = self._whole_message(buffer, data)
                if message is not None:
                    return message
            return self._next_event()
        except ProtocolError as fault:
            self._fail(fault)
            raise

    def control_is_next(self) -> bool:
        """Whether ``next_event`` begins with a ping or a pong: who takes no message at the moment
        may take these."""
        buffer, assembly = self._buffer, self._assembly
        if not buffer.data or (assembly is not None and assembly.busy):
            return False
        return buffer.data[buffer.pos] & 0x0F in (PING, PONG)

    def _next_event(self) -> Event | None:
        buffer = self._buffer
        while True:
            assembly = self._assembly
            if assembly is not None and assembly.busy:
                event: Event | None = self._read_payload(assembly)
                if event is not None or assembly.busy:
                    return event
            data = buffer.data
            if not data:
                return None
            head = read_head(data, buffer.pos, self._mask_bit)
            if head is None:
                return None
            if head[0] & 8:
                return self._read_control(head)
            if not self._begin_frame(head):
                return None

    # -- messages in one frame

    def _whole_message(self, buffer: ReceiveBuffer, data: bytes | bytearray) -> Event | None:
        """The message that comes next, if it is one frame that is here as a whole: most are. None
        if it is anything else, or against the rules; then nothing has changed.

        :raises ProtocolError: 1007, 1009.
        """
        pos = buffer.pos
        first = data[pos]
        if first not in _WHOLE or len(data) - pos < 2 or (first & RSV1 and self.deflate is None):
            return None
        mask_bit = self._mask_bit
        length = data[pos + 1] ^ mask_bit
        start = pos + 2
        if length > 125:
            if length > 127:  # the wrong mask bit
                return None
            start += 2 if length == 126 else 8
            least = 126 if length == 126 else 1 << 16
            length = int.from_bytes(data[pos + 2 : start])
            if length < least:
                return None
        if mask_bit:
            start += 4
        end = start + length
        if end > len(data) or length > self.max_message_size:
            return None
        payload = data[start:end]
        if mask_bit:
            key = data[start - 4 : start]
            payload = mask_short(payload, key) if length <= SHORT else mask(payload, key)
        if end == len(data):
            buffer.clear()
        else:
            buffer.pos = end
        if first & RSV1:
            return self._inflated(first, payload)
        if first == _WHOLE_BINARY:
            return Message(bytes(payload))
        try:
            return Message(payload.decode())
        except UnicodeDecodeError:
            raise ProtocolError(INVALID_DATA, "Invalid UTF-8") from None

    def _inflated(self, first: int, payload: bytes | bytearray) -> Event | None:
        """The message that a compressed frame is."""
        inflater = self._ready_inflater()
        inflater.put(payload + TAIL)
        assembly = self._assembly = Assembly(first & 0x0F == BINARY, inflater)
        return self._read_payload(assembly)

    # -- frames of messages

    def _begin_frame(self, head: Head) -> bool:
        """Check a head against what came before it; False if its key has to come yet.

        :raises ProtocolError: it cannot stand here, or leads beyond a limit.
        """
        first, start, length = head
        assembly = self._assembly
        if first & 0x0F == CONTINUATION:
            if assembly is None:
                raise ProtocolError(PROTOCOL_ERROR, "Continuation of no message")
            if first & RSV1:
                raise ProtocolError(PROTOCOL_ERROR, "Reserved bits are set")
        else:
            if assembly is not None:
                raise ProtocolError(PROTOCOL_ERROR, "New message within a fragmented one")
            if first & RSV1 and self.deflate is None:
                raise ProtocolError(PROTOCOL_ERROR, "Reserved bits are set")
            inflater = self._ready_inflater() if first & RSV1 else None
            assembly = Assembly(first & 0x0F == BINARY, inflater)
        self._check_limits(assembly, length)
        buffer = self._buffer
        if start > len(buffer.data):
            return False
        if self._mask_bit:
            assembly.key = bytes(buffer.data[start - 4 : start])
        buffer.skip(start - buffer.pos)
        assembly.begin_frame(length, bool(first & FIN))
        self._assembly = assembly
        return True

    def _check_limits(self, assembly: Assembly, length: int) -> None:
        """Is there room for a frame of ``length`` bytes? It is refused before they come."""
        most = self.max_message_size
        if assembly.inflater is not None:
            # What it becomes is counted when it does, but blocks may be made of nothing.
            too_large = assembly.wire + length > 2 * most + 1024
        else:
            too_large = assembly.size + length > most
        if too_large:
            raise ProtocolError(TOO_LARGE, "Message too large")
        if assembly.fragments >= SPARE_FRAMES + assembly.wire // SMALL_FRAME:
            raise ProtocolError(POLICY_VIOLATION, "Too many small fragments")

    def _read_payload(self, assembly: Assembly) -> Event | None:
        """Read on in a frame of a message: the next event that comes of it, or None if the frame is
        through (then it is not ``busy`` any more) or has to arrive yet.
        """
        while (piece := self._next_piece(assembly)) is not None:
            event = self._add(assembly, piece)
            if event is not None:
                return event
        return None

    def _next_piece(self, assembly: Assembly) -> bytes | bytearray | None:
        """More of the message itself, without mask and compression; perhaps nothing of it."""
        inflater = assembly.inflater
        if inflater is None or not inflater.more:
            if assembly.left < 0:
                assembly.busy = False
                return None
            if assembly.left > 0 and not self._buffer.data:
                return None
            piece = self._take(assembly)
            if inflater is None:
                return piece
            inflater.put(piece + TAIL if assembly.final and assembly.left < 0 else piece)
        # One more than it may have: then that is known before it is there.
        return inflater.take(self.max_message_size - assembly.size + 1)

    def _ready_inflater(self) -> Inflater:
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = Inflater(self.deflate or Deflate())
        return inflater

    def _take(self, assembly: Assembly) -> bytes | bytearray:
        """What has arrived of a frame's payload, without its mask."""
        piece: bytes | bytearray = self._buffer.take(assembly.left)
        if self._mask_bit:
            key = assembly.key
            assembly.key = rotated(key, len(piece))
            piece = mask(piece, key)
        # At 0 it is through; so is an empty frame after it has been here.
        assembly.left = assembly.left - len(piece) or -1
        return piece

    def _add(self, assembly: Assembly, piece: bytes | bytearray) -> Message | MessagePart | None:
        """What comes of a piece of a message.

        :raises ProtocolError: 1007; 1009, if what came before that byte was in order.
        """
        assembly.size += len(piece)
        too_large = assembly.size > self.max_message_size
        inflater = assembly.inflater
        last = assembly.final and assembly.left < 0
        if last and inflater is not None:
            last = not inflater.more  # and of what is too large there always is more
            if last:
                inflater.end_message()
        data = assembly.decode(piece, last) if self.by_parts else assembly.add(piece, last)
        if too_large:
            raise ProtocolError(TOO_LARGE, "Message too large")
        if last:
            self._assembly = None
        if self.by_parts:
            return MessagePart(data, assembly.begins(), last) if data or last else None
        return Message(data) if last else None

    # -- control frames

    def _read_control(self, head: Head) -> Event | None:
        first, start, length = head
        buffer = self._buffer
        end = start + length
        if end > len(buffer.data):
            return None
        payload = bytes(buffer.data[start:end])
        if self._mask_bit:
            payload = bytes(mask(payload, bytes(buffer.data[start - 4 : start])))
        buffer.skip(end - buffer.pos)
        opcode = first & 0x0F
        if opcode == PONG:
            return Pong(payload)
        if opcode == PING:
            if self.state is OPEN:
                self._answer(PONG, payload)
            return Ping(payload)
        code, reason = parse_close(payload)
        self._end(RECEIVE_CLOSE, code, reason, payload[:2])
        return Close(code, reason)

    def _fail(self, fault: ProtocolError) -> None:
        payload = close_payload(fault.code, fault.reason)
        self._end(FAULT, fault.code, fault.reason, payload)

    def _end(self, step: Step, code: int | None, reason: str, answer: bytes) -> None:
        """Nothing more is read; say so unless our own Close has been sent before."""
        state = self.state
        self.state = after(state, step)
        self.close_code = code
        self.close_reason = reason or None
        if state is OPEN:
            self._answer(CLOSE, answer)
        self._forget()
