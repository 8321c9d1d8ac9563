"""ASGIContainer: a foreign ASGI application as a target of routes and as what a server serves.

What becomes of one request is in ``hosted``, the beginning and end of the application in
``lifespan``.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornadoish.asgi.hosted import HostedRequest, scope_of
from tornadoish.asgi.lifespan import Lifespan
from tornadoish.asgi.types import ASGIApp
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.log import app_log
from tornadoish.routing import Router
from tornadoish.web.foreign import answer_error, log_request


class ASGIContainer(Router):
    """Makes an ASGI application (3.0) answer requests; ours alone, not Tornado's::

        Application([Mount("/api", ASGIContainer(api)), ("/", MainHandler)])

    Use it as the target of a rule, which may be a ``Mount``, or as an :class:`HTTPServer`'s
    ``request_callback``. The application's lifespan is that of the server, if that is told to start
    what it serves (``async with HTTPServer(...)``); else it begins with the first request, and ends
    with ``HTTPServer.drain``. WebSockets are refused with a 501, for the time being.

    :param application: a coroutine function of ``scope``, ``receive`` and ``send``.
    """

    def __init__(self, application: ASGIApp) -> None:
        self.application = application
        self._lifespan = Lifespan(application)
        self._servers = 0  # that have started it, and not cleaned it up

    # -- its life

    async def startup(self) -> None:
        """Start the application's lifespan.

        :raises LifespanError: it could not start, and says so.
        """
        await self._lifespan.start()
        self._servers += 1

    async def cleanup(self) -> None:
        """End the application's lifespan, if this was its last server.

        :raises LifespanError: it could not end as it should, and says so.
        """
        self._servers = max(self._servers - 1, 0)
        if self._servers == 0:
            await self._lifespan.stop()

    # -- requests

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """A delegate that answers ``request``, body and all, by the application."""
        if _asks_for_websocket(request):
            return self.find_websocket(request)
        return HostedRequest(request, self._run)

    def find_websocket(self, request: HTTPServerRequest) -> HTTPMessageDelegate:
        """A delegate for a request that would like to become a WebSocket: so far, a refusal."""
        return _Refusal(request)

    async def _run(self, hosted: HostedRequest) -> None:
        if not self._lifespan.ready:
            try:
                await self._lifespan.start()
            except Exception:
                app_log.error("An ASGI application could not be started", exc_info=True)
                hosted.give_up(503)
                return
        scope = scope_of(hosted.request, self._lifespan.state)
        await self.application(scope, hosted.receive, hosted.send)


class _Refusal(HTTPMessageDelegate):
    """Answers with a 501."""

    __slots__ = ("_request",)

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        answer_error(self._request.connection, 501)
        log_request(501, self._request)
        return None


def _asks_for_websocket(request: HTTPServerRequest) -> bool:
    upgrade = request.headers.index().get("upgrade")
    return upgrade is not None and upgrade.lower() == "websocket" and request.method == "GET"
