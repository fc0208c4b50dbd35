"""Sizes of a measurement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.calibration.size import FULL, QUICK, TrialSize


def test_the_sizes_that_come_along_are_good_ones() -> None:
    """The quick measurement has fewer phones and less time than the full one."""
    assert QUICK.most_phones < FULL.most_phones
    assert (480.0, 60.0) == (FULL.within, QUICK.within)


def test_the_trial_is_none_of_the_fitted_sizes() -> None:
    """A prediction is for more phones, more workers and another rate than was fitted on."""
    for size in (FULL, QUICK):
        assert size.trial.phones > size.steps * size.phones
        assert size.trial.workers > 1
        assert size.trial.rate not in size.rates


@pytest.mark.parametrize("change", [{"steps": 2}, {"workers": (2,)}])
def test_a_line_needs_three_points(change: dict[str, object]) -> None:
    """With two points there is no telling how good a line is."""
    with pytest.raises(ValueError, match="allowed 3 or more of both"):
        replace(FULL, **change)


def test_a_mean_needs_two_values() -> None:
    """One phase of each kind has no error bars."""
    with pytest.raises(ValueError, match="allowed two or more"):
        replace(FULL, rounds=1, repeats=1)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        ({"trial": TrialSize(phones=99)}, 8_000),
        ({"new_phones": 2_500, "trial": TrialSize(phones=99)}, 10_000),
        ({"secure_phones": 3_000, "trial": TrialSize(phones=12_500)}, 12_500),
    ],
)
def test_the_most_phones_are_told(change: dict[str, object], most: int) -> None:
    """The largest experiment says how many phones one process holds."""
    assert most == replace(FULL, **change).most_phones
