"""How many phones a worker sends to the others, so that all hold about the same share.

The kernel gives each new connection to a worker at random, so shares become uneven only when a
worker was away: its phones went to the others meanwhile, and stay there for as long as they keep
their connections. A phone that is sent away comes back to any worker, also to the same one.

Rules:
    1. Chance moves nobody: shares are uneven when no random spread explains the fullest one.
    2. Once they are, they are evened out until the fullest is near the mean. What is left then is
       far from what begins it, so it does not begin by itself again.
    3. All workers count the same, so they agree on when it begins and ends without asking.
    4. All that are too full send phones away. Of six workers with 17,000 each, one was restarted:
       the fullest is under 1.15 of the mean within 26 s and under 1.05 within 129 s. If only the
       fullest one did it, that took 96 and 595 s, and moved as many phones: two of three, because
       of those that leave the fuller five only one of six comes to the other one (simulated).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN: Final = 0.10
"""Share of the mean by which the fullest worker is above it when evening out begins."""
END: Final = 0.04
"""The same, when it ends; a worker that is no further above the mean keeps its phones."""
BEGIN_DEVIATIONS: Final = 4.0
END_DEVIATIONS: Final = 2.0
"""The same as multiples of the standard deviation of a random spread, which is about the square
root of the mean. They decide where the mean is below 1,600 and 2,500."""
LEAST: Final = 50
"""Phones above the mean that never begin it, however few the others hold."""
PART: Final = 0.02
"""Share of its phones that a worker sends away in a second, at most."""
MOST: Final = 100
"""Phones that a worker sends away in a second, at most. Each costs some worker a new connection and
a Ping: 70 to 115 us, and 1.1 ms with TLS (measured in storms)."""


def is_uneven(counts: Sequence[int], *, was_uneven: bool) -> bool:
    """Say whether shares have to be evened out.

    Args:
        counts: Phones of each worker that serves, all at the same moment.
        was_uneven: What this said a second before.
    """
    if not counts:
        return False
    mean = sum(counts) / len(counts)
    return max(counts) - mean > (_end(mean) if was_uneven else _begin(mean))


def surplus(own: int, others: Sequence[int]) -> int:
    """Say how many phones a worker sends away within this second, while shares are uneven.

    Args:
        own: Phones that it has.
        others: Phones of the other workers that serve, at the same moment.
    """
    mean = (own + sum(others)) / (1 + len(others))
    excess = own - mean
    return max(1, min(int(excess), int(own * PART), MOST)) if excess > _end(mean) else 0


def _begin(mean: float) -> float:
    return max(BEGIN * mean, BEGIN_DEVIATIONS * sqrt(mean), LEAST)


def _end(mean: float) -> float:
    return max(END * mean, END_DEVIATIONS * sqrt(mean))
