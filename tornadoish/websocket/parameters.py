"""Parameters: what a WebSocket connection allows, and how it is looked after.

Handlers and clients make them of their attributes and arguments; connections that are given the
same share one object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tornadoish.ws import DeflateOptions

#: bytes of a message (Tornado's name, which applications import)
_default_max_message_size = 10 * 1024 * 1024
MAX_UNSENT_BYTES = 16 * 1024 * 1024
SEND_SECONDS = 60.0
CLOSE_SECONDS = 5.0

CompressionOptions = Mapping[str, Any] | DeflateOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Bounds of one connection, in bytes and seconds."""

    #: of a message, decompressed; above: 1009. None: as large as it likes
    max_message_size: int | None = _default_max_message_size
    #: between two pings; None and 0: there are none
    ping_interval: float | None = None
    #: from a ping on, in which anything at all must come; None: ``ping_interval``, and never more
    #: than that; 0: nobody looks
    ping_timeout: float | None = None
    #: that wait here for a slow peer; above: 1013
    max_unsent_bytes: int = MAX_UNSENT_BYTES
    #: that ``send`` waits for a slow peer; above: 1013. In which a peer that is behind must take
    #: something; above: the connection is cut. None: for ever
    send_timeout: float | None = SEND_SECONDS
    #: from our Close to the peer's; above: the connection is cut
    close_timeout: float = CLOSE_SECONDS

    @property
    def pong_seconds(self) -> float:
        """How long to wait for a sign of life; 0: nobody looks."""
        interval = self.ping_interval or 0
        return interval if self.ping_timeout is None else min(self.ping_timeout, interval)


shared_parameters = lru_cache(maxsize=256)(Parameters)


def deflate_options(options: CompressionOptions | None) -> DeflateOptions | None:
    """What ``get_compression_options`` and ``websocket_connect`` are told, as the core takes it.

    :param options: None for no compression; a mapping with ``compression_level``, ``mem_level``
        (Tornado's), or any option of :class:`DeflateOptions`; or one of those.
    :raises TypeError: an unknown option.
    :raises ValueError: a value out of range.
    """
    if options is None or isinstance(options, DeflateOptions):
        return options
    known = dict(options)
    if "compression_level" in known:
        known["level"] = known.pop("compression_level")
    return DeflateOptions(**known)
