"""What a message costs in a WebSocket core: ours, the sans-io layer of ``websockets``, wsproto.

    python benchmarks/websocket_core.py                  # everything, about two minutes
    python benchmarks/websocket_core.py --cores tornadoish,wsproto --rounds 5
    python benchmarks/websocket_core.py --role client
    python benchmarks/websocket_core.py --masking        # ways to XOR, by size

No sockets: bytes that a peer has sent go in, a message comes out, and the other way. The numbers
are CPU microseconds a message, medians over rounds in which the cores take turns; memory is what
``tracemalloc`` counts (zlib's included) for one connection that waits. What is not installed is
left out. Of text, each core is made to return a checked str.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from tornadoish.ws import Deflate, Message, Protocol

SIZES = {"32 B": 32, "1 KiB": 1024, "64 KiB": 65536}
#: the same compression for all: windows of 4 KiB, contexts taken over
BITS, MEM_LEVEL, LEVEL = 12, 5, 6
WORDS = '{"id": 4711, "name": "Ünïcode Sm\\u0131th", "tags": ["a", "b"], "value": 3.25, "x": '


class Case(NamedTuple):
    """What is sent."""

    size: str
    text: bool
    deflate: bool

    def __str__(self) -> str:
        return f"{self.size} {'text' if self.text else 'binary'}{', deflate' * self.deflate}"

    def messages(self, count: int) -> list[str] | list[bytes]:
        """``count`` messages that are alike but not the same, as JSON is."""
        size = SIZES[self.size]
        made = []
        for number in range(count):
            raw = "".join(f"{WORDS}{number * 7919 + i} }}" for i in range(size // 60 + 1))
            data = raw.encode()[:size]
            made.append(data.decode(errors="ignore") if self.text else data)
        return made  # type: ignore[return-value]


CASES = [
    Case(size, text, deflate) for deflate in (False, True) for size in SIZES for text in (1, 0)
]


class Core:
    """A core in one role, as the benchmark drives it."""

    name = ""

    def connection(self, client: bool, deflate: bool) -> Any:
        """A connection behind its handshake."""
        raise NotImplementedError

    def receive(self, connection: Any, wire: bytes) -> str | bytes:
        """One message that arrives in one read."""
        raise NotImplementedError

    def send(self, connection: Any, data: str | bytes) -> bytes:
        """One message, as it goes to the socket."""
        raise NotImplementedError


class Ours(Core):
    name = "tornadoish"

    def connection(self, client: bool, deflate: bool) -> Protocol:
        agreed = Deflate(
            send_bits=BITS, receive_bits=BITS, level=LEVEL, mem_level=MEM_LEVEL, threshold=0
        )
        return Protocol(client, deflate=agreed if deflate else None)

    def receive(self, connection: Protocol, wire: bytes) -> str | bytes:
        connection.receive(wire)
        event = connection.next_event()
        connection.next_event()  # as every caller has to ask
        connection.bytes_to_send()
        return event.data  # type: ignore[union-attr, return-value]

    def send(self, connection: Protocol, data: str | bytes) -> bytes:
        return connection.send_message(data)


class Websockets(Core):
    name = "websockets"

    def connection(self, client: bool, deflate: bool) -> Any:
        from websockets.extensions.permessage_deflate import PerMessageDeflate
        from websockets.protocol import CLIENT, OPEN, SERVER
        from websockets.protocol import Protocol as Theirs

        made = Theirs(CLIENT if client else SERVER, state=OPEN)
        if deflate:
            settings = {"memLevel": MEM_LEVEL, "level": LEVEL}
            made.extensions = [PerMessageDeflate(False, False, BITS, BITS, settings)]
        return made

    def receive(self, connection: Any, wire: bytes) -> str | bytes:
        connection.receive_data(wire)
        [frame] = connection.events_received()
        connection.data_to_send()
        return bytes(frame.data).decode() if frame.opcode == 1 else frame.data

    def send(self, connection: Any, data: str | bytes) -> bytes:
        if isinstance(data, str):
            connection.send_text(data.encode())
        else:
            connection.send_binary(data)
        return b"".join(connection.data_to_send())


class Wsproto(Core):
    name = "wsproto"

    def connection(self, client: bool, deflate: bool) -> Any:
        from wsproto.connection import Connection, ConnectionType
        from wsproto.extensions import PerMessageDeflate

        role = ConnectionType.CLIENT if client else ConnectionType.SERVER
        extensions = []
        if deflate:
            # Level and memory are zlib's defaults: they cannot be chosen.
            extension = PerMessageDeflate(False, BITS, False, BITS)
            extension._enabled = True
            extensions.append(extension)
        return Connection(role, extensions)

    def receive(self, connection: Any, wire: bytes) -> str | bytes:
        connection.receive_data(wire)
        [event] = connection.events()
        return event.data if isinstance(event.data, str) else bytes(event.data)

    def send(self, connection: Any, data: str | bytes) -> bytes:
        from wsproto.events import BytesMessage, TextMessage

        made: type = TextMessage if isinstance(data, str) else BytesMessage
        return connection.send(made(data=data))


def installed(names: str) -> list[Core]:
    """Those of ``names`` that can be used here."""
    found: list[Core] = []
    for core in (Ours(), Websockets(), Wsproto()):
        if core.name in names.split(","):
            try:
                core.connection(False, True)
            except ImportError:
                print(f"({core.name} is not installed)")
            else:
                found.append(core)
    return found


# -- what one message costs


def rounds_of(
    cores: list[Core], case: Case, client: bool, rounds: int
) -> Iterator[dict[str, tuple[float, float]]]:
    """For each round what receiving and sending cost each core, in microseconds."""
    count = {"32 B": 3000, "1 KiB": 1500, "64 KiB": 40}[case.size] // (1 + 2 * case.deflate)
    messages = case.messages(count)
    for turn in range(rounds):
        costs = {}
        for core in cores[turn % len(cores) :] + cores[: turn % len(cores)]:
            peer = Ours().connection(not client, case.deflate)
            wires = [peer.send_message(message) for message in messages]
            receiver = core.connection(client, case.deflate)
            received = _cost(lambda wire: core.receive(receiver, wire), wires)  # noqa: B023
            sender = core.connection(client, case.deflate)
            sent = _cost(lambda message: core.send(sender, message), messages)  # noqa: B023
            costs[core.name] = received, sent
        yield costs


def _cost(work: Callable[[Any], object], inputs: list[Any]) -> float:
    gc.collect()
    gc.disable()
    start = time.process_time()
    for one in inputs:
        work(one)
    spent = time.process_time() - start
    gc.enable()
    return spent / len(inputs) * 1e6


def check(cores: list[Core], case: Case, client: bool) -> None:
    """Each core has to give the very message back, or its row says nothing."""
    [message, other] = case.messages(2)
    for core in cores:
        peer, connection = Ours().connection(not client, case.deflate), None
        connection = core.connection(client, case.deflate)
        for sent in (message, other, message):
            if core.receive(connection, peer.send_message(sent)) != sent:
                raise SystemExit(f"{core.name} does not receive {case}")
            peer.receive(core.send(connection, sent))
            if peer.next_event() != Message(sent):
                raise SystemExit(f"{core.name} does not send {case}")


def show_costs(cores: list[Core], client: bool, rounds: int) -> None:
    names = [f"{core.name} {way}" for way in ("receive", "send") for core in cores]
    print(f"CPU us a message, {'client' if client else 'server'}, medians of {rounds} rounds\n")
    print(f"| message | {' | '.join(names)} |")
    print("|---" + "|--:" * len(names) + "|")
    for case in CASES:
        check(cores, case, client)
        samples = list(rounds_of(cores, case, client, rounds))
        cells = [
            f"{median(sample[core.name][way] for sample in samples):.1f}"
            for way in (0, 1)
            for core in cores
        ]
        print(f"| {case} | {' | '.join(cells)} |", flush=True)


# -- what a connection that waits holds


def show_memory(cores: list[Core], count: int = 400) -> None:
    print("\nBytes a connection that waits (server)\n")
    print(f"| state | {' | '.join(core.name for core in cores)} |")
    print("|---" + "|--:" * len(cores) + "|")
    for deflate in (False, True):
        for used in (False, True):
            row = [str(_held(core, deflate, used, count)) for core in cores]
            state = "after a message of 1 KiB each way" if used else "new"
            print(f"| {state}{', deflate' * deflate} | {' | '.join(row)} |", flush=True)


def _held(core: Core, deflate: bool, used: bool, count: int) -> int:
    [message] = Case("1 KiB", True, deflate).messages(1)
    wire = Ours().connection(True, deflate).send_message(message)

    def make() -> Any:
        connection = core.connection(False, deflate)
        if used:
            core.receive(connection, wire)
            core.send(connection, message)
        return connection

    made = [make() for _ in range(50)]  # what is made once is there
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = [make() for _ in range(count)]
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del made
    return round(held / count)


# -- ways to mask


def show_masking() -> None:
    from tornadoish.ws import masking

    key = os.urandom(4)
    ways: dict[str, Callable[..., Any]] = {
        "integers": masking.by_integers,
        "translation": masking.by_translation,
    }
    if masking.load_in_c() is not None:

        def in_c(data: bytes, key: bytes) -> Any:  # it takes no keywords
            return masking.load_in_c()(data, key)

        ways["C (websockets)"] = in_c
    print("us to mask once\n")
    print(f"| bytes | {' | '.join(ways)} |")
    print("|--:" * (len(ways) + 1) + "|")
    for size in (4, 32, 128, 256, 384, 512, 1024, 2048, 4096, 16384, 65536, 1 << 20):
        data = os.urandom(size)
        inputs = [data] * max(3, 400_000 // (size + 200))
        costs = [
            min(_cost(partial(way, key=key), inputs) for _ in range(7)) for way in ways.values()
        ]
        print(f"| {size} | {' | '.join(f'{cost:.2f}' for cost in costs)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", default="tornadoish,websockets,wsproto")
    parser.add_argument("--role", choices=["server", "client"], default="server")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--masking", action="store_true", help="only compare ways to mask")
    chosen = parser.parse_args()
    if chosen.masking:
        show_masking()
        return
    cores = installed(chosen.cores)
    show_costs(cores, chosen.role == "client", chosen.rounds)
    show_memory(cores)


if __name__ == "__main__":
    main()
