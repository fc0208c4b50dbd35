"""Shares of phones: numbers in, numbers out, and simulated machines."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from pushgw.share import LEAST, MOST, is_uneven, surplus

RESTARTED = [19_833] * 5 + [2_835]
"""Six workers with 17,000 phones each, of which one was restarted and its phones went to all."""


@dataclass
class Machine:
    """Workers whose moved phones come back to random ones, up to some seconds later."""

    counts: list[int]
    latest: int = 2
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    is_uneven: bool = False
    moved: int = 0
    begun: int = 0
    on_their_way: list[int] = field(default_factory=list)
    course: list[float] = field(default_factory=list)

    def run(self, seconds: int) -> list[float]:
        """Return how far the fullest was above the mean in each second, the first one first."""
        for now in range(len(self.course), len(self.course) + seconds):
            self._move(now)
            self._come_back(now)
            self.course.append(max(self.counts) * len(self.counts) / sum(self.counts))
        return self.course

    def _move(self, now: int) -> None:
        was, seen = self.is_uneven, self.counts.copy()
        self.is_uneven = is_uneven(seen, was_uneven=was)
        self.begun += self.is_uneven and not was
        for index, own in enumerate(seen):
            count = surplus(own, seen[:index] + seen[index + 1 :]) if self.is_uneven else 0
            self.counts[index] -= count
            self.moved += count
            self.on_their_way += [now + self.dice.randint(0, self.latest) for _ in range(count)]

    def _come_back(self, now: int) -> None:
        for _ in (at for at in self.on_their_way if at <= now):
            self.counts[self.dice.randrange(len(self.counts))] += 1
        self.on_their_way = [at for at in self.on_their_way if at > now]


def spread(phones: int, workers: int, dice: random.Random) -> list[int]:
    counts = [0] * workers
    for index in dice.choices(range(workers), k=phones):
        counts[index] += 1
    return counts


@pytest.mark.parametrize(
    ("counts", "was_uneven", "expected"),
    [
        ([], False, False),
        ([20_000], True, False),
        ([11_000, 9_000], False, False),
        ([11_001, 8_999], False, True),
        ([10_401, 9_599], True, True),
        ([10_400, 9_600], True, False),
        # A random spread of so few explains more than a tenth.
        ([480, 320], False, False),
        ([481, 319], False, True),
        ([440, 360], True, False),
        ([441, 359], True, True),
        # So few are no matter.
        ([LEAST, 0, 0], False, False),
        ([2 * LEAST, 0], False, False),
        ([2 * LEAST + 2, 0], False, True),
        ([0, 0], True, False),
    ],
)
def test_shares_are_uneven(counts: list[int], was_uneven: bool, expected: bool) -> None:  # noqa: FBT001
    """It begins far above the mean, ends near it, and chance never begins it."""
    assert expected == is_uneven(counts, was_uneven=was_uneven)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (20_000, [], 0),
        (10_400, [9_600], 0),
        (10_401, [9_599], MOST),
        (9_000, [11_000], 0),
        (1_000, [500], 20),
        (120, [20], 2),
        (40, [0], 1),
    ],
)
def test_a_worker_sends_away_a_part_of_its_surplus(
    own: int, others: list[int], expected: int
) -> None:
    """A worker that is too full sends at least 1, at most 2 % of its phones and at most 100."""
    assert expected == surplus(own, others)


@pytest.mark.parametrize("latest", [0, 2, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_restarted_worker_is_filled_up(seed: int, latest: int) -> None:
    """The fullest worker gets under 1.15 of the mean within 30 s and under 1.05 within 150."""
    machine = Machine(RESTARTED.copy(), latest, random.Random(seed))
    course = machine.run(150)

    assert max(course[30:]) < 1.15
    assert course[-1] < 1.05


@pytest.mark.parametrize(
    "counts", [RESTARTED, [15_000, 5_000], [20_000] * 2 + [5_000], [20_000] * 3 + [4_000]]
)
def test_no_restart_takes_two_minutes(counts: list[int]) -> None:
    """With any number of workers the fullest is under 1.15 of the mean within two minutes."""
    assert max(Machine(counts.copy()).run(180)[120:]) < 1.15


def test_evening_out_ends_for_good() -> None:
    """It begins once, ends, moves nobody afterwards, and leaves no worker much fuller."""
    machine = Machine(RESTARTED.copy())
    machine.run(180)
    moved = machine.moved
    course = machine.run(120)

    assert (1, moved, False) == (machine.begun, machine.moved, machine.is_uneven)
    assert max(course[180:]) < 1.05


def test_the_fullest_only_gets_emptier() -> None:
    """The way down has no way up in it, but for the dice: no oscillation."""
    course = Machine(RESTARTED.copy()).run(180)

    assert all(later < earlier + 0.005 for earlier, later in zip(course, course[10:], strict=False))


@pytest.mark.parametrize(("phones", "workers"), [(100_000, 6), (300, 6), (6_000, 6), (1_000, 2)])
def test_a_random_spread_moves_nobody(phones: int, workers: int) -> None:
    """Shares as chance makes them are left alone."""
    dice = random.Random(1)
    spreads = [spread(phones, workers, dice) for _ in range(20)]

    assert not any(is_uneven(counts, was_uneven=False) for counts in spreads)


def test_one_of_many_workers_needs_no_help() -> None:
    """Where the others hardly notice that one was restarted, nobody is moved."""
    share = 18_500 // 54
    machine = Machine([18_500 + share] * 53 + [share])
    course = machine.run(10)

    assert (0, True) == (machine.moved, max(course) < 1.05)
