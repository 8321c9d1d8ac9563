"""What was aimed at, beside what is: `python benchmarks/targets.py`.

Measures what the table below needs as compare.py does, rounds interleaved, and prints for each line
the target, what was measured and whether it was held. A ratio is the median of the rounds' own
ratios; the times and the memory of idle connections are those of crowd.py. The exit status is 0
if everything could be measured, whether the targets were held or not; 1 if a case failed, 2 without
Linux or wrk.

    python benchmarks/targets.py                      # about 15 minutes
    python benchmarks/targets.py --quick              # about 2: rounds that are fewer and shorter
    python benchmarks/targets.py --rounds 9 --markdown

    pip install --no-deps --target ../compiled .   # compiled, if there is a compiler
    python benchmarks/targets.py --tree ../compiled
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import report
from cases import CASES, POST_BYTES, AnyCase, Server
from compare import (
    Pair,
    able_to_measure,
    carry_out,
    choose_servers,
    groups,
    positive,
    print_facts,
    print_tables,
    printing_options,
    write_json,
)
from load import Sample, Settings
from processes import Cpus

OURS = report.BASELINE
FULL = {"rounds": 5, "seconds": 3, "mib": 1024}
QUICK = {"rounds": 2, "seconds": 1, "mib": 256}
CONNECTIONS = 32


@dataclass(frozen=True)
class Quantity:
    """What is read from a sample, and what a run of several rounds makes of it."""

    read: Callable[[AnyCase, Sample], float]
    of_rounds: Callable[[Sequence[float]], float] = median


CPU = Quantity(report.cost)
MEDIAN = Quantity(lambda _, sample: sample.p50_us)
P99 = Quantity(lambda _, sample: sample.p99_us)
GROWTH_MIB = Quantity(lambda _, sample: sample.memory_growth / report.MIB, max)
"""Where a machine is not quiet, a time is too long, but no memory too large: the worst counts."""


def _kib_each(case: AnyCase, sample: Sample) -> float:
    return sample.memory_growth / report.KIB / case.connections  # type: ignore[union-attr]


KIB_EACH = Quantity(_kib_each, max)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A line of the table: a number of ours, or its ratio to `over`'s, is to be at most `bound`.

    `than` says in words what is compared with, or the unit.
    """

    work: str
    bound: float
    than: str
    case: str
    server: str = OURS
    over: report.Key | None = None
    quantity: Quantity = CPU

    @property
    def words(self) -> str:
        """The target as it is printed."""
        return f"<= {self.bound:.3g} {self.than}"

    @property
    def keys(self) -> list[report.Key]:
        """The rows that it needs."""
        return [(self.case, self.server), *([self.over] if self.over else [])]


@dataclass(frozen=True)
class Measured:
    """What came out, and between what the rounds lay."""

    value: float
    low: float
    high: float


def _against(work: str, case: str, quantity: Quantity = CPU, **bounds: float) -> Iterator[Target]:
    """The same work by us and by others, each with a bound of its own."""
    for server, bound in bounds.items():
        yield Target(work=work, case=case, bound=bound, than=f"of {server}'s",
                     over=(case, server), quantity=quantity)  # fmt: skip


def _beside(work: str, case: str, other: str, bound: float, than: str,
            quantity: Quantity = CPU) -> Target:  # fmt: skip
    """Two cases of our own server."""
    return Target(work=work, case=case, bound=bound, than=than, over=(other, OURS),
                  quantity=quantity)  # fmt: skip


FLAT_MIB = 8.0
"""By how much memory may rise while a body of any size goes through: buffers, no more."""

COROUTINE = 1.15 if sys.version_info >= (3, 12) else 1.35
"""Before 3.12 no task can be started eagerly, and each coroutine waits for its turn of the loop."""

CROWDED = "10 000 connections, 1 % active"

TARGETS: tuple[Target, ...] = (
    *_against("hello, plain handler", "hello", tornado=1 / 10, granian=0.75, bare=2.2),
    _beside("hello, coroutine handler", "hello-coro", "hello", COROUTINE, "of the plain one's"),
    *_against("a browser's ten headers", "browser", granian=0.9),
    *_against("JSON, path and query arguments", "json", tornado=1 / 6, granian=0.9),
    *_against(f"POST of {POST_BYTES >> 10} KiB, echoed", "post", granian=0.6, uvicorn=0.6),
    _beside("last of 500 routes", "routes-last", "routes-first", 1.1, "of the first's"),
    *_against("16 pipelined requests, each", "pipelined", granian=0.5),
    _beside(f"{CROWDED}: median latency", "idle-many", "idle-none", 1.5, "of an empty server's",
            MEDIAN),
    _beside(f"{CROWDED}: 99 % latency", "idle-many", "idle-none", 1.5, "of an empty server's",
            P99),
    Target(work="resident memory of an idle connection", case="idle-many", bound=8.0, than="KiB",
           quantity=KIB_EACH),
    *_against("upload", "upload", uvicorn=1.0),
    Target(work="upload: growth of memory", case="upload", bound=FLAT_MIB, than="MiB",
           quantity=GROWTH_MIB),
    *_against("download", "download", uvicorn=1.0),
    Target(work="download: growth of memory", case="download", bound=FLAT_MIB, than="MiB",
           quantity=GROWTH_MIB),
    *_against("hello over TLS, kept alive", "tls", uvicorn=1.0),
)  # fmt: skip

ALSO: frozenset[report.Key] = frozenset(
    {("idle-many", "bare"), ("idle-many", "uvicorn"), ("idle-many", "granian"),
     ("idle-many", "tornado"), ("upload", "granian"), ("download", "granian")}
)  # fmt: skip
"""Measured beside it, though no target is set by them, unless --quick: bare's is what a connection
takes in uvloop alone."""


def plan(servers: Sequence[Server], wanted: Collection[report.Key]) -> list[list[Pair]]:
    """The rows that are wanted, in compare's groups."""
    chosen = [
        [(case, server) for case, server in group if (case.name, server.name) in wanted]
        for group in groups(CASES, servers)
    ]
    return [group for group in chosen if group]


def _readings(key: report.Key, quantity: Quantity, results: report.Results) -> list[float]:
    case = next(case for case in CASES if case.name == key[0])
    return [quantity.read(case, sample) for sample in results.samples.get(key, [])]


def evaluate(target: Target, results: report.Results) -> Measured | None:
    """What the rounds say of a target; None where one of its rows is missing."""
    values = _readings((target.case, target.server), target.quantity, results)
    if target.over is not None:
        values = report.ratios(values, _readings(target.over, target.quantity, results))
    if not values:
        return None
    return Measured(target.quantity.of_rounds(values), min(values), max(values))


def verdict(target: Target, measured: Measured | None) -> str:
    """Whether it was held, and whether every round says so."""
    if measured is None:
        return "not measured"
    if measured.value > target.bound:
        return "MISSED" if measured.low > target.bound else "MISSED, not in every round"
    return "held" if measured.high <= target.bound else "held, not in every round"


def cells(target: Target, results: report.Results) -> list[str]:
    """A line of the table."""
    measured = evaluate(target, results)
    shown = ["-", "-"]
    if measured is not None:
        shown = [f"{measured.value:.3g}", f"{measured.low:.3g} to {measured.high:.3g}"]
    return [target.work, target.words, *shown, verdict(target, measured)]


def table(results: report.Results, as_markdown: bool) -> str:
    """All of it, and how many were held."""
    header = ["work", "target", "measured", "rounds", "verdict"]
    lines = [cells(target, results) for target in TARGETS]
    held = sum(line[-1].startswith("held") for line in lines)
    total = f"{held} of {len(lines)} targets held"
    if as_markdown:
        return "\n".join([*report.markdown_rows(header, lines), "", total])
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    text = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, *lines)
    ]
    return "\n".join([*text, "", total])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer and shorter rounds, no more rows than targets need",
    )
    parser.add_argument("--rounds", type=positive, help=f"({FULL['rounds']})")
    parser.add_argument("--seconds", type=positive, help=f"of load per round ({FULL['seconds']})")
    parser.add_argument("--mib", type=positive, help=f"of a transfer ({FULL['mib']})")
    printing_options(parser)
    options = parser.parse_args(argv)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main() -> int:
    """Measure and print."""
    options = parse()
    if not able_to_measure(CASES):
        return 2
    wanted = set().union(*(target.keys for target in TARGETS), () if options.quick else ALSO)
    servers = choose_servers([server for _, server in wanted], tree=options.tree)
    settings = Settings(
        seconds=options.seconds, connections=CONNECTIONS, mib=options.mib, cpus=Cpus.split()
    )
    results, status = carry_out(plan(servers, wanted), options.rounds, settings)
    print_facts(servers, results)
    print(
        f"rounds: {options.rounds}, of {options.seconds} s with {CONNECTIONS} connections, "
        f"transfers of {options.mib} MiB\n"
    )
    print(table(results, options.markdown))
    print_tables(CASES, servers, results, options.markdown)
    write_json(options, results)
    return status


if __name__ == "__main__":
    sys.exit(main())
