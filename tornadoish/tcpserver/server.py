"""TCPServer: listens, and hands every accepted connection over as a stream.

Subclasses say in ``handle_stream`` what happens to it. The way of a connection: a ``Listener``
accepts it, it takes its ``Place``, an ``Opening`` looks at what comes first where that is needed,
and its stream is handed over. (Interface: Tornado, tornado.tcpserver.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import warnings
from collections.abc import Awaitable, Iterable
from typing import Any, NamedTuple

from tornadoish.iostream import DeadlineClock, IOStream, SSLIOStream
from tornadoish.log import app_log, gen_log
from tornadoish.netutil import (
    CertificateStore,
    TrustedNetworks,
    bind_sockets,
    bind_unix_socket,
    bound_unsent,
    ssl_options_to_context,
)
from tornadoish.process import fork_processes
from tornadoish.tcpserver.listener import LOOPS, OURS, PAUSED, Listener, loop_accepts
from tornadoish.tcpserver.opening import Opening
from tornadoish.tcpserver.places import Places

_DEFAULT_BACKLOG = 128
# The event loops call listen() anew; sockets of others must not get less room than they had.
_FOREIGN_BACKLOG = 1024
# So near to a bound we accept ourselves: an event loop tells of what it has accepted a bit later.
_NEAR = 256


class TCPServer:
    """A server on any number of listening sockets, TCP or Unix.

    :param ssl_options: an :class:`ssl.SSLContext`, or a dict of options as in
        :func:`tornadoish.netutil.ssl_options_to_context`, or a
        :class:`tornadoish.netutil.CertificateStore`; None: no TLS.
    :param max_buffer_size: bytes that a read may make a stream hold (default 100 MiB).
    :param read_chunk_size: bytes that a stream holds when nobody reads (default 64 KiB).

    What follows is ours alone, not Tornado's:

    :param max_connections: connections that are open at a time, those that shake hands counted
        (default: any number). At the bound accepting pauses: what comes waits in the system's
        queue until others have closed.
    :param max_connections_per_address: as many may come from one IPv4 address, or one /64 of IPv6
        (default: any number). What comes above is closed at once. Peers on Unix sockets are not
        counted; clients of proxies that speak the PROXY protocol are, each by its own address.
    :param ssl_handshake_timeout: seconds, from accepting a connection, until its TLS handshake and
        its PROXY header must be complete (default 30).
    :param proxy_protocol: addresses and networks of proxies whose connections MUST begin with a
        header of the PROXY protocol, version 1 or 2, and "unix" for all that come over Unix
        sockets; in front of TLS, too. ``handle_stream`` then gets the client's address, and
        ``stream.proxy_header`` is what the proxy said. A malformed header closes the connection.
        Connections from elsewhere are served as ever, and a header on them is nothing but
        malformed input. Default: nobody is believed.
    :param max_unsent_bytes: bytes that the system may hold for a connection because its peer has no
        room for them, where it can be told (TCP_NOTSENT_LOWAT: TCP on Linux and macOS; default:
        megabytes). What is on its way to the peer is not counted.
    :raises ValueError: a bound is below 1, or a network is none; or see `ssl_options`.
    """

    #: seconds between two looks at the streams' deadlines
    clock_interval: float = 1.0
    #: see the parameter; may be set here or on the server, too
    ssl_handshake_timeout: float = 30.0

    def __init__(
        self,
        ssl_options: dict[str, Any] | ssl.SSLContext | CertificateStore | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        *,
        max_connections: int | None = None,
        max_connections_per_address: int | None = None,
        ssl_handshake_timeout: float | None = None,
        proxy_protocol: Iterable[str] | TrustedNetworks | None = None,
        max_unsent_bytes: int | None = None,
    ) -> None:
        self.ssl_options = ssl_options
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        for bound in (max_connections, max_connections_per_address, max_unsent_bytes):
            if bound is not None and bound < 1:
                raise ValueError("a server that may have no connection, or send nothing")
        self._max_unsent_bytes = max_unsent_bytes
        if ssl_handshake_timeout is not None:
            self.ssl_handshake_timeout = ssl_handshake_timeout
        if proxy_protocol is not None and not isinstance(proxy_protocol, TrustedNetworks):
            proxy_protocol = TrustedNetworks(proxy_protocol)
        self._proxy_networks: TrustedNetworks | None = proxy_protocol
        self._tls_context: ssl.SSLContext | None = None
        if ssl_options is not None:  # a mistake shows here, not later
            self._tls_context = ssl_options_to_context(ssl_options, server_side=True)
        # By descriptor, as some applications look for the port in here (Tornado's private name).
        self._sockets: dict[int, socket.socket] = {}
        self._pending_sockets: list[socket.socket] = []
        self._backlogs: dict[socket.socket, int] = {}
        self._unix_files: list[_UnixFile] = []
        self._listeners: list[Listener] = []
        self._places = Places(max_connections_per_address, self._adjust)
        self._most = float("inf") if max_connections is None else max_connections
        self._how = PAUSED  # how all listeners accept, as soon as there is a loop
        self._loop_accepts = 0  # how many connections the event loop's own server may accept
        self._full = False  # and this has been logged
        self._openings: set[Opening] = set()
        self._handlers: set[asyncio.Future[Any]] = set()
        self._started = False
        self._stopped = False
        self._clock: DeadlineClock | None = None

    # -- listening

    def listen(
        self,
        port: int,
        address: str | None = None,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = _DEFAULT_BACKLOG,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Accept connections on ``port``. When this returns, the port is bound and listens: a
        connection that is made right away is served.

        Parameters and errors are those of :func:`tornadoish.netutil.bind_sockets`.
        """
        sockets = bind_sockets(port, address, family, backlog, flags, reuse_port)
        self._backlogs.update(dict.fromkeys(sockets, backlog))
        self.add_sockets(sockets)

    def listen_unix(self, file: str, mode: int = 0o600, backlog: int = _DEFAULT_BACKLOG) -> None:
        """Accept connections on a Unix socket. Its file is removed when the server stops, unless
        another server has put its own in this place. (Ours alone, not Tornado's.)

        Parameters and errors are those of :func:`tornadoish.netutil.bind_unix_socket`. A socket
        from there, given to :meth:`add_socket`, keeps its file, as in Tornado: who knows who else
        listens on it.
        """
        sock = bind_unix_socket(file, mode, backlog)
        self._backlogs[sock] = backlog
        if not file.startswith("\0"):
            self._unix_files.append(_UnixFile.of(file))
        self.add_sockets([sock])

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on sockets that listen already; the server owns them from now on."""
        loop = _current_loop()
        for sock in sockets:
            sock.setblocking(False)
            if self._max_unsent_bytes is not None:
                bound_unsent(sock, self._max_unsent_bytes)
            self._sockets[sock.fileno()] = sock
            backlog = self._backlogs.pop(sock, _FOREIGN_BACKLOG)
            self._listeners.append(Listener(sock, backlog, self._accepted, self._make_uncounted))
        if loop.is_running():
            self._begin()
        else:
            loop.call_soon(self._begin)

    def add_socket(self, socket: socket.socket) -> None:
        """The singular of :meth:`add_sockets`."""
        self.add_sockets([socket])

    def bind(
        self,
        port: int,
        address: str | None = None,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = _DEFAULT_BACKLOG,
        flags: int | None = None,
        reuse_port: bool = False,
    ) -> None:
        """Bind ``port``; :meth:`start` then begins to accept. May be called several times."""
        sockets = bind_sockets(port, address, family, backlog, flags, reuse_port)
        self._backlogs.update(dict.fromkeys(sockets, backlog))
        if self._started:
            self.add_sockets(sockets)
        else:
            self._pending_sockets.extend(sockets)

    def start(self, num_processes: int | None = 1, max_restarts: int | None = None) -> None:
        """Begin to accept on what was bound.

        :param num_processes: how many processes are forked to share the sockets; 1: none, None or
            0: one per CPU. Not possible once an event loop runs (RuntimeError).
        :param max_restarts: how often a child that dies is replaced.
        """
        if self._started:
            raise RuntimeError("The server has been started already")
        self._started = True
        if num_processes != 1:
            fork_processes(num_processes, max_restarts)
        sockets, self._pending_sockets = self._pending_sockets, []
        self.add_sockets(sockets)

    def _begin(self) -> None:
        """There is a loop: accept."""
        if self._stopped:
            return
        if self._clock is None:
            self._clock = DeadlineClock(self.clock_interval)
            looks_first = self._proxy_networks is not None or self._tls_context is not None
            if not looks_first:
                self._loop_accepts = loop_accepts(asyncio.get_running_loop())
        self._adjust()
        for listener in self._listeners:
            listener.accept(self._how)

    def reload_certificates(self) -> None:
        """Read the files in ``ssl_options`` anew. Handshakes of connections that are accepted from
        now on get the new certificates; open connections go on.

        Reads files, so it blocks for a moment. If a file cannot be used, this raises what the
        constructor would, and nothing has changed. (Ours alone, not Tornado's.)

        :raises TypeError: ``ssl_options`` is no dict and no :class:`CertificateStore`: of which
            files a context was made is not known.
        """
        if isinstance(self.ssl_options, CertificateStore):
            self.ssl_options.reload()
        elif isinstance(self.ssl_options, dict):
            self._tls_context = ssl_options_to_context(self.ssl_options, server_side=True)
        else:
            raise TypeError("only options and certificate stores can be loaded again")

    # -- stopping

    def stop(self) -> None:
        """Accept no more connections; those that are open go on.

        What has come already and was not accepted yet is reset: see :meth:`stop_accepting`.
        """
        if self._stopped:
            return
        self._stopped = True
        for file in self._unix_files:
            file.remove()
        for listener in self._listeners:
            listener.close()
        for sock in self._pending_sockets:
            sock.close()

    async def stop_accepting(self) -> None:
        """As :meth:`stop`, but what waits to be accepted is taken in first, beyond
        ``max_connections`` too (at most as many as the listening sockets' backlogs): so nobody who
        has connected is reset. (Ours alone, not Tornado's.)

        When this returns, nothing listens any more, and ``handle_stream`` has been called for all
        whose peers need not say anything first. A connection that shakes hands, or has to send its
        PROXY header, is handed over when it is through; until then it counts in
        :attr:`connections`.
        """
        if not self._stopped:
            self._stopped = True
            for file in self._unix_files:
                file.remove()
            for listener in self._listeners:
                listener.take_in()
            for sock in self._pending_sockets:
                sock.close()
        tasks = [opening.task for opening in self._openings if not opening.looks_first]
        if waited_for := [task for task in tasks if task is not None]:
            await asyncio.wait(waited_for)
        await asyncio.sleep(0)  # what the loop has accepted it opens in its next round

    def abort_openings(self) -> None:
        """Close what has been accepted and not been handed over: who shakes hands, or has to send
        a PROXY header. (Ours alone, not Tornado's.)"""
        for opening in self._openings:
            if opening.task is not None:
                opening.task.cancel()

    # -- accepting

    @property
    def connections(self) -> int:
        """How many connections are open, those that shake hands and those that were detached from
        whatever served them included. (Ours alone, not Tornado's.)"""
        return self._places.taken

    def _adjust(self) -> None:
        """Accept as the number of connections allows, on all sockets."""
        if self._stopped or self._clock is None:
            return
        left = self._most - self._places.taken
        if left > self._most / 2:
            self._full = False
        if left <= 0:
            how = PAUSED
        elif not self._loop_accepts:
            how = OURS
        else:
            left = min(left, self._loop_accepts - self._places.taken)
            how = LOOPS if left >= (_NEAR if self._how is LOOPS else 2 * _NEAR) else OURS
        if how is self._how:
            return
        self._how = how
        for listener in self._listeners:
            listener.accept(how)
        if how is PAUSED and not self._full:
            self._full = True
            self.limit_reached("connections")
            gen_log.warning("%d connections: accepting pauses until some close", self.connections)

    def _accepted(self, sock: socket.socket, address: Any) -> None:
        """We have accepted a connection."""
        opening = Opening(self, sock, address, self._places.take())
        if opening.task is not None:
            self._openings.add(opening)
        self._adjust()

    def make_protocol(self) -> IOStream:
        """The stream for a connection that comes from elsewhere than from a listening socket: the
        protocol of any plain transport. From its ``connection_made`` on it is one of the server's
        connections. Bounds on their number cannot make it wait. (Ours alone, not Tornado's.)

        :raises ConnectionRefusedError: the server has been stopped.
        """
        if self._stopped:
            raise ConnectionRefusedError("the server has been stopped")
        if self._clock is None:
            self._begin()
        return self._make_uncounted()

    def _make_uncounted(self) -> IOStream:
        """A stream for a connection that the event loop has accepted."""
        stream = self._make_stream()
        stream.on_open = self._count
        return stream

    def _count(self, stream: IOStream) -> None:
        place = self._places.take()
        stream.on_lost = place.leave
        self._adjust()
        # As accept() gives it: "" of a Unix socket. A peer that is gone already has none.
        address = stream.get_extra_info("peername")
        if address is None:
            address = ("", 0)
        if place.belongs_to(address):
            self._stream_opened(stream, address)
        else:
            gen_log.info("%s has as many connections as one address may have", address[0])
            self.limit_reached("connections_per_address")
            stream.on_open = None
            stream.abort()

    # -- connections

    def _make_stream(self) -> IOStream:
        """A stream for a connection that is being accepted; its transport comes next."""
        kind = IOStream if self._tls_context is None else SSLIOStream
        return kind(None, self.max_buffer_size, self.read_chunk_size)

    def _stream_opened(self, stream: IOStream, address: Any) -> None:
        stream.on_open = None
        if self._clock is not None:
            stream.watch(self._clock)
        try:
            pending = self.handle_stream(stream, address)
        except Exception:
            app_log.error("Error in connection callback", exc_info=True)
            stream.close()
            return
        if pending is not None:
            handler = asyncio.ensure_future(pending)
            self._handlers.add(handler)
            handler.add_done_callback(lambda handler: self._handler_done(handler, stream))

    def _handler_done(self, handler: asyncio.Future[Any], stream: IOStream) -> None:
        """A handler that ends well may have given its stream away; any other one has left it."""
        self._handlers.discard(handler)
        while stream.successor is not None:
            stream = stream.successor
        if handler.cancelled():  # as all tasks are when the program ends
            stream.abort()
        elif handler.exception() is not None:
            app_log.error("Error in handle_stream", exc_info=handler.exception())
            stream.close()

    def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        """A connection has been accepted (and hands have been shaken, with TLS).

        May be a coroutine. If it raises, that is logged and the stream closed; if its task is
        cancelled, the stream is aborted.

        :param address: the peer's, as of the socket's family; or the client's, if a proxy has told
            it (``proxy_protocol``).
        """
        raise NotImplementedError

    def limit_reached(self, name: str) -> None:
        """A bound was reached and somebody feels it; override to hear of it. It must be quick.
        (Ours alone, not Tornado's.)

        :param name: "connections" (accepting pauses), "connections_per_address" (a connection is
            closed), or "handshake_seconds" (likewise).
        """

    def plaintext_on_tls(self, first_bytes: bytes) -> bytes | None:
        """Somebody connects to a TLS server and speaks something else: what to answer in the clear
        before the connection is closed, a few KiB at most. (Ours alone, not Tornado's.)

        :param first_bytes: what has come until now, at least one byte.
        :returns: None: just close the connection.
        """
        return None


class _UnixFile(NamedTuple):
    """A Unix socket's file, as we made it."""

    path: str
    inode: tuple[int, int]
    process: int

    @classmethod
    def of(cls, file: str) -> _UnixFile:
        path = os.path.abspath(file)  # the working directory may change
        found = os.stat(path)
        return cls(path, (found.st_dev, found.st_ino), os.getpid())

    def remove(self) -> None:
        """Unless it is another one by now, or another process's."""
        if os.getpid() != self.process:
            return
        with contextlib.suppress(OSError):
            found = os.stat(self.path)
            if (found.st_dev, found.st_ino) == self.inode:
                os.remove(self.path)


def _current_loop() -> asyncio.AbstractEventLoop:
    """The running loop, or the one that this thread is going to run; a new one if it has none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it makes one, before Python 3.14
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            return loop
