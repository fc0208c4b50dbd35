"""Changes of one loop turn go out together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from loadtest.publishers.batches import MOST, Batches
from loadtest.publishers.publishing import PublishFailedError
from notifier.change import Change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

CHANGE = Change("alice", "INBOX")


class Backend:
    """Takes batches, as soon as it may."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.sizes: list[int] = []
        self.may = asyncio.Event()
        self.may.set()
        self._failure = failure

    async def send(self, changes: Sequence[Change]) -> None:
        self.sizes.append(len(changes))
        await self.may.wait()
        if self._failure is not None:
            raise self._failure


@asynccontextmanager
async def batches(backend: Backend, lanes: int = 4, room: int = 10_000) -> AsyncIterator[Batches]:
    opened = Batches(backend.send, lanes=lanes, room=room)
    try:
        yield opened
    finally:
        await opened.close()


async def put_many(opened: Batches, count: int) -> list[BaseException | None]:
    return await asyncio.gather(*(opened.put(CHANGE) for _ in range(count)), return_exceptions=True)


async def test_one_turn_is_one_call() -> None:
    """Changes of one loop turn are one call, however many lanes are free."""
    backend = Backend()

    async with batches(backend) as opened:
        await put_many(opened, 100)
        await put_many(opened, 5)

    assert [100, 5] == backend.sizes


async def test_a_call_has_a_bound() -> None:
    """More changes than one call may have are several calls."""
    backend = Backend()

    async with batches(backend) as opened:
        await put_many(opened, 2 * MOST + 1)

    assert [MOST, MOST, 1] == backend.sizes


async def test_changes_collect_while_the_backend_is_busy() -> None:
    """What comes while all lanes are busy goes out as one call."""
    backend = Backend()
    backend.may.clear()

    async with batches(backend, lanes=1) as opened:
        tasks = []
        for _ in range(4):
            tasks.append(asyncio.create_task(opened.put(CHANGE)))
            await asyncio.sleep(0.001)
        backend.may.set()
        await asyncio.gather(*tasks)

    assert [1, 3] == backend.sizes


@pytest.mark.parametrize("failure", [PublishFailedError("HTTP 400"), RuntimeError("a mistake")])
async def test_a_failure_is_that_of_all_its_changes(failure: Exception) -> None:
    """What the backend raises is raised for each change of the call, and the next one is tried."""
    backend = Backend(failure)

    async with batches(backend, lanes=1) as opened:
        found = await put_many(opened, 2) + await put_many(opened, 1)

    assert ([failure] * 3, [2, 1]) == (found, backend.sizes)


async def test_a_full_queue_fails_at_once() -> None:
    """A change that finds no room is not published late but fails."""
    backend = Backend()

    async with batches(backend, room=2) as opened:
        found = await put_many(opened, 3)

    assert [None, None, "queue full"] == [one and str(one) for one in found]


async def test_nobody_waits_for_a_closed_backend() -> None:
    """Changes under way, those that wait, and those that come later fail when it is closed."""
    backend = Backend()
    backend.may.clear()

    async with batches(backend, lanes=1) as opened:
        first = asyncio.create_task(put_many(opened, 1))
        await asyncio.sleep(0.001)
        second = asyncio.create_task(put_many(opened, 1))
        await asyncio.sleep(0.001)
    found = await first + await second + await put_many(opened, 1)

    assert (["closed"] * 3, [1]) == ([str(one) for one in found], backend.sizes)


async def test_a_caller_may_give_up() -> None:
    """A change that nobody waits for any more does not disturb the others of its call."""
    backend = Backend()
    backend.may.clear()

    async with batches(backend) as opened:
        impatient = asyncio.create_task(opened.put(CHANGE))
        patient = asyncio.create_task(opened.put(CHANGE))
        await asyncio.sleep(0.001)
        impatient.cancel()
        await asyncio.wait([impatient])
        backend.may.set()
        await patient

    assert [2] == backend.sizes


async def test_a_swallowed_cancellation_does_not_hold_up_the_close() -> None:
    """A client that answers its cancellation with a success ends its lane all the same."""

    async def send(_: Sequence[Change]) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    opened = Batches(send, lanes=1)
    change = asyncio.create_task(opened.put(CHANGE))
    await asyncio.sleep(0.001)

    async with asyncio.timeout(5):
        await opened.close()
        assert await change is None
