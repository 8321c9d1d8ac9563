"""benchmarks/scale_fit.py: what is a straight line, what is not, and where a knee is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from scale_fit import Fit, Jump, fit, least_squares, power_law

XS = [1, 10, 100, 1000, 5000, 10_000, 20_000]


def of(ys: list[float], xs: list[float] | None = None) -> Fit:
    return fit(xs or XS, [[y] for y in ys])


def test_a_line_is_found_whatever_its_size() -> None:
    for scale in (1e-6, 1, 1e9):
        got = of([scale * (30 + 0.5 * x) for x in XS])
        assert got.start == pytest.approx(30 * scale)
        assert got.slope == pytest.approx(0.5 * scale)
        assert got.deviation < 1e-6
        assert (got.verdict, got.knee) == ("linear", None)


def test_small_values_count_as_much_as_large_ones() -> None:
    """Least squares of the plain errors would take the last two points alone."""
    ys = [100.0, 100, 100, 100, 100, 100, 1000]
    assert of(ys).start == pytest.approx(100, rel=0.1)


def test_what_differs_by_no_more_than_the_rounds_is_flat() -> None:
    got = of([30, 31, 29.5, 30, 32, 31, 30])
    assert got.verdict == "flat" and got.linear_or_better and got.knee is None
    assert of([30, 30, 30, 30, 30, 30, 36]).verdict != "flat"
    noisy = fit([1, 2, 3], [[20, 30, 40], [30, 40, 50], [25, 35, 45]])
    assert noisy.spread == pytest.approx(10 / 35)
    assert noisy.verdict == "flat"  # 40 by 30, but each round has as much


@pytest.mark.parametrize(
    ("exponent", "verdict"),
    [(0.5, "better than linear"), (1, "linear"), (1.5, "WORSE THAN LINEAR"),
     (2, "WORSE THAN LINEAR")],
)  # fmt: skip
def test_the_exponent_decides_about_a_curve(exponent: float, verdict: str) -> None:
    got = of([2 + x**exponent for x in XS])
    assert got.exponent == pytest.approx(exponent)
    assert got.verdict == verdict
    assert got.linear_or_better == (exponent <= 1)


def test_about_linear_is_what_no_line_is_near_to() -> None:
    wild = [y * factor for y, factor in zip([2 + x for x in XS], [1, 1.5, 1, 1.5, 1, 1.5, 1],
                                            strict=True)]  # fmt: skip
    got = of(wild)
    assert got.deviation > 0.15 and got.verdict == "about linear" and got.linear_or_better
    assert got.knee is None  # a bend would be nearer to them, but not by far


def test_a_curve_that_falls_is_no_growth() -> None:
    got = of([80, 48, 44, 41, 40, 39.5, 39])
    assert got.exponent is None and got.verdict == "falls" and got.linear_or_better


def test_a_knee_is_named_where_it_is() -> None:
    ys = [20 + 0.01 * x + 0.09 * max(0, x - 5000) for x in XS]
    knee = of(ys).knee
    assert knee is not None and knee.steeper
    assert knee.x == 5000
    assert knee.before == pytest.approx(0.01)
    assert knee.behind == pytest.approx(0.1)


def test_a_knee_towards_less_is_one_too() -> None:
    ys = [20 + 0.1 * min(x, 1000) + 0.001 * max(0, x - 1000) for x in XS]
    knee = of(ys).knee
    assert knee is not None and not knee.steeper
    assert knee.x == 1000
    assert of(ys).linear_or_better


def test_a_line_that_gets_steeper_is_not_called_linear() -> None:
    """Although it is within 15 % of a straight one."""
    ys = [100 + x / 200 + max(0, x - 10_000) / 150 for x in XS]
    got = of(ys)
    assert 0.10 < got.deviation <= 0.15
    assert got.knee is not None and got.knee.steeper
    assert got.verdict != "linear"


def test_noise_has_no_knee() -> None:
    ys = [20 + 0.01 * x for x in XS]
    wobbling = [y * factor for y, factor in zip(ys, [1.05, 0.95, 1.04, 0.97, 1.05, 0.96, 1.03],
                                                strict=True)]  # fmt: skip
    assert of(wobbling).knee is None
    assert of([20, 100, 20, 100], [1, 2, 3, 4]).knee is None  # four points are too few


def test_a_step_is_a_jump() -> None:
    ys = [100.0, 101, 103, 1200, 1900, 2700, 4000]
    [jump] = of(ys).jumps
    assert jump == Jump(100, 1000, 1200 / 103)
    assert of([20 + 0.5 * x for x in XS]).jumps == ()
    assert of([1.05 * x for x in XS]).jumps == ()


def test_medians_are_fitted_and_the_rounds_are_told() -> None:
    got = fit([0, 1, 2], [[10, 10, 99], [20, 20, 2], [29, 30, 31]])
    assert (got.start, got.slope) == (pytest.approx(10), pytest.approx(10))
    assert got.spread == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("xs", "ys"),
    [([1], [1]), ([2, 1], [1, 2]), ([1, 1], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1, -1])],
)
def test_what_cannot_be_fitted_is_refused(xs: list[float], ys: list[float]) -> None:
    with pytest.raises(ValueError):
        fit(xs, [[y] for y in ys])


def test_least_squares_needs_points_that_differ() -> None:
    with pytest.raises(ValueError, match="determine"):
        least_squares([1, 1], [1, 2], [lambda x: 1.0, lambda x: x])
    assert power_law([1, 2, 4], [8, 4, 2]) is None
