"""The arithmetic of docs/capacity.md: from what was measured to how many nodes a load needs.

Used by scale_tables.py. What is assumed stands here as constants; everything else is read from the
curves, so a new measurement changes every number that depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from report import markdown_rows
from scale_model import Book, Key

CPUS = 4
MEMORY_GIB = 8
NETWORK_GBIT = 10
"""The node of the examples: so many CPUs, each with a worker; memory; its network."""
BUSY = 0.6
"""How busy a CPU, or the network, is planned to be."""
FULL = 0.7
"""How much of the memory is planned for."""
OWN_US = 1000
"""What an application with some work of its own needs for a request."""
ECHO_US = 10.3
"""A small message echoed over a WebSocket: docs/performance.md."""
OPEN_US = 474
"""A WebSocket opened: docs/performance.md."""
UNREADY_KIB = 344
"""What a connection holds at most while its handler is not ready for its body: docs/limits.md."""
PORTS = 28_232
"""Linux's range for connections from one address to one address and port, by default."""

MIB_US = 1024
KIB_GIB = 1 << 20

Row = tuple[str, str, str]


def num(value: float) -> str:
    """Three digits that mean something, without an exponent; groups of three apart."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(",", " ")


@dataclass(frozen=True)
class Figures:
    """What a process needs, each from one curve: microseconds of CPU, and KiB."""

    hello: float
    json: float
    post: float
    field: float
    process: float
    connection: float
    connection_kernel: float
    websocket: float
    websocket_kernel: float
    most: float
    up: float
    down: float
    kept: float
    kept_peak: float
    paced: Mapping[float, float]
    proxy: float
    proxy_tls: float
    tunnel: float

    @classmethod
    def of(cls, book: Book) -> Figures:
        """Read from the curves. KeyError if one of them was not measured."""
        bodies = {
            kind: book.fit(Key("body", kind)).slope * MIB_US for kind in ("up", "down", "kept")
        }
        idle = book.fit(Key("connections", "resident"))
        most = max(book.curves[Key("connections", "resident")])
        largest = max(book.curves[Key("peak", "kept")])
        return cls(
            hello=book.at(Key("requests", "hello")),
            json=book.at(Key("requests", "json")),
            post=book.at(Key("requests", "post")),
            field=book.fit(Key("headers", "varied")).slope,
            process=idle.start,
            connection=idle.slope,
            connection_kernel=book.at(Key("connections", "kernel-each"), most),
            websocket=book.fit(Key("websockets", "resident")).slope,
            websocket_kernel=book.at(Key("websockets", "kernel-each"), most),
            most=most,
            kept_peak=book.at(Key("peak", "kept"), largest) / largest,
            paced=dict(zip(*book.points(Key("paced", "up")), strict=True)),
            proxy=book.at(Key("requests", "hello", "haproxy")),
            proxy_tls=book.at(Key("requests", "hello-tls", "haproxy")),
            tunnel=book.at(Key("requests", "tunnel-kib", "haproxy")),
            **bodies,
        )


def holds(got: Figures) -> str:
    """What one process needs, and so what it holds."""

    def cpu(us: float) -> str:
        return f"{num(1e6 / us)} requests/s"

    def memory(kib: float) -> str:
        return f"{num(KIB_GIB / kib)} in a GiB"

    def flow(us: float) -> str:
        return f"{num(1e6 / us * 8 * (1 << 20) / 1e9)} Gbit/s"

    connection = got.connection + got.connection_kernel
    websocket = got.websocket + got.websocket_kernel
    rows = [
        ("hello, 13 bytes", f"{num(got.hello)} us", cpu(got.hello), "requests/hello"),
        ("JSON with two arguments", f"{num(got.json)} us", cpu(got.json), "requests/json"),
        ("POST of 1 KiB, echoed", f"{num(got.post)} us", cpu(got.post), "requests/post"),
        ("a header field more, where one of them is new each time", f"{num(got.field)} us", "",
         "headers/varied"),
        ("the process itself", f"{num(got.process / 1024)} MiB", "", "connections/resident"),
        ("an idle connection", f"{num(got.connection)} KiB, in the kernel "
         f"{num(got.connection_kernel)} KiB", memory(connection), "connections/resident"),
        ("an idle WebSocket", f"{num(got.websocket)} KiB, in the kernel "
         f"{num(got.websocket_kernel)} KiB", memory(websocket), "websockets/resident"),
        ("a body sent, streamed, as fast as it goes", f"{num(got.up)} us a MiB", flow(got.up),
         "body/up"),
        *((f"a slow upload, {piece:g} KiB at a time", f"{num(cost)} us a MiB", flow(cost),
           "paced/up") for piece, cost in got.paced.items()),
        ("a body held until it is whole", f"{num(got.kept)} us a MiB, in memory "
         f"{num(got.kept_peak)} times its size", flow(got.kept), "body/kept, peak/kept"),
        ("a body answered in pieces of 64 KiB", f"{num(got.down)} us a MiB", flow(got.down),
         "body/down"),
        ("haproxy: a request", f"{num(got.proxy)} us", cpu(got.proxy), "requests/hello/haproxy"),
        ("haproxy: a request over TLS", f"{num(got.proxy_tls)} us", cpu(got.proxy_tls),
         "requests/hello-tls/haproxy"),
        ("workers of hello that keep one thread of haproxy busy, with TLS",
         f"{num(got.hello)} us / {num(got.proxy_tls)} us", num(got.hello / got.proxy_tls), ""),
        ("haproxy: an idle WebSocket", f"{num(got.tunnel)} KiB, in the kernel twice the above",
         memory(got.tunnel + 2 * got.websocket_kernel), "requests/tunnel-kib/haproxy"),
    ]  # fmt: skip
    header = ["what", "needs", "so one CPU does, or there fit", "curve"]
    return table(header, rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; most cells are words, so nothing is moved to the right."""
    head, rule, *lines = markdown_rows(header, rows)
    return "\n".join([head, rule.replace("-:", "-"), *lines]) + "\n"


def _steps(rows: Sequence[Row]) -> str:
    return table(["step", "arithmetic", "result"], rows)


def nodes_for(*needs: float) -> int:
    """As many nodes as the largest need asks for; without the one that may be lost."""
    return max(1, math.ceil(max(needs) - 1e-9))


def api(got: Figures) -> str:
    """10 000 requests a second, from 50 000 clients that keep their connections."""
    rate, clients, fields = 10_000, 50_000, 20
    bare = got.json + fields * got.field
    rows: list[Row] = []
    for name, own in (("framework alone", 0), ("with 1 ms of the application's own", OWN_US)):
        cpus = rate * (bare + own) / 1e6
        need = cpus / BUSY / CPUS
        count = nodes_for(need)
        rows += [
            (f"{name}: a request", f"{num(got.json)} + {fields} x {num(got.field)} + {own}",
             f"{num(bare + own)} us"),
            ("CPUs busy", f"10 000/s x {num(bare + own)} us", num(cpus)),
            (f"nodes of {CPUS} CPUs, {BUSY:.0%} busy",
             f"{num(cpus)} / {BUSY} / {CPUS} = {num(need)}", f"{count}"),
            ("and one that may be lost", f"{count} + 1", f"**{count + 1} nodes**"),
            ("busy with all of them, and with one lost",
             f"{num(cpus)} / {CPUS * (count + 1)}, {num(cpus)} / {CPUS * count}",
             f"{cpus / CPUS / (count + 1):.0%}, {cpus / CPUS / count:.0%}"),
        ]  # fmt: skip
    each = got.connection + got.connection_kernel
    proxy = rate * got.proxy_tls / 1e6
    rows += [
        ("memory of the connections, all nodes", f"50 000 x {num(each)} KiB",
         f"{num(clients * each / 1024)} MiB"),
        ("haproxy with TLS: CPUs busy", f"10 000/s x {num(got.proxy_tls)} us", num(proxy)),
        (f"its CPUs, {BUSY:.0%} busy", f"{num(proxy)} / {BUSY}", f"{nodes_for(proxy / BUSY)}"),
    ]  # fmt: skip
    return _steps(rows)


def websockets(got: Figures) -> str:
    """A million WebSockets that say nothing but a ping every 30 s."""
    count, interval = 1_000_000, 30
    each = got.websocket + got.websocket_kernel
    held = CPUS * got.most
    by_measured = count / held
    by_memory = count * each / (MEMORY_GIB * KIB_GIB * FULL)
    nodes = nodes_for(by_measured, by_memory)
    moved = count / (nodes + 1) / nodes
    pings = count / interval / nodes
    front = count * (got.tunnel + 2 * got.websocket_kernel) / KIB_GIB
    return _steps([
        ("memory of one", f"{num(got.websocket)} + {num(got.websocket_kernel)} KiB",
         f"{num(each)} KiB"),
        (f"nodes by memory, {FULL:.0%} of {MEMORY_GIB} GiB",
         f"1 000 000 x {num(each)} KiB / {num(MEMORY_GIB * FULL)} GiB", num(by_memory)),
        (f"nodes by what was measured, {num(got.most)} a process",
         f"1 000 000 / ({CPUS} x {num(got.most)})", num(by_measured)),
        ("the larger, and one that may be lost", f"{nodes} + 1", f"**{nodes + 1} nodes**"),
        ("memory on each, with one lost", f"1 000 000 / {nodes} x {num(each)} KiB",
         f"{num(count / nodes * each / KIB_GIB)} GiB"),
        (f"a ping every {interval} s: CPUs busy on each",
         f"{num(pings)}/s x {ECHO_US:g} us at most", num(pings * ECHO_US / 1e6)),
        ("one is lost: WebSockets that each other one has to open",
         f"1 000 000 / {nodes + 1} / {nodes}", num(moved)),
        (f"that takes {CPUS} CPUs at least", f"{num(moved)} x {OPEN_US} us / {CPUS}",
         f"{num(moved * OPEN_US / 1e6 / CPUS)} s"),
        ("haproxy: memory of all",
         f"1 000 000 x ({num(got.tunnel)} + 2 x {num(got.websocket_kernel)}) KiB",
         f"{num(front)} GiB"),
        ("pairs of a source address and a server's port",
         f"1 000 000 / {num(PORTS)}", f"{math.ceil(count / PORTS)}"),
    ])  # fmt: skip


def uploads(got: Figures) -> str:
    """1 000 uploads of 10 Mbit/s each, streamed."""
    count, mbit, piece = 1_000, 10, 4
    mib = count * mbit * 1e6 / 8 / (1 << 20)
    cost = got.paced[piece]
    cpus = mib * cost / 1e6
    by_cpu = cpus / BUSY / CPUS
    by_network = count * mbit / 1000 / NETWORK_GBIT / BUSY
    nodes = nodes_for(by_cpu, by_network)
    return _steps([
        ("bytes", "1 000 x 10 Mbit/s", f"{num(mib)} MiB/s"),
        (f"CPUs busy, {piece} KiB at a time", f"{num(mib)} MiB/s x {num(cost)} us", num(cpus)),
        (f"nodes by CPU, {BUSY:.0%} busy", f"{num(cpus)} / {BUSY} / {CPUS}", num(by_cpu)),
        (f"nodes by network, {NETWORK_GBIT} Gbit/s, {BUSY:.0%} busy",
         f"10 / {NETWORK_GBIT} / {BUSY}", num(by_network)),
        ("the larger, and one that may be lost", f"{nodes} + 1", f"**{nodes + 1} nodes**"),
        ("memory of all, streamed, handlers slow", f"1 000 x {UNREADY_KIB} KiB at most",
         f"{num(count * UNREADY_KIB / 1024)} MiB"),
        ("the same, if bodies of 100 MiB are held", f"1 000 x {num(got.kept_peak)} x 100 MiB",
         f"{num(count * got.kept_peak * 100 / 1024)} GiB"),
    ])  # fmt: skip


def blocks(book: Book) -> Mapping[str, str]:
    """The tables by the names of their places."""
    got = Figures.of(book)
    return {
        "holds": holds(got),
        "api": api(got),
        "websockets": websockets(got),
        "uploads": uploads(got),
    }
