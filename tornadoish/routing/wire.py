"""Wire: how every message comes to the delegate that a router finds for it.

What ``_RoutingDelegate`` (see ``delegates``) does; only that knows what becomes of a request for
which there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from tornadoish.compiling import mypyc_attr
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.httputil.delegates import tell_trailers
from tornadoish.httputil.request_head import new_request, take_head


class Finder(Protocol):
    """What a router is to its delegates."""

    def find_handler(
        self, request: HTTPServerRequest, **kwargs: Any
    ) -> HTTPMessageDelegate | None: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Wire:
    """Chooses a delegate when the head arrives, then is only a wire to it."""

    __slots__ = ("delegate", "request", "request_conn", "router", "server_conn")

    def __init__(self, router: Finder, server_conn: object, request_conn: HTTPConnection) -> None:
        self.router = router
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.delegate: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if not isinstance(start_line, RequestStartLine):
            raise TypeError(f"a router takes requests, not {start_line!r}")
        request = self.request = new_request(HTTPServerRequest)
        take_head(request, self.request_conn, self.server_conn, start_line, headers)
        delegate = self.router.find_handler(request)
        if delegate is None:
            delegate = self.delegate_of_none(start_line)
        self.delegate = delegate
        return delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.delegate is None:
            raise RuntimeError("data_received() before headers_received()")
        return self.delegate.data_received(chunk)

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        if self.delegate is None:
            raise RuntimeError("trailers_received() before headers_received()")
        return tell_trailers(self.delegate, trailers)

    def finish(self) -> Awaitable[None] | None:
        if self.delegate is None:
            raise RuntimeError("finish() before headers_received()")
        return self.delegate.finish()

    def on_connection_close(self) -> None:
        if self.delegate is not None:
            self.delegate.on_connection_close()

    def delegate_of_none(self, start_line: RequestStartLine) -> HTTPMessageDelegate:
        """Who hears of a request for which there is no route."""
        raise NotImplementedError
