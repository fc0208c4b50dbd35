"""A run as a JUnit test suite."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, fromstring

from loadtest.reports import junit

if TYPE_CHECKING:
    from loadtest.result import Result


def suite(result: Result) -> Element:
    return fromstring(junit.render(result))  # noqa: S314 - our own text


def failures(result: Result) -> dict[str | None, str | None]:
    cases = suite(result).findall("testcase")
    return {case.get("name"): case.findtext("failure") for case in cases}


def test_a_good_run(good: Result) -> None:
    """Each threshold is a passed case, and so are missed changes and the generator."""
    expected = (
        "notify.p99<250ms",
        "bytes_per_phone<3000",
        "missed==0",
        "the generator was not the bottleneck",
    )
    assert dict.fromkeys(expected) == failures(good)


def test_a_bad_run(bad: Result) -> None:
    """What failed says what was found."""
    found = failures(bad)

    assert "missed = 3" == found["missed==0"]
    assert "notify.max = 91.8 ms" == found["notify.max<50ms"]
    assert None is found["notify.p99<250ms"]


def test_an_invalid_run(invalid: Result) -> None:
    """The generator's case has all reasons."""
    found = failures(invalid)["the generator was not the bottleneck"]

    assert "a generator process used 98 % of a core\nits lag was 61 ms" == found


def test_the_suite(bad: Result) -> None:
    """The suite carries its totals and how to repeat it."""
    found = suite(bad)

    expected = {
        "name": "loadtest storm",
        "tests": "5",
        "failures": "2",
        "errors": "0",
        "time": "370.400",
        "timestamp": "2026-09-12T08:15:00Z",
    }
    assert expected == found.attrib
    properties = {one.get("name"): one.get("value") for one in found.iter("property")}
    assert {"command": bad.command, "devices": "15000", "seed": "7"} == properties
