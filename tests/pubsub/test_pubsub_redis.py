"""RedisPubSub and its server: connections, subscriptions, who is let in, and what is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from redis_server import RedisServer
from support import settled, soon, until

from tornadoish.pubsub import (
    Lost,
    Message,
    PublishError,
    PubSubError,
    RedisLimits,
    RedisPubSub,
    make_pubsub,
    redis_link,
)


@asynccontextmanager
async def two(redis: RedisServer) -> AsyncIterator[tuple[RedisPubSub, RedisPubSub]]:
    """As if in two processes."""
    async with RedisPubSub(redis.url) as one, RedisPubSub(redis.url) as other:
        yield one, other


async def test_across(redis: RedisServer) -> None:
    async with two(redis) as (one, other), one.subscribe("a") as subscription:
        assert await other.publish("a", "1") is True
        assert await soon(anext(subscription)) == Message("a", b"1")
        assert await other.publish("b", "1") is False


async def test_one_order_everywhere(redis: RedisServer) -> None:
    """Of what many publish in two processes at the same time."""
    async with two(redis) as processes, AsyncExitStack() as stack:
        subscriptions = [
            await stack.enter_async_context(pubsub.subscribe("a", "b")) for pubsub in processes
        ]
        await asyncio.gather(
            *(processes[n % 2].publish("ab"[n % 3 % 2], str(n)) for n in range(200))
        )
        seen = [[await soon(anext(one)) for _ in range(200)] for one in subscriptions]
        assert seen[0] == seen[1]
        assert {int(message.data) for message in seen[0]} == set(range(200))
        for process in range(2):  # and what one process has published is in that order
            numbers = [int(m.data) for m in seen[0] if int(m.data) % 2 == process]
            assert numbers == sorted(numbers)


async def test_two_connections_however_many_subscriptions(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub, AsyncExitStack() as stack:
        for number in range(50):
            await stack.enter_async_context(pubsub.subscribe("a", f"b{number}"))
        await asyncio.gather(*(pubsub.publish("a", "x") for _ in range(50)))
        assert redis.clients() == 2
        assert redis.ask("PUBSUB", "NUMSUB", "a") == ["a", 1]
    await until(lambda: redis.clients() == 0)


async def test_subscribed_as_long_as_somebody_listens(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url) as pubsub:
        async with pubsub.subscribe("a", "b") as one:
            assert redis.channels() == {"a", "b"}
            async with pubsub.subscribe("a", "c"):
                assert redis.channels() == {"a", "b", "c"}
                one.remove("a")
                await until(lambda: redis.channels() == {"a", "b", "c"})
            await until(lambda: redis.channels() == {"b"})
        await until(lambda: redis.channels() == set())


async def test_who_enters_hears_what_follows(redis: RedisServer) -> None:
    """Also where a channel is left and entered again before the server knows of the one."""
    async with two(redis) as (one, other):
        for number in range(100):
            async with one.subscribe("a") as subscription:
                assert await other.publish("a", str(number)) is True
                assert await soon(anext(subscription)) == Message("a", str(number).encode())
            if number % 3 == 0:
                await asyncio.sleep(0)
            if number % 7 == 0:
                async with one.subscribe("a"):
                    pass


async def test_many_channels(redis: RedisServer) -> None:
    names = [str(number) for number in range(2000)]
    async with RedisPubSub(redis.url) as pubsub, pubsub.subscribe(*names) as subscription:
        assert len(redis.channels()) == 2000
        await pubsub.publish("1999", "x")
        assert await soon(anext(subscription)) == Message("1999", b"x")


async def test_a_prefix_sets_applications_apart(redis: RedisServer) -> None:
    async with RedisPubSub(redis.url, prefix="x:") as one, RedisPubSub(redis.url) as other:
        async with one.subscribe("a") as subscription, other.subscribe("a", "x:a") as outer:
            assert redis.channels() == {"a", "x:a"}
            await other.publish("a", "1")
            await one.publish("a", "2")
            assert await soon(anext(subscription)) == Message("a", b"2")
            assert await soon(anext(outer)) == Message("a", b"1")
            assert await soon(anext(outer)) == Message("x:a", b"2")


async def test_other_programs_may_take_part(redis: RedisServer) -> None:
    async with make_pubsub(redis.url) as pubsub, pubsub.subscribe("a") as subscription:
        redis.ask("PUBLISH", "a", "from elsewhere")
        assert await soon(anext(subscription)) == Message("a", b"from elsewhere")


async def test_a_unix_socket(redis: RedisServer) -> None:
    async with make_pubsub(f"unix://{redis.socket}") as pubsub, pubsub.subscribe("a") as listening:
        await pubsub.publish("a", b"\0" * 1_000_000)
        assert await soon(anext(listening)) == Message("a", b"\0" * 1_000_000)


async def test_what_the_url_says_of_redis_py_does_no_harm(redis: RedisServer) -> None:
    options = "protocol=3&decode_responses=yes&health_check_interval=1&retry_on_timeout=yes"
    async with (
        make_pubsub(f"{redis.url}/1?{options}") as pubsub,
        pubsub.subscribe("a") as listening,
    ):
        await pubsub.publish("a", b"\xff")
        assert await soon(anext(listening)) == Message("a", b"\xff")


# -- bounds


async def test_what_waits_to_be_published_is_bounded(redis: RedisServer) -> None:
    limits = RedisLimits(max_unpublished_bytes=10_000, publish_timeout=30)
    async with RedisPubSub(redis.url, limits=limits) as pubsub:
        with redis.frozen():
            publishing = [asyncio.create_task(pubsub.publish("a", "x" * 4000)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(PublishError, match="Too much") as caught:
                await pubsub.publish("a", "x" * 4000)
            assert not caught.value.uncertain
        assert await soon(asyncio.gather(*publishing)) == [False, False]
        assert await pubsub.publish("a", "x" * 4000) is False


async def test_a_publisher_that_goes_away_leaves_nothing(redis: RedisServer) -> None:
    limits = RedisLimits(max_unpublished_bytes=10_000, publish_timeout=0.01)
    pubsub = RedisPubSub("redis://127.0.0.1:1", limits=limits)
    async with pubsub:
        for _ in range(5):
            with pytest.raises(PublishError, match="No connection"):
                await pubsub.publish("a", "x" * 9000)
            task = asyncio.create_task(pubsub.publish("a", "x" * 9000))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


# -- who is let in


@pytest.fixture
def guarded(redis: RedisServer) -> str:
    """The URL of a server for a user who may use the channels "open..." alone."""
    redis.ask("ACL", "SETUSER", "ann", "on", ">se cret", "resetchannels", "&open*", "+@all")
    return redis.url.replace("redis://", "redis://ann:se%20cret@")


class Unsteady:
    """A connector, whose connections live for so many seconds (None: do not come about), and a
    link's user, who has nothing to say."""

    ResponseError = KeyError
    trouble = (OSError,)
    is_connected = True

    def __init__(self, lives: float | None) -> None:
        self.lives = lives

    def make(self) -> Unsteady:
        return self

    async def connect(self) -> None:
        if self.lives is None:
            raise ConnectionError

    async def read_response(self, *, timeout: float) -> Any:
        await asyncio.sleep(self.lives or 0)
        raise ConnectionError

    async def disconnect(self) -> None: ...
    def link_up(self) -> None: ...
    def link_down(self) -> None: ...
    def commands(self) -> tuple[()]:
        return ()

    async def answer(self, answer: Any) -> None: ...


@pytest.mark.parametrize(
    ("lives", "limits", "delays"),
    [
        (None, RedisLimits(), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]),
        (0, RedisLimits(), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]),
        (0.03, RedisLimits(first_retry=0.01, last_retry=0.02), [0.01] * 4),
    ],
)
async def test_longer_and_longer_between_attempts(
    lives: float | None,
    limits: RedisLimits,
    delays: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As long as no connection is good for a while."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == len(delays):
            raise asyncio.CancelledError

    monkeypatch.setattr(redis_link, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    monkeypatch.setattr(redis_link, "random", SimpleNamespace(uniform=lambda low, high: high))
    unsteady: Any = Unsteady(lives)
    with pytest.raises(asyncio.CancelledError):
        await redis_link.Link("testing", unsteady, unsteady, limits).run()
    assert waited == pytest.approx(delays)


async def test_much_is_sent_piece_by_piece() -> None:
    """Of what waits, some is sent at a time: what is packed for the way is memory, too."""
    publishing = RedisPubSub("redis://127.0.0.1:1")._publishing
    message = Message("a", bytes(100_000))
    tasks = [asyncio.create_task(publishing.publish(message)) for _ in range(8)]
    await settled()
    pieces = [len(publishing.commands()) for _ in range(4)]
    assert pieces == [3, 3, 2, 0]
    publishing.link_down()
    for task in tasks:
        with pytest.raises(PublishError, match="lost"):
            await task


async def test_the_server_refuses_a_channel(guarded: str) -> None:
    async with make_pubsub(guarded) as pubsub, pubsub.subscribe("open") as subscription:
        with pytest.raises(PubSubError, match=r"'closed'.*permission"):
            await pubsub.subscribe("closed").__aenter__()
        with pytest.raises(PublishError, match="permission") as caught:
            await pubsub.publish("closed", "1")
        assert not caught.value.uncertain
        await pubsub.publish("open", "2")
        assert await soon(anext(subscription)) == Message("open", b"2")
        # A subscription is all of its channels, or none.
        with pytest.raises(PubSubError, match="'closed'"):
            await subscription.add("open2", "closed")
        with pytest.raises(PubSubError, match="'closed'"):
            await anext(subscription)
        assert pubsub._channels == {}


async def test_nobody_learns_the_password(
    guarded: str, caplog: pytest.LogCaptureFixture, redis: RedisServer
) -> None:
    caplog.set_level(logging.DEBUG)
    async with make_pubsub(guarded) as pubsub:
        assert "cret" not in repr(pubsub)
        redis.kill()
        await until(lambda: caplog.text.count("No connection to Redis") == 2)
    assert "cret" not in caplog.text


async def test_a_wrong_password(
    guarded: str, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It opens all the same, says why it does not work, and works when it can."""
    limits = RedisLimits(publish_timeout=0.01, last_retry=0.1)
    wrong = guarded.replace("se%20cret", "nonsense")
    async with RedisPubSub(wrong, limits=limits) as pubsub, pubsub.subscribe("open") as listening:
        assert not pubsub.connected
        assert "invalid username-password pair" in caplog.text
        with pytest.raises(PublishError) as caught:
            await pubsub.publish("open", "1")
        assert not caught.value.uncertain
        redis.ask("ACL", "SETUSER", "ann", ">nonsense")
        assert await soon(anext(listening)) == Lost(None)
        await until(lambda: pubsub.connected)
    assert len([r for r in caplog.records if "invalid username" in r.getMessage()]) == 2
