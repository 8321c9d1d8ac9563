"""What an idle WebSocket takes: `python benchmarks/websocket_idle.py`.

Opens many connections to a server of its own process, which then says nothing, and reads how much
its resident memory has grown for each. With ``--pings`` (tornadoish and Tornado) the server pings
all of them once a second and its CPU time is read; with ``--broadcast`` (tornadoish) it sends one
message to all of them. What the system holds for a socket is not in these numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

from processes import (
    Cpus,
    ServerError,
    allow_descriptors,
    cpu_time,
    free_port,
    on_cpu,
    resident_now,
    running,
)
from servers.serving import loop_factory
from websocket_client import HANDSHAKE, frame

SERVERS = ("tornadoish", "tornado", "aiohttp", "uvicorn", "picows")
HERE = Path(__file__).parent
OPENING_AT_ONCE = 200
SETTLE_SECONDS = 1.0
WATCHED_SECONDS = 10.0


class Idle(asyncio.Protocol):
    """A client that answers pings and counts what else comes."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.received = 0
        self.pings = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            if not data.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionError(f"no WebSocket: {data[:100]!r}"))
                return
            self.opened.set_result(None)
        elif data == b"\x89\x00":
            self.pings += 1
            self.transport.write(b"\x8a\x80\x00\x00\x00\x00")
        else:
            self.received += len(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the server has closed"))


async def open_all(port: int, count: int) -> list[Idle]:
    loop = asyncio.get_running_loop()
    clients: list[Idle] = []
    while len(clients) < count:
        some = [Idle() for _ in range(min(OPENING_AT_ONCE, count - len(clients)))]
        for client in some:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
        await asyncio.gather(*[client.opened for client in some])
        clients += some
    return clients


async def watch(port: int, pid: int, options: argparse.Namespace) -> list[str]:
    """What the connections cost, in words."""
    warm = await open_all(port, 100)
    for client in warm:
        client.transport.abort()
    await asyncio.sleep(SETTLE_SECONDS)
    before = sum(resident_now(pid).values())
    start = cpu_time(pid)
    clients = await open_all(port, options.connections)
    opening = cpu_time(pid).since(start)
    await asyncio.sleep(SETTLE_SECONDS)
    grown = sum(resident_now(pid).values()) - before
    start = cpu_time(pid)
    pings = sum(client.pings for client in clients)
    await asyncio.sleep(WATCHED_SECONDS)
    idle = cpu_time(pid).since(start)
    pings = sum(client.pings for client in clients) - pings
    said = [
        f"{grown / options.connections:.2f} KiB",
        f"{opening / options.connections * 1e6:.0f} us",
        f"{idle / WATCHED_SECONDS:.2%}",
    ]
    if pings:
        said[-1] += f" ({pings / WATCHED_SECONDS:.0f} pings a second)"
    if options.broadcast:
        start = cpu_time(pid)
        clients[0].transport.write(frame(b"broadcast", binary=False, masked=True))
        expected = 2 + len(b"broadcast")
        async with asyncio.timeout(30):
            while sum(client.received for client in clients) < expected * len(clients):
                await asyncio.sleep(0.05)
        said.append(f"{cpu_time(pid).since(start) / len(clients) * 1e6:.1f} us a peer")
    for client in clients:
        client.transport.abort()
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(SERVERS), help="(%(default)s)")
    parser.add_argument("--connections", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--pings", action="store_true", help="one a second to each")
    parser.add_argument("--broadcast", action="store_true", help="one message to all")
    options = parser.parse_args()
    try:
        allow_descriptors(options.connections)  # the server's too
    except ServerError as error:
        print(error, file=sys.stderr)
        return 2
    cpus, failed = Cpus.split(), False
    extra = ["--loop", options.loop, *(["--pings"] if options.pings else [])]
    print("| server | memory of one | CPU to open one | CPU while idle | broadcast |")
    print("|---|---|---|---|---|")
    for server in options.servers.split(","):
        port = free_port()
        script = str(HERE / "servers" / "websocket_server.py")
        kind = f"{server}-broadcast" if options.broadcast else server
        try:
            with contextlib.ExitStack() as stack:
                command = [script, kind, str(port), *extra]
                pid = stack.enter_context(running(command, port, cpus.server, HERE.parent))
                stack.enter_context(on_cpu(cpus.load))
                runner = stack.enter_context(asyncio.Runner(loop_factory=loop_factory()))
                said = runner.run(watch(port, pid, options))
        except (ServerError, ConnectionError, TimeoutError) as error:
            failed = True
            said = [f"FAILED: {error}"]
        print(f"| {server} | " + " | ".join([*said, "-"][:4]) + " |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
