"""The account of a run: which change reached which phone, how late, and which never did.

A change is covered, for each phone of its mailbox, by the first answer of that phone that names
its folder and arrives at or after the *intended* time of the change: what the generator was late
counts as latency. Seconds of one clock throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INBOX: Final = "5"
"""Server id of the folder that mail backends call INBOX."""
EARLY: Final = 2.0
"""Seconds before its interval within which a heartbeat may be answered."""
_MICROSECONDS: Final = 1_000_000
_PERCENTILES: Final = (50.0, 99.0, 99.9, 100.0)
_LONGEST_US: Final = 3600 * _MICROSECONDS


@dataclass(frozen=True, slots=True)
class Change:
    """One published change."""

    number: int
    """Counts from 1 within a run."""
    mailbox: str
    folder: str
    """As published: a server id or INBOX."""
    at: float
    """Intended time."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the intended publish time to the answer."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Histogram:
    """Durations from 1 microsecond to 1 hour with three digits."""

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, _LONGEST_US, 3)

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return int(self._counts.get_total_count())

    def record(self, interval: float) -> None:
        """Add one duration in seconds; what lies outside the range counts as its nearest end."""
        self._counts.record_value(min(max(round(interval * _MICROSECONDS), 1), _LONGEST_US))

    def percentile_ms(self, percentile: float) -> float:
        """Milliseconds at a percentile of 0 to 100; 0.0 while nothing was recorded."""
        return float(self._counts.get_value_at_percentile(percentile)) / 1000.0

    def latency(self) -> Latency:
        """Summarise; all zero while nothing was recorded."""
        if not self.count:
            return Latency(0.0, 0.0, 0.0, 0.0)
        values = self._counts.get_percentile_to_value_dict(_PERCENTILES)  # one pass for all
        return Latency(*(values[percentile] / 1000.0 for percentile in _PERCENTILES))


@dataclass(slots=True)
class _Open:
    """A change that some phones of its mailbox have not reported yet."""

    change: Change
    missing: set[str]


@dataclass(slots=True)
class Heartbeats:
    """Pings that were answered because their interval was over."""

    reached: int = 0
    cut_short: int = 0
    """Answered more than ``EARLY`` seconds before the interval was over."""
    max_late: float = 0.0
    """Seconds after the interval, the worst one."""
    max_early: float = 0.0
    """Seconds before the interval, the worst one that counts as reached."""

    def add(self, asked: float, waited: float) -> None:
        """Add one answer of status 1.

        Args:
            asked: Seconds of the heartbeat.
            waited: Seconds from sending the Ping to receiving the answer.
        """
        early = asked - waited
        if early > EARLY:
            self.cut_short += 1
            return
        self.reached += 1
        self.max_late = max(self.max_late, -early)
        self.max_early = max(self.max_early, early)


@dataclass(slots=True)
class Account:
    """Changes against answers. Plain numbers in, plain numbers out."""

    devices: Mapping[str, Sequence[str]]
    """Phones of each mailbox, by device id; one that is not named has none."""
    published: int = 0
    answered: int = 0
    """Pairs of change and phone that were covered."""
    spurious: int = 0
    """Folders named without an uncovered change."""
    duplicates: int = 0
    """Spurious ones whose last change that phone had reported before."""
    latency: Histogram = field(default_factory=Histogram)
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    _open: dict[str, list[_Open]] = field(default_factory=dict)
    _reported: set[tuple[str, str]] = field(default_factory=set)

    def publish(self, mailbox: str, folder: str, at: float) -> Change:
        """Enter a change before it is published, with its intended time."""
        self.published += 1
        change = Change(self.published, mailbox, folder, at)
        missing = set(self.devices.get(mailbox, ()))
        if missing:
            self._open.setdefault(mailbox, []).append(_Open(change, missing))
        return change

    def withdraw(self, change: Change) -> None:
        """Forget a change whose publishing failed; nobody can be expected to report it."""
        self.published -= 1
        self._keep(change.mailbox, [one for one in self._of(change) if one.change != change])

    def answer(self, mailbox: str, device: str, folders: Sequence[str], at: float) -> None:
        """Enter an answer of status 2 and the folders it names."""
        for folder in folders:
            self._name(mailbox, device, canonical(folder), at)

    def uncovered(self) -> list[Change]:
        """List the changes that at least one phone has not reported, oldest first."""
        changes = [one.change for ones in self._open.values() for one in ones]
        return sorted(changes, key=lambda change: change.number)

    @property
    def open(self) -> int:
        """Pairs of change and phone that are not covered yet; after the end, the lost ones."""
        return sum(len(one.missing) for ones in self._open.values() for one in ones)

    def _name(self, mailbox: str, device: str, folder: str, at: float) -> None:
        covered = [
            one
            for one in self._open.get(mailbox, ())
            if canonical(one.change.folder) == folder
            and device in one.missing
            and one.change.at <= at
        ]
        for one in covered:
            one.missing.discard(device)
            self.answered += 1
            self.latency.record(at - one.change.at)
        if covered:
            self._reported.add((device, folder))
            self._keep(mailbox, [one for one in self._open[mailbox] if one.missing])
        else:
            self.spurious += 1
            self.duplicates += (device, folder) in self._reported

    def _of(self, change: Change) -> list[_Open]:
        return self._open.get(change.mailbox, [])

    def _keep(self, mailbox: str, ones: list[_Open]) -> None:
        if ones:
            self._open[mailbox] = ones
        else:
            self._open.pop(mailbox, None)


def canonical(folder: str) -> str:
    """Return the server id that answers use for a folder as published."""
    return INBOX if folder.upper() == "INBOX" else folder
