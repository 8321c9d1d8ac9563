"""HTTP1Connection: one request and its answer, as the two sides of the contract see it.

A server connection makes one for every request and hands it to the application as the way back; a
client makes one over a stream of its own, writes its request and calls ``read_response``. It holds
what belongs to this message alone. The pump behind it moves the bytes.
(Interface: Tornado, http1connection.HTTP1Connection.)
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from tornadoish.http1.reader import Head
from tornadoish.http1.states import BODY
from tornadoish.http1connection.files import write_file
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.pump import PUMP, MessagePump
from tornadoish.http1connection.single import SinglePump
from tornadoish.httputil.delegates import HTTPMessageDelegate
from tornadoish.httputil.errors import HTTPOutputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.message import Message
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.iostream import IOStream, StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from _typeshed import FileDescriptorLike

#: pieces of a body after which whoever writes them lets others have their turn, if it waits
PIECES_PER_TURN = 16


class HTTP1Connection(Message):
    """One exchange on an HTTP/1 connection.

    :param stream: the connection's stream.
    :param is_client: whether we send the request and read the response.
    :param params: what is allowed.
    :param context: an object that describes the connection to whoever asks (``remote_ip``,
        ``protocol``); opaque here.

    Public attributes: ``stream`` (None once detached), ``is_client``, ``params``, ``context``, and
    ``no_keep_alive``, which may be set to close the connection behind this message.
    """

    pump: MessagePump | None = None
    stream: IOStream | None
    params: HTTP1ConnectionParameters
    no_keep_alive: bool = False
    is_client: bool = False
    _pieces = 0  # of the body that have been written by themselves

    def __init__(
        self,
        stream: IOStream,
        is_client: bool,
        params: HTTP1ConnectionParameters | None = None,
        context: object | None = None,
    ) -> None:
        self.stream = stream
        self.is_client = is_client
        self.params = params or HTTP1ConnectionParameters()
        self.context = context
        self.variables = copy_context()
        self.pump = SinglePump(stream, self.params, self, is_client=is_client)
        if self.params.no_keep_alive:
            self.no_keep_alive = True

    @classmethod
    def for_request(
        cls,
        pump: MessagePump,
        stream: IOStream,
        params: HTTP1ConnectionParameters,
        context: object,
        variables: Context,
        head: Head | None,
    ) -> HTTP1Connection:
        """A message of a server connection, which moves it.

        :param variables: the context in which everybody is to be called for it.
        :param head: what it begins with, for whoever keeps that.
        """
        self = cls.__new__(cls)
        self.stream = stream
        self.params = params
        self.context = context
        self.pump = pump
        self.variables = variables
        return self

    def read_response(self, delegate: HTTPMessageDelegate) -> asyncio.Future[bool]:
        """Read one message (as a client: the response) and tell ``delegate`` of it.

        :returns: a future, done when the message has been read (and, as a server, answered): True
            if the connection may be used for another one, False if not.
        """
        if not isinstance(self.pump, SinglePump):
            raise RuntimeError("This message is read by its server connection")
        return self.pump.read(delegate)

    # -- writing: HTTPConnection

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write_headers`."""
        pump = self.pump
        if pump is None:
            return _closed()
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

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write`."""
        pump = self.pump
        if pump is None:
            return _closed()
        data = pump.writer.data(chunk)
        self._pieces += 1
        try:
            room = pump.stream.write(data)
        except StreamClosedError:
            return _closed()
        # Waiting for what is done does not let anybody else run; nor would this one ever hear that
        # its peer is gone.
        return _next_turn() if self._pieces % PIECES_PER_TURN == 0 and room.done() else room

    def write_file(
        self, file: FileDescriptorLike, offset: int, count: int
    ) -> Coroutine[Any, Any, None]:
        """See :meth:`HTTPConnection.write_file`."""
        fd = file if isinstance(file, int) else file.fileno()
        return write_file(self, fd, offset, count)

    def finish(self, trailers: HTTPHeaders | None = None) -> None:
        """See :meth:`HTTPConnection.finish`."""
        pump = self.pump
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

    # -- everything else

    @property
    def body_follows(self) -> bool:
        """See :meth:`HTTPConnection.body_follows`."""
        return self.pump is not None and self.pump.reader.state is BODY

    @property
    def takes_trailers(self) -> bool:
        """See :attr:`HTTPConnection.takes_trailers`."""
        return self.pump is None or self.pump.writer.takes_trailers

    def set_max_body_size(self, max_body_size: int) -> None:
        """Allow this message a body of ``max_body_size`` bytes (from ``headers_received``); and as
        many when it is decompressed, unless ``Limits.decompressed_bytes`` bounds that."""
        self.max_body_size = max_body_size
        if self.pump is not None:
            self.pump.reader.limit_body(max_body_size)

    def set_body_timeout(self, timeout: float) -> None:
        """Allow this message's body ``timeout`` seconds from now."""
        if self.pump is not None:
            self.pump.set_body_timeout(timeout)

    def detach(self) -> IOStream:
        """Take the stream away, with what has arrived on it and was not read.

        May be called while this message is being handled; nothing that follows on the connection
        is taken for HTTP.

        :raises StreamClosedError: there is none any more.
        """
        pump, stream = self.pump, self.stream
        if pump is None or stream is None:
            raise StreamClosedError()
        self.stream = None
        self._close_callback = self.task = None
        pump.detach()
        return stream

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
