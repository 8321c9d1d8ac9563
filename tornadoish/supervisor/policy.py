"""What a supervisor is told, and what it tells: its bounds, a worker's figures, a view of a worker.

Plain values, made by the command line and by workers. They never do anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

_MAY_BE_ZERO = ("grace_seconds", "jitter")
_MAY_BE_NONE = ("start_seconds", "answer_seconds", "max_requests", "max_resident_bytes")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a supervisor replaces a worker, how long it waits, and when it gives up.

    :raises ValueError: a number is negative, or is 0 where that means nothing, or ``jitter`` is not
        in 0..1.
    """

    #: seconds in which a worker that is told to drain may finish what it has begun; 0: none
    grace_seconds: float = 30.0
    #: seconds after those in which it has cut what is left, has cleaned up and ended; then it is
    #: killed
    clean_up_seconds: float = 5.0
    #: seconds, from the start of its process, until a worker must be ready; None: any time
    start_seconds: float | None = 60.0
    #: seconds in which a worker's event loop must have told that it runs; None: never looked at
    answer_seconds: float | None = 30.0
    #: requests after which a worker is replaced, looked at with every beat; None: never
    max_requests: int | None = None
    #: bytes of memory (resident set) at which a worker is replaced; None: never
    max_resident_bytes: int | None = None
    #: each worker's own two bounds above are lower by a random part, up to this one, so that
    #: workers that were started together are not worn out together
    jitter: float = 0.1
    #: seconds between two beats of a worker
    beat_seconds: float = 1.0
    #: a worker that ends within so many seconds of being ready has failed, as one that never was
    steady_seconds: float = 10.0
    #: seconds before the second start in a row of a worker that fails, each further one: twice
    #: that; the first that had been ready is replaced at once
    backoff_seconds: float = 0.5
    #: the longest wait before a start
    max_backoff_seconds: float = 30.0
    #: starts in a row that may fail in one worker's place, before the supervisor gives up. While
    #: another worker serves it does not.
    attempts: int = 5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                if field.name not in _MAY_BE_NONE:
                    raise ValueError(f"{field.name}: None means nothing")
            elif value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                raise ValueError(f"{field.name}: {value} is not positive")
        if self.jitter > 1:
            raise ValueError(f"jitter: {self.jitter} is a part, from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a worker counts, as its supervisor hears it with every beat."""

    #: requests answered since the worker was started, if somebody counts them
    requests: int = 0
    #: connections that are open
    connections: int = 0
    #: bytes of its resident set; the link looks by itself
    resident_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class WorkerView:
    """A worker as its supervisor sees it at one moment."""

    #: its place, 0 to ``workers`` - 1; two workers share one while the first drains
    slot: int
    pid: int
    #: "starting", "ready", "draining" or "ending" (killed, not gone yet)
    state: str
    #: how many times the supervisor had been told to roll when it was started
    generation: int
    #: seconds since its process was started
    age: float
    figures: Figures
