"""The state of a run as a value, and how it looks: one line, a live table, the final table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from rich.table import Table

from loadtest import lag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtest.account import Change, Heartbeats, Latency
    from loadtest.profile import Profile

SHOWN_LOST: Final = 20
"""Lost changes that are listed one by one."""
INVALID: Final = "invalid: the generator was the bottleneck"
_KILO: Final = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """User memory of the gateway's process tree."""

    before_bytes: int | None = None
    """With the warm-up phones only; None where it cannot be read."""
    phones_before: int = 0
    now_bytes: int | None = None
    held: int = 0

    def at(self, now_bytes: int | None, held: int) -> Self:
        """Return it with a new reading."""
        return replace(self, now_bytes=now_bytes, held=held)

    @property
    def per_held(self) -> float | None:
        """Bytes for each held Ping that came after the first reading."""
        if self.before_bytes is None or self.now_bytes is None or self.held <= self.phones_before:
            return None
        return (self.now_bytes - self.before_bytes) / (self.held - self.phones_before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a run at one moment."""

    elapsed: float
    publishing: float
    """Seconds since the first change, 0.0 while none is published."""
    rate: float
    """Changes a second asked for."""
    states: Mapping[str, int]
    """Phones by state."""
    published: int
    answered: int
    open: int
    """Answers that are still expected; at the end, the lost ones."""
    lost: tuple[Change, ...]
    """Changes that are not covered."""
    spurious: int
    duplicates: int
    latency: Latency
    heartbeats: Heartbeats
    errors: Mapping[str, int]
    """Failures by kind."""
    lag_ms: float
    """How late the generator's loop is, 99th percentile."""
    memory: Memory

    @property
    def held(self) -> int:
        """Phones whose Ping is waiting."""
        return self.states.get("held", 0)

    @property
    def is_valid(self) -> bool:
        """Whether the generator kept up with its own plan."""
        return self.lag_ms <= lag.LIMIT * 1000

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and there were answers at all."""
        return not self.open and self.answered > 0


def line(now: Snapshot) -> str:
    """Return the state as one line of text."""
    latency = now.latency
    return (
        f"{now.elapsed:4.0f} s  held {now.held:,}  published {now.published:,}  "
        f"answered {now.answered:,}  p50 {latency.p50_ms:.1f} p99 {latency.p99_ms:.1f} "
        f"max {latency.max_ms:.1f} ms  heartbeats {now.heartbeats.reached:,}  "
        f"errors {sum(now.errors.values()):,}  per held {_size(now.memory.per_held)}"
    )


def live(profile: Profile, now: Snapshot) -> Table:
    """Return the state as a table for a terminal."""
    table = _table(_title(profile, now))
    speed = f"{now.published / now.publishing:.1f}/s" if now.publishing else "-"
    table.add_row("phones", _counts(now.states))
    table.add_row("published", f"{now.published:,} at {speed} (target {now.rate:g}/s)")
    table.add_row("answered", f"{now.answered:,}, {now.open:,} open")
    for name, value in (*_latency(now), *_common(now)):
        table.add_row(name, value)
    table.add_row("gateway memory", _size(now.memory.now_bytes))
    return table


def final(profile: Profile, end: Snapshot) -> Table:
    """Return the summary of a run as a table."""
    table = _table(f"{_title(profile, end)}, seed {profile.seed}")
    table.add_row("held", f"{end.held:,} of {profile.devices:,}")
    table.add_row("published", f"{end.published:,}")
    table.add_row("answered", f"{end.answered:,}")
    table.add_row("lost", f"{end.open:,}")
    table.add_row("spurious", f"{end.spurious:,} ({end.duplicates:,} of them repeats)")
    for name, value in (*_latency(end), *_common(end)):
        table.add_row(name, value)
    return table


def verdict(end: Snapshot) -> Iterator[str]:
    """Yield the closing lines: lost changes one by one, then the words of the verdict."""
    for change in end.lost[:SHOWN_LOST]:
        yield f"lost: change {change.number}, {change.mailbox}, folder {change.folder}"
    if len(end.lost) > SHOWN_LOST:
        yield f"lost: and {len(end.lost) - SHOWN_LOST:,} more"
    if not end.answered:
        yield "no change was answered"
    if not end.is_valid:
        yield INVALID
    yield f"lost {end.open}"


def _latency(now: Snapshot) -> Iterator[tuple[str, str]]:
    latency = now.latency
    for name, value in (("p50", latency.p50_ms), ("p99", latency.p99_ms), ("max", latency.max_ms)):
        yield f"latency {name}", f"{value:.2f} ms from the intended time"


def _common(now: Snapshot) -> Iterator[tuple[str, str]]:
    beats = now.heartbeats
    late, early = beats.max_late * 1000, beats.max_early * 1000
    about = f"max late {late:.0f} ms, max early {early:.0f} ms, cut short {beats.cut_short:,}"
    yield "heartbeats reached", f"{beats.reached:,} ({about})"
    yield "errors", _counts(now.errors)
    yield "generator lag p99", f"{now.lag_ms:.2f} ms" + ("" if now.is_valid else f" ({INVALID})")
    yield "user memory per held Ping", _size(now.memory.per_held)


def _title(profile: Profile, now: Snapshot) -> str:
    return f"{profile.name}: {profile.devices:,} phones, {now.elapsed:.0f} s"


def _table(title: str) -> Table:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items())) or "none"


def _size(size_bytes: float | None) -> str:
    if size_bytes is None:
        return "n/a"
    if size_bytes < _KILO * _KILO:
        return f"{size_bytes / _KILO:.2f} KB"
    return f"{size_bytes / _KILO / _KILO:.1f} MB"
