"""Listening: the connection by which a process hears what is published on a Redis server.

``RedisPubSub`` has one, for all of its subscriptions. It subscribes to a channel when there is a
first subscriber, and unsubscribes when there is none left. If the connection is lost, it subscribes
to all of them again on the next, and then everybody is told that there was a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from tornadoish.pubsub.messages import Message
from tornadoish.pubsub.redis_link import Command, Connector, Link, RedisLimits
from tornadoish.pubsub.subscription import Subscription

#: commands that are sent at once: a hundred thousand channels are subscribed to piece by piece
COMMANDS_AT_ONCE = 512


class Members(Protocol):
    """Who is subscribed: the part of ``PubSub`` that this knows."""

    _channels: dict[str, dict[Subscription, None]]

    def _subscriptions(self) -> set[Subscription]: ...
    async def _deliver(self, message: Message) -> bool: ...


class Listening:
    """See the module; the ``Side`` of its ``link``."""

    def __init__(
        self, members: Members, prefix: str, connector: Connector, limits: RedisLimits
    ) -> None:
        self.link = Link("subscribing", self, connector, limits)
        self._members = members
        self._prefix = prefix
        # All that follows is of the connection that there is now.
        # Channels for which there may be something to do, in order.
        self._changed: dict[str, None] = {}
        # Those that we have asked for, and which command that was (the so many-th one).
        self._asked: dict[str, int] = {}
        self._commands = 0
        # The commands that the server has not answered: it does in their order.
        self._unanswered: deque[tuple[int, str]] = deque()
        # Those that the server has confirmed: what is published there, we get.
        self._heard: set[str] = set()

    # -- for RedisPubSub

    def joined(self, subscription: Subscription, channel: str) -> None:
        """There is one more subscription to ``channel``."""
        if channel in self._heard:
            subscription._heard(channel)
        elif self.link.up:
            self._look_at(channel)
        else:
            subscription._disconnected()

    def left(self, channel: str) -> None:
        """There is one less; was it the last?"""
        if channel not in self._members._channels and self.link.up:
            self._look_at(channel)

    def _look_at(self, channel: str) -> None:
        self._changed[channel] = None
        self.link.wake()

    # -- for the link

    def link_up(self) -> None:
        self._changed = dict.fromkeys(self._members._channels)

    def link_down(self) -> None:
        self._changed.clear()
        self._asked.clear()
        self._unanswered.clear()
        self._heard.clear()
        for subscription in self._members._subscriptions():
            subscription._disconnected()

    def commands(self) -> Sequence[Command]:
        commands: list[Command] = []
        while self._changed and len(commands) < COMMANDS_AT_ONCE:
            channel = next(iter(self._changed))
            del self._changed[channel]
            wanted, asked = channel in self._members._channels, channel in self._asked
            if wanted == asked:
                continue  # it has changed and changed back
            self._commands += 1
            self._unanswered.append((self._commands, channel))
            if wanted:
                self._asked[channel] = self._commands
            else:
                del self._asked[channel]
                self._heard.discard(channel)
            commands.append(("SUBSCRIBE" if wanted else "UNSUBSCRIBE", self._prefix + channel))
        return commands

    async def answer(self, answer: Any) -> None:
        if isinstance(answer, list) and answer[0] == b"message":
            _, name, data = answer
            channel = name.decode().removeprefix(self._prefix)
            if channel in self._heard:
                await self._members._deliver(Message(channel, data))
            return
        if not self._unanswered:
            return
        number, channel = self._unanswered.popleft()
        if self._asked.get(channel) != number:
            return  # there was another command behind it
        # A copy: who hears this may leave.
        subscriptions = list(self._members._channels.get(channel, ()))
        if isinstance(answer, Exception):
            del self._asked[channel]
            for subscription in subscriptions:
                subscription._refused(channel, str(answer))
        else:
            self._heard.add(channel)
            for subscription in subscriptions:
                subscription._heard(channel)
