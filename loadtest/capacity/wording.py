"""How numbers of a plan are written: with bounds behind them, and in the units of a plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

from loadtest.wording import SIZES, fitting, number, words

if TYPE_CHECKING:
    from collections.abc import Iterable


class Bounded(Protocol):
    """A number with bounds: a measured figure, or a derived one."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def low(self) -> float:
        """Not above the value."""
        ...

    @property
    def high(self) -> float:
        """Not below the value."""
        ...

    @property
    def unit(self) -> str:
        """What it counts."""
        ...


_SCALES: Final = {
    "bytes": SIZES,
    "bit/s": (
        ("Tbit/s", 1e12),
        ("Gbit/s", 1e9),
        ("Mbit/s", 1e6),
        ("kbit/s", 1e3),
        ("bit/s", 1.0),
    ),
    "share": (("%", 0.01),),
}
"""Units to choose from by the unit that a figure is in; others are written as they are."""
_PLURALS: Final = frozenset(
    ("phones", "nodes", "workers", "files", "ports", "servers", "cores", "bytes")
)
_CLOSE: Final = 0.02
"""Share of the width by which two halves of an error bar may differ to be written as one."""


def amount(value: float, unit: str) -> str:
    """Write a number with its unit."""
    if math.isinf(value):
        return "never"
    unit, scale = _fitting(value, unit)
    return _joined(number(value / scale), unit)


def spread(figure: Bounded) -> str:
    """Write a number with its bounds and its unit."""
    if figure.low == figure.high:
        return amount(figure.value, figure.unit)
    if math.isinf(figure.high):
        least = amount(figure.low, figure.unit)
        return f"{amount(figure.value, figure.unit)} ({least} .. never)"
    unit, scale = _fitting(figure.value, figure.unit)
    value, low, high = (one / scale for one in (figure.value, figure.low, figure.high))
    below, above = value - low, high - value
    if abs(above - below) <= _CLOSE * (high - low):
        return _joined(f"{number(value)} ± {number(max(above, below))}", unit)
    return _joined(f"{number(value)} ({number(low)} .. {number(high)})", unit)


def listed(names: Iterable[str]) -> str:
    """Write names as words, parted by commas."""
    return ", ".join(map(words, names))


def _fitting(value: float, unit: str) -> tuple[str, float]:
    return fitting(value, _SCALES.get(unit, ((unit, 1.0),)))


def _joined(text: str, unit: str) -> str:
    if unit == "1/s":
        return f"{text}/s"
    if text == "1" and unit in _PLURALS:
        unit = unit[:-1]
    return text if unit == "money" else f"{text} {unit}"
