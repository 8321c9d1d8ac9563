"""How much time and memory something takes, as far as a test can rely on it."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable


def growth(work: Callable[[int], object], small: int) -> float:
    """How many times longer 8 times the input takes (linear: 8, quadratic: 64); best of five.

    Both in turns: a machine that is busy for a while is so for both.
    """
    best = {small: float("inf"), small * 8: float("inf")}
    for _ in range(5):
        for size in best:
            start = time.process_time()
            work(size)
            best[size] = min(best[size], time.process_time() - start)
    few, many = (max(seconds, 1e-4) for seconds in best.values())
    return many / few


def peak_memory(work: Callable[[], object]) -> int:
    """How many bytes more than before were in use at the most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
