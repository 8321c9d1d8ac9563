"""Whatever happens in whichever order: each subscription is given, or told of, every message.

Messages are numbered, so a subscription's items can be walked through: a message must be the next
one, and what is lost is counted over. Then nothing is missing, out of order or told twice.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support import settled

from tornadoish.pubsub import LocalPubSub, Lost, Subscription


class Walker:
    """Goes through the items of one subscription."""

    def __init__(self, subscription: Subscription, bounds: dict[str, Any]) -> None:
        self.subscription = subscription
        self.bounds = bounds
        self.next = 0  # the number of the message that comes next

    async def step(self) -> None:
        self.see(await anext(self.subscription))

    def see(self, item: Any) -> None:
        if isinstance(item, Lost):
            assert item.count is not None and item.count > 0
            self.next += item.count
        else:
            assert int(item.data) == self.next
            self.next += 1

    def check_bounds(self) -> None:
        queue = self.subscription._queue
        size = sum(len(item.data) for item in queue if not isinstance(item, Lost))
        assert size == self.subscription._bytes
        assert len(queue) <= self.bounds["max_messages"]
        assert size <= self.bounds["max_bytes"] or len(queue) == 1


bounds = st.fixed_dictionaries({"max_messages": st.integers(1, 6), "max_bytes": st.integers(1, 40)})
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 12)),
        st.tuples(st.just("take"), st.integers(0, 2)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("turns"), st.integers(1, 3)),
    ),
    max_size=60,
)


async def run(
    bounds_of_all: list[dict[str, Any]], plan: list[tuple[str, int]], tasks: bool
) -> list[Walker]:
    """Do as planned; at the end close, and walk on to the end.

    :param tasks: each message is published in a task of its own, so that it can wait.
    """
    publishing: list[asyncio.Task[Any]] = []
    count = 0
    async with AsyncExitStack() as stack:
        pubsub = await stack.enter_async_context(LocalPubSub())
        walkers = [
            Walker(await stack.enter_async_context(pubsub.subscribe("a", **bounds)), bounds)
            for bounds in bounds_of_all
        ]
        for what, number in plan:
            if what == "publish":
                publish = pubsub.publish("a", str(count).zfill(number))
                count += 1
                if tasks:
                    publishing.append(asyncio.create_task(publish))
                    await asyncio.sleep(0)  # it has begun
                else:
                    await publish
            elif what == "take":
                walker = walkers[number % len(walkers)]
                if walker.next < count:
                    await walker.step()
            elif what == "cancel" and number < len(publishing):
                publishing[number].cancel()
            elif what == "turns":
                await settled(number)
            for walker in walkers:
                walker.check_bounds()
        await pubsub.__aexit__(None, None, None)
        await asyncio.gather(*publishing, return_exceptions=True)
        for walker in walkers:
            async for item in walker.subscription:
                walker.see(item)
    assert [walker.next for walker in walkers] == [count] * len(walkers)
    return walkers


@settings(max_examples=150, deadline=None)
@given(st.lists(bounds, min_size=1, max_size=3), steps)
def test_nobody_waits(bounds_of_all: list[dict[str, Any]], plan: list[tuple[str, int]]) -> None:
    asyncio.run(run(bounds_of_all, plan, tasks=False))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(bounds, st.sampled_from([0.0, 1e-9, 1000.0])), min_size=1, max_size=3), steps
)
def test_some_are_waited_for(
    bounds_of_all: list[tuple[dict[str, Any], float]], plan: list[tuple[str, int]]
) -> None:
    asyncio.run(run([{**bounds, "wait": wait} for bounds, wait in bounds_of_all], plan, tasks=True))
