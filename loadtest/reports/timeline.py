"""What the moments of a run say about its course: phases, speeds, errors of each interval."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtest.result import Moment

STATES: Final = ("connecting", "preparing", "held", "waiting", "stopped")
"""States of phones, in the order of a phone's life."""
REST: Final = "others"
"""The kinds of errors that are too rare for a line of their own."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run."""

    name: str
    begin: float
    """Seconds since the run began, as ``end``."""
    end: float


def phases(moments: Iterable[Moment]) -> list[Phase]:
    """List the phases in order; each lasts until the next one begins."""
    groups = [(name, list(ones)) for name, ones in groupby(moments, lambda one: one.phase)]
    begins = [ones[0].at for _, ones in groups]
    ends = [*begins[1:], *(ones[-1].at for _, ones in groups[-1:])]
    return [Phase(groups[n][0], begins[n], ends[n]) for n in range(len(groups))]


def per_second(moments: Sequence[Moment], name: str) -> list[float]:
    """Return how fast a count grew before each moment; 0.0 before the first one."""
    return _speeds(moments, [moment.counts.get(name, 0) for moment in moments])


def errors_per_second(moments: Sequence[Moment], most: int) -> dict[str, list[float]]:
    """Return the speed of each kind of error, the most frequent first.

    Args:
        moments: In order.
        most: Kinds to name, at least 1; all further ones are added up as ``REST``.
    """
    if not moments:
        return {}
    kinds = [kind for kind, count in Counter(moments[-1].errors).most_common() if count]
    speeds = {kind: _errors(moments, [kind]) for kind in kinds[:most]}
    if kinds[most:]:
        speeds[REST] = _errors(moments, kinds[most:])
    return speeds


def thin(values: Sequence[float], most: int) -> list[int]:
    """Choose the indices to draw: the lowest and the highest value of each stretch.

    Args:
        values: Of one line.
        most: Indices to return at the most, at least 2.

    Returns:
        Indices in rising order; all of them where they are few enough.
    """
    if len(values) <= most:
        return list(range(len(values)))
    stretches = most // 2
    edges = [n * len(values) // stretches for n in range(stretches + 1)]
    chosen: set[int] = set()
    for begin, end in pairwise(edges):
        chosen.add(min(range(begin, end), key=values.__getitem__))
        chosen.add(max(range(begin, end), key=values.__getitem__))
    return sorted(chosen)


def _errors(moments: Sequence[Moment], kinds: Sequence[str]) -> list[float]:
    return _speeds(moments, [sum(one.errors.get(kind, 0) for kind in kinds) for one in moments])


def _speeds(moments: Sequence[Moment], totals: Sequence[int]) -> list[float]:
    speeds = [0.0] * len(moments)
    for n in range(1, len(moments)):
        interval = moments[n].at - moments[n - 1].at
        if interval > 0:
            speeds[n] = (totals[n] - totals[n - 1]) / interval
    return speeds
