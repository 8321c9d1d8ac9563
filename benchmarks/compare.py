"""What a request costs tornadoish and its peers, side by side: `python benchmarks/compare.py`.

This file holds the command line and the order of the measurements: every round visits every server
once, starting with another one each time, so that whatever else the machine does falls on all of
them; cases that are compared with each other take turns in the same rounds. targets.py and
observing.py measure with what is here, too. See README.md for how to read the result.
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
from cases import CASES, SERVERS, WORKS, AnyCase, Case, Crowd, Server, Transfer
from load import Settings, available, measure
from processes import Cpus, ServerError

START_AND_CHECK_SECONDS = 1.2
TRANSFER_GUESS_SECONDS = 1.0
CROWD_GUESS_SECONDS = 6.0

Pair = tuple[AnyCase, Server]
"""What one measurement is of."""


def say(line: str) -> None:
    """Progress and trouble go to stderr; stdout holds only the tables."""
    print(line, file=sys.stderr, flush=True)


def _names(known: Iterable[str]) -> str:
    return ",".join(known)


def positive(text: str) -> int:
    """A number of the command line's, at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def printing_options(parser: argparse.ArgumentParser) -> None:
    """Whose numbers, and what becomes of them."""
    parser.add_argument(
        "--tree", type=Path, metavar="DIR", help="where tornadoish is (default: this checkout)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste")


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
        "--seconds", type=positive, default=3, help="of load per round (%(default)s)"
    )
    parser.add_argument("--rounds", type=positive, default=5, help="(%(default)s)")
    parser.add_argument("--connections", type=positive, default=32, help="of wrk (%(default)s)")
    parser.add_argument("--mib", type=positive, default=256, help="of a transfer (%(default)s)")
    printing_options(parser)
    options = parser.parse_args(argv)
    for option, known in (("servers", servers), ("work", list(WORKS))):
        chosen = [name.strip() for name in getattr(options, option).split(",")]
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"--{option}: unknown {_names(unknown)}; of {_names(known)}")
        setattr(options, option, chosen)
    return options


def choose_servers(
    names: Sequence[str], before: Path | None = None, tree: Path | None = None
) -> list[Server]:
    """The servers asked for that are installed; behind ours, the one of the other checkout.

    :param tree: where the package is that is ours; None: in this checkout.
    """
    chosen = []
    for server in SERVERS:
        if server.tree is not None and tree is not None:
            server = replace(server, tree=tree.resolve(), note=f"the package in {tree}")
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


def groups(cases: Sequence[AnyCase], servers: Sequence[Server]) -> list[list[Pair]]:
    """The measurements of these cases: each group's rounds are interleaved, within a round all
    that one server does comes in a row."""
    together: dict[str, list[AnyCase]] = {}
    for case in cases:
        together.setdefault(case.beside if case.beside in together else case.name, []).append(case)
    return [
        [(case, server) for server in servers for case in group if case.work in server.works]
        for group in together.values()
    ]


def in_turn(group: Sequence[Pair], number: int) -> list[Pair]:
    """A group in the order of its round `number`: each starts with another server, and what one
    server does stays together."""
    names = list(dict.fromkeys(server.name for _, server in group))
    return sorted(group, key=lambda pair: (names.index(pair[1].name) - number) % len(names))


def run_group(
    group: Sequence[Pair], rounds: int, settings: Settings, results: report.Results
) -> None:
    """All rounds of one group."""
    for number in range(rounds):
        for case, server in in_turn(group, number):
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


def guess_seconds(case: AnyCase, settings: Settings) -> float:
    """About how long one measurement takes."""
    if isinstance(case, Transfer):
        return START_AND_CHECK_SECONDS + TRANSFER_GUESS_SECONDS * settings.mib / 256
    opening = CROWD_GUESS_SECONDS if isinstance(case, Crowd) else 0.0
    return START_AND_CHECK_SECONDS + opening + settings.seconds


def announce(plan: Sequence[Sequence[Pair]], rounds: int, settings: Settings) -> None:
    """Say on which CPUs, and how long it will take."""
    if settings.cpus.server is None:
        say("only one CPU: server and load share it, so the costs include their competition")
    else:
        say(f"servers on CPU {settings.cpus.server}, load on CPU {settings.cpus.load}")
    total = rounds * sum(guess_seconds(case, settings) for group in plan for case, _ in group)
    say(f"about {total / 60:.1f} minutes")


def carry_out(
    plan: Sequence[Sequence[Pair]], rounds: int, settings: Settings
) -> tuple[report.Results, int]:
    """Measure all of it; what was measured, and the exit status: 0 if every row counts, 1 if one
    failed, 130 on Ctrl-C, which leaves what there is so far."""
    signal.signal(signal.SIGTERM, terminate)
    announce(plan, rounds, settings)
    results = report.Results()
    try:
        for group in plan:
            run_group(group, rounds, settings, results)
    except KeyboardInterrupt:
        say("interrupted: the tables hold what was measured so far")
        return results, 130
    return results, 1 if results.failures else 0


def able_to_measure(cases: Iterable[AnyCase]) -> bool:
    """Whether what measuring needs is there; if not, it is said."""
    if not sys.platform.startswith("linux"):
        say("needs Linux: the costs are read from /proc")
        return False
    if any(isinstance(case, Case) for case in cases) and shutil.which("wrk") is None:
        say("needs wrk (https://github.com/wg/wrk) for every workload but upload, download, idle")
        return False
    return True


def print_facts(servers: Sequence[Server], results: report.Results) -> None:
    """What the numbers depend on."""
    facts = report.environment()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    for name, loop in report.loops(results).items():
        note = next(server.note for server in servers if server.name == name)
        print(f"  {name}: {note}; loop {loop}")
    print(report.disturbance(results))


def print_tables(
    cases: Sequence[AnyCase],
    servers: Sequence[Server],
    results: report.Results,
    as_markdown: bool,
) -> None:
    """All rows, whatever they are for."""
    measured = {name for name, _ in (*results.samples, *results.failures)}
    shown = [case for case in cases if case.name in measured]
    if as_markdown:
        print("\n" + report.markdown(shown, servers, results))
        return
    for case in shown:
        print("\n" + report.text_table(case, servers, results))


def write_json(options: argparse.Namespace, results: report.Results) -> None:
    """Every sample, if that was asked for."""
    if options.json:
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
        }
        raw = report.as_json(results, settings)
        options.json.write_text(json.dumps(raw, indent=1) + "\n")


def terminate(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM as an exception, so that every `finally` ends the server it started."""
    raise SystemExit(143)


def main() -> int:
    """Measure what was asked for; the exit status is carry_out's, or 2 without Linux or wrk."""
    options = parse()
    cases = [case for case in CASES if case.work in options.work]
    if not able_to_measure(cases):
        return 2
    servers = choose_servers(options.servers, options.before, options.tree)
    settings = Settings(
        seconds=options.seconds,
        connections=options.connections,
        mib=options.mib,
        cpus=Cpus.split(),
    )
    results, status = carry_out(groups(cases, servers), options.rounds, settings)
    print_facts(servers, results)
    print_tables(cases, servers, results, options.markdown)
    write_json(options, results)
    return status


if __name__ == "__main__":
    sys.exit(main())
