"""What publish/subscribe promises, whether messages stay in the process or go by a Redis server."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from support import settled, soon

from tornadoish.httpserver import HTTPServer
from tornadoish.pubsub import (
    MAX_MESSAGES,
    LocalPubSub,
    Lost,
    Message,
    PubSub,
    Subscription,
    make_pubsub,
)
from tornadoish.web import Application


async def take(subscription: Subscription) -> Message | Lost:
    """The next item, which must come soon."""
    item: Message | Lost = await soon(anext(subscription))
    return item


async def texts(subscription: Subscription, count: int) -> list[str]:
    """The next so many messages."""
    items = [await take(subscription) for _ in range(count)]
    return [item.text if isinstance(item, Message) else repr(item) for item in items]


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


async def fill(pubsub: PubSub, count: int) -> None:
    """Publish so many numbers on "a". When this returns, all have been put into subscriptions."""
    async with pubsub.subscribe("a", wait=5) as watching:

        async def watch() -> None:
            for number in numbers(count):
                assert await texts(watching, 1) == [number]

        task = asyncio.create_task(watch())
        for number in numbers(count):
            await pubsub.publish("a", number)
        await task


async def test_what_is_published_arrives(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as subscription:
        assert subscription.channels == {"a"}
        assert await pubsub.publish("a", "grüße")
        message = await take(subscription)
        assert message == Message("a", "grüße".encode())
        assert isinstance(message, Message) and message.text == "grüße"


async def test_all_kinds_of_data(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as subscription:
        for data in (b"\xff\0\r\n", "", {"name": ["x", 1]}, [None]):
            await pubsub.publish("a", data)
        assert await take(subscription) == Message("a", b"\xff\0\r\n")
        assert await take(subscription) == Message("a", b"")
        for data in ({"name": ["x", 1]}, [None]):
            message = await take(subscription)
            assert isinstance(message, Message) and message.json() == data


async def test_only_its_channels(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a", "b") as one, pubsub.subscribe("b") as other:
        for channel in "abc":
            assert await pubsub.publish(channel, channel) is (channel != "c")
        assert await texts(one, 2) == ["a", "b"]
        assert await texts(other, 1) == ["b"]


async def test_names_of_channels_are_text(pubsub: PubSub) -> None:
    names = ["räume/1", "with space", "line\r\nend", "*", "a" * 1024]
    async with pubsub.subscribe(*names) as subscription:
        for name in names:
            await pubsub.publish(name, "x")
            assert await take(subscription) == Message(name, b"x")
    for bad in ("", "a" * 1025, "\ud800"):
        with pytest.raises(ValueError):
            pubsub.subscribe(bad)
        with pytest.raises(ValueError):
            await pubsub.publish(bad, "")


async def test_order(pubsub: PubSub) -> None:
    """Of what one coroutine publishes, over all channels."""
    async with pubsub.subscribe("a", "b") as one, pubsub.subscribe("b", "a") as other:
        for number in range(100):
            await pubsub.publish("ab"[number % 3 % 2], str(number))
        assert await texts(one, 100) == await texts(other, 100) == numbers(100)


async def test_all_see_one_order(pubsub: PubSub) -> None:
    """Of what many publish at the same time, waiting for one slow subscriber or not."""
    async with pubsub.subscribe("a") as one, pubsub.subscribe("a", max_messages=2, wait=5) as slow:
        tasks = [asyncio.create_task(pubsub.publish("a", str(number))) for number in range(50)]
        seen = await texts(slow, 50)
        assert await texts(one, 50) == seen
        assert sorted(seen, key=int) == numbers(50)
        await soon(asyncio.gather(*tasks))


async def test_from_entering_on(pubsub: PubSub) -> None:
    subscription = pubsub.subscribe("a")
    with pytest.raises(RuntimeError, match="async with"):
        await anext(subscription)
    assert not await pubsub.publish("a", "before")
    async with subscription:
        await pubsub.publish("a", "in it")
        assert await texts(subscription, 1) == ["in it"]
        await pubsub.publish("a", "not taken")
    assert [item async for item in subscription] == []
    assert not await pubsub.publish("a", "after")
    with pytest.raises(RuntimeError, match="once"):
        await subscription.__aenter__()
    with pytest.raises(RuntimeError, match="ended"):
        await subscription.add("b")


async def test_more_and_less_channels(pubsub: PubSub) -> None:
    async with pubsub.subscribe() as subscription:
        await subscription.add("a", "b")
        await subscription.add("b")
        await pubsub.publish("a", "1")
        await pubsub.publish("b", "2")
        assert await texts(subscription, 2) == ["1", "2"]
        subscription.remove("b", "c")
        assert subscription.channels == {"a"}
        await pubsub.publish("b", "3")
        await subscription.add("b")
        await pubsub.publish("b", "4")
        assert await texts(subscription, 1) == ["4"]


# -- subscribers that are slow


async def test_a_slow_subscriber_is_told_what_it_loses(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a", max_messages=10) as slow, pubsub.subscribe("a") as other:
        await fill(pubsub, 30)
        assert await take(slow) == Lost(20)
        assert await texts(slow, 10) == [str(number) for number in range(20, 30)]
        assert await texts(other, 30) == numbers(30)
        await fill(pubsub, 5)
        assert await texts(slow, 5) == numbers(5)


async def test_bytes_are_bounded(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a", max_bytes=10) as slow, pubsub.subscribe("a") as other:
        for data in ("1" * 6, "2" * 4, "3", "4" * 30, "5"):
            await pubsub.publish("a", data)
        await texts(other, 5)
        # One of 30 bytes is taken, for it would never fit; then there is no room beside it.
        assert [await take(slow) for _ in range(2)] == [Lost(4), Message("a", b"5")]
        await pubsub.publish("a", "6" * 30)
        assert await texts(slow, 1) == ["6" * 30]


async def test_who_waits_for_its_turn_is_not_slow(pubsub: PubSub) -> None:
    """A publisher that never waits would leave subscribers no turn."""
    count = 4 * MAX_MESSAGES
    taken: list[object] = []

    async def subscriber() -> None:
        async with pubsub.subscribe("a") as subscription:
            ready.set()
            async for item in subscription:
                taken.append(item)
                await asyncio.sleep(0)  # a little slower than that
                if len(taken) == count:
                    return

    ready = asyncio.Event()
    task = asyncio.create_task(subscriber())
    await ready.wait()
    for number in range(count):
        await pubsub.publish("a", str(number))
    await soon(task)
    assert Lost not in map(type, taken)


async def test_a_slow_subscriber_is_waited_for_if_it_wants(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a", max_messages=3, wait=60) as slow:
        tasks = [asyncio.create_task(pubsub.publish("a", str(number))) for number in range(20)]
        assert await texts(slow, 20) == numbers(20)
        await soon(asyncio.gather(*tasks))


async def test_patience_ends(pubsub: PubSub) -> None:
    """And there is none for the same subscriber until it has caught up."""
    async with pubsub.subscribe("a", max_messages=2, wait=0.01) as slow:
        async with pubsub.subscribe("a") as other:
            for number in range(4):
                await soon(pubsub.publish("a", str(number)))
            assert await texts(other, 4) == numbers(4)
            assert await take(slow) == Lost(2)
            assert await texts(slow, 2) == ["2", "3"]
            await fill(pubsub, 2)
            assert await texts(slow, 2) == numbers(2)


async def test_each_has_patience_of_its_own() -> None:
    """The first of two who wait is served; the other one does not wait for ever."""
    async with LocalPubSub() as pubsub, pubsub.subscribe("a", max_messages=1, wait=0.05) as slow:
        await pubsub.publish("a", "0")
        first = asyncio.create_task(pubsub.publish("a", "1"))
        await settled()
        second = asyncio.create_task(pubsub.publish("a", "2"))
        assert await texts(slow, 1) == ["0"]
        await soon(first)
        await soon(second)
        assert await take(slow) == Lost(1)
        assert await texts(slow, 1) == ["2"]


async def test_who_leaves_is_forgotten_at_once() -> None:
    """Whoever waited for it."""
    async with LocalPubSub() as pubsub:
        async with pubsub.subscribe("a", max_messages=1, wait=60) as slow:
            await pubsub.publish("a", "0")
            waiting = asyncio.create_task(pubsub.publish("a", "1"))
            await settled()
        await soon(waiting)
        left = weakref.ref(slow)
        del slow, waiting
        gc.collect()
        assert left() is None


async def test_a_publisher_that_is_cancelled_has_published() -> None:
    """Who waits with it for a slow subscriber has no patience left, and the subscriber is told.
    (Over Redis, publishers wait for no subscriber.)"""
    async with LocalPubSub() as pubsub, pubsub.subscribe("a", max_messages=1, wait=60) as slow:
        async with pubsub.subscribe("a") as other:
            await pubsub.publish("a", "0")
            task = asyncio.create_task(pubsub.publish("a", "1"))
            assert await texts(other, 2) == numbers(2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await take(slow) == Lost(1)
            assert await texts(slow, 1) == ["1"]
            # Now it has caught up, and is waited for as ever.
            await pubsub.publish("a", "2")
            task = asyncio.create_task(pubsub.publish("a", "3"))
            await settled()
            assert not task.done()
            assert await texts(slow, 2) == ["2", "3"]
            assert await soon(task)


async def test_a_small_message_does_not_overtake_a_large_one() -> None:
    """There would be room for it."""
    async with LocalPubSub() as pubsub, pubsub.subscribe("a", max_bytes=10, wait=60) as slow:
        data = ["1" * 8, "2" * 8, "3"]
        tasks = [asyncio.create_task(pubsub.publish("a", text)) for text in data]
        await settled()
        assert await texts(slow, 3) == data
        await soon(asyncio.gather(*tasks))


async def test_patience_begins_with_each_message() -> None:
    async with LocalPubSub() as pubsub, pubsub.subscribe("a", max_messages=1, wait=60) as slow:
        tasks = [asyncio.create_task(pubsub.publish("a", text)) for text in numbers(3)]
        await settled()
        slow._patience_ends()  # a timer of one that has found its place by now
        await settled()
        assert not tasks[2].done()
        assert await texts(slow, 3) == numbers(3)
        await soon(asyncio.gather(*tasks))


async def test_a_subscriber_that_leaves_is_not_waited_for(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as other:
        async with pubsub.subscribe("a", max_messages=1, wait=60):
            tasks = [asyncio.create_task(pubsub.publish("a", str(number))) for number in range(9)]
            await texts(other, 1)
        await soon(asyncio.gather(*tasks))
        assert await texts(other, 8) == numbers(9)[1:]


# -- iterating


async def test_who_is_cancelled_loses_nothing(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as subscription:
        task = asyncio.create_task(anext(subscription))
        await settled()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await pubsub.publish("a", "1")
        assert await texts(subscription, 1) == ["1"]


async def test_one_task_at_a_time(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as subscription:
        task = asyncio.create_task(anext(subscription))
        await settled()
        with pytest.raises(RuntimeError, match="Another task"):
            await anext(subscription)
        await pubsub.publish("a", "1")
        assert await soon(task) == Message("a", b"1")


# -- the life of a PubSub


async def test_closing_ends_subscriptions(pubsub: PubSub) -> None:
    async with pubsub.subscribe("a") as subscription:
        async with pubsub.subscribe("a") as waiting:
            task = asyncio.create_task(anext(waiting, None))
            await pubsub.publish("a", "1")
            await soon(task)
            task = asyncio.create_task(anext(waiting, None))
            await settled()
            assert pubsub.connected
            await pubsub.__aexit__(None, None, None)
            assert await soon(task) is None
        assert not pubsub.connected
        assert await texts(subscription, 1) == ["1"]
        assert await soon(anext(subscription, None)) is None
    with pytest.raises(RuntimeError, match="closed"):
        await pubsub.publish("a", "2")
    with pytest.raises(RuntimeError, match="closed"):
        await pubsub.subscribe("a").__aenter__()
    with pytest.raises(RuntimeError, match="once"):
        await pubsub.__aenter__()


async def test_not_open_yet() -> None:
    pubsub = LocalPubSub()
    with pytest.raises(RuntimeError, match="not open yet"):
        await pubsub.publish("a", "1")
    with pytest.raises(RuntimeError, match="not open yet"):
        await pubsub.subscribe("a").__aenter__()
    assert not pubsub.connected


async def test_an_application_opens_and_closes_it() -> None:
    pubsub = make_pubsub()
    application = Application(pubsub=pubsub)
    application.cleanup_ctx.append(pubsub.context)
    stages = []

    async def look(application: Application) -> AsyncIterator[None]:
        stages.append(repr(application.settings["pubsub"]))
        yield

    application.cleanup_ctx.append(look)
    async with HTTPServer(application):
        assert await pubsub.publish("a", "1") is False
    assert stages == ["<LocalPubSub open, 0 channels>"]
    assert repr(pubsub) == "<LocalPubSub ended, 0 channels>"


async def test_nothing_is_kept(pubsub: PubSub) -> None:
    """Of channels that nobody is subscribed to any more."""
    for number in range(20):
        async with pubsub.subscribe(f"a{number}", "b"):
            await pubsub.publish("b", "x")
    assert pubsub._channels == {}


# -- what is refused


async def test_data_of_other_types(pubsub: PubSub) -> None:
    bad: Any
    for bad in (1, None, bytearray(b"x"), object()):
        with pytest.raises(TypeError, match="published"):
            await pubsub.publish("a", bad)


async def test_too_large() -> None:
    async with LocalPubSub(max_message_size=3) as pubsub, pubsub.subscribe("a") as subscription:
        with pytest.raises(ValueError, match="3 bytes"):
            await pubsub.publish("a", "1234")
        await pubsub.publish("a", "123")
        assert await texts(subscription, 1) == ["123"]


@pytest.mark.parametrize("bounds", [{"max_messages": 0}, {"max_bytes": 0}, {"wait": -1}])
def test_bounds(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        LocalPubSub().subscribe("a", **bounds)


def test_other_urls() -> None:
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match="redis://"):
        make_pubsub("http://127.0.0.1")
    with pytest.raises(ValueError, match="'password_'"):
        make_pubsub("redis://127.0.0.1?password_=secret")


async def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"redis.asyncio.connection", *sys.modules}:
        if name.partition(".")[0] == "redis":
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"tornadoish\[redis\]"):
        make_pubsub("redis://127.0.0.1")
