"""Outgoing: the answer on its way from an application's thread to the event loop.

The thread puts a head and pieces of a body in, the loop takes them out and writes them. The thread
waits while as much is held as may be: so it is as slow as its client, and nothing piles up.
"""

from __future__ import annotations

import asyncio
import threading
from typing import NamedTuple

from tornadoish.iostream import StreamClosedError
from tornadoish.wsgi.crossing import HELD_BYTES, is_in_loop, tell_loop


class AnswerHead(NamedTuple):
    """What ``start_response`` was told, and what is known of the body."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    #: bytes of the body; None: it ends when it ends
    length: int | None


class Outgoing:
    """One answer; made in the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in the pieces
        self._ended = False
        #: whether nobody takes anything any more
        self.is_closed = False
        #: the same, though there was to be more
        self.is_cut = False
        self._waiter: asyncio.Future[None] | None = None  # the loop waits for something to come
        #: set by the thread before anything else, and never changed then
        self.head: AnswerHead | None = None
        #: why the answer will not be completed, if so
        self.failure: BaseException | None = None

    # -- in the thread

    def put(self, piece: bytes) -> None:
        """Some of the body. Waits as long as there is no room for it; but not in the loop's own
        thread, should an executor be there: that gives room to all.

        :raises StreamClosedError: nobody takes it any more.
        """
        with self._changed:
            while self._held >= HELD_BYTES and not self.is_closed and not is_in_loop(self._loop):
                self._changed.wait()
            if self.is_closed:
                raise StreamClosedError()
            self._pieces.append(piece)
            self._held += len(piece)
        self._tell()

    def end(self, failure: BaseException | None = None) -> None:
        """That was all, or all that there will be because of ``failure``. Only the first counts."""
        with self._changed:
            if self._ended:
                return
            self._ended = True
            self.failure = failure
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            tell_loop(self._loop, waiter)

    # -- in the loop

    async def take(self) -> tuple[bytes, bool]:
        """What has come since, and whether that was the end."""
        while True:
            with self._changed:
                if self._pieces or self._ended:
                    pieces, self._pieces = self._pieces, []
                    self._held = 0
                    self._changed.notify()
                    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                    return data, self._ended
                waiter = self._waiter = self._loop.create_future()
            await waiter

    def close(self) -> None:
        """All has been taken."""
        with self._changed:
            self.is_closed = True
            self._pieces.clear()
            self._changed.notify()

    def cut(self) -> None:
        """Nobody takes anything any more. May be called at any time."""
        if not self.is_closed:
            self.is_cut = True
            self.close()
