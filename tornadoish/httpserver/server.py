"""HTTPServer: a TCPServer whose streams speak HTTP.

It makes a connection for each stream and stands between that and the application: who is asking
(``HTTPRequestContext``) is decided here. (Interface: Tornado, tornado.httpserver.)
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornadoish.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornadoish.httpserver.context import HTTPRequestContext, _ProxyAdapter
from tornadoish.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
)
from tornadoish.iostream import IOStream
from tornadoish.routing import _CallableAdapter
from tornadoish.tcpserver import TCPServer

RequestCallback = HTTPServerConnectionDelegate | Callable[[HTTPServerRequest], None]

#: Tornado's default: seconds that a connection may be idle
IDLE_CONNECTION_TIMEOUT = 3600.0


class HTTPServer(TCPServer, HTTPServerConnectionDelegate):
    """A non-blocking HTTP/1.1 server.

    :param request_callback: a :class:`HTTPServerConnectionDelegate` (an ``Application`` is one), or
        a callable that takes a whole :class:`HTTPServerRequest` and answers through its
        ``connection``.
    :param no_keep_alive: close every connection behind one request.
    :param xheaders: believe ``X-Real-Ip``/``X-Forwarded-For`` and
        ``X-Scheme``/``X-Forwarded-Proto``: only for servers that only a proxy can reach.
    :param ssl_options: see :class:`TCPServer`.
    :param protocol: "https" where TLS ends before us.
    :param decompress_request: decompress bodies with ``Content-Encoding: gzip``.
    :param chunk_size: bytes of a body handed on at a time (default 64 KiB).
    :param max_header_size: bytes of a head (default 64 KiB; 431 above).
    :param idle_connection_timeout: seconds until a connection must have sent its next head
        (default 3600).
    :param body_timeout: seconds that a body may take (default: for ever).
    :param max_body_size: bytes of a body (default 100 MiB; 413 above).
    :param max_buffer_size: see :class:`TCPServer`.
    :param trusted_downstream: addresses of proxies to skip in ``X-Forwarded-For``.
    """

    def __init__(
        self,
        request_callback: RequestCallback,
        no_keep_alive: bool = False,
        xheaders: bool = False,
        ssl_options: dict[str, Any] | ssl.SSLContext | None = None,
        protocol: str | None = None,
        decompress_request: bool = False,
        chunk_size: int | None = None,
        max_header_size: int | None = None,
        idle_connection_timeout: float | None = None,
        body_timeout: float | None = None,
        max_body_size: int | None = None,
        max_buffer_size: int | None = None,
        trusted_downstream: list[str] | None = None,
    ) -> None:
        super().__init__(
            ssl_options=ssl_options, max_buffer_size=max_buffer_size, read_chunk_size=chunk_size
        )
        idle = IDLE_CONNECTION_TIMEOUT if idle_connection_timeout is None else (
            idle_connection_timeout
        )  # fmt: skip
        self.request_callback = request_callback
        self.xheaders = xheaders
        self.protocol = protocol
        self.conn_params = HTTP1ConnectionParameters(
            decompress=decompress_request,
            chunk_size=chunk_size,
            max_header_size=max_header_size,
            header_timeout=idle,
            max_body_size=max_body_size,
            body_timeout=body_timeout,
            no_keep_alive=no_keep_alive,
        )
        self.trusted_downstream = trusted_downstream
        self._connections: set[HTTP1ServerConnection] = set()
        self._start_request: Callable[[object, HTTPConnection], HTTPMessageDelegate]
        if isinstance(request_callback, HTTPServerConnectionDelegate):
            self._start_request = request_callback.start_request
        else:
            self._start_request = lambda _, conn: _CallableAdapter(request_callback, conn)
        if not xheaders and type(self).start_request is HTTPServer.start_request:
            # Nothing to be done in between: a connection asks the application itself.
            self.start_request = self._start_request  # type: ignore[assignment, method-assign]
        shortest = min(idle, idle if body_timeout is None else body_timeout)
        self.clock_interval = min(TCPServer.clock_interval, max(shortest / 4, 0.01))

    async def close_all_connections(self) -> None:
        """Close every connection, whatever it is doing. Call after :meth:`stop`."""
        while self._connections:
            await next(iter(self._connections)).close()

    def handle_stream(self, stream: IOStream, address: Any) -> Awaitable[None] | None:
        context = HTTPRequestContext(stream, address, self.protocol, self.trusted_downstream)
        connection = HTTP1ServerConnection(stream, self.conn_params, context)
        self._connections.add(connection)
        connection.start_serving(self)
        return None

    # -- HTTPServerConnectionDelegate

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        delegate = self._start_request(server_conn, request_conn)
        return _ProxyAdapter(delegate, request_conn) if self.xheaders else delegate

    def on_close(self, server_conn: object) -> None:
        self._connections.discard(cast(HTTP1ServerConnection, server_conn))
        if isinstance(self.request_callback, HTTPServerConnectionDelegate):
            self.request_callback.on_close(server_conn)
