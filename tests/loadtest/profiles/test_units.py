"""Quantities as people write them."""

from __future__ import annotations

import re
from math import inf, nan

import pytest

from loadtest.profiles.units import (
    Span,
    UnitError,
    parse_count,
    parse_duration,
    parse_rate,
    parse_share,
    parse_span,
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (30, 30.0),
        (0.5, 0.5),
        (1e-7, 1e-7),
        ("45", 45.0),
        ("250ms", 0.25),
        ("30s", 30.0),
        (" 1.5 m ", 90.0),
        ("1h", 3600.0),
        ("1d", 86_400.0),
        ("1_000s", 1000.0),
    ],
)
def test_a_duration_is_read_in_seconds(found: object, expected: float) -> None:
    """A plain number is in seconds; units are ms, s, m, h and d."""
    assert expected == parse_duration(found)


@pytest.mark.parametrize(
    ("found", "expected"), [(200, 200.0), ("200/s", 200.0), ("90/m", 1.5), ("12/h", 12 / 3600)]
)
def test_a_rate_is_read_per_second(found: object, expected: float) -> None:
    """A plain number is per second; others are per minute and per hour."""
    assert expected == parse_rate(found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (2000, 2000),
        ("100k", 100_000),
        ("1M", 1_000_000),
        ("1.001k", 1001),
        (2.0, 2),
        (12_345_678_901_234_567_890, 12_345_678_901_234_567_890),
    ],
)
def test_a_count_is_read_exactly(found: object, expected: int) -> None:
    """Thousands and millions have units, and no digit is rounded away."""
    assert expected == parse_count(found)


@pytest.mark.parametrize(("found", "expected"), [(0.3, 0.3), ("30%", 0.3), ("7%", 0.07), (2, 2.0)])
def test_a_share_is_read_as_a_part_of_1(found: object, expected: float) -> None:
    """A percentage is a hundredth; a weight may be more than 1."""
    assert expected == parse_share(found)


@pytest.mark.parametrize(
    ("found", "expected"), [("50%", 300.0), ("50 % ", 300.0), ("2m", 120.0), (5, 5.0)]
)
def test_a_span_is_seconds_or_a_part_of_the_duration(found: object, expected: float) -> None:
    """In a run of ten minutes 50 % are five."""
    assert expected == parse_span(found).seconds(600)


@pytest.mark.parametrize("span", [Span(), Span(1.5), Span(part=0.07), Span(part=1 / 3)])
def test_a_span_as_json_is_read_back(span: Span) -> None:
    """What is written for a span means the same span again."""
    assert span.seconds(600) == pytest.approx(parse_span(span.as_json()).seconds(600))


@pytest.mark.parametrize(
    "found", [-1, inf, nan, True, None, [], "", "soon", "-5s", "1e400", "9" * 40, "5 s s"]
)
def test_what_is_no_quantity_is_refused(found: object) -> None:
    """The error says what was found and gives examples."""
    with pytest.raises(UnitError, match=re.escape(f"found {found!r}")) as caught:
        parse_duration(found)

    assert str(caught.value).endswith('allowed a time like 30, "250ms", "30s", "10m", "1h" or "1d"')


@pytest.mark.parametrize(
    ("parse", "found", "nearest"),
    [
        (parse_duration, "10min", "m"),
        (parse_duration, "10M", "m"),
        (parse_duration, "3sec", "s"),
        (parse_rate, "5/min", "/m"),
        (parse_count, "10K", "k"),
        (parse_share, "5pct", "%"),
        (parse_span, "5percent", "s"),
    ],
)
def test_an_unknown_unit_is_answered_with_the_nearest(parse, found: str, nearest: str) -> None:
    """The error names the unit that was probably meant."""
    with pytest.raises(UnitError, match=re.escape(f"the nearest is '{nearest}'; allowed ")):
        parse(found)


@pytest.mark.parametrize("found", [0.5, "1.5", "0.0001k"])
def test_a_count_is_whole(found: object) -> None:
    """Half a phone is refused."""
    with pytest.raises(UnitError, match="allowed a whole number"):
        parse_count(found)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({"fixed": -1.0}, "found -1 s, allowed 0 s or more"),
        ({"fixed": inf}, "found inf s, allowed 0 s or more"),
        ({"part": 1.5}, "found 150%, allowed 0% to 100% of the duration"),
    ],
)
def test_a_span_lies_within_the_run(numbers: dict[str, float], text: str) -> None:
    """A time before the start, or more than the whole duration, is refused."""
    with pytest.raises(UnitError, match=re.escape(text)):
        Span(**numbers)
