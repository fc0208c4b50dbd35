"""Lets very many phones come as fast as the machine takes them, and no faster.

Phones come in waves, and the next wave waits while too many of those before are on their way: a
phone that is not answered for half a minute comes again, which costs more than it did before.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest.controller import Controller, GeneratorError

if TYPE_CHECKING:
    from collections.abc import Iterator

WAVE: Final = 4.0
"""Seconds from one wave to the next.

A worker then finds several phones whenever it has its turn. Measured with 54 workers and 53
generator processes on two cores: 1,200 to 1,400 new phones a second, instead of 750 when they come
one by one and processes do not take turns.
"""
ON_THE_WAY: Final = 4.0
"""Seconds of arrivals that may be on their way when the next wave comes; with that wave an answer
takes some 8 s."""
LATE: Final = 120.0
"""Seconds beyond the planned ones after which it makes no sense to go on."""
_LOOK: Final = 0.05


class Ramp(Controller):
    """A controller that waits for its phones."""

    async def _come(self, warm: int) -> float:
        rate, before = self.profile.arrival.rate, sum(self._lasts())
        sent, due = warm, monotonic()
        until = due + before / rate + LATE
        firsts = [warm, *(0 for _ in self._members[1:])]
        while sent < before and not self._stopped.is_set():
            self._watching.check()
            if monotonic() > until:
                raise GeneratorError(
                    f"{self.held:,} of {before:,} phones held after {before / rate + LATE:,.0f} s: "
                    "this machine takes fewer in that time, choose --devices accordingly"
                )
            if monotonic() >= due and sent - self.held <= rate * ON_THE_WAY:
                sent += self._send_wave(firsts, rate * WAVE)
                due = max(due + WAVE, monotonic())
            await asyncio.sleep(_LOOK)
        return 0.0

    def _send_wave(self, firsts: list[int], size: float) -> int:
        """Let the next phones of each process come, and tell how many; ``firsts`` moves on."""
        each = max(1, round(size / len(self._members)))
        total = 0
        for index, (member, end) in enumerate(zip(self._members, self._lasts(), strict=True)):
            first = firsts[index]
            last = firsts[index] = min(first + each, end)
            if first < last:
                member.order(do="arrive", first=first, last=last, over=0.0)
            total += last - first
        return total

    def _lasts(self) -> Iterator[int]:
        return (member.assignment.before for member in self._members)
