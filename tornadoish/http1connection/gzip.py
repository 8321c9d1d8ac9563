"""GzipMessageDelegate: decompresses a body on its way to a delegate, within bounds.

Put in front of a delegate by a pump whose parameters say ``decompress``. (RFC 9110, 8.4.1.3.)
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Iterator

from tornadoish.httputil.delegates import HTTPMessageDelegate
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine

_GZIP = 16 + zlib.MAX_WBITS
#: gzip members in one body: more is an attack, not a file
MAX_MEMBERS = 16


class GzipMessageDelegate(HTTPMessageDelegate):
    """Stands before ``delegate`` and gives it what a gzip body contains.

    :param chunk_size: bytes that it is given at a time.
    :param max_body_size: bytes that the body may have when decompressed.
    """

    def __init__(self, delegate: HTTPMessageDelegate, chunk_size: int, max_body_size: int) -> None:
        self._delegate = delegate
        self._chunk_size = chunk_size
        self._left = max_body_size
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
        if self._members > MAX_MEMBERS:
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
            try:
                piece = decompressor.decompress(data, self._chunk_size)
            except zlib.error as error:
                raise HTTPInputError(f"Invalid gzip body ({error})") from error
            data = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
            if piece:
                self._left -= len(piece)
                if self._left < 0:
                    raise HTTPInputError("Decompressed body too large", 413)
                yield piece
            elif not data:
                return

    def finish(self) -> Awaitable[None] | None:
        if self._begun and self._decompressor is not None and not self._decompressor.eof:
            # We have been told of the end, so nobody will tell us of another one.
            self._delegate.on_connection_close()
            raise HTTPInputError("Truncated gzip body")
        return self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()
