"""When which mailbox changes.

Rules:
    1. A pattern first gives ascending *amounts* of changes: 1.0 is reached when one change is due.
       The curve then says when so many are due: each stretch of time gets the area under the curve
       there, and no draw is thrown away.
    2. Everything is drawn when it is asked for: a plan of an hour costs no memory.
    3. The instants of bursts need no dice: all processes of a run have the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, count, pairwise, repeat
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator

    from loadtest.profiles.profile import Changes


@dataclass(frozen=True, slots=True)
class Planned:
    """A change to come."""

    offset: float
    """Seconds after the clock's start."""
    mailbox: int
    """Which of the mailboxes of this process, from 0."""
    folder: str


def plan(
    changes: Changes, *, duration: float, mailboxes: int, share: float, rng: random.Random
) -> Iterator[Planned]:
    """Yield the changes of one process in order of time.

    Args:
        changes: What is planned for all processes together.
        duration: Seconds.
        mailboxes: How many this process has; without any nothing is planned.
        share: Its part of all mailboxes, and so of the changes; 0 to 1.
        rng: The dice.
    """
    if not mailboxes:
        return
    amounts, rate, sizes = _course(changes, share, rng)
    drawn = _Mailboxes(changes, mailboxes)
    names = [name for name, _ in changes.folders]
    weights = list(accumulate(weight for _, weight in changes.folders))
    for offset, size in zip(
        _offsets(amounts, changes, rate * duration, duration), sizes, strict=False
    ):
        for mailbox in drawn.draw(size, rng):
            (folder,) = rng.choices(names, cum_weights=weights)
            yield Planned(offset, mailbox, folder)


def rate_at(changes: Changes, offset: float, duration: float) -> float:
    """Return the changes a second that are due at an offset of seconds; none outside the run."""
    part = offset / duration
    for (start, begin), (end, finish) in pairwise(_corners(changes)):
        if start <= part <= end:
            return changes.rate * (begin + (finish - begin) * (part - start) / (end - start))
    return 0.0


def _course(
    changes: Changes, share: float, rng: random.Random
) -> tuple[Iterator[float], float, Iterable[int]]:
    """Return amounts, how many of them come a second, and the mailboxes that change at each."""
    if changes.pattern == "bursts":
        return count(0.5), changes.rate / changes.burst, _sizes(changes.burst * share, rng)
    amounts = _even(rng) if changes.pattern == "even" else _poisson(rng)
    return amounts, changes.rate * share, repeat(1)


def _even(rng: random.Random) -> Iterator[float]:
    return (slot + rng.random() for slot in count())


def _poisson(rng: random.Random) -> Iterator[float]:
    return accumulate(rng.expovariate(1.0) for _ in count())


def _sizes(mean: float, rng: random.Random) -> Iterator[int]:
    """Yield whole numbers next to a mean that keep it; processes begin at different remainders."""
    phase = rng.random()
    ends = (floor(number * mean + phase) for number in count())
    return (end - start for start, end in pairwise(ends))


def _corners(changes: Changes) -> list[tuple[float, float]]:
    """Return the curve from 0 to 1; before its first and after its last point it is level."""
    curve = changes.curve or ((0.0, 1.0),)
    corners = [(0.0, curve[0][1]), *curve, (1.0, curve[-1][1])]
    return [one for one, after in pairwise(corners) if one[0] < after[0]] + corners[-1:]


def _offsets(
    amounts: Iterator[float], changes: Changes, total: float, duration: float
) -> Iterator[float]:
    """Turn amounts into the offsets at which so many changes are due.

    Args:
        amounts: Ascending and endless.
        changes: For their curve.
        total: Amount that a factor of 1 makes over the whole duration.
        duration: Seconds.
    """
    amount, done = next(amounts), 0.0
    for (start, begin), (end, finish) in pairwise(_corners(changes)):
        slope = (finish - begin) / (end - start)
        until = done + total * (end - start) * (begin + finish) / 2
        while amount < until:
            # The area under a line: begin * x + slope * x * x / 2, solved for x without a
            # difference of nearly equal numbers.
            area = (amount - done) / total
            root = sqrt(max(0.0, begin * begin + 2 * slope * area))
            yield duration * min(end, start + 2 * area / (begin + root or 1.0))
            amount = next(amounts)
        done = until


class _Mailboxes:
    """Mailboxes to draw from: the first ones are hot."""

    def __init__(self, changes: Changes, mailboxes: int) -> None:
        hot = ceil(changes.hot_mailboxes * mailboxes)
        self._hot = range(hot)
        self._cold = range(hot, mailboxes)
        self._hot_changes = changes.hot_changes if self._cold else 1.0

    def draw(self, size: int, rng: random.Random) -> Iterator[int]:
        hot = sum(rng.random() < self._hot_changes for _ in range(size)) if self._hot else 0
        yield from _distinct(self._hot, hot, rng)
        yield from _distinct(self._cold, size - hot, rng)


def _distinct(mailboxes: range, size: int, rng: random.Random) -> Iterator[int]:
    """Draw different ones; where there are too few, each comes as often as every other."""
    rounds, rest = divmod(size, len(mailboxes)) if size else (0, 0)
    for _ in range(rounds):
        yield from mailboxes
    yield from rng.sample(mailboxes, rest)
