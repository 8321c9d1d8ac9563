"""The delegates of routers: they stand between a server and what a router finds for a request.

A router makes one for each message and knows nothing more of it. (Tornado: tornado.routing.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, cast

from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.log import app_log
from tornadoish.routing.wire import Wire


class _RoutingDelegate(Wire, HTTPMessageDelegate):
    """Chooses a delegate when the head arrives, then is only a wire to it."""

    __slots__ = ()

    def delegate_of_none(self, start_line: RequestStartLine) -> HTTPMessageDelegate:
        app_log.debug("no route for %s %s", start_line.method, start_line.path)
        return _DefaultMessageDelegate(self.request_conn)


class _DefaultMessageDelegate(HTTPMessageDelegate):
    """Answers 404 with an empty body, once the request's own body has been read and dropped."""

    __slots__ = ("connection",)

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection

    def finish(self) -> Awaitable[None] | None:
        # The length is said outright: complete for HEAD, for HTTP/1.0 and without chunking.
        self.connection.write_headers(
            ResponseStartLine("HTTP/1.1", 404, "Not Found"), HTTPHeaders({"Content-Length": "0"})
        )
        self.connection.finish()
        return None


class _CallableAdapter(HTTPMessageDelegate):
    """Collects a whole request, then calls a function with it."""

    __slots__ = ("_chunks", "_request", "connection", "request_callback", "root_path")

    def __init__(
        self, request_callback: Callable[[HTTPServerRequest], Any], request_conn: HTTPConnection
    ) -> None:
        self.request_callback = request_callback
        self.connection = request_conn
        self.root_path = ""  # of the request by which the function was found
        self._request: HTTPServerRequest | None = None
        self._chunks: list[bytes] = []

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._request = HTTPServerRequest(
            connection=self.connection,
            start_line=cast(RequestStartLine, start_line),
            headers=headers,
        )
        if self.root_path:
            self._request.root_path = self.root_path
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._chunks.append(chunk)
        return None

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        if self._request is not None:
            self._request.trailers = trailers
        return None

    def finish(self) -> Awaitable[None] | None:
        request = self._request
        if request is None:
            raise RuntimeError("finish() before headers_received()")
        request.body = b"".join(self._chunks)
        request._parse_body()
        result = self.request_callback(request)
        return cast("Awaitable[None]", result) if isawaitable(result) else None

    def on_connection_close(self) -> None:
        self._chunks.clear()
