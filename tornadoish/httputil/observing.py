"""Observing: what a server tells whoever watches it, and what it tells of one request.

Access log, metrics and traces are ``Observer`` each, and know nothing of the protocol that a server
speaks; its connections call them. A server without observers does nothing for any of this.
(Ours alone, not Tornado's.)
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornadoish.httputil.headers import HTTPHeaders
    from tornadoish.httputil.request import HTTPServerRequest
    from tornadoish.httputil.startline import RequestStartLine


class Ended(enum.StrEnum):
    """How an exchange came to its end."""

    DONE = "done"  #: the request was read and the answer written, both to their ends
    UNREAD = "body_unread"  #: the answer was written, the rest of the request's body given up
    CLIENT_GONE = "client_gone"  #: the client went away before the end of either
    TIMEOUT = "timeout"  #: the client was too slow to send, or to take what it was sent
    LIMIT = "limit"  #: a limit of the server's other than on time was reached
    MALFORMED = "malformed"  #: what the client sent is no HTTP, or none that we speak
    ERROR = "error"  #: an exception left a message delegate, and the connection was closed
    ABORTED = "aborted"  #: the application gave its answer up, or closed the connection
    CUT = "cut"  #: the server stopped and did not wait any longer
    DETACHED = "detached"  #: another protocol goes on with the connection: a WebSocket, say


class Exchange:
    """One request and its answer, as observers see it.

    It is the ``connection`` of its request, too, so handlers may add to ``notes``. ``request`` is
    there for observers that want it (``Observer.wants_request``), until ``Observer.ended`` returns;
    ``route``, too, but it stays for who has asked.
    """

    #: None: there was no head that could be read
    start_line: RequestStartLine | None = None
    headers: HTTPHeaders | None = None
    #: that was sent; 0: none was, 499: none was before the client went away
    status: int = 0
    #: the fields of the answer, as the application gave them
    response_headers: HTTPHeaders | None = None
    #: bytes of the request's body that have come, and of the answer's body that have been written
    bytes_in: int = 0
    bytes_out: int = 0
    #: when the head had come, when the head of the answer was written, and when it all ended, as
    #: ``time.perf_counter`` counts; ``first_byte`` is 0 if there was no answer
    begun: float = 0.0
    first_byte: float = 0.0
    finished: float = 0.0
    ended: Ended = Ended.DONE
    #: whether it was not answered on the spot, and ``Observer.waiting`` was told
    waits: bool = False
    #: for the log: what anybody wants to say of this request
    notes: dict[str, Any] | None = None

    #: of a tracer
    span: Any = None
    #: who is asking: an object with ``remote_ip`` and ``protocol`` ("http" or "https")
    context: Any = None

    # What start_request has returned, as long as the exchange lasts.
    _outermost: Any = None
    _route: str | None = None

    @property
    def request(self) -> HTTPServerRequest | None:
        """The request as its handler sees it, if whoever answers it has made one."""
        delegate = self._outermost
        while delegate is not None:
            try:
                found: HTTPServerRequest = delegate.request
            except AttributeError:  # one that stands before another, for a proxy's sake
                delegate = getattr(delegate, "delegate", None)
            else:
                return found
        return None

    @property
    def route(self) -> str:
        """The pattern of the route that was found, below whatever it is mounted at; "" if none."""
        route = self._route
        if route is None:
            try:
                request = self._outermost.request  # as a router has it, for whom this must be quick
            except AttributeError:
                request = self.request
            route = self._route = "" if request is None else request.route_pattern
        return route

    @property
    def duration(self) -> float:
        """Seconds from the request's head to the end of the exchange."""
        return self.finished - self.begun

    def note(self, name: str, value: Any) -> None:
        """Put something into ``notes``."""
        if self.notes is None:
            self.notes = {}
        self.notes[name] = value


class Observer:
    """Is told what a server does. Subclasses override what they want to hear; what they do not
    override costs nothing. Everything is called in the loop's thread and must be quick; what it
    raises is logged."""

    #: whether it looks at ``Exchange.request`` or ``Exchange.route``, which are not known otherwise
    wants_request = False

    def connection_opened(self, connection: object) -> None:
        """A connection has been accepted (and hands have been shaken, with TLS)."""

    def connection_closed(self, connection: object, detached: Exchange | None) -> None:
        """A connection is gone.

        :param detached: the exchange by which another protocol got it, if that was so.
        """

    def begun(self, exchange: Exchange) -> None:
        """The head of a request is there. Called in the context (:mod:`contextvars`) in which all
        the application's work for this request runs."""

    def waiting(self, exchange: Exchange) -> None:
        """A request that has begun is not answered on the spot: it is in flight now, until it has
        ended. Of one that was refused ``begun`` may not have been told."""

    def ended(self, exchange: Exchange) -> None:
        """It is all over, one way or the other; once for each exchange. A request that was refused
        before its head was whole is told of here alone. If the client is slow to take the answer,
        this comes when it has taken so much that the rest is not held by us any more."""

    def limit_reached(self, name: str) -> None:
        """A limit was reached and somebody felt it: ``name`` is that of :class:`Limits`."""

    def draining(self) -> None:
        """The server begins to stop."""
