"""How late this process' own event loop is: a generator that lags measures itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest.account import Histogram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT: Final = 0.2
"""Seconds at the 99th percentile; above it the generator was the bottleneck."""
_INTERVAL: Final = 0.05


@asynccontextmanager
async def watch() -> AsyncIterator[Histogram]:
    """Record how much later than asked the loop wakes up, 20 times a second."""
    lags = Histogram()
    task = asyncio.create_task(_watch(lags), name="lag")
    try:
        yield lags
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it failed: nothing else ends it


async def _watch(lags: Histogram) -> None:
    while True:
        due = monotonic() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        lags.record(monotonic() - due)
