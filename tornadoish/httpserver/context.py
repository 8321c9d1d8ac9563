"""HTTPRequestContext: who is asking, as the connection and trusted proxies tell it.

Made by ``HTTPServer`` for each connection, and by ``_ProxyAdapter`` for each request that a proxy
has passed on. What a proxy says is read by ``proxies`` alone. (Interface: Tornado,
tornado.httpserver.)
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from typing import Any

from tornadoish.httpserver.proxies import Proxies
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.httputil.delegates import tell_trailers
from tornadoish.iostream import IOStream
from tornadoish.netutil import is_valid_ip

_AF_UNIX = getattr(socket, "AF_UNIX", None)  # not on every system


class HTTPRequestContext:
    """Who is asking, as far as a connection tells: ``remote_ip`` (always an IP address),
    ``protocol`` ("http" or "https"), ``address`` (as the socket or a PROXY header has it).

    One serves all requests of a connection; where a proxy tells more, a request gets its own, whose
    ``forwarded_host`` is the Host that the client asked for, if the proxy says so (else None), and
    whose ``_orig_remote_ip`` and ``_orig_protocol`` are the connection's.
    """

    __slots__ = ("__dict__", "_believed", "_orig_protocol", "_orig_remote_ip", "_peer", "address",
                 "forwarded_host", "protocol", "remote_ip", "ssl_object",
                 "trusted_downstream")  # fmt: skip

    def __init__(
        self,
        stream: IOStream,
        address: Any,
        protocol: str | None,
        trusted_downstream: list[str] | None = None,
    ) -> None:
        self.address = address
        self.ssl_object = stream.ssl_object
        # Who it is, as TrustedNetworks is asked: None on a Unix socket, else what is no address.
        self._peer: str | None
        # The address decides, not the socket: behind a PROXY header they are not of one family.
        ip = _ip_of(address)
        if ip is not None:
            self._peer = self.remote_ip = ip
        else:
            self.remote_ip = "0.0.0.0"  # a Unix socket's peer has none; Tornado says this too
            sock = stream.socket
            self._peer = None if sock is not None and sock.family == _AF_UNIX else "unknown"
        header = stream.proxy_header
        tls = self.ssl_object is not None or (header is not None and header.tls)
        self.protocol = protocol or ("https" if tls else "http")
        self.forwarded_host: str | None = None
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol
        self.trusted_downstream = frozenset(trusted_downstream or ())
        self._believed: bool | None = None  # not known yet

    def __str__(self) -> str:
        if isinstance(self.address, bytes):
            return self.address.decode("utf-8", "replace")
        return self.remote_ip if self.address else "unix socket"

    def forwarded(self, headers: HTTPHeaders, proxies: Proxies) -> HTTPRequestContext:
        """What the fields of a request say of the client, if the peer is a proxy to be believed.

        :return: a context for this request, or this one if there is nothing else to say.
        :raises HTTPInputError: see :meth:`Proxies.told`.
        """
        if self._believed is None:
            self._believed = proxies.believe(self._peer)
        if not self._believed:
            return self
        told = proxies.told(headers, self.remote_ip, self.protocol)
        other = HTTPRequestContext.__new__(HTTPRequestContext)
        other.address = self.address
        other.ssl_object = self.ssl_object
        other.trusted_downstream = self.trusted_downstream
        other.remote_ip, other.protocol, other.forwarded_host = told
        other._orig_remote_ip = self.remote_ip
        other._orig_protocol = self.protocol
        other._peer = self._peer
        other._believed = self._believed
        return other


def _ip_of(address: Any) -> str | None:
    """The IP address in a socket address, without the zone; None if there is none."""
    if isinstance(address, tuple) and address and isinstance(address[0], str):
        ip = address[0].partition("%")[0]
        if is_valid_ip(ip):
            return ip
    return None


class _ProxyAdapter(HTTPMessageDelegate):
    """Gives a request the context that a proxy's header fields describe."""

    __slots__ = ("_connection", "_proxies", "delegate")

    def __init__(self, delegate: HTTPMessageDelegate, request_conn: Any, proxies: Proxies) -> None:
        self._connection = request_conn
        self.delegate = delegate
        self._proxies = proxies

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._connection.context = self._connection.context.forwarded(headers, self._proxies)
        return self.delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self.delegate.data_received(chunk)

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        return tell_trailers(self.delegate, trailers)

    def finish(self) -> Awaitable[None] | None:
        return self.delegate.finish()

    def on_connection_close(self) -> None:
        self.delegate.on_connection_close()
