"""A message that is arriving: its frames, its size, its text as far as it has been decoded.

``Protocol`` makes one for a message that does not come in one piece, and drops it at its end. What
a message of many small pieces needs in memory is its own size: nothing is kept per piece.
"""

from __future__ import annotations

from codecs import utf_8_decode
from io import BytesIO, StringIO

from tornadoish.ws.codes import INVALID_DATA
from tornadoish.ws.deflate import Inflater
from tornadoish.ws.events import ProtocolError


class Assembly:
    """What is known of a message whose end has not come."""

    __slots__ = (
        "_begun", "_undecoded", "_written", "binary", "busy", "final", "fragments", "inflater",
        "key", "left", "size", "wire",
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
        self._written: StringIO | BytesIO | None = None
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
        written = self._written
        if written is None:
            if last:
                return self.decode(piece, last)
            written = self._written = BytesIO() if self.binary else StringIO()
        if isinstance(written, BytesIO):
            written.write(piece)
        else:
            written.write(str(self.decode(piece, last)))
        return written.getvalue() if last else ""

    def begins(self) -> bool:
        """Whether this is the first time that it is asked."""
        begins = not self._begun
        self._begun = True
        return begins
