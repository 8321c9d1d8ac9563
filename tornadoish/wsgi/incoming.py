"""IncomingBody: the body of a request on its way from the event loop to an application's thread.

The delegate of a request feeds it in the loop, the application reads it in its thread as
``wsgi.input``. Neither runs ahead of the other: the thread waits for bytes, and the connection
waits, and reads no further, while as much is held as may be.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING

from tornadoish.iostream import StreamClosedError
from tornadoish.wsgi.crossing import HELD_BYTES, is_in_loop, tell_loop

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: bytes that are there before anybody is asked to read, unless the body is smaller
READY_BYTES = 64 * 1024


class IncomingBody(RawIOBase):
    """The raw side of ``wsgi.input``; :meth:`open` gives the file to read from."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._held = 0  # bytes in the pieces
        self._ended = False
        self._gone = False
        self._room: asyncio.Future[None] | None = None  # somebody waits for it in the loop

    def open(self) -> BufferedReader:
        """A file with all the methods that an application may call (PEP 3333, "Input and Error
        Streams"). Its ``read``, ``readline`` and so on wait for what they are to return; where
        the client goes away, they raise :class:`StreamClosedError`, an OSError."""
        return BufferedReader(self, READY_BYTES)

    # -- in the loop

    @property
    def is_worth_a_thread(self) -> bool:
        """Whether somebody who reads it would not have to wait at once."""
        return self._ended or self._held >= READY_BYTES

    def feed(self, piece: bytes) -> asyncio.Future[None] | None:
        """A piece has come. Before what is returned is done, no more may come."""
        with self._changed:
            self._pieces.append(piece)
            self._held += len(piece)
            self._changed.notify()
            if self._held < HELD_BYTES:
                return None
            self._room = self._loop.create_future()
            return self._room

    def end(self) -> None:
        """That was all of it."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def cut(self) -> None:
        """No more will come, and nobody needs what is there. May be called at any time."""
        with self._changed:
            room, self._room = self._room, None
            if not self._ended:
                self._gone = True
            self._pieces.clear()
            self._held = 0
            self._changed.notify()
        if room is not None and not room.done():
            room.set_result(None)

    # -- in the thread: RawIOBase

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Wait for some bytes; 0 at the end.

        :raises StreamClosedError: the client went away before the end, or was refused.
        """
        view = memoryview(buffer).cast("B")
        with self._changed:
            while not self._pieces:
                if self._gone:
                    raise StreamClosedError()
                if self._ended:
                    return 0
                if is_in_loop(self._loop):
                    raise RuntimeError(
                        "A WSGI application in the thread of the event loop cannot wait for a "
                        "body: use an executor that has threads"
                    )
                self._changed.wait()
            piece = self._pieces.popleft()
            size = min(len(piece), len(view))
            view[:size] = piece[:size]
            if size < len(piece):
                self._pieces.appendleft(piece[size:])
            self._held -= size
            room = None
            if self._held < HELD_BYTES:
                room, self._room = self._room, None
        if room is not None:
            tell_loop(self._loop, room)
        return size
