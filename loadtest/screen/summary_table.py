"""What is printed when a run is over: a table of its figures, and the words of the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from loadtest import wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtest.result import Result

SHOWN_MISSED: Final = 20
"""Missed changes that are listed one by one."""
FEW: Final = 1000
"""Phones below which a process' own memory is most of what each of them seems to need."""
_P99: Final = ("delivered", "connect", "tls", "first_hold", "reconnect")
"""Histograms that have a row if anything was recorded."""


def final(result: Result) -> Table:
    """Return the summary of a run as a table."""
    took = wording.span(result.duration)
    title = f"{result.name}: {result.devices:,} phones, {took}, seed {result.seed}"
    table = Table(title=Text(title, style="bold"), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column()
    for rows in (_account(result), _latency(result), _conditions(result)):
        for name, value in rows:
            table.add_row(name, Text(value))
    return table


def verdict(result: Result) -> Iterator[str]:
    """Yield the closing lines: what failed, one by one, and as the last one ``lost N``.

    The lines hold what servers and profiles said: print them without markup.
    """
    for one in result.judged:
        if not one.is_met:
            yield f"failed: {one.expression} ({one.found})"
    yield from _missed(result)
    for reason in result.invalid:
        yield f"invalid: {reason}"
    counts = result.figures.counts
    if counts["published"] and not counts["received"]:
        yield "no change was answered"
    yield f"lost {counts['missed']}"


def _missed(result: Result) -> Iterator[str]:
    shown = result.missed[:SHOWN_MISSED]
    for one in shown:
        yield (
            f"missed: change {one.change}, {one.mailbox}, device {one.device}, "
            f"folder {one.folder}, intended at {one.at:.1f} s"
        )
    others = result.figures.counts["missed"] - len(shown)
    if shown and others > 0:
        yield f"missed: and {others:,} more"


def _account(result: Result) -> Iterator[tuple[str, str]]:
    counts = result.figures.counts
    yield "held", f"{result.most_held:,} of {result.devices:,}"
    yield "published", f"{counts['published']:,}"
    yield "received", f"{counts['received']:,} ({counts['expected']:,} expected)"
    for name in ("missed", "late", "duplicate", "spurious"):
        yield name, f"{counts[name]:,}"
    for name in ("unsure", "withdrawn"):
        if counts[name]:
            yield name, f"{counts[name]:,}"


def _latency(result: Result) -> Iterator[tuple[str, str]]:
    notify = result.figures.latency("notify")
    values = {"p50": notify.p50, "p99": notify.p99, "p99.9": notify.p999, "max": notify.max}
    for name, value in values.items():
        text = f"{wording.duration(value)} from the intended time" if notify.count else "n/a"
        yield f"latency {name}", text
    for name in _P99:
        latency = result.figures.latency(name)
        if latency.count:
            yield f"{wording.words(name)} p99", wording.duration(latency.p99)
    early, late = (result.figures.latency(name) for name in ("heartbeat_early", "heartbeat_late"))
    about = (
        f"early at most {wording.duration(early.max)}, late at most {wording.duration(late.max)}, "
        f"cut short {result.figures.counts['cut_short']:,}"
    )
    yield "heartbeats reached", f"{early.count + late.count:,} ({about})"


def _conditions(result: Result) -> Iterator[tuple[str, str]]:
    yield "errors", wording.tally(result.figures.errors)
    yield "generator lag p99", wording.duration(result.figures.latency("lag").p99)
    busiest = max((moment.cpu for moment in result.moments), default=0.0)
    yield "generator CPU", f"{wording.share(busiest)} of a core at most, busiest process"
    yield "user memory per held phone", _memory(result)
    yield "generator memory per phone", wording.size(result.generator_bytes_per_phone)


def _memory(result: Result) -> str:
    size = wording.size(result.bytes_per_phone)
    if result.bytes_per_phone is None or result.most_held >= FEW:
        return size
    return f"{size} (few phones: mostly a fixed cost)"
