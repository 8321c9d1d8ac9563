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
from collections.abc import Awaitable
from typing import Any, cast

from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY
from tornadoish.http1connection.connection import HTTP1Connection
from tornadoish.http1connection.gzip import GzipMessageDelegate
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import OVER, PEER, PUMP, MessagePump
from tornadoish.httputil.delegates import HTTPServerConnectionDelegate
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import NEVER, IOStream


class HTTP1ServerConnection(MessagePump):
    """Serves request after request on one stream.

    :param stream: an accepted connection's stream.
    :param params: what is allowed.
    :param context: an object that describes the connection, handed on to each request.
    """

    __slots__ = ("_closed", "_delegate", "_head_allowance", "_start_request", "context")

    def __init__(
        self,
        stream: IOStream,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
    ) -> None:
        super().__init__(stream, params or HTTP1ConnectionParameters(), is_client=False)
        self.context: Any = context
        self._delegate: HTTPServerConnectionDelegate = cast(Any, None)
        self._closed: asyncio.Future[None] | None = None
        # What is added to the clock's time for the deadline of the next head.
        self._head_allowance = NEVER

    def start_serving(self, delegate: HTTPServerConnectionDelegate) -> None:
        """Serve requests from now on: ``delegate`` is asked for a delegate for each of them."""
        self._delegate = delegate
        self._start_request = delegate.start_request
        stream = self.stream
        stream.set_deadline(self.params.header_timeout)
        if stream.clock is not None:
            self._head_allowance = stream.deadline - stream.clock.now
        stream.set_receiver(self)
        if self.stream.buffer:
            self._pump()

    async def close(self) -> None:
        """Close the connection and wait until it is closed."""
        if self.turn is OVER:
            return
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
        closed = self._closed
        self.stream.close()
        await asyncio.shield(closed)

    # -- MessagePump

    def _begin(self, head: Head) -> Awaitable[None] | None:
        params, reader, stream = self.params, self.reader, self.stream
        line, headers = head
        self.writer.answer(line[0], line[2], reader.persists and not params.no_keep_alive)
        message = HTTP1Connection.for_request(self, stream, params, self.context)
        self.message = message
        if stream.buffer.data:
            # More requests may wait in the buffer: their answers are gathered into one write.
            stream.cork()
        if reader.state is BODY:
            stream.set_deadline(params.body_timeout)
        return message.variables.run(self._start, message, line, headers)

    def _start(
        self,
        message: HTTP1Connection,
        line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
    ) -> Awaitable[None] | None:
        """The first calls for a message, in its context."""
        delegate = self._start_request(self, message)
        if self.params.decompress:
            limits = self.reader.limits
            delegate = GzipMessageDelegate(delegate, limits.piece_bytes, limits.body_bytes)
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
        stream = self.stream
        if stream.clock is not None:
            stream.deadline = stream.clock.now + self._head_allowance
        # Where the next request is here already, the pump goes on with it.
        if self.turn is not PUMP or not stream.buffer.data:
            self.turn = PEER

    def _gone(self) -> None:
        self._delegate.on_close(self)
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
