"""What a run came to, judged from plain numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtest.figures import Figures
from loadtest.result import Gateway, Judged, Moment, Result

if TYPE_CHECKING:
    from collections.abc import Mapping


def moment(states: Mapping[str, int]) -> Moment:
    return Moment(
        at=1.0,
        phase="running",
        states=states,
        counts={},
        errors={},
        rate_target=0.0,
        published_per_second=0.0,
        recent={},
        total={},
        cpu=0.0,
        processes=1,
        generator_bytes=0,
        gateway=Gateway(),
    )


def result(*moments: Moment, **counts: int) -> Result:
    figures = Figures()
    figures.counts.update(counts)
    return Result(
        name="steady",
        command="loadtest run steady",
        started="2025-01-01T00:00:00Z",
        duration=60.0,
        devices=100,
        seed=1,
        profile={},
        environment={},
        figures=figures,
        moments=moments,
    )


def test_a_moment_counts_all_phones() -> None:
    """Phones of all states have begun, those in one of them are held."""
    found = moment({"held": 3, "waiting": 1, "stopped": 1})

    assert (3, 5) == (found.held, found.phones)


def test_a_moment_before_the_first_phone_is_empty() -> None:
    """Without phones nobody is held."""
    assert (0, 0) == (moment({}).held, moment({}).phones)


def test_the_most_held_is_the_highest_moment() -> None:
    """The peak counts, not the last moment."""
    assert 7 == result(*(moment({"held": held}) for held in (3, 7, 0))).most_held


def test_a_run_without_moments_held_nobody() -> None:
    """A run that ended at once has no peak."""
    assert 0 == result().most_held


@pytest.mark.parametrize(
    ("counts", "is_good"),
    [
        ({"published": 10, "received": 10}, True),
        ({"published": 10, "received": 10, "late": 3, "spurious": 1}, True),
        ({"published": 10, "received": 9, "missed": 1}, False),
        ({"published": 10, "unsure": 10}, False),
        ({}, True),
    ],
    ids=["all", "late", "missed", "unanswered", "idle"],
)
def test_a_good_run_missed_nothing(counts: dict[str, int], is_good: object) -> None:
    """A run is good if nothing was missed, and if changes were answered at all."""
    assert is_good == result(**counts).is_good


@pytest.mark.parametrize(("second", "is_good"), [(True, True), (False, False)])
def test_a_good_run_meets_its_thresholds(second: object, is_good: object) -> None:
    """One threshold that was not met spoils a run."""
    judged = (Judged("missed == 0", True, "missed = 0"), Judged("x < 1", bool(second), "x = 1"))

    assert is_good == replace(result(), judged=judged).is_good


def test_an_invalid_run_may_be_good() -> None:
    """Whether the generator kept up says nothing about whether the server did."""
    invalid = replace(result(), invalid=("the generator was 300 ms late",))

    assert (True, True, True, False) == (
        result().is_good,
        result().is_valid,
        invalid.is_good,
        invalid.is_valid,
    )
