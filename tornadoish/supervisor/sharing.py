"""Sharing: which worker listens on which socket.

Made by the supervisor, before it starts workers. It opens and closes sockets and never accepts.

Either all workers accept from one socket, or each slot has a socket of its own on the same address
(SO_REUSEPORT) and the kernel picks one by a hash of a connection's addresses. The second is more
even: with one socket whoever is woken first takes all that there are. Of 64 connections made at
once the busiest of four workers got 70 % with one and 33 % with a socket each on asyncio, 53 % and
30 % on uvloop; a fourth would be just (``benchmarks/worker_balance.py``; the table is in
docs/decisions.md).

The price: who waits in the queue of a worker that hangs is served by no other one. The supervisor
kills such a worker, and its successor serves the queue; and a slot in which nobody can stay is
parked: its queue is closed.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tornadoish.log import gen_log


class _Address(NamedTuple):
    family: socket.AddressFamily
    sockaddr: Any
    ipv6_only: int


class Sharing:
    """The listening sockets of all slots.

    :param sockets: sockets that listen; from now on they are this object's.
    :param split: give each slot a TCP socket of its own on each address. Where that cannot be, as
        with Unix sockets, outside of Linux, or with a socket that another user has opened, all
        slots share one.
    """

    __slots__ = ("_addresses", "_groups", "_sockets")

    def __init__(self, sockets: Sequence[socket.socket], slots: int, split: bool) -> None:
        self._sockets = list(sockets)
        self._addresses: list[_Address] | None = None
        #: by slot: its own sockets; None: it has none at the moment
        self._groups: list[list[socket.socket] | None] = [self._sockets] * slots
        if split and slots > 1 and all(_can_split(sock) for sock in sockets):
            self._split()

    def _split(self) -> None:
        addresses = [_address_of(sock) for sock in self._sockets]
        for sock in self._sockets:
            # Each was bound without it, so whoever listened there already was noticed. Set now, it
            # lets in sockets of this user that have it set before they are bound: the siblings.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            further = [_siblings(addresses) for _ in self._groups[1:]]
        except OSError as error:
            gen_log.info("All workers share one socket: no further one can be bound (%s)", error)
        else:
            self._addresses = addresses
            self._groups[1:] = further

    def of(self, slot: int) -> list[socket.socket]:
        """The sockets that a worker in this slot is to inherit. They need not listen yet: a queue
        begins when there is somebody to serve it (``WorkerLink.ready``).

        :raises OSError: the slot was parked, and its sockets cannot be bound anew.
        """
        group = self._groups[slot]
        if group is None:
            group = self._groups[slot] = _siblings(self._addresses or [])
        return group

    def park(self, slot: int) -> None:
        """Nobody serves here for a while: the kernel is to ask other slots."""
        group = self._groups[slot]
        if self._addresses is not None and group is not None:
            self._groups[slot] = None
            for sock in group:
                sock.close()

    def close(self) -> None:
        for group in self._groups:
            for sock in group or []:
                sock.close()


def _can_split(sock: socket.socket) -> bool:
    return sys.platform == "linux" and sock.family in (socket.AF_INET, socket.AF_INET6)


def _address_of(sock: socket.socket) -> _Address:
    only = 0
    if sock.family == socket.AF_INET6:
        only = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return _Address(sock.family, sock.getsockname(), only)


def _siblings(addresses: Sequence[_Address]) -> list[socket.socket]:
    """Further sockets on these addresses, bound only."""
    siblings: list[socket.socket] = []
    try:
        for family, sockaddr, ipv6_only in addresses:
            sock = socket.socket(family, socket.SOCK_STREAM)
            siblings.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ipv6_only)
            sock.bind(sockaddr)
    except BaseException:
        for sock in siblings:
            sock.close()
        raise
    return siblings
