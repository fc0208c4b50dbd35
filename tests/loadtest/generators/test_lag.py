"""The generator knows when it is late itself."""

from __future__ import annotations

import asyncio
import time

from loadtest.figures import Figures
from loadtest.generators import lag


async def test_a_blocked_loop_is_recorded() -> None:
    """A turn of the loop that takes 45 ms shows as lag."""
    figures = Figures()
    watching = asyncio.create_task(lag.watch(figures))

    await asyncio.sleep(0.03)
    time.sleep(0.045)  # noqa: ASYNC251 - the fault that is to be seen
    await asyncio.sleep(0.03)
    watching.cancel()

    assert figures.latency("lag").max > 0.015
