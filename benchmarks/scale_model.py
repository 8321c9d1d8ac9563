"""What scale.py has measured: curves of points, each with a value a round; as JSON and back.

Written by scale.py, read by scale_plots.py and scale_capacity.py. Measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import scale_fit

OURS = "tornadoish"


class Key(NamedTuple):
    """Which curve: what grows, what is measured of it, and of which server."""

    what: str
    measure: str
    server: str = OURS

    def __str__(self) -> str:
        return "/".join(self)


@dataclass
class Book:
    """All curves of a run. A single figure is a curve of one point, x = 0."""

    environment: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    curves: dict[Key, dict[float, list[float]]] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, key: Key, x: float, y: float) -> None:
        """Keep a round's value of a point."""
        self.curves.setdefault(key, {}).setdefault(x, []).append(y)

    def points(self, key: Key) -> tuple[list[float], list[float]]:
        """The x of a curve, rising, and the median of each. KeyError if it was not measured."""
        curve = self.curves[key]
        xs = sorted(curve)
        return xs, [median(curve[x]) for x in xs]

    def at(self, key: Key, x: float = 0) -> float:
        """The median of one point."""
        return median(self.curves[key][x])

    def fit(self, key: Key) -> scale_fit.Fit:
        """The line of a curve. ValueError if it has no two points, or one that is not positive."""
        curve = self.curves[key]
        xs = sorted(curve)
        return scale_fit.fit(xs, [curve[x] for x in xs])

    def write(self, file: Path) -> None:
        """As JSON, a curve on a line, so that two runs can be compared."""
        curves = ",\n".join(
            f"  {json.dumps(str(key))}: "
            + json.dumps({f"{x:g}": [_short(y) for y in curve[x]] for x in sorted(curve)})
            for key, curve in sorted(self.curves.items())
        )
        rest = {
            "environment": self.environment,
            "settings": self.settings,
            "others": [_short(share) for share in self.others],
            "failures": self.failures,
        }
        lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in rest.items()]
        text = ",\n".join([*lines, f' "curves": {{\n{curves}\n }}'])
        file.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Book:
        """What `write` wrote."""
        raw = json.loads(file.read_text(encoding="utf-8"))
        raw["curves"] = {
            Key(*name.split("/")): {float(x): values for x, values in curve.items()}
            for name, curve in raw["curves"].items()
        }
        return cls(**raw)


def _short(value: float) -> float:
    """With the digits that mean something."""
    return float(f"{value:.4g}")
