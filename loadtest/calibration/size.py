"""How much is measured: enough for narrow error bars, or little for a quick look."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSize:
    """The run that predictions are compared with: none that the costs were fitted on."""

    phones: int = 12_000
    workers: int = 2
    rate: float = 150.0
    """Changes a second."""
    seconds: float = 20.0
    heartbeat: tuple[int, int] = (10, 130)
    """Seconds, lowest and highest: a part of the heartbeats ends meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    Raises:
        ValueError: If too little remains to fit a line.
    """

    rounds: int = 3
    """Gateways of one worker, one after the other, on which most costs are measured."""
    steps: int = 4
    """Sizes on each of them; a line has so many points for each round."""
    phones: int = 2_000
    """From one size to the next."""
    seconds: float = 4.0
    """Length of each phase."""
    rates: tuple[float, ...] = (50.0, 100.0)
    """Changes a second of one worker, each in a phase of its own. The more of them, the cheaper
    is each: phones that are woken together share work. These are low on purpose, so that a plan
    errs to the safe side: 500 us each at 50, 330 at 400 a second."""
    repeats: int = 2
    """Phases of the same kind on one gateway."""
    workers: tuple[int, ...] = (2, 3, 4)
    """Further gateways with so many workers, which are only weighed."""
    heartbeats: tuple[int, int] = (5, 15)
    """Seconds, lowest and highest, where Pings end without a change."""
    secure_rounds: int = 2
    """Gateways with TLS."""
    secure_phones: int = 500
    """From one size to the next, and at a low rate, because of the handshakes."""
    new_phones: int = 1_000
    """From one size to the next, where the memory of Redis is measured."""
    trial: TrialSize = field(default_factory=TrialSize)
    window: float = 0.5
    """Seconds of one look at whether a server is calm."""
    within: float = 480.0
    """Seconds in which all must be done."""

    def __post_init__(self) -> None:
        if self.steps < 3 or len(self.workers) < 2:  # noqa: PLR2004 - see fit_line
            raise ValueError(
                f"found {self.steps} sizes and {1 + len(self.workers)} numbers of workers, "
                "allowed 3 or more of both"
            )
        if self.rounds * self.repeats < 2:  # noqa: PLR2004 - see mean
            raise ValueError("found one phase of each kind, allowed two or more")

    @property
    def most_phones(self) -> int:
        """Phones of one process, and those that have to be known before."""
        most = max(self.phones, self.secure_phones, self.new_phones)
        return max(self.steps * most, self.trial.phones)


FULL: Final = Size()
QUICK: Final = replace(
    FULL,
    rounds=1,
    steps=3,
    phones=600,
    seconds=1.2,
    rates=(50.0,),
    workers=(2, 3),
    heartbeats=(3, 9),
    secure_rounds=1,
    secure_phones=100,
    new_phones=200,
    trial=TrialSize(phones=2_500, rate=120.0, seconds=4.0, heartbeat=(5, 60)),
    window=0.2,
    within=60.0,
)
