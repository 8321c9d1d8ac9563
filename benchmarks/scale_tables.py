"""The tables of docs/capacity.md from what scale.py has measured, and their places in the page.

Used by scale_plots.py, which draws the same curves, and by a test, which holds the page to
docs/scale/measured.json. Measures nothing, and needs the standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import scale_capacity
from scale_capacity import num, table
from scale_fit import Fit
from scale_model import OURS, Book, Key

_PLACE = re.compile(r"(<!-- scale: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A curve as people read it: `per` x are the `unit` that its slope is told for."""

    key: Key
    title: str
    y_unit: str
    unit: str
    per: float = 1

    @property
    def label(self) -> str:
        """What grows, of whom."""
        return f"{self.title}, {self.key.server}" if self.key.server != OURS else self.title


def _shown(what: str, measure: str, title: str, y_unit: str, unit: str, per: float = 1,
           peers: Sequence[str] = ()) -> list[Shown]:  # fmt: skip
    return [
        Shown(Key(what, measure, server), title, y_unit, unit, per) for server in (OURS, *peers)
    ]


SHOWN: tuple[Shown, ...] = (
    *_shown("connections", "cpu", "idle connections beside 16 that ask", "us a request",
            "1 000 connections", 1000, ["bare"]),
    *_shown("connections", "p50", "the same, how long the median one takes", "us",
            "1 000 connections", 1000),
    *_shown("connections", "resident", "idle connections", "KiB", "connection", 1, ["bare"]),
    *_shown("websockets", "resident", "idle WebSockets", "KiB", "WebSocket"),
    *_shown("concurrent", "cpu", "connections that all ask", "us a request", "connection", 1,
            ["bare"]),
    *_shown("routes", "text", "routes with a text of their own, the last", "us a request",
            "1 000 routes", 1000, ["tornado"]),
    *_shown("routes", "pattern", "routes without any text, the last", "us a request",
            "1 000 routes", 1000),
    *_shown("headers", "same", "header fields, the same each time", "us a request", "field", 1,
            ["tornado"]),
    *_shown("headers", "varied", "header fields, one of them new", "us a request", "field"),
    *_shown("body", "up", "body sent, streamed", "us a request", "MiB", 1024, ["tornado"]),
    *_shown("body", "kept", "body sent, held", "us a request", "MiB", 1024, ["tornado"]),
    *_shown("body", "reused", "body sent, held, memory kept", "us a request", "MiB", 1024),
    *_shown("body", "down", "body answered", "us a request", "MiB", 1024, ["tornado"]),
    *_shown("workers", "cpu", "workers, on all CPUs", "us a request", "worker"),
    *_shown("workers", "one-cpu", "workers, together on one CPU", "us a request", "worker"),
)  # fmt: skip


def line_words(shown: Shown, fit: Fit) -> str:
    """The straight line, with its slope for the unit that people think in."""
    slope = fit.slope * shown.per
    sign = "-" if slope < 0 else "+"
    return f"{num(fit.start)} {sign} {num(abs(slope))} a {shown.unit}"


def knee_words(shown: Shown, fit: Fit) -> str:
    """Where the knee is and what changes there; empty if there is none."""
    if (knee := fit.knee) is None:
        return ""
    before, behind = knee.before * shown.per, knee.behind * shown.per
    turn = "steeper" if knee.steeper else "flatter"
    if before < 0:
        turn = "the fall ends" if behind > before else "falls faster"
    return f"knee at {size(shown, knee.x)}: {turn}, {num(before)} before, {num(behind)} behind"


def jump_words(shown: Shown, fit: Fit) -> list[str]:
    """Where y grows by more than x does."""
    return [
        f"jump from {size(shown, jump.x)} to {size(shown, jump.to)}: {num(jump.factor)} times"
        for jump in fit.jumps
    ]


def size(shown: Shown, x: float) -> str:
    """An x; those of bodies are KiB."""
    if shown.key.what != "body":
        return f"{x:,.0f}".replace(",", " ")
    return f"{x / 1024:g} MiB" if x >= 1024 else f"{x:g} KiB"


def growth(book: Book) -> str:
    """Every curve: its ends, its line, and what that makes of it."""
    header = ["what grows", "from", "to", "first", "last", "line", "off by", "exponent", "verdict"]
    body = []
    for shown in SHOWN:
        if shown.key not in book.curves:
            continue
        xs, ys = book.points(shown.key)
        fit = book.fit(shown.key)
        # Where the line says it all, the exponent says how the noise bends it.
        decides = not fit.flat and not fit.straight and fit.exponent is not None
        exponent = f"{fit.exponent:.2f}" if decides else "-"
        verdict = "; ".join(
            filter(None, [fit.verdict, knee_words(shown, fit), *jump_words(shown, fit)])
        )
        body.append([
            shown.label, size(shown, xs[0]), size(shown, xs[-1]),
            f"{num(ys[0])} {shown.y_unit}", num(ys[-1]), line_words(shown, fit),
            f"{fit.deviation:.0%}", exponent, verdict,
        ])  # fmt: skip
    worse = [shown.title for shown, fit in ours(book) if not fit.linear_or_better]
    return table(header, body) + f"\nWorse than linear: {', '.join(worse) or 'none'}.\n"


def ours(book: Book) -> list[tuple[Shown, Fit]]:
    """The curves that are not a peer's."""
    return [(shown, book.fit(shown.key)) for shown in SHOWN if shown.key.server == OURS]


def workers(book: Book) -> str:
    """Requests per second, and per second of CPU."""
    header = ["workers", "on one CPU: us a request", "on all: us a request",
              "requests per CPU second", "requests per second"]  # fmt: skip
    counts, costs = book.points(Key("workers", "cpu"))
    _, pinned = book.points(Key("workers", "one-cpu"))
    _, rates = book.points(Key("workers", "rate"))
    body = [
        [f"{count:g}", num(alone), num(cost), num(1e6 / cost), num(rate)]
        for count, alone, cost, rate in zip(counts, pinned, costs, rates, strict=True)
    ]
    return table(header, body)


def run_words(book: Book) -> str:
    """What the numbers depend on, in a sentence."""
    told = book.environment
    kind = "compiled" if book.settings.get("compiled") else "pure Python"
    quiet = f"{median(book.others):.0%}" if book.others else "an unknown share"
    return (
        f"tornadoish {kind}, {told['python']}, uvloop {told['uvloop']}, Linux {told['kernel']}, "
        f"{told['cpu']}; "
        f"{book.settings['rounds']} rounds of {book.settings['seconds']} s for each point; others "
        f"had {quiet} of the server's CPU in the median measurement.\n"
    )


def blocks(book: Book) -> Mapping[str, str]:
    """What stands in each place of the page."""
    return {
        "run": run_words(book),
        "growth": growth(book),
        "workers": workers(book),
        **scale_capacity.blocks(book),
    }


def filled(page: str, contents: Mapping[str, str]) -> str:
    """The page with each of its places filled anew.

    :raises ValueError: a place of which nothing is known, or something that has no place.
    """
    places = [match[2] for match in _PLACE.finditer(page)]
    if sorted(places) != sorted(contents):
        raise ValueError(f"the page has places for {places}, and there are {list(contents)}")
    return _PLACE.sub(lambda match: f"{match[1]}\n{contents[match[2]]}\n{match[3]}", page)


def fill(page: Path, book: Book) -> None:
    """Write the tables into the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(filled(text, blocks(book)), encoding="utf-8")
