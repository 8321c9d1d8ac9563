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
from collections.abc import Awaitable
from typing import Any, Final, cast

from tornadoish.compiling import mypyc_attr
from tornadoish.http1.reader import Head, Reader
from tornadoish.http1.states import (
    BODY,
    CLOSED,
    DRAIN,
    GONE,
    HANDOVER,
    HEAD,
    REUSE,
    SWITCHED,
    WAIT,
    Named,
)
from tornadoish.http1.writer import Writer
from tornadoish.http1connection.pace import BodyPace
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.httputil.delegates import tell_trailers
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.message import Message
from tornadoish.httputil.startline import ResponseStartLine
from tornadoish.httputil.urls import responses
from tornadoish.iostream import BaseIOStream, StreamClosedError
from tornadoish.log import app_log, gen_log
from tornadoish.util import as_coroutine

PEER: Final = Named("PEER", "bytes have to arrive")
PUMP: Final = Named("PUMP", "we are at it, in this very call stack")
LATER: Final = Named("LATER", "others have their turn, then we go on with what is in the buffer")
DELEGATE: Final = Named("DELEGATE", "an awaitable of the delegate's has to be done")
ANSWER: Final = Named("ANSWER", "the message has been read, its answer has to be finished")
ROOM: Final = Named("ROOM", "the peer has to take the answers that it has, the next request waits")
LINGER: Final = Named("LINGER", "nothing is sent any more, what arrives is dropped")
OVER: Final = Named("OVER", "closed or handed over")
TURNS = (PEER, PUMP, LATER, DELEGATE, ANSWER, ROOM, LINGER, OVER)

#: messages, and pieces of a body, after which other connections get their turn
MESSAGES_PER_TURN: Final = 64
PIECES_PER_TURN: Final = 32
#: bytes that are read while an answer is waited for: so many can come before a peer that goes away
#: is no longer noticed
READ_AHEAD: Final = 16 * 1024

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


@mypyc_attr(allow_interpreted_subclasses=True)
class MessagePump:
    """What the messages of one connection share; see the module."""

    __slots__ = (
        "__weakref__",
        "_heading",
        "_lingered",
        "_pace",
        "_waited_for",
        "limits",
        "message",
        "params",
        "reader",
        "stream",
        "turn",
        "writer",
    )

    def __init__(
        self, stream: BaseIOStream, params: HTTP1ConnectionParameters, *, is_client: bool
    ) -> None:
        self.stream = stream
        self.params = params
        limits = self.limits = params.bounds(stream.max_buffer_size, is_client=is_client)
        self.reader = Reader(stream.buffer, limits, is_client=is_client)
        self.writer = Writer()
        stream.set_write_pace(limits.write_seconds, limits.write_bytes_per_second)
        self.message: Message | None = None
        self.turn: Named = PEER
        self._heading = True  # the deadline is that of a head, not of silence before it
        self._pace: BodyPace | None = None  # of the body that is being read
        self._lingered = 0
        self._waited_for: asyncio.Future[None] | None = None  # what the delegate has returned

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

    def _left_open(self) -> None:
        """A message is not through yet as the call stack ends."""

    # -- what the stream calls: StreamReceiver

    def bytes_arrived(self) -> bool:
        if self.turn is PEER:
            return self._pump()
        if self.turn is LINGER:
            self._drop()
            return True
        return self.turn is ANSWER and len(self.stream.buffer) < READ_AHEAD

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
                message.run_close_callback()
            message.let_body_go()
            if message.cancel_on_close and message.task is not None:
                self._cancel_work(message)
        else:
            self._end_message()
            self._over()

    def deadline_passed(self) -> None:
        stream, turn, state = self.stream, self.turn, self.reader.state
        if stream.closed() or turn is OVER or turn is ANSWER or turn is ROOM:
            return  # the stream itself sees to it that what was written is taken
        if turn is LINGER:
            self._linger_on()
        elif turn is DELEGATE:
            if state is BODY:
                stream.set_deadline(0)  # as soon as the delegate is ready to hear of it
        elif state is BODY:
            self._refuse(HTTPInputError("The body took too long", 408))
        elif state is HEAD and stream.buffer:
            self._refuse(HTTPInputError("The head took too long", 408))
        elif self.message is None:
            if self._is_on_its_way():
                stream.set_deadline(self.limits.idle_seconds)
            else:
                stream.close()

    def _is_on_its_way(self) -> bool:
        """Whether the peer is slow to take what it was sent, and the stream sees to it that it does
        not become too slow: then other bounds on time can wait."""
        return self.stream.blocked and self.limits.write_seconds is not None

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
        if self.message is not None:
            self._left_open()
        turn = self.turn
        waits = stream.buffer.data and turn is not PEER
        if waits and (turn is not ANSWER or len(stream.buffer) >= READ_AHEAD):
            return False
        if stream.paused and turn is not OVER:
            stream.resume_reading()  # whoever is waited for, a peer that goes away is noticed
        return True

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
        """Let others have their turn. Until then nothing more is read: the buffer would grow."""
        self.turn = LATER
        asyncio.get_running_loop().call_soon(self._pump_if_later)

    def _pump_if_later(self) -> None:
        if self.turn is LATER and not self._pump():
            self.stream.pause_reading()

    def _step(self) -> None:
        """Handle one event, or as many as the delegate takes without waiting."""
        message, reader = self.message, self.reader
        if message is None and self.stream.blocked and self.stream.buffer.data:
            self._wait_for_room()
            return
        try:
            if message is None or reader.state is HEAD:
                head = reader.next_head()
                if head is None:
                    self.turn = PEER
                    if self.stream.buffer.data and not self._heading:
                        self._head_begins()
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
        pieces = 0
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
                    if self._pace is not None:
                        self._pace.moved(len(event))
                    pieces += 1
                    if pieces == PIECES_PER_TURN:
                        self._pump_later()
                    if delegate is not None:
                        pending = delegate.data_received(event)
                        if pending is not None:
                            return pending
                        if self.stream.closed():
                            return None
                    continue
            if delegate is None or reader.state is HEAD or reader.state is CLOSED:
                return None
            trailers, reader.trailers = reader.trailers, None
            if trailers:
                pending = tell_trailers(delegate, trailers)
                if pending is not None:
                    return pending
                if self.stream.closed():
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
            self.reader.limit_body(self.limits.drain_bytes)
            self.reader.check_body_size()

    def _conclude(self) -> None:
        """Nothing more to deliver now: the state table says what comes next."""
        verdict = self.reader.state.with_sent[self.writer.state]
        if verdict is REUSE:
            self._message_over()
        elif verdict is GONE:  # a stream that is somebody else's may be closed, too
            self._end_message()
            self._over()
        elif verdict is HANDOVER:
            self.turn = ANSWER  # whoever has sent the 101 takes the stream, or ends it
        elif self.stream.closed():
            self.turn = ANSWER  # stream_closed() comes next
        elif verdict is WAIT:
            state = self.reader.state
            self.turn = PEER if state is BODY or state is HEAD else ANSWER
        elif verdict is DRAIN:
            self.turn = PEER
        else:
            self._finish_connection()

    def _wait_for_room(self) -> None:
        """The peer asks for more than it takes: its answers would pile up here."""
        self.turn = ROOM
        self.stream.room().add_done_callback(self._room_made)

    def _room_made(self, room: asyncio.Future[None]) -> None:
        if self.turn is ROOM and not self.stream.closed():
            self._pump()

    def _finish_connection(self) -> None:
        """Both halves have come to their last message. The peer may not know that yet."""
        self._end_message()
        self._linger()

    def answered(self) -> None:
        """The answer to the current message has been finished."""
        message = self.message
        if self.turn is PUMP or self.turn is DELEGATE:
            if message is not None:
                message.let_body_go()
            return  # whoever is at it sees it in the state table
        if message is not None and self.reader.state is BODY and self._is_answered():
            message.variables.run(message.end_delegate)
            try:
                self._answered_early()
            except HTTPInputError as error:
                self._refuse(error)
                return
        self._conclude()
        if self.turn is PEER:
            if self.stream.buffer.data:
                self._pump_later()
            else:
                self.stream.resume_reading()

    # -- waiting for a delegate

    def _wait(self, pending: Awaitable[None]) -> None:
        """Nothing more is delivered before ``pending`` is done."""
        message = self.message  # None: detached in the very call that returned ``pending``
        if asyncio.isfuture(pending):
            future: asyncio.Future[None] = pending
        else:
            future = asyncio.Task(
                as_coroutine(pending),
                loop=asyncio.get_running_loop(),
                context=None if message is None else message.variables,
                **_EAGER,
            )  # fmt: skip
        if future.done():
            self._settle(future)
        else:
            if self.turn is not OVER:
                self.turn = DELEGATE
                if self._pace is not None and self.reader.state is BODY:
                    self._pace.wait()
                self._waited_for = future
            future.add_done_callback(self._resume)

    def _resume(self, future: asyncio.Future[None]) -> None:
        self._waited_for = None
        if self.turn is not OVER:  # not detached meanwhile
            self.turn = PUMP
            if self._pace is not None and self.reader.state is BODY:
                self._pace.resume()
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
        except (asyncio.CancelledError, StreamClosedError):
            if not self.stream.closed():  # else that is why
                self._delegate_failed()
        except Exception:
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
        known = message is not None  # and so its method, by which an answer has a body or none
        if error.status != 500 and not self._is_answered():  # else nothing is wrong with it
            gen_log.info(
                "Malformed HTTP message from %s: %s", context or self._peer(), error.message
            )
        self._end_message()
        writer = self.writer
        if self.reader.state is SWITCHED:
            self._over()  # the stream is somebody else's
            return
        if self.reader.is_client or (writer.state is not HEAD and not self._is_answered()):
            # Nobody to be answered, or an answer that stands in the middle: it must not look whole.
            if writer.ends_by_closing and not self.reader.is_client:
                self.stream.reset()
            self.stream.close()
            return
        if writer.state is HEAD:
            if known:
                writer.close_after()
            else:
                writer.answer("", "HTTP/1.1", persists=False)
            writer_line = ResponseStartLine("", error.status, responses.get(error.status, "Error"))
            body = refusal_body(error)
            headers = HTTPHeaders(
                {
                    "Content-Type": "text/plain; charset=utf-8",
                    "Content-Length": str(len(body)),
                    "X-Content-Type-Options": "nosniff",
                }
            )
            if error.status == 503:
                headers["Retry-After"] = "1"
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
                message.run_close_callback()
            if message.cancel_on_close:
                message.cancel_task()
            message.pump = None

    def _cancel_work(self, message: Message) -> None:
        """Nobody waits for the answer any more: whoever works on it is not to go on."""
        if self._waited_for is not None:
            self._waited_for.cancel()
        message.cancel_task()

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
        stream.set_write_pace(None)
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
        stream = self.stream
        more = self.reader.state is BODY or self.reader.state is CLOSED or bool(stream.buffer)
        self.reader.close()
        if not more and stream.ssl_object is not None:
            stream.close()  # TLS has no half-close here: the end itself tells the peer
            return
        self.turn = LINGER
        stream.write_eof()
        stream.set_deadline(self._linger_seconds())
        self._drop()
        stream.resume_reading()

    def _linger_seconds(self) -> float:
        return self.limits.linger_seconds

    def _linger_on(self) -> None:
        """The time is over; but a slow peer, if it is no slower than is allowed, gets all of its
        last answer, and only then begins its time to see the end."""
        if self._is_on_its_way():
            self.stream.set_deadline(self._linger_seconds())
        else:
            self.stream.close()

    def _drop(self) -> None:
        self._lingered += len(self.stream.buffer)
        self.stream.buffer.clear()
        if self._lingered > self.limits.linger_bytes:
            self.stream.close()

    # -- how long things may take

    def _head_begins(self) -> None:
        """Some of a head is there, but not all of it: from now on its own time counts. The first
        one has that of a connection that has just been accepted."""
        self._heading = True
        self.stream.set_deadline(self.limits.header_seconds)

    def _body_begins(self) -> None:
        """A head is there and its body comes next."""
        self._pace = BodyPace(self.stream, self.limits)

    def set_body_timeout(self, seconds: float) -> None:
        """Refuse the current message if its body is not there in ``seconds``."""
        if self.reader.state is BODY:
            if self._pace is None:
                self._body_begins()
            cast(BodyPace, self._pace).allow(seconds)


def refusal_body(error: HTTPInputError) -> bytes:
    """What a client is told with the status of ``error``."""
    reason = responses.get(error.status, "Error")
    return f"{error.status} {reason}: {error.message}\n".encode()
