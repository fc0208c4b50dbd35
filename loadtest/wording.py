"""How figures read: one number is written in one way, on the screen, in reports and in verdicts.

Rules:
    1. Three digits count, which is more than two runs agree in; zeros behind the point are left
       out, and all digits before it are written, parted by commas.
    2. The unit is the largest that leaves a digit before the point. KB is 1024 bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = TypeVar("Kind", str, int)

DIGITS: Final = 3
"""Digits that count."""
DURATIONS: Final = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
"""Units with the seconds that one of them is, the largest first."""
SIZES: Final = (
    ("TB", 1024.0**4),
    ("GB", 1024.0**3),
    ("MB", 1024.0**2),
    ("KB", 1024.0),
    ("bytes", 1.0),
)
"""Units with their bytes."""
_ROUNDED: Final = 0.9995
"""Part of a unit that is written as one of it."""
_MINUTE: Final = 60
_HOUR: Final = 3600
_NEARLY_ALL: Final = 99
_LESS_THAN_ALL: Final = 99.999
_DIGITS_OF_NEARLY_ALL: Final = 5


def number(value: float, digits: int = DIGITS) -> str:
    """Write a number: ``0.00041``, ``4.5``, ``12.3``, ``1,234``.

    Args:
        value: Finite.
        digits: That count, at least 1.
    """
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of what it is rounded to
    text = f"{value:,.{max(digits - 1 - power, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float, digits: int = DIGITS) -> str:
    """Write a measured time: ``87 us``, ``4.2 ms``, ``3.38 s``."""
    # No clock here tells less than a microsecond: 0 stands for none, among those that are in ms.
    return _measured(seconds, DURATIONS, digits) if seconds else "0 ms"


def size(size_bytes: float | None) -> str:
    """Write bytes: ``512 bytes``, ``2.48 KB``; ``n/a`` where they were not measured."""
    return "n/a" if size_bytes is None else _measured(size_bytes, SIZES, DIGITS)


def span(seconds: float) -> str:
    """Write how long something lasts as people say it: ``12.3 s``, ``5 min 03 s``, ``2 h 05 min``.

    Unlike ``duration`` it is not for what is compared with a limit.
    """
    if seconds < _MINUTE:
        return duration(seconds)
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes // _MINUTE} h {minutes % _MINUTE:02} min"


def rate(per_second: float) -> str:
    """Write how often something happens: ``1.25/s``, ``12,346/s``."""
    return f"{number(per_second)}/s"


def share(part: float, digits: int = DIGITS) -> str:
    """Write a part of one in percent: ``0.033 %``, ``45.6 %``, ``99.999 %``.

    100 % stands only where nothing is left out: one missed change in a million shows.
    """
    percent = part * 100
    if part < 1 and percent > _NEARLY_ALL:
        percent, digits = min(percent, _LESS_THAN_ALL), max(digits, _DIGITS_OF_NEARLY_ALL)
    return f"{number(percent, digits)} %"


def tally(counts: Mapping[Kind, int]) -> str:
    """Write counts by kind, in the order of ``ranked``; nothing at all is ``none``."""
    return ", ".join(f"{kind} {count:,}" for kind, count in ranked(counts)) or "none"


def ranked(counts: Mapping[Kind, int]) -> list[tuple[Kind, int]]:
    """Sort counts by kind, the largest first, equal ones by name; zeros are left out."""
    found = ((kind, count) for kind, count in counts.items() if count)
    return sorted(found, key=lambda one: (-one[1], one[0]))


def words(name: str) -> str:
    """Write a figure's name as words."""
    return name.replace("_", " ")


def fitting(value: float, units: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """Choose the unit to write a value in.

    Args:
        value: In the base unit.
        units: With what one of them is in the base unit, the largest first; the last one takes
            whatever is smaller.
    """
    fits = (one for one in units if abs(value) >= one[1] * _ROUNDED)
    return next(fits, units[-1])


def _measured(value: float, units: Sequence[tuple[str, float]], digits: int) -> str:
    unit, scale = fitting(value, units)
    return f"{number(value / scale, digits)} {unit}"
