"""PubSub: what a publish/subscribe service is to handlers, however its messages travel.

It keeps who is subscribed to what in this process, and delivers to them; a subclass brings messages
here from wherever they are published. All of it runs in one event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Self

from tornadoish.pubsub.messages import Data, Message, check_channel, encoded
from tornadoish.pubsub.subscription import (
    MAX_BYTES,
    MAX_MESSAGES,
    Bounds,
    Stage,
    Subscription,
)

#: bytes of one message
MAX_MESSAGE_SIZE = 1024 * 1024


class PubSub:
    """Publishes messages on channels, and gives them to whoever is subscribed.

    Open it for as long as the application lives, and let handlers find it::

        pubsub = make_pubsub(redis_url)
        application = Application(routes, pubsub=pubsub)
        application.cleanup_ctx.append(pubsub.context)

    :param max_message_size: bytes of one message; more cannot be published.
    """

    def __init__(self, *, max_message_size: int = MAX_MESSAGE_SIZE) -> None:
        self.max_message_size = max_message_size
        self._stage = Stage.NEW
        self._channels: dict[str, dict[Subscription, None]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stage.value}, {len(self._channels)} channels>"

    # -- life

    async def __aenter__(self) -> Self:
        """Open it.

        :raises RuntimeError: it was opened before.
        """
        if self._stage is not Stage.NEW:
            raise RuntimeError("A PubSub can be opened once")
        self._stage = Stage.OPEN
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it: subscriptions end, behind what they have not given out yet."""
        self._stage = Stage.ENDED
        for subscription in self._subscriptions():
            subscription._end()

    def context(self, application: object = None) -> AbstractAsyncContextManager[PubSub]:
        """It is open within this context; for ``Application.cleanup_ctx``."""
        return self

    @property
    def connected(self) -> bool:
        """Whether, as far as is known, messages get through at this time."""
        return self._stage is Stage.OPEN

    def _check_open(self) -> None:
        if self._stage is not Stage.OPEN:
            raise RuntimeError(f"This PubSub is {_STAGES[self._stage]}")

    # -- publishing

    async def publish(self, channel: str, data: Data) -> bool:
        """Send ``data`` to all who are subscribed to ``channel``.

        What is published by one coroutine after the other arrives in that order.

        :param data: text and bytes arrive as bytes; a dict or list is sent as JSON.
        :returns: whether anybody was subscribed, in any process.
        :raises PublishError: it could not be sent; see there.
        :raises ValueError: more than ``max_message_size`` bytes, or no name for a channel.
        :raises TypeError: none of these types.
        :raises RuntimeError: the PubSub is not open.
        """
        self._check_open()
        check_channel(channel)
        message = Message(channel, encoded(data))
        if len(message.data) > self.max_message_size:
            raise ValueError(f"A message of more than {self.max_message_size} bytes")
        return await self._publish(message)

    async def _publish(self, message: Message) -> bool:
        raise NotImplementedError

    # -- subscribing

    def subscribe(
        self,
        *channels: str,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
        wait: float = 0.0,
    ) -> Subscription:
        """A subscription, which begins as it is entered (``async with``).

        It keeps at most ``max_messages`` messages and ``max_bytes`` bytes that the subscriber has
        not taken yet (but always one message). When there is no room for another, the oldest are
        dropped and reported as :class:`Lost`: so a slow subscriber delays nobody.

        :param wait: seconds that a message waits for room instead, before the subscriber loses
            something (and then none waits until it has caught up). That is paid for by others:
            where messages stay in this process, ``publish`` takes that much longer; where they come
            from a server, all other subscriptions of this process wait, too.
        :raises ValueError: bounds below 1, or no name for a channel.
        """
        for channel in channels:
            check_channel(channel)
        bounds = Bounds(max_messages=max_messages, max_bytes=max_bytes, wait=wait)
        return Subscription(self, channels, bounds)

    def _subscriptions(self) -> set[Subscription]:
        return {one for members in self._channels.values() for one in members}

    def _join(self, subscription: Subscription, channel: str) -> None:
        self._check_open()
        self._channels.setdefault(channel, {})[subscription] = None

    def _leave(self, subscription: Subscription, channel: str) -> None:
        members = self._channels.get(channel, {})
        members.pop(subscription, None)
        if not members:
            self._channels.pop(channel, None)

    # -- delivering

    async def _deliver(self, message: Message) -> bool:
        """Give ``message`` to all in this process; False: there is nobody."""
        members = self._channels.get(message.channel)
        if members is None:
            return False
        late: list[tuple[Subscription, asyncio.Future[None]]] = []
        crowded = False
        for subscription in members:  # nothing in here lets anybody else run
            placed = subscription._put(message)
            if placed is True:
                crowded = True
            elif placed is not False:
                late.append((subscription, placed))
        try:
            for _, placed in late:
                await placed
        except asyncio.CancelledError:
            # Nobody waits with it any more, but all are to be given or told of it.
            for subscription, placed in late:
                if placed.cancelled() or not placed.done():
                    subscription._give_up()
            raise
        if crowded:
            # Who only waits for its turn is not slow.
            await asyncio.sleep(0)
        return True


_STAGES = {Stage.NEW: "not open yet", Stage.ENDED: "closed"}
