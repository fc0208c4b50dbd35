"""Straight lines through measured points, with 95 % error bars.

Ordinary least squares, Student's t for the bars. A cost is the slope of such a line, what is paid
once is its intercept: memory = process + phones x memory of a phone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.capacity.model import CostError, Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

_T95: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, two-sided 95 %, for 1 to 30 degrees of freedom."""
_NORMAL: Final = 1.960
_FEWEST: Final = 3
"""Points of a line: with two there is no telling how good it is."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: so much of something cost so much."""

    amount: float
    """Phones held, cycles performed, connections opened."""
    cost: float
    """Bytes, microseconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """``cost = intercept + slope x amount``."""

    intercept: float
    slope: float
    intercept_error: float
    """Half of the 95 % confidence interval."""
    slope_error: float
    """Same."""


def student(degrees: int) -> float:
    """Return Student's t, two-sided 95 %.

    Args:
        degrees: Degrees of freedom. Beyond those of the table the next lower entry is used, then
            the normal distribution's value from 1,000 on.

    Raises:
        CostError: If there are none.
    """
    if degrees < 1:
        raise CostError(f"found {degrees} degrees of freedom, allowed 1 or more")
    if degrees <= len(_T95):
        return _T95[degrees - 1]
    return _T95[-1] if degrees < 1000 else _NORMAL  # noqa: PLR2004 - said above


def fit_line(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Fit a straight line by ordinary least squares.

    Args:
        xs: At least three, of two different values or more.
        ys: As many.

    Raises:
        CostError: If there are too few points or all xs are the same.
    """
    count = len(xs)
    if count != len(ys):
        raise CostError(f"found {count} xs and {len(ys)} ys, allowed as many of both")
    if count < _FEWEST:
        raise CostError(f"found {count} points, allowed {_FEWEST} or more")
    mean_x, mean_y = math.fsum(xs) / count, math.fsum(ys) / count
    squares = math.fsum((x - mean_x) ** 2 for x in xs)
    if not squares:
        raise CostError(f"found one size only ({mean_x:g}), allowed two or more")
    products = ((x - mean_x) * y for x, y in zip(xs, ys, strict=True))
    slope = math.fsum(products) / squares
    intercept = mean_y - slope * mean_x
    residuals = (y - intercept - slope * x for x, y in zip(xs, ys, strict=True))
    deviation = math.sqrt(math.fsum(one**2 for one in residuals) / (count - 2))
    t = student(count - 2)
    return Line(
        intercept,
        slope,
        t * deviation * math.sqrt(1 / count + mean_x**2 / squares),
        t * deviation / math.sqrt(squares),
    )


def fit(points: Sequence[Point], unit: str, *, of: str, where: str) -> tuple[Figure, Figure]:
    """Fit what is paid once and what is paid for each.

    Args:
        points: Three or more, of at least two amounts.
        unit: Of the cost.
        of: What is counted, in the plural: ``phones``.
        where: Machine, kernel, runs: becomes part of the source.

    Returns:
        Intercept and slope. Bounds, and values, below 0 are cut off there: a cost is none below.

    Raises:
        CostError: If no line can be fitted.
    """
    amounts = [one.amount for one in points]
    line = fit_line(amounts, [one.cost for one in points])
    sizes = f"{len(set(amounts))} sizes {min(amounts):,g}..{max(amounts):,g} {of}"
    source = f"fit over {sizes}, {len(points)} runs, {where}"
    return (
        _figure(line.intercept, line.intercept_error, unit, source),
        _figure(line.slope, line.slope_error, unit, source),
    )


def mean(values: Sequence[float], unit: str, *, source: str) -> Figure:
    """Return the mean of repeated measurements with its 95 % error bars.

    Raises:
        CostError: If there are fewer than two.
    """
    count = len(values)
    t = student(count - 1)
    middle = math.fsum(values) / count
    variance = math.fsum((one - middle) ** 2 for one in values) / (count - 1)
    return _figure(middle, t * math.sqrt(variance / count), unit, source)


def _figure(value: float, error: float, unit: str, source: str) -> Figure:
    value = max(value, 0.0)
    return Figure(value, max(value - error, 0.0), value + error, unit, source)
