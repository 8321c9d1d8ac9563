"""Inbox: what has arrived and waits for somebody who takes it when he likes.

The connection puts, a coroutine gets. ``put`` says when there is enough, and the connection then
reads no more: so an inbox holds little, whatever the peer sends. ``IncomingMessage`` is one of
these: a message whose pieces are taken as they arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

#: What there may be before ``put`` asks to wait.
MAX_ITEMS, MAX_BYTES = 16, 64 * 1024


class Inbox(Generic[T]):
    """A short queue with an end."""

    __slots__ = ("_ended", "_error", "_items", "_readers", "_room", "_size")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._size = 0
        self._ended = False
        self._error: Exception | None = None  # why it has ended, if it should not have
        self._readers: list[asyncio.Future[None]] = []  # who waits for something to come
        self._room: asyncio.Future[None] | None = None  # the connection waits for room

    # -- for the connection

    def put(self, item: T) -> asyncio.Future[None] | None:
        """Add ``item``; behind the end it is dropped. What is returned is done when more may come;
        None: more may come."""
        if self._ended:
            return None
        self._items.append(item)
        self._size += _weight(item)
        self._wake()
        if self._size < MAX_BYTES and len(self._items) < MAX_ITEMS:
            return None
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def end(self, error: Exception | None = None, *, drop: bool = False) -> None:
        """Nothing follows. Who gets is told so, by ``error`` if there is one, when all has been
        taken; with ``drop``, at once."""
        if not self._ended or (drop and self._items):
            self._ended = True
            self._error = error
        if drop:
            self._items.clear()
            self._size = 0
        self._make_room()
        for _ in self._readers[:]:
            self._wake()

    def _wake(self) -> None:
        """One more of those who wait has something to look at."""
        while self._readers:
            reader = self._readers.pop(0)
            if not reader.done():
                reader.set_result(None)
                return

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # -- for who takes

    def at_hand(self) -> bool:
        """Whether there is something that nobody waits for."""
        return bool(self._items) and not self._readers

    def take(self) -> T:
        """The first of what is there."""
        item = self._items.pop(0)
        self._size -= _weight(item)
        self._make_room()
        return item

    async def __anext__(self) -> T:
        while not self._items:
            if self._ended:
                raise self._error or StopAsyncIteration
            reader: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.append(reader)
            try:
                await reader
            except asyncio.CancelledError:
                if reader.cancelled() or not reader.done():
                    self._readers = [other for other in self._readers if other is not reader]
                elif self._items:
                    self._wake()  # it was our turn: somebody else's now
                raise
        return self.take()


def _weight(item: object) -> int:
    """In bytes, about; what is taken piece by piece comes alone."""
    return len(item) if isinstance(item, Sized) else MAX_BYTES


class NotReadError(RuntimeError):
    """Somebody reads a message whose rest was dropped, for nobody was to read it any more."""

    def __init__(self) -> None:
        super().__init__("A message can be read until on_message ends, or the next is asked for")


class IncomingMessage(Inbox[Any]):
    """A message that is read as it arrives, of any size in constant memory (ours alone, not
    Tornado's): ``async for part in message``, or ``await message.read(limit)``.

    Parts are str if it is text (whole characters), else bytes. How it is cut into them says
    nothing. Who does not read makes the peer wait. If the connection ends before the message does,
    reading raises :class:`WebSocketClosedError`: what came before was not all. Who reads on when
    the rest has been dropped (see ``WebSocketHandler.message_in_parts``) gets a RuntimeError.
    """

    __slots__ = ("binary",)

    def __init__(self, binary: bool) -> None:
        super().__init__()
        #: whether it is binary
        self.binary = binary

    def __repr__(self) -> str:
        return f"<IncomingMessage {'binary' if self.binary else 'text'}>"

    def __aiter__(self) -> Self:
        return self

    async def read(self, limit: int) -> Any:
        """The whole message, or what is left of it: str or bytes.

        :param limit: characters or bytes that it may have.
        :raises ValueError: it has more; the rest can still be read.
        :raises WebSocketClosedError: the connection ended within it.
        """
        parts: list[Any] = []
        size = 0
        async for part in self:
            size += len(part)
            if size > limit:
                raise ValueError(
                    f"A message of more than {limit} {'bytes' if self.binary else 'characters'}"
                )
            parts.append(part)
        return (b"" if self.binary else "").join(parts)
