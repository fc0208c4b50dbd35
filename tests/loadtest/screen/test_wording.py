"""How times are written where there is little room."""

from __future__ import annotations

import pytest

from loadtest.screen import wording


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0"),
        (0.0000871, "0.087"),
        (0.00123, "1.23"),
        (9.9994, "9,999"),
        (9.9996, "10s"),
        (12.34, "12.3s"),
        (3600.0, "3600s"),
    ],
)
def test_a_cell_is_narrow(seconds: float, expected: str) -> None:
    """A duration in a column takes five characters at most, milliseconds while they fit."""
    assert expected == wording.cell(seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.9, "0:00"), (192.0, "3:12"), (3792.0, "1:03:12")]
)
def test_the_clock_counts_hours_when_there_are_any(seconds: float, expected: str) -> None:
    """The time of a run is spelled like a clock's."""
    assert expected == wording.clock(seconds)
