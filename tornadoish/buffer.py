"""ReceiveBuffer: bytes that have arrived and that nobody has taken yet.

The one buffer of a connection: a stream appends to it, a sans-io reader or a pull-style read takes
from it. In the usual case one read is one whole message and nothing is ever copied.
"""

from __future__ import annotations


class ReceiveBuffer:
    """A queue of bytes with a read position.

    ``data`` and ``pos`` are public for scanners: what has not been taken is ``data[pos:]``, and
    ``data`` is empty when there is nothing. Appending and taking are linear in the bytes moved.
    """

    __slots__ = ("data", "pos")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.pos = 0

    def __len__(self) -> int:
        return len(self.data) - self.pos

    def append(self, chunk: bytes) -> None:
        """Put ``chunk`` behind what is there; without copying if nothing is."""
        data = self.data
        if not data:
            self.data = chunk
        elif type(data) is bytearray:
            del data[: self.pos]
            data += chunk
            self.pos = 0
        else:
            joined = bytearray(memoryview(data)[self.pos :])
            joined += chunk
            self.data = joined
            self.pos = 0

    def take(self, count: int) -> bytes:
        """Take ``count`` bytes, or all that there are if there are fewer."""
        data = self.data
        start = self.pos
        end = start + count
        if end >= len(data):
            self.data = b""
            self.pos = 0
            if start == 0 and type(data) is bytes:
                return data
            return bytes(memoryview(data)[start:])
        self.pos = end
        return bytes(memoryview(data)[start:end])

    def skip(self, count: int) -> None:
        """Drop ``count`` bytes, at most all that there are."""
        self.pos += count
        if self.pos >= len(self.data):
            self.clear()

    def clear(self) -> None:
        """Drop everything."""
        self.data = b""
        self.pos = 0

    def __repr__(self) -> str:
        return f"<ReceiveBuffer {len(self)} bytes>"
