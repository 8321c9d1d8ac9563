"""How connections are shared out among workers, and what a worker holds in memory.

    python benchmarks/worker_balance.py            # one shared socket against one for each worker
    python benchmarks/worker_balance.py --memory   # resident and proportional sets

For each way, number of workers and event loop: the part of the connections that the busiest worker
got, of 64 made at once (the least, the middle and the most of eight such bursts) and of 64 made one
after the other; and, where wrk is installed, what it counts on 64 connections for five seconds.
All of it on loopback; each server ends before the next one starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets
from tornadoish.supervisor import Supervisor, WorkerLink
from tornadoish.web import Application, RequestHandler

PID = str(os.getpid()).encode()
CONNECTIONS, BURSTS, WRK_SECONDS = 64, 8, 5
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Hello(RequestHandler):
    def get(self) -> None:
        self.set_header("Worker", PID)
        self.write(b"hello")


def run(main: Coroutine[Any, Any, Any], loop: str) -> Any:
    if loop == "uvloop":
        import uvloop

        return uvloop.run(main)
    return asyncio.run(main)


# -- in a worker


async def work(link: WorkerLink) -> None:
    stop = asyncio.get_running_loop().create_future()
    link.start(stop.set_result)
    server = HTTPServer(Application([("/", Hello)], log_function=lambda handler: None))
    server.add_sockets(link.sockets)
    link.ready()
    await server.drain(await stop)


# -- measuring


class Client:
    """One connection, which has had one answer."""

    async def open(self, port: int) -> str:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        [worker] = re.findall(rb"Worker: (\d+)", head)
        return worker.decode()

    def close(self) -> None:
        self.writer.transport.abort()


async def share(port: int, at_once: bool) -> float:
    """The part of the connections that the busiest worker gets."""
    clients = [Client() for _ in range(CONNECTIONS)]
    opening = [client.open(port) for client in clients]
    workers = await asyncio.gather(*opening) if at_once else [await each for each in opening]
    for client in clients:
        client.close()
    await asyncio.sleep(0.2)
    return max(Counter(workers).values()) / CONNECTIONS


async def wrk(port: int) -> str:
    program = shutil.which("wrk")
    if program is None:
        return "-"
    process = await asyncio.create_subprocess_exec(
        program, "-t1", f"-c{CONNECTIONS}", f"-d{WRK_SECONDS}",
        "-s", str(Path(__file__).with_name("wrk.lua")), f"http://127.0.0.1:{port}/",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    counts = json.loads((await process.communicate())[0].splitlines()[-1])
    rate = counts["requests"] / counts["microseconds"] * 1e6
    half, most = counts["p50_us"] / 1000, counts["p99_us"] / 1000
    errors = sum(counts[kind] for kind in ("connect", "read", "write", "status", "timeout"))
    lost = f", {errors} errors" if errors else ""
    return f"{rate:.0f}/s, {half:.1f} ms, {most:.1f} ms{lost}"


async def measure(port: int) -> str:
    bursts = sorted([await share(port, at_once=True) for _ in range(BURSTS)])
    shown = [bursts[0], statistics.median(bursts), bursts[-1]]
    alone = await share(port, at_once=False)
    cells = [f"{part:.0%}" for part in [*shown, alone]]
    return f"{' / '.join(cells[:3])} | {cells[3]} | {await wrk(port)}"


# -- memory


def sizes(pid: int) -> tuple[float, float]:
    """Resident and proportional set of a process, in MiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        text = file.read()
    found = [int(re.findall(rf"^{name}: +(\d+) kB", text, re.M)[0]) for name in ("Rss", "Pss")]
    return found[0] / 1024, found[1] / 1024


async def weigh(port: int, supervisor: Supervisor) -> str:
    await wrk(port)  # what is imported and remembered at the first requests
    workers = [sizes(view.pid) for view in supervisor.views()]
    ours = sizes(os.getpid())
    means = [statistics.mean(column) for column in zip(*workers, strict=True)]
    return f"{ours[0]:.0f} / {ours[1]:.0f} | {means[0]:.0f} / {means[1]:.0f}"


# -- the supervisor


async def supervise(workers: int, split: bool, memory: bool) -> str:
    sockets = bind_sockets(0, "127.0.0.1", backlog=1024)
    port = sockets[0].getsockname()[1]
    supervisor = Supervisor([sys.executable, __file__], sockets, workers=workers, split=split)
    running = asyncio.ensure_future(supervisor.run())
    while [view.state for view in supervisor.views()] != ["ready"] * workers:
        if running.done():
            raise SystemExit(supervisor.reason)
        await asyncio.sleep(0.05)
    row = await (weigh(port, supervisor) if memory else measure(port))
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--memory", action="store_true", help="weigh the processes instead")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    options = parser.parse_args()
    head = "sharing | workers | loop | busiest of 64 at once: least / middle / most | one by one"
    head += " | wrk: rate, p50, p99"
    if options.memory:
        head = "sharing | workers | loop | supervisor RSS / PSS, MiB | each worker RSS / PSS, MiB"
    print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for workers in options.workers:
        for loop in ("asyncio", "uvloop"):
            for split in (False, True)[options.memory :]:
                os.environ["LOOP"] = loop
                row = asyncio.run(supervise(workers, split, options.memory))
                how = "a socket each" if split else "one socket"
                print(f"| {how} | {workers} | {loop} | {row} |", flush=True)


if __name__ == "__main__":
    if link := WorkerLink.from_environment():
        run(work(link), os.environ["LOOP"])
    else:
        main()
