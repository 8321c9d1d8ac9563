"""THE CONTRACT between whatever speaks a protocol and whatever answers requests.

A connection of any protocol calls a ``HTTPServerConnectionDelegate`` once per request and the
``HTTPMessageDelegate`` that it gets from there once per event; the answer goes back through the
``HTTPConnection`` that came with the request. Nothing else connects the two sides. (Interfaces:
Tornado, tornado.httputil.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tornadoish.compiling import Nothing

if TYPE_CHECKING:
    from asyncio import Future, Task

    from _typeshed import FileDescriptorLike

    from tornadoish.httputil.headers import HTTPHeaders
    from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine


class HTTPServerConnectionDelegate:
    """What a server connection asks for a delegate for each request that comes in.

    An exception that leaves ``start_request`` is logged and answered with a 500.
    """

    __slots__ = ()

    #: who is told of what a server does for this delegate (each an ``Observer``), beside its own
    #: observers, as they are when the server is made (ours alone, not Tornado's)
    observers: Sequence[Any] = ()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """A request begins: return the delegate that will hear of it.

        ``server_conn`` is the long-lived connection (opaque), ``request_conn`` the object through
        which this one request is answered.
        """
        raise NotImplementedError

    def on_close(self, server_conn: object) -> None:
        """The connection is gone; called once per connection, after its last message ended."""

    def on_drain(self) -> None:
        """The server begins to stop (ours alone, not Tornado's): what would go on for ever, such as
        event streams, should come to its end now. Called once per server."""

    # What a server that is told to (``HTTPServer.start_application``) does with its delegate, once
    # each, in this order; ours alone, not Tornado's.

    async def startup(self) -> None:
        """Get ready for requests. What this raises keeps the server from being started; what has
        been begun by then has been undone by then, too."""

    async def shutdown(self) -> None:
        """The server begins to stop (``on_drain`` has been called); while this is waited for, it
        goes on. Cancelled when the time that requests have to end is over."""

    async def cleanup(self) -> None:
        """The last request is over: let go of everything."""


class HTTPMessageDelegate:
    """What hears of one message, as it arrives.

    The legal order of calls, checked by :func:`tornadoish.testing.check_message_delegate`:

    =====  ================  =============  =================  ========  ===================
    state  headers_received  data_received  trailers_received  finish    on_connection_close
    =====  ================  =============  =================  ========  ===================
    new    -> body           illegal        illegal            illegal   -> ended
    body   illegal           -> body        -> whole           -> ended  -> ended
    whole  illegal           illegal        illegal            -> ended  -> ended
    ended  illegal           illegal        illegal            illegal   illegal
    =====  ================  =============  =================  ========  ===================

    * Each of the first four may return an awaitable. The next call, whichever it is, is not made
      before that is done; until then nothing more is read from the peer (back-pressure).
    * Every delegate that has been returned by ``start_request`` hears exactly one of ``finish`` and
      ``on_connection_close``, last. The latter comes when the peer went away, when the message
      turned out malformed, and when the answer was finished before the request was read to its
      end (the rest is then not delivered).
    * All calls for one message run in one :class:`contextvars.Context` of their own.
    * An exception that leaves a method is logged; the request is answered with a 500 where nothing
      was sent yet, and the connection is closed. A :class:`HTTPInputError` is answered with its
      own status.
    """

    __slots__ = ()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """The head of the message is complete."""
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Some bytes of the body, never empty, decoded from their transfer coding."""
        return None

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        """The fields behind a chunked body, if there are any, without those that must not stand
        there (RFC 9110, 6.5.1). Ours alone, not Tornado's: a delegate need not have it."""
        return None

    def finish(self) -> Awaitable[None] | None:
        """The message has been received to its end."""
        return None

    def on_connection_close(self) -> Nothing:
        """The message ended before its end: ``finish`` will not be called."""


class HTTPConnection:
    """The way back: how the answer to one request is written.

    The legal order is ``write_headers`` once, ``write`` and ``write_file`` any number of times,
    ``finish`` once; and before it interim heads (status 100 to 199), any number of them. The
    futures of the first two are flow control: they are done when the peer has taken enough that
    more may be written, at once in the usual case, and fail with
    :class:`tornadoish.iostream.StreamClosedError` when the connection is gone.
    """

    __slots__ = ()

    #: an object that describes the connection to whoever asks: ``remote_ip``, ``protocol``, ...
    context: Any = None
    #: the :class:`contextvars.Context` in which all calls for this message are made, if it has one
    #: of its own, else None (ours alone, not Tornado's)
    variables: Any = None

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        """Write a start line, the header fields and, optionally, the first piece of the body.

        :raises HTTPOutputError: a name or value that must not be written, or framing header fields
            that contradict each other.
        """
        raise NotImplementedError

    def write(self, chunk: bytes) -> Future[None]:
        """Write a piece of the body.

        :raises HTTPOutputError: more than the Content-Length that was announced.
        """
        raise NotImplementedError

    def write_file(self, file: FileDescriptorLike, offset: int, count: int) -> Awaitable[None]:
        """Write part of a file as the next bytes of the body (ours alone, not Tornado's). Until
        the awaitable is done, which it is when the last of them has been handed over, nothing else
        may be written, and ``file`` must stay open.

        A connection need not have it: this one raises before anything is written. Whoever calls it
        then reads the file himself and writes its pieces, each when the future of the one before is
        done. Whether a connection has it does not change.

        :param file: a regular file, open for reading: its descriptor, or what has a ``fileno()``.
        :param offset: bytes of the file before the part.
        :param count: bytes of the part.
        :raises NotImplementedError: this connection can only :meth:`write`.
        :raises HTTPOutputError: more than the Content-Length that was announced; or the file ended
            before ``count`` bytes: then the connection is closed, for the peer cannot know
            otherwise.
        :raises StreamClosedError: the connection is gone.
        :raises OSError: the file cannot be read; the connection is closed.
        """
        raise NotImplementedError

    def finish(self, trailers: HTTPHeaders | None = None) -> None:
        """The body has been written to its end.

        :param trailers: fields to be sent behind the body (ours alone, not Tornado's). They go out
            if the body is chunked, else they are dropped, as any recipient may do (RFC 9110, 6.5):
            so nothing must depend on them.
        :raises HTTPOutputError: fewer bytes than the Content-Length that was announced; the
            connection is closed, for the peer cannot know otherwise.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Give the answer up: it stays incomplete, in a way that the peer can see (ours alone,
        not Tornado's)."""
        raise NotImplementedError

    @property
    def takes_trailers(self) -> bool:
        """Whether trailers may reach the peer at all (ours alone, not Tornado's): who has a whole
        body and would give its length, were it not for them, can do that then."""
        return True

    @property
    def body_follows(self) -> bool:
        """Whether, as far as is known now, there is a body behind the head of the request, or more
        of it (ours alone, not Tornado's)."""
        return True

    def set_body_callback(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` (once) when nobody needs what may come of the request's body any more:
        the peer is gone, or the answer has been finished. A delegate whose awaitables stand for
        somebody who reads when he likes need not let the connection wait any longer then (ours
        alone, not Tornado's; a connection need not do it)."""

    def set_max_body_size(self, max_body_size: int) -> None:
        """Allow the request a body of so many bytes from here on, whatever the server's limits say;
        from ``headers_received``. A connection whose peer is bounded by somebody else need not do
        it."""

    def set_body_timeout(self, timeout: float) -> None:
        """Allow the request's body so many seconds from now; otherwise as ``set_max_body_size``."""

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` (once) if the peer goes away before ``finish``, and the delegate has
        heard its last already; None: call nobody (Tornado: HTTP1Connection; a connection need not
        do it)."""

    def worked_on_by(self, task: Task[Any], *, cancel_on_close: bool = False) -> None:
        """The answer is the work of ``task``, which is cancelled if the connection is cut because
        the server stops before ``finish`` (ours alone, not Tornado's).

        :param cancel_on_close: cancel it also when the peer goes away before ``finish``, after
            everyone else has been told.
        """


class PulledBody(Protocol):
    """A body that whoever handles the request reads when he likes: its pieces, in order."""

    #: whether some of it has been taken
    begun: bool
    #: whether it ended before its end
    gone: bool

    def __aiter__(self) -> AsyncIterator[bytes]: ...


def tell_trailers(delegate: HTTPMessageDelegate, trailers: HTTPHeaders) -> Awaitable[None] | None:
    """Tell ``delegate`` of trailer fields, if it listens: one of Tornado's interface does not."""
    receive: Callable[[HTTPHeaders], Awaitable[None] | None] | None
    receive = getattr(delegate, "trailers_received", None)
    return None if receive is None else receive(trailers)
