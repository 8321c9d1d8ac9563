"""Opening: an accepted connection on its way to a stream.

Made by ``TCPServer`` for each socket that it accepts itself. What comes first on a connection is
looked at here, before any transport reads: the PROXY protocol's header is taken off, and who speaks
no TLS where TLS is spoken is told so. All of it ends by one deadline, counted from accepting. It
never looks at a connection's further bytes.

The event loops' ``start_tls`` cannot be given bytes that have been read. So they are peeked at
(MSG_PEEK), and only those of the header are consumed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any, Protocol

from tornadoish.iostream import IOStream
from tornadoish.log import app_log, gen_log
from tornadoish.netutil import (
    ProxyHeader,
    ProxyHeaderParser,
    ProxyProtocolError,
    TrustedNetworks,
)
from tornadoish.tcpserver.places import Place

_PEEK_BYTES = 4096
_TLS_HANDSHAKE = 22  # ContentType.handshake, the first byte of a TLS connection (RFC 8446, 5.1)

# For closing a TLS connection, with all that has been written and not sent. The loops would abort
# whoever is slow; streams look at what the peer takes, and abort those who take too little.
_SHUTDOWN_SECONDS = 86400.0
# In which somebody without TLS is given an answer to read.
_LINGER_SECONDS = 5.0
_LINGER_BYTES = 1024 * 1024


class Host(Protocol):
    """The server, as an opening sees it."""

    ssl_handshake_timeout: float

    _tls_context: ssl.SSLContext | None
    _proxy_networks: TrustedNetworks | None
    _openings: set[Opening]

    def _make_stream(self) -> IOStream: ...

    def _stream_opened(self, stream: IOStream, address: Any) -> None: ...

    def limit_reached(self, name: str) -> None: ...

    def plaintext_on_tls(self, first_bytes: bytes) -> bytes | None: ...


class Opening:
    """One connection's. It owns the socket until a transport does.

    :param address: the peer's, as ``accept`` gives it.
    """

    __slots__ = ("_address", "_deadline", "_header", "_host", "_place", "_sock", "_stream",
                 "looks_first", "task")  # fmt: skip

    def __init__(self, host: Host, sock: socket.socket, address: Any, place: Place) -> None:
        self._host = host
        self._sock = sock
        self._address = address
        self._place = place
        self._stream: IOStream | None = None
        self._header: ProxyHeader | None = None
        self._deadline = 0.0  # if the peer has to say something first
        is_proxy = host._proxy_networks is not None and _ip(address) in host._proxy_networks
        #: whether it depends on the peer when this is over
        self.looks_first = is_proxy or host._tls_context is not None
        #: what it waits for; None: it is over
        self.task: asyncio.Task[None] | None = None
        if not is_proxy and not place.belongs_to(address):
            self._say_refused()
            sock.close()
            place.leave()
            return
        self.task = asyncio.Task(
            self._look_and_open(is_proxy) if self.looks_first else self._open()
        )
        self.task.add_done_callback(self._done)

    async def _look_and_open(self, is_proxy: bool) -> None:
        timeout = self._host.ssl_handshake_timeout
        deadline = self._deadline = asyncio.get_running_loop().time() + timeout
        context = self._host._tls_context
        try:
            async with asyncio.timeout_at(deadline):
                if is_proxy and not await self._read_proxy_header():
                    return
                if context is not None and not await self._speaks_tls():
                    return
        except TimeoutError:
            raise ConnectionAbortedError(f"nothing but silence for {timeout} seconds") from None
        await self._open(context, deadline)

    async def _open(self, context: ssl.SSLContext | None = None, deadline: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        if context is None:
            await loop.connect_accepted_socket(self._make_stream, self._sock)
        else:
            left = max(deadline - loop.time(), 0.001)
            await loop.connect_accepted_socket(
                self._make_stream, self._sock, ssl=context, ssl_handshake_timeout=left,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )  # fmt: skip

    def _make_stream(self) -> IOStream:
        stream = self._stream = self._host._make_stream()
        stream.on_open = self._opened
        stream.on_lost = self._place.leave
        if self._header is not None:
            stream.proxy_header = self._header
        return stream

    def _opened(self, stream: IOStream) -> None:
        self._host._stream_opened(stream, self._address)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Over: either the connection is a stream now, or it is closed."""
        stream, self._stream = self._stream, None
        self.task = None
        self._host._openings.discard(self)
        if stream is None or stream.on_open is not None:
            self._sock.close()
            self._place.leave()
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, ssl.SSLError):
            gen_log.info("TLS handshake with %s failed: %s", self._peer(), error)
        elif isinstance(error, ProxyProtocolError):
            gen_log.warning("Malformed PROXY header from %s: %s", self._peer(), error)
        elif isinstance(error, OSError):
            gen_log.debug("Connection of %s was not opened: %r", self._peer(), error)
            if self._deadline and asyncio.get_running_loop().time() >= self._deadline:
                self._host.limit_reached("handshake_seconds")
        else:
            app_log.error("Connection of %s was not opened", self._peer(), exc_info=error)

    # -- what comes first

    async def _read_proxy_header(self) -> bool:
        """Take the header off, and from now on the client's address is the one that counts."""
        parser = ProxyHeaderParser()
        while parser.header is None:
            used = parser.feed(await self._peek())
            if len(self._sock.recv(used)) != used:
                raise ConnectionAbortedError("urgent data in the header")
        header = self._header = parser.header
        if header.source is not None:
            self._address = header.source
            if isinstance(header.source, tuple) and ":" in header.source[0]:
                self._address = (*header.source, 0, 0)  # as accept() gives it
        if self._place.belongs_to(self._address):
            return True
        self._say_refused()
        return False

    async def _speaks_tls(self) -> bool:
        first = await self._peek()
        if first[0] == _TLS_HANDSHAKE:
            return True
        gen_log.info("%s speaks no TLS", self._peer())
        answer = self._host.plaintext_on_tls(first)
        if answer:
            # Closed while the peer's bytes are unread or arriving, the connection would be reset,
            # and the answer with it: so they are taken, to nobody.
            self._sock.send(answer)
            self._sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_SECONDS):
                    await self._drop(_LINGER_BYTES)
        return False

    async def _drop(self, most: int) -> None:
        """Take what comes, to nobody, up to the end."""
        while most > 0 and (data := await self._receive(65536, 0)):
            most -= len(data)

    async def _peek(self) -> bytes:
        """What has come and nobody has taken, at least one byte of it."""
        data = await self._receive(_PEEK_BYTES, socket.MSG_PEEK)
        if not data:
            raise ConnectionAbortedError("the peer has gone away")
        return data

    async def _receive(self, count: int, flags: int) -> bytes:
        while True:
            try:
                return self._sock.recv(count, flags)
            except (BlockingIOError, InterruptedError):
                await self._readable()

    async def _readable(self) -> None:
        loop, fd = asyncio.get_running_loop(), self._sock.fileno()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, _set, ready)
        try:
            await ready
        finally:
            loop.remove_reader(fd)

    # -- ends

    def _say_refused(self) -> None:
        gen_log.info("%s has as many connections as one address may have", self._peer())
        self._host.limit_reached("connections_per_address")

    def _peer(self) -> str:
        return _ip(self._address) or "a Unix socket's peer"


def _ip(address: Any) -> str | None:
    """The IP address in a socket's address; None of a Unix socket's."""
    return address[0] if isinstance(address, tuple) else None


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():  # else it was told twice
        future.set_result(None)
