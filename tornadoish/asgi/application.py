"""ASGIApplication: our applications on foreign servers.

``ASGIApplication(application)`` is what uvicorn, granian or hypercorn is given. What becomes of one
request is in ``served``, of a WebSocket in ``served_socket``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornadoish.asgi.served import ServedRequest
from tornadoish.asgi.served_socket import ServedSocket
from tornadoish.asgi.targets import target_of
from tornadoish.asgi.types import Receive, Scope, Send
from tornadoish.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
)
from tornadoish.iostream import DeadlineClock
from tornadoish.log import app_log
from tornadoish.routing import Router, _CallableAdapter
from tornadoish.routing.mount import _Below

#: bytes of a body that are taken, unless a handler allows more (``HTTPServer``'s default, too)
MAX_BODY_SIZE = 100 * 1024 * 1024

RequestCallback = HTTPServerConnectionDelegate | Callable[[HTTPServerRequest], Any]


class ASGIApplication:
    """Makes ``application`` one of ASGI 3.0 (ours alone, not Tornado's)::

        app = ASGIApplication(Application([...]))    # and then: uvicorn module:app

    Its hooks (``on_startup`` and so on) are called for the host's lifespan, at whose end, when the
    host has seen the last request off, ``on_drain`` is called too. Where the host, or another
    application, has it below a prefix (``root_path``), it is as in a ``Mount``: routes are those of
    the rest of the path. What there cannot be over ASGI: ``detach``, and reasons of one's own.

    WebSockets are the host's: it says how large messages may be and pings clients; those pings of a
    handler's are answered here. Nobody is sent a close without a code (it is 1000), and a handler's
    connection that is cut is one that ends with 1011. An answer other than a WebSocket becomes a
    403 on hosts that do not know the extension ``websocket.http.response``.

    :param application: what an :class:`HTTPServer` takes as its ``request_callback``.
    :param max_body_size: bytes of a body; 413 above. Hosts have no such bound of their own, and
        theirs are all others.
    """

    def __init__(self, application: RequestCallback, *, max_body_size: int = MAX_BODY_SIZE) -> None:
        self.application = application
        self.max_body_size = max_body_size
        self._clock = DeadlineClock()  # of the ends of WebSockets that are in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What a host calls for each request, and for its lifespan.

        :raises NotImplementedError: a kind of connection that is none of these.
        """
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await self._talk(scope, receive, send)
        else:
            raise NotImplementedError(f"ASGI scope {kind!r}")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        target, prefix = target_of(scope)
        delegate = _delegate_of(self.application, prefix)
        request = ServedRequest(delegate, scope, target, receive, send, self.max_body_size)
        try:
            await request.run()
        finally:
            delegate.on_close(request)

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        target, prefix = target_of(scope)
        delegate = _delegate_of(self.application, prefix)
        await ServedSocket(delegate, scope, target, receive, send, self._clock).run()

    # -- its life

    async def _live(self, receive: Receive, send: Send) -> None:
        application = self.application
        if not isinstance(application, HTTPServerConnectionDelegate):
            application = HTTPServerConnectionDelegate()  # no hooks, so nothing happens
        await receive()  # lifespan.startup
        try:
            await application.startup()
        except Exception as error:
            app_log.error("The application could not be started", exc_info=True)
            await send({"type": "lifespan.startup.failed", "message": repr(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        failure: Exception | None = None
        for call in (application.on_drain, application.shutdown, application.cleanup):
            try:
                pending = call()
                if pending is not None:
                    await pending
            except Exception as error:
                app_log.error("Uncaught exception as the application ended", exc_info=True)
                failure = failure or error
        if failure is None:
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await send({"type": "lifespan.shutdown.failed", "message": repr(failure)})


def _delegate_of(application: RequestCallback, prefix: str) -> HTTPServerConnectionDelegate:
    """Who is asked for a delegate of a request below ``prefix``."""
    if not isinstance(application, HTTPServerConnectionDelegate):
        return _Callback(application, prefix)
    if prefix and isinstance(application, Router):
        return _Below(prefix, application)
    return application


class _Callback(HTTPServerConnectionDelegate):
    """A function that takes whole requests."""

    __slots__ = ("_callback", "_prefix")

    def __init__(self, callback: Callable[[HTTPServerRequest], Any], prefix: str) -> None:
        self._callback = callback
        self._prefix = prefix

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        adapter = _CallableAdapter(self._callback, request_conn)
        adapter.root_path = self._prefix
        return adapter
