"""Does it stay whole? Thousands of good, bad and aborted requests, and what is left behind them.

    python benchmarks/soak.py                                      # 4 rounds of 20 000 requests
    python benchmarks/soak.py --requests 1000 --connections 50 --rounds 3 --seconds 2

Starts servers/soak_app.py as a process of its own, drives it over many connections at once, and
asks it after each round, when all of them are gone, what is still alive. The exit status is 0 only
if every answer was right and nothing is left or grows. See README.md for what is sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import HOST, ServerError, free_port, peak_growth, resident_now, running
from soak_cases import ABORTED, BAD, GOOD, Case, silent_table, table
from soak_client import Peer, WrongAnswerError, request

HERE = Path(__file__).resolve().parent
MIB = 1 << 20

CASE_SECONDS = 60.0
"""In which a case must have come to its end: a server that falls silent is a wrong answer."""

SETTLE_SECONDS = 40.0
"""In which the server must have noticed that all clients are gone: its lingering and more."""

SILENT_CLIENTS = 12
"""Connections that begin the first round with one of the cases that fall silent."""

WARM_UP_ROUNDS = 2
"""In which memory may grow: they fill the allocator's pools to what so many connections need at
once, and the library's tables of bounded size."""

MAX_LINES = 3.0
"""Lines of log for each request, on average: an access, a reason, and the planned errors' share."""


@dataclass
class Tally:
    """What the clients of one round have seen."""

    requests: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round: what was sent, and the server's state before and after it."""

    number: int
    tally: Tally
    seconds: float
    settled: float
    peak: int
    allowed: float
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def sent(self) -> int:
        """All requests, good, bad and aborted."""
        return self.tally.requests.total()

    @property
    def growth(self) -> int:
        """Bytes by which this round has changed what is resident."""
        return int(self.after["resident"] - self.before["resident"])

    @property
    def lines(self) -> float:
        """Lines of log for each request."""
        return float(self.after["log_lines"] - self.before["log_lines"]) / max(1, self.sent)

    def report(self) -> str:
        """The round as a line of text."""
        kinds = (GOOD, BAD, ABORTED)
        return (
            f"round {self.number}: "
            + ", ".join(f"{self.tally.requests[kind]} {kind}" for kind in kinds)
            + f", {len(self.tally.wrong)} wrong, in {self.seconds:.0f} s; {describe(self.after)}, "
            f"{self.settled:.1f} s later; memory {self.growth / MIB:+.2f} MiB, peak "
            f"+{self.peak / MIB:.1f}; {self.lines:.2f} lines of log a request"
        )

    def faults(self) -> list[str]:
        """All that is wrong, as lines of text."""
        faults = [f"wrong answer: {text}" for text in self.tally.wrong[:20]]
        if len(self.tally.wrong) > 20:
            faults.append(f"... and {len(self.tally.wrong) - 20} more wrong answers")
        if left := difference(counts(self.before), counts(self.after)):
            faults.append(f"not as before: {left}")
        if self.number > WARM_UP_ROUNDS and self.growth > self.allowed:
            faults.append(f"memory grew by {self.growth / MIB:.1f} MiB")
        if self.lines > MAX_LINES:
            faults.append(f"{self.lines:.1f} lines of log for each request")
        new = self.after["unexpected"] - self.before["unexpected"]
        if new:
            faults.append(f"{new} entries that should not be in the log, such as")
            known = Counter(self.before["examples"])
            examples = Counter(self.after["examples"]) - known
            faults += [f"  {count} x {text}" for text, count in examples.items()]
        return [f"round {self.number}: {fault}" for fault in faults]


def counts(state: dict[str, Any]) -> dict[str, int]:
    """What has to be as before as soon as all clients are gone."""
    return {key: state[key] for key in ("tasks", "descriptors", "connections")}


def everything(state: dict[str, Any]) -> dict[str, int]:
    """All that has to be as before in the end."""
    objects = {f"{name} objects": count for name, count in state["objects"].items()}
    return counts(state) | objects


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, str]:
    """What there is now and was not before, or the other way round."""
    pairs = {
        name: (before.get(name, 0), after.get(name, 0))
        for name in sorted(before.keys() | after.keys())
    }
    return {name: f"{old} -> {new}" for name, (old, new) in pairs.items() if old != new}


class Soak:
    """Rounds against one running server."""

    def __init__(self, options: argparse.Namespace, pid: int, port: int) -> None:
        self.options = options
        self.pid = pid
        self.address = (HOST, port)
        self.cases = table()
        self.silent = silent_table(options.seconds)

    async def stats(self) -> dict[str, Any]:
        """The server's own account, asked over a connection of its own."""
        async with asyncio.timeout(CASE_SECONDS):
            peer = await Peer.connect(self.address)
            try:
                await peer.send(request("GET", "/stats", "Connection: close"))
                answer = await peer.expect(200)
            finally:
                peer.close()
        state: dict[str, Any] = json.loads(answer.body)
        return state

    async def settled(self, wanted: dict[str, int] | None) -> dict[str, Any]:
        """The server's state once it has the counts `wanted`, or had time enough to have them;
        with None: once it is twice the same."""
        deadline = time.monotonic() + SETTLE_SECONDS
        expected = wanted
        while True:
            state = await self.stats()
            now = everything(state)
            if expected is not None and expected.items() <= now.items():
                return state
            if time.monotonic() > deadline:
                return state
            if wanted is None:
                expected = now
            await asyncio.sleep(0.2)

    async def run_case(
        self, case: Case, peer: Peer | None, rng: random.Random, tally: Tally
    ) -> Peer | None:
        """One case, over `peer` or a new connection; returned if it is good for more."""
        tally.requests[case.kind] += case.requests
        try:
            async with asyncio.timeout(CASE_SECONDS):
                if peer is None or case.receive_bytes is not None:
                    if peer is not None:
                        peer.close()
                    peer = await Peer.connect(self.address, case.receive_bytes)
                await case.run(peer, rng)
        except (WrongAnswerError, ValueError, OSError) as error:  # a timeout is an OSError
            tally.wrong.append(f"{case.name}: {type(error).__name__} {error}")
        else:
            if case.keeps:
                return peer
        if peer is not None:
            peer.close()
        return None

    async def client(
        self, first: Case | None, share: int, rng: random.Random, tally: Tally
    ) -> None:
        """Send `share` requests or a few more, over one connection as long as it is good."""
        weights = [case.weight for case in self.cases]
        peer: Peer | None = None
        sent = 0
        while sent < share:
            case, first = first or rng.choices(self.cases, weights)[0], None
            sent += case.requests
            peer = await self.run_case(case, peer, rng, tally)
        if peer is not None:
            peer.close()

    async def round(self, number: int, before: dict[str, Any]) -> Round:
        """One round of all clients."""
        connections, requests = self.options.connections, self.options.requests
        tally = Tally()
        resident = resident_now(self.pid)
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for client in range(connections):
                rng = random.Random(f"{self.options.seed} {number} {client}")
                silent = number == 1 and client < SILENT_CLIENTS
                first = self.silent[client % len(self.silent)] if silent else None
                group.create_task(self.client(first, requests // connections, rng, tally))
        end = time.monotonic()
        after = await self.settled(counts(before))
        return Round(
            number=number,
            tally=tally,
            seconds=end - start,
            settled=time.monotonic() - end,
            peak=peak_growth(self.pid, resident),
            allowed=self.options.growth * MIB,
            before=before,
            after=after,
        )

    async def run(self) -> list[str]:
        """All rounds; prints each, and returns the faults found."""
        faults: list[str] = []
        start = before = await self.settled(None)
        print(f"{start['loop']}, seed {self.options.seed}; behind each round, all clients gone:")
        print(f"start: {describe(start)}", flush=True)
        for number in range(1, self.options.rounds + 1):
            this = await self.round(number, before)
            print(this.report(), flush=True)
            faults += this.faults()
            before = this.after
        clock = time.monotonic()
        end = await self.settled(everything(start))
        print(f"end: {describe(end)}, {time.monotonic() - clock:.1f} s later", flush=True)
        if left := difference(everything(start), everything(end)):
            faults.append(f"left in the end: {left}")
        return faults


def describe(state: dict[str, Any]) -> str:
    """The server's state in a few words."""
    objects = sum(state["objects"].values())
    return (
        f"{state['resident'] / MIB:.1f} MiB, {state['descriptors']} descriptors, {state['tasks']} "
        f"tasks, {state['connections']} connections, {objects} objects"
    )


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000, help="a round (%(default)s)")
    parser.add_argument("--connections", type=int, default=500, help="at once (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of the server's bounds (%(default)s)"
    )
    add_options(parser)
    return parser.parse_args(argv)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every soak may be told."""
    parser.add_argument("--rounds", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is sent (%(default)s)")
    parser.add_argument(
        "--growth", type=float, default=2.0, metavar="MIB",
        help=f"of memory allowed in each round behind the first {WARM_UP_ROUNDS} (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=float, default=3600.0, help="seconds for all of it (%(default)s)"
    )
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")


def carry_out(kind: type[Soak], options: argparse.Namespace, script: str, *words: str) -> int:
    """Start the server, run all rounds, say what was wrong. Returned is the exit status."""
    port = free_port()
    command = [str(HERE / "servers" / script), str(port), "--loop", options.loop, *words]
    try:
        with running(command, port, None, HERE.parent) as pid:
            soak = kind(options, pid, port)
            faults = asyncio.run(asyncio.wait_for(soak.run(), options.limit))
    except (ServerError, OSError, WrongAnswerError) as error:  # a timeout is an OSError
        faults = [f"not ended: {type(error).__name__} {error}"]
    for fault in faults:
        print(fault)
    print("FAILED" if faults else "passed")
    return 1 if faults else 0


if __name__ == "__main__":
    told = parse()
    sys.exit(carry_out(Soak, told, "soak_app.py", "--seconds", str(told.seconds)))
