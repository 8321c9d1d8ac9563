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

        :raises ProtocolError: 1007, what came is no DEFLATE.
        """
        out = b""
        while True:
            context = self._context
            if context is None:
                context = self._context = zlib.decompressobj(-self._deflate.receive_bits)
            try:
                out = context.decompress(self._input, most)
            except zlib.error:
                raise ProtocolError(INVALID_DATA, "Invalid compressed data") from None
            if context.eof:
                # RFC 7692, 7.2.3.4: a final block ends a stream, not a message.
                self._context = None
                self._input = context.unused_data
                self._finals += 1
                if self._finals > MAX_FINALS:
                    raise ProtocolError(INVALID_DATA, "Too many final blocks in a message")
                self.more = bool(self._input)
            else:
                self._input = context.unconsumed_tail
                # What fills the bound exactly may have more behind it, though its input is gone.
                self.more = len(out) == most or bool(self._input)
            if out or not self.more:
                return out

    def end_message(self) -> None:
        """All of a message has been taken."""
        self._finals = 0
        if not self._deflate.receive_takeover:
            self._context = None
