"""Places: how many connections a server has, in all and from each address.

Kept by ``TCPServer``: a connection takes its place when it is accepted and leaves it when its
socket is closed, whoever has the stream by then. It never closes anything itself.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96 (RFC 4291, 2.5.5.2)


class Places:
    """The count. ``changed`` is called whenever a place has been left.

    :param most_per_address: places that one address may have; None: any number.
    """

    __slots__ = ("_by_address", "_changed", "_most_per_address", "taken")

    def __init__(self, most_per_address: int | None, changed: Callable[[], None]) -> None:
        #: how many places are taken
        self.taken = 0
        self._most_per_address = most_per_address
        self._by_address: dict[object, int] = {}
        self._changed = changed

    def take(self) -> Place:
        """A place for a connection, as yet without an address."""
        self.taken += 1
        return Place(self)

    def _enter(self, peer: object) -> bool:
        count = self._by_address.get(peer, 0)
        if self._most_per_address is not None and count >= self._most_per_address:
            return False
        self._by_address[peer] = count + 1
        return True

    def _leave(self, peer: object) -> None:
        self.taken -= 1
        if peer is not None:
            count = self._by_address[peer] - 1
            if count:
                self._by_address[peer] = count
            else:
                del self._by_address[peer]
        self._changed()


class Place:
    """One connection's."""

    __slots__ = ("_peer", "_places")

    def __init__(self, places: Places) -> None:
        self._places: Places | None = places
        self._peer: object = None

    def belongs_to(self, address: Any) -> bool:
        """Count it for ``address``, as ``accept`` gives it, too. False: it has its share already.

        A peer on a Unix socket has no address that could be counted.
        """
        places, peer = self._places, _peer_of(address)
        if places is None or peer is None:
            return True
        if not places._enter(peer):
            return False
        self._peer = peer
        return True

    def leave(self) -> None:
        """The connection is gone. Calling this again does nothing."""
        places, self._places = self._places, None
        if places is not None:
            places._leave(self._peer)


def _peer_of(address: Any) -> object:
    """What counts as one peer: an IPv4 address, or 64 bits of an IPv6 one.

    For a host has as many addresses as it likes with its /64 (RFC 7934), and can change them with
    every connection (RFC 8981).
    """
    if not isinstance(address, tuple) or not address[0]:
        return None
    ip: str = address[0]
    if ":" not in ip:
        return ip
    packed = socket.inet_pton(socket.AF_INET6, ip.partition("%")[0])
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return packed[:8]
