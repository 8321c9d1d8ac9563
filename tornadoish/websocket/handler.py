"""WebSocketHandler: what an application's WebSocket handlers derive from.

Its ``get`` shakes hands and makes a ``WebSocketConnection`` of what is left of the request's. From
then on that calls the handler, and the handler sends through it. Only ``_ws_upgrade`` knows which
protocol the request came over. (Interface: Tornado, tornado.websocket.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from time import time
from typing import Any, Self

from tornadoish.httputil import HTTPHeaders
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.log import gen_log
from tornadoish.web import RequestHandler
from tornadoish.web.exchange import HeaderTypes
from tornadoish.web.tasks import current_context, run_in_task
from tornadoish.websocket import parameters as defaults
from tornadoish.websocket.connection import WebSocketConnection
from tornadoish.websocket.inbox import Inbox, IncomingMessage, NotReadError
from tornadoish.websocket.parameters import (
    CompressionOptions,
    Parameters,
    deflate_options,
    shared_parameters,
)
from tornadoish.websocket.talking import Talking
from tornadoish.ws import Answer, HandshakeError, Opening, Protocol
from tornadoish.ws.codes import GOING_AWAY


class WebSocketHandler(Talking, RequestHandler):
    """Base class of WebSocket handlers: subclasses define ``on_message``, and ``open`` and
    ``on_close`` as they need.

    ``open``, ``on_message``, ``on_ping`` and ``on_pong`` may be plain functions or coroutines; one
    call is over before the next is made, and until then the peer is not read: a slow handler slows
    its peer down. An exception that leaves one is logged and closes the connection with 1011.

    Ours alone, not Tornado's: ``open`` may take the messages itself::

        async def open(self):
            async for message in self:
                await self.send(message)

    Then ``on_message`` is not called, and when ``open`` ends, the connection is closed.

    Requests are answered as RFC 6455 says if they are no handshake (400, 426), and with 403 if they
    come from another site (:meth:`check_origin`). As soon as ``get`` has accepted, the access log
    has its line, ``on_finish`` is called, and what belongs to an HTTP answer (``write``,
    ``set_header``, ...) raises a RuntimeError.
    """

    # -- what may be set for a class or, before get(), for a handler; all ours alone, not Tornado's

    #: whether ``on_message`` (a coroutine then) and ``async for`` are given an
    #: :class:`IncomingMessage` as soon as a message begins, to be read as it arrives. It can be
    #: until ``on_message`` is done, or the next one is asked for; the rest of it is dropped
    message_in_parts = False
    #: bytes that may wait for a slow peer, about; above, it is closed with 1013
    max_unsent_bytes: int = defaults.MAX_UNSENT_BYTES
    #: seconds that :meth:`send` waits for a slow peer; above, it is closed with 1013. Who takes
    #: next to nothing for so long is cut. None: for ever
    send_timeout: float | None = defaults.SEND_SECONDS
    #: seconds from our Close to the peer's; above, it is cut
    close_timeout: float = defaults.CLOSE_SECONDS
    #: whether the coroutine of ``open`` or ``on_message`` is cancelled when the connection is lost
    cancel_on_close = False

    #: a WebSocket takes as long as it likes
    handler_timeout = None
    automatic_head = False

    #: the code of the peer's Close, or ours if we have closed because of an error; None: the
    #: connection was lost, or the peer gave none
    close_code: int | None = None
    #: the reason, likewise
    close_reason: str | None = None
    #: the groups of the route, which ``open`` is called with
    open_args: tuple[Any, ...] = ()
    open_kwargs: dict[str, Any] = {}  # noqa: RUF012 - never changed, only replaced

    # (Private names with a prefix of their own, for subclasses have private names, too.)
    _ws_upgraded = False
    # The connection, until the handler has heard its last.
    _ws_link: WebSocketConnection | None = None
    # Until then, if somebody waits for that: who has overridden get().
    _ws_ended: asyncio.Future[None] | None = None
    _ws_inbox: Inbox[Any] | None = None
    _ws_reads: IncomingMessage | None = None

    # -- hooks

    def _open(self, *args: Any, **kwargs: Any) -> Any:
        """Override for what comes first; called with the groups of the route. May be a coroutine:
        no message is delivered before it is done."""

    open: Any = _open

    def on_message(self, message: Any) -> Any:
        """Override to take a message: str, or bytes if it is binary.

        May be a coroutine: the next message is not delivered before it is done. Called in the
        context of the request (:mod:`contextvars`).
        """
        raise NotImplementedError

    def on_close(self) -> Any:
        """Override to hear that the connection has ended, however it did: see ``close_code`` and
        ``close_reason``. Called once if ``open`` was, behind everything else; may be a coroutine.
        """

    def on_ping(self, data: bytes) -> Any:
        """Override to hear of a ping; it is answered in any case."""

    def on_pong(self, data: bytes) -> Any:
        """Override to hear of a pong."""

    def on_drain(self) -> None:
        """The server stops: this closes the connection with 1001, so that the client goes
        elsewhere. Override to say more; who does not close has until the end of the server's
        ``grace`` (ours alone, not Tornado's)."""
        self.close(GOING_AWAY)

    def check_origin(self, origin: str) -> bool:
        """Whether pages of another ``origin`` ("https://example.com") may open this WebSocket: by
        default if it is one of the setting ``trusted_origins`` (:meth:`check_trusted_origin`).

        Called after ``prepare`` for requests that come from another origin; clients that are no
        browsers send none. To return True is to let any page that the user looks at talk in the
        user's name: such a handler must not rely on cookies.

        Source: Tornado 6.6: WebSocketHandler.check_origin.
        """
        return self.check_trusted_origin(origin)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Override to choose one of the subprotocols that the client offers, or None for none of
        them (and then clients may go away)."""
        return None

    def get_compression_options(self) -> CompressionOptions | None:
        """Override to have messages compressed, if the client can do it: return a dict, ``{}`` for
        the defaults, or None for no compression.

        Its keys may be ``compression_level``, ``mem_level``, and (ours alone, not Tornado's) every
        option of :class:`tornadoish.ws.DeflateOptions`.
        """
        return None

    # -- settings

    @property
    def ping_interval(self) -> float | None:
        """Seconds between two pings: the setting ``websocket_ping_interval``; None or 0: none.

        Without pings, a peer that has vanished is noticed by TCP, within some minutes.
        """
        return self.settings.get("websocket_ping_interval")

    @property
    def ping_timeout(self) -> float | None:
        """Seconds from a ping on in which something must come from the peer, else the connection is
        closed: the setting ``websocket_ping_timeout``; None: ``ping_interval``, which is also the
        most; 0: nobody looks.
        """
        return self.settings.get("websocket_ping_timeout")

    @property
    def max_message_size(self) -> int | None:
        """Bytes of a message, decompressed: the setting ``websocket_max_message_size``, 10 MiB by
        default (and None, no bound, for ``message_in_parts``); above, the connection is closed with
        1009."""
        default = None if self.message_in_parts else defaults._default_max_message_size
        size: int | None = self.settings.get("websocket_max_message_size", default)
        return size

    # -- talking

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that :meth:`select_subprotocol` has chosen, while connected."""
        connection = self.ws_connection
        return None if connection is None else connection.selected_subprotocol

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the WebSocket; what comes until the client has answered is not delivered any more.
        Does nothing if it is closed already.

        :param code: see RFC 6455, 7.4: 1000 to 1014 as defined there, 3000 to 4999; None for none,
            or 1000 if there is a reason.
        :param reason: at most 123 bytes in UTF-8.
        :raises ValueError: a code that may not be sent, or a reason that is too long.
        """
        connection = self.ws_connection
        if connection is not None:
            connection.close(code, reason)
            self.ws_connection = None

    def set_nodelay(self, value: bool) -> None:
        """Whether small messages are sent at once (TCP_NODELAY), as they are by default."""
        connection = self.ws_connection
        if connection is not None:
            connection.set_nodelay(value)

    # -- messages that a coroutine takes itself

    def __aiter__(self) -> Self:
        """``async for message in self``: from now on messages are given out here, not to
        ``on_message`` (ours alone, not Tornado's).

        In ``open``, or in a task that it starts; in that case iterate at once, for messages that
        come before go to ``on_message``. It ends when the connection does; ``close_code`` says how.

        :raises RuntimeError: there was no handshake yet.
        """
        if self._ws_inbox is None:
            if self.ws_connection is not None:
                self._ws_inbox = self.ws_connection.take_in()
            elif self._ws_upgraded:
                self._ws_inbox = Inbox()
                self._ws_inbox.end()
            else:
                raise RuntimeError("There are no messages before the handshake")
        return self

    async def __anext__(self) -> Any:
        inbox = self._ws_inbox
        if inbox is None:
            inbox = self.__aiter__()._ws_inbox
        if self._ws_reads is not None:  # what nobody has read of the last one
            self._ws_reads.end(NotReadError(), drop=True)
            self._ws_reads = None
        try:
            message = await inbox.__anext__()  # type: ignore[union-attr]  # __aiter__ has set it
        except StopAsyncIteration:
            if self._ws_link is not None:  # on_close, which hears it too, comes later
                self.close_code, self.close_reason = self._ws_link.ending()
            raise
        if isinstance(message, IncomingMessage):
            self._ws_reads = message
        return message

    # -- the handshake

    def get(self, *args: Any, **kwargs: Any) -> asyncio.Future[None]:
        """Shake hands and open the WebSocket.

        May be overridden by a coroutine that awaits ``super().get(...)``, which then goes on until
        the connection has ended.
        """
        self.open_args, self.open_kwargs = args, kwargs
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection = self._ws_shake_hands()
        if connection is None or type(self).get is WebSocketHandler.get:
            done.set_result(None)
        else:
            self._ws_ended = done
            done.add_done_callback(self._ws_given_up)
        if connection is not None:
            self._ws_begin(connection)
        return done

    def _ws_shake_hands(self) -> WebSocketConnection | None:
        """Answer the handshake; None: by a refusal."""
        request = self.request
        try:
            opening = Opening.read(request.method, request.headers, request.version)
        except HandshakeError as error:
            self._ws_refuse(error.status, error.message, error.headers)
            return None
        # Browsers let any page open a WebSocket, so this does not hang on a setting.
        reason = self._check_cross_origin(self.check_origin)
        if reason is not None:
            gen_log.debug("Cross origin WebSocket: %s", reason)
            self._ws_refuse(403, "Cross origin websockets not allowed")
            return None
        subprotocol = self.select_subprotocol(list(opening.subprotocols)) or None
        answer = opening.answer(subprotocol, deflate_options(self.get_compression_options()))
        parameters = self._ws_parameters()
        context = current_context(request.connection) or copy_context()
        try:
            stream = self._ws_upgrade(answer)
        except StreamClosedError:
            self.set_status(499, "Client has gone")  # for the log: nobody is told
            self._abandon()
            return None
        protocol = Protocol(
            False,
            deflate=answer.deflate,
            max_message_size=parameters.max_message_size,
            by_parts=self.message_in_parts,
            buffer=stream.buffer,
        )
        return WebSocketConnection(stream, protocol, parameters, self, context, subprotocol)

    def _ws_parameters(self) -> Parameters:
        return shared_parameters(
            max_message_size=self.max_message_size,
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_unsent_bytes=self.max_unsent_bytes,
            send_timeout=self.send_timeout,
            close_timeout=self.close_timeout,
        )

    def _ws_refuse(self, status: int, message: str, headers: Any = ()) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        for name, value in headers:
            self.set_header(name, value)
        self.finish(message)

    def _ws_upgrade(self, answer: Answer) -> IOStream:
        """Accept, and take the stream. This much is HTTP/1 (RFC 6455, 4.2.2), and no more.

        :raises StreamClosedError: the client has gone.
        """
        self._transforms = []
        self.clear_header("Content-Type")
        self.set_status(101)
        for name, value in answer.headers:
            self.set_header(name, value)
        self.flush()
        stream: IOStream = self.detach()
        if stream.closed():
            raise StreamClosedError(stream.error)
        self.request._finish_time = time()
        self.application.log_request(self)
        self.on_finish()
        self._ws_upgraded = True
        # What belongs to the answer would be kept as long as the connection lives.
        self._headers = HTTPHeaders()
        self.request.server_connection = None
        return stream

    def _ws_begin(self, connection: WebSocketConnection) -> None:
        self.ws_connection = self._ws_link = connection
        application = self.application
        application.event_streams.add(connection)
        try:
            opening = self.open(*self.open_args, **self.open_kwargs)
        except Exception as error:
            connection.start()
            connection._delegate_failed(error)
        else:
            connection.start(opening)
        if application.draining.is_set():
            asyncio.get_running_loop().call_soon(connection.on_drain)

    def _ws_given_up(self, ended: asyncio.Future[None]) -> None:
        """Who has awaited the end of the connection was cancelled: then this is its end."""
        if ended.cancelled() and self._ws_link is not None:
            self._ws_link._abort()

    # -- the end: what the connection calls

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> None:
        """The connection has ended (Tornado's name)."""
        self.close_code = close_code
        self.close_reason = close_reason
        connection, self.ws_connection, self._ws_link = self._ws_link, None, None
        if connection is None:
            return
        self.application.event_streams.discard(connection)
        ended, self._ws_ended = self._ws_ended, None
        try:
            self.on_connection_close()
            closing = self.on_close()
            if asyncio.iscoroutine(closing):
                self.application.hold(run_in_task(self._ws_finish_closing(closing)))
        finally:
            if ended is not None and not ended.done():
                ended.set_result(None)

    async def _ws_finish_closing(self, closing: Coroutine[Any, Any, Any]) -> None:
        try:
            await closing
        except Exception as error:
            self.log_exception(type(error), error, error.__traceback__)

    # -- what there is no more once it is a WebSocket (Tornado: RuntimeError)

    def _ws_check(self) -> None:
        if self._ws_upgraded:
            raise RuntimeError("Method not supported for Web Sockets")

    def write(self, chunk: str | bytes | dict[Any, Any]) -> None:
        self._ws_check()
        super().write(chunk)

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        self._ws_check()
        super().redirect(url, permanent, status)

    def set_header(self, name: str, value: HeaderTypes) -> None:
        self._ws_check()
        super().set_header(name, value)

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:
        self._ws_check()
        super().set_cookie(name, value, *args, **kwargs)

    def set_status(self, status_code: int, reason: str | None = None) -> None:
        self._ws_check()
        super().set_status(status_code, reason)

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        self._ws_check()
        return super().flush(include_footers)

    def finish(self, chunk: str | bytes | dict[Any, Any] | None = None) -> asyncio.Future[None]:
        self._ws_check()
        return super().finish(chunk)
