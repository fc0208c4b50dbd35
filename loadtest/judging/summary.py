"""What a comparison reads of a run's summary: plain values, as the JSON report spells them."""

from __future__ import annotations

from dataclasses import dataclass, field

# TC001: whoever reads the document looks the types of the fields up while the program runs
from loadtest.figures import Latency  # noqa: TC001
from loadtest.result import Gateway  # noqa: TC001


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """A moment of a run, about a second after the one before."""

    at: float
    """Seconds since the run began."""
    phase: str
    """As in ``result.Moment``."""
    counts: dict[str, int]
    """Since the run began, by the names of ``figures.COUNTS``."""
    recent: dict[str, Latency]
    """Histograms of the last interval, by the names of ``figures.HISTOGRAMS``."""
    gateway: Gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run; keys that a comparison has no use for are left out."""

    name: str
    """Profile."""
    devices: int
    """Phones asked for."""
    duration: float
    """Seconds of the whole run."""
    profile: dict[str, object]
    """The whole profile as JSON values."""
    environment: dict[str, str]
    counts: dict[str, int]
    errors: dict[str, int]
    histograms: dict[str, Latency]
    """Of the whole run; those that nothing was recorded in may be missing."""
    bytes_per_phone: float | None = None
    invalid: tuple[str, ...] = ()
    moments: tuple[Second, ...] = field(default=(), repr=False)

    def seconds(self, phases: tuple[str, ...]) -> list[Second]:
        """Return the moments of some phases."""
        return [moment for moment in self.moments if moment.phase in phases]
