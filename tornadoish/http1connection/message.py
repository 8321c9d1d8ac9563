"""HTTP1Message: one message of an HTTP/1 connection as it is written.

The part of ``HTTP1Connection`` that every answer goes through.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import cast

from tornadoish.compiling import Data, mypyc_attr
from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import PUMP, MessagePump
from tornadoish.httputil.errors import HTTPOutputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.message import Message
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import BaseIOStream, IOStream, StreamClosedError

#: pieces of a body after which whoever writes them lets others have their turn, if it waits
PIECES_PER_TURN = 16


@mypyc_attr(allow_interpreted_subclasses=True)
class HTTP1Message(Message):
    """A message, its stream, and how it is written."""

    stream: IOStream | None
    params: HTTP1ConnectionParameters
    no_keep_alive: bool = False
    is_client: bool = False
    _pieces = 0  # of the body that have been written by themselves
    #: what it begins with, as a server connection has read it
    start_line: RequestStartLine | None = None
    headers: HTTPHeaders | None = None

    def __init__(
        self,
        pump: MessagePump,
        stream: BaseIOStream,
        params: HTTP1ConnectionParameters,
        context: object,
        variables: Context,
        head: Head | None,
    ) -> None:
        """What ``RequestConnection`` says."""
        self.stream = cast(IOStream, stream)
        self.params = params
        self.context = context
        self.pump = pump
        self.variables = variables
        if head is not None:
            self.start_line, self.headers = head  # type: ignore[assignment]

    # -- writing: HTTPConnection

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: Data | None = None,
    ) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write_headers`."""
        pump: MessagePump | None = self.pump
        if pump is None:
            return _closed()
        if chunk is not None and type(chunk) is not bytes:
            chunk = bytes(memoryview(chunk))  # adapters have other buffers, too
        writer = pump.writer
        reader = pump.reader
        if self.no_keep_alive or reader.state is BODY:
            self._prepare_unusual(pump, start_line)
        if isinstance(start_line, ResponseStartLine):
            data = writer.response(start_line, headers, chunk)
        else:
            reader.request_method = start_line.method
            data = writer.request(start_line, headers, chunk)
        stream = pump.stream
        if writer.left and pump.turn is PUMP:
            stream.cork()  # more is to come, and likely at once
        try:
            return stream.write(data)
        except StreamClosedError:
            return _closed()

    def _prepare_unusual(
        self, pump: MessagePump, start_line: RequestStartLine | ResponseStartLine
    ) -> None:
        """Before a head on a connection that is to be closed, or to a client whose body has not
        come yet: it may wait for a word before it sends that."""
        reader = pump.reader
        if isinstance(start_line, ResponseStartLine) and start_line.code < 200:
            if start_line.code == 100:
                reader.expects_continue = False  # the application says it itself
        elif (
            self.no_keep_alive
            # If it is refused before it was told to go on, nobody knows whether its body comes.
            or reader.expects_continue
            # More than is drained, should this answer end before it.
            or (not reader.is_client and reader.body_left > pump.limits.drain_bytes)
        ):
            pump.writer.close_after()

    def write(self, chunk: Data) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write`."""
        pump: MessagePump | None = self.pump
        if pump is None:
            return _closed()
        if type(chunk) is not bytes:
            chunk = bytes(memoryview(chunk))
        data = pump.writer.data(chunk)
        self._pieces += 1
        try:
            room = pump.stream.write(data)
        except StreamClosedError:
            return _closed()
        # Waiting for what is done does not let anybody else run; nor would this one ever hear that
        # its peer is gone.
        return _next_turn() if self._pieces % PIECES_PER_TURN == 0 and room.done() else room

    def finish(self, trailers: HTTPHeaders | None = None) -> None:
        """See :meth:`HTTPConnection.finish`."""
        pump: MessagePump | None = self.pump
        if pump is None:
            return
        try:
            rest = pump.writer.end(trailers)
        except HTTPOutputError:
            if pump.stream.closed():  # we are about to be told: who stopped for that is not wrong
                self._close_callback = self.task = None
                return
            self.close()
            raise
        self._close_callback = self.task = None
        if rest and not pump.stream.closed():
            pump.stream.write(rest)
        if pump.turn is not PUMP:
            pump.answered()

    def abort(self) -> None:
        """See :meth:`HTTPConnection.abort`: what has been written goes out, then it is closed; but
        where the end of the connection would be the end of the answer, it is reset."""
        self._close_callback = self.task = None
        if self.stream is not None and self.pump is not None and self.pump.writer.ends_by_closing:
            self.stream.reset()
        self.close()

    def close(self) -> None:
        """Close the connection, whatever is going on."""
        if self.stream is not None:
            self.stream.close()


def _next_turn() -> asyncio.Future[None]:
    """A future that is done when others have had their turn."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_soon(_set_done, future)
    return future


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _closed() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(StreamClosedError())
    future.exception()  # nobody has to look at it
    return future
