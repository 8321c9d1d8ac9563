"""Publishing: the connection by which a process publishes on a Redis server.

``RedisPubSub`` has one. Messages go out in the order in which they came, as many at once as there
are, and whoever has published one waits for the server's answer to it. None is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from tornadoish.pubsub.errors import PublishError
from tornadoish.pubsub.messages import Message
from tornadoish.pubsub.redis_link import Command, Connector, Link, RedisLimits

#: bytes that are sent at once, about
BYTES_AT_ONCE = 256 * 1024
#: what a message costs beside its bytes as long as it waits, in bytes, about
MESSAGE_COST = 512


class _Outgoing:
    """A message that the server has not confirmed."""

    __slots__ = ("command", "cost", "published")

    def __init__(self, command: Command, cost: int, published: asyncio.Future[bool]) -> None:
        self.command = command
        self.cost = cost
        self.published = published

    def fail(self, why: str, *, uncertain: bool) -> None:
        if not self.published.done():
            self.published.set_exception(PublishError(why, uncertain=uncertain))
            self.published.exception()  # whoever has published it may have gone


class Publishing:
    """See the module; the ``Side`` of its ``link``."""

    def __init__(self, prefix: str, connector: Connector, limits: RedisLimits) -> None:
        self.link = Link("publishing", self, connector, limits)
        self._prefix = prefix
        self._limits = limits
        self._unsent: dict[_Outgoing, None] = {}
        self._unanswered: deque[_Outgoing] = deque()
        self._cost = 0  # of both

    async def publish(self, message: Message) -> bool:
        """See ``PubSub.publish``."""
        cost = len(message.data) + MESSAGE_COST
        if self._cost + cost > self._limits.max_unpublished_bytes:
            raise PublishError("Too much waits to be published")
        command = ("PUBLISH", self._prefix + message.channel, message.data)
        one = _Outgoing(command, cost, asyncio.get_running_loop().create_future())
        self._unsent[one] = None
        self._cost += cost
        self.link.wake()
        try:
            async with asyncio.timeout(self._limits.publish_timeout):
                return await one.published
        except TimeoutError:
            why = "Redis does not answer" if self.link.up else "No connection to Redis"
            raise PublishError(why, uncertain=one not in self._unsent) from None
        finally:
            if one in self._unsent:  # it will never be sent
                self._forget_unsent(one)

    def close(self) -> None:
        """Whoever waits need not any longer."""
        for one in list(self._unsent):
            one.fail("This PubSub was closed", uncertain=False)
            self._forget_unsent(one)

    def _forget_unsent(self, one: _Outgoing) -> None:
        del self._unsent[one]
        self._cost -= one.cost

    # -- for the link

    def link_up(self) -> None:
        pass

    def link_down(self) -> None:
        while self._unanswered:
            one = self._take_unanswered()
            one.fail("The connection to Redis was lost", uncertain=True)

    def commands(self) -> Sequence[Command]:
        commands: list[Command] = []
        size = 0
        while self._unsent and size < BYTES_AT_ONCE:
            one = next(iter(self._unsent))
            del self._unsent[one]
            self._unanswered.append(one)
            commands.append(one.command)
            size += one.cost
        return commands

    async def answer(self, answer: Any) -> None:
        if not self._unanswered:
            return
        one = self._take_unanswered()
        if isinstance(answer, Exception):
            one.fail(f"Redis refuses it: {answer}", uncertain=False)
        elif not one.published.done():
            one.published.set_result(answer > 0)

    def _take_unanswered(self) -> _Outgoing:
        one = self._unanswered.popleft()
        self._cost -= one.cost
        return one
