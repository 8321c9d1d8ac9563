"""HTTPServer: a TCPServer whose streams speak HTTP.

It makes a connection for each stream and stands between that and the application: who is asking
(``HTTPRequestContext``) is decided here. (Interface: Tornado, tornado.httpserver.)
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Self, cast

from tornadoish.http1.limits import Limits
from tornadoish.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornadoish.http1connection.keeper import ConnectionHook, Keeper
from tornadoish.http1connection.observed import Observation, tell
from tornadoish.http1connection.server import FIRST_REQUEST_SECONDS
from tornadoish.httpserver.context import HTTPRequestContext, _ProxyAdapter
from tornadoish.httpserver.proxies import Proxies
from tornadoish.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    Observer,
)
from tornadoish.iostream import NEVER, BaseIOStream, IOStream
from tornadoish.log import app_log, gen_log
from tornadoish.netutil import CertificateStore, TrustedNetworks
from tornadoish.routing import _CallableAdapter
from tornadoish.tcpserver import TCPServer

# For a client that speaks HTTP in the clear where TLS is spoken.
_SPEAKS_HTTPS = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 41\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    b"400 Bad Request: this port speaks HTTPS.\n"
)

#: seconds in which what has been cut must have ended, and then nobody waits any longer
_CUT_SECONDS = 1.0
#: seconds in which idle connections may ask once more if the server has been replaced: to close one
#: as a request is sent on it would lose that
_UNHURRIED_SECONDS = 2.0

RequestCallback = HTTPServerConnectionDelegate | Callable[[HTTPServerRequest], None]


class HTTPServer(TCPServer, HTTPServerConnectionDelegate):
    """A non-blocking HTTP/1.1 server.

    :param request_callback: a :class:`HTTPServerConnectionDelegate` (an ``Application`` is one), or
        a callable that takes a whole :class:`HTTPServerRequest` and answers through its
        ``connection``.
    :param no_keep_alive: close every connection behind one request.
    :param xheaders: believe ``X-Real-Ip``/``X-Forwarded-For`` and
        ``X-Scheme``/``X-Forwarded-Proto`` of any peer, or with ``trusted_proxies`` of these alone.
    :param ssl_options: see :class:`TCPServer`.
    :param protocol: "https" where TLS ends before us.
    :param decompress_request: decompress bodies with ``Content-Encoding: gzip``.
    :param chunk_size: bytes of a body handed on at a time (default 64 KiB).
    :param max_header_size: bytes of a head (default 64 KiB; 431 above).
    :param idle_connection_timeout: seconds until a connection must have sent its next head
        (default 75).
    :param body_timeout: seconds that a body may take (default: for ever, if it keeps coming).
    :param max_body_size: bytes of a body (default 100 MiB; 413 above).
    :param max_buffer_size: see :class:`TCPServer`.
    :param trusted_downstream: addresses and networks of proxies to skip in ``X-Forwarded-For``.
    :param trusted_proxies: addresses, networks and "unix" (:class:`TrustedNetworks`) of the peers
        that are believed when they say for whom they ask, in ``X-Forwarded-For``, ``-Proto`` and
        ``-Host``, or in ``Forwarded`` (RFC 7239); ours alone. The client is the last address that
        is not one of them. Of what a proxy does not write itself, it must let nothing through.
    :param proxy_protocol: see :class:`TCPServer` (ours alone, not Tornado's).
    :param limits: every bound of the server and its connections (ours alone, not Tornado's); the
        parameters above count before it.
    :param observers: who is told of connections, requests and answers (ours alone): access log,
        metrics, traces; those of ``request_callback`` are, too. Without any, nothing is done.
    :param connection_hook: called with each connection and each of its states (ours alone): for
        metrics and logs. It must be quick.
    """

    def __init__(
        self,
        request_callback: RequestCallback,
        no_keep_alive: bool = False,
        xheaders: bool = False,
        ssl_options: dict[str, Any] | ssl.SSLContext | CertificateStore | None = None,
        protocol: str | None = None,
        decompress_request: bool = False,
        chunk_size: int | None = None,
        max_header_size: int | None = None,
        idle_connection_timeout: float | None = None,
        body_timeout: float | None = None,
        max_body_size: int | None = None,
        max_buffer_size: int | None = None,
        trusted_downstream: list[str] | None = None,
        *,
        trusted_proxies: Iterable[str] | TrustedNetworks | None = None,
        proxy_protocol: Iterable[str] | TrustedNetworks | None = None,
        limits: Limits | None = None,
        connection_hook: ConnectionHook | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        params = HTTP1ConnectionParameters(
            decompress=decompress_request,
            chunk_size=chunk_size,
            max_header_size=max_header_size,
            max_body_size=max_body_size,
            body_timeout=body_timeout,
            no_keep_alive=no_keep_alive,
            limits=_with_idle(limits, max_buffer_size, idle_connection_timeout),
        )
        held = IOStream.MAX_BUFFER_SIZE if max_buffer_size is None else max_buffer_size
        bounds = params.bounds(held, is_client=False)
        super().__init__(
            ssl_options=ssl_options,
            max_buffer_size=max_buffer_size,
            read_chunk_size=chunk_size,
            max_connections=bounds.connections,
            max_connections_per_address=bounds.connections_per_address,
            ssl_handshake_timeout=bounds.handshake_seconds,
            proxy_protocol=proxy_protocol,
            max_unsent_bytes=bounds.unsent_bytes,
        )
        self.request_callback = request_callback
        self.xheaders = xheaders
        self.protocol = protocol
        self.conn_params = params
        #: all bounds as they count
        self.limits = bounds
        self._keeper = Keeper.of(self.limits, connection_hook)
        self._emptied: asyncio.Future[None] | None = None  # somebody waits for the last connection
        self._cleaned: asyncio.Future[None] | None = None  # draining; done when the application is
        self.trusted_downstream = trusted_downstream
        self._proxies: Proxies | None = None
        if xheaders or trusted_proxies is not None:
            self._proxies = Proxies(
                xheaders=xheaders,
                trusted_proxies=trusted_proxies,
                trusted_downstream=trusted_downstream,
            )
        observers = (*observers, *getattr(request_callback, "observers", ()))
        self._observation = Observation(observers)
        self._make_connection: Callable[..., HTTP1ServerConnection] = HTTP1ServerConnection
        if observers:
            self._make_connection = self._observation.make_connection
        self._connections: set[HTTP1ServerConnection] = set()
        # Streams that somebody has detached, as far as they are still there.
        self._detached: weakref.WeakSet[BaseIOStream] = weakref.WeakSet()
        self._start_request = _start_of(request_callback)
        if self._proxies is None and type(self).start_request is HTTPServer.start_request:
            # Nothing to be done in between: a connection asks the application itself.
            self.start_request = self._start_request  # type: ignore[assignment, method-assign]
        self.clock_interval = min(TCPServer.clock_interval, _shortest(self.limits) / 4)

    # -- the application's life (ours alone, not Tornado's)

    async def start_application(self) -> None:
        """Let the application get ready (``startup`` of ``request_callback``), before listening.

        Raises what it raises; then it has undone all that it has begun.
        """
        if isinstance(self.request_callback, HTTPServerConnectionDelegate):
            await self.request_callback.startup()

    async def __aenter__(self) -> Self:
        """``async with HTTPServer(application) as server: server.listen(8888); ...``: the
        application is started, and :meth:`drain` ends it with the server."""
        await self.start_application()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.drain()

    async def drain(self, grace: float = 30.0, *, replaced: bool = False) -> int:
        """Stop without cutting anybody short (ours alone, not Tornado's).

        The application is told (``on_drain``, then ``shutdown`` of ``request_callback``, which is
        waited for). Nothing more is accepted. Idle connections are closed; requests that have begun
        are answered, with ``Connection: close``, and what has reached this host already, or does so
        a moment later, is one of them. When all are closed, detached ones too, or ``grace`` seconds
        are over, the rest is cut: connections are aborted and the tasks of their handlers
        cancelled. Then the application cleans up (``cleanup``), as it also does if this is
        cancelled.

        :param replaced: another process accepts on the same address already, so there is no hurry,
            and nobody need look for another server. Nothing more is accepted from the very
            beginning, and idle connections have 2 seconds to ask once more: a proxy may send a
            request in the instant in which one is closed; so the answer tells it. The application
            is told behind that: who still asks whether it is ready is told what holds.
        :returns: how many requests and detached connections were cut; logged, too.
        :raises ExceptionGroup: what was raised as the application cleaned up; all else is done.
            What is raised as it is told is logged.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        cleaned = self._cleaned
        if cleaned is None:
            self._cleaned = loop.create_future()
        try:
            self._keeper.draining = True
            if cleaned is None:
                tell(self._observation.draining)
            if replaced:
                self._keeper.race_seconds = min(_UNHURRIED_SECONDS, grace)
            elif cleaned is None:
                await self._tell_application(grace, until)
            for connection in list(self._connections):
                connection.drain()  # those that come from now on do so by themselves
            await self.stop_accepting()
            silent = loop.call_later(FIRST_REQUEST_SECONDS, self.abort_openings)
            if replaced:
                await self._wait_until_empty(self._keeper.race_seconds)
                if cleaned is None:
                    await self._tell_application(grace, until)
            await self._wait_until_empty(max(0, until - loop.time()))
            silent.cancel()
        finally:
            self.stop()
            cut = self._cut()
            # Who does not let himself be cancelled is left.
            await self._wait_until_empty(_CUT_SECONDS)
            await self._clean_up_application(cleaned)
        return cut

    async def _tell_application(self, grace: float, until: float) -> None:
        """The server stops; ``grace`` is over ``until`` this time of the loop."""
        callback = self.request_callback
        if not isinstance(callback, HTTPServerConnectionDelegate):
            return
        try:
            callback.on_drain()
        except Exception:
            app_log.error("Uncaught exception in on_drain", exc_info=True)
        try:
            async with asyncio.timeout_at(until):
                await callback.shutdown()
        except TimeoutError:
            app_log.error("The application has not shut down in %g seconds", grace, exc_info=True)
        except Exception:
            app_log.error("Uncaught exception in shutdown", exc_info=True)

    async def _clean_up_application(self, cleaned: asyncio.Future[None] | None) -> None:
        """The last request is over. Only the first that drains cleans up, the others wait."""
        if cleaned is not None:
            await asyncio.shield(cleaned)
            return
        try:
            if isinstance(self.request_callback, HTTPServerConnectionDelegate):
                await self.request_callback.cleanup()
        finally:
            if self._cleaned is not None:
                self._cleaned.set_result(None)

    def _cut(self) -> int:
        """End what is left, and say how many were still waited for."""
        self.abort_openings()
        cut = [connection.cut() for connection in list(self._connections)].count(True)
        for stream in [stream for stream in self._detached if not stream.closed()]:
            stream.abort()
            cut += 1
        if cut:
            gen_log.warning(
                "%d requests or detached connections were cut as the server stopped", cut
            )
        return cut

    async def _wait_until_empty(self, seconds: float) -> None:
        if not self._is_empty():
            if self._emptied is None:
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=seconds)

    def _is_empty(self) -> bool:
        return not self._connections and not self.connections

    def _tell_if_empty(self) -> None:
        if self._emptied is not None and self._is_empty() and not self._emptied.done():
            self._emptied.set_result(None)

    def _adjust(self) -> None:
        super()._adjust()
        self._tell_if_empty()

    async def close_all_connections(self) -> None:
        """Close every connection, whatever it is doing. Call after :meth:`stop`."""
        while self._connections:
            await next(iter(self._connections)).close()

    def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        context = HTTPRequestContext(stream, address, self.protocol, self.trusted_downstream)
        connection = self._make_connection(stream, self.conn_params, context, self._keeper)
        self._connections.add(connection)
        connection.start_serving(self)
        return None

    def limit_reached(self, name: str) -> None:
        tell(self._observation.limit_reached, name)

    def plaintext_on_tls(self, first_bytes: bytes) -> bytes | None:
        return _SPEAKS_HTTPS if first_bytes[:1].isalpha() else None  # as a method does

    # -- HTTPServerConnectionDelegate

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        delegate = self._start_request(server_conn, request_conn)
        proxies = self._proxies
        return delegate if proxies is None else _ProxyAdapter(delegate, request_conn, proxies)

    def on_close(self, server_conn: object) -> None:
        connection = cast(HTTP1ServerConnection, server_conn)
        self._connections.discard(connection)
        if not connection.stream.closed():
            self._detached.add(connection.stream)
        self._tell_if_empty()
        if isinstance(self.request_callback, HTTPServerConnectionDelegate):
            self.request_callback.on_close(server_conn)


def _start_of(
    callback: RequestCallback,
) -> Callable[[object, HTTPConnection], HTTPMessageDelegate]:
    """What is asked for a delegate for each request."""
    if isinstance(callback, HTTPServerConnectionDelegate):
        return callback.start_request
    return lambda _, connection: _CallableAdapter(callback, connection)


def _with_idle(
    limits: Limits | None, max_buffer_size: int | None, idle: float | None
) -> Limits | None:
    """``limits`` with Tornado's option: a head comes within ``idle`` seconds, the first one too."""
    if idle is None:
        return limits
    if limits is None:
        limits = Limits() if max_buffer_size is None else Limits(body_bytes=max_buffer_size)
    header = limits.header_seconds
    return replace(
        limits, idle_seconds=idle, header_seconds=idle if header is None else min(header, idle)
    )


def _shortest(limits: Limits) -> float:
    """The shortest time that is bounded, in seconds; not so short that its clock does not rest."""
    times = (
        limits.header_seconds,
        limits.idle_seconds,
        limits.connection_seconds,
        limits.body_gap_seconds,
        limits.body_seconds,
        limits.write_seconds,
        limits.linger_seconds,
    )
    return max(0.04, min([time for time in times if time is not None], default=NEVER))
