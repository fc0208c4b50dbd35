"""What a figure measures: its units, and how a value of it is written.

Values are in base units: seconds, bytes, pieces.
"""

from __future__ import annotations

from enum import Enum
from fractions import Fraction
from typing import Final

from loadtest import wording


class Quantity(Enum):
    """Kinds of figures."""

    DURATION = "duration"
    SIZE = "size"
    COUNT = "count"

    @property
    def units(self) -> dict[str, Fraction]:
        """Units by name, with what one of them is in the base unit.

        KB is 1024 B, as in everything that this program prints, and so is KiB.
        """
        return _UNITS[self]

    def say(self, value: float, digits: int = wording.DIGITS) -> str:
        """Write a value with its unit: ``4.2 ms``, ``2,345 bytes``, ``17``.

        Sizes are in bytes, as their limits mostly are.
        """
        if self is Quantity.DURATION:
            return wording.duration(value, digits)
        number = wording.number(value, digits)
        return f"{number} bytes" if self is Quantity.SIZE else number


_UNITS: Final = {
    Quantity.DURATION: {
        "us": Fraction(1, 1_000_000),
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "m": Fraction(60),
        "h": Fraction(3600),
    },
    Quantity.SIZE: {
        "B": Fraction(1),
        "KB": Fraction(1024),
        "MB": Fraction(1024**2),
        "GB": Fraction(1024**3),
        "KiB": Fraction(1024),
        "MiB": Fraction(1024**2),
        "GiB": Fraction(1024**3),
    },
    Quantity.COUNT: {"k": Fraction(1000), "M": Fraction(1_000_000)},
}
