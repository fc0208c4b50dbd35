"""What a run puts on a server, as values: phones and their arrival, changes, faults.

Rules:
    1. The clock of a profile starts when the phones of before are there. It counts ``duration``
       seconds of changes; stages, faults and the curve of the rate go by it.
    2. A value that exists is a valid one: it checks itself, and its error names all its mistakes.
    3. A key in an error is that of a profile's file. Equal profiles give equal loads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from loadtest.profiles.checks import ProfileError, above_0, among, at_least, check, fraction
from loadtest.profiles.units import Span
from loadtest.profiles.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "KINDS",
    "MAX_GROUPS",
    "MAX_HEARTBEAT",
    "Arrival",
    "Changes",
    "Fault",
    "FaultKind",
    "Group",
    "How",
    "Pattern",
    "Profile",
    "ProfileError",
    "Stage",
    "Users",
]

Pattern = Literal["even", "poisson", "bursts"]
"""How changes follow each other: ``even`` one at a random time of each slot, ``poisson`` each
independent of all others, ``bursts`` several mailboxes at the same instant."""
FaultKind = Literal["cut", "nat", "restart"]
"""``cut``: phones lose their connections at once. ``nat``: from then on idle connections are
dropped silently. ``restart``: the servers are restarted one after the other."""
How = Literal["reset", "close", "silent"]
"""How a cut connection ends: with RST, with FIN, or without a word to the server."""

KINDS: Final = (
    "fixed",
    "aosp",
    "aosp-2012",
    "windows-mobile",
    "ios",
    "hanging-sync",
    "ping-loop",
    "two-pings",
    "never-syncs",
    "half-request",
)
"""Names of the scenarios that phones can follow."""
MAX_GROUPS: Final = 256
"""Groups of phones: the number of a phone's group is one byte."""
MAX_HEARTBEAT: Final = 86_400
"""Seconds; more than any server grants, so that refusals can be tried."""

_TINY: Final = 1e-9
"""What sums of shares may be off by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Phones that behave alike."""

    kind: str
    """Their scenario, one of ``KINDS``."""
    share: float = 1.0
    """Weight: the group gets this part of the sum of all groups' weights."""
    heartbeat: tuple[int, int] = (480, 480)
    """Seconds of the first Ping, lowest and highest; each phone draws its own."""
    watches: tuple[str, ...] = ("INBOX", "Calendar")
    """Folders to watch, by the names under which changes are published."""
    syncs: bool = False
    """Sync before the first Ping and after each change; else only Ping."""
    terse: float = 0.0
    """Part of the group that sends Pings without a body once the server knows their folders."""
    returning: bool = False
    """They know their folders from before, and begin with their Ping."""

    def __post_init__(self) -> None:
        low, high = self.heartbeat
        check(
            among("phones.kind", self.kind, KINDS),
            above_0("phones.share", self.share),
            None
            if 1 <= low <= high <= MAX_HEARTBEAT
            else f"phones.heartbeat: found {low} to {high} s, allowed 1 to {MAX_HEARTBEAT} s, "
            "the lower one first",
            None
            if self.watches and all(self.watches) and len(set(self.watches)) == len(self.watches)
            else f"phones.watches: found {list(self.watches)}, allowed one or more, each once",
            fraction("phones.terse", self.terse),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Phones that arrive while the clock runs."""

    at: Span
    """When the first of them arrives."""
    share: float
    """Part of all devices."""
    over: Span = field(default_factory=Span)
    """They arrive evenly spread over this time."""

    def __post_init__(self) -> None:
        check(above_0("arrival.stages.share", self.share, most=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When phones begin."""

    rate: float = 400.0
    """Phones a second before the clock starts: each asks for its folders first, which costs far
    more than a Ping."""
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        total = 1.0 - self.before
        check(
            above_0("arrival.rate", self.rate),
            None
            if total <= 1 + _TINY
            else f"arrival.stages: found shares of {total:g} in sum, allowed at most 1",
        )

    @property
    def before(self) -> float:
        """Part of all devices that arrives before the clock starts."""
        return 1.0 - sum(stage.share for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happens to the mailboxes."""

    rate: float = 0.0
    """Changes a second; 0 makes none."""
    pattern: Pattern = "even"
    burst: int = 1
    """Mailboxes that change at the same instant, in the pattern ``bursts``."""
    folders: tuple[tuple[str, float], ...] = (("INBOX", 0.7), ("Calendar", 0.3))
    """Folders that change, with weights."""
    hot_mailboxes: float = 0.0
    """This part of the mailboxes ..."""
    hot_changes: float = 0.0
    """... gets this part of the changes."""
    curve: tuple[tuple[float, float], ...] = ()
    """Part of the duration and factor of the rate there, linear between; empty is 1 always."""

    def __post_init__(self) -> None:
        check(
            at_least("changes.rate", self.rate, 0),
            among("changes.pattern", self.pattern, get_args(Pattern)),
            at_least("changes.burst", self.burst, 1),
            f"changes.burst: found {self.burst} with the pattern {self.pattern}, allowed only with "
            "bursts"
            if self.burst > 1 and self.pattern in {"even", "poisson"}
            else None,
            None if self.folders else "changes.folders: found none, allowed one or more",
            *(above_0(f"changes.folders.{name}", weight) for name, weight in self.folders),
            fraction("changes.hot_mailboxes", self.hot_mailboxes),
            fraction("changes.hot_changes", self.hot_changes),
            "changes.hot_changes: hot_mailboxes and hot_changes are allowed only together"
            if (self.hot_mailboxes > 0) != (self.hot_changes > 0)
            else None,
            self._wrong_curve(),
        )

    def _wrong_curve(self) -> str | None:
        parts = [part for part, _ in self.curve]
        factors = [factor for _, factor in self.curve]
        is_good = (
            all(0 <= part <= 1 for part in parts)
            and all(one < other for one, other in pairwise(parts))
            and all(0 <= factor < inf for factor in factors)
            and (not factors or max(factors) > 0)
        )
        if is_good:
            return None
        return (
            "changes.curve: found "
            + ", ".join(f"{factor:g} at {part:g}" for part, factor in self.curve)
            + "; allowed parts of the duration from 0 to 1, ascending, with factors of 0 or more, "
            "not all of them 0"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is done to the phones or the servers."""

    at: Span
    kind: FaultKind
    share: float = 1.0
    """Part of the phones that is hit; a restart hits the servers."""
    how: How = "reset"
    """Of a cut."""
    idle: float = 0.0
    """Seconds after which the NAT drops a connection that nothing was sent on."""
    until: Span | None = None
    """When the NAT drops no more; None is never."""

    def __post_init__(self) -> None:
        is_other = self.kind in {"cut", "restart"}
        check(
            among("faults.kind", self.kind, get_args(FaultKind)),
            above_0("faults.share", self.share, most=1.0),
            among("faults.how", self.how, get_args(How)),
            above_0("faults.idle", self.idle) if self.kind == "nat" else None,
            f"faults.idle: found {self.idle:g} s with {self.kind}, allowed only with nat"
            if is_other and self.idle
            else None,
            f"faults.until: found with {self.kind}, allowed only with nat"
            if is_other and self.until is not None
            else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A load in numbers.

    Raises:
        ProfileError: If numbers are out of their range or do not fit each other.
    """

    name: str
    description: str = ""
    """What it shows, in one sentence."""
    devices: int
    duration: float
    """Seconds of changes."""
    seed: int = 1
    users: Users = field(default_factory=Users)
    arrival: Arrival = field(default_factory=Arrival)
    groups: tuple[Group, ...]
    """The tables ``[[phones]]``."""
    changes: Changes = field(default_factory=Changes)
    faults: tuple[Fault, ...] = ()
    settle: float = 2.0
    """Seconds after a phone's first Ping was sent from which on changes have to reach it."""
    slo: float = 1.0
    """Seconds from the intended time above which a received change is late."""
    grace: float = 10.0
    """Seconds after the last change in which answers count."""
    asserts: tuple[str, ...] = ()
    """Thresholds that the run has to keep."""

    def __post_init__(self) -> None:
        check(
            None if self.name else "name: found nothing, allowed a text",
            at_least("devices", self.devices, 1),
            above_0("duration", self.duration),
            None
            if 1 <= len(self.groups) <= MAX_GROUPS
            else f"phones: found {len(self.groups)} groups, allowed 1 to {MAX_GROUPS}",
            at_least("settle", self.settle, 0),
            above_0("slo", self.slo),
            at_least("grace", self.grace, 0),
            *(self._wrong_times() if self.duration > 0 else ()),
            self._wrong_burst(),
        )

    @property
    def planned(self) -> float:
        """Seconds that a run should take: until all phones have arrived, and the duration."""
        return self.devices * self.arrival.before / self.arrival.rate + self.duration

    def resized(
        self,
        *,
        devices: int | None = None,
        duration: float | None = None,
        rate: float | None = None,
        seed: int | None = None,
    ) -> Profile:
        """Return it with other numbers; None keeps one.

        Args:
            devices: Phones.
            duration: Seconds; times given as a percentage scale with it.
            rate: Changes a second.
            seed: Equal seeds give equal loads.

        Raises:
            ProfileError: If the numbers do not fit the rest.
        """
        return replace(
            self,
            devices=self.devices if devices is None else devices,
            duration=self.duration if duration is None else duration,
            changes=self.changes if rate is None else replace(self.changes, rate=rate),
            seed=self.seed if seed is None else seed,
        )

    def as_json(self, *, with_password: bool = False) -> dict[str, object]:
        """Return it as JSON values, in the shape of a profile's file.

        Args:
            with_password: Reports are passed on, so they have it without the users' password.
        """
        document: dict[str, Any] = _plain(self)
        document["phones"] = document.pop("groups")
        if not with_password:
            del document["users"]["password"]
        return document

    def _wrong_times(self) -> Iterator[str]:
        for number, stage in enumerate(self.arrival.stages, 1):
            end = stage.at.seconds(self.duration) + stage.over.seconds(self.duration)
            if end > self.duration * (1 + _TINY):
                yield (
                    f"arrival.stages[{number}].over: found a stage that ends at {end:g} s, "
                    f"allowed is the duration of {self.duration:g} s"
                )
        for number, fault in enumerate(self.faults, 1):
            at = fault.at.seconds(self.duration)
            if at >= self.duration:
                yield (
                    f"faults[{number}].at: found {at:g} s, "
                    f"allowed is less than the duration of {self.duration:g} s"
                )
            if fault.until is not None and fault.until.seconds(self.duration) <= at:
                yield (
                    f"faults[{number}].until: found {fault.until.seconds(self.duration):g} s, "
                    f"allowed is more than its beginning at {at:g} s"
                )

    def _wrong_burst(self) -> str | None:
        changes = self.changes.rate * self.duration
        if self.changes.pattern != "bursts" or not 0 < changes < self.changes.burst:
            return None
        return (
            f"changes.burst: found {self.changes.burst} mailboxes, allowed are the {changes:g} "
            "changes of the whole run"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Span):
        return value.as_json()
    if is_dataclass(value):
        named = ((one.name, getattr(value, one.name)) for one in fields(value))
        return {name: _plain(found) for name, found in named if found is not None}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
