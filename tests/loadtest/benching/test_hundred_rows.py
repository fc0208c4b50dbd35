"""How big the bench with 100,000 phones is, and what it asks."""

from __future__ import annotations

from itertools import starmap

import pytest

from loadtest.benching import hundred_rows
from loadtest.benching.hundred_rows import Size
from loadtest.benching.rows import Measured


@pytest.mark.parametrize(
    ("devices", "rate", "text"),
    [
        (99, 1, "devices is 99, at least 100 are allowed"),
        (100, 0, "rate is 0 changes a second, more than 0 and at most 25 is allowed"),
        (100, 25.1, "rate is 25.1 changes a second"),
    ],
)
def test_a_size_is_checked(devices: int, rate: float, text: str) -> None:
    """A bench has phones for all workers, and changes that the small crowd can answer."""
    with pytest.raises(ValueError, match=text):
        Size(devices=devices, rate=rate)


@pytest.mark.parametrize(
    ("devices", "few", "processes"), [(100_000, 10_000, 6), (34_001, 3_400, 3), (400, 40, 2)]
)
def test_everything_scales_with_the_phones(devices: int, few: int, processes: int) -> None:
    """A tenth is the small crowd, and each process has 17,000 phones at most."""
    size = Size(devices=devices, rate=1)

    assert (few, processes) == (size.few, size.processes)


def test_a_figure_has_one_row() -> None:
    """No two rows share a key, and those of the crowds say how big these are."""
    rows = hundred_rows.rows(Size(devices=400, rate=1))
    titles = {row.key: row.title for row in rows}

    assert len(rows) == len(titles)
    assert ("CPU per change, 40 held", "CPU per change, 400 held") == (
        titles["wake_us_10k"],
        titles["wake_us_100k"],
    )


@pytest.mark.parametrize(
    ("figures", "lines"),
    [
        ({"new": 400.0, "held": 400.0, "back": 400.0, "lost": 3.0}, []),
        ({"held": 399.0}, [("phones held", "399")]),
        (
            {"new": 1.0, "back": 0.0},
            [("new phones held", "1"), ("restart: phones held again", "0")],
        ),
    ],
)
def test_missing_phones_are_named(figures: dict[str, float], lines: list[tuple[str, str]]) -> None:
    """Each row whose phones were missing gets a line; other limits do not make a bench invalid."""
    found = hundred_rows.missed(Size(devices=400, rate=1), Measured("gateway", figures))
    expected = list(starmap("invalid: {}: {}, at least 400 asked".format, lines))

    assert expected == list(found)
