"""SinglePump: one exchange on a stream that belongs to whoever made the connection.

Behind ``HTTP1Connection.read_response``: a client reads its response with it; a server that has no
server connection may read a request with it. The stream is left as it is where the exchange ended,
so another ``HTTP1Connection`` may follow on it.

A server that closes the connection behind its response is the normal case (RFC 9112, 9.6), and it
may do so while the client's delegate is busy. So a client takes what came before the end from the
stream's buffer, although the stream is closed: ``_ended`` says that it is at that. The stream's
close callback waits until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY, HEAD
from tornadoish.http1connection.gzip import GzipMessageDelegate
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import (
    ANSWER,
    DELEGATE,
    OVER,
    PEER,
    PUMP,
    MessagePump,
)
from tornadoish.httputil.delegates import HTTPMessageDelegate, tell_trailers
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.message import Message
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.log import app_log

#: interim heads (RFC 9110, 15.2) before a response: a server that goes on with them never answers
MAX_INTERIM = 100


class SinglePump(MessagePump):
    """Moves one message in and one out."""

    __slots__ = ("_close_callback", "_delegate", "_ended", "_error", "_interim", "_result")

    def __init__(
        self,
        stream: IOStream,
        params: HTTP1ConnectionParameters,
        message: Message,
        *,
        is_client: bool,
    ) -> None:
        super().__init__(stream, params, is_client=is_client)
        self.message = message
        self.turn = ANSWER  # nothing is read before somebody asks for it
        self._delegate: HTTPMessageDelegate | None = None
        self._result: asyncio.Future[bool] | None = None
        self._ended = False  # as a client: the server has closed, the buffer is still to be read
        self._close_callback: Callable[[], None] | None = None  # of the stream, until that is done
        self._error: BaseException | None = None  # of the stream, if it cut the response
        self._interim = 0

    def read(self, delegate: HTTPMessageDelegate) -> asyncio.Future[bool]:
        """See :meth:`HTTP1Connection.read_response`."""
        result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._result = result
        message = self.message
        if message is not None:
            if self.params.decompress:
                delegate = GzipMessageDelegate(delegate, self.limits, message)
            message.delegate = delegate
        if self.stream.closed() and (self.reader.is_client or not self.stream.buffer):
            self._ended = True  # an answer may have come while the request was being written
            self._pump()
            return result
        self.stream.set_receiver(self)
        self.stream.set_deadline(self.limits.header_seconds)
        self._pump()
        return result

    def _begin(self, head: Head) -> Awaitable[None] | None:
        message = self.message
        if message is None or message.delegate is None:
            return None
        line, headers = head
        if isinstance(line, RequestStartLine):
            self.writer.answer(line.method, line.version, self.reader.persists)
        if self.reader.state is not HEAD:  # not an interim one
            if self.reader.state is BODY:
                self._body_begins()
            else:
                self.stream.set_deadline(None)
        elif self.reader.is_client:
            self._count_interim()
        return message.variables.run(self._start, message, message.delegate, line, headers)

    def _start(
        self,
        message: Message,
        delegate: HTTPMessageDelegate,
        line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
    ) -> Awaitable[None] | None:
        """A head and what is there behind it, in the message's context."""
        pending = delegate.headers_received(line, headers)
        return self._deliver(message) if pending is None else pending

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise HTTPInputError("Too many interim responses")

    def _conclude(self) -> None:
        state = self.reader.state
        if self.reader.is_client and (state is HEAD or state is BODY) and not self.stream.closed():
            # However our request ended, its response is yet to come; behind an interim head it
            # may be in the buffer already.
            if state is BODY or self.turn is not PUMP:
                self.turn = PEER
        else:
            super()._conclude()

    def answered(self) -> None:
        if self._result is not None:  # else nobody reads yet
            super().answered()

    def deadline_passed(self) -> None:
        if self.turn is PEER and self.reader.state is HEAD and not self.stream.buffer:
            self.stream.close()  # nothing came at all
        else:
            super().deadline_passed()

    # -- a stream that ends while its delegate is busy

    def end_of_input(self) -> None:
        if self.reader.is_client and self.turn is DELEGATE:
            self._ended = True
        else:
            super().end_of_input()

    def stream_closed(self) -> None:
        message = self.message
        # By the peer or by us? Who closes it here wants to hear no more.
        by_peer = self._ended or isinstance(self.stream.error, ConnectionError)
        if by_peer and self.reader.is_client and self.turn is DELEGATE and message is not None:
            self._ended = True
            self.writer.close()
            message.pump = None  # what is written from now on fails as on a closed stream
            self._close_callback = self.stream.take_close_callback()
        else:
            super().stream_closed()

    def _settle(self, future: asyncio.Future[None]) -> None:
        if not self._ended or future.cancelled() or future.exception() is not None:
            super()._settle(future)

    def _pump(self) -> bool:
        if not self._ended:
            return super()._pump()
        message = self.message
        self.turn = PUMP
        try:
            while self.turn is PUMP and message is not None and message.delegate is not None:
                pending = message.variables.run(self._deliver_next, message, message.delegate)
                if pending is not None:
                    self._wait(pending)
        except HTTPInputError as error:
            self._refuse(error)
        except Exception:
            self._delegate_failed()
        if self.turn is not DELEGATE:
            self._end_message()
            self._over()
        return True

    def _deliver_next(
        self, message: Message, delegate: HTTPMessageDelegate
    ) -> Awaitable[None] | None:
        """One thing more that came before the end; where there is none, the turn is nobody's."""
        reader = self.reader
        if reader.state is HEAD:
            head = reader.next_head()
            if head is not None:
                if reader.state is HEAD:
                    self._count_interim()
                return delegate.headers_received(*head)
            self.turn = ANSWER
        elif reader.state is BODY:
            piece = reader.next_piece()
            if type(piece) is bytes:
                return delegate.data_received(piece)
            if piece is None:
                self._end_body()
        elif reader.trailers:
            trailers, reader.trailers = reader.trailers, None
            return tell_trailers(delegate, trailers)
        else:
            message.delegate = None
            return delegate.finish()
        return None

    def _end_body(self) -> None:
        """No more of the body is there: that is its end (RFC 9112, 8), or it has been cut."""
        try:
            if self.stream.error is None:
                self.reader.end_of_input()
            else:
                self.turn = ANSWER
        except HTTPInputError:
            self.turn = ANSWER

    # -- ending

    def _end_message(self) -> None:
        message, error = self.message, self.stream.error
        if self.reader.is_client and error is not None and message is not None:
            delegate, message.delegate = message.delegate, None
            if delegate is not None:
                self._error = error
                message.set_close_callback(None)  # one of its two ears is told
                message.variables.run(self._tell_error, delegate, error)
        super()._end_message()

    def _tell_error(self, delegate: HTTPMessageDelegate, error: BaseException) -> None:
        try:
            delegate.on_connection_close()
        except Exception as raised:
            if raised is error:
                # Whoever waits for the response is told; the stream need not say it once more.
                self._close_callback = None
                self.stream.set_close_callback(None)
            else:
                app_log.error("Uncaught exception as a message ended", exc_info=True)

    def _message_over(self) -> None:
        self._end_message()
        self.turn = OVER
        self.stream.set_receiver(None)
        self.stream.set_deadline(None)
        self._report(True)

    def _finish_connection(self) -> None:
        self._end_message()
        self.turn = OVER
        self.stream.close()
        self._report(False)

    def _gone(self) -> None:
        self._report(False)
        if self._close_callback is not None:
            self.stream.set_close_callback(self._close_callback)
            self._close_callback = None

    def _report(self, alive: bool) -> None:
        result, self._result = self._result, None
        if result is None or result.done():
            return
        if self._error is None:
            result.set_result(alive)
        else:
            result.set_exception(StreamClosedError(self._error))
            result.exception()  # nobody has to look at it
