"""How servers take hostile input, ours and others: `python benchmarks/bad_input.py`.

Each server is a process of its own with an application that answers what it was asked. Every entry
of the table (tests/hostile) is sent to it whole, with another request behind it, and cut in two
places; an entry counts as right if each of these was answered rightly. What is right is in
judging.py.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import importlib.util
import json
import platform
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hostile_table import CASES, GROUPS, NEXT, Case
from judging import RIGHT, SILENT, VERDICTS, Outcome, is_complete, judge
from processes import HOST, ServerError, free_port, running

HERE = Path(__file__).resolve().parent
#: seconds without anything new after which nothing more is expected
PATIENCE = 2.5
#: seconds between two pieces of one entry, so that they arrive as two
GAP = 0.03
#: connections at a time
AT_ONCE = 16
MOST = 4 << 20
PLAIN = next(case for case in CASES if case.id == "RFC9112-3-plain")


@dataclass(frozen=True)
class Server:
    """One column: what has to be importable, and whose versions are shown."""

    name: str
    packages: tuple[str, ...]


SERVERS = (
    Server("tornadoish", ("tornadoish",)),
    Server("tornado", ("tornado",)),
    Server("aiohttp", ("aiohttp",)),
    Server("aiohttp-py", ("aiohttp",)),
    Server("uvicorn-h11", ("uvicorn", "h11")),
    Server("uvicorn-httptools", ("uvicorn", "httptools")),
    Server("hypercorn", ("hypercorn", "h11")),
    Server("granian", ("granian",)),
    Server("gunicorn-wsgi", ("gunicorn",)),
    Server("gunicorn-asgi", ("gunicorn",)),
)


@dataclass(frozen=True)
class Result:
    """The first fault of an entry, or that there was none; and the verdict on its bytes whole."""

    verdict: str
    how: str
    whole: str


Results = dict[tuple[str, str], Result]


def say(line: str) -> None:
    """Progress and trouble go to stderr; stdout holds only the tables."""
    print(line, file=sys.stderr, flush=True)


# -- one connection


async def exchange(port: int, case: Case, pieces: Sequence[bytes], with_next: bool) -> Outcome:
    """Send the pieces and take what comes, until it ends or nothing has come for a while."""
    reader, writer = await asyncio.open_connection(HOST, port)
    sending = asyncio.ensure_future(send(writer, pieces))
    data, ended = b"", False
    try:
        while not ended and len(data) < MOST:
            async with asyncio.timeout(PATIENCE + GAP * len(pieces)):
                more = await reader.read(1 << 16)
            data += more
            ended = not more
            if is_complete(case, Outcome(data, ended), with_next):
                break
    except TimeoutError:
        pass
    except OSError:
        ended = True  # reset
    finally:
        sending.cancel()
        writer.transport.abort()
    return Outcome(data, ended)


async def send(writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
    """Send what the server still takes."""
    try:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(GAP)
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass


# -- one entry


def tries(case: Case) -> Iterator[tuple[str, list[bytes], bool]]:
    """How an entry is sent: a name, the pieces, and whether the next request is among them."""
    data = case.data
    yield "whole", [data], False
    yield "with a request behind it", [data + NEXT], True
    head = data.find(b"\r\n\r\n") + 4
    if 4 <= head < len(data):
        yield "cut behind the head", [data[:head], data[head:]], False
    middle = min(len(data), 2000) // 2
    yield "cut in the middle", [data[:middle], data[middle:]], False


async def examine(port: int, case: Case) -> Result:
    """Send one entry in every way; the first fault counts."""
    whole = ""
    for how, pieces, with_next in tries(case):
        verdict = judge(case, await exchange(port, case, pieces, with_next), with_next)
        whole = whole or verdict
        if verdict != RIGHT:
            return Result(verdict, how, whole)
    return Result(RIGHT, "", whole)


async def examine_all(port: int, cases: Sequence[Case]) -> dict[str, Result]:
    """All entries, a few at a time; where there was no answer, again when little else goes on."""
    slots = asyncio.Semaphore(AT_ONCE)
    results: dict[str, Result] = {}

    async def one(case: Case) -> None:
        async with slots:
            results[case.id] = await examine(port, case)

    await asyncio.gather(*[one(case) for case in cases])
    slots = asyncio.Semaphore(2)
    silent = [case for case in cases if results[case.id].verdict == SILENT]
    await asyncio.gather(*[one(case) for case in silent])
    return results


def is_well(port: int) -> bool:
    """Whether the server still answers a request that is fine."""
    outcome = asyncio.run(exchange(port, PLAIN, [PLAIN.data], False))
    return judge(PLAIN, outcome, False) == RIGHT


def run_server(server: Server, cases: Sequence[Case], results: Results) -> None:
    """All groups; with a fresh process where one has left the server unable to answer: that is not
    held against it in the next one."""
    command = [str(HERE / "servers" / "echo_server.py"), server.name]
    tree_root = HERE.parent if server.name == "tornadoish" else None
    groups = [group for group in GROUPS if any(case.group == group for case in cases)]
    while groups:
        port = free_port()
        with running([*command, str(port)], port, None, tree_root):
            well = True
            while groups and well:
                group = groups.pop(0)
                chosen = [case for case in cases if case.group == group]
                found = asyncio.run(examine_all(port, chosen))
                results.update({(server.name, id): result for id, result in found.items()})
                right = sum(result.verdict == RIGHT for result in found.values())
                say(f"{server.name}, {group}: {right} of {len(chosen)}")
                well = is_well(port)
        if not well:
            say(f"{server.name} answers nothing any more, started again")


# -- the report


def version(package: str) -> str:
    """The version of what was measured; ours is this tree."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of this tree"


def rows(
    servers: Sequence[Server], cases: Sequence[Case], results: Results
) -> list[tuple[str, list[str]]]:
    """How many of each group each server answered rightly, then how it failed the others."""
    table: list[tuple[str, list[str]]] = []
    for group in GROUPS:
        ids = [case.id for case in cases if case.group == group]
        if ids:
            counts = [
                sum(results[server.name, id].verdict == RIGHT for id in ids) for server in servers
            ]
            table.append((f"{group} ({len(ids)})", [str(count) for count in counts]))
    verdicts = [
        Counter(results[server.name, case.id].verdict for case in cases) for server in servers
    ]
    table.append((f"right ({len(cases)})", [str(count[RIGHT]) for count in verdicts]))
    shares = [f"{100 * count[RIGHT] / len(cases):.0f} %" for count in verdicts]
    table.append(("right, share", shares))
    cut = [
        sum(
            result.whole == RIGHT and result.verdict != RIGHT and result.how.startswith("cut")
            for (name, _), result in results.items()
            if name == server.name
        )
        for server in servers
    ]
    table.append(("right whole, wrong when cut", [str(count) for count in cut]))
    for verdict in VERDICTS[1:]:
        table.append((verdict, [str(count[verdict]) for count in verdicts]))
    return table


def print_table(
    servers: Sequence[Server], table: Sequence[tuple[str, list[str]]], as_markdown: bool
) -> None:
    """To stdout, plain or as Markdown."""
    names = [server.name for server in servers]
    if as_markdown:
        print("| group (entries) |" + "".join(f" {name} |" for name in names))
        print("|---|" + "--:|" * len(names))
        for name, cells in table:
            print(f"| {name} |" + "".join(f" {cell} |" for cell in cells))
        return
    first = max(len(name) for name, _ in table)
    print(" " * first + "".join(f"  {name}" for name in names))
    for name, cells in table:
        columns = [f"  {cell:>{len(head)}}" for cell, head in zip(cells, names, strict=True)]
        print(f"{name:{first}}" + "".join(columns))


def print_faults(servers: Sequence[Server], cases: Sequence[Case], results: Results) -> None:
    """Every entry that was not answered rightly."""
    for server in servers:
        for case in cases:
            result = results[server.name, case.id]
            if result.verdict != RIGHT:
                print(f"{server.name}: {case.group}, {case.id}, {result.how}: {result.verdict}")


# -- the command line


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(names), help="of: %(default)s")
    parser.add_argument("--groups", default=",".join(GROUPS), help="of: %(default)s")
    parser.add_argument("--markdown", action="store_true", help="print a table to paste")
    parser.add_argument("--faults", action="store_true", help="print every wrong answer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every verdict")
    options = parser.parse_args(argv)
    for option, known in (("servers", names), ("groups", list(GROUPS))):
        chosen = [name.strip() for name in getattr(options, option).split(",")]
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"--{option}: unknown {', '.join(unknown)}")
        setattr(options, option, chosen)
    return options


def choose(names: Sequence[str]) -> list[Server]:
    """The servers asked for that are installed."""
    chosen = []
    for server in SERVERS:
        missing = [
            package
            for package in server.packages
            if package != "tornadoish" and importlib.util.find_spec(package) is None
        ]
        if server.name in names and missing:
            say(f"skipped {server.name}: {', '.join(missing)} not installed for {sys.executable}")
        elif server.name in names:
            chosen.append(server)
    return chosen


def terminate(_signal: int, _frame: object) -> NoReturn:
    """SIGTERM as an exception, so that every `finally` ends the server it started."""
    raise SystemExit(143)


def main() -> int:
    """0 if tornadoish answered all of it rightly, 1 if it did not or a server failed to run."""
    options = parse()
    signal.signal(signal.SIGTERM, terminate)
    cases = [case for case in CASES if not case.only_ours and case.group in options.groups]
    results: Results = {}
    measured, status = [], 0
    for server in choose(options.servers):
        try:
            run_server(server, cases, results)
        except ServerError as error:
            say(f"FAILED {server.name}: {error}")
            status = 1
        else:
            measured.append(server)
    if not measured:
        return 1
    packages = dict.fromkeys(package for server in measured for package in server.packages)
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(f"Python {platform.python_version()}, {versions}\n")
    print_table(measured, rows(measured, cases, results), options.markdown)
    if options.faults:
        print_faults(measured, cases, results)
    if options.json:
        found = [
            {"server": name, "id": id, "verdict": result.verdict, "how": result.how}
            for (name, id), result in results.items()
        ]
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    ours = [result for (name, _), result in results.items() if name == "tornadoish"]
    return status or int(any(result.verdict != RIGHT for result in ours))


if __name__ == "__main__":
    sys.exit(main())
