"""GzipMessageDelegate: decompresses a body on its way to a delegate, within bounds.

Put in front of a delegate by a pump whose parameters say ``decompress``. (RFC 9110, 8.4.1.3.)
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator
from typing import Protocol

from tornadoish.http1.limits import MIB, Limits
from tornadoish.httputil.delegates import HTTPMessageDelegate, tell_trailers
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine

_GZIP = 16 + zlib.MAX_WBITS
#: bytes that a body may have when decompressed, however few they were before
ANY_RATIO_BYTES = MIB
#: bytes of output between two looks at the ratio. Where these lie, and what had to come until
#: there, is the same however the body was cut on its way.
RATIO_STEP = 64 * 1024


class Bounded(Protocol):
    """What is asked of a message."""

    @property
    def max_body_size(self) -> int | None:
        """Bytes that its body may have, where that is not what the limits say."""


class GzipMessageDelegate(HTTPMessageDelegate):
    """Stands before ``delegate`` and gives it what a gzip body contains.

    :param limits: ``piece_bytes`` and what is said of decompressed bodies counts.
    :param message: what the body is of.
    """

    def __init__(self, delegate: HTTPMessageDelegate, limits: Limits, message: Bounded) -> None:
        self._delegate = delegate
        self._limits = limits
        self._message = message
        self._taken = 0  # bytes of what came that are in what went
        self._went = 0
        self._members = 0
        self._begun = False  # whether there is a body: to a HEAD there is none, coded or not
        self._decompressor: zlib._Decompress | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        coding = headers.get("Content-Encoding", "")
        if coding.lower() in ("gzip", "x-gzip"):
            self._next_member()
            # Whoever comes next sees the body without its coding; Tornado's name for what it was.
            headers["X-Consumed-Content-Encoding"] = coding
            del headers["Content-Encoding"]
        return self._delegate.headers_received(start_line, headers)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > self._limits.gzip_members:
            raise HTTPInputError("Too many gzip members")
        self._decompressor = zlib.decompressobj(_GZIP)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._decompressor is None:
            return self._delegate.data_received(chunk)
        self._begun = True
        pieces = self._decompress(chunk)
        for piece in pieces:
            pending = self._delegate.data_received(piece)
            if pending is not None:
                return self._go_on(pending, pieces)
        return None

    async def _go_on(self, pending: Awaitable[None] | None, pieces: Iterator[bytes]) -> None:
        if pending is not None:
            await pending
        for piece in pieces:
            pending = self._delegate.data_received(piece)
            if pending is not None:
                await pending

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` holds, piece by piece; never more than one piece ahead of the delegate."""
        while True:
            decompressor = self._decompressor
            if decompressor is None:
                return
            if decompressor.eof:
                if not data:
                    return
                self._next_member()
                continue
            room = min(self._limits.piece_bytes, RATIO_STEP - self._went % RATIO_STEP)
            try:
                piece = decompressor.decompress(data, room)
            except zlib.error as error:
                raise HTTPInputError(f"Invalid gzip body ({error})") from error
            rest = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
            self._taken += len(data) - len(rest)
            data = rest
            if piece:
                self._went += len(piece)
                self._check_size()
                yield piece
            elif not data:
                return

    def _check_size(self) -> None:
        limits, went = self._limits, self._went
        most = limits.decompressed_bytes
        if most is None:
            most = self._message.max_body_size
        if went > (limits.body_bytes if most is None else most):
            raise HTTPInputError("Decompressed body too large", 413)
        ratio = limits.decompressed_ratio
        if ratio is None or went <= ANY_RATIO_BYTES or went % RATIO_STEP:
            return
        if went > self._taken * ratio:
            raise HTTPInputError("Body decompresses to too many times its size", 413)

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        return tell_trailers(self._delegate, trailers)

    def finish(self) -> Awaitable[None] | None:
        if self._begun and self._decompressor is not None and not self._decompressor.eof:
            # We have been told of the end, so nobody will tell us of another one.
            self._delegate.on_connection_close()
            raise HTTPInputError("Truncated gzip body")
        return self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
