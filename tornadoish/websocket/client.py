"""websocket_connect and WebSocketClientConnection: the other end, on the same core and the same
connection as handlers (Tornado: tornado.websocket)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

from tornadoish.iostream import IOStream
from tornadoish.log import app_log
from tornadoish.netutil import Resolver
from tornadoish.websocket import parameters as defaults
from tornadoish.websocket.connection import WebSocketConnection
from tornadoish.websocket.inbox import Inbox
from tornadoish.websocket.opening import ConnectRequest, Opened, open_websocket, parse
from tornadoish.websocket.parameters import CompressionOptions, Parameters, deflate_options
from tornadoish.websocket.talking import Talking
from tornadoish.ws import ClientOpening, Protocol
from tornadoish.ws.codes import GOING_AWAY

OnMessage = Callable[[str | bytes | None], Any]


class WebSocketClientConnection(Talking):
    """A client's WebSocket; made by :func:`websocket_connect`.

    ``async with`` closes it at the end, ``async for message in`` it ends when the connection does
    (both are ours alone, not Tornado's).

    Public attributes: ``connect_future``, done when hands have been shaken; ``request`` and
    ``parsed`` (its URL, split); ``stream``, ``protocol`` (the connection, until it is closed here)
    and ``headers`` (of the server's answer), as soon as there are any; ``close_code`` and
    ``close_reason``, once the server has closed.
    """

    #: see :class:`WebSocketHandler`; to be set before the connection is made, by a subclass
    max_unsent_bytes: int = defaults.MAX_UNSENT_BYTES
    send_timeout: float | None = defaults.SEND_SECONDS
    close_timeout: float = defaults.CLOSE_SECONDS
    cancel_on_close = False

    def __init__(
        self,
        request: Any,
        on_message_callback: OnMessage | None = None,
        compression_options: CompressionOptions | None = None,
        ping_interval: float | None = None,
        ping_timeout: float | None = None,
        max_message_size: int | None = defaults._default_max_message_size,
        subprotocols: list[str] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.request = request
        self.parsed = parse(request.url)
        self.headers: Any = None
        self.stream: IOStream | None = None
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._parameters = Parameters(
            max_message_size=max_message_size,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_unsent_bytes=self.max_unsent_bytes,
            send_timeout=self.send_timeout,
            close_timeout=self.close_timeout,
        )
        self._on_message_callback = on_message_callback
        self._inbox: Inbox[str | bytes] = Inbox()
        self._over = asyncio.Event()
        self._subprotocol: str | None = None
        opening = ClientOpening(subprotocols or (), deflate_options(compression_options))
        loop = asyncio.get_running_loop()
        self.connect_future: asyncio.Future[Any] = loop.create_future()
        self._opening = loop.create_task(self._open(opening, resolver))
        # Who gives up waiting does not want the connection either.
        self.connect_future.add_done_callback(
            lambda future: self._opening.cancel() if future.cancelled() else None
        )

    async def _open(self, opening: ClientOpening, resolver: Resolver | None) -> None:
        streams: list[IOStream] = []
        try:
            opened = await open_websocket(self.request, opening, resolver, streams)
        except BaseException as error:
            for stream in streams:
                stream.close()
            if self.connect_future.done():
                return
            if isinstance(error, Exception):
                self.connect_future.set_exception(error)
                self.connect_future.exception()  # nobody has to look at it
            else:
                self.connect_future.cancel()
                raise
        else:
            for stream in streams:
                if stream is not opened.stream:
                    stream.close()
            self._begin(opened)

    def _begin(self, opened: Opened) -> None:
        if self.connect_future.done():  # given up
            opened.stream.close()
            return
        agreed, parameters = opened.agreed, self._parameters
        self.headers = opened.headers
        self.stream = opened.stream
        self._subprotocol = agreed.subprotocol
        protocol = Protocol(
            True,
            deflate=agreed.deflate,
            max_message_size=parameters.max_message_size,
            buffer=opened.stream.buffer,
        )
        connection = self.ws_connection = WebSocketConnection(
            opened.stream, protocol, parameters, self, copy_context(), agreed.subprotocol
        )
        self.connect_future.set_result(self)
        connection.start()

    @property
    def protocol(self) -> WebSocketConnection | None:
        """Tornado's name for ``ws_connection``."""
        return self.ws_connection

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen."""
        return self._subprotocol

    # -- messages

    def read_message(
        self, callback: Callable[[asyncio.Future[str | bytes | None]], Any] | None = None
    ) -> asyncio.Future[str | bytes | None]:
        """The next message, or None when the connection is closed. With an ``on_message_callback``
        there are none here.

        :param callback: called with the future when it is done.
        :returns: a future of the message. To cancel it loses none.
        """
        inbox = self._inbox
        future: asyncio.Future[str | bytes | None]
        if inbox.at_hand():
            future = asyncio.get_running_loop().create_future()
            future.set_result(inbox.take())
        else:
            future = asyncio.ensure_future(self._next())
        if callback is not None:
            future.add_done_callback(callback)
        return future

    async def _next(self) -> str | bytes | None:
        try:
            return await self._inbox.__anext__()
        except StopAsyncIteration:
            return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        return await self._inbox.__anext__()

    def on_message(self, message: str | bytes) -> Any:
        """A message has come: this gives it to the callback, or to who reads."""
        if self._on_message_callback is not None:
            return self._on_message_callback(message)
        return self._inbox.put(message)

    def on_ping(self, data: bytes) -> Any:
        """Override to hear of a ping; it is answered in any case."""

    def on_pong(self, data: bytes) -> Any:
        """Override to hear of a pong."""

    def on_drain(self) -> None:
        """Of the server's side; here nobody calls it."""
        self.close(GOING_AWAY)

    # -- the end

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the WebSocket; see :meth:`WebSocketHandler.close`. While it is being opened, that
        is given up."""
        connection = self.ws_connection
        if connection is None:
            self.connect_future.cancel()
            return
        connection.close(code, reason)
        self.ws_connection = None
        self._inbox.end(drop=True)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended (ours alone, not Tornado's)."""
        await self._over.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close(1000)
        await self.wait_closed()

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> None:
        """The connection has ended (Tornado's name)."""
        self.close_code = close_code
        self.close_reason = close_reason
        self.ws_connection = None
        self._over.set()
        self.on_connection_close()

    def on_connection_close(self) -> None:
        """The connection has ended (Tornado's name): who reads gets None."""
        self._inbox.end()
        if self._on_message_callback is not None:
            self._on_message_callback(None)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what a callback has raised."""
        exc_info = (typ, value, tb) if typ is not None and value is not None else None
        app_log.error("Uncaught exception %s", value, exc_info=exc_info)


def websocket_connect(
    url: Any,
    callback: Callable[[asyncio.Future[WebSocketClientConnection]], Any] | None = None,
    connect_timeout: float | None = None,
    on_message_callback: OnMessage | None = None,
    compression_options: CompressionOptions | None = None,
    ping_interval: float | None = None,
    ping_timeout: float | None = None,
    max_message_size: int | None = defaults._default_max_message_size,
    subprotocols: list[str] | None = None,
    resolver: Resolver | None = None,
) -> asyncio.Future[WebSocketClientConnection]:
    """Connect to a WebSocket.

    :param url: ``ws://`` or ``wss://``; or an object with the attributes of Tornado's HTTPRequest
        (``url``, ``headers``, ``ssl_options``, ``validate_cert``, ``auth_username``, ...).
    :param callback: called with the future when it is done.
    :param connect_timeout: seconds for everything up to the end of the handshake (default 20; 0:
        for ever).
    :param on_message_callback: called with each message as it comes, and with None at the end; may
        return an awaitable, which is waited for. Without it, see
        :meth:`WebSocketClientConnection.read_message`.
    :param compression_options: as of :meth:`WebSocketHandler.get_compression_options`.
    :param ping_interval: and ``ping_timeout``, ``max_message_size``: as there.
    :param subprotocols: offered to the server, the favourite first.
    :param resolver: looks the host up.
    :returns: a future of the connection; to cancel it is to give up. It fails with an OSError if no
        connection came about (TimeoutError: in time), with :class:`WebSocketRefusedError` if the
        server has answered otherwise; redirects are not followed.
    :raises ValueError: no URL of a WebSocket, or subprotocols that are none.

    Source: Tornado: tornado.websocket.websocket_connect.
    """
    if isinstance(url, str):
        request: Any = ConnectRequest(url, connect_timeout=connect_timeout)
    elif connect_timeout is not None:
        raise ValueError("connect_timeout is an attribute of the request")
    else:
        request = url
    connection = WebSocketClientConnection(
        request,
        on_message_callback=on_message_callback,
        compression_options=compression_options,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_message_size=max_message_size,
        subprotocols=subprotocols,
        resolver=resolver,
    )
    if callback is not None:
        connection.connect_future.add_done_callback(callback)
    return connection.connect_future
