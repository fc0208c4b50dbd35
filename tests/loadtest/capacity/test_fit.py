"""Fitting of straight lines, loadtest/capacity/fit.py."""

from __future__ import annotations

import pytest

from loadtest.capacity.fit import Line, Point, fit, fit_line, mean, student
from loadtest.capacity.model import CostError, Figure


def test_exact_line():
    """Points on a line give that line, without error."""
    assert Line(10.0, 2.0, 0.0, 0.0) == fit_line([0, 1, 2, 3], [10, 12, 14, 16])


def test_error_bars():
    """The error bars are Student's t times the standard errors."""
    # Means 2 and 2; sums of squares 2, of products 1: slope 0.5, intercept 1. Residuals -0.5, 1,
    # -0.5: 1.5 over one degree of freedom. Standard errors: slope sqrt(1.5 / 2), intercept
    # sqrt(1.5 x (1 / 3 + 4 / 2)).
    line = fit_line([1, 2, 3], [1, 3, 2])

    assert (1.0, 0.5) == (line.intercept, line.slope)
    assert pytest.approx(12.706 * 0.8660254) == line.slope_error
    assert pytest.approx(12.706 * 1.8708287) == line.intercept_error


@pytest.mark.parametrize(
    ("degrees", "t"), [(1, 12.706), (4, 2.776), (30, 2.042), (31, 2.042), (1000, 1.960)]
)
def test_students_t(degrees, t):
    """Beyond the table the next lower entry holds, and the normal value from 1,000 on."""
    assert t == student(degrees)


@pytest.mark.parametrize(
    ("xs", "ys", "error"),
    [
        ([1, 2], [1, 2], "found 2 points, allowed 3 or more"),
        ([1, 2, 3], [1, 2], "found 3 xs and 2 ys"),
        ([5, 5, 5], [1, 2, 3], r"found one size only \(5\)"),
    ],
)
def test_no_line(xs, ys, error):
    """What no line can be fitted to is refused."""
    with pytest.raises(CostError, match=error):
        fit_line(xs, ys)


def test_memory_of_phones():
    """A fit tells what is paid once, what for each, and over which sizes it was made."""
    points = [Point(2000, 24_000), Point(2000, 24_000), Point(12_000, 44_000)]

    once, each = fit(points, "bytes", of="phones", where="2 cores")

    source = "fit over 2 sizes 2,000..12,000 phones, 3 runs, 2 cores"
    assert ("bytes", source) == (once.unit, once.source) == (each.unit, each.source)
    assert pytest.approx(20_000) == once.value
    assert pytest.approx(2.0) == each.value


def test_no_negative_cost():
    """A cost that comes out below 0 is cut off there, and so is its lower bound."""
    once, each = fit([Point(1, 0), Point(2, 3), Point(3, 4)], "us", of="cycles", where="here")

    assert (0.0, 0.0) == (once.value, once.low)
    assert (2.0, 0.0) == (each.value, each.low)


def test_mean():
    """Repeated measurements give their mean with Student's error bars."""
    # Deviation of 211 and 213: sqrt(2); of their mean: 1.
    assert Figure(212.0, 212 - 12.706, 212 + 12.706, "us", "two runs") == mean(
        [211, 213], "us", source="two runs"
    )


def test_mean_of_one():
    """One measurement has no error bars."""
    with pytest.raises(CostError, match="found 0 degrees of freedom"):
        mean([1.0], "us", source="")
