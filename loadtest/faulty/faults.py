"""Which faults a server has, and what it has done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self


class FaultsError(ValueError):
    """Faults that no server can have; the text says what was found and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often a server fails: at every Nth of what is counted; 0 is never.

    Raises:
        FaultsError: If one of the numbers is negative.
    """

    lose: int = 1_000
    """Of the changes: it is told to nobody."""
    delay: int = 100
    """Of the other changes: it is told ``delay_seconds`` late."""
    spurious: int = 200
    """Of the answers that tell of changes: it names a folder more, which has not changed."""
    duplicate: int = 200
    """Of the answers that tell of changes: it is given once more."""
    delay_seconds: float = 2.5
    quiet_seconds: float = 1.0
    """A change may be under way so long, from its intended time to this server; a generator that
    takes longer is too slow for any run."""

    def __post_init__(self) -> None:
        for one in fields(self):
            found = getattr(self, one.name)
            if found < 0:
                raise FaultsError(f"{one.name}: found {found:g}, allowed 0 or more")

    def options(self) -> list[str]:
        """Return them as options of the server's command line."""
        return [f"{option_of(name)}={value}" for name, value in asdict(self).items()]


def option_of(name: str) -> str:
    """Return the option of the server's command line that sets a field of ``Faults``."""
    return f"--{name.replace('_', '-')}"


@dataclass(slots=True, kw_only=True)
class Done:
    """What a server did on purpose, and among how many changes."""

    changes: int = 0
    lost: list[str] = field(default_factory=list)
    """Ids of the changes that were told to nobody."""
    delayed: list[str] = field(default_factory=list)
    """Ids of the changes that were told late."""
    spurious: int = 0
    duplicate: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Read what ``as_json`` returned."""
        return cls(**found)


class Every:
    """Tells when something is due: at every Nth of a count, and then until it is taken.

    Args:
        nth: 0 is never.
    """

    __slots__ = ("_counted", "_due", "_nth")

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self._counted = 0
        self._due = 0

    def count(self) -> None:
        """Count one more."""
        self._counted += 1
        if self._nth and self._counted % self._nth == 0:
            self._due += 1

    def take(self) -> bool:
        """Return whether it is due; what was due more than once is due again."""
        is_due = self._due > 0
        self._due -= is_due
        return is_due

    def give_back(self) -> None:
        """Let it be due again: what was taken did not come about."""
        self._due += 1
