"""permessage-deflate (RFC 7692) at work: what was agreed, and both directions of it.

``extensions`` negotiates it, ``Protocol`` uses it. Contexts are made with the first message that
needs one, and what they may produce is bounded by whoever pulls.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornadoish.ws.codes import INVALID_DATA
from tornadoish.ws.events import ProtocolError

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

#: What ends each compressed message and is not sent (RFC 7692, 7.2.1).
TAIL = b"\x00\x00\xff\xff"
#: bytes that are decompressed at a time
PIECE = 64 * 1024
#: what a byte of DEFLATE can become, at most; zlib may hold some that it has taken before
RATIO, HELD = 1032, 8
#: Final blocks in one message; above: 1007. Each costs a new context, and one is what there is.
MAX_FINALS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflate:
    """What both sides have agreed on, as ours sees it. Shared by connections; a key of tables."""

    #: window of what we send and of what we receive, as a power of two (8 to 15)
    send_bits: int = 15
    receive_bits: int = 15
    #: whether a message may refer to those before it
    send_takeover: bool = True
    receive_takeover: bool = True
    #: 1 (quick) to 9 (small)
    level: int = 3
    #: 1 to 9: memory of the compressor, 2 ** (mem_level + 9) bytes beside its window
    mem_level: int = 5
    #: bytes below which a message is sent as it is
    threshold: int = 64

    def new_compressor(self) -> _Compress:
        """A context for sending.

        zlib cannot do a window of 256 bytes, and need not: with one of 512 it looks back by at most
        250 bytes (MAX_DIST in its deflate.h: the window less 262).
        """
        bits = max(self.send_bits, 9)
        return zlib.compressobj(self.level, zlib.DEFLATED, -bits, self.mem_level)


def compress_all(compressor: _Compress, data: bytes | bytearray | memoryview) -> bytes:
    """A whole message compressed (RFC 7692, 7.2.1)."""
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


class Inflater:
    """The receiving context: ``put`` what has come, ``take`` until there is no more.

    A window larger than agreed on reads everything that a smaller one does, so 8 needs no care.
    """

    __slots__ = ("_context", "_deflate", "_finals", "_input", "more")

    def __init__(self, deflate: Deflate) -> None:
        self._deflate = deflate
        self._context: _Decompress | None = None
        self._input = b""
        self._finals = 0
        #: whether ``take`` may have more to give
        self.more = False

    def put(self, data: bytes | bytearray) -> None:
        """Add compressed bytes, once everything before them has been taken."""
        self._input = bytes(data)
        self.more = True

    def take(self, most: int) -> bytes:
        """At most ``most`` bytes of the message (more than 0), none if more has to be put.

        :raises ProtocolError: 1007, what came is no DEFLATE; but not if as many as ``most`` bytes
            come before that.
        """
        while True:
            out = self._decompress(most)
            context = self._context
            if context is not None and context.eof:
                # RFC 7692, 7.2.3.4: a final block ends a stream, not a message.
                self._context = None
                self._input = context.unused_data
                self._finals += 1
                if self._finals > MAX_FINALS:
                    raise ProtocolError(INVALID_DATA, "Too many final blocks in a message")
                self.more = bool(self._input)
            if out or not self.more:
                return out

    def _decompress(self, most: int) -> bytes:
        context = self._context
        if context is None:
            context = self._context = zlib.decompressobj(-self._deflate.receive_bits)
        # zlib looks at what follows before it says what it has: of a message that is too large and
        # then spoilt we would hear the one or the other, as the bytes were cut.
        near = most <= PIECE and (len(self._input) + HELD) * RATIO >= most
        before = context.copy() if near else None
        most = min(PIECE, most)
        try:
            out = context.decompress(self._input, most)
        except zlib.error:
            spoilt = None if before is None else _until_spoilt(before, self._input, most, 1024)
            if spoilt is None:
                raise ProtocolError(INVALID_DATA, "Invalid compressed data") from None
            out, self._input = spoilt, b""
        else:
            self._input = context.unconsumed_tail
        # What fills the bound exactly may have more behind it, though its input is gone.
        self.more = len(out) == most or bool(self._input)
        return out

    def end_message(self) -> None:
        """All of a message has been taken."""
        self._finals = 0
        if not self._deflate.receive_takeover:
            self._context = None


def _until_spoilt(context: _Decompress, data: bytes, most: int, step: int) -> bytes | None:
    """What comes of ``data`` taken a byte at a time, if it is ``most`` bytes; else None."""
    out = bytearray()
    for start in range(0, len(data), step):
        block = data[start : start + step]
        before = context.copy()
        try:
            out += context.decompress(block, most - len(out))
        except zlib.error:
            rest = _until_spoilt(before, block, most - len(out), 1) if step > 1 else None
            return None if rest is None else bytes(out) + rest
        if len(out) == most:
            return bytes(out)
    return None
