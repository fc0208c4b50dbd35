"""What a run proved, in one sentence and its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from loadtest.result import Result

Level = Literal["good", "bad", "invalid"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A headline, and what it rests on."""

    level: Level
    title: str
    reasons: tuple[str, ...]
    """Sentences; at least one."""


def verdict(result: Result) -> Verdict:
    """Judge a run; one that the generator spoilt proves nothing, whatever else was found."""
    failures = _failures(result)
    if not result.is_valid:
        title = "INVALID: the generator was the bottleneck"
        return Verdict("invalid", title, (*result.invalid, *failures))
    if failures:
        return Verdict("bad", _headline(result), failures)
    title = "Good: no change was missed"
    if not result.figures.counts["published"]:
        title = "Good: nothing failed"
    return Verdict("good", title, (_proof(result),))


def _headline(result: Result) -> str:
    counts = result.figures.counts
    if counts["missed"]:
        return f"Missed changes: {counts['missed']:,} never reached their phone"
    if result.is_good or counts["received"] or not counts["published"]:
        return f"Threshold failed: {_unmet(result)} of {len(result.judged)}"
    return "No change was answered"


def _failures(result: Result) -> tuple[str, ...]:
    counts = result.figures.counts
    found: list[str] = []
    if counts["missed"]:
        missed, expected = counts["missed"], counts["expected"]
        found.append(f"{missed:,} of {expected:,} expected pairs of change and phone were missed")
    if counts["published"] and not counts["received"]:
        found.append(f"none of {counts['published']:,} published changes was answered")
    found += [f"not met: {one.expression} ({one.found})" for one in result.judged if not one.is_met]
    return tuple(found)


def _proof(result: Result) -> str:
    counts = result.figures.counts
    text = f"all {counts['received']:,} expected pairs of change and phone were answered"
    if not counts["published"]:
        text = "no change was published, so none could be missed"
    if result.judged:
        text += f"; thresholds met: {len(result.judged)} of {len(result.judged)}"
    return text


def _unmet(result: Result) -> int:
    return sum(not one.is_met for one in result.judged)
