"""What is asked of the gateway, and when it is reached."""

from __future__ import annotations

import pytest

from loadtest.benching.rows import Measured, Row, figure, judge

HELD = Row(key="held", title="phones held", at_least=15_000)
MEMORY = Row(
    key="held_kb",
    title="user memory per held Ping",
    unit="KB",
    limit=2.5,
    ratios={"nchan": 0.25},
)
SHOWN = Row(key="park_us", title="CPU per accept and hold", unit="us")
NCHAN = Measured("nchan", {"held_kb": 11.0})


def judged(row: Row, value: float, *others: Measured) -> list[tuple[float, str, bool]]:
    found = judge([row], Measured("gateway", {row.key: value}), others)
    return [(one.found, one.asked, one.is_reached) for one in found]


def test_a_limit_and_a_ratio_have_a_verdict_each() -> None:
    """A row that asks for a limit and a ratio is judged twice, once by each."""
    assert [
        (2.2, "at most 2.5 KB", True),
        (pytest.approx(0.2), "at most 0.25 of nchan", True),
    ] == judged(MEMORY, 2.2, NCHAN)


@pytest.mark.parametrize(("value", "is_reached"), [(2.5, True), (2.501, False)])
def test_a_limit_itself_is_within_it(value: float, *, is_reached: bool) -> None:
    """A figure equal to its limit is reached, one above is not."""
    assert [(value, "at most 2.5 KB", is_reached)] == judged(MEMORY, value)


def test_a_ratio_can_be_missed_within_the_limit() -> None:
    """A figure within its limit that is too large a part of the rival's is not reached there."""
    found = judged(MEMORY, 2.4, Measured("nchan", {"held_kb": 8.0}))

    assert [True, False] == [is_reached for _, _, is_reached in found]


@pytest.mark.parametrize(("value", "is_reached"), [(15_000, True), (14_999, False)])
def test_phones_must_be_there(value: float, *, is_reached: bool) -> None:
    """One phone fewer than asked is too few, and the number asked is written in full."""
    assert [(value, "at least 15,000", is_reached)] == judged(HELD, value)


@pytest.mark.parametrize(
    "others", [(), (Measured("nchan", {}),), (Measured("nchan", {"held_kb": 0.0}),)]
)
def test_no_ratio_without_a_figure_to_divide_by(others: tuple[Measured, ...]) -> None:
    """A rival that was skipped, has no such figure, or has 0, gives no verdict."""
    assert ["at most 2.5 KB"] == [asked for _, asked, _ in judged(MEMORY, 1.0, *others)]


def test_what_asks_for_nothing_or_was_not_measured_has_no_verdict() -> None:
    """A row without a limit, and one whose figure is absent, are not judged."""
    assert [] == judge([SHOWN, MEMORY], Measured("gateway", {"park_us": 100.0}), [NCHAN])


def test_verdicts_are_in_the_order_of_the_rows() -> None:
    """Verdicts follow the rows, not the figures."""
    ours = Measured("gateway", {"held_kb": 2.0, "held": 15_000.0})

    assert [HELD, MEMORY] == [one.row for one in judge([HELD, MEMORY], ours, [])]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5, "KB", "2.5 KB"),
        (14_999.0, "", "14,999"),
        (0.125, "", "0.125"),
        (1234.5, "us", "1,234 us"),
    ],
)
def test_figures_read_with_their_units(value: float, unit: str, text: str) -> None:
    """Counts are written in full, everything else with three digits and its unit."""
    assert text == figure(value, unit)
