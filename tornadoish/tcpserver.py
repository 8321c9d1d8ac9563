"""TCPServer: listens, and hands every accepted connection over as a stream.

Subclasses say in ``handle_stream`` what happens to it. (Interface: Tornado, tornado.tcpserver.)
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import Awaitable, Iterable
from typing import Any

from tornadoish.iostream import DeadlineClock, IOStream, SSLIOStream
from tornadoish.log import app_log, gen_log
from tornadoish.netutil import bind_sockets, ssl_options_to_context
from tornadoish.process import fork_processes

_DEFAULT_BACKLOG = 128
# asyncio calls listen() anew; sockets of others must not get less room than they had.
_FOREIGN_BACKLOG = 1024


class TCPServer:
    """A server on any number of listening sockets, TCP or Unix.

    :param ssl_options: an :class:`ssl.SSLContext`, or a dict of options as in
        :func:`tornadoish.netutil.ssl_options_to_context`; None: no TLS.
    :param max_buffer_size: bytes that a read may make a stream hold (default 100 MiB).
    :param read_chunk_size: bytes that a stream holds when nobody reads (default 64 KiB).
    """

    #: seconds between two looks at the streams' deadlines
    clock_interval: float = 1.0
    #: seconds that a TLS handshake may take
    ssl_handshake_timeout: float = 30.0

    def __init__(
        self,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
    ) -> None:
        self.ssl_options = ssl_options
        self.max_buffer_size = max_buffer_size
        self.read_chunk_size = read_chunk_size
        # By descriptor, as some applications look for the port in here (Tornado's private name).
        self._sockets: dict[int, socket.socket] = {}
        self._pending_sockets: list[socket.socket] = []
        self._backlogs: dict[socket.socket, int] = {}
        self._openings: dict[int, asyncio.Task[None]] = {}
        self._servers: dict[int, asyncio.Server] = {}
        self._handlers: set[asyncio.Future[Any]] = set()
        self._started = False
        self._stopped = False
        self._clock: DeadlineClock | None = None
        if isinstance(ssl_options, dict):
            ssl_options_to_context(ssl_options, server_side=True)  # a mistake shows here, not later

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

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on sockets that listen already; the server owns them from now on."""
        loop = _current_loop()
        for sock in sockets:
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            self._openings[sock.fileno()] = loop.create_task(self._open(sock.fileno(), sock))

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

    async def _open(self, fd: int, sock: socket.socket) -> None:
        try:
            loop = asyncio.get_running_loop()
            context = None
            if self.ssl_options is not None:
                context = ssl_options_to_context(self.ssl_options, server_side=True)
            if self._clock is None:
                self._clock = DeadlineClock(self.clock_interval)
            options: dict[str, Any] = {}
            if context is not None:
                options = {"ssl": context, "ssl_handshake_timeout": self.ssl_handshake_timeout}
            # Started apart from being made: stop() must know it whenever it comes.
            server = self._servers[fd] = await loop.create_server(
                self._make_stream, sock=sock, start_serving=False,
                backlog=self._backlogs.pop(sock, _FOREIGN_BACKLOG), **options,
            )  # fmt: skip
            await server.start_serving()
        except Exception:
            gen_log.error("Cannot accept connections on %r", sock, exc_info=True)
            sock.close()
        finally:
            self._openings.pop(fd, None)

    def stop(self) -> None:
        """Accept no more connections; those that are open go on."""
        if self._stopped:
            return
        self._stopped = True
        for opening in self._openings.values():
            opening.cancel()
        self._openings.clear()
        for fd, sock in self._sockets.items():
            server = self._servers.get(fd)
            if server is not None:
                server.close()
            sock.close()
        for sock in self._pending_sockets:
            sock.close()

    # -- connections

    def _make_stream(self) -> IOStream:
        """A stream for a connection that is being accepted; its transport comes next."""
        kind = IOStream if self.ssl_options is None else SSLIOStream
        stream = kind(None, self.max_buffer_size, self.read_chunk_size)
        stream.on_open = self._stream_opened
        return stream

    def _stream_opened(self, stream: IOStream) -> None:
        stream.on_open = None
        if self._clock is not None:
            stream.watch(self._clock)
        # As accept() gives it: "" of a Unix socket. A peer that is gone already has none.
        address = stream.get_extra_info("peername")
        if address is None:
            address = ("", 0)
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

        :param address: the peer's, as of the socket's family.
        """
        raise NotImplementedError


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
