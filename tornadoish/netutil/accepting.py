"""Accepting connections by hand, and telling addresses from names (Tornado: tornado.netutil)."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from tornadoish.log import gen_log

_ACCEPTS_PER_WAKE_UP = 128  # then the loop's other work has its turn
_ACCEPT_PAUSE = 1.0  # seconds without accepting, when the process has run out of something

# The connection is lost, the listener is sound. Linux reports errors already pending on the new
# connection from accept(): accept(2), "Error handling".
_LOST_CONNECTION = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
        getattr(errno, "ENONET", errno.EPROTO),  # Linux only
    }
)


def add_accept_handler(
    sock: socket.socket, callback: Callable[[socket.socket, Any], object]
) -> Callable[[], None]:
    """Accept connections on `sock` from the running event loop.

    Other work of the loop has its turn after every 128 connections. When accepting fails for want
    of file descriptors or memory, it pauses for one second at a time, and says so once.

    :param sock: a listening socket; it is made non-blocking.
    :param callback: called as ``callback(connection, address)`` and owns the connection, a
        non-blocking socket. What it raises goes to the loop's exception handler.
    :returns: a function that stops accepting and leaves `sock` open; call it before closing `sock`.
        Calling it again does nothing.
    :raises RuntimeError: no event loop is running.

    Source: Tornado: tornado.netutil.add_accept_handler.
    """
    return _Acceptor(asyncio.get_running_loop(), sock, callback).stop


class _Acceptor:
    """A listening socket on an event loop. Stopped when `_sock` is None."""

    __slots__ = ("_callback", "_fd", "_loop", "_pause", "_short_of_resources", "_sock")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        callback: Callable[[socket.socket, Any], object],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()  # kept: a closed socket forgets it, and the loop does not
        self._callback = callback
        self._pause: asyncio.TimerHandle | None = None
        self._short_of_resources = False  # and this has been logged
        loop.add_reader(self._fd, self._accept_some)

    def stop(self) -> None:
        if self._sock is None:
            return
        self._sock = None
        if self._pause is None:
            self._loop.remove_reader(self._fd)
        else:
            self._pause.cancel()
            self._pause = None

    def _accept_some(self) -> None:
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            if self._sock is None:  # the callback has stopped us
                return
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _LOST_CONNECTION:
                    continue
                self._pause_after(error)
                return
            self._short_of_resources = False
            connection.setblocking(False)
            # If it raises, the loop's handler hears of it, and the rest come at the next wake-up.
            self._callback(connection, address)

    def _pause_after(self, error: OSError) -> None:
        """Look away for a while: the socket stays readable, and the loop would spin on it."""
        if not self._short_of_resources:
            self._short_of_resources = True
            gen_log.error("cannot accept connections, will keep trying: %s", error)
        self._loop.remove_reader(self._fd)
        self._pause = self._loop.call_later(_ACCEPT_PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._sock is None or self._sock.fileno() != self._fd:  # closed meanwhile
            self._sock = None
            return
        self._loop.add_reader(self._fd, self._accept_some)


def is_valid_ip(ip: str) -> bool:
    """Whether `ip` is an IPv4 address (four decimal numbers) or an IPv6 address (RFC 4291 2.2).

    Nothing is looked up. A zone (``fe80::1%eth0``) is refused: it means something on one host only.

    Source: Tornado: tornado.netutil.is_valid_ip.
    """
    if not ip:
        return False
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    except (OSError, ValueError):  # ValueError: NUL, or text that UTF-8 cannot hold
        return False
    return True
