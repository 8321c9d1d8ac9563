"""What a request costs tornadoish and its peers, side by side: `python benchmarks/compare.py`.

This file holds the command line and the order of the measurements: every round visits every server
once, starting with another one each time, so that whatever else the machine does falls on all of
them. See README.md for how to read the result.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import report
from cases import CASES, SERVERS, WORKS, Case, Server, Transfer
from load import Settings, available, measure
from processes import Cpus, ServerError

START_AND_CHECK_SECONDS = 1.2
TRANSFER_GUESS_SECONDS = 1.0


def say(line: str) -> None:
    """Progress and trouble go to stderr; stdout holds only the tables."""
    print(line, file=sys.stderr, flush=True)


def _names(known: Iterable[str]) -> str:
    return ",".join(known)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    servers = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=_names(servers), help="of: %(default)s")
    parser.add_argument(
        "--before", type=Path, metavar="DIR", help="another checkout of tornadoish to compare with"
    )
    parser.add_argument("--work", default=_names(WORKS), help="of: %(default)s")
    parser.add_argument(
        "--seconds", type=_positive, default=3, help="of load per round (%(default)s)"
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="(%(default)s)")
    parser.add_argument("--connections", type=_positive, default=32, help="of wrk (%(default)s)")
    parser.add_argument("--mib", type=_positive, default=256, help="of a transfer (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste")
    options = parser.parse_args(argv)
    for option, known in (("servers", servers), ("work", list(WORKS))):
        chosen = [name.strip() for name in getattr(options, option).split(",")]
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"--{option}: unknown {_names(unknown)}; of {_names(known)}")
        setattr(options, option, chosen)
    return options


def choose_servers(names: Sequence[str], before: Path | None) -> list[Server]:
    """The servers asked for that are installed; behind ours, the one of the other checkout."""
    chosen = []
    for server in SERVERS:
        if server.name not in names:
            continue
        if available(server):
            chosen.append(server)
            if server.tree is not None and before is not None:
                note = f"the tree in {before}"
                chosen.append(replace(server, name="before", tree=before.resolve(), note=note))
        else:
            say(f"skipped {server.name}: {server.module} is not installed for {sys.executable}")
    return chosen


def run_case(
    case: Case | Transfer,
    servers: Sequence[Server],
    rounds: int,
    settings: Settings,
    results: report.Results,
) -> None:
    """All rounds of one case."""
    able = [server for server in servers if case.work in server.works]
    for number in range(rounds):
        turn = number % len(able) if able else 0
        for server in able[turn:] + able[:turn]:
            if (case.name, server.name) in results.failures:
                continue
            try:
                sample = measure(server, case, settings)
            except ServerError as error:
                results.fail(case.name, server.name, str(error))
                say(f"FAILED {case.name}, {server.name}, round {number + 1}: {error}")
                continue
            results.add(sample)
            unit = "s/GiB" if isinstance(case, Transfer) else "us"
            cost = report.cost(case, sample)
            say(f"{case.name} {number + 1}/{rounds} {server.name}: {cost:.3g} CPU {unit}")


def announce(cases: Sequence[Case | Transfer], servers: Sequence[Server], rounds: int,
             settings: Settings) -> None:  # fmt: skip
    """Say on which CPUs, and how long it will take."""
    if settings.cpus.server is None:
        say("only one CPU: server and load share it, so the costs include their competition")
    else:
        say(f"servers on CPU {settings.cpus.server}, load on CPU {settings.cpus.load}")
    total = 0.0
    for case in cases:
        load = TRANSFER_GUESS_SECONDS if isinstance(case, Transfer) else settings.seconds
        able = sum(case.work in server.works for server in servers)
        total += able * rounds * (load + START_AND_CHECK_SECONDS)
    say(f"about {total / 60:.1f} minutes")


def print_report(
    cases: Sequence[Case | Transfer],
    servers: Sequence[Server],
    results: report.Results,
    as_markdown: bool,
) -> None:
    """The tables, under what they depend on."""
    facts = report.environment()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for name, loop in report.loops(results).items():
        note = next(server.note for server in servers if server.name == name)
        print(f"  {name}: {note}; loop {loop}")
    print(report.disturbance(results))
    measured = {name for name, _ in (*results.samples, *results.failures)}
    shown = [case for case in cases if case.name in measured]
    if as_markdown:
        print("\n" + report.markdown(shown, servers, results))
        return
    for case in shown:
        print("\n" + report.text_table(case, servers, results))


def terminate(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM as an exception, so that every `finally` ends the server it started."""
    raise SystemExit(143)


def main() -> int:
    """Measure what was asked for; 0 if every row counts, 1 if one failed, 130 on Ctrl-C."""
    options = parse()
    if not sys.platform.startswith("linux"):
        say("needs Linux: the costs are read from /proc")
        return 2
    cases = [case for case in CASES if case.work in options.work]
    if any(isinstance(case, Case) for case in cases) and shutil.which("wrk") is None:
        say("needs wrk (https://github.com/wg/wrk) for every workload but upload and download")
        return 2
    servers = choose_servers(options.servers, options.before)
    settings = Settings(
        seconds=options.seconds,
        connections=options.connections,
        mib=options.mib,
        cpus=Cpus.split(),
    )
    signal.signal(signal.SIGTERM, terminate)
    announce(cases, servers, options.rounds, settings)
    results = report.Results()
    status = 0
    try:
        for case in cases:
            run_case(case, servers, options.rounds, settings, results)
    except KeyboardInterrupt:
        say("interrupted: the tables hold what was measured so far")
        status = 130
    print_report(cases, servers, results, options.markdown)
    if options.json:
        raw = report.as_json(
            results, {**vars(options), "json": None, "before": str(options.before)}
        )
        options.json.write_text(json.dumps(raw, indent=1) + "\n")
    return status or (1 if results.failures else 0)


if __name__ == "__main__":
    sys.exit(main())
