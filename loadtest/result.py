"""What a run came to, as a value: for the live view, for reports, thresholds and comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtest.figures import Figures, Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What the gateway told about itself at one moment; None where it was not to be had."""

    memory_bytes: int | None = None
    """User memory of all its processes: PSS of the tree if it was started here, else the sum of
    ``process_resident_memory_bytes``."""
    cpu_seconds: float | None = None
    """CPU time used since it started."""
    held: int | None = None
    """``pushgw_held_pings``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The state of a run at one moment, summed over all processes.

    There is one about once a second; in long runs fewer, as ``moments.interval`` says.
    """

    at: float
    """Seconds since the run began."""
    phase: str
    """``arriving`` (before the clock of the profile runs), ``running``, ``settling``."""
    states: Mapping[str, int]
    """Phones by state: connecting, preparing, held, waiting, stopped."""
    counts: Mapping[str, int]
    """Since the run began, by the names of ``figures.COUNTS``."""
    errors: Mapping[str, int]
    """Since the run began."""
    rate_target: float
    """Changes a second that the profile asks for at this moment."""
    published_per_second: float
    """In the last interval."""
    recent: Mapping[str, Latency]
    """Histograms of the last interval, by the names of ``figures.HISTOGRAMS``."""
    total: Mapping[str, Latency]
    """The same since the run began."""
    cpu: float
    """CPU seconds a second of the busiest generator process."""
    processes: int
    """Generator processes."""
    generator_bytes: int
    """User memory (PSS) of all generator processes on this host; 0 where it was not read."""
    gateway: Gateway

    @property
    def held(self) -> int:
        """Phones whose Ping, or waiting Sync, is on its way."""
        return self.states.get("held", 0)

    @property
    def phones(self) -> int:
        """Phones that have begun."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Missed:
    """A change that a phone never heard of."""

    change: str
    """Id of the change, unique in the run."""
    mailbox: str
    device: str
    folder: str
    at: float
    """Intended time, seconds since the run began."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that was done to the run: a fault, a stage, the end of the ramp."""

    at: float
    """Seconds since the run began."""
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A threshold and what was found."""

    expression: str
    is_met: bool
    found: str
    """Each figure of the expression with its value: ``notify.p99 = 4.2 ms``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole run."""

    name: str
    """Profile."""
    command: str
    """Command line, as typed."""
    started: str
    """UTC, ISO 8601."""
    duration: float
    """Seconds of the whole run."""
    devices: int
    """Phones asked for."""
    seed: int
    profile: Mapping[str, object]
    """The whole profile as JSON values."""
    environment: Mapping[str, str]
    """Machine, kernel, limits, versions."""
    figures: Figures
    moments: tuple[Moment, ...]
    marks: tuple[Mark, ...] = ()
    missed: tuple[Missed, ...] = ()
    """The first thousand."""
    invalid: tuple[str, ...] = ()
    """Why the generator, not the server, made the figures; empty in a valid run."""
    judged: tuple[Judged, ...] = ()
    bytes_per_phone: float | None = None
    """User memory of the gateway for each held phone, minus what it used before they came."""
    generator_bytes_per_phone: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def most_held(self) -> int:
        """The most phones held at one moment."""
        return max((moment.held for moment in self.moments), default=0)

    @property
    def is_good(self) -> bool:
        """Whether nothing was missed, every threshold met, and changes were answered at all.

        That is about the server, and decides the exit status. A run that proves it has to be
        valid as well: verdicts for people and for CI servers ask for both.
        """
        counts = self.figures.counts
        answered = counts["received"] > 0 or not counts["published"]
        return not counts["missed"] and answered and all(one.is_met for one in self.judged)

    @property
    def is_valid(self) -> bool:
        """Whether the server, not the generator, made the figures; says nothing of how good."""
        return not self.invalid
