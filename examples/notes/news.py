"""News: tells open pages that something has changed. In memory, for one process.

A handler that has changed something calls `tell`; one that has an open stream of events waits in a
`Subscription` (handlers_events.py). No news are kept in here, so nothing grows where a browser is
slow: who is woken looks into the database, where what has changed stands in order.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

MAX_STREAMS = 20  # of one user


class News:
    """Who waits for news of which user."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Event]] = {}

    def tell(self, user_id: int) -> None:
        """Something of this user's has changed; call it when the change has been stored."""
        for waiting in self._waiting.get(user_id, ()):
            waiting.set()

    def is_full(self, user_id: int) -> bool:
        """Whether this user has as many streams as one may have."""
        return len(self._waiting.get(user_id, ())) >= MAX_STREAMS

    @contextmanager
    def subscription(self, user_id: int) -> Iterator[asyncio.Event]:
        """An event that is set when there are news, from now on; clear it before looking."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(user_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(user_id, None)
