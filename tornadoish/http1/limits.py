"""How much a peer may send in each part of an HTTP/1 message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of the reader; each is counted across reads, however the bytes are cut."""

    #: bytes of a request line (or status line) without its line end; above: 414
    start_line_bytes: int = 16 * 1024
    #: bytes of start line and header fields together; above: 431
    header_bytes: int = 64 * 1024
    #: header fields; above: 431
    header_fields: int = 128
    #: bytes of a body as it is framed (before any content decoding); above: 413
    body_bytes: int = 100 * 1024 * 1024
    #: bytes of a chunk's size line with its extensions, without its line end; above: 400
    chunk_line_bytes: int = 4 * 1024
    #: bytes of all size lines together, but for 16 and twice the data of each chunk; above: 400
    chunk_excess_bytes: int = 16 * 1024
    #: bytes of a trailer section; above: 431
    trailer_bytes: int = 8 * 1024
    #: trailer fields; above: 431
    trailer_fields: int = 32
    #: bytes in one piece of a body, as it is handed on
    piece_bytes: int = 64 * 1024
