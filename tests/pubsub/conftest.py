"""What tests of publish/subscribe share: a Redis server, and a PubSub of either kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis_server import REDIS_SERVER, RedisServer

from tornadoish.pubsub import LocalPubSub, PubSub, RedisPubSub


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis server."""
    pytest.importorskip("redis", reason="redis-py is not installed")
    if REDIS_SERVER is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()


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
