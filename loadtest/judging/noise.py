"""How much of a difference between two runs is chance.

Rules:
    1. Values of neighbouring seconds are alike (a garbage collection, a neighbour on the host), so
       the bootstrap draws blocks of them. Blocks wrap around: each second is drawn as often.
       Source: Politis and Romano, "A circular block-resampling procedure for stationary data",
       1992.
    2. It knows the noise inside a run. What differs from one start to the next (placement on cores,
       the other tenants of that hour) only several runs of each side can tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95
SIGMAS: Final = 3.0
"""How far apart two counts of a Poisson process are before it is no chance."""
FEWEST: Final = 8
"""Values of a run; fewer tell nothing."""
MOST: Final = 600
"""Values of a run; of more, neighbours are merged."""
_FEWEST_BLOCKS: Final = 1.5

Value = tuple[float, float]
"""What an interval measured: numerator and denominator; (x, 1.0) for a single number."""


def middle(values: Sequence[Value]) -> Value:
    """Return the median of single numbers."""
    return median(value[0] for value in values), 1.0


def total(values: Sequence[Value]) -> Value:
    """Return the sum of the numerators and that of the denominators."""
    return sum(value[0] for value in values), sum(value[1] for value in values)


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured in each interval of a run, in order; each number more than 0."""

    values: Sequence[Value]
    summary: Callable[[Sequence[Value]], Value]
    """``middle`` or ``total``."""
    block: int
    """How many neighbours are drawn together."""

    @property
    def is_enough(self) -> bool:
        """Whether it has enough values to tell its noise."""
        return len(self.values) >= FEWEST and self.blocks >= _FEWEST_BLOCKS

    @property
    def blocks(self) -> float:
        """How many blocks it has, the last one in part."""
        return len(self.values) / self.block

    def merged(self) -> Series:
        """Return it with at most ``MOST`` values: each of some neighbours' summary."""
        size = math.ceil(len(self.values) / MOST)
        if size <= 1:
            return self
        starts = range(0, len(self.values), size)
        values = [self.summary(self.values[start : start + size]) for start in starts]
        return Series(values, self.summary, math.ceil(self.block / size))

    def figure(self) -> float:
        """Return the summary as one number."""
        return _divided(self.summary(self.values))

    def resample(self, dice: Random) -> float:
        """Return the summary of as many values, drawn in blocks."""
        size = len(self.values)
        ring = [*self.values, *self.values]
        drawn: list[Value] = []
        while len(drawn) < size:
            start = dice.randrange(size)
            drawn += ring[start : start + self.block]
        return _divided(self.summary(drawn[:size]))


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio b/a with its interval of confidence."""

    ratio: float
    low: float
    high: float

    @property
    def holds_one(self) -> bool:
        """Whether "no difference" is within it."""
        return self.low <= 1 <= self.high

    def __str__(self) -> str:
        low, high = (f"{(one - 1) * 100:+.0f}" for one in (self.low, self.high))
        return f"{percent(self.ratio)} ({CONFIDENCE * 100:.0f} %: {low}..{high})"


def compare(a: Series, b: Series, dice: Random) -> Interval:
    """Bootstrap the ratio of two runs.

    Args:
        a: Enough values (``is_enough``).
        b: Enough values.
        dice: Equal dice give equal intervals.
    """
    a, b = a.merged(), b.merged()
    ratio = b.figure() / a.figure()
    ratios = sorted(b.resample(dice) / a.resample(dice) / ratio for _ in range(RESAMPLES))
    outside = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    width = _widening(a.blocks, b.blocks)
    low, high = (ratio * ratios[one] ** width for one in (outside, -outside - 1))
    return Interval(ratio, low, high)


def is_chance(a: int, b: int, exposure: float = 1.0) -> bool:
    """Tell whether two counts of rare events may have the same cause.

    Args:
        a: Count.
        b: Count.
        exposure: How much more could have happened in b: 2.0 in a run of twice the length.
    """
    return abs(b - a * exposure) <= SIGMAS * math.sqrt(b + a * exposure**2)


def percent(ratio: float) -> str:
    """Write a ratio as a change: ``+31 %``."""
    return f"{(ratio - 1) * 100:+.0f} %"


def _widening(a: float, b: float) -> float:
    """Return how much wider than the bootstrap's own interval that of few blocks has to be.

    Without it, 8 seconds show a difference between equal runs every third time.

    Args:
        a: Blocks, more than 1.
        b: Blocks, more than 1.

    Source: the standard error of k values lacks the factor sqrt(k / (k - 1)); Student's t at 95 %
    is about 1.96 * (1 + 1.21 / degrees of freedom).
    """
    fewer = min(a, b)
    return (1 + 1.21 / (a + b - 2)) * math.sqrt(fewer / (fewer - 1))


def _divided(value: Value) -> float:
    return value[0] / value[1]
