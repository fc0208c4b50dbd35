"""The one timer of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

Tick: TypeAlias = Callable[[float], bool]
"""Does what is due at the given time of the loop's clock; True while there is more to do."""


class Ticker:
    """Calls everybody once at each full second of the loop's clock.

    A callback that has more to do than fits between two events of other phones returns True and is
    called again after the loop has had a turn: a cohort of equal deadlines delays nobody.
    """

    def __init__(self, *ticks: Tick, observe_lag: Callable[[float], None] | None = None) -> None:
        self._ticks = ticks
        self._observe_lag = observe_lag

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            planned = float(int(loop.time()) + 1)
            await asyncio.sleep(planned - loop.time())
            if self._observe_lag is not None:
                self._observe_lag(max(0.0, loop.time() - planned))
            for tick in self._ticks:
                while tick(loop.time()):  # noqa: ASYNC110 (not polling: the loop gets its turn)
                    await asyncio.sleep(0)
