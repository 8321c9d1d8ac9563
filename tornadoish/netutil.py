"""Sockets, TLS contexts, address checks and name resolution, with Tornado's names.

Called by tcpserver and iostream, and by applications that bind their own sockets. It never reads
from or writes to a connection and knows no protocol. Nothing here blocks a running event loop,
except `bind_sockets` with a host name that has to be looked up; it is meant for start-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, ClassVar, Self

from tornadoish.log import gen_log
from tornadoish.util import import_object

__all__ = [
    "BlockingResolver",
    "DefaultExecutorResolver",
    "DefaultLoopResolver",
    "ExecutorResolver",
    "OverrideResolver",
    "Resolver",
    "ThreadedResolver",
    "add_accept_handler",
    "bind_sockets",
    "bind_unix_socket",
    "is_valid_ip",
    "ssl_options_to_context",
    "ssl_wrap_socket",
]

_BACKLOG = 128  # connections that wait to be accepted (Tornado's default)
_PORT_DRAWS = 16  # ports to try, when the kernel's pick for one address is taken on another

# ------------------------------------------------------------------------------ listening


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
        raise _resolution_error(address, error) from None
    # localhost on macOS includes fe80::1%lo0, and binding that makes its firewall ask the user.
    pairs = [
        (found_family, sockaddr)
        for found_family, _, _, _, sockaddr in found
        if not (address == "localhost" and found_family == socket.AF_INET6 and sockaddr[-1])
    ]
    return sorted(dict.fromkeys(pairs), key=lambda pair: pair[0])


def _resolution_error(host: str | None, error: socket.gaierror | ValueError) -> socket.gaierror:
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


# ------------------------------------------------------------------------------ accepting

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


# ------------------------------------------------------------------------------ addresses


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


# ------------------------------------------------------------------------------ TLS

_SSL_OPTIONS = frozenset(["ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"])


@functools.cache
def _client_ssl_defaults() -> ssl.SSLContext:
    """The context of a client that asks for nothing special: `ssl.create_default_context`.

    Made on first use: loading the system's certificates is slow, and on some systems starts
    threads, which do not survive a fork.
    """
    return ssl.create_default_context(ssl.Purpose.SERVER_AUTH)


@functools.cache
def _server_ssl_defaults() -> ssl.SSLContext:
    """The same for a server; it has no certificate yet."""
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def ssl_options_to_context(
    ssl_options: dict[str, Any] | ssl.SSLContext, server_side: bool | None = None
) -> ssl.SSLContext:
    """Make an SSLContext from a dict of options; an SSLContext is returned as it is.

    The options, all optional, where None is the same as absence:

    - ``certfile``, ``keyfile``: paths of our certificate chain and its key, PEM;
    - ``ca_certs``: path of the authorities to trust, PEM; default: the system's for a client, none
      for a server;
    - ``cert_reqs``: whether the peer needs a certificate, ``ssl.CERT_*``; default CERT_REQUIRED for
      a client (which then also checks the host name), CERT_NONE for a server;
    - ``ciphers``: in OpenSSL's notation;
    - ``ssl_version``: a ``ssl.PROTOCOL_*`` constant; default: whatever is considered secure today.

    :param server_side: which end of the connection it is for; None: a server if there is a
        certfile, else a client.
    :raises TypeError: `ssl_options` is neither a dict nor an SSLContext.
    :raises ValueError: an unknown option, or a keyfile without a certfile.
    :raises OSError: a file cannot be read.
    :raises ssl.SSLError: a file, or the ciphers, cannot be used.

    Source: Tornado: tornado.netutil.ssl_options_to_context.
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    if not isinstance(ssl_options, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"ssl_options: dict or SSLContext, not {type(ssl_options).__name__}")
    unknown = ssl_options.keys() - _SSL_OPTIONS
    if unknown:
        raise ValueError(f"unknown ssl_options: {', '.join(sorted(map(str, unknown)))}")
    options = {name: value for name, value in ssl_options.items() if value is not None}
    if "keyfile" in options and "certfile" not in options:
        raise ValueError("ssl_options: keyfile without certfile")
    if server_side is None:
        server_side = "certfile" in options
    default_version = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(options.get("ssl_version", default_version))
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    # A ssl_version of the caller's must not switch a client's checks off: only cert_reqs may.
    checked = options.get("cert_reqs", ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED)
    context.check_hostname = not server_side and checked != ssl.CERT_NONE
    context.verify_mode = checked
    if "ca_certs" in options:
        context.load_verify_locations(options["ca_certs"])
    elif not server_side and checked != ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    return context


def ssl_wrap_socket(
    socket: socket.socket,
    ssl_options: dict[str, Any] | ssl.SSLContext,
    server_hostname: str | None = None,
    server_side: bool | None = None,
    **kwargs: Any,
) -> ssl.SSLSocket:
    """Wrap a socket in TLS; a connected one does its handshake at once unless told otherwise.

    :param ssl_options: as in `ssl_options_to_context`.
    :param server_hostname: the name that the server's certificate must have, and SNI.
    :param server_side: which end this is; None means the client.
    :param kwargs: for `ssl.SSLContext.wrap_socket`, such as ``do_handshake_on_connect``.
    :raises ValueError: as `ssl_options_to_context`; or a client that checks host names has none.
    :raises ssl.SSLError: the context is for the other end, or the handshake failed.

    Source: Tornado: tornado.netutil.ssl_wrap_socket.
    """
    server_side = bool(server_side)
    context = ssl_options_to_context(ssl_options, server_side=server_side)
    return context.wrap_socket(
        socket, server_side=server_side, server_hostname=server_hostname, **kwargs
    )


# ------------------------------------------------------------------------------ resolving


class Resolver:
    """Turns host names into socket addresses; ``Resolver()`` makes a `DefaultLoopResolver`.

    A subclass overrides `resolve`, and `initialize` (not ``__init__``) for its own arguments.

    Source: Tornado: tornado.netutil.Resolver.
    """

    _configured: ClassVar[tuple[type[Resolver] | None, dict[str, Any]]] = (None, {})

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        implementation: type[Any] = cls
        if cls is Resolver:
            implementation = Resolver.configured_class()
            kwargs = Resolver._configured[1] | kwargs
        self: Self = object.__new__(implementation)
        self.initialize(*args, **kwargs)
        return self

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take the constructor's arguments. The base class does nothing with them."""

    @classmethod
    def configure(cls, impl: str | type[Resolver] | None, **kwargs: Any) -> None:
        """Choose what ``Resolver()`` makes: a subclass, its dotted name, or None for the default.

        :param kwargs: arguments that its `initialize` then gets.
        :raises ImportError: there is nothing of this name.
        :raises ValueError: it is no subclass of Resolver.
        """
        if isinstance(impl, str):
            impl = import_object(impl)
        if impl is not None and not (isinstance(impl, type) and issubclass(impl, Resolver)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"{impl!r} is not a subclass of Resolver")
        Resolver._configured = (impl, kwargs)

    @classmethod
    def configured_class(cls) -> type[Resolver]:
        """The class that ``Resolver()`` makes an instance of."""
        return Resolver._configured[0] or DefaultLoopResolver

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        """Look a host up.

        :param host: a host name or an IP address.
        :param port: goes into the addresses.
        :param family: only addresses of this family; ``AF_UNSPEC`` for all.
        :returns: (family, address for `socket.socket.connect`) pairs, in the order to try them in.
        :raises OSError: the host cannot be resolved.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what the resolver holds. It cannot be used afterwards."""


class DefaultLoopResolver(Resolver):
    """Asks the event loop, which asks `socket.getaddrinfo` in a thread.

    Source: Tornado: tornado.netutil.DefaultLoopResolver.
    """

    def initialize(self) -> None:
        """Takes no arguments."""

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """As `Resolver.resolve`."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (socket.gaierror, ValueError) as error:
            raise _resolution_error(host, error) from None
        return [(found_family, address) for found_family, _, _, _, address in found]


# Deprecated names of Tornado's; here nothing blocks the loop.
DefaultExecutorResolver = DefaultLoopResolver
BlockingResolver = DefaultLoopResolver


class ExecutorResolver(Resolver):
    """Asks `socket.getaddrinfo` in an executor: the given one, or the event loop's own.

    Source: Tornado: tornado.netutil.ExecutorResolver, which deprecates it.
    """

    def initialize(self, executor: Executor | None = None, close_executor: bool = True) -> None:
        """Take the executor, and whether `close` shuts it down."""
        self.executor = executor
        self.close_executor = close_executor

    def close(self) -> None:
        """Shut the executor down, if it is ours; lookups that run are not waited for."""
        if self.executor is not None and self.close_executor:
            self.executor.shutdown(wait=False)

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """As `Resolver.resolve`."""
        ask = functools.partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.executor, ask)
        except (socket.gaierror, ValueError) as error:
            raise _resolution_error(host, error) from None
        return [(found_family, address) for found_family, _, _, _, address in found]


class ThreadedResolver(ExecutorResolver):
    """An `ExecutorResolver` with threads of its own.

    Source: Tornado: tornado.netutil.ThreadedResolver, which deprecates it.
    """

    def initialize(self, num_threads: int = 10) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take the greatest number of threads."""
        super().initialize(ThreadPoolExecutor(num_threads), close_executor=True)


class OverrideResolver(Resolver):
    """Answers some lookups from a mapping and leaves the rest to another resolver.

    A key of the mapping is a host, ``(host, port)`` or ``(host, port, family)``, the longest match
    wins. The value is what to look up instead: a host for a host, else ``(host, port)``.

    Source: Tornado: tornado.netutil.OverrideResolver.
    """

    def initialize(self, resolver: Resolver, mapping: Mapping[Any, Any]) -> None:
        """Take the other resolver and the mapping, which may still change later."""
        self.resolver = resolver
        self.mapping = mapping

    def close(self) -> None:
        """Close the other resolver."""
        self.resolver.close()

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        """As `Resolver.resolve`."""
        if (host, port, family) in self.mapping:
            host, port = self.mapping[host, port, family]
        elif (host, port) in self.mapping:
            host, port = self.mapping[host, port]
        elif host in self.mapping:
            host = self.mapping[host]
        return self.resolver.resolve(host, port, family)
