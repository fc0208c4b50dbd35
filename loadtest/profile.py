"""What a run puts on the gateway: how many phones, which heartbeats, how many changes."""

from __future__ import annotations

import difflib
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadtest.scenario import Habits

if TYPE_CHECKING:
    from collections.abc import Iterator

APART: Final = 0.2
"""Seconds within which no mailbox changes twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A load in numbers. Equal profiles give equal phones and equal changes.

    Raises:
        ValueError: If a number is out of its range.
    """

    name: str
    devices: int
    duration: float
    """Seconds of publishing, after all phones are held."""
    rate: float
    """Changes a second."""
    seed: int = 1
    ramp: float = 400.0
    """New phones a second: each asks for its folders first, which costs far more than a Ping."""
    heartbeat: int = 480
    """Seconds most phones ask for."""
    short_share: float = 0.1
    """Part of the phones that ask for a heartbeat they reach during the run."""
    short_heartbeat: tuple[int, int] = (5, 12)
    """Seconds, lowest and highest of the short ones."""
    terse_share: float = 0.5
    """Part of the phones that send empty Pings once the server knows their folders."""
    calm: float = 0.5
    """Seconds all phones are held before the first change. A change before a phone's first Ping
    was taken up is none that the phone has to hear of."""
    grace: float = 5.0
    """Seconds after the last change within which answers still count."""

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"devices is {self.devices}, at least 1 is allowed")
        if self.duration <= 0:
            raise ValueError(f"duration is {self.duration:g} s, more than 0 is allowed")
        most = self.devices / APART / 2  # half of them free at any time: a draw succeeds quickly
        if not 0 < self.rate <= most:
            raise ValueError(
                f"rate is {self.rate:g} changes a second, more than 0 and at most {most:g} is "
                f"allowed with {self.devices} phones (a mailbox changes once in {APART:g} s)"
            )

    def resized(
        self,
        *,
        devices: int | None = None,
        duration: float | None = None,
        rate: float | None = None,
        seed: int | None = None,
    ) -> Profile:
        """Return it with other numbers; None keeps one."""
        return replace(
            self,
            devices=self.devices if devices is None else devices,
            duration=self.duration if duration is None else duration,
            rate=self.rate if rate is None else rate,
            seed=self.seed if seed is None else seed,
        )

    def habits(self) -> Iterator[Habits]:
        """Yield the habits of each phone."""
        rng = random.Random(self.seed)
        for _ in range(self.devices):
            is_short = rng.random() < self.short_share
            yield Habits(
                heartbeat=rng.randint(*self.short_heartbeat) if is_short else self.heartbeat,
                is_terse=rng.random() < self.terse_share,
                patience=rng.uniform(0.5, 1.5),
            )


_ALL: Final = (Profile(name="smoke", devices=2000, duration=30, rate=50),)
PROFILES: Final = {profile.name: profile for profile in _ALL}


class UnknownProfileError(ValueError):
    """No profile has that name; the text names the nearest one."""


def find(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        UnknownProfileError: If there is none.
    """
    if name in PROFILES:
        return PROFILES[name]
    nearest = difflib.get_close_matches(name, PROFILES, n=1, cutoff=0.0)
    raise UnknownProfileError(
        f"no profile {name!r}: did you mean {nearest[0]!r}? (there are: {', '.join(PROFILES)})"
    )
