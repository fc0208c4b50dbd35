"""Durations, rates, counts and shares as people write them.

Rules:
    1. A plain number is in the base unit: seconds, per second, one. So is a text without a unit,
       which is what a command line has.
    2. Nothing here is negative or endless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Final

from loadtest.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

# Decimal, so that "7%" is 0.07 and "1.001k" is 1,001.
_SECONDS: Final = {
    "s": Decimal(1),
    "ms": Decimal("0.001"),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
}
_PER_SECOND: Final = {"/s": Decimal(1), "/m": 1 / Decimal(60), "/h": 1 / Decimal(3600)}
_ONES: Final = {"k": Decimal(1000), "M": Decimal(1_000_000)}
_PARTS: Final = {"%": Decimal("0.01")}

_DURATION: Final = 'a time like 30, "250ms", "30s", "10m", "1h" or "1d"'
_RATE: Final = 'a rate like 200, "200/s", "90/m" or "12/h"'
_COUNT: Final = 'a whole number like 2000, "100k" or "1M"'
_SHARE: Final = 'a share like 0.3 or "30%"'

# Of a size that neither a Decimal rounds nor a float overflows at.
_QUANTITY: Final = re.compile(r"([0-9][0-9_]{0,27}(?:\.[0-9]{1,28})?(?:e[+-]?[0-9]{1,2})?)\s*(.*)")


class UnitError(ValueError):
    """A quantity that cannot be read; the text says what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time that may depend on how long a run is.

    Raises:
        UnitError: If it is negative, or more than the whole run.
    """

    fixed: float = 0.0
    """Seconds, however long the run is."""
    part: float = 0.0
    """This part of the duration comes on top; 0 to 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.fixed < inf:
            raise UnitError(f"found {self.fixed:g} s, allowed 0 s or more")
        if not 0 <= self.part <= 1:
            raise UnitError(f"found {self.part * 100:.12g}%, allowed 0% to 100% of the duration")

    def seconds(self, duration: float) -> float:
        """Return the seconds it comes to in a run of so many seconds."""
        return self.fixed + self.part * duration

    def as_json(self) -> float | str:
        """Return what ``parse_span`` reads: seconds, or a percentage where it has no seconds."""
        return f"{self.part * 100:.12g}%" if self.part else self.fixed


def parse_duration(found: object) -> float:
    """Read a time in seconds, of which ``"250ms"``, ``"30s"``, ``"10m"``, ``"1h"`` are others.

    Raises:
        UnitError: If it is none.
    """
    return float(_read(found, _SECONDS, _DURATION))


def parse_span(found: object) -> Span:
    """Read a time that may be a percentage of the duration, such as ``"50%"``.

    Raises:
        UnitError: If it is none.
    """
    if isinstance(found, str) and found.rstrip().endswith("%"):
        return Span(part=parse_share(found))
    allowed = f'{_DURATION}, or a part of the duration like "50%"'
    return Span(float(_read(found, _SECONDS, allowed)))


def parse_rate(found: object) -> float:
    """Read a number per second, of which ``"90/m"`` and ``"12/h"`` are other spellings.

    Raises:
        UnitError: If it is none.
    """
    return float(_read(found, _PER_SECOND, _RATE))


def parse_count(found: object) -> int:
    """Read a whole number, such as ``2000``, ``"100k"`` or ``"1M"``.

    Raises:
        UnitError: If it is none.
    """
    count = _read(found, _ONES, _COUNT)
    if count % 1:
        raise UnitError(f"found {found!r}, allowed {_COUNT}")
    return int(count)


def parse_share(found: object) -> float:
    """Read a part of a whole, such as ``0.3`` or ``"30%"``; weights may exceed 1.

    Raises:
        UnitError: If it is none.
    """
    return float(_read(found, _PARTS, _SHARE))


def _read(found: object, units: Mapping[str, Decimal], allowed: str) -> Decimal:
    is_quantity = isinstance(found, str | int | float) and not isinstance(found, bool)
    # Numbers take the same road as text: no sign passes, no "inf" and no huge one.
    parts = _QUANTITY.fullmatch(str(found).strip()) if is_quantity else None
    if parts is None:
        raise UnitError(f"found {found!r}, allowed {allowed}")
    number, unit = parts.groups()
    if unit and unit not in units:
        raise UnitError(
            f"found {found!r} with the unknown unit {unit!r}, "
            f"the nearest is {nearest(unit, units)!r}; allowed {allowed}"
        )
    return Decimal(number) * units.get(unit, Decimal(1))
