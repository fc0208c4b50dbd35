"""What the moments of a run say about its course."""

from __future__ import annotations

from loadtest.reports import timeline
from loadtest.reports.timeline import Phase
from tests.loadtest.samples import moment


def test_phases_follow_each_other() -> None:
    """Each phase lasts until the next one begins, the last one to the last moment."""
    moments = [
        moment(0, phase="arriving"),
        moment(1, phase="arriving"),
        moment(2),
        moment(3),
        moment(4),
    ]

    expected = [Phase("arriving", 0, 2), Phase("running", 2, 4)]
    assert expected == timeline.phases(moments)


def test_no_moments_have_no_course() -> None:
    """A run that was stopped before its first moment has no phases and no speeds."""
    found = timeline.phases([]), timeline.per_second([], "pings"), timeline.errors_per_second([], 2)

    assert ([], [], {}) == found


def test_a_speed_is_the_growth_of_a_count() -> None:
    """The growth is divided by the time between two moments, which may be none."""
    moments = [
        moment(0, counts={"pings": 5}),
        moment(2, counts={"pings": 25}),
        moment(2, counts={"pings": 30}),
        moment(3, counts={"pings": 31}),
    ]

    assert [0.0, 10.0, 0.0, 1.0] == timeline.per_second(moments, "pings")


def test_the_most_frequent_errors_are_named() -> None:
    """Further kinds are added up, and kinds that never occurred are left out."""
    moments = [moment(0), moment(1, errors={"a": 1, "reset": 9, "b": 2, "never": 0, "closed": 5})]

    expected = {"reset": [0.0, 9.0], "closed": [0.0, 5.0], "others": [0.0, 3.0]}
    assert expected == timeline.errors_per_second(moments, 2)


def test_few_kinds_of_errors_need_no_rest() -> None:
    """Nothing is added up where each kind has its own line."""
    moments = [moment(0), moment(1, errors={"reset": 9})]

    assert {"reset": [0.0, 9.0]} == timeline.errors_per_second(moments, 2)


def test_a_short_line_keeps_all_its_points() -> None:
    """A line is thinned out only where it has more points than asked for."""
    assert [0, 1, 2] == timeline.thin([3.0, 1.0, 2.0], 3)


def test_a_thinned_line_keeps_its_peaks() -> None:
    """The lowest and the highest value of each stretch stay."""
    values = [1.0] * 10_000
    values[4321] = 99.0
    values[7654] = -5.0

    found = timeline.thin(values, 100)

    assert len(found) <= 100
    assert {4321, 7654} <= set(found)
    assert sorted(found) == found
