"""Limits: how much a peer may send, hold and wait for. Every bound of a server is here.

Made by applications and given to ``HTTPServer`` (or put together from Tornado's options there); the
reader looks at the sizes, connections at the times, the server at the counts.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of a server and its connections. Each is counted across reads, however the bytes are
    cut. Where None is allowed it means: no bound; 0 means zero.

    Times are kept by one coarse clock per server: a bound on time is never early, and late by up to
    twice its interval (a second).
    """

    # -- the head of a message

    #: bytes of a request line (or status line) without its line end; above: 414
    start_line_bytes: int = 16 * KIB
    #: bytes of start line and header fields together; above: 431
    header_bytes: int = 64 * KIB
    #: header fields; above: 431
    header_fields: int = 128
    #: bytes of one header field, name and value; above: 431
    field_bytes: int = 32 * KIB

    # -- its body

    #: bytes of a body as it is framed, before any content decoding; above: 413. One request may be
    #: given more or less by ``HTTP1Connection.set_max_body_size``
    body_bytes: int = 100 * MIB
    #: bytes in one piece of a body, as it is handed on
    piece_bytes: int = 64 * KIB
    #: bytes of a chunk's size line with its extensions, without its line end; above: 400
    chunk_line_bytes: int = 4 * KIB
    #: bytes of all size lines together, but for 16 and twice the data of each chunk; above: 400
    chunk_excess_bytes: int = 16 * KIB
    #: bytes of a trailer section; above: 431
    trailer_bytes: int = 8 * KIB
    #: trailer fields; above: 431
    trailer_fields: int = 32
    #: bytes of a gzip body when decompressed (None: as many as the body may have); above: 413
    decompressed_bytes: int | None = None
    #: how many times larger than it came a gzip body may become, beyond its first MiB; above: 413
    decompressed_ratio: int | None = 256
    #: gzip members in one body; above: 400
    gzip_members: int = 16

    # -- time, in seconds

    #: from accepting a connection to the end of its first head, from the first byte of a later head
    #: to its end; above: 408, or a close if nothing has come at all
    header_seconds: float | None = 30.0
    #: between two requests; above: a close
    idle_seconds: float | None = 75.0
    #: age of a connection; above: its next answer says that it is the last
    connection_seconds: float | None = 3600.0
    #: between two reads of a body, while we are ready to read; above: 408
    body_gap_seconds: float | None = 30.0
    #: for a whole body, our own time to deal with it included; above: 408
    body_seconds: float | None = None
    #: in which a peer that is behind must have taken what ``write_bytes_per_second`` asks for;
    #: above: the connection is cut
    write_seconds: float | None = 60.0
    #: for a TLS handshake, from accepting the connection on; above: a close
    handshake_seconds: float = 30.0

    # -- rate

    #: bytes a second of a body, on average over ``body_gap_seconds`` in which we are ready to read
    #: (0: any); below: 408
    body_bytes_per_second: int = 500
    #: bytes a second that a peer takes of what waits to be sent, on average over ``write_seconds``
    #: (0: at least one in that time); below: the connection is cut
    write_bytes_per_second: int = 500

    # -- behind the answer

    #: bytes of a request whose answer came early that are read, to nobody, to keep the connection;
    #: above: the answer was its last
    drain_bytes: int = 256 * KIB
    #: seconds and bytes in which a peer that is still sending is given its last answer to read;
    #: above: a close
    linger_seconds: float = 5.0
    linger_bytes: int = 32 * MIB

    # -- a server

    #: connections; at the bound nothing is accepted until one of them closes
    connections: int | None = 32 * KIB
    #: connections from one address; above: closed at once. All clients of a proxy come from one
    connections_per_address: int | None = 16 * KIB
    #: requests that have begun and were not answered on the spot; above: 503
    requests: int | None = 16 * KIB
    #: bytes that the system holds for a connection because its peer has no room for them (TCP on
    #: Linux and macOS); above: what is written waits here
    unsent_bytes: int | None = 256 * KIB


#: What a client bounds by itself: sizes only, for how long it waits is its caller's business.
CLIENT_LIMITS = Limits(
    header_seconds=None,
    idle_seconds=None,
    connection_seconds=None,
    body_gap_seconds=None,
    write_seconds=None,
    header_fields=1024,
    field_bytes=64 * KIB,
    decompressed_ratio=None,
)
