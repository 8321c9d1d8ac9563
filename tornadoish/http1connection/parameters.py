"""HTTP1ConnectionParameters: what a connection allows (Tornado: http1connection)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tornadoish.http1.limits import Limits

DEFAULT_CHUNK_SIZE = 64 * 1024
DEFAULT_MAX_HEADER_SIZE = 64 * 1024


@dataclass(frozen=True)
class HTTP1ConnectionParameters:
    """Bounds and habits of HTTP/1 connections. None stands for the default, 0 for zero."""

    #: close after one message
    no_keep_alive: bool = False
    #: bytes of a body that a delegate is given at a time (default 64 KiB)
    chunk_size: int | None = None
    #: bytes of a start line and its header fields (default 64 KiB)
    max_header_size: int | None = None
    #: seconds that a connection may take until its next head is there (default: for ever)
    header_timeout: float | None = None
    #: bytes of a body (default: the stream's ``max_buffer_size``, 100 MiB)
    max_body_size: int | None = None
    #: seconds that a body may take (default: for ever)
    body_timeout: float | None = None
    #: whether bodies with ``Content-Encoding: gzip`` are decompressed
    decompress: bool = False

    @cached_property
    def _limits(self) -> dict[int, Limits]:
        return {}

    def limits(self, max_buffer_size: int) -> Limits:
        """The bounds for the reader of a stream that may hold ``max_buffer_size`` bytes."""
        limits = self._limits.get(max_buffer_size)
        if limits is None:
            body = self.max_body_size
            header = self.max_header_size
            piece = self.chunk_size
            limits = Limits(
                header_bytes=DEFAULT_MAX_HEADER_SIZE if header is None else header,
                body_bytes=max_buffer_size if body is None else body,
                piece_bytes=DEFAULT_CHUNK_SIZE if piece is None else max(1, piece),
            )
            self._limits[max_buffer_size] = limits
        return limits
