"""What the garbage collector costs a server, as Python has it and fitted: `python
benchmarks/collector.py`, in three minutes.

Each measurement is a process of its own, the variants taking turns: requests are given to a
connection of ours as bytes, and its answers are thrown away. The applications: hello, which makes
no garbage that needs a collector; and two that keep 200 000 objects: one answers 2000 rows as JSON,
each a dict with a list, and one makes five cycles in every request, each with 4 KiB that are held
until it is found. Shown are CPU time of a request, medians, and its ratio to the first variant in
the same round; the longest collection, in CPU time; how often the young and all were collected in
the first round; and by how much resident memory rose above that of the first 300 requests.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
KEPT = 200_000
ROWS = 2000
CYCLES = 5
HELD = 4096
WARM_UP = 300

#: requests, of each application
WORKS = {"hello": 20_000, "rows": 300, "cycles": 20_000}

#: (frozen, threshold of the young; None: Python's)
VARIANTS: dict[str, tuple[bool, int | None]] = {
    "Python's": (False, None),
    "frozen": (True, None),
    "10000": (False, 10_000),
    "frozen, 2000": (True, 2000),
    "frozen, 5000": (True, 5000),
    "frozen, 10000": (True, 10_000),
    "frozen, 50000": (True, 50_000),
}


class Pauses:
    """How long the collector has stopped everything at most, and how often it ran."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.runs = [0, 0, 0]
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.process_time()
        else:
            self.longest = max(self.longest, time.process_time() - self._began)
            self.runs[info["generation"]] += 1


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def measured(work: str, variant: str, requests: int) -> dict[str, Any]:
    """One process's figures."""
    from nowhere import connect

    from tornadoish.garbage import fitted_collector
    from tornadoish.httpserver import HTTPServer
    from tornadoish.web import Application, RequestHandler

    class Hello(RequestHandler):
        def get(self) -> None:
            self.write(b"Hello, world\n")

    class Rows(RequestHandler):
        def get(self) -> None:
            self.write({"rows": [{"id": n, "tags": [n, n]} for n in range(ROWS)]})

    class Cycles(RequestHandler):
        def get(self) -> None:
            for number in range(CYCLES):
                parent: dict[str, Any] = {"body": bytes(HELD), "number": number}
                parent["children"] = [{"parent": parent}, {"parent": parent}]
            self.write(b"Hello, world\n")

    kept = [] if work == "hello" else [{"number": [number]} for number in range(KEPT // 2)]
    handler = {"hello": Hello, "rows": Rows, "cycles": Cycles}[work]
    app = Application([("/", handler)], log_function=lambda _: None, kept=kept)
    stream = connect(HTTPServer(app))
    frozen, threshold = VARIANTS[variant]
    with fitted_collector(freeze=frozen, threshold=threshold):
        return serve(lambda: stream.data_received(REQUEST), requests)


def serve(one: Callable[[], None], requests: int) -> dict[str, Any]:
    """The figures of so many requests."""
    for _ in range(WARM_UP):
        one()
    before, pauses = peak_kib(), Pauses()
    begin = time.process_time()
    for _ in range(requests):
        one()
    used = time.process_time() - begin
    grown = peak_kib() - before
    return {"us": used / requests * 1e6, "pause": pauses.longest * 1e3, "runs": pauses.runs,
            "grown": grown / 1024}  # fmt: skip


def in_a_process(work: str, variant: str, requests: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", work, variant, str(requests)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(
            json.dumps(asyncio.run(measured(options.one[0], options.one[1], int(options.one[2]))))
        )
        return
    for work, requests in WORKS.items():
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
        names = list(VARIANTS)
        for turn in range(options.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(in_a_process(work, name, requests))
        print(f"\n| {work} | CPU us | ratio | longest pause, ms | young, all | grown, MiB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, rounds in found.items():
            base = found[names[0]]
            ratios = [one["us"] / first["us"] for one, first in zip(rounds, base, strict=True)]
            us, pause, grown = (
                statistics.median(one[key] for one in rounds) for key in ("us", "pause", "grown")
            )
            runs = rounds[0]["runs"]
            print(f"| {name} | {us:.1f} | {statistics.median(ratios):.2f} | {pause:.2f} "
                  f"| {runs[0]}, {runs[2]} | {grown:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
