"""The client of `idle-none` and `idle-many`: `crowd.py PID PORT --idle N --active N --seconds N`.

Opens all connections and has one answer on each; then some of them, spread evenly, go on asking at
a steady rate. A process of its own, so that it can be pinned to the other CPU. It knows the
server's PID, since only it knows when what is to be read from /proc begins: the memory before and
after the opening, the CPU time before and after the asking. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence

from cases import ACTIVE_SECONDS, HELLO
from load import Meter
from processes import HOST, ServerError, resident_now
from wire import BLOCK, Reply, connect, head, read_reply

WARM_UP = 100
SETTLE_SECONDS = 1.0
LATE_SECONDS = 10.0
PER_ADDRESS = 20_000
"""Connections from one loopback address: the system has some 28 000 ports for each."""

RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Client:
    """One connection; `waiting` holds when each request that has no answer yet was sent."""

    def __init__(self, port: int, number: int) -> None:
        self.sock = connect(port, source=f"127.0.0.{1 + number // PER_ADDRESS}")
        self.waiting: deque[float] = deque()
        self._data = b""

    def open(self, request: bytes) -> Reply:
        """Have a first answer."""
        self.sock.sendall(request)
        reply = read_reply(self.sock)
        if reply.status != 200 or reply.body != HELLO:
            raise ServerError(f"wrong answer: {reply.status} {reply.body[:200]!r}")
        return reply

    def ask(self, request: bytes, now: float) -> None:
        """One more request, also where the answer to the last is late: nobody waits in vain for a
        server that stands still, and every request that it lets wait counts."""
        self.sock.send(request)
        self.waiting.append(now)

    def answers(self, size: int, now: float) -> list[float]:
        """The seconds that each answer took that has come; all of them have the same size."""
        received = self.sock.recv(BLOCK)
        if not received:
            raise ServerError("closed a connection that was active")
        self._data += received
        took = []
        while len(self._data) >= size:
            answer, self._data = self._data[:size], self._data[size:]
            if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(HELLO)):
                raise ServerError(f"wrong answer under load: {answer!r}")
            took.append(now - self.waiting.popleft())
        return took

    def check_open(self) -> None:
        """Nothing has come on an idle connection, not even its end."""
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(1)
        except BlockingIOError:
            return
        raise ServerError(f"sent {data!r} on an idle connection" if data else "closed an idle one")

    def reset(self) -> None:
        """Close so that neither side keeps the port busy."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


def spread(idle: int, active: int) -> list[bool]:
    """For each connection in the order of opening whether it is active: evenly among the rest."""
    total = idle + active
    return [(number + 1) * active // total > number * active // total for number in range(total)]


def percentile(values: Sequence[float], percent: float) -> float:
    """The least of the sorted values that `percent` of them do not exceed."""
    return values[max(0, -int(-len(values) * percent // 100) - 1)]


def load(clients: Sequence[Client], request: bytes, size: int, seconds: float,
         patience: float) -> list[float]:  # fmt: skip
    """Let them ask in turn; the seconds that each answer took. Between two looks at what has come
    pass at most `patience` seconds."""
    total = round(seconds / ACTIVE_SECONDS * len(clients))
    gap = ACTIVE_SECONDS / len(clients)
    poll = select.epoll()
    by_descriptor = {client.sock.fileno(): client for client in clients}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    took: list[float] = []
    sent = 0
    start = time.perf_counter()
    with poll:
        while len(took) < total:
            now = time.perf_counter()
            if now > start + seconds + LATE_SECONDS:
                raise ServerError(f"{sent - len(took)} of {sent} requests were not answered")
            while sent < total and start + sent * gap <= now:
                clients[sent % len(clients)].ask(request, time.perf_counter())
                sent += 1
            for descriptor, _ in poll.poll(patience):
                took += by_descriptor[descriptor].answers(size, time.perf_counter())
    return took


def crowd(options: argparse.Namespace) -> dict[str, float]:
    """Open, look, load and look again."""
    port, pid = options.port, options.pid
    request = head("GET", "/", port)
    for client in [Client(port, 0) for _ in range(WARM_UP)]:
        client.open(request)
        client.reset()
    time.sleep(SETTLE_SECONDS)
    before = sum(resident_now(pid).values())
    everyone: list[Client] = []
    for number in range(options.idle + options.active):
        everyone.append(Client(port, number))
        size = everyone[-1].open(request).size
    time.sleep(SETTLE_SECONDS)
    growth = sum(resident_now(pid).values()) - before
    chosen = spread(options.idle, options.active)
    active = [client for client, one in zip(everyone, chosen, strict=True) if one]
    # Where the client has a CPU for itself it never sleeps: to be woken would add to every time.
    patience = 0.0 if options.cpu is not None else 0.001
    meter, start = Meter(pid, options.cpu), time.perf_counter()
    took = sorted(load(active, request, size, options.seconds, patience))
    (used, others), elapsed = meter.read(), time.perf_counter() - start
    for client, one in zip(everyone, chosen, strict=True):
        if not one:
            client.check_open()
        client.reset()
    return {
        "requests": len(took), "seconds": elapsed, "cpu_seconds": used, "others": others,
        "memory_growth": 1024 * growth,
        "p50_us": round(percentile(took, 50) * 1e6), "p99_us": round(percentile(took, 99) * 1e6),
    }  # fmt: skip


def main() -> None:
    """Say what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pid", type=int)
    parser.add_argument("port", type=int, help=f"on {HOST}")
    parser.add_argument("--idle", type=int, required=True)
    parser.add_argument("--active", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--cpu", type=int, help="the server's, if it is not the client's, too")
    print(json.dumps(crowd(parser.parse_args())))


if __name__ == "__main__":
    try:
        main()
    except (ServerError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
