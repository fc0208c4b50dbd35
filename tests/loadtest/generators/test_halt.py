"""Sleep that a halt ends."""

from __future__ import annotations

import asyncio
from time import monotonic

from loadtest.generators.halt import Halt


async def test_a_time_is_reached() -> None:
    """Without a halt the sleep lasts until its time, to a millisecond."""
    at = monotonic() + 0.02

    is_reached = await Halt().sleep_until(at)

    assert is_reached
    assert monotonic() > at - 0.0015


async def test_a_time_that_is_over_needs_no_sleep() -> None:
    """Who is late does not wait."""
    assert await Halt().sleep_until(monotonic() - 1)


async def test_a_halt_ends_all_sleep() -> None:
    """Everybody who sleeps wakes at a halt, and knows that the time was not reached."""
    halt = Halt()
    sleepers = [asyncio.create_task(halt.sleep_until(monotonic() + 60)) for _ in range(2)]
    await asyncio.sleep(0)

    halt.call()
    halt.call()

    async with asyncio.timeout(5):
        assert [False, False] == await asyncio.gather(*sleepers)
    assert halt.is_called


async def test_after_a_halt_nobody_sleeps() -> None:
    """After a halt no time is reached, not even one that is over."""
    halt = Halt()
    halt.call()

    async with asyncio.timeout(5):
        assert not await halt.sleep_until(monotonic() + 60)
    assert not await halt.sleep_until(monotonic() - 1)
