"""Bodies as they are received: each kind owns what it has to remember between reads.

``take(buffer, limit)`` returns the next bytes of the body (at most ``limit``, gathered from as many
chunks as are there), ``END`` at its end, or None when more has to arrive first.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.fields import parse_fields
from tornadoish.http1.grammar import CHUNK_LINE, CHUNK_LINE_BEGUN, NOT_IN_HEAD
from tornadoish.http1.limits import Limits
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.trailers import NOT_IN_TRAILERS


class EndOfMessage:
    """The body has been received to its end."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "END_OF_MESSAGE"


END: Final = EndOfMessage()
#: chunks that are gathered into one piece: so whoever takes pieces knows how long one can take
CHUNKS_PER_PIECE = 256
Taken = bytes | EndOfMessage | None


class Body(Protocol):
    """What the reader wants of each kind of body."""

    #: bytes that may yet be received or announced
    max_bytes: int
    #: bytes that are known to be still to come
    left: int

    def allow(self, max_bytes: int) -> None: ...
    def take(self, buffer: ReceiveBuffer, limit: int) -> Taken: ...
    def check_size(self) -> None: ...
    def end_of_input(self) -> None: ...


class LengthBody:
    """A body of a known number of bytes (RFC 9112, 6.2)."""

    __slots__ = ("left", "max_bytes")

    def __init__(self, length: int, max_bytes: int) -> None:
        self.left = length
        self.max_bytes = max_bytes

    def allow(self, max_bytes: int) -> None:
        """So much more may come, whatever was allowed before."""
        self.max_bytes = max_bytes

    def take(self, buffer: ReceiveBuffer, limit: int) -> Taken:
        if self.left == 0:
            return END
        self.check_size()
        data = buffer.take(min(self.left, limit))
        if not data:
            return None
        self.left -= len(data)
        self.max_bytes -= len(data)
        return data

    def check_size(self) -> None:
        """Refuse a body that is announced to be too large, before any of it is read."""
        if self.left > self.max_bytes:
            raise HTTPInputError("Body too large", 413)

    def end_of_input(self) -> None:
        raise HTTPInputError("The connection ended within a body")


class UntilCloseBody:
    """A response body that ends where the connection does (RFC 9112, 6.3, 8)."""

    __slots__ = ("_ended", "max_bytes")
    left = 0  # who knows

    def __init__(self, max_bytes: int) -> None:
        self._ended = False
        self.max_bytes = max_bytes

    def allow(self, max_bytes: int) -> None:
        """So much more may come, whatever was allowed before."""
        self.max_bytes = max_bytes

    def take(self, buffer: ReceiveBuffer, limit: int) -> Taken:
        if self.max_bytes <= 0 and buffer:
            raise HTTPInputError("Body too large", 413)
        data = buffer.take(min(limit, self.max_bytes))
        self.max_bytes -= len(data)
        return data or (END if self._ended else None)

    def check_size(self) -> None:
        """Refuse what has become too large."""
        if self.max_bytes < 0:
            raise HTTPInputError("Body too large", 413)

    def end_of_input(self) -> None:
        self._ended = True


class ChunkedBody:
    """A body in chunks, with extensions ignored and trailers kept (RFC 9112, 7.1)."""

    __slots__ = (
        "_excess",
        "_expect",
        "_fault",
        "_limits",
        "_seen",
        "left",
        "max_bytes",
        "trailers",
    )

    def __init__(self, limits: Limits, max_bytes: int) -> None:
        self._limits = limits
        self.max_bytes = max_bytes  # what all chunks to come may have together
        self._expect: Literal["size", "data", "data-end", "trailers", "ended"] = "size"
        self.left = 0  # bytes of this chunk still to come
        self._seen = 0  # bytes of an unfinished line that have been searched already
        self._excess = 0  # bytes of size lines beyond what their chunks account for
        self._fault: HTTPInputError | None = None  # found behind data that had to go out first
        self.trailers: HTTPHeaders | None = None

    def allow(self, max_bytes: int) -> None:
        """So much more may come, what is left of this chunk included."""
        self.max_bytes = max_bytes - self.left

    def take(self, buffer: ReceiveBuffer, limit: int) -> Taken:
        found, self._fault = self._fault, None
        if found is not None:
            raise found
        pieces: list[bytes] = []
        try:
            self._gather(buffer, limit, pieces)
        except HTTPInputError as fault:
            # What came before it is delivered, as it would be had it come in a read of its own.
            if not pieces:
                raise
            self._fault = fault.with_traceback(None)
        if not pieces:
            return END if self._expect == "ended" else None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _gather(self, buffer: ReceiveBuffer, limit: int, pieces: list[bytes]) -> None:
        """Take what there is of the body, at most ``limit`` bytes, into ``pieces``."""
        room = limit
        chunks = CHUNKS_PER_PIECE
        while room > 0 and chunks > 0:
            if self._expect == "data":
                self.check_size()  # what is allowed may have changed within the chunk
                piece = buffer.take(min(self.left, room))
                if not piece:
                    break
                pieces.append(piece)
                room -= len(piece)
                self.left -= len(piece)
                if self.left == 0:
                    self._expect = "data-end"
                    chunks -= 1
            elif self._expect == "trailers":
                # What the body still holds goes out first: END is an event of its own.
                if not pieces and self._take_trailers(buffer):
                    self._expect = "ended"
                break
            elif not (self._take_size if self._expect == "size" else self._take_end)(buffer):
                break

    def _take_size(self, buffer: ReceiveBuffer) -> bool:
        """Read a chunk's size line if it is there."""
        line = self._take_line(buffer, self._limits.chunk_line_bytes)
        if line is None:
            return False
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            raise HTTPInputError("Malformed chunk size")
        self.left = int(match[1], 16)
        self.max_bytes -= self.left
        self.check_size()
        # Extensions that nobody reads must not outweigh the data (Go: CVE-2023-39326).
        self._excess = max(0, self._excess + len(line) - 16 - 2 * self.left)
        if self._excess > self._limits.chunk_excess_bytes:
            raise HTTPInputError("Chunk size lines are most of the body")
        self._expect = "data" if self.left else "trailers"
        return True

    def check_size(self) -> None:
        """Refuse a chunk as soon as its size is known to be too much."""
        if self.max_bytes < 0:
            raise HTTPInputError("Body too large", 413)

    def _take_line(self, buffer: ReceiveBuffer, limit: int) -> bytes | None:
        data, start = buffer.data, buffer.pos
        end = data.find(b"\n", start + self._seen, start + limit + 2)
        if end < 0:
            if data:
                self._look_for_faults(buffer, limit)
            return None
        if end == start or data[end - 1] != 13:
            raise HTTPInputError("Bare LF in chunked body")
        line = bytes(data[start : end - 1])
        buffer.skip(end + 1 - start)
        self._seen = 0
        return line

    def _look_for_faults(self, buffer: ReceiveBuffer, limit: int) -> None:
        """Refuse an unfinished size line as soon as it cannot become a good one."""
        data, start = buffer.data, buffer.pos
        bad = NOT_IN_HEAD.search(data, start + max(0, self._seen - 1), start + limit + 1)
        if bad is not None or CHUNK_LINE_BEGUN.match(data, start) is None:
            raise HTTPInputError("Malformed chunk size")
        self._seen = len(buffer)
        if self._seen > limit + 1:
            raise HTTPInputError("Chunk size line too long")

    def _take_end(self, buffer: ReceiveBuffer) -> bool:
        """Read the CRLF behind a chunk's data if it is there."""
        there = bytes(buffer.data[buffer.pos : buffer.pos + 2])
        if there == b"\r\n":
            buffer.skip(2)
            self._expect = "size"
            return True
        if there and there != b"\r":
            raise HTTPInputError("Chunk data is longer than its size")
        return False

    def _take_trailers(self, buffer: ReceiveBuffer) -> bool:
        """Read the trailer section with the empty line that ends it, if it is there."""
        data, start = buffer.data, buffer.pos
        if data.startswith(b"\r\n", start):
            buffer.skip(2)
            return True
        limit = self._limits.trailer_bytes
        end = data.find(b"\r\n\r\n", start + max(0, self._seen - 3), start + limit + 4)
        if end < 0:
            if NOT_IN_HEAD.search(data, start + max(0, self._seen - 1), start + limit):
                raise HTTPInputError("Malformed header field")
            self._seen = len(buffer)
            if self._seen >= limit + 4:
                raise HTTPInputError("Trailer section too large", 431)
            return False
        text = str(data[start : end + 2], "latin-1")
        pairs = parse_fields(text, self._limits.trailer_fields, self._limits.field_bytes)
        kept = [pair for pair in pairs if pair[0].lower() not in NOT_IN_TRAILERS]
        self.trailers = HTTPHeaders.from_pairs(kept)
        buffer.skip(end + 4 - start)
        return True

    def end_of_input(self) -> None:
        raise HTTPInputError("The connection ended within a chunked body")
