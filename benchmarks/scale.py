"""How the cost of tornadoish grows, with connections, routes, header fields, bodies and workers.

    python benchmarks/scale.py                        # all of it, about six minutes
    python benchmarks/scale.py --what routes,headers --rounds 1 --json FILE
    python benchmarks/scale.py --publish              # and docs/scale and docs/capacity.md anew

Needs Linux and wrk; without haproxy, Tornado or uvloop their curves are missing. A round visits
every point of every curve, upwards and downwards by turns, so that the machine's mood falls on all
of them alike; what is shown is the median of the rounds. README.md says more.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import report
import scale_load
from cases import CASES, HELLO, Case
from compare import say, terminate
from load import Settings
from processes import Cpus, ServerError, on_cpu
from scale_load import Idle, Rated, app, idle_on, moved, rated, serving
from scale_model import OURS, Book, Key

DOCS = scale_load.ROOT / "docs"
MEASURED = DOCS / "scale" / "measured.json"
KIB, MIB = 1 << 10, 1 << 20

ACTIVE = 16
"""Connections that ask, while all others are idle."""
OPEN = (0, 84, 984, 4_984, 9_984, 19_884)
"""Idle connections beside them."""
WEBSOCKETS = (0, 1_000, 5_000, 10_000, 19_884)
CONCURRENT = (1, 4, 16, 64, 256)
ROUTES = (1, 10, 100, 500, 1_000, 2_000, 5_000)
PATTERNS = (1, 10, 100, 1_000, 5_000)
FIELDS = (0, 1, 10, 25, 50, 100)
SIZES = (0, KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB)
PIECES = (2 * KIB, 4 * KIB, 16 * KIB, 64 * KIB)
"""Of uploads by slow clients."""
KEPT_BY_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(256 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(512 * MIB),
}
"""With these, glibc does not give the memory of each large body back to the system."""
WORKERS = (1, 2, 3, 4)
TUNNELS = 4_000
"""WebSockets through haproxy."""
BODY_BYTES = 64 * MIB
"""About so much is sent for each size of a body."""


@dataclass
class Run:
    """What all measurements have in common."""

    book: Book
    cpus: Cpus
    number: int
    seconds: int

    def order(self, points: Iterable[int]) -> list[int]:
        """Upwards, and downwards in every other round."""
        rising = sorted(points)
        return rising[::-1] if self.number % 2 else rising

    def rate(
        self, case: Case, pid: int, port: int, connections: int = ACTIVE, fields: int = 0
    ) -> Rated:
        """wrk, pinned."""
        settings = Settings(seconds=self.seconds, connections=connections, mib=0, cpus=self.cpus)
        got = rated(case, pid, port, settings, fields)
        if self.cpus.server is not None:
            self.book.others.append(got.others)
        return got


def ends(points: Sequence[int], *middle: int) -> list[int]:
    """The first, the last, and some between them: enough for a yardstick."""
    return [points[0], *middle, points[-1]]


def has(module: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(module) is not None


def peers(*names: str) -> list[str]:
    """Those that are installed."""
    return [name for name in names if has({"bare": "uvloop"}.get(name, name))]


def command(server: str, *arguments: str) -> list[str]:
    """How a server is started; the bare protocol takes no arguments."""
    if server == "bare":
        return [str(scale_load.HERE / "servers" / "bare_uvloop.py"), "PORT"]
    return app(server, *arguments)


def hello(name: str = "hello", target: str = "/", body: bytes = HELLO,
          headers: tuple[tuple[str, str], ...] = ()) -> Case:  # fmt: skip
    """A GET and the answer that it must have."""
    return Case(
        name=name, work=name, target=target, headers=headers, about=name,
        check=lambda reply: reply.body == body,
    )  # fmt: skip


# -- what grows


def open_and_idle(run: Run, server: str, points: Sequence[int], most: int) -> None:
    """Requests on a few connections, beside ever more that are idle; what these hold."""
    case = hello()
    with serving(command(server), run.cpus.server) as (pid, port), idle_on(port) as idle:
        run.rate(case, pid, port)  # all code has run, and pools are filled
        own, kernel = scale_load.own_descriptors(pid), scale_load.slab_kib()
        for wanted in run.order(points):
            count = min(wanted, most)
            idle.hold(count)
            if run.number % 2 == 0:  # what is given back downwards stays in the process
                book_memory(run, "connections", server, count, pid, kernel)
            got = run.rate(case, pid, port)
            if server == OURS:
                run.book.add(Key("connections", "p50", server), count + ACTIVE, got.p50_us)
                run.book.add(Key("connections", "p99", server), count + ACTIVE, got.p99_us)
            run.book.add(Key("connections", "cpu", server), count + ACTIVE, got.cost)
            held(idle, pid, own, count)


def book_memory(run: Run, what: str, server: str, count: int, pid: int, kernel: int) -> None:
    """What the process and (both ends, so half of it is the server's) the kernel hold."""
    run.book.add(Key(what, "resident", server), count, scale_load.resident_kib(pid))
    if count:
        grown = (scale_load.slab_kib() - kernel) / 2
        run.book.add(Key(what, "kernel-each", server), count, max(grown / count, 0.001))


def held(idle: Idle, pid: int, own: int, count: int) -> None:
    """Whether the server still has all of them, and still answers on them."""
    deadline = time.monotonic() + 5  # for those of wrk, and those closed just now, to be gone
    # One more or less: of a listening socket uvloop has a second one until the collector runs.
    while abs((found := scale_load.descriptors(pid) - own) - count) > 1:
        if time.monotonic() < deadline:
            time.sleep(0.02)
            continue
        raise ServerError(f"{found} connections instead of {count}")
    idle.check()


def websockets(run: Run, most: int) -> None:
    """What idle WebSockets hold."""
    with serving(app(OURS), run.cpus.server) as (pid, port), idle_on(port, True) as idle:
        own = scale_load.own_descriptors(pid)
        idle.hold(200)
        idle.hold(0)
        held(idle, pid, own, 0)
        kernel = scale_load.slab_kib()
        for wanted in WEBSOCKETS:
            count = min(wanted, most)
            idle.hold(count)
            book_memory(run, "websockets", OURS, count, pid, kernel)
            held(idle, pid, own, count)


def connections(run: Run) -> None:
    """Idle ones beside active ones, WebSockets, and ever more active ones."""
    most = min(scale_load.most_connections(), OPEN[-1])
    for server in [OURS, *peers("bare")]:
        open_and_idle(run, server, OPEN if server == OURS else ends(OPEN), most)
    websockets(run, most)
    for server in [OURS, *peers("bare")]:
        with serving(command(server), run.cpus.server) as (pid, port):
            for count in run.order(CONCURRENT if server == OURS else ends(CONCURRENT, 16)):
                got = run.rate(hello(), pid, port, count)
                run.book.add(Key("concurrent", "cpu", server), count, got.cost)


def routes(run: Run) -> None:
    """The last of ever more routes."""
    kinds = [("text", OURS, ROUTES), ("pattern", OURS, PATTERNS)]
    kinds += [("text", server, ends(ROUTES, 500)) for server in peers("tornado")]
    for kind, server, points in kinds:
        for count in run.order(points):
            option, target = ("--routes", f"/r{count - 1}/abc")
            if kind == "pattern":
                option, target = ("--patterns", f"/abc.p{count - 1}")
            case = hello("routes", target, b"abc")
            start = command(server, option, str(count))
            with serving(start, run.cpus.server) as (pid, port):
                got = run.rate(case, pid, port)
            run.book.add(Key("routes", kind, server), count, got.cost)


def headers(run: Run) -> None:
    """Requests with ever more fields: the same ones again and again, or one of them new."""
    for server in [OURS, *peers("tornado")]:
        points = FIELDS if server == OURS else ends(FIELDS, 50)
        with serving(command(server), run.cpus.server) as (pid, port):
            for count in run.order(points):
                fields = tuple(
                    (f"X-Field-{number:03}", "value-of-field-00000000")
                    for number in range(1, count + 1)
                )
                case = hello("headers", headers=fields)
                got = run.rate(case, pid, port)
                run.book.add(Key("headers", "same", server), count, got.cost)
                if count and server == OURS:
                    got = run.rate(hello("headers"), pid, port, fields=count)
                    run.book.add(Key("headers", "varied", server), count, got.cost)


def body(run: Run) -> None:
    """Bodies of any size, up and down, streamed and held; slow ones."""
    for server in [OURS, *peers("tornado")]:
        points = SIZES if server == OURS else ends(SIZES, MIB)
        for kind in ("up", "kept", "down"):
            bodies(run, server, kind, kind, points)
    with scale_load.environment(**KEPT_BY_MALLOC):
        bodies(run, OURS, "kept", "reused", SIZES)
    with serving(app(OURS), run.cpus.server) as (pid, port):
        for piece in run.order(PIECES):
            cost, others = scale_load.paced(pid, port, run.cpus.server, piece)
            run.book.others.append(others)
            run.book.add(Key("paced", "up"), piece / KIB, cost)


def bodies(run: Run, server: str, kind: str, name: str, points: Sequence[int]) -> None:
    """All sizes of one kind, with one server."""
    with serving(command(server), run.cpus.server) as (pid, port):
        moved(kind, pid, port, run.cpus.server, KIB, 0)
        for size in run.order(points):
            got = moved(kind, pid, port, run.cpus.server, size, BODY_BYTES)
            run.book.others.append(got.others)
            run.book.add(Key("body", name, server), size / KIB, got.cost)
            run.book.add(Key("peak", name, server), size / KIB, got.peak / KIB)


def workers(run: Run) -> None:
    """So many processes under a supervisor: on all CPUs, of which the load has its part, and
    together on one, with the load on the other."""
    anywhere = Run(run.book, Cpus(server=None, load=None), run.number, run.seconds)
    file = str(scale_load.HERE / "servers" / "scale_workers.py")
    quiet = ["--no-access-log", "--log-level", "warning"]
    for count in run.order(WORKERS):
        start = ["-m", "tornadoish", file, "--port", "PORT", "--workers", str(count), *quiet]
        with scale_load.on_all_cpus(), serving(start, None) as (pid, port):
            scale_load.settle(pid, count + 1)
            anywhere.rate(hello(), pid, port, 64)  # every worker has run all code
            free = anywhere.rate(hello(), pid, port, 64)
            scale_load.pin(pid, run.cpus.server)
            pinned = run.rate(hello(), pid, port, 64)
            scale_load.settle(pid, count + 1)
        run.book.add(Key("workers", "cpu"), count, free.cost)
        run.book.add(Key("workers", "rate"), count, free.rate)
        run.book.add(Key("workers", "one-cpu"), count, pinned.cost)


def requests(run: Run) -> None:
    """The figures that capacity is reckoned from: kinds of requests, and haproxy in between."""
    kinds = [case for case in CASES if isinstance(case, Case)]
    for case in [case for case in kinds if case.name in ("hello", "json", "post")]:
        with serving(app(OURS), run.cpus.server) as (pid, port):
            got = run.rate(case, pid, port, 32)
        run.book.add(Key("requests", case.name), 0, got.cost)
    if shutil.which("haproxy") is None:
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, port = stack.enter_context(serving(app(OURS), run.cpus.server))
        proxy = scale_load.haproxy(port, run.cpus.server, folder)
        pid, plain, secure = stack.enter_context(proxy)
        got = run.rate(hello(), pid, plain, 32)
        run.book.add(Key("requests", "hello", "haproxy"), 0, got.cost)
        got = run.rate(replace(hello(), tls=True), pid, secure, 32)
        run.book.add(Key("requests", "hello-tls", "haproxy"), 0, got.cost)
        with idle_on(plain, True) as idle:
            idle.hold(200)
            before = scale_load.resident_kib(pid)
            idle.hold(200 + TUNNELS)
            grown = scale_load.resident_kib(pid) - before
            idle.check()
        run.book.add(Key("requests", "tunnel-kib", "haproxy"), 0, grown / TUNNELS)


WHAT: dict[str, Callable[[Run], None]] = {
    "connections": connections,
    "routes": routes,
    "headers": headers,
    "body": body,
    "workers": workers,
    "requests": requests,
}

PAGE_NEEDS = ("matplotlib", "tornado", "uvloop")
BESIDE = {"connections": ("websockets", "concurrent"), "body": ("peak", "paced")}
"""What curves a measurement has besides those of its own name."""


def measure(names: Sequence[str], rounds: int, seconds: int) -> Book:
    """All rounds of all that is asked for; what fails once is not measured again."""
    cpus = Cpus.split()
    book = Book(
        environment=report.environment(),
        settings={"rounds": rounds, "seconds": seconds, "what": list(names), "active": ACTIVE},
    )
    failed: set[str] = set()
    with on_cpu(cpus.load):
        for number in range(rounds):
            for name in names:
                if name in failed:
                    continue
                start = time.monotonic()
                try:
                    WHAT[name](Run(book, cpus, number, seconds))
                except ServerError as error:
                    failed.add(name)
                    book.failures.append(f"{name}: {str(error).splitlines()[0]}")
                    say(f"FAILED {name}, round {number + 1}: {error}")
                say(f"{name} {number + 1}/{rounds}: {time.monotonic() - start:.0f} s")
    # The rounds that went well are no answer to the one that did not.
    lost = {what for name in failed for what in (name, *BESIDE.get(name, ()))}
    book.curves = {key: curve for key, curve in book.curves.items() if key.what not in lost}
    return book


def print_book(book: Book) -> None:
    """Every curve as its points and its fit."""
    print(", ".join(f"{name} {value}" for name, value in book.environment.items()))
    if book.others:
        usual, worst = median(book.others), max(book.others)
        print(f"others had {usual:.0%} of the server's CPU in the median measurement, {worst:.0%} "
              "in the worst")  # fmt: skip
    for key in book.curves:
        xs, ys = book.points(key)
        shown = "  ".join(f"{x:g}: {y:.4g}" for x, y in zip(xs, ys, strict=True))
        print(f"\n{key}\n  {shown}")
        with contextlib.suppress(ValueError):
            got = book.fit(key)
            line = f"{got.start:.4g} + {got.slope:.4g} x, within {got.deviation:.0%}"
            print(f"  {got.verdict}: {line}; exponent {got.exponent}; rounds {got.spread:.0%}")
            if knee := got.knee:
                print(f"  knee at {knee.x:g}: {knee.before:.4g} x before, {knee.behind:.4g} behind")
            for jump in got.jumps:
                print(f"  from {jump.x:g} to {jump.to:g}: {jump.factor:.3g} times")


def main() -> int:
    """0 if all was measured, 1 if something failed, 2 if nothing can be measured here."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--what", default=",".join(WHAT), help="of: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="of each load (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--publish", action="store_true", help="docs/scale, and docs/capacity.md from it"
    )
    parser.add_argument(
        "--tree", type=Path, metavar="DIR", help="where tornadoish is (default: this checkout)"
    )
    options = parser.parse_args()
    if options.tree is not None:
        scale_load.PACKAGE = options.tree.resolve()
    names = options.what.split(",")
    if unknown := [name for name in names if name not in WHAT]:
        parser.error(f"--what: unknown {', '.join(unknown)}")
    needed = [*(set(WHAT) - set(names)), *(name for name in PAGE_NEEDS if not has(name))]
    needed += [] if shutil.which("haproxy") else ["haproxy"]
    if options.publish and needed:
        parser.error(f"--publish needs {', '.join(needed)}, too (pip install '.[bench]')")
    if not sys.platform.startswith("linux") or shutil.which("wrk") is None:
        say("needs Linux, whose /proc the costs are read from, and wrk")
        return 2
    signal.signal(signal.SIGTERM, terminate)
    book = measure(names, options.rounds, options.seconds)
    compiled = list((scale_load.PACKAGE / "tornadoish").glob("buffer.*.so"))
    book.settings = {**book.settings, "compiled": bool(compiled)}
    print_book(book)
    if options.json:
        book.write(options.json)
    if options.publish and not book.failures:
        import scale_plots

        MEASURED.parent.mkdir(exist_ok=True)
        book.write(MEASURED)
        scale_plots.publish(MEASURED, MEASURED.parent)
    return 1 if book.failures else 0


if __name__ == "__main__":
    sys.exit(main())
