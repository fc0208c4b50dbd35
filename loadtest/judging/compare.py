"""Two runs side by side, with a verdict that knows noise.

Rules:
    1. Durations: the median second of one run against that of the other. The interval of their
       ratio comes from a bootstrap; a difference within it, or below 5 %, is none.
    2. A whole run that contradicts its median second (some long stalls) is unclear, not alike.
    3. Counts of what must not happen: any after none is worse; else they are taken for a Poisson
       process.
    4. A run in which the generator was the bottleneck gets no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from loadtest.judging import noise
from loadtest.judging.likeness import differences
from loadtest.judging.quantity import Quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from loadtest.judging.summary import Second, Summary

SMALL: Final = 0.05
"""Change of a figure below which it is the same: runs on one host differ as much."""
STALLED: Final = 2.0
"""Factor between two whole runs that their median seconds have to show as well."""
BLOCK: Final = 5.0
"""Seconds whose values are taken to hang together."""
FEW_PHONES: Final = 1000
"""Below it a megabyte of the interpreter's own is a kilobyte for each phone."""
_SHORTEST: Final = 1e-6
"""Seconds that a clock tick of CPU time stands for at least."""
_RUNNING: Final = ("running",)
_ARRIVING: Final = ("arriving", "running")
_LATENCIES: Final = (
    ("notify", "p50", _RUNNING),
    ("notify", "p90", _RUNNING),
    ("notify", "p99", _RUNNING),
    ("notify", "max", _RUNNING),
    ("ping", "p99", _RUNNING),
    ("connect", "p99", _ARRIVING),
    ("first_hold", "p99", _ARRIVING),
    ("reconnect", "p99", _RUNNING),
    ("heartbeat_late", "p99", _RUNNING),
)
"""Histogram, its figure, and the phases that it is measured in."""
_CPU: Final = "gateway CPU per answer"
_COUNTS: Final = {"missed": "expected", "duplicate": "answers", "spurious": "answers"}
"""Counts of what must not happen, and of how often it could have."""


class Verdict(StrEnum):
    """What became of a figure from run A to run B."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both runs."""

    figure: str
    quantity: Quantity
    a: float | None
    """Of the whole run, in the quantity's base unit; None where it was not measured."""
    b: float | None
    verdict: Verdict
    why: str
    """What the verdict rests on, in a few words."""

    @property
    def ratio(self) -> float | None:
        """b/a of the whole runs; None where that says nothing."""
        return self.b / self.a if self.a and self.b is not None else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs."""

    a: str
    """What run A is called."""
    b: str
    rows: tuple[Row, ...]
    """Figures that at least one of the runs measured, losses first."""
    notes: tuple[str, ...]
    """Facts that make the runs hard to compare; one line each."""
    verdict: str
    """One line."""


def compare(a: Summary, b: Summary, dice: Random) -> Comparison:
    """Compare two runs.

    Args:
        a: The run before.
        b: The run after.
        dice: For the bootstrap; equal dice give equal comparisons.
    """
    rows = (*_counts(a, b), *_latencies(a, b, dice), *_cpu(a, b, dice), *_memory(a, b))
    return Comparison(a.name, b.name, rows, differences(a, b), _verdict(a, b, rows))


def _latencies(a: Summary, b: Summary, dice: Random) -> Iterator[Row]:
    for name, figure, phases in _LATENCIES:
        whole = _whole(a, name, figure), _whole(b, name, figure)
        before, after = (_series(one.seconds(phases), name, figure) for one in (a, b))
        yield from _timed(f"{name}.{figure}", whole, (before, after), dice)


def _whole(run: Summary, name: str, figure: str) -> float | None:
    latency = run.histograms.get(name)
    return getattr(latency, figure) if latency and latency.count else None


def _series(seconds: Sequence[Second], name: str, figure: str) -> noise.Series:
    latest = [one.recent[name] for one in seconds if name in one.recent]
    values = [getattr(one, figure) for one in latest if one.count]
    positive = [(value, 1.0) for value in values if value > 0]
    return noise.Series(positive, noise.middle, _block(seconds))


def _cpu(a: Summary, b: Summary, dice: Random) -> Iterator[Row]:
    before, after = (_used(one.seconds(_RUNNING)) for one in (a, b))
    whole = [one.figure() if one.values else None for one in (before, after)]
    yield from _timed(_CPU, whole, (before, after), dice)


def _used(seconds: Sequence[Second]) -> noise.Series:
    """Return the gateway's CPU seconds and answers between moments that have both."""
    values: list[noise.Value] = []
    told = [(one.gateway.cpu_seconds, one.counts.get("answers", 0)) for one in seconds]
    known = [(cpu, answers) for cpu, answers in told if cpu is not None]
    before = known[0] if known else (0.0, 0)
    for now in known[1:]:
        cpu, answers = now[0] - before[0], now[1] - before[1]
        if cpu < 0:  # a worker that died took its time along
            before = now
        elif answers > 0:
            values.append((max(cpu, _SHORTEST), float(answers)))
            before = now
    return noise.Series(values, noise.total, _block(seconds))


def _block(seconds: Sequence[Second]) -> int:
    apart = [now.at - before.at for before, now in pairwise(seconds)]
    return max(1, round(BLOCK / max(median(apart), _SHORTEST))) if apart else 1


def _timed(
    figure: str,
    whole: Sequence[float | None],
    series: tuple[noise.Series, noise.Series],
    dice: Random,
) -> Iterator[Row]:
    """Yield the row of a figure that was measured in each second, none if it never was."""
    a, b = whole
    if a is None and b is None:
        return
    if a is None or b is None:
        verdict, why = Verdict.UNCLEAR, f"no data in {'A' if a is None else 'B'}"
    elif not all(one.is_enough for one in series):
        verdict, why = Verdict.UNCLEAR, "too few seconds with data"
    else:
        verdict, why = _judged(b / a, noise.compare(*series, dice))
    yield Row(figure, Quantity.DURATION, a, b, verdict, why)


def _judged(whole: float, found: noise.Interval) -> tuple[Verdict, str]:
    verdict = Verdict.SAME if found.holds_one else _direction(found.ratio)
    stalled = _direction(whole) if not 1 / STALLED < whole < STALLED else verdict
    if stalled is not verdict:
        return Verdict.UNCLEAR, f"{found} in the median second, but {noise.percent(whole)} in all"
    return verdict, str(found)


def _direction(ratio: float) -> Verdict:
    if abs(ratio - 1) < SMALL:
        return Verdict.SAME
    return Verdict.WORSE if ratio > 1 else Verdict.BETTER


def _memory(a: Summary, b: Summary) -> Iterator[Row]:
    before, after = a.bytes_per_phone, b.bytes_per_phone
    if before is None and after is None:
        return
    verdict = Verdict.UNCLEAR
    if before is None or after is None:
        why = f"no data in {'A' if before is None else 'B'}"
    elif min(before, after) <= 0:
        why = "too small to tell"
    elif min(a.devices, b.devices) < FEW_PHONES:
        why = f"fewer than {FEW_PHONES:,} phones"
    else:
        verdict, why = _direction(after / before), noise.percent(after / before)
    yield Row("bytes_per_phone", Quantity.SIZE, before, after, verdict, why)


def _counts(a: Summary, b: Summary) -> Iterator[Row]:
    for name, whole in _COUNTS.items():
        exposure = _ratio(a.counts.get(whole, 0), b.counts.get(whole, 0))
        yield _counted(name, a.counts.get(name, 0), b.counts.get(name, 0), exposure)
    before, after = (sum(one.errors.values()) for one in (a, b))
    yield _counted("errors", before, after, _ratio(a.duration, b.duration))


def _counted(name: str, a: int, b: int, exposure: float) -> Row:
    why = f"{a:,} to {b:,}"
    if a and noise.is_chance(a, b, exposure):
        verdict = Verdict.SAME
        why += ", within chance" if a != b else ""
    elif a:
        verdict = _direction(b / a / exposure)
    else:
        verdict = Verdict.WORSE if b else Verdict.SAME
    return Row(name, Quantity.COUNT, a, b, verdict, why)


def _ratio(a: float, b: float) -> float:
    return b / a if a and b else 1.0


def _verdict(a: Summary, b: Summary, rows: Sequence[Row]) -> str:
    spoilt = [name for name, run in (("A", a), ("B", b)) if run.invalid]
    if spoilt:
        return f"no verdict: in {' and '.join(spoilt)} the generator was the bottleneck"
    worse, better = (_said(rows, one) for one in (Verdict.WORSE, Verdict.BETTER))
    if worse and better:
        return f"B is worse in part: {worse}; better: {better}"
    if worse or better:
        return f"B is worse: {worse}" if worse else f"B is better: {better}"
    unclear = [row.figure for row in rows if row.verdict is Verdict.UNCLEAR]
    return "no difference shown" + (f"; unclear: {', '.join(unclear)}" if unclear else "")


def _said(rows: Iterable[Row], verdict: Verdict) -> str:
    return ", ".join(f"{row.figure} {row.why}" for row in rows if row.verdict is verdict)
