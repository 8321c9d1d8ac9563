"""MessagePump: moves messages from a stream to their delegates, pushed by arriving bytes.

It is the stream's receiver. A read goes down from here to the delegate and its answer comes back in
one call stack, with no task and no future; only where a delegate returns an awaitable does a task
wait for it, while the transport is paused. What differs between a server, which goes on from
message to message, and a single exchange is in ``server`` and ``single``.

``turn`` says who has to do something next. It is the state of this
machine and moves only here (and, where a message is over, in ``server`` and ``single``).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, cast

from tornadoish.http1.reader import Head, Reader
from tornadoish.http1.states import (
    BODY,
    CLOSED,
    DRAIN,
    GONE,
    HEAD,
    REUSE,
    SWITCHED,
    WAIT,
    Named,
)
from tornadoish.http1.writer import Writer
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.httputil.delegates import HTTPConnection, HTTPMessageDelegate
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import ResponseStartLine
from tornadoish.httputil.urls import responses
from tornadoish.iostream import IOStream
from tornadoish.log import app_log, gen_log

PEER = Named("PEER", "bytes have to arrive")
PUMP = Named("PUMP", "we are at it, in this very call stack")
DELEGATE = Named("DELEGATE", "an awaitable of the delegate's has to be done")
ANSWER = Named("ANSWER", "the message has been read, its answer has to be finished")
LINGER = Named("LINGER", "nothing is sent any more, what arrives is dropped")
OVER = Named("OVER", "closed or handed over")
TURNS = (PEER, PUMP, DELEGATE, ANSWER, LINGER, OVER)

#: bytes of a request that are read, to nobody, to keep a connection whose answer came early
DRAIN_BYTES = 256 * 1024
#: seconds and bytes that a peer is given to see the last answer while it is still sending
LINGER_SECONDS = 5.0
LINGER_BYTES = 32 * 1024 * 1024
#: messages after which other connections get their turn
MESSAGES_PER_TURN = 64

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Message(HTTPConnection):
    """What a pump has to know of the message that it moves."""

    #: the pump that this message is on, as long as it is
    pump: MessagePump | None = None
    #: who hears of what is received, until it has heard its last
    delegate: HTTPMessageDelegate | None = None
    #: every call for this message is made in here
    variables: Context
    #: an object that describes the connection to whoever asks
    context: Any = None
    _close_callback: Callable[[], None] | None = None

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` if the connection is closed before ``finish``."""
        self._close_callback = callback

    def end_delegate(self) -> None:
        """The delegate hears its last, if it has not; what it does wrong then is only logged."""
        delegate, self.delegate = self.delegate, None
        if delegate is not None:
            _guarded(delegate.on_connection_close)

    def run_close_callback(self) -> None:
        """The connection is gone: tell whoever asked for it, once."""
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            _guarded(callback)


class MessagePump:
    """What the messages of one connection share; see the module."""

    __slots__ = (
        "__weakref__",
        "_lingered",
        "message",
        "params",
        "reader",
        "stream",
        "turn",
        "writer",
    )

    def __init__(
        self, stream: IOStream, params: HTTP1ConnectionParameters, *, is_client: bool
    ) -> None:
        self.stream = stream
        self.params = params
        limits = params.limits(stream.max_buffer_size)
        self.reader = Reader(stream.buffer, limits, is_client=is_client)
        self.writer = Writer()
        self.message: Message | None = None
        self.turn: Named = PEER
        self._lingered = 0

    # -- what the kinds of pumps do differently

    def _begin(self, head: Head) -> Awaitable[None] | None:
        """A head has come: tell the delegate; what it returns has to be waited for."""
        raise NotImplementedError

    def _message_over(self) -> None:
        """Both halves of the message are through and another one may follow."""
        raise NotImplementedError

    def _gone(self) -> None:
        """The stream is closed or somebody else's: nothing follows."""
        raise NotImplementedError

    # -- what the stream calls: StreamReceiver

    def bytes_arrived(self) -> bool:
        if self.turn is PEER:
            return self._pump()
        if self.turn is LINGER:
            self._drop()
            return True
        return False

    def end_of_input(self) -> None:
        if self.turn is PEER and self.reader.state is BODY:
            try:
                self.reader.end_of_input()
            except HTTPInputError:
                return  # it ended within a message; stream_closed() comes next and says so
            self._pump()

    def stream_closed(self) -> None:
        self.reader.close()
        self.writer.close()
        message = self.message
        if message is not None and self.turn is DELEGATE:
            # Calls to a delegate never overlap: the last one comes when it is ready.
            message.pump = None  # what it writes until then fails as on a closed stream
            if message.delegate is None:  # it has heard its last, so only this is left to tell
                message.variables.run(message.run_close_callback)
        else:
            self._end_message()
            self._over()

    def deadline_passed(self) -> None:
        if self.turn is LINGER or self.stream.closed():
            self.stream.abort()
        elif self.turn is OVER or self.turn is ANSWER:
            return
        elif self.turn is DELEGATE:
            if self.reader.state is BODY:
                self.stream.set_deadline(0)  # as soon as the delegate is ready to hear of it
        elif self.reader.state is BODY:
            self._refuse(HTTPInputError("The body took too long", 408))
        elif self.reader.state is HEAD and self.stream.buffer:
            self._refuse(HTTPInputError("The head took too long", 408))
        elif self.message is None:
            self.stream.close()

    # -- the pump

    def _pump(self) -> bool:
        """Go on as long as there is something to do in this call stack. False: nobody takes what
        is in the buffer, let nothing more come in."""
        self.turn = PUMP
        stream = self.stream
        try:
            self._step()
            if self.turn is PUMP:
                self._pump_on()
        finally:
            if stream.corked is not None:
                stream.uncork()
        if self.turn is PEER:
            if stream.paused:
                stream.resume_reading()
            return True
        return not stream.buffer.data

    def _pump_on(self) -> None:
        """There is more to do: do it, but do not keep other connections waiting for long."""
        self.stream.cork()
        rounds = MESSAGES_PER_TURN
        while self.turn is PUMP:
            if self.message is None:
                rounds -= 1
                if rounds == 0 or self.stream.closed():
                    self._pump_later()
                    break
            self._step()

    def _pump_later(self) -> None:
        self.turn = PEER
        asyncio.get_running_loop().call_soon(self._pump_if_peer)

    def _pump_if_peer(self) -> None:
        if self.turn is PEER:
            self._pump()

    def _step(self) -> None:
        """Handle one event, or as many as the delegate takes without waiting."""
        message, reader = self.message, self.reader
        try:
            if message is None or reader.state is HEAD:
                head = reader.next_head()
                if head is None:
                    self.turn = PEER
                    return
                pending = self._begin(head)
            else:
                pending = message.variables.run(self._deliver, message)
        except HTTPInputError as error:
            self._refuse(error)
        except Exception:
            self._delegate_failed()
        else:
            if pending is not None:
                self._wait(pending)
            elif reader.state.with_sent[self.writer.state] is REUSE:
                self._message_over()
            elif self.turn is PUMP:
                self._conclude()

    def _deliver(self, message: Message) -> Awaitable[None] | None:
        """Give the delegate the body as far as it is there, and the end; runs in the message's
        context. What is returned has to be waited for."""
        reader = self.reader
        if reader.expects_continue:
            self._send_continue()
        while self.turn is PUMP:
            delegate = message.delegate
            if delegate is not None and reader.state is BODY and self._is_answered():
                message.end_delegate()
                self._answered_early()
                delegate = None
            if reader.state is BODY:
                event = reader.next_piece()
                if event is None:
                    return None
                if type(event) is bytes:
                    if delegate is not None:
                        pending = delegate.data_received(event)
                        if pending is not None:
                            return pending
                        if self.stream.closed():
                            return None
                    continue
            if delegate is None or reader.state is HEAD or reader.state is CLOSED:
                return None
            message.delegate = None
            # An adapter may do more than the contract says and return nothing at all.
            return delegate.finish()
        return None

    def _is_answered(self) -> bool:
        state = self.writer.state
        return state is not HEAD and state is not BODY and not self.reader.is_client

    def _send_continue(self) -> None:
        """The delegate has seen the head and not refused it: let the client send the body."""
        if self.writer.state is HEAD:
            self.reader.check_body_size()
            self.reader.expects_continue = False
            self.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.stream.flush_cork()

    def _answered_early(self) -> None:
        """The answer is finished, the request is not: allow only so much more of it.

        :raises HTTPInputError: it is known to be more.
        """
        if self.reader.state is BODY:
            self.reader.limit_body(DRAIN_BYTES)
            self.reader.check_body_size()

    def _conclude(self) -> None:
        """Nothing more to deliver now: the state table says what comes next."""
        verdict = self.reader.state.with_sent[self.writer.state]
        if verdict is REUSE:
            self._message_over()
        elif verdict is GONE:  # a stream that is somebody else's may be closed, too
            self._end_message()
            self._over()
        elif self.stream.closed():
            self.turn = ANSWER  # stream_closed() comes next
        elif verdict is WAIT:
            state = self.reader.state
            self.turn = PEER if state is BODY or state is HEAD else ANSWER
        elif verdict is DRAIN:
            self.turn = PEER
        else:
            self._finish_connection()

    def _finish_connection(self) -> None:
        """Both halves have come to their last message."""
        self._end_message()
        if self.reader.state is BODY or self.reader.state is CLOSED:
            self._linger()
        else:
            self.stream.close()

    def answered(self) -> None:
        """The answer to the current message has been finished."""
        if self.turn is PUMP or self.turn is DELEGATE:
            return  # whoever is at it sees it in the state table
        message = self.message
        if message is not None and self.reader.state is BODY and self._is_answered():
            message.variables.run(message.end_delegate)
            try:
                self._answered_early()
            except HTTPInputError as error:
                self._refuse(error)
                return
        self._conclude()
        if self.turn is PEER:
            self.stream.resume_reading()
            if self.stream.buffer.data:
                self._pump_later()

    # -- waiting for a delegate

    def _wait(self, pending: Awaitable[None]) -> None:
        """Nothing more is delivered before ``pending`` is done."""
        message = self.message  # None: detached in the very call that returned ``pending``
        if asyncio.isfuture(pending):
            future: asyncio.Future[None] = pending
        else:
            coroutine = pending if asyncio.iscoroutine(pending) else _await(pending)
            future = asyncio.Task(
                cast("Coroutine[Any, Any, None]", coroutine),
                loop=asyncio.get_running_loop(),
                context=None if message is None else message.variables,
                **_EAGER,
            )  # fmt: skip
        if future.done():
            self._settle(future)
        else:
            if self.turn is not OVER:
                self.turn = DELEGATE
            future.add_done_callback(self._resume)

    def _resume(self, future: asyncio.Future[None]) -> None:
        if self.turn is not OVER:  # not detached meanwhile
            self.turn = PUMP
        self._settle(future)
        if self.turn is PUMP:
            self._pump()

    def _settle(self, future: asyncio.Future[None]) -> None:
        """``future`` is done and the turn is the pump's."""
        try:
            future.result()
        except HTTPInputError as error:
            if not self.stream.closed():
                self._refuse(error)
        except (Exception, asyncio.CancelledError):
            self._delegate_failed()
        if self.stream.closed():
            self._end_message()
            self._over()

    def _delegate_failed(self) -> None:
        app_log.error("Uncaught exception in a message delegate", exc_info=True)
        if not self.stream.closed():
            self._refuse(HTTPInputError("Internal Server Error", 500))

    # -- ending

    def _refuse(self, error: HTTPInputError) -> None:
        """What arrived cannot be taken: say so to the peer where that is possible, and end."""
        message = self.message
        context = None if message is None else message.context
        gen_log.info("Malformed HTTP message from %s: %s", context or self._peer(), error.message)
        self._end_message()
        writer = self.writer
        if self.reader.state is SWITCHED:
            self._over()  # the stream is somebody else's
            return
        if self.reader.is_client or (writer.state is not HEAD and not self._is_answered()):
            # Nobody to be answered, or an answer that stands in the middle: it must not look whole.
            self.stream.close()
            return
        if writer.state is HEAD:
            writer.answer("", "HTTP/1.1", persists=False)
            writer_line = ResponseStartLine("", error.status, responses.get(error.status, "Error"))
            body = f"{error.status} {writer_line.reason}: {error.message}\n".encode()
            headers = HTTPHeaders(
                {
                    "Content-Type": "text/plain; charset=utf-8",
                    "Content-Length": str(len(body)),
                    "X-Content-Type-Options": "nosniff",
                }
            )
            self.stream.write(writer.response(writer_line, headers, body))
            writer.end()
        self._linger()

    def _peer(self) -> object:
        return self.stream.get_extra_info("peername")

    def _end_message(self) -> None:
        """The message is over, one way or the other: exactly one of its two ears is told."""
        message, self.message = self.message, None
        if message is not None:
            if message.delegate is not None:
                message.variables.run(message.end_delegate)
                message.set_close_callback(None)
            else:
                message.variables.run(message.run_close_callback)
            message.pump = None

    def _over(self) -> None:
        if self.turn is not OVER:
            self.turn = OVER
            self._gone()

    def detach(self) -> None:
        """Let go of the stream: it belongs to the caller with what is in its buffer."""
        self.reader.switch()
        self.writer.switch()
        stream = self.stream
        stream.uncork()
        stream.set_receiver(None)
        stream.set_deadline(None)
        message = self.message
        if message is not None:
            message.pump = None
            if message.delegate is not None:
                return  # it is being called: who calls it sees in the state table what comes next
        self.message = None
        self._over()

    # -- lingering: RFC 9112, 9.6

    def _linger(self) -> None:
        """Half-close, and drop what arrives for a while: closing at once would reset the
        connection and could take the answer with it."""
        self.reader.close()
        self.turn = LINGER
        self.stream.write_eof()
        self.stream.set_deadline(LINGER_SECONDS)
        self._drop()
        self.stream.resume_reading()

    def _drop(self) -> None:
        self._lingered += len(self.stream.buffer)
        self.stream.buffer.clear()
        if self._lingered > LINGER_BYTES:
            self.stream.close()

    def set_body_timeout(self, seconds: float) -> None:
        """Refuse the current message if its body is not there in ``seconds``."""
        self.stream.set_deadline(seconds)


def _guarded(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        app_log.error("Uncaught exception as a message ended", exc_info=True)


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable
