"""Subscription: what one subscriber gets, in order, from as many channels as it likes.

``PubSub.subscribe`` makes it, and puts in what is published; the subscriber iterates. Between the
two there is a bounded queue. It neither publishes nor knows how messages travel.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, Self

from tornadoish.pubsub.errors import PubSubError
from tornadoish.pubsub.messages import Lost, Message, both, check_channel

MAX_MESSAGES = 256
MAX_BYTES = 1024 * 1024


class Stage(Enum):
    """How far the life of a subscription, or of a whole PubSub, has come."""

    NEW = "not entered"
    OPEN = "open"
    ENDED = "ended"


class Hub(Protocol):
    """What a subscription needs of its PubSub."""

    def _join(self, subscription: Subscription, channel: str) -> None:
        """Put in what comes on ``channel``; call ``_heard`` as soon as nothing is missed, or
        ``_disconnected`` as soon as something is."""

    def _leave(self, subscription: Subscription, channel: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one subscription; ``PubSub.subscribe`` says what they mean."""

    max_messages: int = MAX_MESSAGES
    max_bytes: int = MAX_BYTES
    wait: float = 0.0

    def __post_init__(self) -> None:
        if self.max_messages < 1 or self.max_bytes < 1 or self.wait < 0:
            raise ValueError(f"No subscription can have these bounds: {self}")


class _InLine:
    """A message for which there is no room yet, and until when somebody waits for it."""

    __slots__ = ("deadline", "message", "placed")

    def __init__(self, message: Message, deadline: float, placed: asyncio.Future[None]) -> None:
        self.message = message
        self.deadline = deadline
        self.placed = placed


#: the line in front of those whom nobody waits for: a deque weighs more than half a kilobyte
_NOBODY: deque[_InLine] = deque()


class Subscription:
    """``async with pubsub.subscribe("news") as subscription: async for item in subscription: ...``

    Iterating gives each :class:`Message` of its channels, in the order in which they were published
    (on each channel, that is; between channels, too, if one process has published them). Where some
    are missing, there is a :class:`Lost` in their place. It ends when its PubSub is closed, after
    what was there. Only one task may iterate at a time; one that is cancelled loses nothing.
    """

    __slots__ = (
        "__weakref__", "_back", "_behind", "_bounds", "_bytes", "_channels", "_error", "_gap",
        "_hub", "_line", "_missed", "_queue", "_reader", "_settled", "_stage", "_timer", "_unheard",
    )  # fmt: skip

    def __init__(self, hub: Hub, channels: tuple[str, ...], bounds: Bounds) -> None:
        self._hub = hub
        self._bounds = bounds
        self._stage = Stage.NEW
        self._error: str | None = None  # why it was refused
        self._channels: set[str] = set(channels)
        # What waits to be taken: a gap, if something had to go, and the queue behind it.
        self._missed: Lost | None = None
        self._queue: deque[Message | Lost] = deque()
        self._bytes = 0
        self._behind = False  # it has lost something, and not yet caught up
        self._reader: asyncio.Future[None] | None = None
        # What waits for room in the queue, because publishers wait for this subscription.
        self._line: deque[_InLine] = deque() if bounds.wait else _NOBODY
        self._timer: asyncio.TimerHandle | None = None
        # Channels of which something may be missed at this time; and whether it certainly was.
        self._unheard: set[str] = set()
        self._gap = False
        # Those that came back after that, and of which nothing has come yet.
        self._back: set[str] | None = None
        self._settled: asyncio.Event | None = None

    def __repr__(self) -> str:
        waiting = f"{len(self._queue)} messages wait"
        return f"<Subscription to {len(self._channels)} channels, {self._stage.value}, {waiting}>"

    # -- for the subscriber

    @property
    def channels(self) -> frozenset[str]:
        """What it is subscribed to."""
        return frozenset(self._channels)

    async def __aenter__(self) -> Self:
        """Everything that is published from now on is given out, or reported as lost.

        Waits until the server has confirmed it. While there is no connection to the server this
        does not wait; there will be a :class:`Lost` as soon as there is one.

        :raises PubSubError: the server refuses it.
        :raises RuntimeError: the PubSub is not open, or this was entered before.
        """
        if self._stage is not Stage.NEW:
            raise RuntimeError("A subscription can be entered once")
        self._stage = Stage.OPEN
        channels, self._channels = self._channels, set()
        try:
            await self.add(*channels)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def add(self, *channels: str) -> None:
        """Subscribe to more channels. Waits, and raises, as entering does."""
        if self._stage is not Stage.OPEN:
            raise RuntimeError(f"This subscription is {self._stage.value}")
        for channel in channels:
            check_channel(channel)
        for channel in channels:
            if channel not in self._channels:
                self._channels.add(channel)
                self._unheard.add(channel)
                self._hub._join(self, channel)
        while self._unheard and not self._gap and self._error is None:
            self._settled = self._settled or asyncio.Event()
            await self._settled.wait()
        if self._error is not None:
            raise PubSubError(self._error)

    def remove(self, *channels: str) -> None:
        """Unsubscribe. What has come already is still given out."""
        for channel in channels:
            if channel in self._channels:
                self._channels.discard(channel)
                self._hub._leave(self, channel)
                self._heard(channel)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Lost:
        """The next message, or gap.

        :raises PubSubError: the server refuses a channel, so nothing more comes.
        :raises RuntimeError: it was not entered, or another task waits for the next item.
        """
        while not self._queue and self._missed is None:
            if self._stage is Stage.NEW:
                raise RuntimeError("Subscribe by `async with` before iterating")
            if self._error is not None:
                raise PubSubError(self._error)
            if self._stage is Stage.ENDED:
                raise StopAsyncIteration
            if self._reader is not None:
                raise RuntimeError("Another task waits for the next item of this subscription")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._take()

    # -- the queue

    def _take(self) -> Message | Lost:
        item: Message | Lost
        if self._missed is not None:
            item, self._missed = self._missed, None
        else:
            item = self._pop()
            self._move_up()
        if not self._queue:
            self._behind = False
        return item

    def _put(self, message: Message) -> asyncio.Future[None] | bool:
        """Queue ``message``, whatever must go for it.

        :returns: a future if the publisher has to wait until there is room; or whether it should
            let others have their turn, for the queue gets full.
        """
        if self._back is not None and message.channel in self._back:
            self._tell_gap()
        size = len(message.data)
        if self._has_room(size) and not self._line:
            self._append(message)
            return not self._behind and self._is_half_full()
        if self._bounds.wait and not self._behind:
            return self._stand_in_line(message)
        self._make_room(size)
        self._append(message)
        return False

    def _has_room(self, size: int) -> bool:
        """One message always fits, however large."""
        bounds = self._bounds
        count = len(self._queue)
        return not count or (count < bounds.max_messages and self._bytes + size <= bounds.max_bytes)

    def _is_half_full(self) -> bool:
        bounds = self._bounds
        return 2 * len(self._queue) > bounds.max_messages or 2 * self._bytes > bounds.max_bytes

    def _append(self, message: Message) -> None:
        self._queue.append(message)
        self._bytes += len(message.data)
        self._wake()

    def _pop(self) -> Message | Lost:
        item = self._queue.popleft()
        if type(item) is Message:
            self._bytes -= len(item.data)
        return item

    def _make_room(self, size: int) -> None:
        """The oldest go: so the subscriber hears soon that it has lost something."""
        self._behind = True
        while not self._has_room(size):
            item = self._pop()
            self._missed = both(self._missed, item if type(item) is Lost else Lost(1))

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # -- the line in front of it

    def _stand_in_line(self, message: Message) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        place = _InLine(message, loop.time() + self._bounds.wait, loop.create_future())
        self._line.append(place)
        if self._timer is None:
            self._timer = loop.call_at(place.deadline, self._patience_ends)
        return place.placed

    def _move_up(self) -> None:
        while self._line and self._has_room(len(self._line[0].message.data)):
            self._place_first()

    def _place_first(self) -> None:
        place = self._line.popleft()
        self._append(place.message)
        if not place.placed.done():
            place.placed.set_result(None)

    def _patience_ends(self) -> None:
        self._timer = None
        if not self._line:
            return
        loop = asyncio.get_running_loop()
        deadline = self._line[0].deadline
        if deadline > loop.time():
            self._timer = loop.call_at(deadline, self._patience_ends)
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Somebody's patience ends: nobody waits for this subscription until it has caught up."""
        while self._line:
            self._make_room(len(self._line[0].message.data))
            self._place_first()

    # -- what the hub knows of the connection

    def _heard(self, channel: str) -> None:
        """From now on nothing is missed of ``channel`` (or nobody minds)."""
        self._unheard.discard(channel)
        if self._gap:
            self._back = self._back or set()
            self._back.add(channel)
        if self._unheard:
            return
        if self._gap:
            self._gap = False
            self._tell_gap()
        self._settle()

    def _tell_gap(self) -> None:
        """Of the channels that are back something is missing here."""
        self._back = None
        if not self._queue or type(self._queue[-1]) is not Lost:
            self._queue.append(Lost(None))
        self._wake()

    def _disconnected(self) -> None:
        """From now on everything is missed."""
        self._gap = True
        self._back = None
        self._unheard.update(self._channels)
        self._settle()

    def _refused(self, channel: str, error: str) -> None:
        """The server refuses ``channel``."""
        self._end(f"Cannot subscribe to {channel!r}: {error}")

    def _settle(self) -> None:
        """Whoever waits in add() looks again."""
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    # -- the end

    def _end(self, error: str | None = None) -> None:
        """Nothing more comes; what is there can be taken."""
        self._error = error
        self._stage = Stage.ENDED
        for channel in self._channels:
            self._hub._leave(self, channel)
        self._channels.clear()
        self._unheard.clear()
        self._settle()
        self._give_up()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()

    def _close(self) -> None:
        """The subscriber has left."""
        self._end()
        self._queue.clear()
        self._bytes = 0
        self._missed = None
