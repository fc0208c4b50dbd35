"""One screen that tells how a run goes, drawn as text for a terminal of any size.

Rules:
    1. Nothing but Text of one line each: a table of rich costs ten times as much to draw, and the
       loop that draws is the controller's.
    2. Where the terminal is too low, the least important lines go first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Group
from rich.text import Text

from loadtest import wording
from loadtest.figures import Latency
from loadtest.screen import blocks
from loadtest.screen.history import SHOWN
from loadtest.screen.wording import cell, clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import ConsoleDimensions

    from loadtest.result import Moment
    from loadtest.screen.history import History

STATES: Final = {
    "held": "green",
    "preparing": "yellow",
    "connecting": "bright_yellow",
    "waiting": "bright_black",
    "stopped": "red",
}
"""Phones by state, and the colours they have."""
LATENCIES: Final = ("notify", "ping", "command", "connect", "reconnect", "first_hold")
"""Histograms that have a row, in this order."""
BUSY: Final = 0.8
"""CPU of a generator process from which on it is coloured: it may soon measure itself."""
_WIDEST: Final = 120
"""Columns beyond which lines only grow harder to follow."""
_ERRORS: Final = 6
_LABEL: Final = 11
_CURVE_ROWS: Final = 5
_VITAL, _USEFUL, _DETAIL, _AIR = range(4)
_HEADS: Final = ("p50", "p90", "p99", "p99.9", "max")
_BAD: Final = {"late": "yellow", "missed": "bold red", "duplicate": "yellow", "spurious": "yellow"}
"""Counts that should be 0, and the colours they have if they are not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is meant to be."""

    name: str
    """Profile."""
    devices: int
    """Phones asked for."""
    duration: float
    """Seconds the whole run should take, from the first arrival to the end of settling."""


class _Line(NamedTuple):
    importance: int
    """From ``_VITAL`` on."""
    text: Text


class _Fact(NamedTuple):
    name: str
    value: str
    style: str = ""
    """Of the value."""
    name_style: str = "dim"


def draw(plan: Plan, history: History, size: ConsoleDimensions) -> Group:
    """Draw the newest moment.

    Args:
        plan: What the run is meant to be.
        history: At least one moment.
        size: Columns, 80 or more, and lines of the terminal; one line of them stays free for the
            cursor.
    """
    width, height = min(size.width, _WIDEST) - 1, size.height - 1
    above = [*_title(plan, history.now, width), *_phones(plan, history.now, width)]
    above += [*_rates(history, width), _air(), *_latencies(history.now, width)]
    below = [_air(), *_account(history, width), *_marks(history)]
    spare = height - len(above) - len(below)
    curve = _curve(history, min(max(spare, 1), _CURVE_ROWS))
    return Group(*_fit([*above, *curve, *below], height))


def _fit(lines: Sequence[_Line], height: int) -> Iterator[Text]:
    """Leave out the least important lines, the lowest of them first."""
    order = sorted(range(len(lines)), key=lambda index: (lines[index].importance, index))
    for index in sorted(order[: max(height, 1)]):
        text = lines[index].text
        text.no_wrap, text.overflow = True, "crop"
        yield text


def _title(plan: Plan, now: Moment, width: int) -> Iterator[_Line]:
    left = f" {plan.name}"
    phones = f"  {plan.devices:,} phones  "
    times = f"  {clock(now.at)} of {clock(plan.duration)}  "
    cells = max(width - len(left) - len(phones) - len(times) - len(now.phase), 1)
    done = round(cells * min(now.at / plan.duration, 1.0)) if plan.duration else cells
    bar = (("━" * done, "cyan"), ("━" * (cells - done), "bright_black"))
    yield _Line(_VITAL, Text.assemble((left, "bold"), phones, *bar, times, (now.phase, "bold")))
    yield _air()


def _phones(plan: Plan, now: Moment, width: int) -> Iterator[_Line]:
    counts = {state: now.states.get(state, 0) for state in STATES}
    to_come = max(plan.devices - now.phones, 0)
    *parts, rest = blocks.divide([*counts.values(), to_come], width - _LABEL - 1)
    bar = [("█" * part, style) for part, style in zip(parts, STATES.values(), strict=True)]
    yield _Line(_DETAIL, Text.assemble(_label("phones"), *bar, ("░" * rest, "bright_black")))
    facts = [
        _Fact(f"■ {state}", f"{count:,}", name_style=STATES[state])
        for state, count in counts.items()
        if count or state == "held"
    ]
    if to_come:
        facts.append(_Fact("░ to come", f"{to_come:,}"))
    yield from _facts("", facts, width, _VITAL)


def _rates(history: History, width: int) -> Iterator[_Line]:
    now = history.now
    published = f"{wording.rate(now.published_per_second)} of {wording.rate(now.rate_target)}"
    others = (
        _Fact(name, wording.rate(history.per_second(name))) for name in ("answers", "connects")
    )
    yield from _facts("rates", [_Fact("published", published), *others], width, _VITAL)


def _latencies(now: Moment, width: int) -> Iterator[_Line]:
    column = min((width - _LABEL - 4) // (2 * len(_HEADS)), 9)
    across = column * len(_HEADS)
    groups = (f"  {f' {name}, ms ':─^{across - 2}}" for name in ("last interval", "whole run"))
    above = Text.assemble(_label("latency"), ("   ".join(groups), "dim"))
    heads = "".join(f"{head:>{column}}" for head in _HEADS)
    yield _Line(_USEFUL, above)
    yield _Line(_USEFUL, Text(f" {'':{_LABEL}}{heads}   {heads}", style="dim"))
    for name in LATENCIES:
        total = now.total.get(name, Latency())
        if total.count:
            recent = now.recent.get(name, Latency())
            cells = f"{_cells(recent, column)}   {_cells(total, column)}"
            label = f" {wording.words(name):{_LABEL}}"
            importance = _VITAL if name == "notify" else _DETAIL
            yield _Line(importance, Text.assemble(label, cells))


def _cells(latency: Latency, column: int) -> str:
    values = (latency.p50, latency.p90, latency.p99, latency.p999, latency.max)
    cells = (cell(value) if latency.count else "-" for value in values)
    return "".join(f"{one:>{column}}" for one in cells)


def _curve(history: History, rows: int) -> Iterator[_Line]:
    """Draw the p99 of ``notify``: beside one row stands its peak, beside more the scale's ends."""
    values = history.notify_p99()
    known = [value for value in values if value is not None]
    if not known:
        return
    low, high = blocks.scale(values) if rows > 1 else (0.0, max(known))
    for row, line in enumerate(blocks.curve(values, rows)):
        label = _label("notify p99") if row == 0 else _label("")
        end = {0: wording.duration(high), rows - 1: wording.duration(low)}.get(row, "")
        if rows == 1:
            end = wording.duration(high)
        text = Text.assemble(label, (f"{line:>{SHOWN}}", "cyan"), (f" {end}", "dim"))
        yield _Line(_DETAIL, text)


def _account(history: History, width: int) -> Iterator[_Line]:
    now = history.now
    yield from _facts("changes", _changes(now.counts), width, _VITAL)
    yield from _facts("heartbeats", _heartbeats(now), width, _DETAIL)
    yield from _facts("errors", _errors(now.errors), width, _USEFUL)
    yield from _facts("generator", _generator(now), width, _USEFUL)
    yield from _facts("gateway", _gateway(history), width, _USEFUL)


def _changes(counts: Mapping[str, int]) -> Iterator[_Fact]:
    for name in ("published", "expected", "received"):
        yield _Fact(name, f"{counts.get(name, 0):,}")
    still_open = max(counts.get("expected", 0) - counts.get("received", 0), 0)
    yield _Fact("open", f"{still_open:,}")
    for name, style in _BAD.items():
        count = counts.get(name, 0)
        yield _Fact(name, f"{count:,}", style if count else "")


def _heartbeats(now: Moment) -> Iterator[_Fact]:
    for name in ("early", "late"):
        most = now.total.get(f"heartbeat_{name}", Latency()).max
        yield _Fact(f"{name} at most", wording.duration(most))
    cut = now.counts.get("cut_short", 0)
    yield _Fact("cut short", f"{cut:,}", "yellow" if cut else "")


def _errors(errors: Mapping[str, int]) -> Iterator[_Fact]:
    ranked = wording.ranked(errors)
    if not ranked:
        yield _Fact("none", "")
    for kind, count in ranked[:_ERRORS]:
        yield _Fact(kind, f"{count:,}", "red")
    if len(ranked) > _ERRORS:
        yield _Fact("others", f"{sum(count for _, count in ranked[_ERRORS:]):,}", "red")


def _generator(now: Moment) -> Iterator[_Fact]:
    yield _Fact("lag p99", wording.duration(now.total.get("lag", Latency()).p99))
    yield _Fact("CPU", wording.share(now.cpu), "yellow" if now.cpu >= BUSY else "")
    yield _Fact("processes", f"{now.processes}")
    if now.generator_bytes:
        yield _Fact("memory", wording.size(now.generator_bytes))


def _gateway(history: History) -> Iterator[_Fact]:
    gateway, cores = history.now.gateway, history.gateway_cores()
    each = history.bytes_per_phone()
    yield _Fact("memory", wording.size(gateway.memory_bytes))
    yield _Fact("CPU", "n/a" if cores is None else f"{wording.number(cores)} cores")
    yield _Fact("held", "n/a" if gateway.held is None else f"{gateway.held:,}")
    yield _Fact("per phone", wording.size(each))


def _marks(history: History) -> Iterator[_Line]:
    """List the marks: of one only the newest matters much."""
    for mark in history.marks:
        importance = _USEFUL if mark is history.marks[-1] else _DETAIL
        at = (f" {clock(mark.at):{_LABEL}}", "magenta")
        yield _Line(importance, Text.assemble(at, mark.text))


def _facts(label: str, facts: Iterable[_Fact], width: int, importance: int) -> Iterator[_Line]:
    """Lay facts out one after the other, on as many lines as they need."""
    line = Text.assemble(_label(label))
    gap = ""
    for fact in facts:
        if line.cell_len + len(f"{gap}{fact.name} {fact.value}") > width:
            yield _Line(importance, line)
            line, gap = Text.assemble(_label("")), ""
        line.append(f"{gap}{fact.name}", fact.name_style)
        line.append(f" {fact.value}", fact.style)
        gap = "   "
    yield _Line(importance, line)


def _label(label: str) -> tuple[str, str]:
    return f" {label:{_LABEL}}", "bold"


def _air() -> _Line:
    return _Line(_AIR, Text(""))
