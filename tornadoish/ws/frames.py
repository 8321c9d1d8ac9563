"""Frames (RFC 6455, 5.2): heads from bytes and bytes from payloads. Pure functions.

``read_head`` refuses all that is wrong with a head by itself; what depends on the frames before it
is for ``Protocol``.
"""

from __future__ import annotations

from tornadoish.ws.codes import MAX_CONTROL, PROTOCOL_ERROR
from tornadoish.ws.events import ProtocolError
from tornadoish.ws.masking import mask, new_key

CONTINUATION, TEXT, BINARY = 0, 1, 2
CLOSE, PING, PONG = 8, 9, 10
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

FIN, RSV1, RESERVED, MASKED = 0x80, 0x40, 0x30, 0x80

#: The first byte, where the payload begins, and its length.
Head = tuple[int, int, int]


def read_head(data: bytes | bytearray, pos: int, mask_bit: int) -> Head | None:
    """The head of a frame that begins at ``pos``, or None if more of it has to come.

    The start of the payload is behind the masking key; the key itself may not have come. A fault
    is one as soon as its byte is there.

    :param mask_bit: MASKED if the peer has to mask, else 0 (RFC 6455, 5.1).
    :raises ProtocolError: 1002.
    """
    available = len(data) - pos
    if available < 2:
        return None
    first, second = data[pos], data[pos + 1]
    if first & RESERVED:
        raise ProtocolError(PROTOCOL_ERROR, "Reserved bits are set")
    opcode = first & 0x0F
    if opcode not in OPCODES:
        raise ProtocolError(PROTOCOL_ERROR, "Reserved opcode")
    if second & MASKED != mask_bit:
        raise ProtocolError(
            PROTOCOL_ERROR, "Frame without a mask" if mask_bit else "Frame with a mask"
        )
    length = second & 0x7F
    if opcode & 8:
        if not first & FIN:
            raise ProtocolError(PROTOCOL_ERROR, "Fragmented control frame")
        if first & RSV1:
            raise ProtocolError(PROTOCOL_ERROR, "Reserved bits are set")
        if length > MAX_CONTROL:
            raise ProtocolError(PROTOCOL_ERROR, "Control frame of more than 125 bytes")
    start = pos + (6 if mask_bit else 2)
    if length < 126:
        return first, start, length
    width = 2 if length == 126 else 8
    if available < 2 + width:
        return None
    length = int.from_bytes(data[pos + 2 : pos + 2 + width], "big")
    # RFC 6455, 5.2: in the fewest bytes that hold it, and never with the highest of 64 bits.
    if length < 126 or (width == 8 and not 0xFFFF < length < 1 << 63):
        raise ProtocolError(PROTOCOL_ERROR, "Length that is not minimal, or has 64 bits")
    return first, start + width, length


#: Heads of short frames without a mask, by first byte and length.
_SHORT = {
    first: [bytes((first, length)) for length in range(126)]
    for first in (FIN | TEXT, FIN | BINARY, FIN | RSV1 | TEXT, FIN | RSV1 | BINARY)
}


def frame(first: int, payload: bytes | bytearray | memoryview, is_client: bool) -> bytes:
    """A frame, ready to be sent; a client's is masked with a new key.

    :param first: its first byte: FIN, RSV1 and opcode.
    :param payload: bytes; of a memoryview, one over bytes.
    """
    size = len(payload)
    if is_client:
        key = new_key()
        return b"".join((_head(first, size, MASKED), key, mask(payload, key)))
    if size < 126 and first in _SHORT:
        return _SHORT[first][size] + payload
    return b"".join((_head(first, size, 0), payload))


def _head(first: int, size: int, mask_bit: int) -> bytes:
    if size < 126:
        return bytes((first, mask_bit | size))
    if size < 1 << 16:
        return bytes((first, mask_bit | 126)) + size.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + size.to_bytes(8, "big")
