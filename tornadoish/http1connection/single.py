"""SinglePump: one exchange on a stream that belongs to whoever made the connection.

Behind ``HTTP1Connection.read_response``: a client reads its response with it; a server that has no
server connection may read a request with it. The stream is left as it is where the exchange ended,
so another ``HTTP1Connection`` may follow on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY, HEAD
from tornadoish.http1connection.gzip import GzipMessageDelegate
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import ANSWER, OVER, PEER, PUMP, Message, MessagePump
from tornadoish.httputil.delegates import HTTPMessageDelegate
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import IOStream


class SinglePump(MessagePump):
    """Moves one message in and one out."""

    __slots__ = ("_delegate", "_result")

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

    def read(self, delegate: HTTPMessageDelegate) -> asyncio.Future[bool]:
        """See :meth:`HTTP1Connection.read_response`."""
        result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._result = result
        message = self.message
        if self.stream.closed() and not self.stream.buffer:
            delegate.on_connection_close()
            self._report(False)
            return result
        if self.params.decompress:
            limits = self.reader.limits
            delegate = GzipMessageDelegate(delegate, limits.piece_bytes, limits.body_bytes)
        if message is not None:
            message.delegate = delegate
        self.stream.set_receiver(self)
        if self.params.header_timeout is not None:
            self.stream.set_deadline(self.params.header_timeout)
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
            self.stream.set_deadline(
                self.params.body_timeout if self.reader.state is BODY else None
            )
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

    def _report(self, alive: bool) -> None:
        result, self._result = self._result, None
        if result is not None and not result.done():
            result.set_result(alive)
