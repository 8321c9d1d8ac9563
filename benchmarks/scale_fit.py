"""What a measured curve is: a straight line, flat, or worse; and where it has a knee.

Used by scale.py and scale_plots.py; pure arithmetic, which measures and reads nothing. All fits are
least squares of the RELATIVE error, because the points of one curve may be a thousandfold apart and
each is known to so many per cent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

FLAT = 0.15
"""A curve whose largest value is within this share of its smallest does not grow."""
STRAIGHT = 0.15
"""A line that every point keeps to within this share describes the curve."""
LINEAR = 1.1
"""The exponent up to which growth is no worse than linear: what is above it is not noise."""
BETTER = 0.9
"""The exponent below which growth is better than linear."""
_BEND = 0.10
_POINTS_FOR_KNEE = 5
_EXPONENTS = [step / 20 for step in range(1, 61)]

Basis = Sequence[Callable[[float], float]]


@dataclass(frozen=True)
class Knee:
    """Where two lines describe what one does not: their slopes before and behind `x`."""

    x: float
    before: float
    behind: float
    deviation: float

    @property
    def steeper(self) -> bool:
        """Whether it costs more from there on."""
        return self.behind > self.before


@dataclass(frozen=True)
class Jump:
    """Two neighbours between which y grows by `factor`, and x by less: a step, or a steep place."""

    x: float
    to: float
    factor: float


@dataclass(frozen=True)
class Fit:
    """y = `start` + `slope` * x, and how far from it the points are.

    `deviation` is the largest relative one; `spread` is half of what the rounds of one point differ
    by, in the median of the points; `exponent` is the p of the y = a + b * x ** p that fits best,
    None where nothing grows; `growth` is the largest value by the smallest, less 1.
    """

    start: float
    slope: float
    deviation: float
    spread: float
    growth: float
    exponent: float | None
    knee: Knee | None
    jumps: tuple[Jump, ...] = ()

    @property
    def flat(self) -> bool:
        """Whether y depends on x no more than on the round."""
        return self.growth <= max(FLAT, 2 * self.spread)

    @property
    def linear_or_better(self) -> bool:
        """Whether y grows no faster than x."""
        return self.flat or self.exponent is None or self.exponent <= LINEAR or self.straight

    @property
    def straight(self) -> bool:
        """Whether the line describes the curve."""
        # A knee that is steeper makes of a line two, however near the one is to both.
        steeper = self.knee is not None and self.knee.steeper
        return self.deviation <= max(STRAIGHT, self.spread) and not steeper

    @property
    def verdict(self) -> str:
        """The curve in a word or two."""
        if self.flat:
            return "flat"
        if self.straight:
            return "falls" if self.slope < 0 else "linear"
        if self.exponent is None:
            return "falls"
        if not self.linear_or_better:
            return "WORSE THAN LINEAR"
        return "better than linear" if self.exponent < BETTER else "about linear"


def solve(rows: Sequence[Sequence[float]]) -> list[float]:
    """The solution of n equations with n unknowns, each row with its right side behind it."""
    table = [list(row) for row in rows]
    size = len(table)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(table[row][column]))
        table[column], table[pivot] = table[pivot], table[column]
        top = table[column]
        if abs(top[column]) < 1e-14:
            raise ValueError("the points do not determine a fit")
        for row in table[column + 1 :]:
            share = row[column] / top[column]
            for place in range(column, size + 1):
                row[place] -= share * top[place]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = sum(table[row][place] * found[place] for place in range(row + 1, size))
        found[row] = (table[row][size] - known) / table[row][row]
    return found


def least_squares(xs: Sequence[float], ys: Sequence[float], basis: Basis) -> list[float]:
    """The factors of `basis` for which the relative errors have the smallest sum of squares; all
    `ys` are positive.

    :raises ValueError: the points are too few.
    """
    # Columns of about the same size: squares of bytes beside ones would leave no digits.
    weighted = [[function(x) / y for x, y in zip(xs, ys, strict=True)] for function in basis]
    scales = [max(map(abs, column)) or 1.0 for column in weighted]
    lines = [
        [value / scale for value, scale in zip(line, scales, strict=True)]
        for line in zip(*weighted, strict=True)
    ]
    size = len(basis)
    rows = [
        [*(sum(line[i] * line[j] for line in lines) for j in range(size)),
         sum(line[i] for line in lines)]
        for i in range(size)
    ]  # fmt: skip
    return [factor / scale for factor, scale in zip(solve(rows), scales, strict=True)]


def _errors(
    xs: Sequence[float], ys: Sequence[float], basis: Basis, factors: Sequence[float]
) -> list[float]:
    """The relative error of each point."""
    return [
        sum(factor * function(x) for factor, function in zip(factors, basis, strict=True)) / y - 1
        for x, y in zip(xs, ys, strict=True)
    ]


def _one(_x: float) -> float:
    return 1.0


def _same(x: float) -> float:
    return x


def power_law(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The p of the y = a + b * x ** p that fits best; None if the best of them does not rise."""
    best: tuple[float, float, float] | None = None
    for exponent in _EXPONENTS:
        basis = (_one, lambda x, p=exponent: x**p)
        factors = least_squares(xs, ys, basis)
        error = sum(error**2 for error in _errors(xs, ys, basis, factors))
        if best is None or error < best[0]:
            best = (error, exponent, factors[1])
    return best[1] if best is not None and best[2] > 0 else None


def find_knee(
    xs: Sequence[float], ys: Sequence[float], deviation: float, spread: float
) -> Knee | None:
    """The point where a line with one bend is better than the straight one, by far.

    None where the straight line is within a tenth, or within the noise, or where no bend halves the
    largest deviation.
    """
    if len(xs) < _POINTS_FOR_KNEE or deviation <= max(_BEND, spread):
        return None
    best: Knee | None = None
    for bend in xs[1:-1]:
        basis = (_one, _same, lambda x, k=bend: max(0.0, x - k))
        factors = least_squares(xs, ys, basis)
        worst = max(map(abs, _errors(xs, ys, basis, factors)))
        if best is None or worst < best.deviation:
            best = Knee(bend, factors[1], factors[1] + factors[2], worst)
    return best if best is not None and best.deviation <= deviation / 2 else None


def find_jumps(xs: Sequence[float], ys: Sequence[float]) -> tuple[Jump, ...]:
    """Every place where y grows by more than x, beyond the noise. No line that begins above 0 has
    one; a curve may be linear as a whole, and have them."""
    pairs = zip(xs, ys, xs[1:], ys[1:], strict=False)
    return tuple(
        Jump(x, to, behind / before)
        for x, before, to, behind in pairs
        if x > 0 and behind / before > to / x * LINEAR
    )


def fit(xs: Sequence[float], rounds: Sequence[Sequence[float]]) -> Fit:
    """The fit of the medians of `rounds`, one list of values for each of the rising `xs`.

    :raises ValueError: there are no two points, or one is not positive.
    """
    if len(xs) < 2 or sorted(set(xs)) != list(xs):
        raise ValueError("needs two points or more, rising")
    ys = [median(values) for values in rounds]
    if min(ys) <= 0:
        raise ValueError("a relative error needs positive values")
    spread = median(
        (max(values) - min(values)) / 2 / y for values, y in zip(rounds, ys, strict=True)
    )
    start, slope = least_squares(xs, ys, (_one, _same))
    deviation = max(map(abs, _errors(xs, ys, (_one, _same), (start, slope))))
    return Fit(
        start=start,
        slope=slope,
        deviation=deviation,
        spread=spread,
        growth=max(ys) / min(ys) - 1,
        exponent=power_law(xs, ys) if len(xs) > 2 else None,
        knee=find_knee(xs, ys, deviation, spread),
        jumps=find_jumps(xs, ys),
    )
