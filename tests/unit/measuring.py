"""How much time and memory something takes, as far as a test can rely on it."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable


def growth(work: Callable[[int], object], small: int) -> float:
    """How many times longer 8 times the input takes (linear: 8, quadratic: 64); best of five."""

    def best(size: int) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            work(size)
            times.append(time.process_time() - start)
        return max(min(times), 1e-4)

    return best(small * 8) / best(small)


def peak_memory(work: Callable[[], object]) -> int:
    """How many bytes more than before were in use at the most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
