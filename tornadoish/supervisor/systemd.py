"""What a service manager says to a process and wants to hear: systemd's protocol, or its like.

Used by the supervisor, and by a server that runs without one. Plain sockets: nothing of systemd is
needed. Where there is no such manager, nothing happens.

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import MutableMapping
from typing import Self

from tornadoish.log import gen_log

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_SOCKET_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
# A manager that is busy is waited for so long; its queue is short (net.unix.max_dgram_qlen).
_SEND_SECONDS = 1.0
_NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def inherited_sockets(
    environment: MutableMapping[str, str] | None = None,
) -> list[tuple[str, socket.socket]]:
    """The listening sockets that the service manager has opened for this process ("socket
    activation"), as (name, socket); the name is "unknown" if there is none. Empty: there are none.

    Can be had once: the variables are removed, and no process that is started from here inherits
    the descriptors unless it is given them.

    :param environment: default ``os.environ``.
    :raises ValueError: the variables are not numbers, or a descriptor is no listening stream
        socket.

    Source: sd_listen_fds(3).
    """
    if environment is None:
        environment = os.environ
    told = {name: environment.pop(name, "") for name in _SOCKET_VARIABLES}
    if not told["LISTEN_FDS"]:
        return []
    try:
        if int(told["LISTEN_PID"]) != os.getpid():  # meant for another process
            return []
        count = int(told["LISTEN_FDS"])
    except ValueError:
        raise ValueError(f"socket activation: no numbers in {told}") from None
    names = told["LISTEN_FDNAMES"].split(":") if told["LISTEN_FDNAMES"] else []
    found = []
    for index in range(count):
        name = names[index] if index < len(names) else "unknown"
        number = _FIRST_FD + index
        try:
            found.append((name, listening_socket(number)))
        except ValueError as error:
            raise ValueError(f"socket activation: descriptor {number} ({name}): {error}") from None
    return found


def listening_socket(number: int) -> socket.socket:
    """The listening stream socket of a descriptor that this process was given. No process that is
    started from here inherits it unless it is given it.

    :raises ValueError: it is none; the descriptor stays as it is.
    """
    try:
        mode = os.fstat(number).st_mode
    except OSError:
        raise ValueError("no such descriptor was inherited") from None
    if not stat.S_ISSOCK(mode):
        raise ValueError("that is no socket")
    sock = socket.socket(fileno=number)
    try:
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if sock.type != socket.SOCK_STREAM or not listens:
        sock.detach()
        raise ValueError("that socket does not listen")
    os.set_inheritable(number, False)
    return sock


class Notifier:
    """Tells the service manager how this process is.

    :param address: of the manager's socket: a path, or a name that begins with "@"; None: nobody
        wants to hear anything.
    :param watchdog_seconds: within which the manager wants a sign of life; None: it does not.
    """

    __slots__ = ("_address", "_said_why", "watchdog_seconds")

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        #: call :meth:`watchdog` in half of it, at the latest
        self.watchdog_seconds = watchdog_seconds
        self._said_why = False

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> Self:
        """What the manager has told this process. Can be had once: the variables are removed, so
        that no process that is started from here speaks for this one."""
        if environment is None:
            environment = os.environ
        address, microseconds, pid = (environment.pop(name, "") for name in _NOTIFY_VARIABLES)
        seconds = None
        if microseconds and (not pid or pid == str(os.getpid())):
            try:
                seconds = int(microseconds) / 1_000_000 or None
            except ValueError:
                gen_log.warning("WATCHDOG_USEC is no number: %r", microseconds)
        return cls(address or None, seconds)

    def ready(self, status: str = "") -> None:
        """Started, or done with reloading.

        :param status: a line for people, as ``systemctl status`` shows it.
        """
        self._send("READY=1", status)

    def reloading(self, status: str = "") -> None:
        """Reloading has begun; :meth:`ready` tells its end."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}", status)

    def stopping(self, status: str = "") -> None:
        """Draining has begun."""
        self._send("STOPPING=1", status)

    def watchdog(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1", seconds=0.0)

    def _send(self, state: str, status: str = "", seconds: float = _SEND_SECONDS) -> None:
        if self._address is None:
            return
        if status:
            line = "".join(char if char.isprintable() else " " for char in status)
            state += f"\nSTATUS={line}"
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(seconds)
                sock.sendto(state.encode(), address)
        except OSError as error:
            if not self._said_why:
                self._said_why = True
                gen_log.warning("The service manager at %s hears nothing: %s", address, error)
