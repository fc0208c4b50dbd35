"""Pictures made of block characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.screen import blocks


def test_cells_are_divided_in_proportion() -> None:
    """A part has as many cells of the bar as its count has of the total."""
    assert [6, 3, 1] == blocks.divide([60, 30, 10], 10)


def test_a_single_phone_is_seen() -> None:
    """A count that is not zero has a cell, however small it is."""
    assert [9, 0, 1] == blocks.divide([999_999, 0, 1], 10)


def test_nothing_divides_into_nothing() -> None:
    """Without any count no cell is taken."""
    assert [0, 0] == blocks.divide([0, 0], 10)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(6, 200))
def test_a_bar_is_filled(counts: list[int], cells: int) -> None:
    """All cells are taken if anything is counted, and none of the parts is negative."""
    parts = blocks.divide(counts, cells)

    assert ((cells if any(counts) else 0), True) == (sum(parts), min(parts) >= 0)


def test_a_curve_is_logarithmic() -> None:
    """Each factor of ten raises the curve by the same height."""
    assert ["▁▃▆█"] == blocks.curve([0.001, 0.01, 0.1, 1.0])


def test_a_calm_curve_stays_low() -> None:
    """The scale spans a factor of ten at least, so that noise does not fill it."""
    assert ["▁▂▁"] == blocks.curve([0.001, 0.0012, 0.001])


def test_a_gap_is_left_where_nothing_is_known() -> None:
    """None is drawn as a space."""
    assert ["▁ █"] == blocks.curve([0.001, None, 0.1])


def test_a_higher_curve_has_finer_steps() -> None:
    """With two rows the upper one holds what is above the middle of the scale."""
    assert ["  █", "▁▇█"] == blocks.curve([0.001, 0.0025, 0.01], 2)


def test_zero_is_drawn_as_a_microsecond() -> None:
    """Zero has no logarithm and stands for the shortest duration."""
    assert pytest.approx((1e-6, 1e-5)) == blocks.scale([0.0, None])


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=60), st.integers(1, 5))
def test_a_curve_has_the_size_asked_for(values: list[float], rows: int) -> None:
    """A curve has a character in each row for each value."""
    assert [len(values)] * rows == [len(row) for row in blocks.curve(values, rows)]


def test_a_scale_needs_a_value() -> None:
    """A scale of nothing is refused."""
    with pytest.raises(ValueError, match="empty"):
        blocks.scale([None])
