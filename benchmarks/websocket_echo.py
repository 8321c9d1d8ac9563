"""What an echoed WebSocket message costs, side by side: `python benchmarks/websocket_echo.py`.

The number is the server's own CPU time, its kernel's work included, divided by the messages; see
README.md for how such a number is to be read. Every round visits every server once, each round
beginning with another one.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import Cpus, ServerError, cpu_time, free_port, on_cpu, running
from servers.serving import loop_factory
from websocket_client import connect, frame

SERVERS = ("tornadoish", "tornado", "aiohttp", "uvicorn", "picows")
ALL = (*SERVERS, "tornadoish-coro", "tornadoish-iter", "tornado-coro")
HERE = Path(__file__).parent
WARM_SECONDS = 0.3


@dataclass(frozen=True)
class Case:
    """A message."""

    size: int
    binary: bool

    @property
    def name(self) -> str:
        size = f"{self.size} B" if self.size < 1024 else f"{self.size >> 10} KiB"
        return f"{size} {'binary' if self.binary else 'text'}"

    @property
    def payload(self) -> bytes:
        return (b"0123456789abcdef" * (self.size // 16 + 1))[: self.size]


async def load(port: int, pid: int, case: Case, connections: int, seconds: float) -> float:
    """CPU microseconds of the server for a message."""
    sent = frame(case.payload, binary=case.binary, masked=True)
    expected = frame(case.payload, binary=case.binary, masked=False)
    clients = await connect(port, connections, sent, expected)
    for client in clients:
        client.begin()
    await asyncio.sleep(WARM_SECONDS)
    before, echoes = cpu_time(pid), sum(client.echoes for client in clients)
    await asyncio.sleep(seconds)
    used = cpu_time(pid).since(before)
    echoes = sum(client.echoes for client in clients) - echoes
    await asyncio.gather(*[client.end() for client in clients])
    for client in clients:
        client.transport.abort()
    if not echoes:
        raise ServerError("it echoes nothing")
    return used / echoes * 1e6


def measure(server: str, case: Case, connections: int, seconds: float, cpus: Cpus) -> float:
    """One server, started for this."""
    port = free_port()
    command = [str(HERE / "servers" / "websocket_server.py"), server, str(port)]
    with (
        running(command, port, cpus.server, extra_path=HERE.parent) as pid,
        on_cpu(cpus.load),
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        return runner.run(load(port, pid, case, connections, seconds))


def table(cases: list[Case], servers: list[str], costs: dict[tuple[str, str], list[float]]) -> str:
    """Medians, and their ratio to ours (the median of the rounds' own)."""
    first = servers[0]
    head = "| CPU us a message | " + " | ".join(case.name for case in cases) + " |"
    lines = [head, "|---|" + "---|" * len(cases)]
    for server in servers:
        cells = []
        for case in cases:
            mine, ours = costs.get((case.name, server)), costs.get((case.name, first))
            if not mine or not ours:
                cells.append("-")
                continue
            ratio = statistics.median(a / b for a, b in zip(mine, ours, strict=True))
            cells.append(f"{statistics.median(mine):.1f} ({ratio:.2f})")
        lines.append(f"| {server} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"of {','.join(ALL)}")
    parser.add_argument("--sizes", default="32,1024,65536", help="bytes (%(default)s)")
    parser.add_argument("--kinds", default="text,binary", help="(%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    return parser.parse_args()


def main() -> int:
    options = parse()
    servers = options.servers.split(",")
    cases = [
        Case(int(size), kind == "binary")
        for size in options.sizes.split(",")
        for kind in options.kinds.split(",")
    ]
    cpus, failed = Cpus.split(), False
    costs: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        for number in range(options.rounds):
            turn = number % len(servers)
            for server in servers[turn:] + servers[:turn]:
                try:
                    cost = measure(server, case, options.connections, options.seconds, cpus)
                except (ServerError, ConnectionError) as error:
                    failed = True
                    print(f"FAILED {case.name} {server}: {error}", file=sys.stderr)
                    cost = float("nan")
                costs.setdefault((case.name, server), []).append(cost)
                print(f"{case.name} {number + 1} {server}: {cost:.1f}", file=sys.stderr, flush=True)
    print(table(cases, servers, costs))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
