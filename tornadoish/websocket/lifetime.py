"""Lifetime: how a WebSocket connection is looked after, and how it ends.

What ``WebSocketConnection`` is beside its messages: pings and their time-outs, closing, aborting,
the peer that breaks the rules, the delegate that fails, and the last that the delegate hears. All
times hang on the stream's deadline, so one clock per server sees to all of its connections.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import CancelledError
from contextvars import Context
from enum import Enum
from types import TracebackType
from typing import Any, Protocol

from tornadoish.iostream import IOStream, keep_alive
from tornadoish.log import app_log, gen_log
from tornadoish.websocket.errors import WebSocketClosedError
from tornadoish.websocket.inbox import Inbox, IncomingMessage
from tornadoish.websocket.outgoing import Outgoing
from tornadoish.websocket.parameters import Parameters
from tornadoish.ws import CLOSING, OPEN, ProtocolError
from tornadoish.ws import Protocol as Core
from tornadoish.ws.codes import GOING_AWAY, INTERNAL_ERROR, NORMAL

#: bytes of a peer that has broken the rules that are dropped before it is cut
LINGER_BYTES = 32 * 1024 * 1024
#: seconds in which such a peer can read why, where a half of a connection cannot be closed (TLS)
TLS_LINGER_SECONDS = 1.0
#: a clock looks so often within the time between two pings
LOOKS_PER_PING = 4


class Turn(Enum):
    """Who has to do something next."""

    PEER = "bytes have to arrive"
    PUMP = "we are at it, in this very call stack"
    LATER = "others have their turn, then we go on with what is there"
    DELEGATE = "an awaitable of the delegate's has to be done, or it has to take what is there"
    ENDING = "nothing is delivered any more, what arrives is dropped until the connection ends"
    OVER = "the connection has ended, or is about to"


class Due(Enum):
    """What the stream's deadline is for."""

    PING = "a ping is to be sent"
    PONG = "something must have come since the last ping"
    CLOSE = "the peer must have closed"


PEER, PUMP, LATER, DELEGATE, ENDING, OVER = Turn
ERRORS = (Exception, CancelledError)


class Delegate(Protocol):
    """Who hears of what arrives (Tornado's names)."""

    #: whether the coroutine that is waited for is cancelled when the connection is lost
    cancel_on_close: bool

    def on_message(self, message: Any) -> Any: ...
    def on_ping(self, data: bytes) -> Any: ...
    def on_pong(self, data: bytes) -> Any: ...
    def on_drain(self) -> object: ...

    def on_ws_connection_close(
        self, close_code: int | None = None, close_reason: str | None = None
    ) -> Any: ...

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...


class Lifetime(Outgoing):
    """What ``WebSocketConnection`` is made on; its parameters are described there."""

    __slots__ = (
        "_busy", "_context", "_delegate", "_draining", "_due", "_gate", "_heard", "_incoming",
        "_iterates", "_lingered", "_lost", "_side", "_waits", "inbox", "selected_subprotocol",
        "turn",
    )  # fmt: skip

    def __init__(
        self,
        stream: IOStream,
        protocol: Core,
        parameters: Parameters,
        delegate: Delegate,
        context: Context,
        selected_subprotocol: str | None = None,
    ) -> None:
        super().__init__(stream, protocol, parameters)
        self._delegate: Delegate | None = delegate
        self._context = context
        self.selected_subprotocol = selected_subprotocol
        self.turn = DELEGATE
        #: where messages go that a coroutine takes itself, once it does
        self.inbox: Inbox[Any] | None = None
        # A message that is read as it arrives, and what has to be done before the next one begins.
        self._incoming: IncomingMessage | None = None
        self._gate: asyncio.Future[Any] | None = None
        # What the delegate is at: open(), or a message; and what has to be done before more is
        # delivered, which is that or some room in an inbox.
        self._busy: asyncio.Future[Any] | None = None
        self._waits: asyncio.Future[Any] | None = None
        # What it does about a ping or a pong, beside that.
        self._side: asyncio.Future[Any] | None = None
        self._iterates = False  # open() takes the messages itself: when it ends, so do we
        self._draining = False
        self._heard = False  # something has come since the last ping
        self._due: Due | None = None
        self._lost = False  # the stream is closed: what it has brought is all there is
        self._lingered = 0

    def _go_on_later(self) -> None:
        """Go on with what is there, not in this call stack."""
        raise NotImplementedError

    # -- time

    def _look_after(self) -> None:
        """The WebSocket is open: from now on its peer must give signs of life."""
        stream, interval = self.stream, self.parameters.ping_interval
        if not interval:
            keep_alive(stream)
            return
        clock = stream.clock
        if clock is not None and clock.interval * LOOKS_PER_PING > interval:
            clock.interval = max(0.04, interval / LOOKS_PER_PING)
        # Not all of those that have come at once after a restart at the same moment.
        self._expect(Due.PING, interval * random.uniform(0.5, 1))

    def deadline_passed(self) -> None:
        due, parameters = self._due, self.parameters
        if self.turn is ENDING:
            self.stream.abort()
        elif due is Due.CLOSE:
            if self.stream.blocked and self._fault is None and parameters.send_timeout is not None:
                self._expect(Due.CLOSE, parameters.close_timeout)  # it takes what came before
            else:
                self._abort()
        elif self.protocol.state is OPEN and not self.stream.closed():
            self._see_to_pings(due, parameters.ping_interval or 0, parameters.pong_seconds)

    def _see_to_pings(self, due: Due | None, interval: float, timeout: float) -> None:
        stream = self.stream
        if due is Due.PONG:
            # A peer that is behind, or whom we do not read, cannot be heard.
            if not (self._heard or stream.paused or stream.blocked):
                gen_log.info("WebSocket closed: %r is silent", stream.get_extra_info("peername"))
                self._fault = INTERNAL_ERROR, "Ping timed out"
                self.close(*self._fault)
                return
            if timeout < interval:
                self._expect(Due.PING, interval - timeout)
                return
        if stream.blocked:
            self._expect(Due.PING, interval)
            return
        self._heard = False
        self._write_last(self.protocol.ping())
        if timeout:
            self._expect(Due.PONG, timeout)
        else:
            self._expect(Due.PING, interval)

    def _expect(self, due: Due, seconds: float) -> None:
        self._due = due
        self.stream.set_deadline(seconds)

    # -- faults

    def _delegate_failed(self, error: BaseException) -> None:
        """An exception has left a method of the delegate: it is logged, and the peer is told that
        it is our fault (1011). Of a connection that has ended it says no more than that."""
        ended = self.is_closing()
        if ended and isinstance(error, (WebSocketClosedError, CancelledError)):
            return
        self._log(error)
        if not ended:
            self._fault = INTERNAL_ERROR, ""
            self.close(INTERNAL_ERROR)

    def _log(self, error: BaseException) -> None:
        delegate = self._delegate
        try:
            if delegate is not None:
                delegate.log_exception(type(error), error, error.__traceback__)
        except Exception:
            app_log.error("Error in exception logger", exc_info=True)

    # -- ending

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the WebSocket: the peer is told, and has ``close_timeout`` to answer. What comes
        until then is not delivered. Does nothing if it is closing already.

        :param code: see RFC 6455, 7.4; None for none, or 1000 if there is a reason.
        :param reason: at most 123 bytes in UTF-8.
        :raises ValueError: a code that may not be sent, or a reason that is too long.
        """
        if code is None and reason is not None:
            code = NORMAL
        if self.protocol.state is not OPEN:
            return
        frame = self.protocol.close(code, reason or "")
        self._write_last(frame)
        self._end_reading(WebSocketClosedError("The connection is being closed"), drop=True)
        if not self.stream.closed():
            self._expect(Due.CLOSE, self.parameters.close_timeout)
        if self.turn is DELEGATE:  # whatever it is at, there is nothing to be kept for it
            self._waits = None
            self._go_on_later()

    def _abort(self) -> None:
        """End the connection at once, without a word (Tornado's name)."""
        if self.protocol.state is OPEN or self.protocol.state is CLOSING:
            self.protocol.end_of_input()
        self._end_reading(WebSocketClosedError("The connection was cut"), drop=True)
        self.stream.abort()

    def on_drain(self) -> None:
        """The server stops: the delegate decides what to tell its peer."""
        self._draining = True
        if self._lost:
            self._give_up_work()
        delegate = self._delegate
        if delegate is None or self.protocol.state is not OPEN:
            return
        try:
            self._context.run(delegate.on_drain)
        except Exception as error:
            self._log(error)
            self.close(GOING_AWAY)

    def _give_up_work(self) -> None:
        """The connection is lost, and what the delegate is at is for nobody: it is cancelled, and
        what still is to be delivered is only looked through for the peer's Close."""
        work = [one for one in (self._busy, self._side) if one is not None]
        if work and self.protocol.state is OPEN:
            self.protocol.close()  # which nobody is told
        for one in work:
            one.cancel()

    def _fail(self, fault: ProtocolError) -> None:
        """The peer has broken the rules or a limit. It is told, and what it goes on sending is
        dropped for a while: closing at once could take away what it is told."""
        stream = self.stream
        gen_log.info("WebSocket closed: %r: %s", stream.get_extra_info("peername"), fault)
        self._answer_last()
        self._end(ENDING)
        self._drop()
        if stream.closed():
            return
        seconds = self.parameters.close_timeout
        if stream.ssl_object is None:
            stream.write_eof()
        else:
            seconds = min(seconds, TLS_LINGER_SECONDS)
        stream.set_deadline(seconds)

    def _answer_last(self) -> None:
        """As ``_answer``, but nothing will be asked for any more."""
        self._write_last(self.protocol.bytes_to_send())

    def _drop(self) -> None:
        self._lingered += len(self.stream.buffer)
        self.stream.buffer.clear()
        if self._lingered > LINGER_BYTES:
            self.stream.abort()

    def _end_reading(self, error: WebSocketClosedError | None = None, *, drop: bool) -> None:
        if self._incoming is not None:
            self._incoming.end(error or WebSocketClosedError("The message has no end"), drop=drop)
            self._incoming = None
        if self.inbox is not None:
            self.inbox.end(drop=drop)

    def _end(self, turn: Turn) -> None:
        """Nothing is delivered any more: the delegate hears its last, as soon as it is ready."""
        self.turn = turn
        self._waits = None
        self._end_reading(drop=False)
        if turn is OVER:
            self.stream.set_deadline(None)
        self._tell_end_if_idle()

    def _tell_end_if_idle(self) -> None:
        if self._busy is None and self._side is None:
            self._tell_end()

    def ending(self) -> tuple[int | None, str | None]:
        """How it has ended, as far as that is known: code and reason."""
        code, reason = self.protocol.close_code, self.protocol.close_reason
        if code is None and self._fault is not None:
            code, reason = self._fault
        return code, reason or None

    def _tell_end(self) -> None:
        delegate = self._delegate
        if delegate is None:
            return
        try:
            self._context.run(delegate.on_ws_connection_close, *self.ending())
        except Exception as error:
            self._log(error)
        self._delegate = None
        self.inbox = self._incoming = None

    # -- looking

    @property
    def client_terminated(self) -> bool:
        """Whether the peer has closed, or is gone (Tornado's name)."""
        state = self.protocol.state
        return self.stream.closed() or (state is not OPEN and state is not CLOSING)

    @property
    def server_terminated(self) -> bool:
        """Whether we send nothing any more (Tornado's name)."""
        return self.protocol.state is not OPEN or self.stream.closed()

    def is_closing(self) -> bool:
        """Whether either side has begun to close, or the connection is gone."""
        return self.server_terminated

    @property
    def close_code(self) -> int | None:
        """The code of the peer's Close, if it has come."""
        return self.protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason in the peer's Close, if there is one."""
        return self.protocol.close_reason

    def set_nodelay(self, value: bool) -> None:
        """See :meth:`IOStream.set_nodelay`."""
        self.stream.set_nodelay(value)
