"""How much of a difference is chance, from plain numbers."""

from __future__ import annotations

import math
from random import Random

import pytest

from loadtest.judging.noise import (
    MOST,
    Interval,
    Series,
    compare,
    is_chance,
    middle,
    percent,
    total,
)


def dice(seed: int = 1) -> Random:
    return Random(seed)


def seconds(size: int, *, seed: int, scale: float = 1.0, alike: float = 0.0) -> Series:
    """Milliseconds that scatter by a third, each one in part as the one before."""
    rolls, state, values = dice(seed), 0.0, []
    for _ in range(size):
        state = alike * state + math.sqrt(1 - alike**2) * rolls.gauss(0, 0.3)
        values.append((scale * math.exp(state), 1.0))
    return Series(values, middle, 5)


def test_equal_dice_give_equal_intervals() -> None:
    """A comparison can be repeated."""
    a, b = seconds(30, seed=1), seconds(30, seed=2)

    assert compare(a, b, dice()) == compare(a, b, dice())


def test_a_clear_difference_is_outside_of_chance() -> None:
    """A run that takes twice as long is found, with a ratio near 2."""
    found = compare(seconds(60, seed=1), seconds(60, seed=2, scale=2.0), dice())

    assert 1.5 < found.low < found.ratio < found.high < 2.7
    assert not found.holds_one


@pytest.mark.parametrize(("size", "alike"), [(8, 0.5), (20, 0.5), (30, 0.0)])
def test_equal_runs_seldom_differ(size: int, alike: float) -> None:
    """Of equal runs about one in twenty is found to differ, short ones and lumpy ones included."""
    pairs = [
        (seconds(size, seed=seed, alike=alike), seconds(size, seed=-seed, alike=alike))
        for seed in range(1, 31)
    ]

    wrong = [not compare(a, b, dice()).holds_one for a, b in pairs]

    assert sum(wrong) <= 4


def test_constant_runs_have_no_noise() -> None:
    """Where all seconds are equal, the interval is a point."""
    a, b = (Series([(value, 1.0)] * 10, middle, 5) for value in (1.0, 1.5))

    found = compare(a, b, dice())

    assert (1.5, 1.5, 1.5) == (found.ratio, found.low, found.high)


def test_a_quotient_is_of_sums() -> None:
    """CPU per answer is all CPU over all answers, not the mean of the seconds."""
    series = Series([(1.0, 10.0), (3.0, 10.0), (2.0, 100.0)], total, 1)

    assert series.figure() == pytest.approx(0.05)


def test_long_runs_are_merged() -> None:
    """Neighbours of a run of many values become one, and so do those of its blocks."""
    merged = Series([(float(at), 1.0) for at in range(2 * MOST + 2)], total, 5).merged()

    assert (401, 2, (3.0, 3.0)) == (len(merged.values), merged.block, merged.values[0])


def test_short_runs_are_as_they_were() -> None:
    """Up to the limit nothing is merged."""
    series = seconds(MOST, seed=1)

    assert series is series.merged()


@pytest.mark.parametrize(
    ("size", "block", "is_enough"),
    [(0, 1, False), (7, 1, False), (8, 5, True), (8, 8, False), (12, 8, True)],
)
def test_few_values_or_blocks_are_not_enough(size: int, block: int, *, is_enough: bool) -> None:
    """Eight values are needed, and more than one block of them."""
    assert is_enough is Series([(1.0, 1.0)] * size, middle, block).is_enough


@pytest.mark.parametrize(
    ("a", "b", "exposure", "expected"),
    [
        (100, 130, 1.0, True),
        (100, 160, 1.0, False),
        (100, 160, 1.5, True),
        (9, 0, 1.0, True),
        (10, 0, 1.0, False),
        (0, 0, 1.0, True),
    ],
)
def test_counts_scatter_by_their_root(a: int, b: int, exposure: float, *, expected: bool) -> None:
    """Counts up to three sigma apart may have the same cause."""
    assert expected is is_chance(a, b, exposure)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.9, 1.1, True), (1.01, 1.1, False), (0.8, 0.99, False)]
)
def test_an_interval_holds_one_or_not(low: float, high: float, *, expected: bool) -> None:
    """No difference is a ratio of 1."""
    assert expected is Interval(1.0, low, high).holds_one


def test_an_interval_is_written_as_changes() -> None:
    """The ratio and both ends are percent more or less."""
    assert "+31 % (95 %: +12..+55)" == str(Interval(1.31, 1.12, 1.55))


def test_a_ratio_is_written_as_a_change() -> None:
    """Half of it is 50 % less."""
    assert "-50 %" == percent(0.5)
