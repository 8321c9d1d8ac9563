"""RedisPubSub when its server is killed, started again, frozen, or never there."""

from __future__ import annotations

import asyncio
import logging

import pytest
from redis_server import RedisServer
from support import settled, soon, until

from tornadoish.pubsub import (
    Lost,
    Message,
    PublishError,
    RedisLimits,
    RedisPubSub,
    Subscription,
)

#: for tests that wait until somebody has noticed
QUICK = RedisLimits(ping_interval=0.05, last_retry=0.1)


async def take(subscription: Subscription) -> Message | Lost:
    item: Message | Lost = await soon(anext(subscription))
    return item


def restart(redis: RedisServer) -> None:
    redis.kill()
    redis.start()


async def test_a_gap_in_every_subscription(redis: RedisServer) -> None:
    """In its place: behind what came before, before what comes behind."""
    async with RedisPubSub(redis.url) as pubsub:
        async with pubsub.subscribe("a", "b") as one, pubsub.subscribe("b") as other:
            await pubsub.publish("a", "1")
            await pubsub.publish("b", "2")
            assert await take(other) == Message("b", b"2")  # so it has come
            redis.kill()
            await until(lambda: not pubsub.connected)
            redis.start()
            assert await take(other) == Lost(None)
            await pubsub.publish("b", "3")
            await pubsub.publish("a", "4")
            assert [await take(one) for _ in range(5)] == [
                Message("a", b"1"), Message("b", b"2"), Lost(None),
                Message("b", b"3"), Message("a", b"4"),
            ]  # fmt: skip
            assert await take(other) == Message("b", b"3")
            assert redis.channels() == {"a", "b"}


async def test_one_gap_for_many_outages(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub, pubsub.subscribe("a") as subscription:
        for _ in range(3):
            redis.kill()
            await until(lambda: not pubsub.connected)
            redis.start()
            await until(lambda: redis.channels() == {"a"} and pubsub.connected)
        await pubsub.publish("a", "1")
        assert [await take(subscription) for _ in range(2)] == [Lost(None), Message("a", b"1")]


async def test_a_gap_that_is_dropped_is_still_one(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        async with pubsub.subscribe("a", max_messages=2) as slow, pubsub.subscribe("a") as other:
            await pubsub.publish("a", "1")
            await take(other)
            restart(redis)
            assert await take(other) == Lost(None)
            for text in ("2", "3", "4"):
                await pubsub.publish("a", text)
                await take(other)
            assert [await take(slow) for _ in range(3)] == [
                Lost(None), Message("a", b"3"), Message("a", b"4"),
            ]  # fmt: skip


async def test_the_gap_comes_when_nothing_is_missed_any_more(redis: RedisServer) -> None:
    """So who then asks a database for what it has missed misses nothing in between."""
    async with RedisPubSub(redis.url) as pubsub, RedisPubSub(redis.url) as other:
        names = [str(number) for number in range(1500)]
        async with pubsub.subscribe(*names) as subscription:
            restart(redis)
            assert await take(subscription) == Lost(None)
            await other.publish(names[-1], "x")
            assert await take(subscription) == Message(names[-1], b"x")


async def test_entering_does_not_wait_for_a_connection() -> None:
    limits = RedisLimits(first_retry=60, last_retry=60)
    async with RedisPubSub("redis://127.0.0.1:1", limits=limits) as pubsub:
        subscription = await soon(pubsub.subscribe("a").__aenter__())
        await subscription.__aexit__()


async def test_entered_while_there_is_no_connection(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        redis.kill()
        await until(lambda: not pubsub.connected)
        async with pubsub.subscribe("a") as subscription:
            task = asyncio.create_task(anext(subscription))
            await settled()
            assert not task.done()
            redis.start()
            assert await soon(task) == Lost(None)
            await pubsub.publish("a", "1")
            assert await take(subscription) == Message("a", b"1")


async def test_the_connection_goes_while_one_enters(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        with redis.frozen():
            task = asyncio.create_task(pubsub.subscribe("a").__aenter__())
            await settled()
            assert not task.done()
            redis.kill()
            subscription = await soon(task)
        redis.start()
        assert await take(subscription) == Lost(None)
        await subscription.__aexit__()


async def test_who_enters_may_give_up(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        with redis.frozen():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pubsub.subscribe("a").__aenter__(), 0.01)
        assert pubsub._channels == {}
        async with pubsub.subscribe("b"):
            await until(lambda: redis.channels() == {"b"})


async def test_leaving_while_there_is_no_connection(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub, pubsub.subscribe("a", "b") as subscription:
        async with pubsub.subscribe("c"):
            redis.kill()
            await until(lambda: not pubsub.connected)
        subscription.remove("a")
        await subscription.add("d")
        redis.start()
        assert await take(subscription) == Lost(None)
        assert redis.channels() == {"b", "d"}


# -- publishing


async def test_published_while_there_is_no_connection(redis: RedisServer) -> None:
    """It waits for one, for a while; what was not sent is certain not to have been published."""
    limits = RedisLimits(publish_timeout=0.05)
    async with RedisPubSub(redis.url, limits=limits) as pubsub:
        redis.kill()
        await until(lambda: not pubsub.connected)
        with pytest.raises(PublishError, match="No connection") as caught:
            await pubsub.publish("a", "1")
        assert not caught.value.uncertain


async def test_published_in_order_when_the_connection_is_back(redis: RedisServer) -> None:
    limits = RedisLimits(publish_timeout=30, last_retry=0.2)
    async with RedisPubSub(redis.url, limits=limits) as pubsub:
        redis.kill()
        await until(lambda: not pubsub._publishing.link.up)
        tasks = [asyncio.create_task(pubsub.publish("a", str(n))) for n in range(100)]
        await settled()
        redis.start()
        assert await soon(asyncio.gather(*tasks)) == [False] * 100


async def test_lost_on_its_way(redis: RedisServer) -> None:
    """Nobody knows whether it has been published: it is not sent again by itself."""
    async with RedisPubSub(redis.url) as pubsub:
        with redis.frozen():
            tasks = [asyncio.create_task(pubsub.publish("a", "1")) for _ in range(10)]
            await until(lambda: not pubsub._publishing._unsent)
            redis.kill()
        for task in tasks:
            with pytest.raises(PublishError, match="connection to Redis was lost") as caught:
                await soon(task)
            assert caught.value.uncertain
        redis.start()
        await until(lambda: pubsub.connected)
        assert await soon(pubsub.publish("a", "2")) is False


async def test_uncertain_may_have_been_published(redis: RedisServer) -> None:
    limits = RedisLimits(publish_timeout=0.05)
    async with RedisPubSub(redis.url, limits=limits) as pubsub, pubsub.subscribe("a") as listening:
        with redis.frozen():
            with pytest.raises(PublishError, match="does not answer") as caught:
                await pubsub.publish("a", "1")
            assert caught.value.uncertain
        assert await take(listening) == Message("a", b"1")
        assert await pubsub.publish("a", "2") is True  # and takes no other's answer


async def test_closed_while_somebody_publishes(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        with redis.frozen():
            sent = asyncio.create_task(pubsub.publish("a", "1"))
            await until(lambda: not pubsub._publishing._unsent and pubsub._publishing._unanswered)
            unsent = asyncio.create_task(pubsub.publish("a", "2"))
            await asyncio.sleep(0)
            await pubsub.__aexit__()
        for task, uncertain in ((sent, True), (unsent, False)):
            with pytest.raises(PublishError) as caught:
                await soon(task)
            assert caught.value.uncertain is uncertain


# -- the server


async def test_a_server_that_comes_later(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log tells of the end and the beginning of an outage, not of every attempt."""
    caplog.set_level(logging.INFO)
    redis.kill()
    pubsub = RedisPubSub(redis.url, limits=QUICK)
    connector = pubsub._listening.link._connector
    make, attempts = connector.make, []

    def count() -> object:
        attempts.append(1)
        return make()

    monkeypatch.setattr(connector, "make", count)
    async with pubsub, pubsub.subscribe("a") as listening:
        assert not pubsub.connected
        await until(lambda: len(attempts) > 6)
        redis.start()
        assert await take(listening) == Lost(None)
        await until(lambda: pubsub.connected)
    said = [record.getMessage() for record in caplog.records if record.name == "tornado.general"]
    assert sorted(line.partition(")")[0] for line in said) == [
        "No connection to Redis (publishing",
        "No connection to Redis (subscribing",
        "Redis is back (publishing",
        "Redis is back (subscribing",
    ]


async def test_a_server_that_does_not_answer(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url, limits=QUICK) as pubsub, pubsub.subscribe("a") as listening:
        with redis.frozen():
            await until(lambda: not pubsub._listening.link.up and not pubsub._publishing.link.up)
        assert await take(listening) == Lost(None)


async def test_a_quiet_server_is_asked_and_answers(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url, limits=QUICK) as pubsub, pubsub.subscribe("a") as listening:

        def pings() -> int:
            return int(redis.ask("INFO", "commandstats").get("cmdstat_ping", {}).get("calls", 0))

        await until(lambda: pings() > 6)
        await pubsub.publish("a", "1")
        assert await take(listening) == Message("a", b"1")


async def test_the_server_cuts_a_connection(redis: RedisServer) -> None:
    """As it does with one that does not read, and at a fail-over."""
    async with RedisPubSub(redis.url) as pubsub, pubsub.subscribe("a") as subscription:
        assert redis.ask("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert await take(subscription) == Lost(None)
        assert redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == 1
        await until(lambda: not pubsub.connected)
        assert await pubsub.publish("a", "1") is True
        assert await take(subscription) == Message("a", b"1")


async def test_closed_before_it_was_connected(redis: RedisServer) -> None:
    with redis.frozen():
        pubsub = RedisPubSub(redis.url)
        task = asyncio.create_task(pubsub.__aenter__())
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: redis.clients() == 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closed_while_the_connection_is_being_lost(redis: RedisServer) -> None:
    """An error and a cancellation at the same time: neither hides the other."""
    for turns in range(10):
        async with RedisPubSub(redis.url) as pubsub, pubsub.subscribe("a"):
            redis.kill()
            await settled(turns)
            await soon(pubsub.__aexit__())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        redis.start()
