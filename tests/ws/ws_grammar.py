"""Generated conversations: what one side sends, what it means, and the same after somebody has
meddled with it. All choices come from a source (``tests/wire/sources.py``)."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

from sources import Source, pick, rarely
from ws_reading import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Case, closing, raw

from tornadoish.ws import Close, Deflate, Message, Ping, Pong

LETTERS = "a\0\x7fé€\ud7ff\ue000\uffff😀\U0010ffff"
DEFLATES = [
    None,
    Deflate(),
    Deflate(send_bits=9, receive_bits=9, receive_takeover=False, send_takeover=False),
]
SIZES = [1000, 20, 0]


class Sample(NamedTuple):
    """Bytes, and the events that come of them with nothing beyond a limit."""

    data: bytes
    events: list[Any]
    client: bool
    deflate: Deflate | None

    def case(self, size: int) -> Case:
        return Case("", self.data, client=self.client, deflate=self.deflate, size=size)


class _Speaker:
    """One side: the peer of the protocol under test."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.client = bool(source.number(0, 1))  # whether who listens is the client
        self.deflate = pick(source, DEFLATES)
        self.events: list[Any] = []
        self.context: Any = None

    def frame(self, opcode: int, payload: bytes, fin: bool = True, rsv: int = 0) -> bytes:
        key = None if self.client else self.source.octets(4).ljust(4, b"k")
        return raw(opcode, payload, fin=fin, rsv=rsv, key=key)

    def message(self) -> bytes:
        source = self.source
        if source.number(0, 1):
            text = source.text(LETTERS, 0, 30)
            self.events.append(Message(text))
            opcode, payload = TEXT, text.encode()
        else:
            payload = source.octets(30)
            if rarely(source):
                payload *= 40
            self.events.append(Message(payload))
            opcode = BINARY
        message = self.events.pop()
        rsv = 0
        if self.deflate is not None and source.number(0, 1):
            payload, rsv = self.compressed(payload), 4
        pieces = [payload]
        while source.number(0, 2) == 2:
            last = pieces.pop()
            cut = source.number(0, len(last))
            pieces += [last[:cut], last[cut:]]
        out = []
        for number, piece in enumerate(pieces):
            final = number == len(pieces) - 1
            out.append(self.frame(opcode, piece, final, rsv))
            opcode, rsv = CONTINUATION, 0
            if not final and rarely(source):
                out.append(self.control())
        self.events.append(message)
        return b"".join(out)

    def compressed(self, payload: bytes) -> bytes:
        assert self.deflate is not None
        source = self.source
        bits = self.deflate.receive_bits
        context = self.context or zlib.compressobj(source.number(0, 9), zlib.DEFLATED, -bits)
        self.context = context if self.deflate.receive_takeover else None
        out: bytes = context.compress(payload) + context.flush(zlib.Z_SYNC_FLUSH)
        return out[:-4] if out else b"\0"

    def control(self) -> bytes:
        payload = self.source.octets(pick(self.source, [0, 5, 125]))
        if self.source.number(0, 1):
            self.events.append(Ping(payload))
            return self.frame(PING, payload)
        self.events.append(Pong(payload))
        return self.frame(PONG, payload)

    def close(self) -> bytes:
        if self.source.number(0, 1):
            self.events.append(Close(None, ""))
            return self.frame(CLOSE, b"")
        code, reason = self.source.number(3000, 4999), self.source.text(LETTERS, 0, 10)
        self.events.append(Close(code, reason))
        return self.frame(CLOSE, closing(code, reason))


def conversation(source: Source) -> Sample:
    """What is in order, all of it."""
    speaker = _Speaker(source)
    data = b""
    for _ in range(source.number(0, 5)):
        data += speaker.control() if rarely(source) else speaker.message()
    if source.number(0, 2) == 0:
        data += speaker.close()
    return Sample(data, speaker.events, speaker.client, speaker.deflate)


#: first bytes of frames, second bytes, lengths: what a meddler likes to put in
BYTES = [0x00, 0x01, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xC2, 0xFE, 0xFF]


def meddled(source: Source) -> Sample:
    """The same after a few bytes have been changed, put in, taken out or doubled."""
    sample = conversation(source)
    data = bytearray(sample.data)
    for _ in range(source.number(1, 3)):
        pos = source.number(0, len(data))
        kind = source.number(0, 4)
        if kind == 0 and pos < len(data):
            data[pos] ^= 1 << source.number(0, 7)
        elif kind == 1:
            data[pos:pos] = bytes([pick(source, BYTES)])
        elif kind == 2:
            del data[pos : pos + source.number(1, 8)]
        elif kind == 3:
            data[pos:pos] = data[pos : pos + source.number(1, 40)]
        elif pos < len(data):
            data[pos] = pick(source, BYTES)
    return sample._replace(data=bytes(data), events=[])
