"""LocalPubSub: publish/subscribe within one process."""

from __future__ import annotations

from tornadoish.pubsub.base import PubSub
from tornadoish.pubsub.messages import Message
from tornadoish.pubsub.subscription import Subscription


class LocalPubSub(PubSub):
    """Messages go from hand to hand: nothing is lost but where a subscriber is too slow."""

    async def _publish(self, message: Message) -> bool:
        return await self._deliver(message)

    def _join(self, subscription: Subscription, channel: str) -> None:
        super()._join(subscription, channel)
        subscription._heard(channel)
