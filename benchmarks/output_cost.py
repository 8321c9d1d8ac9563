"""What entity tags and compression cost, in one process: `python benchmarks/output_cost.py`.

No kernel and no client: requests are given to a connection of ours as bytes, and its answers are
thrown away. Each figure is the best of many batches, the variants taking turns, so what else the
machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from nowhere import connect

from tornadoish.httpserver import HTTPServer
from tornadoish.web import Application, ContentEncoding, RequestHandler
from tornadoish.web.conditional import etag_of

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
SIZES = (13, 1024, 16 * 1024, 64 * 1024, 128 * 1024, 1024 * 1024)


def page(size: int) -> bytes:
    """Something like HTML."""
    chance = random.Random(1)
    words = [
        "".join(chance.choices("etaoinshrdlucmfw", k=chance.randint(2, 9))) for _ in range(3000)
    ]
    lines: list[str] = []
    length = 0
    while length < size:
        link = f'<li class="row"><a href="/item/{chance.randint(0, 1 << 20)}">'
        lines.append(f"{link}{' '.join(chance.choices(words, k=8))}</a></li>\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def best(work: Callable[[], object], seconds: float = 0.2) -> float:
    """Microseconds of one call."""
    least, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.process_time()
        for _ in range(20):
            work()
        least = min(least, (time.process_time() - begin) / 20)
    return least * 1e6


def connection(body: bytes, *, fresh: bool = False, **settings: Any) -> Callable[[], None]:
    """A function that has one request answered."""
    numbers: Iterator[int] = iter(range(1 << 40))

    class Handler(RequestHandler):
        def get(self) -> None:
            self.write(b"%08d" % next(numbers) + body[8:] if fresh else body)

    server = HTTPServer(Application([("/", Handler)], log_function=lambda _: None, **settings))
    stream = connect(server)
    return lambda: stream.data_received(REQUEST)


def tags(seconds: float) -> None:
    print("\nus of CPU: the hash alone; a whole request with a tag, and without")
    for size in SIZES[:4]:
        body = page(size)
        for fresh in (False, True):
            pair = [connection(body, fresh=fresh, automatic_etag=on) for on in (True, False)]
            times = [float("inf")] * 2
            for turn in range(10):
                for index in (0, 1) if turn % 2 else (1, 0):
                    times[index] = min(times[index], best(pair[index], seconds / 10))
            kind = "another body each time" if fresh else "the same body"
            alone = best(lambda body=body: etag_of(body))
            print(f"{size:8d} B, {kind:22s} {alone:8.2f} {times[0]:8.2f} {times[1]:8.2f}")


def codings() -> None:
    print("\nms and bytes of a whole body in each coding")
    for size in SIZES[1:]:
        body, shown = page(size), [f"{size:8d} B "]
        for coding in ("gzip", "br", "zstd"):
            made: list[bytes] = []

            def work(coding: str = coding, body: bytes = body, made: list[bytes] = made) -> None:
                compressor = ContentEncoding.__new__(ContentEncoding)._make_compressor(coding)
                made[:] = [compressor(body, True)]

            shown.append(f"{coding} {best(work) / 1000:7.3f} {len((work(), made)[1][0]):7d}")
        print("  ".join(shown))


async def thread() -> None:
    print("\nus from a call in a thread to its result here:", end=" ")
    loop, times = asyncio.get_running_loop(), []
    for _ in range(2000):
        begin = time.perf_counter()
        await loop.run_in_executor(None, int)
        times.append(time.perf_counter() - begin)
    times.sort()
    print(f"{times[len(times) // 2] * 1e6:.0f} (median), {times[-20] * 1e6:.0f} (99 %)")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each request (%(default)s)")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    tags(arguments.seconds)
    codings()
    await thread()


if __name__ == "__main__":
    asyncio.run(main())
