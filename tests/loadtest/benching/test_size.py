"""Sizes of the bench."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.benching.size import Size


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"devices": 0}, "devices is 0, 1 to"),
        ({"devices": 99_999}, "devices is 99999, 1 to"),
        ({"devices": 10}, "rate is 200 changes a second, more than 0 and at most 25"),
        ({"rate": 0}, "rate is 0 changes a second"),
        ({"seconds": 0}, "seconds is 0, more than 0"),
    ],
)
def test_a_size_is_checked(change: dict[str, float], text: str) -> None:
    """A bench has phones that fit into this host, and changes that they can answer one by one."""
    with pytest.raises(ValueError, match=text):
        replace(Size(1000, 200, 20), **change)


@pytest.mark.parametrize(
    ("devices", "burst", "secure"), [(1000, 1000, 1000), (15_000, 10_000, 3000)]
)
def test_a_small_bench_has_small_phases(devices: int, burst: int, secure: int) -> None:
    """Phases of many phones have no more than the bench has, or than they need."""
    size = Size(devices, 200, 20)

    assert (burst, secure) == (size.burst, size.secure)
