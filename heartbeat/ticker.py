"""The timers of a process: one for each period."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

Tick: TypeAlias = Callable[[float], bool]
"""Does what is due at the given time of the loop's clock; True while there is more to do."""


class Ticker:
    """Calls everybody once in each period of the loop's clock, at its begin.

    A callback that has more to do than fits between two events of other phones returns True and is
    called again after the loop has had a turn: a cohort of equal deadlines delays nobody.
    """

    def __init__(
        self,
        *ticks: Tick,
        period: float = 1.0,
        observe_lag: Callable[[float], None] | None = None,
    ) -> None:
        self._ticks = ticks
        self._period = period
        self._observe_lag = observe_lag

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            planned = (int(loop.time() / self._period) + 1) * self._period
            await asyncio.sleep(planned - loop.time())
            if self._observe_lag is not None:
                self._observe_lag(max(0.0, loop.time() - planned))
            for tick in self._ticks:
                while tick(loop.time()):  # noqa: ASYNC110 (not polling: the loop gets its turn)
                    await asyncio.sleep(0)
