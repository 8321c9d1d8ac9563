"""History: the last messages of each room, in one order: in memory, or in Redis for many processes.

Each message is a dict; its `id` is given here, and means nothing but "this one".
"""

import json
import re
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Protocol

try:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError:
    pass  # only --redis needs it, and says so

KEPT = 200  # messages of a room

Messages = list[dict[str, Any]]


class HistoryError(Exception):
    """The history cannot be reached at this time. The text is for people."""

    def __init__(self) -> None:
        super().__init__("The server cannot reach its memory")


class History(Protocol):
    def context(self, application: object) -> AbstractAsyncContextManager[object]:
        """It works within this context."""
        ...

    async def add(self, room: str, message: dict[str, Any]) -> None:
        """:raises HistoryError: it may have been stored, or not."""

    async def since(self, room: str, after: str) -> tuple[Messages, bool]:
        """What was said since the message with the id `after`; "": all that is kept. The second is
        False if that message is not there any more, so that there may have been others.

        :raises HistoryError: nobody knows.
        """
        ...


class MemoryHistory:
    """Of one process, and as long as that lives."""

    def __init__(self) -> None:
        self._rooms: dict[str, deque[dict[str, Any]]] = {}

    def context(self, application: object) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def add(self, room: str, message: dict[str, Any]) -> None:
        messages = self._rooms.setdefault(room, deque(maxlen=KEPT))
        messages.append({"id": uuid.uuid4().hex, **message})

    async def since(self, room: str, after: str) -> tuple[Messages, bool]:
        messages = list(self._rooms.get(room, ()))
        for number, message in enumerate(messages):
            if message["id"] == after:
                return messages[number + 1 :], True
        return messages, not after


class RedisHistory:
    """A stream for each room: Redis gives the ids, in the order in which messages came."""

    def __init__(self, url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=8,
            timeout=5,  # seconds, for one of them
            socket_connect_timeout=5,
            socket_timeout=5,
            # Once more at once: a connection may have ended since it was used last. (So a message
            # may be stored twice, if the server has done it and not answered.)
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = Redis(connection_pool=self._pool)

    @asynccontextmanager
    async def context(self, application: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._pool.disconnect()

    async def add(self, room: str, message: dict[str, Any]) -> None:
        fields: dict[Any, Any] = {"message": json.dumps(message)}
        try:
            await self._redis.xadd(f"chat:{room}", fields, maxlen=KEPT, approximate=False)
        except (RedisError, OSError):
            raise HistoryError from None

    async def since(self, room: str, after: str) -> tuple[Messages, bool]:
        start = after if re.fullmatch(r"[0-9]{1,19}-[0-9]{1,19}", after) else "-"
        try:
            entries = await self._redis.xrange(f"chat:{room}", start)
        except (RedisError, OSError):
            raise HistoryError from None
        messages = [{"id": id.decode(), **json.loads(fields[b"message"])} for id, fields in entries]
        if messages and messages[0]["id"] == after:
            return messages[1:], True
        return messages, not after


def make_history(redis_url: str | None) -> History:
    return MemoryHistory() if redis_url is None else RedisHistory(redis_url)
