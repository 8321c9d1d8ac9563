"""HTTP1ConnectionParameters: what a connection allows (Tornado: http1connection)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tornadoish.http1.limits import CLIENT_LIMITS, Limits


@dataclass(frozen=True)
class HTTP1ConnectionParameters:
    """Bounds and habits of HTTP/1 connections. None stands for the default, 0 for zero."""

    #: close after one message
    no_keep_alive: bool = False
    #: bytes of a body that a delegate is given at a time (default 64 KiB)
    chunk_size: int | None = None
    #: bytes of a start line and its header fields (default 64 KiB)
    max_header_size: int | None = None
    #: seconds that a connection may take until its next head is there (default: that of ``limits``)
    header_timeout: float | None = None
    #: bytes of a body (default: the stream's ``max_buffer_size``, 100 MiB)
    max_body_size: int | None = None
    #: seconds that a body may take (default: that of ``limits``)
    body_timeout: float | None = None
    #: whether bodies with ``Content-Encoding: gzip`` are decompressed
    decompress: bool = False
    #: every other bound (ours alone, not Tornado's; default: ``Limits()`` for a server, the same
    #: without bounds on time for a client). What is given above counts before it.
    limits: Limits | None = None

    @cached_property
    def _bounds(self) -> dict[tuple[int, bool], Limits]:
        return {}

    def bounds(self, max_buffer_size: int, *, is_client: bool) -> Limits:
        """All bounds together, for a stream that may hold ``max_buffer_size`` bytes."""
        bounds = self._bounds.get((max_buffer_size, is_client))
        if bounds is None:
            bounds = self._bounds[max_buffer_size, is_client] = self._merge(
                max_buffer_size, CLIENT_LIMITS if is_client else Limits()
            )
        return bounds

    def _merge(self, max_buffer_size: int, default: Limits) -> Limits:
        given: dict[str, Any] = {}
        if self.limits is None:
            given["body_bytes"] = max_buffer_size
        for field, value in (
            ("piece_bytes", None if self.chunk_size is None else max(1, self.chunk_size)),
            ("header_bytes", self.max_header_size),
            ("header_seconds", self.header_timeout),
            ("idle_seconds", self.header_timeout),
            ("body_bytes", self.max_body_size),
            ("body_seconds", self.body_timeout),
        ):
            if value is not None:
                given[field] = value
        limits = self.limits or default
        # Tornado has but one bound for a head: who raises it means each of its fields, too.
        given["field_bytes"] = max(limits.field_bytes, self.max_header_size or 0)
        return replace(limits, **given)
