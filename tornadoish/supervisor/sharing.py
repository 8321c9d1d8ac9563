"""Which worker listens on which socket.

Used by the supervisor, before it starts workers.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

_BACKLOG = 1024


def sockets_of_slots(
    sockets: Sequence[socket.socket], slots: int, split: bool
) -> list[list[socket.socket]]:
    """For each slot the sockets of its workers.

    :param split: give each slot a TCP socket of its own on each address (SO_REUSEPORT: the kernel
        picks one by a hash of the connection's addresses). Only Linux balances them, so elsewhere,
        as for Unix sockets, all slots share one.
    :raises OSError: no further socket can be bound.
    """
    groups = [list(sockets)]
    for _ in range(1, slots):
        groups.append([_sibling(sock) if split and _can_split(sock) else sock for sock in sockets])
    return groups


def _can_split(sock: socket.socket) -> bool:
    return sys.platform == "linux" and sock.family in (socket.AF_INET, socket.AF_INET6)


def _sibling(sock: socket.socket) -> socket.socket:
    """Another socket that listens on the same address."""
    # The first was bound without it, so whoever listens there already was noticed. Set now, it lets
    # in sockets of this user that set it before they are bound, such as this one.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sibling = socket.socket(sock.family, socket.SOCK_STREAM)
    try:
        sibling.setblocking(False)
        sibling.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sibling.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            sibling.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        sibling.bind(sock.getsockname())
        sibling.listen(_BACKLOG)
    except BaseException:
        sibling.close()
        raise
    return sibling
