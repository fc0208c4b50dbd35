"""What a server did beside what was found of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.faulty.faults import Done
from loadtest.faulty.findings import Finding, compare
from loadtest.figures import Figures
from loadtest.result import Missed, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE = Done(changes=98, lost=["r-1", "r-2"], delayed=["r-3"], spurious=4, duplicate=5)
COUNTS = {"published": 99, "withdrawn": 1, "missed": 2, "late": 1, "spurious": 4, "duplicate": 5}


def result(missed: Sequence[str], **counts: int) -> Result:
    figures = Figures()
    figures.counts.update(COUNTS | counts)
    return Result(
        name="selftest",
        command="loadtest selftest",
        started="2026-01-01T00:00:00+00:00",
        duration=1.0,
        devices=1,
        seed=1,
        profile={},
        environment={},
        figures=figures,
        moments=(),
        missed=tuple(Missed(one, "ann@example.org", "PHONE1", "INBOX", 1.5) for one in missed),
    )


def test_all_that_was_done_was_found() -> None:
    """Equal counts and equal ids are the same."""
    found = compare(DONE, result(["r-2", "r-1"]))

    expected = [("changes", 98, 98), ("lost", 2, 2), ("delayed", 1, 1)]
    expected += [("spurious", 4, 4), ("duplicate", 5, 5)]
    assert expected == [(one.name, one.done, one.found) for one in found]
    assert all(one.is_same for one in found)


def test_other_ids_are_no_match() -> None:
    """As many missed changes, of which one is another, are not the same; both are told."""
    lost = compare(DONE, result(["r-1", "r-9"]))[1]

    assert not lost.is_same
    assert (
        "missed, but not lost: r-9, ann@example.org, INBOX, at 1.5 s",
        "lost, but not missed: r-2",
    ) == lost.differences


def test_ids_that_were_not_told_are_no_difference() -> None:
    """Of more missed changes than are listed, the count has to do."""
    assert compare(DONE, result(["r-1"]))[1].is_same


def test_another_count_is_no_match() -> None:
    """A late change too many is not the same."""
    assert Finding("delayed", 1, 2) == compare(DONE, result(["r-1", "r-2"], late=2))[2]
    assert not Finding("delayed", 1, 2).is_same
