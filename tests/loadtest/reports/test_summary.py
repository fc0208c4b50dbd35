"""A run as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from loadtest.reports import summary

if TYPE_CHECKING:
    from loadtest.result import Result

KEYS = (
    "format name command started duration devices seed profile environment counts errors "
    "histograms bytes_per_phone generator_bytes_per_phone invalid judged missed marks most_held "
    "is_good valid moments"
)
MOMENT_KEYS = (
    "at phase held states counts errors rate_target published_per_second recent cpu "
    "generator_bytes gateway"
)


def test_the_keys(good: Result) -> None:
    """The document has the keys that programs rely on."""
    found = json.loads(summary.render(good))

    assert KEYS.split() == list(found)
    assert MOMENT_KEYS.split() == list(found["moments"][0])
    assert ["memory_bytes", "cpu_seconds", "held"] == list(found["moments"][0]["gateway"])


def test_the_values(bad: Result) -> None:
    """Counts, durations in seconds, thresholds and missed changes are all there."""
    found = json.loads(summary.render(bad))

    latency = bad.figures.latency("notify")
    assert latency.p999 == found["histograms"]["notify"]["p999"]
    assert (3, 0) == (found["counts"]["missed"], found["counts"]["spurious"])
    assert {"expression": "notify.max<50ms", "is_met": False, "found": "notify.max = 91.8 ms"} == (
        found["judged"][-1]
    )
    assert "phone2" == found["missed"][2]["device"]
    assert {"at": 200, "text": "cut 20 % of the connections"} == found["marks"][1]
    assert (False, bad.most_held) == (found["is_good"], found["most_held"])


def test_a_run_may_be_good_but_not_valid(good: Result, invalid: Result) -> None:
    """Whether the generator was the bottleneck is a key of its own."""
    found = [json.loads(summary.render(one)) for one in (good, invalid)]

    assert [(True, True), (True, False)] == [(one["is_good"], one["valid"]) for one in found]


def test_it_is_what_the_text_says(good: Result) -> None:
    """The text, with a line for each moment, is the document."""
    text = summary.render(good)

    assert summary.summary(good) == json.loads(text)
    assert len(good.moments) == text.count(b'\n    {"at"')


def test_an_empty_run(empty: Result) -> None:
    """A run without moments is a document too, with all counts 0."""
    found = json.loads(summary.render(empty))

    assert [] == found["moments"]
    assert {} == found["histograms"]
    assert {0} == set(found["counts"].values())
