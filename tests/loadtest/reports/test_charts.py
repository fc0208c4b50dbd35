"""The charts of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from loadtest.figures import Figures, Histogram
from loadtest.reports.charts import charts, spectrum
from loadtest.result import Gateway

if TYPE_CHECKING:
    from loadtest.result import Result

ALL = [
    "Latency distribution",
    "Latency over time",
    "Throughput over time",
    "Held phones and gateway memory",
    "Phones by state",
    "Errors over time",
    "Generator lag, and CPU",
]


def test_all_charts(good: Result) -> None:
    """A run with errors has every chart, with the lines that it says."""
    found = charts(good)

    legends = ["first_hold", "p99", "target", "gateway memory", "waiting", "reset", "gateway"]
    assert ALL == [one.title for one in found]
    assert [] == [text for one, text in zip(found, legends, strict=True) if text not in one.svg]
    assert all(one.explanation for one in found)


def test_no_errors(good: Result) -> None:
    """A run without errors has no chart of them."""
    moments = tuple(replace(one, errors={"reset": 0}) for one in good.moments)

    found = charts(replace(good, moments=moments))

    assert "Errors over time" not in [one.title for one in found]


def test_nothing_measured(empty: Result) -> None:
    """A run that was stopped before anything happened has no chart."""
    assert [] == charts(empty)


def test_a_run_of_one_moment(good: Result) -> None:
    """One moment has no course, but the run has a distribution."""
    found = charts(replace(good, moments=good.moments[:1]))

    assert ALL[:1] == [one.title for one in found]


def test_a_run_that_tells_little(good: Result) -> None:
    """Without changes, phones and a gateway that tells of itself, charts are empty."""
    moments = [
        replace(one, recent={}, states={}, errors={}, gateway=Gateway()) for one in good.moments
    ]

    found = charts(replace(good, figures=Figures(), moments=tuple(moments), marks=()))

    assert [title for title in ALL[1:] if "Errors" not in title] == [one.title for one in found]
    assert not any(">gateway memory" in one.svg or ">held<" in one.svg for one in found)


def test_more_lines_than_colours(good: Result) -> None:
    """Two lines of one colour differ in their dashes."""
    figures = Figures()
    for name in ("notify", "ping", "command", "connect", "first_hold", "reconnect", "tls"):
        figures.record(name, 0.001)
        figures.record(name, 0.1)

    found = charts(replace(good, figures=figures, moments=()))

    assert "stroke-dasharray" in found[0].svg


def test_the_slowest_has_a_place() -> None:
    """The maximum of n durations stands at n, where 100 % would be infinitely far away."""
    histogram = Histogram()
    for n in range(1, 1001):
        histogram.record(n / 1000)

    xs, ys = spectrum(histogram)

    assert (1.0, 1000) == (xs[0], xs[-1])
    assert pytest.approx(1000, rel=0.001) == ys[-1]
    assert sorted(xs) == xs
