"""HTTP1Connection: one request and its answer, as the two sides of the contract see it.

A server connection makes one for every request and hands it to the application as the way back; a
client makes one over a stream of its own, writes its request and calls ``read_response``. It holds
what belongs to this message alone. The pump behind it moves the bytes.
(Interface: Tornado, http1connection.HTTP1Connection.)
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tornadoish.http1.states import BODY
from tornadoish.http1connection.files import write_file
from tornadoish.http1connection.message import HTTP1Message
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.single import SinglePump
from tornadoish.httputil.delegates import HTTPConnection, HTTPMessageDelegate
from tornadoish.iostream import IOStream, StreamClosedError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from _typeshed import FileDescriptorLike


class HTTP1Connection(HTTP1Message, HTTPConnection):
    """One exchange on an HTTP/1 connection.

    :param stream: the connection's stream.
    :param is_client: whether we send the request and read the response.
    :param params: what is allowed.
    :param context: an object that describes the connection to whoever asks (``remote_ip``,
        ``protocol``); opaque here.

    Public attributes: ``stream`` (None once detached), ``is_client``, ``params``, ``context``, and
    ``no_keep_alive``, which may be set to close the connection behind this message.
    """

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

    def read_response(self, delegate: HTTPMessageDelegate) -> asyncio.Future[bool]:
        """Read one message (as a client: the response) and tell ``delegate`` of it.

        :returns: a future, done when the message has been read (and, as a server, answered): True
            if the connection may be used for another one, False if not.
        """
        if not isinstance(self.pump, SinglePump):
            raise RuntimeError("This message is read by its server connection")
        return self.pump.read(delegate)

    # -- HTTPConnection; what is written is in HTTP1Message

    def write_file(
        self, file: FileDescriptorLike, offset: int, count: int
    ) -> Coroutine[Any, Any, None]:
        """See :meth:`HTTPConnection.write_file`."""
        fd = file if isinstance(file, int) else file.fileno()
        return write_file(self, fd, offset, count)

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


class RequestConnection(HTTP1Connection):
    """The message of a server connection, which moves it.

    :param variables: the context in which everybody is to be called for it.
    :param head: what it begins with; None: nothing that could be read.
    """

    __init__: Any = HTTP1Message.__init__
