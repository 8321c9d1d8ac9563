"""Figures and tables from what scale.py has written: `python benchmarks/scale_plots.py FILE DIR`.

Draws a PNG for each kind of growth into DIR and prints the tables of docs/capacity.md; with
`--page FILE` they are written into its places. Measures nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import scale_tables
from cases import ROOT
from scale_model import OURS, Book, Key

matplotlib.use("Agg")

import matplotlib.pyplot as plt

PAGE = ROOT / "docs" / "capacity.md"
COLOURS = ("#0b6e99", "#c8553d", "#5b8c5a", "#5b4a9e")
PEER = "#8a8a8a"
DOTS_PER_INCH = 110
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.markersize": 4.5,
    "figure.constrained_layout.use": True,
}

Axes = Any


def _names(keys: Sequence[tuple[Key, str]], book: Book) -> list[tuple[Key, str]]:
    return [(key, name) for key, name in keys if key in book.curves]


def _curve(axes: Axes, book: Book, key: Key, name: str, colour: str, scale: float = 1,
           line: bool = True, x_scale: float = 1) -> None:  # fmt: skip
    """Medians as points, the span of the rounds as bars, the fitted line, and the knee."""
    curve = book.curves[key]
    xs, ys = book.points(key)
    low = [(y - min(curve[x])) / scale for x, y in zip(xs, ys, strict=True)]
    high = [(max(curve[x]) - y) / scale for x, y in zip(xs, ys, strict=True)]
    shown = [x / x_scale for x in xs]
    axes.errorbar(
        shown, [y / scale for y in ys], yerr=[low, high], fmt="o" if line else "o-", color=colour,
        elinewidth=1, capsize=2, label=name, zorder=3,
    )  # fmt: skip
    if not line:
        return
    fit = book.fit(key)
    steps = _between([x for x in xs if x > 0], with_zero=xs[0] == 0)
    axes.plot(
        [x / x_scale for x in steps], [(fit.start + fit.slope * x) / scale for x in steps],
        color=colour, linewidth=1.1, alpha=0.7,
    )  # fmt: skip
    if fit.knee:
        axes.axvline(fit.knee.x / x_scale, color=colour, linewidth=0.9, linestyle=":")


def _between(xs: Sequence[float], with_zero: bool) -> list[float]:
    """Many x from the first to the last, evenly on a logarithmic axis: there a line is curved."""
    first, last = xs[0], xs[-1]
    steps = [first * (last / first) ** (step / 60) for step in range(61)]
    return [0.0, *steps] if with_zero else steps


def _finish(axes: Axes, title: str, x: str, y: str, *, zero: bool = True) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if zero:
        axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.1)
    axes.legend()


def _plain(axes: Axes, which: str, ticks: Sequence[float], words: Sequence[str]) -> None:
    """These ticks alone, in words: 10^3 is for people who count in powers."""
    getattr(axes, f"set_{which}ticks")(ticks, words)
    getattr(axes, f"{which}axis").set_minor_locator(matplotlib.ticker.NullLocator())


def _thousands(values: Sequence[float]) -> list[str]:
    return [f"{value:,.0f}".replace(",", " ") for value in values]


def connections(book: Book) -> Any:
    """CPU beside idle connections, memory of them, and CPU of many that ask."""
    figure, (cpu, memory, asking) = plt.subplots(1, 3, figsize=(11, 3.4))
    keys = [(Key("connections", "cpu"), OURS), (Key("connections", "cpu", "bare"), "bare protocol")]
    for (key, name), colour in zip(_names(keys, book), (COLOURS[0], PEER), strict=False):
        _curve(cpu, book, key, name, colour)
    cpu.set_xscale("log")
    ticks = [16, 100, 1000, 10_000]
    _plain(cpu, "x", ticks, _thousands(ticks))
    _finish(cpu, "A request, 16 connections ask", "open connections (log)", "CPU us a request")
    keys = [
        (Key("connections", "resident"), "idle connections"),
        (Key("websockets", "resident"), "idle WebSockets"),
        (Key("connections", "resident", "bare"), "bare protocol"),
    ]
    for (key, name), colour in zip(_names(keys, book), (*COLOURS[:2], PEER), strict=False):
        _curve(memory, book, key, f"{name}: {book.fit(key).slope:.1f} KiB each", colour, 1024)
    _plain(
        memory, "x", [0, 5000, 10_000, 15_000, 20_000], ["0", "5 000", "10 000", "15 000", "20 000"]
    )
    _finish(memory, "Memory of the process", "idle connections", "resident MiB")
    keys = [(Key("concurrent", "cpu"), OURS), (Key("concurrent", "cpu", "bare"), "bare protocol")]
    for (key, name), colour in zip(_names(keys, book), (COLOURS[0], PEER), strict=False):
        _curve(asking, book, key, name, colour, line=False)
    asking.set_xscale("log")
    ticks = [1, 4, 16, 64, 256]
    _plain(asking, "x", ticks, _thousands(ticks))
    _finish(asking, "A request, all connections ask", "connections (log)", "CPU us a request")
    return figure


def routes(book: Book) -> Any:
    """CPU of a request for the last route."""
    figure, axes = plt.subplots(figsize=(6.2, 3.6))
    keys = [
        (Key("routes", "text"), "each with a text of its own"),
        (Key("routes", "pattern"), "none with any text to tell it by"),
        (Key("routes", "text", "tornado"), "tornado, each with a text of its own"),
    ]
    for (key, name), colour in zip(_names(keys, book), (*COLOURS[:2], PEER), strict=False):
        _curve(axes, book, key, name, colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [1, 10, 100, 1000, 5000]
    _plain(axes, "x", ticks, _thousands(ticks))
    ticks = [20, 50, 100, 200, 500, 1000]
    _plain(axes, "y", ticks, _thousands(ticks))
    _finish(
        axes, "A request for the last route", "routes (log)", "CPU us a request (log)", zero=False
    )
    return figure


def headers(book: Book) -> Any:
    """CPU of a request by its fields."""
    figure, axes = plt.subplots(figsize=(6.2, 3.6))
    keys = [
        (Key("headers", "same"), "the same fields each time"),
        (Key("headers", "varied"), "one of them new each time"),
        (Key("headers", "same", "tornado"), "tornado, the same each time"),
    ]
    for (key, name), colour in zip(_names(keys, book), (*COLOURS[:2], PEER), strict=False):
        slope = book.fit(key).slope
        _curve(axes, book, key, f"{name}: {slope:.2f} us a field", colour)
    _finish(axes, "A request with header fields", "fields besides Host", "CPU us a request")
    return figure


def body(book: Book) -> Any:
    """CPU of a request by the size of its body, and for each MiB of it."""
    figure, (each, mib) = plt.subplots(1, 2, figsize=(9.5, 3.8))
    names = {
        "up": "sent, streamed",
        "kept": "sent, held",
        "down": "answered",
        "reused": "sent, held, memory kept",
    }
    sizes = [1, 16, 256, 4 * 1024, 64 * 1024]
    words = ["1 KiB", "16 KiB", "256 KiB", "4 MiB", "64 MiB"]
    for (kind, name), colour in zip(names.items(), COLOURS, strict=False):
        _curve(each, book, Key("body", kind), name, colour)
        xs, ys = book.points(Key("body", kind))
        large = [(x, y / x * 1024) for x, y in zip(xs, ys, strict=True) if x >= 64]
        mib.plot([x for x, _ in large], [y for _, y in large], "o-", color=colour, label=name)
    for axes in (each, mib):
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain(axes, "x", sizes, words)
    each.set_xlim(left=0.7)
    _plain(mib, "x", [64, *sizes[2:]], ["64 KiB", *words[2:]])
    mib.set_xlim(left=50)
    ticks = [100, 1000, 10_000, 100_000]
    _plain(each, "y", ticks, _thousands(ticks))
    ticks = [200, 500, 1000, 2000, 5000]
    _plain(mib, "y", ticks, _thousands(ticks))
    _finish(
        each,
        "A request with a body",
        "size of the body (log)",
        "CPU us a request (log)",
        zero=False,
    )
    _finish(mib, "Each MiB of it", "size of the body (log)", "CPU us a MiB (log)", zero=False)
    return figure


def workers(book: Book) -> Any:
    """CPU of a request and requests a second, by workers."""
    figure, (cpu, rate) = plt.subplots(1, 2, figsize=(8.5, 3.2))
    keys = [
        (Key("workers", "one-cpu"), "together on one CPU, the client on another"),
        (Key("workers", "cpu"), "on all CPUs, beside the client"),
    ]
    for (key, name), colour in zip(_names(keys, book), COLOURS, strict=False):
        _curve(cpu, book, key, name, colour)
    _finish(cpu, "A request, all processes together", "workers", "CPU us a request")
    _curve(rate, book, Key("workers", "rate"), keys[1][1], COLOURS[1], line=False)
    _finish(rate, "Requests", "workers", "requests a second")
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
    for axes in (cpu, rate):
        _plain(axes, "x", [1, 2, 3, 4], ["1", "2", "3", "4"])
        axes.set_xlim(0.7, 4.3)
    return figure


FIGURES: dict[str, Callable[[Book], Any]] = {
    "connections": connections,
    "routes": routes,
    "headers": headers,
    "body": body,
    "workers": workers,
}


def draw(book: Book, folder: Path) -> list[Path]:
    """A file for each kind of growth that was measured."""
    files = []
    measured = {key.what for key in book.curves}
    for name in [name for name in FIGURES if name in measured]:
        with plt.style.context(STYLE):
            figure = FIGURES[name](book)
            file = folder / f"{name}.png"
            # No date and no version in the file: the same figures are the same bytes.
            figure.savefig(file, dpi=DOTS_PER_INCH, metadata={"Software": None})
            plt.close(figure)
        files.append(file)
    return files


def publish(measured: Path, folder: Path, page: Path = PAGE) -> None:
    """The figures, and the tables in their places."""
    book = Book.read(measured)
    draw(book, folder)
    scale_tables.fill(page, book)


def main() -> int:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="what scale.py --json has written")
    parser.add_argument("folder", type=Path, help="where the figures go")
    parser.add_argument("--page", type=Path, help="write the tables into it, as docs/capacity.md")
    options = parser.parse_args()
    book = Book.read(options.file)
    for file in draw(book, options.folder):
        print(file, file=sys.stderr)
    if options.page:
        scale_tables.fill(options.page, book)
    else:
        for name, text in scale_tables.blocks(book).items():
            print(f"{name}:\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
