"""A run as one HTML page that opens anywhere, without network or script."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest import wording
from loadtest.figures import COUNTS, HISTOGRAMS
from loadtest.reports.charts import charts
from loadtest.reports.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

    from loadtest.figures import Figures, Latency
    from loadtest.result import Result

SHOWN_MISSED: Final = 100
"""Missed changes in the page; ``summary.json`` has more."""


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure."""

    title: str
    text: str
    """The value, a space, its unit."""
    explanation: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a table with its explanation."""

    name: str
    explanation: str
    figure: Any


def render(result: Result) -> str:
    """Return the page."""
    figures = result.figures
    return _template().render(
        result=result,
        verdict=verdict(result),
        cards=list(_cards(result)),
        charts=charts(result),
        histograms=list(_histograms(figures)),
        counts=[Row(name, text, figures.counts[name]) for name, text in COUNTS.items()],
        pings=figures.counts["pings"],
        heartbeats=[
            Row(one, HISTOGRAMS[one], figures.latency(one))
            for one in ("heartbeat_early", "heartbeat_late")
        ],
        cut_short=Row("cut_short", COUNTS["cut_short"], figures.counts["cut_short"]),
        errors=figures.errors.most_common(),
        failures=figures.errors.total(),
        missed=result.missed[:SHOWN_MISSED],
        profile=orjson.dumps(dict(result.profile), option=orjson.OPT_INDENT_2).decode(),
    )


@cache
def _template() -> Template:
    # loaded late, as matplotlib is: the generator's processes are forked before
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("loadtest.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "duration": wording.duration,
        "span": wording.span,
        "share": wording.share,
    }
    return environment.get_template("run.html.j2")


def _histograms(figures: Figures) -> Iterator[Row]:
    # those of HISTOGRAMS first, in its order; then what it does not know
    names = dict.fromkeys((*HISTOGRAMS, *sorted(figures.histograms)))
    for name in names:
        found = figures.latency(name)
        if found.count:
            yield Row(name, HISTOGRAMS.get(name, ""), found)


def _cards(result: Result) -> Iterator[Card]:
    yield from _reach(result)
    yield from _latencies(result.figures.latency("notify"))
    yield from _costs(result)


def _reach(result: Result) -> Iterator[Card]:
    counts = result.figures.counts
    text = f"most phones held at one moment, of {result.devices:,} asked for"
    yield Card("held", f"{result.most_held:,} phones", text)
    yield Card("published", f"{counts['published']:,} changes", COUNTS["published"])
    text = "no phone had to hear of a change"
    if counts["expected"]:
        share = wording.share(counts["received"] / counts["expected"])
        text = f"{share} of {counts['expected']:,} expected pairs of change and phone"
    yield Card("received", f"{counts['received']:,} pairs", text)
    missed = counts["missed"]
    yield Card("missed", f"{missed:,} pairs", COUNTS["missed"], is_bad=bool(missed))


def _latencies(notify: Latency) -> Iterator[Card]:
    explanations = {
        "p50": (notify.p50, "half of all changes were answered within this time"),
        "p99": (notify.p99, "99 of 100 changes"),
        "p99.9": (notify.p999, "999 of 1,000 changes"),
        "max": (notify.max, "the slowest change of the run"),
    }
    for figure, (seconds, text) in explanations.items():
        yield Card(f"notify {figure}", _duration(notify, seconds), text)


def _costs(result: Result) -> Iterator[Card]:
    for title, size, text in (
        (
            "memory per phone",
            result.bytes_per_phone,
            "user memory of the gateway for each held phone",
        ),
        (
            "generator memory",
            result.generator_bytes_per_phone,
            "user memory of the generator for each phone",
        ),
    ):
        yield Card(title, wording.size(size), text)
    lag = result.figures.latency("lag")
    text = "99th percentile of " + HISTOGRAMS["lag"]
    yield Card("generator lag", _duration(lag, lag.p99), text)
    busiest = max((one.cpu for one in result.moments), default=None)
    value = "n/a" if busiest is None else wording.share(busiest)
    text = "of one core, the busiest generator process in its busiest interval"
    yield Card("generator CPU", value, text)


def _duration(latency: Latency, seconds: float) -> str:
    return wording.duration(seconds) if latency.count else "n/a"
