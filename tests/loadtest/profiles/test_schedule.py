"""When which mailbox changes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, pairwise
from statistics import mean, pvariance

import pytest

from loadtest.profiles.profile import Changes
from loadtest.profiles.schedule import plan, rate_at

MORNING = ((0.0, 0.0), (0.5, 1.0), (0.75, 0.5))


def dice(seed=1):
    return random.Random(seed)


def planned(changes, *, duration=100.0, mailboxes=1000, share=1.0, seed=1):
    return list(
        plan(
            changes,
            duration=duration,
            mailboxes=mailboxes,
            share=share,
            rng=dice(seed),
        )
    )


@pytest.mark.parametrize("pattern", ["even", "poisson", "bursts"])
@pytest.mark.parametrize("curve", [(), MORNING])
def test_changes_come_in_order_within_the_run(pattern, curve) -> None:
    """Offsets ascend and lie within the duration, whatever the pattern and the curve."""
    found = [one.offset for one in planned(Changes(rate=50.0, pattern=pattern, curve=curve))]

    assert found == sorted(found)
    assert 0 <= found[0] < found[-1] <= 100


def test_even_changes_have_one_slot_each() -> None:
    """Each hundredth of a second has one change, at a random time of it."""
    found = planned(Changes(rate=100.0), duration=10.0)

    assert list(range(1000)) == [int(one.offset * 100) for one in found]


def test_poisson_changes_are_independent() -> None:
    """The number of changes in a second varies as much as its mean, which even ones never do."""
    found = planned(Changes(rate=20.0, pattern="poisson"), duration=500.0)

    counts = Counter(int(one.offset) for one in found)
    each = [counts[second] for second in range(500)]
    assert 19 < mean(each) < 21
    assert 0.8 < pvariance(each) / mean(each) < 1.2


def test_bursts_change_several_mailboxes_at_one_instant() -> None:
    """Fifty changes a second in bursts of 100 are a burst every two seconds, of 100 mailboxes."""
    found = planned(Changes(rate=50.0, pattern="bursts", burst=100), duration=10.0)

    instants = {one.offset: set() for one in found}
    for one in found:
        instants[one.offset].add(one.mailbox)
    assert {1.0: 100, 3.0: 100, 5.0: 100, 7.0: 100, 9.0: 100} == {
        offset: len(mailboxes) for offset, mailboxes in instants.items()
    }


def test_all_processes_burst_together() -> None:
    """The instants depend on no dice; a process' part of a burst keeps its mean."""
    changes = Changes(rate=50.0, pattern="bursts", burst=5, curve=MORNING)

    parts = [planned(changes, mailboxes=250, share=0.25, seed=seed) for seed in range(4)]

    together = {one.offset for part in parts for one in part}
    alone = {one.offset for one in planned(changes)}
    assert together == alone
    assert all(abs(len(part) - 0.25 * 5 * len(alone)) <= 1 for part in parts)


@pytest.mark.parametrize("pattern", ["even", "poisson"])
def test_a_process_plans_its_share(pattern) -> None:
    """A process with a quarter of the mailboxes makes a quarter of the changes."""
    found = planned(Changes(rate=100.0, pattern=pattern), mailboxes=250, share=0.25)

    assert pytest.approx(2500, rel=0.05) == len(found)


@pytest.mark.parametrize("pattern", ["even", "poisson", "bursts"])
def test_the_curve_moves_changes(pattern) -> None:
    """Each part of the run has as many changes as the area under the curve there."""
    found = planned(Changes(rate=200.0, pattern=pattern, curve=MORNING))

    quarters = Counter(int(one.offset / 25) for one in found)
    # Means of the factor: 0.25 and 0.75 on the way up, 0.75 on the way down, then level at 0.5.
    expected = [25 * 200 * factor for factor in (0.25, 0.75, 0.75, 0.5)]
    assert pytest.approx(expected, rel=0.06) == [quarters[one] for one in range(4)]


def test_a_curve_may_be_0_for_a_while() -> None:
    """Where the factor is 0 nothing changes."""
    changes = Changes(rate=100.0, curve=((0.4, 1.0), (0.5, 0.0), (0.6, 0.0), (0.7, 1.0)))

    found = planned(changes)

    assert [] == [one for one in found if 50.01 < one.offset < 59.99]


def test_a_change_at_the_foot_of_a_rise_has_a_time() -> None:
    """The very first moment of a curve that begins at 0 is planned like any other."""

    class Zero(random.Random):
        def random(self):
            return 0.0

    found = plan(
        Changes(rate=100.0, curve=MORNING), duration=10.0, mailboxes=5, share=1.0, rng=Zero()
    )

    assert 0.0 == next(found).offset


@pytest.mark.parametrize(("rate", "mailboxes", "share"), [(0.0, 10, 1.0), (5.0, 0, 0.0)])
def test_nothing_is_planned_without_a_rate_or_a_mailbox(rate, mailboxes, share) -> None:
    """A rate of 0, or a process without mailboxes, makes an empty plan."""
    assert [] == planned(Changes(rate=rate), mailboxes=mailboxes, share=share)


def test_a_plan_is_drawn_when_it_is_asked_for() -> None:
    """The first changes of a plan of a year are there at once."""
    changes = Changes(rate=1000.0, pattern="poisson")
    endless = plan(changes, duration=31e6, mailboxes=10, share=1.0, rng=dice())

    assert 3 == len(list(islice(endless, 3)))


@pytest.mark.parametrize("pattern", ["even", "poisson", "bursts"])
def test_equal_dice_give_equal_plans(pattern) -> None:
    """A plan depends on nothing but its arguments."""
    changes = Changes(rate=50.0, pattern=pattern)

    assert planned(changes, seed=7) == planned(changes, seed=7)


def test_folders_follow_their_weights() -> None:
    """Three of four changes are in the folder with three quarters of the weight."""
    found = planned(Changes(rate=50.0, folders=(("INBOX", 3.0), ("Tasks", 1.0))))

    counts = Counter(one.folder for one in found)
    assert {"INBOX", "Tasks"} == set(counts)
    assert 0.7 < counts["INBOX"] / counts.total() < 0.8


def test_mailboxes_are_equal_without_hot_ones() -> None:
    """Every mailbox of ten gets about a tenth."""
    found = Counter(one.mailbox for one in planned(Changes(rate=100.0), mailboxes=10))

    assert set(range(10)) == set(found)
    assert 850 < min(found.values()) <= max(found.values()) < 1150


@pytest.mark.parametrize("pattern", ["even", "bursts"])
def test_hot_mailboxes_get_their_share(pattern) -> None:
    """The first hundredth of the mailboxes, rounded up, gets half of the changes."""
    changes = Changes(rate=100.0, pattern=pattern, hot_mailboxes=0.01, hot_changes=0.5)

    found = planned(changes, mailboxes=150)

    assert 0.45 < sum(one.mailbox < 2 for one in found) / len(found) < 0.55


def test_all_mailboxes_may_be_hot() -> None:
    """Where no mailbox is left that is not hot, the hot ones get everything."""
    changes = Changes(rate=10.0, hot_mailboxes=0.1, hot_changes=0.5)

    assert 1000 == len(planned(changes, mailboxes=1))


def test_a_burst_larger_than_the_process_goes_round() -> None:
    """Eight changes for three mailboxes: each gets two, and two of them a third."""
    found = planned(Changes(rate=8.0, pattern="bursts", burst=8), duration=1.0, mailboxes=3)

    assert [2, 3, 3] == sorted(Counter(one.mailbox for one in found).values())


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(-1.0, 0.0), (0.0, 0.0), (25.0, 100.0), (50.0, 200.0), (60.0, 160.0), (90.0, 100.0)],
)
def test_the_rate_of_a_moment_follows_the_curve(offset: float, expected: float) -> None:
    """Between two points the rate is linear, after the last one it is level."""
    changes = Changes(rate=200.0, curve=MORNING)

    assert pytest.approx(expected) == rate_at(changes, offset, 100.0)


@pytest.mark.parametrize(("offset", "expected"), [(-0.1, 0.0), (0.0, 5.0), (9.0, 5.0), (11.0, 0.0)])
def test_no_change_is_due_outside_the_run(offset: float, expected: float) -> None:
    """Without a curve the rate is constant from start to end."""
    assert expected == rate_at(Changes(rate=5.0), offset, 10.0)


def test_even_changes_are_never_far_apart() -> None:
    """Two even changes that follow each other are less than two slots apart."""
    found = planned(Changes(rate=10.0))

    assert max(after.offset - one.offset for one, after in pairwise(found)) < 0.2
