"""ASGIContainer: a foreign ASGI application as a target of routes and as what a server serves.

What becomes of one request is in ``hosted``, of a WebSocket in ``hosted_socket``; the beginning and
end of the application are in ``lifespan``.
"""

from __future__ import annotations

from typing import Any

from tornadoish.asgi.hosted import HostedRequest, scope_of
from tornadoish.asgi.hosted_socket import HostedSockets
from tornadoish.asgi.lifespan import Lifespan
from tornadoish.asgi.types import ASGIApp
from tornadoish.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornadoish.log import app_log
from tornadoish.routing import Router
from tornadoish.websocket import _default_max_message_size
from tornadoish.websocket.parameters import CompressionOptions
from tornadoish.ws.handshake import tokens

#: between two pings, and from one until something must come, in seconds (uvicorn's, too)
PING_SECONDS = 20.0


class ASGIContainer(Router):
    """Makes an ASGI application (3.0) answer requests; ours alone, not Tornado's::

        Application([Mount("/api", ASGIContainer(api)), ("/", MainHandler)])

    Use it as the target of a rule, which may be a ``Mount``, or as an :class:`HTTPServer`'s
    ``request_callback``. The application's lifespan is that of the server, if that is told to start
    what it serves (``async with HTTPServer(...)``); else it begins with the first request, and ends
    with ``HTTPServer.drain``.

    Its WebSockets are ours, as of :class:`WebSocketHandler`, but for the origin: whether pages of
    other sites may open one is for the application to say, as it is under other servers.

    :param application: a coroutine function of ``scope``, ``receive`` and ``send``.
    :param websocket_max_message_size: bytes of a message, decompressed; above, 1009.
    :param websocket_ping_interval: seconds between two pings; None or 0: none.
    :param websocket_ping_timeout: seconds from a ping on in which something must come from a
        client that is read, else its connection is closed; 0: nobody looks.
    :param websocket_compression: as of :meth:`WebSocketHandler.get_compression_options`.
    :raises ValueError: compression options that are out of range; TypeError: unknown ones.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        websocket_max_message_size: int = _default_max_message_size,
        websocket_ping_interval: float | None = PING_SECONDS,
        websocket_ping_timeout: float | None = PING_SECONDS,
        websocket_compression: CompressionOptions | None = None,
    ) -> None:
        self.application = application
        self._lifespan = Lifespan(application)
        self._servers = 0  # that have started it, and not cleaned it up
        self._sockets = HostedSockets(
            application,
            self._is_ready,
            lambda: self._lifespan.state,
            websocket_compression,
            websocket_max_message_size=websocket_max_message_size,
            websocket_ping_interval=websocket_ping_interval,
            websocket_ping_timeout=websocket_ping_timeout,
        )

    # -- its life

    async def startup(self) -> None:
        """Start the application's lifespan.

        :raises LifespanError: it could not start, and says so.
        """
        await self._lifespan.start()
        self._servers += 1

    def on_drain(self) -> None:
        """Close the WebSockets (1001); the application hears of it as of any other end."""
        self._sockets.on_drain()

    async def cleanup(self) -> None:
        """End the application's lifespan, if this was its last server.

        :raises LifespanError: it could not end as it should, and says so.
        """
        self._servers = max(self._servers - 1, 0)
        if self._servers == 0:
            await self._sockets.end()
            await self._lifespan.stop()

    # -- requests

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """A delegate that answers ``request``, body and all, by the application."""
        if _asks_for_websocket(request):
            return self.find_websocket(request)
        return HostedRequest(request, self._run)

    def find_websocket(self, request: HTTPServerRequest) -> HTTPMessageDelegate:
        """A delegate for a request that would like to become a WebSocket."""
        return self._sockets.find_handler(request)

    async def _run(self, hosted: HostedRequest) -> None:
        if not self._lifespan.ready and not await self._is_ready():
            hosted.give_up(503)
            return
        scope = scope_of(hosted.request, self._lifespan.state)
        await self.application(scope, hosted.receive, hosted.send)

    async def _is_ready(self) -> bool:
        """Whether the application has started: now, if it has not before."""
        try:
            await self._lifespan.start()
        except Exception:
            app_log.error("An ASGI application could not be started", exc_info=True)
            return False
        return True


def _asks_for_websocket(request: HTTPServerRequest) -> bool:
    upgrade = request.headers.index().get("upgrade")
    return (
        upgrade is not None and request.method == "GET" and "websocket" in tokens(upgrade.lower())
    )
