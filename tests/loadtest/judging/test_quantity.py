"""How values of figures are written, and which units they take."""

from __future__ import annotations

import pytest

from loadtest.judging.quantity import Quantity


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (Quantity.DURATION, 0.0042, "4.2 ms"),
        (Quantity.SIZE, 2345.4, "2,345 bytes"),
        (Quantity.COUNT, 9870.0, "9,870"),
    ],
)
def test_values_have_their_unit(quantity: Quantity, value: float, text: str) -> None:
    """A duration has the unit that fits, a size is in bytes, and a count has no unit."""
    assert text == quantity.say(value)


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [(Quantity.DURATION, 0.25004, "250.04 ms"), (Quantity.SIZE, 2345.42, "2,345.4 bytes")],
)
def test_values_may_have_more_digits(quantity: Quantity, value: float, text: str) -> None:
    """Where three digits hide a difference, more are written."""
    assert text == quantity.say(value, 5)


def test_units_are_in_the_base_unit() -> None:
    """A unit says how much of the base unit it is, and KB is what KiB is."""
    sizes = Quantity.SIZE.units

    assert (60, 1024, 1_000_000) == (
        Quantity.DURATION.units["m"],
        sizes["KB"],
        Quantity.COUNT.units["M"],
    )
    assert sizes["KiB"] == sizes["KB"]
