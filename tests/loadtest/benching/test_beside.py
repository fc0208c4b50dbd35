"""Something endless beside something that ends."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.benching.beside import beside


async def count_forever(seen: list[int]) -> None:
    while True:
        seen.append(len(seen))
        await asyncio.sleep(0)


async def fail() -> None:
    raise ValueError("broken")


async def test_it_goes_on_meanwhile_and_not_longer() -> None:
    """The work runs while the block does, and has ended after it."""
    seen: list[int] = []
    async with beside(count_forever(seen)):
        await asyncio.sleep(0.001)
    before = list(seen)
    await asyncio.sleep(0.001)

    assert before == seen != []


async def test_its_failure_is_not_lost() -> None:
    """What the work raised is raised at the end of the block."""
    with pytest.raises(ValueError, match="broken"):
        async with beside(fail()):
            await asyncio.sleep(0)


async def test_an_error_of_the_block_comes_first() -> None:
    """When the block itself fails, its error is the one that is raised."""

    async def fail_twice() -> None:
        async with beside(fail()):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await fail_twice()
