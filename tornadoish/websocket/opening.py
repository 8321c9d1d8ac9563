"""Opening: how a client comes from a URL to a stream on which a server has accepted a WebSocket.

Name look-up, connecting (to several addresses, if it must), TLS, and the handshake as an HTTP/1.1
request. Knows nothing of messages. What to connect to is told by an object with the attributes of
Tornado's HTTPRequest, or by ``ConnectRequest``.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tornadoish import __version__
from tornadoish.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
    encode_username_password,
)
from tornadoish.iostream import IOStream, SSLIOStream, StreamClosedError
from tornadoish.netutil import Resolver, ssl_options_to_context
from tornadoish.websocket.errors import WebSocketError, WebSocketRefusedError
from tornadoish.ws import Agreed, ClientOpening, HandshakeError

CONNECT_SECONDS = 20.0
#: seconds that an address has before the next one is tried beside it (RFC 8305, 5)
ATTEMPT_SECONDS = 0.25
#: bytes of a refusal's body that are kept
BODY_BYTES = 64 * 1024
SCHEMES = {"ws": ("http", 80), "wss": ("https", 443), "http": ("http", 80), "https": ("https", 443)}


@dataclass
class ConnectRequest:
    """What to connect to; what Tornado's HTTPRequest has beside this counts too, if it is there."""

    url: str
    headers: Any = field(default_factory=HTTPHeaders)
    #: seconds for everything up to the handshake's end
    connect_timeout: float | None = None


@dataclass
class Opened:
    """A WebSocket that a server has accepted."""

    stream: IOStream
    agreed: Agreed
    headers: HTTPHeaders


def parse(url: str) -> SplitResult:
    """Take a URL apart.

    :raises ValueError: it is none of a WebSocket.
    """
    parsed = urlsplit(url)
    if parsed.scheme not in SCHEMES or not parsed.hostname:
        raise ValueError(f"No URL of a WebSocket: {url!r}")
    return parsed


async def open_websocket(
    request: Any, opening: ClientOpening, resolver: Resolver | None, streams: list[IOStream]
) -> Opened:
    """Connect and shake hands; every stream that is made is added to ``streams``, for whoever
    cancels this.

    :raises OSError: no connection came about (TimeoutError: in time).
    :raises WebSocketError: the server has answered otherwise.
    """
    parsed = parse(request.url)
    seconds = getattr(request, "connect_timeout", None)
    async with asyncio.timeout(CONNECT_SECONDS if seconds is None else seconds or None):
        stream = await _connect(parsed, request, resolver or Resolver(), streams)
        shaking = _Handshake(opening)
        shaking.connection = connection = HTTP1Connection(
            stream, True, HTTP1ConnectionParameters(max_body_size=BODY_BYTES)
        )
        line = RequestStartLine("GET", _target(parsed), "HTTP/1.1")
        await connection.write_headers(line, _headers(parsed, request, opening))
        connection.finish()
        try:
            await connection.read_response(shaking)
        except StreamClosedError as error:
            shaking.fail(error.real_error or ConnectionError("The server has closed"))
        return shaking.result()


# -- the handshake


class _Handshake(HTTPMessageDelegate):
    """Hears the answer of the server."""

    def __init__(self, opening: ClientOpening) -> None:
        self.connection: HTTP1Connection | None = None
        self._opening = opening
        self._opened: Opened | None = None
        self._error: BaseException | None = None
        self._body: list[bytes] = []

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        if not isinstance(start_line, ResponseStartLine) or self.connection is None:
            return
        code = start_line.code
        if code < 200 and code != 101:
            return
        try:
            agreed = self._opening.check(code, headers)
        except HandshakeError as error:
            self._error = WebSocketRefusedError(code, error.message, headers)
        else:
            self._opened = Opened(self.connection.detach(), agreed, headers)

    def data_received(self, chunk: bytes) -> None:
        self._body.append(chunk)

    def finish(self) -> None:
        if isinstance(self._error, WebSocketRefusedError):
            self._error.body = b"".join(self._body)

    def on_connection_close(self) -> None:
        self.finish()

    def fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def result(self) -> Opened:
        if self._opened is not None:
            return self._opened
        if self.connection is not None:
            self.connection.close()
        raise self._error or WebSocketError("The server has closed before it answered")


def _target(parsed: SplitResult) -> str:
    return (parsed.path or "/") + (f"?{parsed.query}" if parsed.query else "")


def _headers(parsed: SplitResult, request: Any, opening: ClientOpening) -> HTTPHeaders:
    """The fields of the request: those of the handshake count before the caller's."""
    headers = HTTPHeaders()
    for name, value in _pairs(request.headers):
        headers.add(name, value)
    if "Host" not in headers:
        host = parsed.netloc.rpartition("@")[2]
        headers["Host"] = host
    agent = getattr(request, "user_agent", None)
    if agent:
        headers["User-Agent"] = agent
    elif "User-Agent" not in headers:
        headers["User-Agent"] = f"tornadoish/{__version__}"
    username, password = _credentials(parsed, request)
    if username is not None:
        token = base64.b64encode(encode_username_password(username, password or ""))
        headers["Authorization"] = "Basic " + token.decode("ascii")
    for name, value in opening.headers():
        headers[name] = value
    return headers


def _pairs(headers: Any) -> Any:
    if not headers:
        return ()
    return headers.get_all() if hasattr(headers, "get_all") else headers.items()


def _credentials(parsed: SplitResult, request: Any) -> tuple[str | None, str | None]:
    if parsed.username is not None:
        return unquote(parsed.username), unquote(parsed.password or "")
    username = getattr(request, "auth_username", None)
    if username is not None and (getattr(request, "auth_mode", None) or "basic") != "basic":
        raise ValueError("Only basic authentication is supported")
    return username, getattr(request, "auth_password", None)


# -- connecting


async def _connect(
    parsed: SplitResult, request: Any, resolver: Resolver, streams: list[IOStream]
) -> IOStream:
    """A stream to the first address that takes one."""
    scheme, default_port = SCHEMES[parsed.scheme]
    host = str(parsed.hostname)
    family = socket.AF_UNSPEC
    if getattr(request, "allow_ipv6", None) is False:
        family = socket.AF_INET
    addresses = await resolver.resolve(host, parsed.port or default_port, family)
    context = _tls_context(request) if scheme == "https" else None
    failures: list[BaseException] = []
    attempts: set[asyncio.Task[IOStream]] = set()
    waiting = _interleaved(addresses)
    try:
        while waiting or attempts:
            if waiting:
                kind, address = waiting.pop(0)
                stream = _make_stream(kind, context)
                streams.append(stream)
                attempts.add(asyncio.ensure_future(_attempt(stream, address, host)))
            done, attempts = await asyncio.wait(
                attempts,
                timeout=ATTEMPT_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    return attempt.result()
                failures.append(error)
    finally:
        for attempt in attempts:
            attempt.cancel()
    error = failures[0] if failures else OSError(f"{host!r} has no address")
    if isinstance(error, StreamClosedError) and error.real_error is not None:
        raise error.real_error
    raise error


def _interleaved(addresses: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The families taking turns (RFC 8305, 4), in the order in which they came otherwise."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    mixed = []
    while first or others:
        if first:
            mixed.append(first.pop(0))
        if others:
            mixed.append(others.pop(0))
    return mixed


def _make_stream(family: int, context: ssl.SSLContext | None) -> IOStream:
    sock = socket.socket(family)
    return IOStream(sock) if context is None else SSLIOStream(sock, ssl_options=context)


async def _attempt(stream: IOStream, address: Any, host: str) -> IOStream:
    try:
        return await stream.connect(address, server_hostname=host)
    except BaseException:
        stream.close()
        raise


def _tls_context(request: Any) -> ssl.SSLContext:
    """As Tornado's HTTPRequest says it: ``ssl_options``, or the single options."""
    given = getattr(request, "ssl_options", None)
    if given is not None:
        return ssl_options_to_context(given, server_side=False)
    options: dict[str, Any] = {
        "ca_certs": getattr(request, "ca_certs", None),
        "certfile": getattr(request, "client_cert", None),
        "keyfile": getattr(request, "client_key", None),
    }
    if getattr(request, "validate_cert", None) is False:
        options["cert_reqs"] = ssl.CERT_NONE
    return ssl_options_to_context(options, server_side=False)
