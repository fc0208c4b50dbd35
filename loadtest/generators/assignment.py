"""What one generator process has to do: its part of a profile, and where.

An assignment travels as JSON to a process on this host or on another one.
"""

import dataclasses
import random
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from loadtest.phones.connecting import tls_context
from loadtest.profiles.population import assign
from loadtest.profiles.profile import Group, Profile
from loadtest.scenario.commands import Habits, Watched
from loadtest.targets import Target, check_permitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DIALECTS: Final = {
    "aosp": ("Android/14-EAS-2.0", "Android"),
    "aosp-2012": ("Android/4.1.2-EAS-1.3", "Android"),
    "windows-mobile": ("MSFT-PPC/5.2.5080", "PocketPC"),
    "ios": ("Apple-iPhone15C2/2201.102", "iPhone"),
    "hanging-sync": ("Outlook/16.0 (16.0.17328; x64)", "WindowsOutlook15"),
}
"""User-Agent and DeviceType by scenario; others look like AOSP's."""
_STANDARD: Final = {
    "INBOX": Watched("5", "Email", "INBOX"),
    "Calendar": Watched("1", "Calendar", "Calendar"),
    "Contacts": Watched("2", "Contacts", "Contacts"),
    "Tasks": Watched("9", "Tasks", "Tasks"),
    "Notes": Watched("6", "Notes", "Notes"),
}
"""What a phone that comes back knows of a gateway without an EAS server behind it."""


class AssignmentError(ValueError):
    """What a process is told to do cannot be done on its host; one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The part of one process."""

    run: str
    """Begins the ids of all changes of a run."""
    profile: Profile
    part: int
    """Counts from 0."""
    parts: int
    """Processes of the run."""
    devices: int
    """Phones of this process."""
    targets: tuple[Target, ...]
    sources: tuple[str, ...] = ()
    """Addresses to come from; empty leaves it to the kernel."""
    allowed: tuple[str, ...] = ()
    """Hosts beside this one that phones may go to."""
    publisher: str = "redis"
    publisher_url: str = ""
    tls_ca: str | None = None
    insecure: bool = False
    """Accept any certificate."""

    @classmethod
    def from_json(cls, found: object) -> "Assignment":
        """Read what ``as_json`` wrote.

        Raises:
            AssignmentError: If it is none: the other end has another version.
        """
        try:
            return _ADAPTER.validate_python(found)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise AssignmentError(f"found no assignment: {where} {first['msg']}") from error

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        written: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return written

    def limited_to(self, allowed: "Sequence[str]") -> "Assignment":
        """Return it with the hosts that may be loaded.

        Raises:
            TargetError: If a target is none of them.
        """
        for target in self.targets:
            check_permitted(target.host, allowed)
        return dataclasses.replace(self, allowed=tuple(allowed))

    def tls_context(self) -> ssl.SSLContext | None:
        """Build what https targets need; None where there are none.

        Raises:
            AssignmentError: If the certificates to trust cannot be read.
        """
        is_tls = any(target.is_tls for target in self.targets)
        if not is_tls and urlsplit(self.publisher_url).scheme not in {"https", "imaps"}:
            return None  # it costs each process 20 ms and some memory
        try:
            return tls_context(authority=self.tls_ca, is_checked=not self.insecure)
        except ValueError as error:
            raise AssignmentError(str(error)) from error

    def dice(self, purpose: str) -> random.Random:
        """Return the dice for one purpose.

        Equal seeds give equal loads, and each process its own part of it. What is drawn while the
        clock runs has dice of its own: timing must not change what others draw.
        """
        return random.Random(f"{self.profile.seed}/{self.part}/{self.parts}/{purpose}")

    @property
    def before(self) -> int:
        """Phones that arrive before the clock of the profile starts."""
        return self.devices - sum(last - first for first, last, *_ in self.stages())

    def stages(self) -> "Iterator[tuple[int, int, float, float]]":
        """Yield first and last (not included) phone of each stage, its start and length."""
        last, duration = self.devices, self.profile.duration
        for stage in reversed(self.profile.arrival.stages):
            first = max(0, last - round(stage.share * self.devices))
            yield first, last, stage.at.seconds(duration), stage.over.seconds(duration)
            last = first

    def habits(self, rng: random.Random) -> list[Habits]:
        """Return the habits of each phone; equal ones are one object."""
        groups = self.profile.groups
        known: dict[Habits, Habits] = {}
        found = []
        for index in assign(groups, self.devices, rng):
            habits = _habits(groups[index], rng)
            found.append(known.setdefault(habits, habits))
        return found


def _habits(group: Group, rng: random.Random) -> Habits:
    user_agent, device_type = _DIALECTS.get(group.kind, _DIALECTS["aosp"])
    habits = Habits(
        kind=group.kind,
        heartbeat=rng.randint(*group.heartbeat),
        watches=group.watches,
        syncs=group.syncs,
        is_terse=rng.random() < group.terse,
        user_agent=user_agent,
        device_type=device_type,
    )
    if group.returning:
        known = tuple(_STANDARD[name] for name in group.watches if name in _STANDARD)
        return dataclasses.replace(habits, known=known)
    return habits


_ADAPTER: Final = TypeAdapter(Assignment)
