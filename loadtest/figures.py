"""The figures of a run: counts, gauges and HDR histograms that add up over processes.

A generator process sends what it saw since its last message (``take``); the controller adds all
of them up. Names of the figures are those that thresholds and reports use.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

_MICROSECONDS: Final = 1_000_000
LONGEST_US: Final = 3600 * _MICROSECONDS
_DIGITS: Final = 3
_EXACT_BITS: Final = 11
"""Of a value that HdrHistogram tells apart with three digits."""
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 100.0)

HISTOGRAMS: Final = {
    "notify": "change to the answer that names its folder, from the intended time",
    "delivered": "change to the item on the phone, from the intended time",
    "ping": "round trip of a Ping that had a change waiting for it",
    "command": "round trip of FolderSync, Provision, Sync and OPTIONS",
    "connect": "TCP connection",
    "tls": "TLS handshake",
    "first_hold": "a phone's intended arrival to its first Ping on the wire",
    "reconnect": "a broken connection to the next Ping on the wire",
    "heartbeat_early": "Pings answered before their interval was over, by how much",
    "heartbeat_late": "Pings answered after their interval was over, by how much",
    "lag": "how late a generator's own event loop is",
    "publish": "how late the generator began to publish a change",
}
"""Durations, and what they are."""

COUNTS: Final = {
    "published": "changes published",
    "expected": "pairs of change and phone that has to hear of it",
    "received": "pairs that were answered",
    "late": "received, but later than the profile's slo",
    "missed": "pairs that were not answered",
    "duplicate": "folders named whose last change that phone had reported before",
    "spurious": "folders named that had not changed",
    "unsure": "pairs not expected: the change came with a phone's first Ping, or with an answer",
    "withdrawn": "changes whose publishing failed",
    "answers": "answers of any kind",
    "pings": "Pings answered",
    "cut_short": "Pings answered with status 1 more than 2 s before their interval was over",
    "connects": "connections opened",
    "no_sync": "Syncs to a server that has none (HTTP 501); such a phone goes on with Pings",
}
"""Counts, and what they count."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A summary of durations, in seconds; all zero while there are none."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0
    mean: float = 0.0


class Histogram:
    """Durations from 1 microsecond to 1 hour with three digits.

    The buckets are those of HdrHistogram with 3 digits, but only those that something fell into
    exist: a process that reports each second has few, and a million of its phones none.
    """

    __slots__ = ("_sum", "buckets")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        """Number of durations by the highest of the microseconds that count as equal."""
        self._sum = 0

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return sum(self.buckets.values())

    @property
    def counts(self) -> HdrHistogram:
        """The same as an HdrHistogram, in microseconds."""
        found = HdrHistogram(1, LONGEST_US, _DIGITS)
        for value, times in self.buckets.items():
            found.record_value(value, times)
        return found

    def record(self, interval: float, times: int = 1) -> None:
        """Add a duration in seconds; what lies outside the range counts as its nearest end."""
        value = min(max(int(interval * _MICROSECONDS + 0.5), 1), LONGEST_US)
        self._sum += value * times
        equal = (1 << max(0, value.bit_length() - _EXACT_BITS)) - 1
        self.buckets[value | equal] = self.buckets.get(value | equal, 0) + times

    def percentile(self, percentile: float) -> float:
        """Seconds at a percentile above 0, at most 100; 0.0 while nothing was recorded."""
        return self._values((percentile,))[0]

    def latency(self) -> Latency:
        """Summarise."""
        count = self.count
        if not count:
            return Latency()
        p50, p90, p99, p999, most = self._values(PERCENTILES)
        return Latency(count, p50, p90, p99, p999, most, self._sum / count / _MICROSECONDS)

    def add(self, other: Self) -> None:
        """Add another one's durations."""
        self._sum += other._sum
        for value, times in other.buckets.items():
            self.buckets[value] = self.buckets.get(value, 0) + times

    def encode(self) -> list[list[int]]:
        """Return it as JSON values."""
        return [[self._sum], list(self.buckets), list(self.buckets.values())]

    @classmethod
    def decode(cls, found: list[list[int]]) -> Self:
        """Read what ``encode`` returned."""
        histogram = cls()
        (histogram._sum,), values, times = found
        histogram.buckets = dict(zip(values, times, strict=True))
        return histogram

    def _values(self, percentiles: tuple[float, ...]) -> list[float]:
        """Return seconds at some percentiles, which rise."""
        found: list[float] = []
        total, reached = self.count, 0
        # Rounded as HdrHistogram does, so that a percentile is the same number everywhere.
        wanted = [max(1, int(percentile * total / 100 + 0.5)) for percentile in percentiles]
        for value in sorted(self.buckets):
            reached += self.buckets[value]
            while len(found) < len(wanted) and reached >= wanted[len(found)]:
                found.append(min(value, LONGEST_US) / _MICROSECONDS)
        return found + [0.0] * (len(wanted) - len(found))


class Figures:
    """Counts, errors and histograms of one process, of one interval or of a whole run."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """By the names of ``COUNTS``."""
        self.errors: Counter[str] = Counter()
        """Failures by kind."""
        self.histograms: dict[str, Histogram] = {}
        """By the names of ``HISTOGRAMS``; one that nothing was recorded in may be missing."""

    def record(self, name: str, interval: float) -> None:
        """Add one duration in seconds to a histogram."""
        found = self.histograms.get(name)
        if found is None:
            found = self.histograms[name] = Histogram()
        found.record(interval)

    def histogram(self, name: str) -> Histogram:
        """Return the histogram of that name, an empty one if nothing was recorded."""
        return self.histograms.get(name) or Histogram()

    def latency(self, name: str) -> Latency:
        """Summarise a histogram."""
        found = self.histograms.get(name)
        return found.latency() if found else Latency()

    def add(self, other: Figures) -> None:
        """Add another process' or interval's figures."""
        self.counts.update(other.counts)
        self.errors.update(other.errors)
        for name, histogram in other.histograms.items():
            self.histograms.setdefault(name, Histogram()).add(histogram)

    def take(self) -> dict[str, Any]:
        """Return everything as JSON values, and begin anew."""
        message = {
            "counts": dict(self.counts),
            "errors": dict(self.errors),
            "histograms": {name: one.encode() for name, one in self.histograms.items()},
        }
        self.counts.clear()
        self.errors.clear()
        self.histograms.clear()
        return message

    @classmethod
    def read(cls, message: dict[str, Any]) -> Self:
        """Read what ``take`` returned."""
        figures = cls()
        figures.counts.update(message["counts"])
        figures.errors.update(message["errors"])
        figures.histograms = {
            name: Histogram.decode(text) for name, text in message["histograms"].items()
        }
        return figures
