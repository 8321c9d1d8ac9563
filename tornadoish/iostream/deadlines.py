"""One coarse clock that watches over many streams.

A stream has a deadline, a plain number; setting it costs an addition and arms no timer. The clock
sweeps its streams now and then and tells those whose time is over. So a time-out comes late by up
to one ``interval``, never early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tornadoish.compiling import mypyc_attr

NEVER: Final = float("inf")


class Watched(Protocol):
    """What a clock watches over."""

    #: the clock's time at which to call, or NEVER
    deadline: float

    def deadline_passed(self) -> None: ...
    def write_deadline_passed(self) -> None: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class DeadlineClock:
    """Sweeps what it watches every ``interval`` seconds, as long as there is anything.

    ``now`` is the time of the last sweep, in seconds; good enough to set deadlines by, as it is
    behind by ``interval`` at most (:meth:`after` makes up for that). ``time`` replaces the loop's
    time in tests, which call :meth:`sweep` themselves.
    """

    def __init__(self, interval: float = 1.0, time: Callable[[], float] | None = None) -> None:
        self.interval = interval
        self.now = 0.0
        self._time = time
        self._streams: set[Watched] = set()
        self._behind: dict[Watched, float] = {}  # those that wait for their peer, and until when
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: Watched) -> None:
        """Watch over ``stream`` until :meth:`discard`; keeps it alive."""
        self._streams.add(stream)
        if self._timer is None:
            self._arm()

    def discard(self, stream: Watched) -> None:
        self._streams.discard(stream)
        self._behind.pop(stream, None)
        if not self._streams and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def fell_behind(self, stream: Watched, seconds: float) -> None:
        """Call ``stream.write_deadline_passed`` in ``seconds``, unless it has caught up by then."""
        self._behind[stream] = self.after(seconds)

    def caught_up(self, stream: Watched) -> None:
        self._behind.pop(stream, None)

    def after(self, seconds: float) -> float:
        """The deadline that is ``seconds`` away, at least."""
        return self.now + self.interval + seconds

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = self._time() if self._time is not None else loop.time()
        if self._time is None:
            self._timer = loop.call_later(self.interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self.sweep(asyncio.get_running_loop().time())
        finally:  # a fault of one must not stop the others' clock
            if self._streams and self._timer is None:
                self._arm()

    def sweep(self, now: float) -> None:
        """Tell every stream whose deadline is not after ``now``; once, then it has none."""
        self.now = now
        for stream in [stream for stream in self._streams if stream.deadline <= now]:
            stream.deadline = NEVER
            stream.deadline_passed()
        for stream in [stream for stream, until in self._behind.items() if until <= now]:
            if self._behind.pop(stream, None) is not None:
                stream.write_deadline_passed()

    def __len__(self) -> int:
        return len(self._streams)
