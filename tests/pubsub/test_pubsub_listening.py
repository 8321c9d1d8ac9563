"""Whatever happens in whichever order between a process and its Redis server: nobody who is
subscribed misses a message that was published without being told.

The server is a model that has what counts: it does commands in their order, and what it says
arrives in the order in which it was said, as long as the connection lasts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import settled

from tornadoish.pubsub import Lost, RedisPubSub, Subscription
from tornadoish.pubsub.subscription import Stage

pytest.importorskip("redis", reason="redis-py is not installed")

CHANNELS = "abc"


class Server:
    """The model, the two ways of the connection, and what was published so far."""

    def __init__(self, pubsub: RedisPubSub) -> None:
        self.listening = pubsub._listening
        self.subscribed: set[str] = set()
        self.commands: deque[Any] = deque()
        self.said: deque[Any] = deque()
        self.published = dict.fromkeys(CHANNELS, 0)

    def connect(self) -> None:
        if not self.listening.link.up:
            self.listening.link.up = True
            self.listening.link_up()

    def disconnect(self) -> None:
        if self.listening.link.up:
            self.listening.link.up = False
            self.listening.link_down()
        self.subscribed.clear()
        self.commands.clear()
        self.said.clear()

    def flush(self) -> None:
        """The process sends what it has to say."""
        if self.listening.link.up:
            self.commands.extend(self.listening.commands())

    def work(self) -> None:
        """The server does one command."""
        if not self.commands:
            return
        name, channel = self.commands.popleft()
        if name == "SUBSCRIBE":
            assert channel not in self.subscribed, "subscribed twice"
            self.subscribed.add(channel)
        else:
            self.subscribed.remove(channel)
        self.said.append([name.lower().encode(), channel.encode(), len(self.subscribed)])

    def publish(self, channel: str) -> None:
        """Somebody does: the channel's next number."""
        number = self.published[channel]
        self.published[channel] += 1
        if channel in self.subscribed:
            self.said.append([b"message", channel.encode(), str(number).encode()])

    async def hear(self) -> None:
        """The process reads one of the things that the server has said."""
        if self.said:
            await self.listening.answer(self.said.popleft())


class Listener:
    """One subscription, its life, and what must be in it."""

    def __init__(self, server: Server, subscription: Subscription) -> None:
        self.server = server
        self.subscription = subscription
        self.since: dict[str, int] | None = None  # what had been published when it was entered
        self.gaps: dict[int, dict[str, int]] = {}  # and at the end of each gap
        self.in_gap = False
        self.task = asyncio.create_task(self.enter())

    async def enter(self) -> None:
        await self.subscription.__aenter__()
        self.since = dict(self.server.published)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.subscription.__aexit__()

    def look(self) -> None:
        """Is this the end of a gap?"""
        if self.in_gap and not self.subscription._gap:
            count = sum(isinstance(item, Lost) for item in self.subscription._queue)
            self.gaps[count] = dict(self.server.published)
        self.in_gap = self.subscription._gap

    def check(self) -> None:
        """All is there since it was entered, or a gap in its place."""
        assert self.since is not None
        gaps, since = 0, self.since
        following: dict[str, int] = {}  # the number that must come next
        for item in self.subscription._queue:
            if isinstance(item, Lost):
                gaps += 1
                following.clear()
                # In a gap there may be more of them: for each channel one, before its first.
                while gaps not in self.gaps:
                    self.gaps[gaps] = self.gaps[min(n for n in self.gaps if n > gaps)]
                since = self.gaps[gaps]
                continue
            number = int(item.data)
            if item.channel in following:
                assert number == following[item.channel], "missed one, or had it twice"
            else:
                assert number <= since[item.channel], "missed the first"
            following[item.channel] = number + 1
        assert len(self.gaps) == gaps
        for channel in self.subscription.channels:
            assert following[channel] == self.server.published[channel], "missed the last"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(["a", "b", "ab", "abc"])),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("publish"), st.sampled_from(CHANNELS)),
        st.tuples(st.sampled_from(["flush", "work", "hear"]), st.integers(1, 4)),
        st.tuples(st.sampled_from(["disconnect", "connect"]), st.none()),
    ),
    max_size=80,
)


async def run(plan: list[tuple[str, Any]]) -> None:
    pubsub = RedisPubSub("redis://127.0.0.1:1")
    pubsub._stage = Stage.OPEN  # but without connections: the model has their place
    server = Server(pubsub)
    server.connect()
    listeners: list[Listener] = []
    for what, detail in plan:
        if what == "enter":
            subscription = pubsub.subscribe(*detail, max_messages=10_000)
            listeners.append(Listener(server, subscription))
            await settled(2)
        elif what == "leave":
            if detail < len(listeners):
                await listeners.pop(detail).leave()
        elif what == "publish":
            server.publish(detail)
        elif what in ("flush", "work", "hear"):
            for _ in range(detail):
                done = getattr(server, what)()
                if done is not None:
                    await done
            await settled(2)
        else:
            getattr(server, what)()
            await settled(2)
        for listener in listeners:
            listener.look()
    # Let everything happen that is still to happen; then a last message everywhere.
    server.connect()
    for _ in range(3 * len(plan) + 10):
        server.flush()
        server.work()
        await server.hear()
        await settled(2)
        for listener in listeners:
            listener.look()
    assert not (server.said or server.commands)
    assert server.subscribed == {c for one in listeners for c in one.subscription.channels}
    for channel in CHANNELS:
        server.publish(channel)
    while server.said:
        await server.hear()
    for listener in listeners:
        assert listener.task.done()
        listener.check()
        await listener.leave()
    assert not pubsub._channels


#: a channel is left and entered again while a message is on its way
LEFT_AND_ENTERED: list[tuple[str, Any]] = [
    ("enter", "a"), ("flush", 1), ("work", 1), ("hear", 1), ("publish", "a"),
    ("leave", 0), ("flush", 1), ("enter", "a"), ("flush", 1), ("hear", 1),
    ("work", 1), ("publish", "a"), ("work", 1), ("hear", 2),
]  # fmt: skip


#: of two channels the server has confirmed the one, and of that something comes
HALF_BACK: list[tuple[str, Any]] = [
    ("enter", "ab"), ("flush", 1), ("work", 2), ("hear", 2), ("publish", "a"), ("publish", "b"),
    ("hear", 2), ("disconnect", None), ("publish", "a"), ("publish", "b"), ("connect", None),
    ("flush", 1), ("work", 1), ("hear", 1), ("publish", "a"), ("publish", "b"), ("hear", 1),
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(steps)
@example(LEFT_AND_ENTERED)
@example(HALF_BACK)
def test_whatever_happens(plan: list[tuple[str, Any]]) -> None:
    asyncio.run(run(plan))
