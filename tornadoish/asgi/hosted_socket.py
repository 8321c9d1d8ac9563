"""HostedSocket: one WebSocket of a foreign application, between our handlers' and ASGI's.

``HostedSockets`` is an application of ours whose one handler shakes hands for it and has the
connection; ``ASGIContainer`` has one, and asks it for a delegate for each handshake. The foreign
application runs in a task of its own, from before the handshake, which waits until it has accepted
or refused, to its end. Both ways have back-pressure: little more is read from the client than the
application has received, and ``send`` returns when there is room for more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Any, cast

from tornadoish.asgi.hosted import (
    checked,
    head_of_answer,
    log_failure,
    log_silence,
    scope_of,
    step_of,
)
from tornadoish.asgi.types import ASGIApp, Event, Scope
from tornadoish.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, responses
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.web import Application
from tornadoish.web.foreign import BODYLESS, HOP_BY_HOP, fields_of_answer
from tornadoish.web.tasks import run_in_task
from tornadoish.websocket import WebSocketClosedError, WebSocketConnection, WebSocketHandler
from tornadoish.websocket.parameters import CompressionOptions, deflate_options
from tornadoish.ws import Answer, HandshakeError, Opening
from tornadoish.ws.codes import ABNORMAL, INTERNAL_ERROR, NO_STATUS, NORMAL
from tornadoish.ws.states import State as Core

#: seconds that an application has to end when its last server has
END_SECONDS = 1.0


class Stage(Enum):
    """How far it has come."""

    ASKED = "neither accepted nor refused"
    REFUSING = "an answer is being sent instead"
    REFUSED = "refused"
    ACCEPTED = "accepted, and hands are being shaken"
    OPEN = "messages go both ways"
    CLOSED = "the application has closed it"
    GONE = "nobody is there any more"


class HostedSockets(Application):
    """The WebSockets of one foreign application.

    :param ready: a coroutine function: whether the application has started.
    :param state: gives what its lifespan has to say to its requests.
    :param settings: those of WebSockets, as of any ``Application``.
    :raises ValueError: compression options that are none; TypeError: unknown ones.
    """

    def __init__(
        self,
        foreign: ASGIApp,
        ready: Callable[[], Awaitable[bool]],
        state: Callable[[], dict[str, Any]],
        compression: CompressionOptions | None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings, automatic_etag=False)
        self.foreign = foreign
        self.ready = ready
        self.state = state
        self.compression = deflate_options(compression)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        return self.get_handler_delegate(request, _Handler)

    async def end(self) -> None:
        """Wait until the application is through with those that have ended, and not for long."""
        if self._running:
            await asyncio.wait(self._running, timeout=END_SECONDS)
        for task in list(self._running):
            task.cancel()


class _Handler(WebSocketHandler):
    """Shakes hands when the application has accepted, and gives it the messages."""

    _socket: HostedSocket | None = None

    @property
    def _sockets(self) -> HostedSockets:
        return cast(HostedSockets, self.application)

    async def prepare(self) -> None:
        """Run the application, until it has decided."""
        request = self.request
        try:
            opening = Opening.read(request.method, request.headers, request.version)
        except HandshakeError as error:
            self._ws_refuse(error.status, error.message, error.headers)
            return
        if not await self._sockets.ready():
            self._ws_refuse(503, "Service Unavailable")
            return
        socket = self._socket = HostedSocket(self, opening.subprotocols)
        task = run_in_task(socket.run(self._sockets.foreign, self._sockets.state()))
        self.application.hold(task)
        try:
            await socket.decided
        except asyncio.CancelledError:
            task.cancel()
            raise
        if socket.stage is Stage.REFUSED and not self._finished:
            self._ws_refuse(socket.status, responses[socket.status])

    def on_connection_close(self) -> None:
        if self._socket is not None:
            self._socket.over()

    def _check_cross_origin(self, check: Callable[[str], bool]) -> str | None:
        """Whoever it is: the application decides."""
        return None

    def get_compression_options(self) -> CompressionOptions | None:
        return self._sockets.compression

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return None if self._socket is None else self._socket.subprotocol

    def _ws_shake_hands(self) -> WebSocketConnection | None:
        connection = None
        try:
            connection = super()._ws_shake_hands()
        finally:
            if connection is None and self._socket is not None:
                self._socket.over()
        return connection

    def _ws_upgrade(self, answer: Answer) -> IOStream:
        if self._socket is not None:
            self._headers = self._socket.fields
        return super()._ws_upgrade(answer)

    def open(self) -> None:
        if self._socket is not None and self.ws_connection is not None:
            self._socket.opened(self.ws_connection, aiter(self))

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        super().close(code, reason)
        if self._socket is not None and self._socket.our_code is None:
            self._socket.our_code = code or NORMAL


class HostedSocket:
    """One WebSocket: the ``receive`` and ``send`` of the application.

    :param offered: the subprotocols that the client offers.

    ``decided`` is a future, done when the application has accepted or refused, or need not; then
    ``stage`` says so, and ``subprotocol`` and ``fields``, or ``status``, how.
    """

    def __init__(self, handler: _Handler, offered: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()
        self._handler = handler
        self._offered = offered
        self.stage = Stage.ASKED
        self.decided: asyncio.Future[None] = loop.create_future()
        self.subprotocol: str | None = None
        self.fields = HTTPHeaders()
        self.status = 0
        #: with which it was closed here, by the application or because the server stops
        self.our_code: int | None = None
        self._told = False  # the application knows that somebody is there
        self._shaken: asyncio.Future[None] = loop.create_future()  # open, or over
        self._over = asyncio.Event()
        self._connection: WebSocketConnection | None = None
        self._messages: AsyncIterator[str | bytes] | None = None
        self._disconnect: Event = {}

    def __repr__(self) -> str:
        return f"<HostedSocket {self._what}: {self.stage.value}>"

    @property
    def _what(self) -> str:
        return f"WebSocket {self._handler.request.uri}"

    # -- what the handler tells

    def opened(self, connection: WebSocketConnection, messages: AsyncIterator[str | bytes]) -> None:
        """Hands have been shaken."""
        self._connection = connection
        self._messages = messages
        self.stage = Stage.OPEN
        _set(self._shaken)

    def over(self) -> None:
        """There is nobody any more, or will not be."""
        if self._over.is_set():
            return
        if self.stage not in (Stage.REFUSED, Stage.CLOSED):
            self.stage = Stage.GONE
        handler, connection = self._handler, self._connection
        code = handler.close_code or self.our_code
        if code is None:
            ended_well = connection is not None and connection.protocol.state is Core.CLOSED
            code = NO_STATUS if ended_well else ABNORMAL
        reason = handler.close_reason or ""
        self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._over.set()
        _set(self.decided)
        _set(self._shaken)

    # -- the application

    async def run(self, application: ASGIApp, state: dict[str, Any]) -> None:
        """Run the application to its end, which is that of the WebSocket, too."""
        scope = socket_scope_of(self._handler.request, state, self._offered)
        code = NORMAL
        try:
            await application(scope, self.receive, self.send)
        except Exception as error:
            code = INTERNAL_ERROR
            log_failure(self._what, self.stage, error, gone=self.stage is Stage.GONE)
        except BaseException:
            self._end(INTERNAL_ERROR)
            raise
        else:
            if self.stage in (Stage.ASKED, Stage.REFUSING):
                log_silence(self._what, self.stage)
        self._end(code)

    def _end(self, code: int) -> None:
        """The application has ended, with this for a last word if it has said none."""
        if self.stage is Stage.ASKED:
            self._refuse(500)
        elif self.stage is Stage.REFUSING:
            if not self._handler._finished:
                self._handler._abandon()
            self.over()
        elif self.stage is Stage.OPEN:
            self.stage = Stage.CLOSED
            self._handler.close(code)

    async def receive(self) -> Event:
        """ASGI: that somebody would like to connect, a message, or that it has been closed."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        await asyncio.shield(self._shaken)
        if self._messages is not None:
            try:
                message = await anext(self._messages)
            except StopAsyncIteration:
                pass
            else:
                kind = "text" if isinstance(message, str) else "bytes"
                return {"type": "websocket.receive", kind: message}
        await self._over.wait()
        return self._disconnect

    async def send(self, event: Event) -> None:
        """ASGI: accept, send a message, close; or an answer of its own instead.

        :raises StreamClosedError: an OSError: the client is gone.
        :raises RuntimeError: this is not the time for that event.
        :raises ValueError: what must not be sent: fields, a status, a subprotocol that was not
            offered, a code, half a surrogate pair.
        """
        if self.stage is Stage.GONE:
            raise StreamClosedError()
        await step_of(_STEPS, event, self.stage)(self, event)

    async def _accept(self, event: Event) -> None:
        subprotocol = event.get("subprotocol") or None
        if subprotocol is not None and subprotocol not in self._offered:
            raise ValueError(f"The client has not offered the subprotocol {subprotocol!r}")
        self.fields = checked(_fields_of_acceptance, event.get("headers") or ())
        self.subprotocol = subprotocol
        self.stage = Stage.ACCEPTED
        _set(self.decided)
        await asyncio.shield(self._shaken)
        if self._messages is None:
            raise StreamClosedError()

    async def _send_message(self, event: Event) -> None:
        message: Any = event.get("text")
        binary = message is None
        if binary:
            message = event.get("bytes")
            if message is None:
                raise ValueError("A message with neither text nor bytes")
        try:
            await self._handler.send(message, binary)
        except WebSocketClosedError:
            raise StreamClosedError() from None

    async def _close(self, event: Event) -> None:
        code = event.get("code")
        self._handler.close(NORMAL if code is None else code, event.get("reason") or None)
        self.stage = Stage.CLOSED

    async def _close_unopened(self, event: Event) -> None:
        self._refuse(403)

    def _refuse(self, status: int) -> None:
        self.status = status
        self.stage = Stage.REFUSED
        self.over()

    async def _answer(self, event: Event) -> None:
        status, fields = head_of_answer(event)
        self._handler.set_status(status, responses.get(status, ""))
        self._handler._headers = fields
        self.status = status
        self.stage = Stage.REFUSING

    async def _answer_body(self, event: Event) -> None:
        handler = self._handler
        if self.status not in BODYLESS:
            handler.write(bytes(event.get("body", b"")))
        if event.get("more_body", False):
            await handler.flush()
        else:
            handler.finish()
            self._refuse(self.status)


_STEPS: dict[tuple[str, Stage], Callable[[HostedSocket, Event], Awaitable[None]]] = {
    ("websocket.accept", Stage.ASKED): HostedSocket._accept,
    ("websocket.close", Stage.ASKED): HostedSocket._close_unopened,
    ("websocket.http.response.start", Stage.ASKED): HostedSocket._answer,
    ("websocket.http.response.body", Stage.REFUSING): HostedSocket._answer_body,
    ("websocket.send", Stage.OPEN): HostedSocket._send_message,
    ("websocket.close", Stage.OPEN): HostedSocket._close,
}


def socket_scope_of(
    request: HTTPServerRequest, state: dict[str, Any], offered: tuple[str, ...]
) -> Scope:
    """What a foreign application is told of a handshake (ASGI, "WebSocket Connection Scope")."""
    scope = scope_of(request, state)
    del scope["method"]
    scope.update(
        type="websocket",
        scheme="wss" if request.protocol == "https" else "ws",
        subprotocols=list(offered),
        extensions={"websocket.http.response": {}},
    )
    return scope


def _fields_of_acceptance(pairs: list[tuple[str, str]]) -> HTTPHeaders:
    for name, _ in pairs:
        lower = name.lower()
        if lower in HOP_BY_HOP or lower == "content-length" or lower.startswith("sec-websocket-"):
            raise ValueError(f"{name} is the handshake's, not an application's")
    return fields_of_answer(pairs)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
