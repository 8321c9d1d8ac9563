"""What publishing costs, within a process and over a Redis server, and what a subscription weighs.

    python benchmarks/pubsub.py [--redis redis://127.0.0.1] [--loop uvloop]

Each figure is the best of five rounds, CPU time of this process alone. Without --redis, the rows of
Redis are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from tornadoish.pubsub import LocalPubSub, PubSub, RedisPubSub

ROUNDS = 5
TEXT = "x" * 100


async def take(pubsub: PubSub, count: int, ready: asyncio.Event) -> None:
    async with pubsub.subscribe("a", max_messages=2 * count, max_bytes=2**30) as subscription:
        ready.set()
        for _ in range(count):
            await anext(subscription)


async def best(measured: Callable[[], Awaitable[int]]) -> float:
    """Microseconds per unit, where ``measured`` returns how many units it has done."""
    figures = []
    for _ in range(ROUNDS):
        start = time.process_time()
        units = await measured()
        figures.append((time.process_time() - start) / units * 1e6)
    return min(figures)


async def deliveries(pubsub: PubSub, messages: int, subscribers: int) -> int:
    """Publish one message after the other, until all have taken all."""
    ready = [asyncio.Event() for _ in range(subscribers)]
    tasks = [asyncio.create_task(take(pubsub, messages, event)) for event in ready]
    for event in ready:
        await event.wait()
    for _ in range(messages):
        await pubsub.publish("a", TEXT)
    await asyncio.gather(*tasks)
    return messages * subscribers


async def at_once(pubsub: PubSub, messages: int) -> int:
    """Many publish at the same time, and somebody listens."""
    ready = asyncio.Event()
    task = asyncio.create_task(take(pubsub, messages, ready))
    await ready.wait()
    for _ in range(messages // 100):
        await asyncio.gather(*(pubsub.publish("a", TEXT) for _ in range(100)))
    await task
    return messages


async def weight(pubsub: PubSub, count: int) -> float:
    """Bytes of an idle subscription to a channel that many share."""
    async with AsyncExitStack() as stack:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        subscriptions = [pubsub.subscribe("a") for _ in range(count)]
        for subscription in subscriptions:
            await subscription.__aenter__()
        used = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        for subscription in subscriptions:
            stack.push_async_exit(subscription)
    return used / count


async def report(name: str, pubsub: PubSub) -> None:
    async with pubsub:
        one = await best(lambda: deliveries(pubsub, 5000, 1))
        many = await best(lambda: deliveries(pubsub, 50, 1000))
        together = await best(lambda: at_once(pubsub, 10_000))
        bytes_each = await weight(pubsub, 1000)
    print(f"{name:10} one subscriber, one after the other    {one:7.1f} us per message")
    print(f"{name:10} one subscriber, a hundred at a time    {together:7.1f} us per message")
    print(f"{name:10} a thousand subscribers                 {many:7.1f} us per delivery")
    print(f"{name:10} an idle subscription                   {bytes_each:7.0f} bytes")


async def main(redis: str | None) -> None:
    await report("local", LocalPubSub())
    if redis is not None:
        await report("redis", RedisPubSub(redis))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    options = parser.parse_args()
    factory = asyncio.new_event_loop
    if options.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(options.redis))
