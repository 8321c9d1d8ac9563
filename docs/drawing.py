"""Draws a state machine, or a table of verdicts, as SVG text; used by print_pictures.py.

What is drawn comes from the caller's tables; only where things stand on the page is said by hand.
Colours are CSS variables with defaults for a light and a dark background, so that a page which
holds the picture can set its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 440
BOX_HEIGHT = 34
CHARACTER = 7.4  # the width of one, about, at 12.5 px
EVERYWHERE = 3  # as many states that an event leads away from, always to the same one

_STYLE = """\
.pic{--ink:#24292f;--line:#57606a;--fill:#fff;--soft:#eef2f7;--accent:#0b6e99;
font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media(prefers-color-scheme:dark){.pic{--ink:#d7dde4;--line:#8b949e;--fill:#161b22;
--soft:#21303c;--accent:#6cc4e8}}
.pic text{fill:var(--ink);text-anchor:middle;dominant-baseline:central}
.pic .state{fill:var(--soft);stroke:var(--line)}
.pic .name{font-weight:700}
.pic .arrow{fill:none;stroke:var(--line);stroke-width:1.3}
.pic .head{fill:var(--line)}
.pic .event{fill:var(--accent);stroke:var(--fill);stroke-width:4px;paint-order:stroke}
"""

Point = tuple[float, float]


@dataclass(frozen=True)
class Places:
    """Where the states stand (their centres, in pixels), how far the arrows between two of them
    bend to the left of their way, and on which side of its box a state's loops are (1: right,
    -1: left, 0: below)."""

    height: int
    at: Mapping[str, Point]
    bends: Mapping[tuple[str, str], float] = field(default_factory=dict)
    loops: Mapping[str, int] = field(default_factory=dict)
    starts: str = ""


def svg(name: str, title: str, height: int, parts: Sequence[str]) -> str:
    """A whole picture. ``name`` sets its ids apart from those of others on a page."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" '
            f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<defs><marker id="{name}-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0 0 8 4 0 8z"/>'
            "</marker></defs>",
            *parts,
            "</svg>",
            "",
        ]
    )


def machine(name: str, title: str, table: Mapping[str, Mapping[str, str]], places: Places) -> str:
    """``table``: state -> event -> state."""
    if set(table) != set(places.at):
        raise SystemExit(f"{name}: no place for {set(table) ^ set(places.at)}")
    everywhere = _everywhere(table)
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, row in table.items():
        for event, target in row.items():
            if event not in everywhere:
                arrows.setdefault((state, target), []).append(event)
    lines: list[str] = []
    labels: list[str] = []
    if places.starts:
        x, y = places.at[places.starts]
        lines.append(f'<circle class="head" cx="{x:g}" cy="{y - 46:g}" r="5"/>')
        lines.append(_path(name, f"M{x:g} {y - 41:g}V{y - BOX_HEIGHT / 2 - 1:g}"))
    for (state, target), events in arrows.items():
        draw = _loop if state == target else _arrow
        line, label = draw(name, state, target, events, places)
        lines.append(line)
        labels.append(label)
    for number, (event, target) in enumerate(everywhere.items()):
        line, label = _stub(name, event, target, number, places)
        lines.append(line)
        labels.append(label)
    boxes = [_box(state, places.at[state]) for state in table]
    return svg(name, title, places.height, [*lines, *boxes, *labels])


def _everywhere(table: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Events that lead to one state from wherever they are possible, and from many."""
    found: dict[str, str] = {}
    for event in dict.fromkeys(event for row in table.values() for event in row):
        targets = [row[event] for row in table.values() if event in row]
        if len(targets) >= EVERYWHERE and len(set(targets)) == 1:
            found[event] = targets[0]
    return found


def _width(state: str) -> float:
    return max(72.0, len(state) * CHARACTER * 1.1 + 22)


def _box(state: str, at: Point) -> str:
    width, (x, y) = _width(state), at
    return (
        f'<rect class="state" x="{x - width / 2:g}" y="{y - BOX_HEIGHT / 2:g}" '
        f'width="{width:g}" height="{BOX_HEIGHT}" rx="9"/>'
        f'<text class="name" x="{x:g}" y="{y:g}">{escape(state)}</text>'
    )


def _path(name: str, way: str) -> str:
    return f'<path class="arrow" d="{way}" marker-end="url(#{name}-head)"/>'


def _label(x: float, y: float, lines: Sequence[str]) -> str:
    """Some lines of text around a point, kept within the picture."""
    half = max(map(len, lines)) * CHARACTER / 2 + 3
    x = min(max(x, half), WIDTH - half)
    first = y - (len(lines) - 1) * 8
    return "".join(
        f'<text class="event" x="{x:.0f}" y="{first + 16 * number:.0f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )


def _arrow(
    name: str, state: str, target: str, events: Sequence[str], places: Places
) -> tuple[str, str]:
    (x1, y1), (x2, y2) = places.at[state], places.at[target]
    bend = places.bends.get((state, target), 0.0)
    length = math.hypot(x2 - x1, y2 - y1)
    across = ((y2 - y1) / length, (x1 - x2) / length)
    middle = ((x1 + x2) / 2 + across[0] * bend, (y1 + y2) / 2 + across[1] * bend)
    # The curve's control point is twice as far out as its middle.
    control = (2 * middle[0] - (x1 + x2) / 2, 2 * middle[1] - (y1 + y2) / 2)
    a = _edge(places.at[state], control, _width(state))
    b = _edge(places.at[target], control, _width(target))
    way = f"M{a[0]:.0f} {a[1]:.0f}Q{control[0]:.0f} {control[1]:.0f} {b[0]:.0f} {b[1]:.0f}"
    return _path(name, way), _label(*middle, events)


def _edge(at: Point, towards: Point, width: float) -> Point:
    """Where the line from the centre of a box leaves it."""
    x, y = towards[0] - at[0], towards[1] - at[1]
    reach = min(
        (width / 2 + 1) / abs(x) if x else math.inf,
        (BOX_HEIGHT / 2 + 1) / abs(y) if y else math.inf,
    )
    return at[0] + x * reach, at[1] + y * reach


def _loop(
    name: str, state: str, target: str, events: Sequence[str], places: Places
) -> tuple[str, str]:
    side = places.loops.get(state, 1)
    x, y = places.at[state]
    if side == 0:
        edge, out = y + BOX_HEIGHT / 2 + 1, y + BOX_HEIGHT / 2 + 34
        way = _curve((x - 8, edge), (x - 26, out), (x + 26, out), (x + 8, edge))
        return _path(name, way), _label(x, out + 4, events)
    edge = x + side * (_width(state) / 2 + 1)
    out = edge + side * 34
    way = _curve((edge, y - 8), (out, y - 26), (out, y + 26), (edge, y + 8))
    reach = max(map(len, events)) * CHARACTER / 2 + 10
    return _path(name, way), _label(out - side * 8 + side * reach, y, events)


def _curve(start: Point, *others: Point) -> str:
    return f"M{start[0]:.0f} {start[1]:.0f}C" + " ".join(f"{x:.0f} {y:.0f}" for x, y in others)


def _stub(name: str, event: str, target: str, number: int, places: Places) -> tuple[str, str]:
    """An arrow from nowhere, for what is possible almost everywhere."""
    x, y = places.at[target]
    line = _path(name, f"M{x:.0f} {y + 62:.0f}V{y + BOX_HEIGHT / 2 + 2:.0f}")
    return line, _label(x, y + 72, [event, "(from any state)"])


def grid(
    name: str,
    title: str,
    corner: tuple[str, str],
    names: Sequence[str],
    cells: Mapping[tuple[str, str], str],
    tones: Mapping[str, str],
) -> str:
    """A table of verdicts: rows and columns have the same ``names``, each verdict its tone."""
    left, top, height = 84, 56, 42
    width = (WIDTH - left - 2) / len(names)
    parts = [
        f'<text class="event" x="{left + 3 * width:g}" y="14">{escape(corner[1])}</text>',
        f'<text class="event" x="38" y="{top - 16}">{escape(corner[0])}</text>',
    ]
    for number, column in enumerate(names):
        parts.append(_squeezed("name", left + (number + 0.5) * width, top - 16, column))
    for row_number, row in enumerate(names):
        y = top + row_number * height
        parts.append(f'<text class="name" x="40" y="{y + height / 2:g}">{escape(row)}</text>')
        for number, column in enumerate(names):
            x, verdict = left + number * width, cells[row, column]
            parts.append(
                f'<rect x="{x + 1:g}" y="{y + 1:g}" width="{width - 2:g}" height="{height - 2}" '
                f'rx="5" fill="{tones[verdict]}" fill-opacity=".3"/>'
            )
            parts.append(_squeezed("cell", x + width / 2, y + height / 2, verdict))
    return svg(name, title, top + height * len(names) + 4, parts)


def _squeezed(kind: str, x: float, y: float, text: str) -> str:
    """Text that has to stand in a narrow cell."""
    return (
        f'<text class="{kind}" x="{x:g}" y="{y:g}" textLength="{len(text) * 6.3:g}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )
