"""How figures read."""

from __future__ import annotations

import pytest

from loadtest import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.000412, "0.000412"),
        (0.05, "0.05"),
        (0.996, "0.996"),
        (0.9999, "1"),
        (1.0, "1"),
        (1.234, "1.23"),
        (9.96, "9.96"),
        (9.996, "10"),
        (12.34, "12.3"),
        (99.96, "100"),
        (1200, "1,200"),
        (1234.4, "1,234"),
        (999_999.6, "1,000,000"),
        (-12.34, "-12.3"),
    ],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    """Three digits count, but never fewer than all before the point, and no zeros behind it."""
    assert text == wording.number(value)


def test_a_number_may_have_more_digits() -> None:
    """Where three digits are too few, more are written."""
    assert ("6.999", "1,234.6") == (wording.number(6.999, 4), wording.number(1234.56, 5))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.000087, "87 us"),
        (0.00155, "1.55 ms"),
        (0.0042, "4.2 ms"),
        (0.34, "340 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (3.37510, "3.38 s"),
        (99.99, "100 s"),
        (86_400.0, "86,400 s"),
    ],
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    """A duration is written in the largest of s, ms and us that leaves a digit before the point."""
    assert text == wording.duration(seconds)


def test_a_duration_may_have_more_digits() -> None:
    """Where three digits hide a difference, more are written."""
    assert "250.4 ms" == wording.duration(0.2504, 4)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "n/a"),
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1023.9, "1 KB"),
        (2540, "2.48 KB"),
        (-2048, "-2 KB"),
        (1023.9 * 1024, "1 MB"),
        (70 << 20, "70 MB"),
        (3 << 30, "3 GB"),
        (5000 << 40, "5,000 TB"),
    ],
)
def test_a_size_has_the_unit_that_fits(size_bytes: float | None, text: str) -> None:
    """Bytes are written in units of 1024, and what was not measured as n/a."""
    assert text == wording.size(size_bytes)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "500 ms"),
        (12.34, "12.3 s"),
        (303, "5 min 03 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_a_span_is_what_people_say(seconds: float, text: str) -> None:
    """How long something lasts is written in the two largest units that it has."""
    assert text == wording.span(seconds)


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(0.0, "0/s"), (1.25, "1.25/s"), (99.96, "100/s"), (12345.6, "12,346/s")],
)
def test_a_rate_is_a_number_a_second(per_second: float, text: str) -> None:
    """How often something happens has three digits too."""
    assert text == wording.rate(per_second)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0.0, "0 %"),
        (1 / 3000, "0.0333 %"),
        (0.456, "45.6 %"),
        (0.99, "99 %"),
        (0.9995, "99.95 %"),
        (1 - 1e-9, "99.999 %"),
        (1.0, "100 %"),
        (1.034, "103 %"),
    ],
)
def test_a_share_is_all_only_if_nothing_is_left_out(part: float, text: str) -> None:
    """A part of one is written in percent, more exactly just below 100."""
    assert text == wording.share(part)


def test_a_share_may_have_more_digits() -> None:
    """Where three digits hide a difference, more are written."""
    assert "6.999 %" == wording.share(0.06999, 4)


def test_a_tally_begins_with_the_largest() -> None:
    """Counts by kind are sorted by size, then by name, and zeros are left out."""
    counts = {"reset": 2, "closed": 2, "never": 0, "timeout": 3000}

    assert "timeout 3,000, closed 2, reset 2" == wording.tally(counts)


def test_an_empty_tally_says_so() -> None:
    """Where nothing was counted the text is none."""
    assert "none" == wording.tally({"closed": 0})


def test_a_name_is_words() -> None:
    """A figure's name is written without underscores."""
    assert "first hold" == wording.words("first_hold")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, ("g", 1.0)), (0.5, ("g", 1.0)), (999.6, ("kg", 1000.0)), (-2000.0, ("kg", 1000.0))],
)
def test_the_unit_is_the_largest_that_fits(value: float, expected: tuple[str, float]) -> None:
    """The last unit takes whatever is too small for the others."""
    assert expected == wording.fitting(value, (("kg", 1000.0), ("g", 1.0)))
