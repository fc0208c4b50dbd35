"""How often a run is looked at, and what its moments tell only together."""

from __future__ import annotations

from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtest.result import Moment

MOST: Final = 3600
"""Moments of a planned run. A report has some 2,000 bytes of each: at one a second that of a day
would be 170 MB, and no chart has room for them."""
APART: Final = 3.0
"""Seconds between two moments that a speed is taken from. A reading is up to a second older than
the first moment that has it: over a shorter time the error would be larger than the speed."""


def interval(planned: float) -> float:
    """Return the whole seconds between two moments, so that a run has no more than ``MOST``.

    Args:
        planned: Seconds that the run should take.
    """
    return float(max(1, ceil(planned / MOST)))


def gateway_cpu(moments: Iterable[Moment]) -> list[tuple[float, float]]:
    """Return the gateway's CPU seconds a second as corners of a line, flat between two readings.

    The gateway is read less often than moments come; those between two readings repeat the first.
    A reading that went back, because a worker was replaced, counts as no time used.

    Args:
        moments: In order.

    Returns:
        Seconds since the run began and the speed there: two corners for each pair of readings.
    """
    fresh = (next(ones) for _, ones in groupby(moments, key=lambda one: one.gateway))
    readings = [(one.at, one.gateway.cpu_seconds) for one in fresh]
    known = [(at, used) for at, used in readings if used is not None]
    corners: list[tuple[float, float]] = []
    before, used_before = known[0] if known else (0.0, 0.0)
    for at, used in known[1:]:
        if at - before >= APART:
            speed = max(used - used_before, 0.0) / (at - before)
            corners += [(before, speed), (at, speed)]
            before, used_before = at, used
    return corners
