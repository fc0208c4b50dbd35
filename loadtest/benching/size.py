"""How big a bench is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtest import limits
from loadtest.benching.bed import WINDOW

MOST_CHANGES: Final = 2.5
"""Changes a second for each phone: of more, one answer would cover several."""


@dataclass(frozen=True, slots=True)
class Size:
    """How big a bench is.

    Raises:
        ValueError: If a number is out of its range.
    """

    devices: int
    rate: float
    """Changes a second of the notify phase."""
    seconds: float
    """Length of the notify phase."""
    idle: float = 5.0
    """Seconds of doing nothing."""
    saturation: float = 5.0
    """Seconds of as many changes as the phones can answer."""
    most_burst: int = 10_000
    """Phones that come or are woken at once, if there are so many."""
    most_secure: int = 3_000
    """Phones with TLS, if there are so many."""
    window: float = WINDOW
    """Seconds of one look at whether a server is calm."""

    def __post_init__(self) -> None:
        most = limits.read_host().max_phones
        if not 1 <= self.devices <= most:
            raise ValueError(f"devices is {self.devices}, 1 to {most} are allowed here")
        if self.seconds <= 0:
            raise ValueError(f"seconds is {self.seconds:g}, more than 0 is allowed")
        if not 0 < self.rate <= self.devices * MOST_CHANGES:
            raise ValueError(
                f"rate is {self.rate:g} changes a second, more than 0 and at most "
                f"{self.devices * MOST_CHANGES:g} is allowed with {self.devices} phones"
            )

    @property
    def burst(self) -> int:
        """Phones that come or are woken at once."""
        return min(self.devices, self.most_burst)

    @property
    def secure(self) -> int:
        """Phones with TLS."""
        return min(self.devices, self.most_secure)
