"""HTTP1ServerConnection: the request loop of one server connection.

The life of a request, told once:

1. Bytes arrive. The stream puts them into its buffer and calls the pump (``bytes_arrived``).
2. The reader takes a head from the buffer, or waits for more of it. A head that is not what the RFC
   says is refused with its status and the connection is closed.
3. An ``HTTP1Connection`` is made for the request, and a context for its variables. The
   application's ``start_request`` gives a delegate; it is told of the head (``headers_received``).
4. The body goes to the delegate as it arrives (``data_received``), then its end (``finish``). Where
   a call returns an awaitable, a task waits for it and the transport is paused.
5. The delegate, now or later, answers through the connection: ``write_headers``, ``write``,
   ``finish``. What is written while the pump runs is gathered and sent at once.
6. When both halves are through, the state table says whether the next request may come.

(Interface: Tornado, http1connection.HTTP1ServerConnection.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from typing import Any, ClassVar, cast

from tornadoish.compiling import mypyc_attr
from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY, HEAD, SWITCHED
from tornadoish.http1connection.connection import RequestConnection
from tornadoish.http1connection.gzip import GzipMessageDelegate
from tornadoish.http1connection.keeper import ConnectionState, Keeper
from tornadoish.http1connection.message import HTTP1Message
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import LINGER, OVER, PEER, PUMP, MessagePump
from tornadoish.httputil.delegates import HTTPConnection, HTTPServerConnectionDelegate
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import NEVER, IOStream
from tornadoish.util import as_coroutine

#: seconds that a connection which was just accepted as its server stops has for its first request
FIRST_REQUEST_SECONDS = 1.0
#: seconds in which a connection that ends as its server stops is not reset
STOP_LINGER_SECONDS = 1.0


@mypyc_attr(allow_interpreted_subclasses=True)
class HTTP1ServerConnection(MessagePump):
    """Serves request after request on one stream.

    :param stream: an accepted connection's stream.
    :param params: what is allowed.
    :param context: an object that describes the connection, handed on to each request.
    :param keeper: what it shares with the server's other connections; by default one of its own.
    """

    __slots__ = (
        "_closed",
        "_counted",
        "_delegate",
        "_expires",
        "_idle_allowance",
        "_start_request",
        "_variables",
        "context",
        "keeper",
        "keeps_alive",
    )

    #: what a request and its answer are made of
    _message_class: ClassVar[type[RequestConnection]] = RequestConnection

    def __init__(
        self,
        stream: IOStream,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__(stream, params or HTTP1ConnectionParameters(), is_client=False)
        self.context: Any = context
        self.keeper = keeper or Keeper.of(self.limits)
        #: whether another request may follow on the one that is read next
        self.keeps_alive = not (self.params.no_keep_alive or self.keeper.draining)
        self._delegate: HTTPServerConnectionDelegate = cast(Any, None)
        self._closed: asyncio.Future[None] | None = None
        self._counted = False  # the current request is one of those that the keeper counts
        self._expires = NEVER  # in the clock's time: the connection's age is reached
        # That of each request is a copy of this one, not of the current one: what a handler does
        # may be what lets the next request be read, and that must not see its variables.
        self._variables = copy_context()
        # What is added to the clock's time for the deadline of an idle connection.
        self._idle_allowance = NEVER

    def start_serving(self, delegate: HTTPServerConnectionDelegate) -> None:
        """Serve requests from now on: ``delegate`` is asked for a delegate for each of them."""
        self._delegate = delegate
        self._start_request = delegate.start_request
        stream, limits = self.stream, self.limits
        self.keeper.tell(self, ConnectionState.NEW)
        stream.set_deadline(limits.header_seconds)
        clock = stream.clock
        if clock is not None:
            if limits.idle_seconds is not None:
                self._idle_allowance = clock.after(limits.idle_seconds) - clock.now
            if limits.connection_seconds is not None:
                self._expires = clock.after(limits.connection_seconds)
        stream.set_receiver(self)
        if self.keeper.draining:
            self.drain()
        if self.stream.buffer:
            self._pump()

    def close(self) -> Coroutine[Any, Any, None]:
        """Close the connection; the coroutine waits until it is closed."""
        if self.turn is OVER:
            return asyncio.sleep(0)
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        self.stream.close()
        if self._waited_for is not None:
            self._waited_for.cancel()  # else a delegate that is stuck would keep us for ever
        return as_coroutine(asyncio.shield(self._closed))

    # -- a server that stops

    def drain(self) -> None:
        """Answer what has begun, and close then; close at once if nothing has."""
        self.keeps_alive = False
        if self.message is not None:
            if self.writer.state is HEAD:
                self.writer.close_after()
        elif self.turn is PEER and not self.stream.buffer:
            if self._heading:  # just accepted: its first request may be on its way
                self.stream.set_deadline(FIRST_REQUEST_SECONDS)
            else:
                self._close_soon()
        elif self.turn is LINGER:
            self.stream.set_deadline(self._linger_seconds())

    def _close_soon(self) -> None:
        """Nothing is asked at the moment. A request that is on its way is read and answered; one
        that comes later finds the connection half closed, and is not reset."""
        asyncio.get_running_loop().call_later(self.keeper.race_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.message is None and self.turn is PEER:
            self._linger()

    def _linger_seconds(self) -> float:
        seconds = self.limits.linger_seconds
        return min(seconds, STOP_LINGER_SECONDS) if self.keeper.draining else seconds

    def cut(self) -> bool:
        """End the connection at once. True: there was a request that is not answered now."""
        message = self.message
        unanswered = message is not None and not self._is_answered()
        self.stream.abort()
        if message is not None:
            self._cancel_work(message)
        return unanswered

    # -- MessagePump

    def _begin(self, head: Head) -> Awaitable[None] | None:
        params, reader, stream = self.params, self.reader, self.stream
        line, headers = head
        self._heading = False
        if stream.clock is not None and stream.clock.now > self._expires:
            self.keeps_alive = False
        self.writer.answer(line[0], line[2], reader.persists and self.keeps_alive)
        message: HTTP1Message = self._message_class(
            self, stream, params, self.context, self._variables.copy(), head
        )
        self.message = message
        if self.keeper.attentive:
            self.keeper.tell(self, ConnectionState.ACTIVE)
            if self.keeper.full:
                raise HTTPInputError("Too many requests at once", 503)
        if stream.buffer.data:
            # More requests may wait in the buffer: their answers are gathered into one write.
            stream.cork()
        if reader.state is BODY:
            self._body_begins()
        return message.variables.run(self._start, message, line, headers)

    def _start(
        self,
        message: HTTP1Message,
        line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
    ) -> Awaitable[None] | None:
        """The first calls for a message, in its context."""
        delegate = self._start_request(self, cast(HTTPConnection, message))
        if self.params.decompress:
            delegate = GzipMessageDelegate(delegate, self.limits, message)
        message.delegate = delegate
        pending = delegate.headers_received(line, headers)
        if pending is not None:
            return pending
        if self.reader.state is BODY:
            return self._deliver(message)
        message.delegate = None
        return delegate.finish()

    def _message_over(self) -> None:
        if self.message is not None:
            self.message.pump = None
            self.message = None
        self.reader.next_message()
        self.writer.next_message()
        if self._counted:
            self._discount()
        stream = self.stream
        clock = stream.clock
        if clock is not None:
            stream.deadline = clock.now + self._idle_allowance
        if self.keeper.attentive:
            self.keeper.tell(self, ConnectionState.IDLE)
        # Where the next request is here already, the pump goes on with it.
        if self.turn is not PUMP or not stream.buffer.data:
            self.turn = PEER
            if not self.keeps_alive:  # the head of the answer went out before that was known
                self._close_soon()

    def _left_open(self) -> None:
        if not self._counted:
            self._counted = True
            self.keeper.count(1)

    def _discount(self) -> None:
        if self._counted:
            self._counted = False
            self.keeper.count(-1)

    def _end_message(self) -> None:
        super()._end_message()
        self._discount()

    def _gone(self) -> None:
        self._discount()
        detached = self.reader.state is SWITCHED
        self.keeper.tell(self, ConnectionState.DETACHED if detached else ConnectionState.CLOSED)
        self._delegate.on_close(self)
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
