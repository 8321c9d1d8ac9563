"""Pull-style reads: what somebody waits for, and how it is found in the buffer.

Each kind owns what it has to remember until it is satisfied. ``take`` returns None as long as more
has to arrive, and raises ``UnsatisfiableReadError`` when that cannot help any more.
"""

from __future__ import annotations

import re
from typing import Protocol

from tornadoish.buffer import ReceiveBuffer
from tornadoish.iostream.errors import UnsatisfiableReadError


class Read(Protocol):
    """One read that waits for bytes."""

    #: how many bytes have to be buffered to satisfy it; None: that depends on what comes
    wants: int | None

    def take(self, buffer: ReceiveBuffer, ended: bool) -> bytes | int | None: ...


class ReadBytes:
    """``count`` bytes, or, if ``partial``, what there is of them."""

    def __init__(self, count: int, partial: bool) -> None:
        self.wants: int | None = 1 if partial else count
        self._count = count
        self._partial = partial

    def take(self, buffer: ReceiveBuffer, ended: bool) -> bytes | None:
        if len(buffer) >= self._count or (self._partial and len(buffer)):
            return buffer.take(self._count)
        return None


class ReadInto:
    """Bytes into a buffer of the caller's; the result is their number."""

    def __init__(self, target: memoryview, partial: bool) -> None:
        if target.readonly:
            raise TypeError("read_into() a buffer that cannot be written into")
        # Taken as they come, so the stream never holds them.
        self.wants: int | None = 1
        self._target = target
        self._partial = partial
        self._filled = 0

    def take(self, buffer: ReceiveBuffer, ended: bool) -> int | None:
        data = buffer.take(len(self._target) - self._filled)
        self._target[self._filled : self._filled + len(data)] = data
        self._filled += len(data)
        if self._filled == len(self._target) or (self._partial and self._filled):
            return self._filled
        return None


class ReadUntil:
    """All up to and with ``delimiter``, which must come within ``max_bytes``."""

    def __init__(self, delimiter: bytes, max_bytes: int | None) -> None:
        self.wants: int | None = None
        self._max_bytes = max_bytes
        self._delimiter = delimiter
        self._searched = 0

    def take(self, buffer: ReceiveBuffer, ended: bool) -> bytes | None:
        overlap = max(0, len(self._delimiter) - 1)
        begin = buffer.pos + max(0, self._searched - overlap)
        found = buffer.data.find(self._delimiter, begin)
        self._searched = len(buffer)
        end = found - buffer.pos + len(self._delimiter) if found >= 0 else len(buffer)
        _check_max_bytes(end, self._max_bytes, found >= 0, repr(self._delimiter))
        return buffer.take(end) if found >= 0 else None


class ReadUntilRegex:
    """All up to and with the first match of ``pattern``, which must end within ``max_bytes``.

    The whole buffer is searched whenever more has arrived: bound it by ``max_bytes``.
    """

    def __init__(self, pattern: bytes, max_bytes: int | None) -> None:
        self.wants: int | None = None
        self._max_bytes = max_bytes
        self._pattern = re.compile(pattern)

    def take(self, buffer: ReceiveBuffer, ended: bool) -> bytes | None:
        # Searched apart from what was taken before: "^" and lookbehinds begin at this read.
        match = self._pattern.search(memoryview(buffer.data)[buffer.pos :])
        end = len(buffer) if match is None else match.end()
        _check_max_bytes(end, self._max_bytes, match is not None, repr(self._pattern.pattern))
        if match is None:
            return None
        del match  # lets go of its view of the buffer, which is about to change
        return buffer.take(end)


class ReadUntilClose:
    """All there is until the peer ends."""

    wants: int | None = None

    def take(self, buffer: ReceiveBuffer, ended: bool) -> bytes | None:
        return buffer.take(len(buffer)) if ended else None


def _check_max_bytes(size: int, limit: int | None, found: bool, what: str) -> None:
    # Exactly ``limit`` bytes without the delimiter can still be followed by nothing useful.
    if limit is not None and (size > limit or (size == limit and not found)):
        raise UnsatisfiableReadError(f"{what} not found within {limit} bytes")
