"""HTTPRequestContext: who is asking, as the connection and trusted proxies tell it.

Made by ``HTTPServer`` for each connection, and by ``_ProxyAdapter`` for each request that a proxy
has passed on. (Interface: Tornado, tornado.httpserver.)
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from typing import Any

from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import IOStream
from tornadoish.netutil import is_valid_ip


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
