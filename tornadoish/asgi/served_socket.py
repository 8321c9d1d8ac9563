"""ServedSocket: one WebSocket that came over ASGI, brought to our handlers.

These take the stream of their connection when hands have been shaken, and over ASGI there is none:
so there is one in memory (``iostream.pipe``). At its one end is a server connection like any other;
at the other end, here, a client of our own that shakes hands, passes on what is said, in both
directions no faster than it is taken, and how it ends. Made by ``ASGIApplication``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from contextvars import copy_context
from enum import Enum
from types import TracebackType
from typing import Any

from tornadoish.asgi.connection import ASGIRequestContext, encoded, is_not_the_hosts
from tornadoish.asgi.served import head_of
from tornadoish.asgi.types import Event, Receive, Scope, Send
from tornadoish.http1connection import (
    HTTP1Connection,
    HTTP1ConnectionParameters,
    HTTP1ServerConnection,
)
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import NEVER, DeadlineClock, IOStream, pipe
from tornadoish.log import app_log, gen_log
from tornadoish.web.foreign import HOP_BY_HOP
from tornadoish.websocket import WebSocketClosedError, WebSocketConnection
from tornadoish.websocket.parameters import Parameters
from tornadoish.ws import Agreed, ClientOpening, HandshakeError, Protocol
from tornadoish.ws.codes import (
    ABNORMAL,
    INTERNAL_ERROR,
    MAX_REASON,
    NORMAL,
    may_be_sent,
)
from tornadoish.ws.states import State

#: what is allowed to an application, which takes as long as it likes; its client is the host's
_PARAMETERS = Parameters(
    max_message_size=None, max_unsent_bytes=sys.maxsize, send_timeout=None, close_timeout=NEVER
)
#: an answer that is none of a WebSocket may be as long as it likes
_ANSWER = HTTP1ConnectionParameters(max_body_size=sys.maxsize)


class Stage(Enum):
    """How far it has come."""

    ASKED = "the application has not answered"
    REFUSED = "another answer is passed on, or has been"
    OPEN = "messages are passed on"
    GONE = "the client is"


class ServedSocket(HTTPMessageDelegate):
    """One WebSocket. It hears the answer to its handshake, and then the messages of the application
    (it is the delegate of its WebSocketConnection).

    :param delegate: asked for a delegate of the handshake.
    :param target: what is asked for.
    :param clock: sees to the time-outs of the server's end.
    """

    cancel_on_close = False

    def __init__(
        self,
        delegate: HTTPServerConnectionDelegate,
        scope: Scope,
        target: str,
        receive: Receive,
        send: Send,
        clock: DeadlineClock,
    ) -> None:
        self._server_delegate = delegate
        self._scope = scope
        self._target = target
        self._receive = receive
        self._send = send
        self._clock = clock
        self._answers = "websocket.http.response" in (scope.get("extensions") or {})
        self._stage = Stage.ASKED
        self._piece = b""  # of the body of another answer, the last that has come
        self._stream = IOStream()  # our end
        self._serving: HTTP1ServerConnection | None = None  # the other one
        self._opening: ClientOpening | None = None
        self._request: HTTP1Connection | None = None
        self._agreed: tuple[Agreed, HTTPHeaders] | None = None
        loop = asyncio.get_running_loop()
        self._connection: asyncio.Future[WebSocketConnection] = loop.create_future()
        self._over = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ServedSocket {self._target}: {self._stage.value}>"

    async def run(self) -> None:
        """Shake hands, and pass on, until either side has closed."""
        await self._receive()  # websocket.connect
        try:
            opening = self._opening = ClientOpening(self._scope.get("subprotocols") or ())
            headers = self._fields(opening)
        except (HTTPInputError, ValueError) as error:
            gen_log.info("Malformed request for a WebSocket: %s", error)
            await self._refuse(400)
            return
        listening: asyncio.Task[None] | None = None
        try:
            await self._connect()
            listening = asyncio.ensure_future(self._listen())
            await self._shake_hands(opening, headers)
            if self._connection.done():
                await self._over.wait()
                await self._close(self._connection.result())
        except BaseException:
            if self._serving is not None and not self._connection.done():
                self._serving.cut()
            raise
        finally:
            self._stream.abort()
            if listening is not None:
                listening.cancel()
                await asyncio.wait([listening])

    async def _tell(self, event: Event) -> None:
        """Tell the client something, through the host; unless it is gone."""
        if self._stage is not Stage.GONE:
            try:
                await self._send(event)
            except OSError:  # ASGI, 2.4
                self._client_gone({"code": ABNORMAL})

    # -- the handshake

    def _fields(self, opening: ClientOpening) -> HTTPHeaders:
        """The fields of the request as they go over the connection in memory.

        :raises HTTPInputError: not a request.
        """
        _, sent = head_of({**self._scope, "method": "GET", "http_version": "1.1"}, self._target)
        headers = HTTPHeaders()
        for name, value in sent.wire_pairs():
            lower = name.lower()
            # Those of the handshake were for the host, and it may have come in HTTP/2 (RFC 8441).
            is_the_hosts = lower in HOP_BY_HOP or lower.startswith("sec-websocket-")
            if not is_the_hosts and lower != "content-length":
                headers.add(name, value)
        if "Host" not in headers:
            headers["Host"] = ""
        for name, value in opening.headers():
            headers.add(name, value)
        return headers

    async def _connect(self) -> None:
        """Make the connection, and the server's end of it."""
        context, there = ASGIRequestContext(self._scope), IOStream()
        self._serving = HTTP1ServerConnection(there, context=context)
        connected: asyncio.Future[IOStream] = asyncio.get_running_loop().create_future()
        self._stream.on_open = connected.set_result
        there.on_open = self._serve
        addresses: dict[str, Any] = {}
        for name, key in (("client_address", "client"), ("server_address", "server")):
            if self._scope.get(key):
                addresses[name] = tuple(self._scope[key])
        pipe.connect(self._stream, there, **addresses)
        (await connected).watch(self._clock)

    def _serve(self, stream: IOStream) -> None:
        stream.watch(self._clock)
        if self._serving is not None:
            self._serving.start_serving(self._server_delegate)

    async def _shake_hands(self, opening: ClientOpening, headers: HTTPHeaders) -> None:
        """Ask for the WebSocket, and pass the answer on."""
        self._request = request = HTTP1Connection(self._stream, True, _ANSWER)
        request.write_headers(RequestStartLine("GET", self._target, "HTTP/1.1"), headers)
        request.finish()
        await request.read_response(self)
        if self._agreed is not None:
            await self._accept(*self._agreed)
        elif self._stage is Stage.ASKED:
            await self._refuse(500)  # it has closed the connection

    async def _accept(self, agreed: Agreed, headers: HTTPHeaders) -> None:
        fields = encoded(headers, _is_an_applications)
        accept = {"type": "websocket.accept", "headers": fields}
        if agreed.subprotocol is not None:
            accept["subprotocol"] = agreed.subprotocol
        await self._tell(accept)
        if self._stage is not Stage.ASKED:
            return  # the client has gone meanwhile
        self._stage = Stage.OPEN
        size = _PARAMETERS.max_message_size
        protocol = Protocol(True, max_message_size=size, buffer=self._stream.buffer)
        connection = WebSocketConnection(
            self._stream, protocol, _PARAMETERS, self, copy_context(), agreed.subprotocol
        )
        connection.start()
        self._connection.set_result(connection)

    # -- HTTPMessageDelegate: what the application answers

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if not isinstance(start_line, ResponseStartLine) or self._opening is None:
            return None
        code = start_line.code
        if code == 101:
            if self._request is not None:
                self._request.detach()
            try:
                self._agreed = self._opening.check(code, headers), headers
            except HandshakeError as error:
                app_log.error("Not a handshake: %s", error.message)
        elif code >= 200 and self._stage is Stage.ASKED:
            self._stage = Stage.REFUSED
            return self._send_answer(code, headers)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        # Each piece waits for the next: there is a host that takes no answer in more than one, and
        # most are one.
        last, self._piece = self._piece, chunk
        return self._send_piece(last, True) if last else None

    def finish(self) -> Awaitable[None] | None:
        return self._send_piece(self._piece, False) if self._stage is Stage.REFUSED else None

    def on_connection_close(self) -> None:
        """What has come of its answer is all: ``run`` sees to that."""

    async def _send_answer(self, status: int, headers: HTTPHeaders) -> None:
        if not self._answers:
            # Hosts make a 403 of this, whatever the status.
            await self._tell({"type": "websocket.close"})
            return
        fields = encoded(headers, is_not_the_hosts)
        await self._tell(
            {"type": "websocket.http.response.start", "status": status, "headers": fields}
        )

    async def _send_piece(self, body: bytes, more: bool) -> None:
        if self._answers:
            event = {"type": "websocket.http.response.body", "body": body, "more_body": more}
            await self._tell(event)

    async def _refuse(self, status: int) -> None:
        """Where the application has not."""
        headers = HTTPHeaders({"Content-Type": "text/plain; charset=UTF-8"})
        await self._send_answer(status, headers)
        await self._send_piece(f"{status}\n".encode(), False)

    # -- from the client to the application

    async def _listen(self) -> None:
        """Pass on what the client sends, until it is gone or we are."""
        event: Event = {"type": "websocket.disconnect", "code": ABNORMAL}
        try:
            while (event := await self._receive())["type"] != "websocket.disconnect":
                # Before it is open nothing but a disconnect should come; whatever else does, waits.
                connection = await asyncio.shield(self._connection)
                if event["type"] == "websocket.receive":
                    await self._pass_on(event, connection)
        except Exception:
            app_log.error("ASGI: cannot receive", exc_info=True)
        self._client_gone(event)

    async def _pass_on(self, event: Event, connection: WebSocketConnection) -> None:
        text = event.get("text")
        try:
            await connection.send(event["bytes"] if text is None else text, text is None)
        except WebSocketClosedError:
            pass  # the application has closed, and hears no more

    def _client_gone(self, event: Event) -> None:
        before, self._stage = self._stage, Stage.GONE
        if before is Stage.GONE:
            return
        if before is not Stage.OPEN:
            self._stream.abort()
            return
        connection = self._connection.result()
        code, reason = event.get("code"), event.get("reason") or ""
        if code is not None and may_be_sent(code):
            connection.close(code, reason if len(reason.encode()) <= MAX_REASON else "")
        else:
            connection.close()  # to a handler that is the same as none at all
        # It may be at something: then it is told at once that there is nobody any more.
        self._stream.write_eof()

    # -- from the application to the client: what our WebSocketConnection calls

    async def on_message(self, message: str | bytes) -> None:
        """Pass a message on; the next one is not read before the host has taken it."""
        kind = "text" if isinstance(message, str) else "bytes"
        await self._tell({"type": "websocket.send", kind: message})

    def on_ping(self, data: bytes) -> None:
        """It has been answered. Whether the client is there is for the host to see."""

    def on_pong(self, data: bytes) -> None:
        """We do not ask."""

    def on_drain(self) -> None:
        """Of handlers; here nobody calls it."""

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> None:
        self._over.set()

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """The host does not do what it is asked to."""
        app_log.error("ASGI: cannot send: %r", value)

    async def _close(self, connection: WebSocketConnection) -> None:
        """The application has closed, or is gone without a word; unless it is the client."""
        protocol = connection.protocol
        code = protocol.close_code
        if code is None:
            code = NORMAL if protocol.state is State.CLOSED else INTERNAL_ERROR
        reason = protocol.close_reason or ""
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})


def _is_an_applications(name: str, value: str) -> bool:
    """Whether the host cannot know of this field in the answer to a handshake."""
    return is_not_the_hosts(name, value) and not name.startswith("sec-websocket-")
