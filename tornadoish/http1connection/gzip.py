"""GzipMessageDelegate: decompresses a body on its way to a delegate, within bounds.

Put in front of a delegate by a pump whose parameters say ``decompress``. (RFC 9110, 8.4.1.3.)
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator

from tornadoish.http1.limits import MIB, Limits
from tornadoish.httputil.delegates import HTTPMessageDelegate, tell_trailers
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine

_GZIP = 16 + zlib.MAX_WBITS
#: bytes that a body may have when decompressed, however few they were before
ANY_RATIO_BYTES = MIB


class GzipMessageDelegate(HTTPMessageDelegate):
    """Stands before ``delegate`` and gives it what a gzip body contains.

    :param limits: ``piece_bytes`` and what is said of decompressed bodies counts.
    """

    def __init__(self, delegate: HTTPMessageDelegate, limits: Limits) -> None:
        self._delegate = delegate
        self._limits = limits
        most = limits.decompressed_bytes
        self._most = limits.body_bytes if most is None else most
        self._came = 0  # bytes
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
        self._came += len(chunk)
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
            try:
                piece = decompressor.decompress(data, self._limits.piece_bytes)
            except zlib.error as error:
                raise HTTPInputError(f"Invalid gzip body ({error})") from error
            data = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
            if piece:
                self._went += len(piece)
                self._check_size()
                yield piece
            elif not data:
                return

    def _check_size(self) -> None:
        if self._went > self._most:
            raise HTTPInputError("Decompressed body too large", 413)
        ratio = self._limits.decompressed_ratio
        if ratio is not None and self._went > max(ANY_RATIO_BYTES, self._came * ratio):
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
