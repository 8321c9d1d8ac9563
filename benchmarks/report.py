"""Turning samples into tables: for a terminal, as Markdown, and as JSON.

A cost alone says as much about the machine's mood as about the server, so every table has the ratio
beside it, and the ratio is the median over the rounds of two costs from the SAME round.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from cases import AnyCase, Case, Crowd, Server, Transfer
from load import Sample

GIB = 1 << 30
MIB = 1 << 20
KIB = 1 << 10
BASELINE = "tornadoish"
QUIET = 0.05

Key = tuple[str, str]
"""(case name, server name)."""


@dataclass
class Results:
    """What has been measured so far; a failed row has no samples."""

    samples: dict[Key, list[Sample]] = field(default_factory=dict)
    failures: dict[Key, str] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Keep one round's sample."""
        self.samples.setdefault((sample.case, sample.server), []).append(sample)

    def fail(self, case: str, server: str, reason: str) -> None:
        """Void the row: the rounds that went well are no answer to the one that did not."""
        self.samples.pop((case, server), None)
        self.failures[case, server] = reason


def cost(case: AnyCase, sample: Sample) -> float:
    """CPU microseconds a request, or CPU seconds a GiB."""
    if isinstance(case, Transfer):
        return sample.cpu_seconds * GIB / sample.amount
    return sample.cpu_seconds * 1e6 / sample.amount


@dataclass(frozen=True)
class Row:
    """One line of a table; `ratio` is None for want of a baseline."""

    server: str
    cost: float
    low: float
    high: float
    ratio: float | None
    rate: float
    busy: float
    others: float
    memory_growth: int
    p50_us: float
    p99_us: float


def _baseline(case: AnyCase, servers: Sequence[Server], results: Results) -> str | None:
    """tornadoish if it was measured, else the first server that was."""
    measured = [server.name for server in servers if (case.name, server.name) in results.samples]
    return BASELINE if BASELINE in measured else next(iter(measured), None)


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Each round's own; a round that only one of the two has done has none."""
    return [one / other for one, other in zip(mine, theirs, strict=False) if other]


def rows(case: AnyCase, servers: Sequence[Server], results: Results) -> list[Row]:
    """The lines of one case's table, in the order of `servers`."""
    base = _baseline(case, servers, results)
    base_costs = [cost(case, sample) for sample in results.samples.get((case.name, base or ""), [])]
    table = []
    for server in servers:
        samples = results.samples.get((case.name, server.name))
        if not samples:
            continue
        costs = [cost(case, sample) for sample in samples]
        to_base = ratios(costs, base_costs)
        table.append(
            Row(
                server=server.name,
                cost=median(costs),
                low=min(costs),
                high=max(costs),
                ratio=median(to_base) if to_base else None,
                rate=median(sample.rate for sample in samples),
                busy=median(sample.busy for sample in samples),
                others=median(sample.others for sample in samples),
                memory_growth=max(sample.memory_growth for sample in samples),
                p50_us=median(sample.p50_us for sample in samples),
                p99_us=median(sample.p99_us for sample in samples),
            )
        )
    return table


def _ratio(row: Row) -> str:
    return "-" if row.ratio is None else f"{row.ratio:.2f}"


def _failures(case: AnyCase, results: Results) -> list[str]:
    """The failed rows of a case, the reason's first line only: it was printed whole before."""
    return [
        f"  {server:<12}FAILED: {reason.splitlines()[0]}"
        for (name, server), reason in results.failures.items()
        if name == case.name
    ]


Column = tuple[str, Callable[[Row], str]]
"""Its title, and what it holds."""


def _more_columns(case: AnyCase) -> list[Column]:
    """What this kind of case has beside a cost."""
    if isinstance(case, Transfer):
        return [("peak growth MiB", lambda row: f"{row.memory_growth / MIB:.1f}")]
    if not isinstance(case, Crowd):
        return []
    columns: list[Column] = [
        ("p50 us", lambda row: f"{row.p50_us:.0f}"),
        ("p99 us", lambda row: f"{row.p99_us:.0f}"),
    ]
    if case.idle:  # few connections grow by less than what the allocator takes at once
        each = KIB * case.connections
        columns.append(("KiB each", lambda row: f"{row.memory_growth / each:.1f}"))
    return columns


def text_table(case: AnyCase, servers: Sequence[Server], results: Results) -> str:
    """One case for the terminal."""
    base = _baseline(case, servers, results)
    transfer = isinstance(case, Transfer)
    more = _more_columns(case)
    unit, rate = ("CPU s/GiB", "MB/s") if transfer else ("CPU us/req", "req/s")
    digits, scale = (3, 1e6) if transfer else (1, 1)
    lines = [
        f"{case.name}: {case.about} (ratio: {base} = 1)",
        f"  {'server':<12}{unit:>11}{'lowest':>9}{'highest':>9}{'ratio':>8}{rate:>9}"
        f"{'busy':>6}{'others':>8}" + "".join(f"  {title}" for title, _ in more),
    ]
    for row in rows(case, servers, results):
        lines.append(
            f"  {row.server:<12}{row.cost:>11.{digits}f}{row.low:>9.{digits}f}"
            f"{row.high:>9.{digits}f}{_ratio(row):>8}{row.rate / scale:>9.0f}"
            f"{row.busy:>6.0%}{row.others:>8.0%}"
            + "".join(f"  {value(row):>{len(title)}}" for title, value in more)
        )
    return "\n".join(lines + _failures(case, results))


def markdown_rows(header: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in header[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]


def _markdown_columns(case: AnyCase) -> list[Column]:
    """Without a column for the rate of each case: only a transfer's says more than its cost."""
    speed: list[Column] = [("MB/s", lambda row: f"{row.rate / 1e6:.0f}")]
    return (speed if isinstance(case, Transfer) else []) + _more_columns(case)


def _cell(case: AnyCase, server: Server, row: Row | None, results: Results) -> tuple[str, ...]:
    """The cells of one case in one server's Markdown line: the cost and what there is beside."""
    more = _markdown_columns(case)
    if row is None:
        missing = "failed" if (case.name, server.name) in results.failures else ""
        return (missing,) * (1 + len(more))
    digits = 2 if isinstance(case, Transfer) else 1
    return f"{row.cost:.{digits}f} ({_ratio(row)})", *(value(row) for _, value in more)


def markdown(cases: Sequence[AnyCase], servers: Sequence[Server], results: Results) -> str:
    """Tables to paste: requests, crowds, and transfers."""
    blocks = []
    kinds = (
        (Case, "CPU us/request (ratio)"),
        (Crowd, "Most connections idle, CPU us/request (ratio)"),
        (Transfer, "CPU s/GiB (ratio)"),
    )
    for kind, title in kinds:
        chosen = [case for case in cases if isinstance(case, kind)]
        if not chosen:
            continue
        header = ["server"]
        for case in chosen:
            header.append(case.name)
            header += [name for name, _ in _markdown_columns(case)]
        found = {
            (case.name, row.server): row for case in chosen for row in rows(case, servers, results)
        }
        body = []
        for server in servers:
            cells: list[str] = []
            for case in chosen:
                cells += _cell(case, server, found.get((case.name, server.name)), results)
            if any(cells):
                body.append([server.name, *cells])
        blocks.append("\n".join([f"{title}:", "", *markdown_rows(header, body)]))
    return "\n\n".join(blocks)


def loops(results: Results) -> dict[str, str]:
    """The event loop each server said it runs on."""
    return {name: run[0].loop for (_, name), run in results.samples.items()}


def disturbance(results: Results) -> str:
    """One line on how quiet the machine was; a busy one makes every number above it doubtful."""
    shares = [sample.others for run in results.samples.values() for sample in run]
    if not shares:
        return "nothing was measured"
    seen = (
        f"others had {median(shares):.0%} of the server's CPU in the median round, "
        f"{max(shares):.0%} in the worst"
    )
    return seen if median(shares) <= QUIET else f"{seen}: too much for latencies to mean anything"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """What a number depends on beside the code: interpreter, kernel, processor, versions."""
    packages = ("tornado", "uvicorn", "httptools", "uvloop", "granian", "aiohttp")
    cpu = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    banner = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    wrk = banner.stdout.partition(" [")[0].removeprefix("wrk ").strip()
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": platform.release(),
        "cpu": cpu or platform.machine(),
        "wrk": wrk,
        **{package: _version(package) for package in packages},
    }


def as_json(results: Results, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything measured, for --json."""
    samples = [
        {"round": number, **asdict(sample)}
        for run in results.samples.values()
        for number, sample in enumerate(run, 1)
    ]
    failures = [
        {"case": case, "server": server, "reason": reason}
        for (case, server), reason in results.failures.items()
    ]
    return {
        "environment": environment(),
        "settings": dict(settings),
        "samples": samples,
        "failures": failures,
    }
