"""Count the requests of a log: who, how many, how many at the same time.

Rules:
    1. Concurrency is sampled at each full second: a Ping counts at second t if it was held then.
       So one Ping that ends and the next one of the same phone never count twice.
    2. Without durations, a Ping is taken to be held from the device's last request of its kind to
       its own end, if that is not longer than a Ping can be.
    3. A Sync that took ``LONG_SYNC`` seconds or more was waiting, not working.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.capacity.accesslog import Entry, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_PING: Final = 3600.0
"""Seconds; servers allow up to 3,540."""
LONG_SYNC: Final = 20.0
"""Seconds; SOGo holds a waiting Sync 30 s by default, and answers others in less than one."""
WINDOW: Final = 10
"""Seconds over which rates are taken for their peak."""
SHOWN: Final = 3
"""Unreadable lines that are kept."""
POINTS: Final = 240
"""Points of the curve over time."""
_HOUR: Final = 3600
_MICROSECONDS: Final = 1_000_000
_OK: Final = 200
_DAY_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Level:
    """How many were held at the same time."""

    peak: int = 0
    p95: int = 0
    """95 % of the time it was no more."""
    mean: float = 0.0
    curve: tuple[tuple[float, int], ...] = ()
    """Unix time and the most held around it; at most ``POINTS`` points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a log tells."""

    begin: float
    """Unix time of the first line; what was held before it counts in ``held`` all the same."""
    end: float
    commands: dict[str, int]
    """Requests by command, most first."""
    statuses: dict[int, int]
    """Requests by HTTP status."""
    users: int
    devices: int
    held: Level
    """Pings held."""
    waiting: Level
    """Waiting Syncs held."""
    has_durations: bool
    """Whether the log tells how long Pings took; else ``held`` is taken from gaps."""
    others_peak: float
    """Commands that are answered at once, a second, in the busiest ``WINDOW``."""
    busy_peak: float | None
    """Workers that those kept busy at the same time in the busiest ``WINDOW``; None without
    durations."""
    heartbeat: float | None
    """Median of the Pings that ended without a change, or of all where that is not told."""
    changed: int
    """Pings that a change ended, as far as that can be told."""
    peak_factor: float | None
    """Changes in the busiest hour, divided by the mean; None for less than a day."""
    unreadable: int
    shown: tuple[Unreadable, ...]
    """The first of them."""

    @property
    def span(self) -> float:
        """Seconds."""
        return self.end - self.begin

    @property
    def pings_per_second(self) -> float:
        """Mean."""
        return self.commands.get("Ping", 0) / self.span if self.span else 0.0


def count(entries: Iterable[Entry | Unreadable]) -> Traffic:
    """Count all of them; those of several logs may follow each other."""
    tally = Tally()
    for entry in entries:
        tally.add(entry)
    return tally.traffic()


class Tally:
    """Counts as entries come, and keeps none of them."""

    def __init__(self) -> None:
        self._begin, self._end = math.inf, -math.inf
        self._commands: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._users: set[str] = set()
        self._devices: set[tuple[str, str]] = set()
        self._told, self._guessed, self._waiting = _Steps(), _Steps(), _Steps()
        self._has_durations = False
        self._last_ping: dict[tuple[str, str], float] = {}
        self._intervals: Counter[tuple[str, int]] = Counter()
        self._others: Counter[int] = Counter()
        self._busy: Counter[int] = Counter()
        self._changed: Counter[int] = Counter()
        self._unreadable = 0
        self._shown: list[Unreadable] = []

    def add(self, entry: Entry | Unreadable) -> None:
        """Count one more."""
        if isinstance(entry, Unreadable):
            self._unreadable += 1
            if len(self._shown) < SHOWN:
                self._shown.append(entry)
            return
        self._begin, self._end = min(self._begin, entry.at), max(self._end, entry.at)
        self._commands[entry.command] += 1
        self._statuses[entry.status] += 1
        if entry.user:
            self._users.add(entry.user)
        if entry.device:
            self._devices.add((entry.user, entry.device))
        if entry.command == "Ping":
            self._ping(entry)
        else:
            self._other(entry)

    def traffic(self) -> Traffic:
        """Sum up."""
        begin, end = (self._begin, self._end) if self._commands else (0.0, 0.0)
        held = self._told if self._has_durations else self._guessed
        busy = max(self._busy.values()) / WINDOW / _MICROSECONDS if self._busy else None
        return Traffic(
            begin=begin,
            end=end,
            commands=dict(self._commands.most_common()),
            statuses=dict(sorted(self._statuses.items())),
            users=len(self._users),
            devices=len(self._devices),
            held=held.level(),
            waiting=self._waiting.level(),
            has_durations=self._has_durations,
            others_peak=max(self._others.values(), default=0) / WINDOW,
            busy_peak=busy,
            heartbeat=self._heartbeat(),
            changed=self._changed.total(),
            peak_factor=self._peak_factor(begin, end),
            unreadable=self._unreadable,
            shown=tuple(self._shown),
        )

    def _ping(self, entry: Entry) -> None:
        phone = (entry.user, entry.device)
        interval, last = entry.duration, self._last_ping.get(phone)
        self._last_ping[phone] = entry.at
        if interval is not None:
            self._has_durations = True
            self._told.add(entry.at - interval, entry.at)
        elif last is not None and entry.at - last <= LONGEST_PING and entry.status == _OK:
            interval = entry.at - last
            self._guessed.add(last, entry.at)
        if interval is not None and entry.status == _OK:
            self._intervals[entry.ended, round(interval)] += 1
        if entry.ended == "change":
            self._changed[int(entry.at) // _HOUR] += 1

    def _other(self, entry: Entry) -> None:
        duration = entry.duration
        if entry.command == "Sync" and duration is not None and duration >= LONG_SYNC:
            self._waiting.add(entry.at - duration, entry.at)
            return
        window = int(entry.at) // WINDOW
        self._others[window] += 1
        if duration is not None:
            self._busy[window] += round(duration * _MICROSECONDS)

    def _heartbeat(self) -> float | None:
        over: Counter[int] = Counter()
        every: Counter[int] = Counter()
        for (ended, seconds), times in self._intervals.items():
            every[seconds] += times
            if ended == "heartbeat":
                over[seconds] += times
        return float(_quantile(over or every, 0.5)) if every else None

    def _peak_factor(self, begin: float, end: float) -> float | None:
        hours = (end - begin) / _HOUR
        if hours < _DAY_HOURS or not self._changed:
            return None
        return max(1.0, max(self._changed.values()) / (self._changed.total() / hours))


class _Steps:
    """Begins and ends of what was held, by second."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()

    def add(self, begin: float, end: float) -> None:
        first, after = math.ceil(begin), math.ceil(end)
        if first < after:
            self._steps[first] += 1
            self._steps[after] -= 1

    def level(self) -> Level:
        """Sum up from the first begin to the last end."""
        if not self._steps:
            return Level()
        times = sorted(self._steps)
        width = max((times[-1] - times[0]) / POINTS, 1.0)
        seconds: Counter[int] = Counter()
        curve: dict[int, int] = {}
        held = 0
        for at, until in itertools.pairwise(times):
            held += self._steps[at]
            seconds[held] += until - at
            bins = (math.floor((one - times[0]) / width) for one in (at, until - 1))
            for one in range(next(bins), next(bins) + 1):
                curve[one] = max(curve.get(one, 0), held)
        return Level(
            peak=max(seconds),
            p95=_quantile(seconds, 0.95),
            mean=sum(level * time for level, time in seconds.items()) / seconds.total(),
            curve=tuple((times[0] + one * width, most) for one, most in sorted(curve.items())),
        )


def _quantile(weights: Counter[int], share: float) -> int:
    """Return the least number that this share of all does not exceed."""
    due, numbers = share * weights.total(), sorted(weights)
    passed = itertools.accumulate(weights[number] for number in numbers)
    return next(number for number, so_far in zip(numbers, passed, strict=True) if so_far >= due)
