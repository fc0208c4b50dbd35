"""The time axis of charts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

from loadtest.reports import canvas
from loadtest.reports.clock import Clock, shorten, spaced
from loadtest.result import Mark

if TYPE_CHECKING:
    from loadtest.reports.clock import Side
    from loadtest.result import Result


def stretched(result: Result, end: float) -> Result:
    factor = end / result.moments[-1].at
    return replace(result, moments=tuple(replace(m, at=m.at * factor) for m in result.moments))


def draw(result: Result, text_at: Side | None = "top") -> str:
    def paint(figure: Figure) -> None:
        axes, clock = figure.subplots(), Clock(result)
        clock.annotate(axes, text_at=text_at)
        clock.scale(axes)

    return canvas.draw("clock", "", paint)


@pytest.mark.parametrize(
    ("end", "unit"), [(299, "seconds"), (300, "minutes"), (10_799, "minutes"), (10_800, "hours")]
)
def test_the_unit_suits_the_length(good: Result, end: float, unit: str) -> None:
    """Short runs are told in seconds, a day in hours."""
    assert f">{unit} since the run began<" in draw(stretched(good, end))


def test_places_are_in_the_unit(good: Result) -> None:
    """Seconds are converted to places on the axis."""
    assert [0.5, 2.0] == Clock(good).of([30, 120])


def test_marks_and_phases_are_named(good: Result) -> None:
    """The text of a mark stands at its line, and a wide phase has its name."""
    found = draw(good, "bottom")

    assert all(f">{text}<" in found for text in ("cut 20 % of the connections", "arriving"))
    assert ">settling<" not in found


def test_a_mark_at_the_beginning_stays_inside(good: Result) -> None:
    """Texts stand left of their line, but at the beginning right of it."""
    axes = Figure().subplots()

    Clock(replace(good, marks=(Mark(1, "first"), Mark(200, "later")))).annotate(axes)

    found = {one.get_text(): one.get_horizontalalignment() for one in axes.texts}
    assert {"arriving": "center", "first": "left", "later": "right"} == found


def test_texts_can_be_left_out(good: Result) -> None:
    """Where there is no room, only lines and shades are drawn."""
    found = draw(good, None)

    assert ">arriving<" not in found
    assert "cut" not in found
    assert 3 == found.count("stroke-dasharray: 2.4,1.6")


def test_a_run_of_no_length(good: Result) -> None:
    """A run that stood still has an axis all the same."""
    assert "seconds" in draw(replace(good, moments=good.moments[:1], marks=()))


def test_crowded_marks() -> None:
    """Of marks that are close to each other only the first has its text."""
    marks = [Mark(5, "b"), Mark(0, "a"), Mark(10, "c"), Mark(14, "d")]

    found = [(mark.text, has_room) for mark, has_room in spaced(marks, 10)]

    assert [("a", True), ("b", False), ("c", True), ("d", False)] == found


def test_a_long_text_is_cut() -> None:
    """The text of a mark is cut to what a chart has room for."""
    assert "short" == shorten("short")
    assert "x" * 29 + "…" == shorten("x" * 31)
