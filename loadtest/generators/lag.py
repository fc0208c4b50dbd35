"""How late this process' own event loop is: a generator that lags measures itself."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadtest.figures import Figures

_INTERVAL: Final = 0.05


async def watch(figures: Figures) -> None:
    """Record for ever how much later than asked the loop wakes up, 20 times a second."""
    while True:
        due = monotonic() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        figures.record("lag", max(0.0, monotonic() - due))
