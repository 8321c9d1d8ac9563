"""Observed connections: the same as all others, and their observers are told of what they do.

``HTTPServer`` makes these instead of ``HTTP1ServerConnection`` if it has observers: so a server
that has none pays nothing at all. Each method here does what the one it overrides does, and writes
down what an ``Exchange`` is to know; nothing decides otherwise because somebody looks on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from tornadoish.http1 import states
from tornadoish.http1.states import HEAD, SWITCHED
from tornadoish.http1.writer import NOTHING
from tornadoish.http1connection.connection import HTTP1Connection, RequestConnection
from tornadoish.http1connection.keeper import Keeper
from tornadoish.http1connection.message import HTTP1Message
from tornadoish.http1connection.pace import BodyPace
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import OVER, refusal_body
from tornadoish.http1connection.server import HTTP1ServerConnection
from tornadoish.httputil.delegates import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
)
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.observing import Ended, Exchange, Observer
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import IOStream
from tornadoish.log import app_log

if TYPE_CHECKING:
    from tornadoish.http1connection.pump import MessagePump

#: status of a refusal -> the limit that was reached
_LIMITS = {413: "body_bytes", 414: "start_line_bytes", 431: "header_bytes", 503: "requests"}
#: that of an exchange whose client went away before there was an answer (nginx calls it so)
CLIENT_CLOSED_REQUEST = 499

DONE = Ended.DONE  # for it is asked at each step
# What is overridden below and called for every request: without looking for it each time.
_write_headers = HTTP1Connection.write_headers
_message_over = HTTP1ServerConnection._message_over


class Observation:
    """The observers of one server, as its connections call them: those that listen."""

    __slots__ = (
        "begun",
        "closed",
        "draining",
        "ended",
        "limit_reached",
        "opened",
        "tell_end",
        "waiting",
        "wants_request",
    )  # fmt: skip

    def __init__(self, observers: Iterable[Observer]) -> None:
        listening = list(observers)
        self.opened = _listeners(listening, "connection_opened")
        self.closed = _listeners(listening, "connection_closed")
        self.begun = _listeners(listening, "begun")
        self.waiting = _listeners(listening, "waiting")
        self.ended = _listeners(listening, "ended")
        #: tells all of them of the end of an exchange; if there is but one, it may raise
        self.tell_end: Callable[[Exchange], None] = self._tell_all
        if len(self.ended) == 1:
            self.tell_end = self.ended[0]
        self.limit_reached = _listeners(listening, "limit_reached")
        self.draining = _listeners(listening, "draining")
        self.wants_request = any(observer.wants_request for observer in listening)

    def make_connection(self, *arguments: Any) -> ObservedServerConnection:
        """What :class:`HTTP1ServerConnection` makes of ``arguments``, observed."""
        kind = AttendedServerConnection if self.begun else ObservedServerConnection
        return kind(self, *arguments)

    def _tell_all(self, exchange: Exchange) -> None:
        tell(self.ended, exchange)


def tell(listeners: Iterable[Callable[..., None]], *what: Any) -> None:
    """Call each of ``listeners``; what they raise is only logged."""
    for listener in listeners:
        try:
            listener(*what)
        except Exception:
            _log_failure()


def _log_failure() -> None:
    app_log.error("Uncaught exception in an observer", exc_info=True)


def _listeners(observers: Iterable[Observer], name: str) -> tuple[Callable[..., None], ...]:
    own = getattr(Observer, name)
    return tuple(
        getattr(observer, name)
        for observer in observers
        if getattr(type(observer), name, None) is not own
    )


class ObservedConnection(RequestConnection, Exchange):
    """One request and its answer, both as its application and as observers see it."""

    _told = False  # the observers, of its end

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begun = perf_counter()

    # -- HTTPConnection

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        pump = self.pump
        sent = _write_headers(self, start_line, headers, chunk)
        code: Any = start_line[1]
        if pump is not None and (code >= 200 or code == 101):
            self.status = code
            self.response_headers = headers
            self.first_byte = perf_counter()
            if chunk and pump.writer.left != NOTHING:
                self.bytes_out = len(chunk)
        return sent

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        pump = self.pump
        sent = super().write(chunk)
        if pump is not None and not pump.writer.sends_nothing:
            self.bytes_out += len(chunk)
        return sent

    def file_sent(self, count: int) -> None:
        self.bytes_out += count

    def abort(self) -> None:
        self._given_up()
        super().abort()

    def close(self) -> None:
        self._given_up()
        super().close()

    def _given_up(self) -> None:
        pump = self.pump
        if pump is not None and not pump.stream.closed() and self.ended is DONE:
            self.ended = Ended.ABORTED


class _CountingPace(BodyPace):
    """Counts what it is told of, too."""

    __slots__ = ("_exchange",)

    def __init__(self, pump: MessagePump, exchange: Exchange) -> None:
        self._exchange = exchange
        super().__init__(pump.stream, pump.limits)

    def moved(self, count: int) -> None:
        self._exchange.bytes_in += count
        super().moved(count)


class _Remembering(HTTPServerConnectionDelegate):
    """Asks ``delegate``, and lets the exchange know what that has returned."""

    __slots__ = ("_delegate", "_start_request")

    def __init__(self, delegate: HTTPServerConnectionDelegate) -> None:
        self._delegate = delegate
        self._start_request = delegate.start_request

    def on_close(self, server_conn: object) -> None:
        self._delegate.on_close(server_conn)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        exchange: Any = request_conn
        delegate = exchange._outermost = self._start_request(server_conn, request_conn)
        return delegate


class ObservedServerConnection(HTTP1ServerConnection):
    """A server connection that tells ``observation`` of itself and of its exchanges."""

    __slots__ = ("_observation",)

    _message_class = ObservedConnection

    def __init__(
        self,
        observation: Observation,
        stream: IOStream,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__(stream, params, context, keeper)
        self._observation = observation

    # -- the connection

    def start_serving(self, delegate: HTTPServerConnectionDelegate) -> None:
        tell(self._observation.opened, self)
        wants_request = self._observation.wants_request
        super().start_serving(_Remembering(delegate) if wants_request else delegate)

    def cut(self) -> bool:
        self._because(Ended.CUT)
        return super().cut()

    async def close(self) -> None:
        self._because(Ended.CUT)
        await super().close()

    def _because(self, ended: Ended) -> None:
        """If the message is not through, this is why it will not be."""
        message = cast("ObservedConnection | None", self.message)
        if message is not None and message.ended is DONE and not self.stream.closed():
            message.ended = ended

    def _gone(self) -> None:
        if self.reader.state is not SWITCHED:
            tell(self._observation.closed, self, None)
        super()._gone()

    def detach(self) -> None:
        exchange = cast("ObservedConnection | None", self.message)
        if exchange is not None and not exchange._told:
            exchange.ended = Ended.DETACHED
            self._tell_end(exchange)
        stream, closed = self.stream, self._observation.closed
        on_lost = stream.on_lost

        def lost() -> None:
            if on_lost is not None:
                on_lost()
            tell(closed, self, exchange)

        stream.on_lost = lost
        super().detach()

    # -- an exchange begins

    def _body_begins(self) -> None:
        self._pace = _CountingPace(self, cast(ObservedConnection, self.message))

    def _left_open(self) -> None:
        if not self._counted:
            exchange = cast(ObservedConnection, self.message)
            exchange.waits = True
            tell(self._observation.waiting, exchange)
        super()._left_open()

    # -- it ends

    def answered(self) -> None:
        self._stamp()
        super().answered()

    def _answered_early(self) -> None:
        self._stamp()
        super()._answered_early()

    def _stamp(self) -> None:
        exchange = cast("ObservedConnection | None", self.message)
        if exchange is not None and not exchange.finished:
            exchange.finished = perf_counter()

    def stream_closed(self) -> None:
        exchange = cast("ObservedConnection | None", self.message)
        if exchange is not None:
            self._stamp()
            if exchange.ended is DONE:
                exchange.ended = self._why_closed()
        super().stream_closed()

    def _why_closed(self) -> Ended:
        """The stream is closed within a message, and nobody has said why."""
        if isinstance(self.stream.error, TimeoutError):
            tell(self._observation.limit_reached, "write_seconds")
            return Ended.TIMEOUT
        return Ended.UNREAD if self._is_answered() else Ended.CLIENT_GONE

    def _refuse(self, error: HTTPInputError) -> None:
        exchange: Any = self.message
        if self.reader.state is SWITCHED or self.turn is OVER:
            super()._refuse(error)
            return
        reason = _reason_of(error)
        if exchange is None:
            exchange = self._message_class(
                self, self.stream, self.params, self.context, self._variables, None
            )
        if self._is_answered():
            reason = Ended.UNREAD
        elif reason in (Ended.LIMIT, Ended.TIMEOUT):
            tell(self._observation.limit_reached, self._limit_of(error))
        exchange.ended = reason
        answers = self.writer.state is HEAD
        exchange._told = True  # not yet: there is an answer to come
        super()._refuse(error)
        exchange._told = False
        if answers:
            exchange.status = error.status
            if not self.writer.sends_nothing:
                exchange.bytes_out = len(refusal_body(error))
            exchange.first_byte = perf_counter()
        self._tell_end(exchange)
        exchange.pump = None

    def _limit_of(self, error: HTTPInputError) -> str:
        if error.status == 408:
            return "header_seconds" if self.message is None else "body_seconds"
        return _LIMITS[error.status]

    def _message_over(self) -> None:
        exchange: Any = self.message
        if exchange is not None and not exchange._told:
            if self.stream.blocked:
                self._tell_end(exchange)
            else:  # what that would do, for every request that is answered on the spot
                exchange._told = True
                if not exchange.finished:
                    exchange.finished = perf_counter()
                self._pace = None
                try:
                    self._observation.tell_end(exchange)
                except Exception:
                    _log_failure()
                if exchange._outermost is not None:
                    exchange._outermost = None
        _message_over(self)

    def _end_message(self) -> None:
        exchange = cast("ObservedConnection | None", self.message)
        if exchange is not None and exchange.ended is DONE:
            state = self.reader.state
            if state is not states.DONE and state is not states.LAST and self._is_answered():
                exchange.ended = Ended.UNREAD
        super()._end_message()
        if exchange is not None and not exchange._told:
            self._tell_end(exchange)

    def _tell_end(self, exchange: ObservedConnection) -> None:
        """It is over, unless the client is slow to take what it was sent."""
        exchange._told = True
        self._pace = None  # it would keep the message while the connection is idle
        if not exchange.finished:
            exchange.finished = perf_counter()
        stream = self.stream
        if stream.blocked and exchange.ended is DONE and not stream.closed():
            room = stream.room()
            room.add_done_callback(lambda room: self._taken(exchange, room))
        else:
            self._tell_observers(exchange)

    def _taken(self, exchange: ObservedConnection, room: asyncio.Future[None]) -> None:
        """The client has taken (most of) the answer, or never will."""
        exchange.finished = perf_counter()
        if room.cancelled() or room.exception() is not None:
            exchange.ended = Ended.CLIENT_GONE
            if isinstance(self.stream.error, TimeoutError):
                exchange.ended = Ended.TIMEOUT
                tell(self._observation.limit_reached, "write_seconds")
        self._tell_observers(exchange)

    def _tell_observers(self, exchange: ObservedConnection) -> None:
        if not exchange.status and exchange.ended is Ended.CLIENT_GONE:
            exchange.status = CLIENT_CLOSED_REQUEST
        try:
            self._observation.tell_end(exchange)
        except Exception:
            _log_failure()
        exchange._outermost = None  # not a moment longer: they refer to each other


class AttendedServerConnection(ObservedServerConnection):
    """The same where somebody wants to hear of each request's beginning."""

    __slots__ = ()

    def _start(
        self,
        message: HTTP1Message,
        line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
    ) -> Awaitable[None] | None:
        tell(self._observation.begun, message)
        return super()._start(message, line, headers)


def _reason_of(error: HTTPInputError) -> Ended:
    status = error.status
    if status == 500:
        return Ended.ERROR
    if status == 408:
        return Ended.TIMEOUT
    return Ended.LIMIT if status in _LIMITS else Ended.MALFORMED
