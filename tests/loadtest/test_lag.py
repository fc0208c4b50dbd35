"""The generator knows when it is late itself."""

from __future__ import annotations

import asyncio
import time

from loadtest import lag


async def test_a_blocked_loop_is_recorded() -> None:
    """A turn of the loop that takes 45 ms shows as lag."""
    async with lag.watch() as lags:
        await asyncio.sleep(0.03)
        time.sleep(0.045)  # noqa: ASYNC251 - the fault that is to be seen
        await asyncio.sleep(0.03)

    assert lags.percentile_ms(100) > 15
