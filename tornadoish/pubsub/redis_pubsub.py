"""RedisPubSub: publish/subscribe across processes and machines, over a Redis server."""

from __future__ import annotations

import asyncio
from typing import Self

from tornadoish.pubsub.base import MAX_MESSAGE_SIZE, PubSub
from tornadoish.pubsub.messages import Message
from tornadoish.pubsub.redis_link import Connector, RedisLimits
from tornadoish.pubsub.redis_listening import Listening
from tornadoish.pubsub.redis_publishing import Publishing
from tornadoish.pubsub.subscription import Subscription


class RedisPubSub(PubSub):
    """All processes that have one, of the same server and prefix, share their channels.

    A process has two connections to the server, one for each direction, however many subscriptions
    it has. They are made again when they are lost. What others have published meanwhile is lost,
    for Redis keeps nothing: when the connection is back, every subscription has a ``Lost(None)``,
    and from there on nothing is missing. So who wants to know what it has missed asks whoever keeps
    it (a database, say) when that comes. What cannot be published is a :class:`PublishError`.

    Opening it waits for the first attempt to connect, and does not fail if that does: the
    application can live without the server, which may come later.

    :param url: ``redis://[user:password@]host[:port]``, ``rediss://...`` (TLS) or ``unix://path``;
        what redis-py's ``from_url`` takes. Channels are the server's: a database's number does
        not set them apart.
    :param prefix: of the names of channels on the server, to set applications apart. Messages are
        there as they were published: other programs may take part.
    :raises ImportError: redis-py is not installed: it comes with the extra ``redis``.
    :raises ValueError: another URL.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "",
        max_message_size: int = MAX_MESSAGE_SIZE,
        limits: RedisLimits | None = None,
    ) -> None:
        super().__init__(max_message_size=max_message_size)
        limits = limits or RedisLimits()
        connector = Connector(url, limits)
        self._listening = Listening(self, prefix, connector, limits)
        self._publishing = Publishing(prefix, connector, limits)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        links = self._listening.link, self._publishing.link
        self._tasks = [asyncio.create_task(link.run()) for link in links]
        try:
            for link in links:
                await link.tried.wait()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        self._publishing.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connected(self) -> bool:
        return self._listening.link.up and self._publishing.link.up

    async def _publish(self, message: Message) -> bool:
        return await self._publishing.publish(message)

    def _join(self, subscription: Subscription, channel: str) -> None:
        super()._join(subscription, channel)
        self._listening.joined(subscription, channel)

    def _leave(self, subscription: Subscription, channel: str) -> None:
        super()._leave(subscription, channel)
        self._listening.left(channel)
