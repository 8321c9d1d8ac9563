"""Listening sockets, as settings say, and who is in the way where that fails.

Called once, before the event loop, by whichever process makes the sockets: the one that serves, or
the one that starts those that do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from tornadoish.cli import kinds
from tornadoish.cli.errors import CONFIGURATION, CommandError
from tornadoish.cli.settings import DEFAULT_HOST, Settings
from tornadoish.netutil import bind_sockets, bind_unix_socket
from tornadoish.supervisor import inherited_sockets, listening_socket

_BACKLOG = 1024  # connections that wait to be accepted; the system's own bound may be lower
_METRICS_MODE = 0o660
_TCP = (socket.AF_INET, socket.AF_INET6)


def open_sockets(settings: Settings) -> list[socket.socket]:
    """All the sockets that settings name; if they name none, those that a service manager has
    opened for us (sd_listen_fds(3)), or else the usual port.

    :raises CommandError: one cannot be had; then none stays open.
    """
    if not (settings.host or settings.port is not None or settings.unix or settings.fd):
        try:
            inherited = [sock for _, sock in inherited_sockets()]
        except ValueError as error:
            raise CommandError(str(error), CONFIGURATION) from None
        if inherited:
            return inherited
    sockets: list[socket.socket] = []
    try:
        sockets += [_inherited(number) for number in settings.fd]
        if settings.unix:
            sockets.append(_unix(settings.unix, settings.unix_mode))
        if settings.listens_on_tcp:
            sockets += _tcp(settings.hosts, settings.port_wanted)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[list[socket.socket]]:
    """The same, for as long as they are needed; the file of a Unix socket goes with it, unless
    another has taken its place.

    :raises CommandError: as `open_sockets`.
    """
    sockets = open_sockets(settings)
    with closed_at_last(sockets), _removed_at_last(settings.unix):
        yield sockets


@contextlib.contextmanager
def closed_at_last(sockets: Iterable[socket.socket]) -> Iterator[None]:
    """Close them, whoever has closed some of them meanwhile."""
    try:
        yield
    finally:
        for sock in sockets:
            sock.close()


@contextlib.contextmanager
def _removed_at_last(path: str | None) -> Iterator[None]:
    file = path if path and not path.startswith("@") else None  # "@": it is no file
    before = None if file is None else _inode(file)
    try:
        yield
    finally:
        if file is not None and before is not None and _inode(file) == before:
            with contextlib.suppress(OSError):
                os.remove(file)


def _inode(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def opened_address(address: str, option: str) -> Iterator[list[socket.socket]]:
    """Sockets for one address as a text, ``PORT``, ``HOST:PORT`` or ``unix:PATH``, for as long as
    they are needed.

    :raises CommandError: it is none, or cannot be had; ``option`` is how it was told.
    """
    path: str | None = None
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        sockets = [_unix(path, _METRICS_MODE, option)]
    else:
        name, _, port = address.rpartition(":")
        sockets = _tcp((kinds.host(name) if name else DEFAULT_HOST,), int(port), option)
    with closed_at_last(sockets), _removed_at_last(path):
        yield sockets


def try_to_listen(settings: Settings) -> list[str]:
    """The addresses that would be listened on, with a word about those that are in use now. No
    Unix socket is made, for it would take the place of one that is there.

    :raises CommandError: one could never be had.
    """
    told: list[str] = []
    tls = settings.tls_cert is not None
    scheme = "https" if tls else "http"
    for number in settings.fd:
        sock = _inherited(number)
        told.append(url_of(sock, tls))
        sock.detach()
    if settings.unix:
        directory = os.path.dirname(os.path.abspath(settings.unix))
        if not settings.unix.startswith("@") and not os.access(directory, os.W_OK):
            raise CommandError(f"--unix {settings.unix}: {directory} cannot be written to")
        told.append(f"{scheme}+unix:{settings.unix}")
    if settings.listens_on_tcp:
        for host in settings.hosts:
            try:
                for sock in bind_sockets(settings.port_wanted, host or None):
                    told.append(url_of(sock, tls))
                    sock.close()
            except OSError as error:
                why = _why_not(error, host, settings.port_wanted, "--host and --port")
                if error.errno != errno.EADDRINUSE or isinstance(error, socket.gaierror):
                    raise CommandError(why) from None
                told.append(f"{scheme}://{host or '*'}:{settings.port_wanted}, in use now")
    return told


def url_of(sock: socket.socket, tls: bool) -> str:
    """Where a browser finds it, or where else it is."""
    address = sock.getsockname()
    scheme = "https" if tls else "http"
    if sock.family not in _TCP:
        path = os.fsdecode(address)
        return f"{scheme}+unix:{path.replace(chr(0), '@', 1)}"
    host, port = address[0], address[1]
    if sock.family == socket.AF_INET6:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port == default else f"{scheme}://{host}:{port}"


def urls_of(sockets: Iterable[socket.socket], tls: bool) -> str:
    """The same of all of them, for the log."""
    return " and ".join(url_of(sock, tls) for sock in sockets)


def _inherited(number: int) -> socket.socket:
    try:
        return listening_socket(number)
    except ValueError as error:
        raise CommandError(f"--fd {number}: {error}") from None


def _unix(path: str, mode: int, option: str = "--unix") -> socket.socket:
    """A path, or on Linux an abstract name, which begins with @."""
    name = f"\0{path[1:]}" if path.startswith("@") else path
    if _answers(name):
        raise CommandError(f"{option} {path}: another process listens there: end that, or take "
                           "another path")  # fmt: skip
    try:
        return bind_unix_socket(name, mode, _BACKLOG)
    except ValueError as error:
        raise CommandError(f"{option} {path}: {error}: take another path") from None
    except OSError as error:
        mend = {
            errno.ENOENT: "make its directory first",
            errno.EACCES: "this user may not write there",
            errno.EADDRINUSE: "that name is in use",
        }.get(error.errno or 0)
        if "too long" in str(error):
            mend = "a path of a socket has about 100 bytes at most"
        raise CommandError(f"{option} {path}: {mend or error.strerror or error}") from None


def _answers(name: str) -> bool:
    """Whether somebody listens on a Unix socket: binding would take its file away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(name)
        except BlockingIOError:  # and has more to do than it can
            return True
        except OSError:
            return False
    return True


def _tcp(
    hosts: tuple[str, ...], port: int, option: str = "--host and --port"
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    host = ""
    try:
        for host in hosts:
            sockets += bind_sockets(port, host or None, backlog=_BACKLOG)
            port = sockets[0].getsockname()[1]  # the same for all, if any would do
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise CommandError(_why_not(error, host, port, option)) from None
    return sockets


def _why_not(error: OSError, host: str, port: int, option: str) -> str:
    where = f"{host or '*'}:{port}" if ":" not in host else f"[{host}]:{port}"
    one_port = option.rpartition(" ")[2]
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}: {option.partition(' ')[0]} takes an IP address or a host name"
    if error.errno == errno.EADDRINUSE:
        users = ", ".join(_users_of(port))
        by = f" by {users}" if users else ""
        return f"{where} is in use{by}: end that, or take another port with {one_port}"
    if error.errno == errno.EACCES:
        return (
            f"{where} is not for this user: take a port from 1024 on with {one_port}, or give the "
            "process the capability CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: no interface of this machine has that address; * is all of them"
    return f"{where}: {error.strerror or error}"


# -- who is in the way, as far as Linux and our rights tell


def _users_of(port: int) -> list[str]:
    """The processes that listen on a port: ``python3 (pid 4711)``."""
    inodes = set(_listening_on(port))
    if not inodes:
        return []
    found: list[str] = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _has_socket(process, inodes):
            try:
                name = (process / "comm").read_text(errors="replace").strip()
            except OSError:
                continue
            found.append(f"{name} (pid {process.name})")
    return sorted(found)[:3]


def _listening_on(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:  # TCP_LISTEN
                yield words[9]


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        for entry in (process / "fd").iterdir():
            target = os.readlink(entry)
            if target.startswith("socket:[") and target[8:-1] in inodes:
                return True
    except OSError:  # another user's, or gone
        pass
    return False
