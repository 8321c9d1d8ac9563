"""Publish/subscribe for handlers: within a process, or across processes by a Redis server.

    async with pubsub.subscribe("news") as subscription:
        async for item in subscription:
            match item:
                case Message():
                    await self.send_event(item.text)
                case Lost():
                    ...  # something is missing here: ask whoever keeps it

    await pubsub.publish("news", "Hear, hear")

A message gets to whoever is subscribed at the time, and nobody keeps it: what must not be lost
belongs into a database, and a message only says that it is there. What a subscriber does not get it
is told of, always. Nothing here is Tornado's.
"""

from tornadoish.pubsub.base import MAX_MESSAGE_SIZE, PubSub
from tornadoish.pubsub.errors import PublishError, PubSubError
from tornadoish.pubsub.local import LocalPubSub
from tornadoish.pubsub.making import make_pubsub
from tornadoish.pubsub.messages import Data, Lost, Message
from tornadoish.pubsub.redis_link import RedisLimits
from tornadoish.pubsub.redis_pubsub import RedisPubSub
from tornadoish.pubsub.subscription import MAX_BYTES, MAX_MESSAGES, Subscription

__all__ = [
    "MAX_BYTES",
    "MAX_MESSAGES",
    "MAX_MESSAGE_SIZE",
    "Data",
    "LocalPubSub",
    "Lost",
    "Message",
    "PubSub",
    "PubSubError",
    "PublishError",
    "RedisLimits",
    "RedisPubSub",
    "Subscription",
    "make_pubsub",
]
