"""Sockets that listen: bound, and ready to accept (Tornado: tornado.netutil)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import Any

_BACKLOG = 128  # connections that wait to be accepted (Tornado's default)
_PORT_DRAWS = 16  # ports to try, when the kernel's pick for one address is taken on another


def bind_sockets(
    port: int,
    address: str | None = None,
    family: socket.AddressFamily = socket.AF_UNSPEC,
    backlog: int = _BACKLOG,
    flags: int | None = None,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """Listen on a TCP port of every address that `address` stands for.

    The sockets are non-blocking and already listening. IPv4 comes before IPv6, and an IPv6 socket
    never takes IPv4 connections. If one address fails, none stays open.

    :param port: 0 to 65535; 0 lets the kernel choose one port that is free on all the addresses.
    :param address: an IP address, a host name (all its addresses), or None or ``""`` for every
        interface.
    :param family: ``AF_INET`` or ``AF_INET6`` to use only that family.
    :param backlog: connections that may wait to be accepted, as in `socket.socket.listen`.
    :param flags: ``AI_*`` flags for `socket.getaddrinfo`; default ``AI_PASSIVE``.
    :param reuse_port: set ``SO_REUSEPORT``, so that several processes can listen on one port.
    :raises ValueError: `port` is out of range, or the platform has no ``SO_REUSEPORT``.
    :raises socket.gaierror: `address` cannot be resolved.
    :raises OSError: an address cannot be listened on; the message names it. A host name's ``::1``
        and families unknown to the kernel are passed over while another address is left.

    Source: Tornado: tornado.netutil.bind_sockets.
    """
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("this platform has no SO_REUSEPORT")
    port = int(port)  # environment variables and options come as text
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not in 0..65535")  # getaddrinfo would cut it to 16 bits
    addresses = _addresses_to_bind(port, address, family, flags)
    spoilt: list[socket.socket] = []  # held until the end, or the kernel would pick their port anew
    draws_left = _PORT_DRAWS if port == 0 else 1
    try:
        while True:
            draws_left -= 1
            sockets: list[socket.socket] = []
            try:
                _listen_on(addresses, sockets, backlog, reuse_port)
            except BaseException as error:
                spoilt += sockets
                taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                if not taken or draws_left == 0:
                    raise
            else:
                return sockets
    finally:
        for sock in spoilt:
            sock.close()


def _addresses_to_bind(
    port: int, address: str | None, family: socket.AddressFamily, flags: int | None
) -> list[tuple[int, tuple[Any, ...]]]:
    """The distinct (family, socket address) pairs for `bind_sockets`, IPv4 first."""
    if flags is None:
        flags = socket.AI_PASSIVE
    try:
        found = socket.getaddrinfo(address or None, port, family, socket.SOCK_STREAM, 0, flags)
    except (socket.gaierror, ValueError) as error:  # ValueError: not even an IDNA label
        raise resolution_error(address, error) from None
    # localhost on macOS includes fe80::1%lo0, and binding that makes its firewall ask the user.
    pairs = [
        (found_family, sockaddr)
        for found_family, _, _, _, sockaddr in found
        if not (address == "localhost" and found_family == socket.AF_INET6 and sockaddr[-1])
    ]
    return sorted(dict.fromkeys(pairs), key=lambda pair: pair[0])


def resolution_error(host: str | None, error: socket.gaierror | ValueError) -> socket.gaierror:
    """The same failure as a gaierror that names the host."""
    if isinstance(error, socket.gaierror):
        return socket.gaierror(error.errno, f"cannot resolve {host!r}: {error.strerror}")
    return socket.gaierror(socket.EAI_NONAME, f"cannot resolve {host!r}: not a host name")


def _listen_on(
    addresses: list[tuple[int, tuple[Any, ...]]],
    sockets: list[socket.socket],
    backlog: int,
    reuse_port: bool,
) -> None:
    """Bind every address, then listen on all; `sockets` receives each one as it is opened.

    Port 0 becomes, for all the addresses, the port that the kernel gave to the first.
    """
    passed_over: OSError | None = None
    port = 0
    for family, sockaddr in addresses:
        host = sockaddr[0]
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise
            passed_over = _naming(error, host, sockaddr[1])
            continue
        sockets.append(sock)
        _set_listener_options(sock, reuse_port)
        wanted = sockaddr[1] or port
        try:
            sock.bind((host, wanted, *sockaddr[2:]))
        except OSError as error:
            named = _naming(error, host, wanted)
            # Containers often resolve localhost to ::1 too and have no such address. Any other
            # address that is not there may be a typing error and has to be said.
            if error.errno != errno.EADDRNOTAVAIL or host != "::1":
                raise named from None
            passed_over = named
            sockets.pop().close()
            continue
        port = sock.getsockname()[1]
    if passed_over is not None and not sockets:
        raise passed_over
    for sock in sockets:
        try:
            sock.listen(backlog)
        except OSError as error:  # EADDRINUSE may come this late, thanks to SO_REUSEADDR
            raise _naming(error, *sock.getsockname()[:2]) from None


def _naming(error: OSError, host: str, port: int) -> OSError:
    """The same error, saying which address it was about."""
    return OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror or error}")


def _set_listener_options(sock: socket.socket, reuse_port: bool) -> None:
    sock.setblocking(False)
    if os.name == "posix":  # elsewhere it would let another process steal the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        # Else "::" takes the IPv4 port as well, and 0.0.0.0 cannot be bound beside it.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def bind_unix_socket(file: str, mode: int = 0o600, backlog: int = _BACKLOG) -> socket.socket:
    """Listen on a Unix domain socket; the socket is non-blocking and already listening.

    A socket that is there under this name is replaced, in use or not.

    :param file: a path, or on Linux an abstract name, which begins with NUL.
    :param mode: permissions of the file; they hold before the first client can connect. An abstract
        name has none.
    :param backlog: connections that may wait to be accepted.
    :raises ValueError: something other than a socket has this name.
    :raises OSError: the name is too long, its directory cannot be written, ...

    Availability: Unix. Source: Tornado: tornado.netutil.bind_unix_socket.
    """
    abstract = file.startswith("\0")
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.setblocking(False)
        if not abstract:
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISSOCK(os.stat(file).st_mode):
                    raise ValueError(f"{file!r} exists and is not a socket")
                os.remove(file)
        try:
            sock.bind(file)
            if not abstract:
                undo.callback(_remove_if_there, file)
                os.chmod(file, mode)
            sock.listen(backlog)
        except OSError as error:
            reason = error.strerror or error
            raise OSError(error.errno, f"cannot listen on {file!r}: {reason}") from None
        undo.pop_all()
    return sock


def _remove_if_there(file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(file)


def bound_unsent(sock: socket.socket, size: int) -> None:
    """Let the system hold at most about ``size`` bytes that a connection's peer has no room for, in
    the connections of a listening socket, which take this over from it; else it holds megabytes for
    each peer that reads slowly. No effect where the system cannot be told.

    Source: TCP_NOTSENT_LOWAT, tcp(7).
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, size)
