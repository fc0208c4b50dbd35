"""The figures of a bench, and what is asked of the gateway's.

Rules:
    1. A row may ask for several things, and each gets a verdict of its own: a limit, a least
       figure, a ratio to a rival measured in the same run.
    2. What was not measured is not judged; nor is a ratio to a figure of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtest.wording import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadtest.figures import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure, and what is asked of the gateway's."""

    key: str
    """By which it is found among the figures measured."""
    title: str
    """What it is called in the table."""
    unit: str = ""
    """As it is written behind a number: ``KB``, ``us``, ``ms``, ``s``, ``%``."""
    limit: float | None = None
    """The gateway's figure must be at most this."""
    at_least: float | None = None
    """The gateway's figure must be at least this."""
    ratios: Mapping[str, float] = field(default_factory=dict)
    """By the name of a rival: the gateway's figure must be at most this part of the rival's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server had used when so many phones had come; nothing before the first of them."""

    held: int
    memory_bytes: int
    """User memory (PSS) of its processes."""
    cpu: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured at one contender."""

    name: str
    """``gateway``, or a rival's name."""
    figures: Mapping[str, float]
    """By the keys of the rows; one that was not taken is absent."""
    samples: Sequence[Sample] = ()
    """Taken while phones came, in this order; for the plot."""
    latency: Histogram | None = None
    """From a change to its answer, at the rate of the bench; for the plot."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is asked of the gateway, and whether it was reached."""

    row: Row
    found: float
    """The gateway's figure, or its ratio to the rival's."""
    asked: str
    """In words: ``at most 2.5 KB``, ``at most 0.25 of nchan``."""
    is_reached: bool


def judge(rows: Sequence[Row], ours: Measured, others: Sequence[Measured]) -> list[Verdict]:
    """Hold the gateway's figures against what is asked of them.

    Args:
        rows: With what is asked.
        ours: The gateway's figures.
        others: The rivals'.

    Returns:
        In the order of the rows; of a row the least figure, the limit, then the ratios.
    """
    theirs = {one.name: one.figures for one in others}
    return [
        verdict
        for row in rows
        if row.key in ours.figures
        for verdict in _judge(row, ours.figures[row.key], theirs)
    ]


def figure(value: float, unit: str = "") -> str:
    """Write a figure with its unit, if it has one: ``2.5 KB``, ``15,000``."""
    # Counts are exact: 14,999 phones held are not 15,000.
    text = f"{value:,.0f}" if not unit and value == int(value) else number(value)
    return f"{text} {unit}".rstrip()


def _judge(row: Row, found: float, theirs: Mapping[str, Mapping[str, float]]) -> Iterator[Verdict]:
    if row.at_least is not None:
        asked = f"at least {figure(row.at_least, row.unit)}"
        yield Verdict(row, found, asked, found >= row.at_least)
    if row.limit is not None:
        yield Verdict(row, found, f"at most {figure(row.limit, row.unit)}", found <= row.limit)
    for name, ratio in row.ratios.items():
        rival = theirs.get(name, {}).get(row.key, 0.0)
        if rival > 0:
            part = found / rival
            yield Verdict(row, part, f"at most {number(ratio)} of {name}", part <= ratio)
