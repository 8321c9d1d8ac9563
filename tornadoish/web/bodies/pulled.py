"""PulledBody: the body between a connection that pushes it and a handler that reads when it likes.

The handler's delegate makes one and passes on to it what it is told; the request's ``body_chunks``,
``read_body`` and multipart streams read from it. It holds one piece at the most: as long as nobody
takes that, the connection waits and reads no further.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

from tornadoish.iostream import StreamClosedError
from tornadoish.web.timer import HandlerTimer


class PulledBody:
    """The pieces of one body, for one reader at a time."""

    __slots__ = ("_arrival", "_ended", "_piece", "_turn", "_unneeded", "begun", "gone",
                 "timer")  # fmt: skip

    def __init__(self) -> None:
        #: whether some of it has been taken
        self.begun = False
        #: whether it ended before its end: the client is gone, or has been refused or answered
        self.gone = False
        #: of the handler that reads it, if its time is bounded: waiting for the client costs none
        self.timer: HandlerTimer | None = None
        self._ended = False
        self._unneeded = False
        self._piece = b""  # has come and has not been taken
        self._turn: asyncio.Future[None] | None = None  # done when more may come
        self._arrival: asyncio.Future[None] | None = None  # done when something has come

    # -- the connection's side

    def wanted(self) -> Awaitable[None] | None:
        """What the connection has to wait for before anything of the body may come: that somebody
        reads. So a client that asks whether it may go on (``Expect: 100-continue``) is told so
        then, and not at all if the handler answers without having read."""
        return None if self._arrival is not None else self._new_turn()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece has come; no more may come before what is returned is done."""
        if self._unneeded:
            return None
        self._piece = chunk
        self._wake()
        return self._new_turn()

    def finish(self) -> None:
        """That was all of it."""
        self._ended = True
        self._wake()

    def on_connection_close(self) -> None:
        """No more will come, though there was to be more."""
        self.gone = True
        self._wake()

    def let_go(self) -> None:
        """Nobody needs more of it: the connection need not wait."""
        self._unneeded = True
        self._allow()

    def _new_turn(self) -> Awaitable[None] | None:
        if self._unneeded:
            return None
        self._turn = asyncio.get_running_loop().create_future()
        return self._turn

    def _allow(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    # -- the reader's side

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, never empty.

        :raises StopAsyncIteration: all of it has been taken.
        :raises StreamClosedError: the client went away within it, or has been refused.
        :raises RuntimeError: somebody else is waiting for it.
        """
        if self._arrival is not None:
            raise RuntimeError("Somebody else is reading this body")
        while not self._piece:
            if self._ended:
                raise StopAsyncIteration
            if self.gone:
                raise StreamClosedError()
            self._arrival = asyncio.get_running_loop().create_future()
            self._allow()
            if self.timer is not None:
                self.timer.pause()
            try:
                await self._arrival
            finally:
                self._arrival = None
                if self.timer is not None:
                    self.timer.resume()
        piece, self._piece = self._piece, b""
        self.begun = True
        self._allow()
        return piece
