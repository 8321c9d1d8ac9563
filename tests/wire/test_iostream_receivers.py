"""IOStream with a receiver: deadlines, and bytes that are pushed instead of read."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from streams import OURS, Calls, Streams
from support import soon, until


class Receiver:
    """Takes what a stream gives it, as long as it is told to."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.taking = True
        self.events: list[str] = []
        self.received = b""
        self.fault: Exception | None = None

    def bytes_arrived(self) -> bool:
        if self.fault is not None:
            raise self.fault
        if self.taking:
            self.received += self.stream.buffer.take(1 << 30)
        return self.taking

    def end_of_input(self) -> None:
        self.events.append("end")

    def stream_closed(self) -> None:
        self.events.append("closed")

    def deadline_passed(self) -> None:
        self.events.append("deadline")
        if self.fault is not None:
            raise self.fault


async def pushed(streams: Streams, **options: Any) -> tuple[Any, Any, Receiver]:
    """An open stream with a receiver."""
    stream, peer = streams.pair(**options)
    await soon(stream.write(b"-"))
    await peer.take(1)
    receiver = Receiver(stream)
    stream.set_receiver(receiver)
    return stream, peer, receiver


@OURS
async def test_a_deadline_by_a_clock_of_ours(streams: Streams) -> None:
    now = 100.0
    clock = streams.io.DeadlineClock(interval=2.0, time=lambda: now)
    stream, _, receiver = await pushed(streams)
    other, _, other_receiver = await pushed(streams)
    stream.watch(clock)
    other.watch(clock)
    assert len(clock) == 2 and clock.now == now
    clock.sweep(110.0)
    stream.set_deadline(5)
    clock.sweep(110.0 + 1.9 + 5)  # it may have been set just before the next look at the time
    assert receiver.events == [], "never early"
    clock.sweep(110.0 + 5 + 2 * 2.0)
    assert receiver.events == ["deadline"], "late by two intervals at most"
    clock.sweep(1e9)
    assert receiver.events == ["deadline"] and other_receiver.events == []
    stream.set_deadline(1)
    stream.set_deadline(None)
    clock.sweep(2e9)
    assert receiver.events == ["deadline"]
    stream.set_deadline(0)
    clock.sweep(clock.now + 2.0)
    assert receiver.events == ["deadline"] * 2
    stream.abort()
    await until(lambda: len(clock) == 1)
    other.close()
    await until(lambda: len(clock) == 0)


@OURS
async def test_a_deadline_that_is_set_without_a_clock_comes(streams: Streams) -> None:
    stream, _, receiver = await pushed(streams)
    begin = time.monotonic()
    stream.set_deadline(0.05)
    await until(lambda: receiver.events)
    assert time.monotonic() - begin >= 0.05
    assert receiver.events == ["deadline"]
    clock = stream.clock
    stream.abort()
    await until(lambda: len(clock) == 0)
    assert clock._timer is None, "nothing ticks for nobody"
    stream.set_deadline(5)
    assert len(clock) == 0


@OURS
async def test_a_closed_stream_gets_no_clock(streams: Streams) -> None:
    stream, _ = streams.pair()
    stream.close()
    stream.set_deadline(5)
    assert stream.clock is None or (len(stream.clock) == 0 and stream.clock._timer is None)


@OURS
async def test_one_receiver_that_raises_does_not_stop_the_clock(streams: Streams) -> None:
    clock = streams.io.DeadlineClock(interval=0.01)
    stream, _, receiver = await pushed(streams)
    other, _, other_receiver = await pushed(streams)
    stream.watch(clock)
    other.watch(clock)
    receiver.fault = ValueError("a fault")
    stream.set_deadline(0)
    other.set_deadline(0.05)
    await until(lambda: other_receiver.events)
    assert receiver.events == ["deadline"]
    assert [context["exception"] for context in streams.unheard] == [receiver.fault]
    streams.unheard.clear()


# ------------------------------------------------------------------------------ pushing


@OURS
async def test_bytes_are_pushed_and_the_end_is_told(streams: Streams) -> None:
    _, peer, receiver = await pushed(streams)
    await peer.send(b"abc")
    await until(lambda: receiver.received)
    await peer.send(b"def")
    await until(lambda: receiver.received == b"abcdef")
    peer.close()
    await until(lambda: "closed" in receiver.events)
    assert receiver.events == ["end", "closed"]


@OURS
async def test_a_receiver_that_takes_no_more_pauses_the_peer(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    receiver.taking = False
    total = 20 << 20
    sending = asyncio.ensure_future(peer.send(bytes(total)))
    await until(lambda: stream.paused)
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < len(stream.buffer) <= 256 << 10, "one read"
    assert not sending.done()
    receiver.taking = True
    receiver.bytes_arrived()
    stream.resume_reading()
    await until(lambda: len(receiver.received) == total)
    await sending


@OURS
async def test_from_push_to_pull_with_bytes_that_nobody_took(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    receiver.taking = False
    await peer.send(b"one\ntw")
    await until(lambda: stream.paused)
    stream.set_receiver(None)
    assert await soon(stream.read_until(b"\n")) == b"one\n"
    read = stream.read_until(b"\n")
    assert not stream.paused
    await peer.send(b"o\nrest")
    assert await soon(read) == b"two\n"
    other = Receiver(stream)
    stream.set_receiver(other)
    assert other.received == b"", "what is there already is not announced"
    await peer.send(b"!")
    await until(lambda: other.received == b"rest!")


@OURS
async def test_a_receiver_that_raises_closes_its_stream(streams: Streams) -> None:
    stream, peer, receiver = await pushed(streams)
    closed = Calls()
    stream.set_close_callback(closed)
    receiver.fault = ValueError("a fault")
    await peer.send(b"x")
    await until(lambda: closed.count)
    assert receiver.events == ["closed"] and closed.count == 1
    assert stream.error is receiver.fault
    assert await peer.rest() == b""
    assert [context["exception"] for context in streams.unheard] == [receiver.fault]
    streams.unheard.clear()


@OURS
async def test_a_receiver_is_let_go_of(streams: Streams) -> None:
    stream, _, receiver = await pushed(streams)
    held = sys.getrefcount(receiver)
    stream.abort()
    await until(lambda: "closed" in receiver.events)
    assert sys.getrefcount(receiver) < held
    assert receiver.events == ["closed"]
