"""Slot: the place of one worker, whose holders follow each other without a gap.

Made by the supervisor, one for each worker that is to serve. It holds who serves there, who is to
follow, and who still drains, and counts how often in a row nobody could stay. It never starts a
process.
"""

from __future__ import annotations

from tornadoish.supervisor.policy import Policy
from tornadoish.supervisor.worker import GONE, SERVING, STARTING, Worker


class Slot:
    """One worker's place."""

    __slots__ = ("_policy", "coming", "failures", "index", "leaving", "not_before", "serving",
                 "wanted")  # fmt: skip

    def __init__(self, index: int, policy: Policy) -> None:
        self._policy = policy
        self.index = index
        self.serving: Worker | None = None
        #: who starts; takes over from ``serving`` when it is ready
        self.coming: Worker | None = None
        self.leaving: list[Worker] = []
        #: the oldest generation that is good enough
        self.wanted = 0
        #: how many workers in a row were lost before they had been ready for a while
        self.failures = 0
        #: the loop's time before which nobody is started here
        self.not_before = 0.0

    def workers(self) -> list[Worker]:
        """All that have a process, the oldest first."""
        there = [*self.leaving, self.serving, self.coming]
        return [worker for worker in there if worker is not None]

    def outdated(self) -> bool:
        """Whether who serves here is of a generation that is to be replaced."""
        return self.serving is not None and self.serving.generation < self.wanted

    def settle(self, now: float) -> list[Worker]:
        """Let everybody move on who has, and return who was lost: is no longer at work, and was not
        dismissed."""
        lost = []
        coming, serving = self.coming, self.serving
        if coming is not None and coming.state != STARTING:
            self.coming = None
            if coming.state == SERVING:
                if serving is not None:
                    self._dismiss(serving)
                self.serving = serving = coming
            else:
                lost.append(coming)
        if serving is not None:
            if serving.state != SERVING:
                self.serving = None
                lost.append(serving)
            elif self.failures and self._is_steady(serving, now):
                self.failures = 0
        for worker in lost:
            self._lose(worker, now)
        self.leaving = [worker for worker in self.leaving if worker.state != GONE]
        return lost

    def failed(self, now: float) -> None:
        """Count one more failure; the next start waits the longer."""
        policy = self._policy
        self.failures += 1
        wait = policy.backoff_seconds * 2 ** min(self.failures - 1, 30)
        self.not_before = now + min(wait, policy.max_backoff_seconds)

    def _dismiss(self, worker: Worker) -> None:
        worker.drain(replaced=True)
        self.leaving.append(worker)

    def _lose(self, worker: Worker, now: float) -> None:
        self.leaving.append(worker)
        if self._is_steady(worker, now):
            self.failures = 0
        else:
            self.failed(now)
            if self.failures == 1 and worker.ready_at is not None:
                self.not_before = now  # it can start: who waits in its queue need not wait longer

    def _is_steady(self, worker: Worker, now: float) -> bool:
        return worker.ready_at is not None and now - worker.ready_at >= self._policy.steady_seconds
