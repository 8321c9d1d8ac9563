"""How much of what is written a peer takes, and whether it is there at all.

Asked by streams whose peers are slow; never on the way of a write that goes out at once.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

_ACKNOWLEDGED = struct.Struct("=120xQ")  # tcpi_bytes_acked in struct tcp_info, tcp(7)


class Progress:
    """What a peer has taken since this was made.

    The system is asked how much has been acknowledged. Where it does not say, what has left the
    transport has to do; but the system takes more only when a third of its own queue is empty, and
    TLS takes all at once. So somebody slow, but honest, may seem to take nothing for a while.
    """

    __slots__ = ("_acknowledged", "_transport", "_waiting", "given")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._acknowledged = _acknowledged(transport)
        self._waiting: int = transport.get_write_buffer_size()
        #: bytes that have been written since, as the writer says
        self.given = 0

    def taken(self) -> int:
        """Bytes."""
        if self._acknowledged is not None:
            now = _acknowledged(self._transport)
            if now is not None:
                return now - self._acknowledged
        waiting: int = self._transport.get_write_buffer_size()
        return self._waiting + self.given - waiting


def _acknowledged(transport: Any) -> int | None:
    """Bytes that the peer's system has had from this connection; None: who knows."""
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
    except (OSError, AttributeError):  # closed, or not over TCP; or not a socket's transport
        return None
    if len(info) < _ACKNOWLEDGED.size:  # before Linux 4.1
        return None
    count: int = _ACKNOWLEDGED.unpack(info)[0]
    return count


def unsent_bytes(stream: Any) -> int:
    """Bytes that were written to ``stream`` and wait for its peer, as far as they wait here."""
    transport = stream._transport
    return 0 if transport is None else int(transport.get_write_buffer_size())


# Seconds of silence before the system asks, between two questions, and how many it asks.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


def keep_alive(stream: Any) -> None:
    """Let the system find out when the peer of a silent connection has vanished (RFC 1122,
    4.2.3.6), within some minutes; no effect but on TCP."""
    sock = stream.socket
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
