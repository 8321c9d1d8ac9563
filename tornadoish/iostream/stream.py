"""IOStream and SSLIOStream: streams over sockets, accepted, connected or yet to be connected.

``TCPServer`` makes them without a socket and lets its transports find them; applications make them
over a socket of their own, and they get a transport when first used. (Tornado: tornado.iostream.)
"""

from __future__ import annotations

import asyncio
import socket as socket_module
import ssl
import struct
from typing import Any, TypeVar, cast

from tornadoish.iostream.base import CLOSED, NEW, BaseIOStream, ExcInfo
from tornadoish.iostream.errors import StreamClosedError
from tornadoish.log import gen_log
from tornadoish.netutil import CertificateStore, ProxyHeader, ssl_options_to_context

Self = TypeVar("Self", bound="IOStream")
_NO_LINGER = struct.pack("ii", 1, 0)  # socket(7): close() drops what waits, and resets
SSLOptions = dict[str, Any] | ssl.SSLContext | CertificateStore | None


class IOStream(BaseIOStream, asyncio.Protocol):
    """A stream over a socket.

    :param socket: connected, or to be connected by :meth:`connect`; the stream owns it from now
        on. None for the stream of an accepted connection, which its transport will find.

    The other parameters are those of :class:`BaseIOStream`.
    """

    __slots__ = ("__dict__", "__weakref__", "_opening", "_socket")

    #: the stream that start_tls has made of this one
    successor: SSLIOStream | None = None
    #: what a proxy in front of the server said of the connection (PROXY protocol), if one did
    proxy_header: ProxyHeader | None = None

    def __init__(
        self,
        socket: socket_module.socket | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        max_write_buffer_size: int | None = None,
    ) -> None:
        super().__init__(max_buffer_size, read_chunk_size, max_write_buffer_size)
        self._socket = socket
        self._opening: asyncio.Task[None] | None = None

    # -- how it comes to its transport

    def connect(
        self: Self, address: Any, server_hostname: str | None = None
    ) -> asyncio.Future[Self]:
        """Connect the socket to ``address``. Writes may be made at once, and reads started.

        :param server_hostname: whom the certificate must name (TLS streams only).
        :returns: a future of this stream; it fails with :class:`StreamClosedError`, whose
            ``real_error`` says why.
        """
        future: asyncio.Future[Self] = self._get_loop().create_future()
        self._open(future, address, server_hostname)
        return future

    def _attach(self) -> None:
        if self._state is NEW and self._opening is None and self._socket is not None:
            self._open(self._get_loop().create_future(), None, None)

    def _open(
        self: Self, future: asyncio.Future[Self], address: Any, server_hostname: str | None
    ) -> None:
        self._opening = self._get_loop().create_task(self._make_transport(address, server_hostname))
        self._opening.add_done_callback(lambda opening: self._opened(opening, future, address))

    def _opened(
        self: Self, opening: asyncio.Task[None], future: asyncio.Future[Self], address: Any
    ) -> None:
        self._opening = None
        error = asyncio.CancelledError() if opening.cancelled() else opening.exception()
        if error is not None and not self.closed():
            gen_log.info("Cannot connect to %r: %s", address, error)
            self.close(error)
        if future.done():
            return
        if error is None:
            future.set_result(self)
        else:
            future.set_exception(StreamClosedError(self.error))
            future.exception()  # nobody has to look at it

    async def _make_transport(self, address: Any, server_hostname: str | None) -> None:
        sock, loop = self._take_socket(), self._get_loop()
        if address is not None:
            await loop.sock_connect(sock, address)
        await loop.create_connection(lambda: self, sock=sock)

    def _take_socket(self) -> socket_module.socket:
        if self._socket is None:
            raise StreamClosedError(self.error)
        self._socket.setblocking(False)
        return self._socket

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._socket is not None:
            self._socket.close()

    def start_tls(
        self,
        server_side: bool,
        ssl_options: SSLOptions = None,
        server_hostname: str | None = None,
    ) -> asyncio.Future[SSLIOStream]:
        """Go on over TLS: the result is a new stream, and this one is at its end. To cancel the
        future before hands are shaken closes the connection.

        :raises StreamClosedError: the stream is closed.
        :raises ValueError: a host name is to be checked and none is given; or the stream is not
            idle, or has bytes that nobody read. Those came in the clear: taking them for what the
            peer says over TLS would let anyone inject.
        """
        if self.closed():
            raise StreamClosedError(self.error)
        transport = self._transport
        if (
            (transport is None and not self._is_connected())
            or self._read is not None
            or self.writing()
            or self.buffer
        ):
            raise ValueError("IOStream is not idle; cannot convert to SSL")
        context = ssl_options_to_context(ssl_options or {}, server_side=server_side)
        if not server_side:
            _check_name(context, server_hostname)
        stream = SSLIOStream(
            None, self.max_buffer_size, self.read_chunk_size, self.max_write_buffer_size, context
        )
        if transport is None:
            return self._begin_with_tls(stream, server_side, server_hostname)
        future: asyncio.Future[SSLIOStream] = self._get_loop().create_future()
        self._transport, self._state = None, CLOSED
        transport.pause_reading()  # what comes before the loop takes over would come here
        stream.set_close_callback(self._close_callback)
        self._close_callback = None
        stream.on_lost, self.on_lost = self.on_lost, None
        if self.proxy_header is not None:
            stream.proxy_header = self.proxy_header
        self.successor = stream
        if self.clock is not None:
            self.clock.discard(self)
            stream.watch(self.clock)

        async def shake_hands() -> None:
            try:
                secured = await self._get_loop().start_tls(
                    transport, stream, context,
                    server_side=server_side, server_hostname=server_hostname,
                )  # fmt: skip
                if secured is None:
                    raise ConnectionAbortedError("The peer went away during the handshake")
            except (Exception, asyncio.CancelledError) as error:
                transport.abort()
                stream.close(error)
                if not future.done():
                    future.set_exception(StreamClosedError(error))
                    future.exception()
            else:
                stream.connection_made(secured)
                if not future.done():
                    future.set_result(stream)

        stream._opening = self._get_loop().create_task(shake_hands())
        return _or_close(future, stream)

    def _begin_with_tls(
        self, stream: SSLIOStream, server_side: bool, server_hostname: str | None
    ) -> asyncio.Future[SSLIOStream]:
        """``start_tls`` where nothing has been read or written yet: ``stream`` gets the socket."""
        stream._socket, self._socket = self._socket, None
        stream._server_side, stream._name = server_side, server_hostname
        self._state = CLOSED
        self.successor = stream
        stream.set_close_callback(self.take_close_callback())
        return _or_close(stream.wait_for_handshake(), stream)

    def _is_connected(self) -> bool:
        if self._state is not NEW or self._opening is not None or self._socket is None:
            return False
        try:
            self._socket.getpeername()
        except OSError:
            return False
        return asyncio._get_running_loop() is not None

    # -- the socket

    @property
    def socket(self) -> Any:
        """The socket, for ``getsockname``, ``setsockopt`` and the like; None once closed."""
        if self._transport is not None:
            return self._transport.get_extra_info("socket")
        return self._socket if self._state is NEW else None

    def fileno(self) -> int:
        """The socket's descriptor; -1 once closed."""
        sock = self.socket
        return -1 if sock is None else int(sock.fileno())

    def reset(self) -> None:
        """Close the stream at once, and so that the peer sees a fault and no end (a TCP reset; TLS
        ends without a word, which says the same)."""
        sock = self.socket
        if sock is not None and sock.family in (socket_module.AF_INET, socket_module.AF_INET6):
            sock.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_LINGER, _NO_LINGER)
        self.abort()

    def set_nodelay(self, value: bool) -> None:
        """Send small pieces at once (TCP_NODELAY), or gather them; no effect but on TCP."""
        sock = self.socket
        if sock is not None and sock.family in (socket_module.AF_INET, socket_module.AF_INET6):
            sock.setsockopt(socket_module.IPPROTO_TCP, socket_module.TCP_NODELAY, int(value))


class SSLIOStream(IOStream):
    """The same over TLS.

    :param ssl_options: a context, or Tornado's dict of options; the client's defaults if not given.
    """

    __slots__ = ("_context", "_name", "_server_side")

    def __init__(
        self,
        socket: socket_module.socket | None = None,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        max_write_buffer_size: int | None = None,
        ssl_options: SSLOptions = None,
    ) -> None:
        self._server_side = False
        self._name: str | None = None
        self._context: SSLOptions = ssl_options
        if isinstance(socket, ssl.SSLSocket):  # from ssl_wrap_socket, hands not yet shaken
            self._context, self._server_side = socket.context, bool(socket.server_side)
            self._name = socket.server_hostname
            socket = socket_module.socket(fileno=socket.detach())
        super().__init__(socket, max_buffer_size, read_chunk_size, max_write_buffer_size)

    async def _make_transport(self, address: Any, server_hostname: str | None) -> None:
        sock, loop = self._take_socket(), self._get_loop()
        context = ssl_options_to_context(self._context or {}, server_side=self._server_side)
        if self._server_side:
            await loop.connect_accepted_socket(lambda: self, sock, ssl=context)
            return
        name = server_hostname or self._name or ""
        _check_name(context, name)
        if address is not None:
            await loop.sock_connect(sock, address)
        await loop.create_connection(lambda: self, sock=sock, ssl=context, server_hostname=name)

    @property
    def socket(self) -> Any:
        """See :meth:`IOStream.socket`; it also has what :class:`ssl.SSLSocket` knows."""
        sock, session = super().socket, self.ssl_object
        return sock if sock is None or session is None else _TLSSocket(sock, session)

    def close(self, exc_info: ExcInfo = False) -> None:
        """See :meth:`BaseIOStream.close`."""
        # asyncio's TLS transports keep the end of input for later while they are paused, and do not
        # close before it has been taken: a descriptor would stay for ever.
        self.resume_reading()
        super().close(exc_info)

    def wait_for_handshake(self) -> asyncio.Future[SSLIOStream]:
        """A future of this stream, done when hands are shaken."""
        future: asyncio.Future[SSLIOStream] = self._get_loop().create_future()
        if self._state is NEW and self._opening is None:
            self._open(cast("asyncio.Future[Any]", future), None, None)
        elif self._opening is not None:
            self._opening.add_done_callback(lambda _: self._handshake_done(future))
        else:
            self._handshake_done(future)
        return future

    def _handshake_done(self, future: asyncio.Future[SSLIOStream]) -> None:
        if future.done():
            return
        if self.closed():
            future.set_exception(StreamClosedError(self.error))
            future.exception()  # nobody has to look at it
        else:
            future.set_result(self)


def _or_close(
    future: asyncio.Future[SSLIOStream], stream: SSLIOStream
) -> asyncio.Future[SSLIOStream]:
    """Who gives up has no other way to the new stream (Tornado 6.6: start_tls)."""
    future.add_done_callback(lambda done: stream.close() if done.cancelled() else None)
    return future


class _TLSSocket:
    """A socket as one of the standard library's TLS sockets is looked at: what it is asked of the
    session is answered by that (`ssl.SSLSocket.getpeercert`, ``cipher`` and so on)."""

    def __init__(self, sock: Any, session: ssl.SSLObject) -> None:
        self._sock = sock
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session if name in _OF_THE_SESSION else self._sock, name)


_OF_THE_SESSION = frozenset(
    ("getpeercert", "cipher", "version", "compression", "selected_alpn_protocol", "session",
     "session_reused", "shared_ciphers", "server_side", "server_hostname", "context",
     "get_channel_binding")
)  # fmt: skip


def _check_name(context: ssl.SSLContext, name: str | None) -> None:
    # asyncio takes it that nothing is to be checked then, whatever the context says.
    if context.check_hostname and not name:
        raise ValueError("check_hostname requires server_hostname")
