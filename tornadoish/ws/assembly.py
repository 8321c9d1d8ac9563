"""A message that is arriving: its frames, its size, its text as far as it has been decoded.

``Protocol`` makes one for a message that does not come in one piece, and drops it at its end. What
a message of many small pieces needs in memory is its own size: nothing is kept per piece.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import Any

from tornadoish.ws.codes import INVALID_DATA
from tornadoish.ws.deflate import Inflater
from tornadoish.ws.events import ProtocolError

#: pieces with less are put together, as many at a time
SMALL = 256


class Assembly:
    """What is known of a message whose end has not come."""

    __slots__ = (
        "_begun", "_large", "_small", "_undecoded", "binary", "busy", "final", "fragments",
        "inflater", "key", "left", "size", "wire",
    )  # fmt: skip

    def __init__(self, binary: bool, inflater: Inflater | None) -> None:
        self.binary = binary
        #: what decompresses it; None: it is not compressed
        self.inflater = inflater
        #: frames so far, and bytes of their payloads (those still to come of the last one too)
        self.fragments = 0
        self.wire = 0
        #: bytes of the message itself so far
        self.size = 0
        #: whether a frame of it is being read
        self.busy = True
        #: of that frame: is it the last one, its key as it goes on, and the bytes of its payload
        #: that are still to come (-1: all have been taken)
        self.final = True
        self.key = b""
        self.left = -1
        self._undecoded = b""
        # Of pieces of one kind, what there is of the message: large ones, and behind them small
        # ones, which become a large one when they are many.
        self._large: list[Any] = []
        self._small: list[Any] = []
        self._begun = False

    def begin_frame(self, length: int, final: bool) -> None:
        """A frame with this many bytes of payload follows."""
        self.busy = True
        self.left = length
        self.final = final
        self.fragments += 1
        self.wire += length

    def decode(self, piece: bytes | bytearray, last: bool) -> str | bytes:
        """``piece`` as what the message is made of; of text, only whole characters.

        :raises ProtocolError: 1007, at the first byte that no UTF-8 goes on with.
        """
        if self.binary:
            return bytes(piece)
        if self._undecoded:
            piece = self._undecoded + piece
        try:
            text, used = utf_8_decode(piece, "strict", last)
        except UnicodeDecodeError:
            raise ProtocolError(INVALID_DATA, "Invalid UTF-8") from None
        rest = self._undecoded = bytes(piece[used:])
        if b"\xed\xa0" <= rest < b"\xee":  # a surrogate, for which the decoder waits
            raise ProtocolError(INVALID_DATA, "Invalid UTF-8")
        return text

    def add(self, piece: bytes | bytearray, last: bool) -> str | bytes:
        """Add a piece, and return the whole message if it is the ``last`` one, else nothing.

        :raises ProtocolError: as ``decode``.
        """
        data: Any = piece if self.binary else self.decode(piece, last)
        small = self._small
        if not last and len(data) < SMALL:
            small.append(data)
            if len(small) < SMALL:
                return ""
            data = data[:0].join(small)
            small.clear()
        large = self._large
        if small:
            large += small
            small.clear()
        if not last:
            large.append(data)
            return ""
        if large:
            large.append(data)
            return b"".join(large) if self.binary else "".join(large)
        return bytes(data) if self.binary else str(data)

    def begins(self) -> bool:
        """Whether this is the first time that it is asked."""
        begins = not self._begun
        self._begun = True
        return begins
