"""BodyPace: how fast a body has to come, as one deadline of its stream.

A pump makes one when a head with a body has come, says when bytes move, when the delegate is busy
and when it is ready again, and is called back by the stream when the deadline passes.
"""

from __future__ import annotations

from tornadoish.compiling import mypyc_attr
from tornadoish.http1.limits import Limits
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.iostream import NEVER, BaseIOStream


@mypyc_attr(allow_interpreted_subclasses=True)
class BodyPace:
    """Three bounds: a silence, an average over the time of one silence, and all of it together.

    Only time in which we are ready to read counts for the first two: a peer is not to blame for a
    delegate that is busy. The average is over windows of such time: one that was interrupted goes
    on where it stood, or a peer with a busy delegate would never come to the end of any.
    """

    __slots__ = ("_end", "_gap", "_least", "_stream", "_taken", "_waits_since", "_window_end")

    def __init__(self, stream: BaseIOStream, limits: Limits) -> None:
        self._stream = stream
        gap = self._gap = limits.body_gap_seconds
        self._least = 0.0 if gap is None else gap * limits.body_bytes_per_second
        self._taken = 0  # bytes that came in this window
        self._window_end = NEVER
        self._waits_since = 0.0
        self.allow(limits.body_seconds)

    def allow(self, seconds: float | None) -> None:
        """Let all of the body take ``seconds`` from now; None: as long as it comes at all."""
        self._stream.set_deadline(seconds)
        self._end = self._stream.deadline
        self._begin_window()

    def wait(self) -> None:
        """We are busy: only all of it together counts."""
        self._stream.deadline = self._end
        self._waits_since = self._now()

    def resume(self) -> None:
        """We are ready to read again."""
        self._window_end += self._now() - self._waits_since
        self._expect_more()

    def moved(self, count: int) -> None:
        """``count`` bytes have come.

        :raises HTTPInputError: 408, they came too slowly.
        """
        self._taken += count
        if self._now() < self._window_end:
            self._expect_more()
        elif self._taken < self._least:
            raise HTTPInputError("The body came too slowly", 408)
        else:
            self._begin_window()

    def _begin_window(self) -> None:
        self._taken = 0
        self._window_end = self._expect_more()

    def _expect_more(self) -> float:
        """Set the deadline of a silence that begins now; returned is where it would end."""
        if self._gap is None:
            self._stream.deadline = self._end
            return NEVER
        self._stream.set_deadline(self._gap)
        latest = self._stream.deadline
        self._stream.deadline = min(latest, self._end)
        return latest

    def _now(self) -> float:
        clock = self._stream.clock
        return 0.0 if clock is None else clock.now
