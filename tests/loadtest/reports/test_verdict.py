"""What a run proved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loadtest.figures import Figures
from loadtest.reports.verdict import verdict
from loadtest.result import Judged

if TYPE_CHECKING:
    from loadtest.result import Result

MET = Judged("missed==0", is_met=True, found="missed = 0")
UNMET = Judged("notify.p99<1ms", is_met=False, found="notify.p99 = 4.2 ms")


def with_counts(result: Result, *judged: Judged, **counts: int) -> Result:
    figures = Figures()
    figures.counts.update(counts)
    return replace(result, figures=figures, judged=judged)


def test_a_good_run(empty: Result) -> None:
    """A run is good where all expected changes were answered."""
    found = verdict(with_counts(empty, published=1000, expected=1000, received=1000))

    assert ("good", "Good: no change was missed") == (found.level, found.title)
    assert ("all 1,000 expected pairs of change and phone were answered",) == found.reasons


def test_an_idle_run(empty: Result) -> None:
    """A run without changes does not boast that none was missed."""
    found = verdict(with_counts(empty, MET))

    assert ("good", "Good: nothing failed") == (found.level, found.title)
    expected = "no change was published, so none could be missed; thresholds met: 1 of 1"
    assert (expected,) == found.reasons


def test_missed_changes(empty: Result) -> None:
    """Missed changes are the headline, whatever else failed."""
    found = verdict(with_counts(empty, UNMET, published=9, expected=9, received=7, missed=2))

    expected = ("bad", "Missed changes: 2 never reached their phone")
    assert expected == (found.level, found.title)
    assert (
        "2 of 9 expected pairs of change and phone were missed",
        "not met: notify.p99<1ms (notify.p99 = 4.2 ms)",
    ) == found.reasons


def test_a_threshold_that_is_not_met(empty: Result) -> None:
    """A failed threshold is said with what was found."""
    found = verdict(with_counts(empty, MET, UNMET, published=9, expected=9, received=9))

    assert ("bad", "Threshold failed: 1 of 2") == (found.level, found.title)
    assert ("not met: notify.p99<1ms (notify.p99 = 4.2 ms)",) == found.reasons


def test_nothing_answered(empty: Result) -> None:
    """A run in which no change was answered is bad."""
    found = verdict(with_counts(empty, published=9))

    assert ("bad", "No change was answered") == (found.level, found.title)
    assert ("none of 9 published changes was answered",) == found.reasons


def test_an_invalid_run(bad: Result) -> None:
    """Where the generator was too slow, that comes first."""
    found = verdict(replace(bad, invalid=("its lag was 61 ms",)))

    assert ("invalid", "INVALID: the generator was the bottleneck") == (found.level, found.title)
    assert "its lag was 61 ms" == found.reasons[0]
    assert 3 == len(found.reasons)
