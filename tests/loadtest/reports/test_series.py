"""The course of a run as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

from loadtest.reports import series
from loadtest.result import Gateway

if TYPE_CHECKING:
    from loadtest.result import Result


def rows(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(series.render(result))))


def test_a_row_for_each_moment(good: Result) -> None:
    """Each moment is a row with all columns."""
    found = rows(good)

    assert len(good.moments) == len(found)
    assert list(series.COLUMNS) == list(found[0])


def test_the_cells(good: Result) -> None:
    """Durations are in milliseconds, memory in bytes, counts since the run began."""
    moment, found = good.moments[100], rows(good)[100]

    expected = {
        "at": "100.01",
        "phase": "running",
        "held": str(moment.held),
        "published": str(moment.counts["published"]),
        "errors": str(sum(moment.errors.values())),
        "rate_target": "60",
        "notify_max_ms": str(round(moment.recent["notify"].max * 1000, 3)),
        "notify_total_p99_ms": "9.0",
        "generator_bytes": str(moment.generator_bytes),
        "gateway_memory_bytes": str(moment.gateway.memory_bytes),
    }
    assert expected == {name: found[name] for name in expected}


def test_what_is_not_known_is_empty(good: Result) -> None:
    """A gateway that tells nothing, and an interval without changes, leave cells empty."""
    moment = replace(good.moments[0], gateway=Gateway(), recent={})

    found = rows(replace(good, moments=(moment,)))[0]

    names = ("gateway_memory_bytes", "gateway_cpu", "gateway_held", "notify_p50_ms", "lag_p99_ms")
    assert {""} == {found[name] for name in names}


def test_an_empty_run(empty: Result) -> None:
    """A run without moments has the line of names only."""
    assert ",".join(series.COLUMNS) + "\n" == series.render(empty)
