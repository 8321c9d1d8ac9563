"""HTTPServer: a TCPServer whose streams speak HTTP.

It makes a connection for each stream and stands between that and the application: who is asking
(``HTTPRequestContext``) is decided here. (Interface: Tornado, tornado.httpserver.)
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tornadoish.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import IOStream
from tornadoish.netutil import is_valid_ip
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


class HTTPRequestContext:
    """Who is asking, as far as a connection tells: ``remote_ip``, ``protocol``, ``address``.

    One serves all requests of a connection; where a proxy tells more, a request gets its own.
    """

    __slots__ = ("__dict__", "_orig_protocol", "_orig_remote_ip", "address", "protocol",
                 "remote_ip", "ssl_object", "trusted_downstream")  # fmt: skip

    def __init__(
        self,
        stream: IOStream,
        address: Any,
        protocol: str | None,
        trusted_downstream: list[str] | None = None,
    ) -> None:
        self.address = address
        self.ssl_object = stream.ssl_object
        sock = stream.socket
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and address:
            self.remote_ip: str = address[0]
        else:
            self.remote_ip = "0.0.0.0"  # a Unix socket's peer has none; Tornado says this too
        self.protocol = protocol or ("https" if self.ssl_object is not None else "http")
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol
        self.trusted_downstream = frozenset(trusted_downstream or ())

    def __str__(self) -> str:
        if isinstance(self.address, bytes):
            return self.address.decode("utf-8", "replace")
        return self.remote_ip if self.address else "unix socket"

    def forwarded(self, headers: HTTPHeaders) -> HTTPRequestContext:
        """What a proxy's header fields say of the client (they must come from a trusted one)."""
        ip = self.remote_ip
        for candidate in reversed(headers.get("X-Forwarded-For", ip).split(",")):
            ip = candidate.strip(" \t")
            if ip not in self.trusted_downstream:
                break
        ip = headers.get("X-Real-Ip", ip)
        scheme = headers.get("X-Scheme", headers.get("X-Forwarded-Proto", self.protocol))
        scheme = scheme.rpartition(",")[2].strip(" \t")  # the proxy next to us wrote the last
        other = HTTPRequestContext.__new__(HTTPRequestContext)
        other.address = self.address
        other.ssl_object = self.ssl_object
        other.trusted_downstream = self.trusted_downstream
        other.remote_ip = ip if is_valid_ip(ip) else self.remote_ip
        other.protocol = scheme if scheme in ("http", "https") else self.protocol
        other._orig_remote_ip = self.remote_ip
        other._orig_protocol = self.protocol
        return other


class _ProxyAdapter(HTTPMessageDelegate):
    """Gives a request the context that a proxy's header fields describe."""

    __slots__ = ("_connection", "_delegate")

    def __init__(self, delegate: HTTPMessageDelegate, request_conn: Any) -> None:
        self._connection = request_conn
        self._delegate = delegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._connection.context = self._connection.context.forwarded(headers)
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> Awaitable[None] | None:
        return self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()


#: Tornado's old name for it, still imported by applications.
HTTPRequest = HTTPServerRequest
