"""make_pubsub: the one or the other, as an option of the command line says."""

from __future__ import annotations

from tornadoish.pubsub.base import MAX_MESSAGE_SIZE, PubSub
from tornadoish.pubsub.local import LocalPubSub
from tornadoish.pubsub.redis_pubsub import RedisPubSub


def make_pubsub(
    url: str | None = None, *, prefix: str = "", max_message_size: int = MAX_MESSAGE_SIZE
) -> PubSub:
    """What an application needs, by where it runs.

    :param url: of a Redis server, if there is more than one process; None: there is one.
    :param prefix: see :class:`RedisPubSub`.
    :raises ImportError: see there. ValueError: so, too.
    """
    if url is None:
        return LocalPubSub(max_message_size=max_message_size)
    return RedisPubSub(url, prefix=prefix, max_message_size=max_message_size)
