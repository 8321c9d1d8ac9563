"""Keeper: what the connections of one server have in common.

A server makes one and gives it to its connections; they count in it what they are at, ask it
whether they may go on, and tell it what has become of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from tornadoish.http1.limits import Limits
from tornadoish.log import app_log


class ConnectionState(enum.Enum):
    """What a connection is at. NEW comes first and once; then ACTIVE and IDLE take turns, once for
    each request, however they came; DETACHED or CLOSED comes last and once."""

    NEW = "new"  #: accepted, no request yet
    ACTIVE = "active"  #: a request has begun
    IDLE = "idle"  #: that request is through, and the connection lives on
    DETACHED = "detached"  #: its stream is somebody else's now
    CLOSED = "closed"


ConnectionHook = Callable[[object, ConnectionState], None]


#: of a keeper, if nobody says otherwise
RACE_SECONDS = 0.1


class Keeper:
    """Counts, and whether the server goes on.

    :param max_requests: requests that may be open at once, beyond what is answered on the spot.
    :param hook: told of every connection's states.
    """

    __slots__ = ("_hook", "_max_requests", "attentive", "draining", "full", "race_seconds",
                 "requests")  # fmt: skip

    def __init__(self, max_requests: int | None = None, hook: ConnectionHook | None = None) -> None:
        self._hook = hook
        self._max_requests = max_requests
        #: requests that have begun and were not answered on the spot
        self.requests = 0
        #: whether there are as many of them as there may be
        self.full = False
        #: whether the server stops: no connection lives on behind its answer
        self.draining = False
        #: seconds in which the next request on an idle connection is still answered as the server
        #: stops: the client may have sent it before it could know
        self.race_seconds = RACE_SECONDS
        #: whether a request's begin and end must be told: one look for the usual case
        self.attentive = False
        self.count(0)

    @classmethod
    def of(cls, limits: Limits, hook: ConnectionHook | None = None) -> Keeper:
        """A keeper that keeps ``limits``."""
        return cls(limits.requests, hook)

    def count(self, change: int) -> None:
        """So many more requests are open."""
        self.requests += change
        self.full = self._max_requests is not None and self.requests >= self._max_requests
        self.attentive = self.full or self._hook is not None

    def tell(self, connection: object, state: ConnectionState) -> None:
        """``connection`` is in ``state`` now. What the hook does wrong is only logged."""
        if self._hook is not None:
            try:
                self._hook(connection, state)
            except Exception:
                app_log.error("Uncaught exception in a connection hook", exc_info=True)
