"""What tests of publish/subscribe share: a Redis server, and a PubSub of either kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis_server import redis

from tornadoish.pubsub import LocalPubSub, PubSub, RedisPubSub

__all__ = ["redis"]  # a fixture


@pytest.fixture(params=["local", "redis"])
async def pubsub(request: pytest.FixtureRequest) -> AsyncIterator[PubSub]:
    """An open one; at the end none of its tasks may be left."""
    made: PubSub
    if request.param == "redis":
        made = RedisPubSub(request.getfixturevalue("redis").url)
    else:
        made = LocalPubSub()
    async with made:
        yield made
    assert asyncio.all_tasks() == {asyncio.current_task()}
