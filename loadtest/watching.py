"""Watches the gateway while a run goes on: its memory, CPU and held Pings."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp

from loadtest import process
from loadtest.result import Gateway
from loadtest.scrape import metrics_url, scrape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

Amount = TypeVar("Amount", int, float)

EVERY: Final = 5.0
"""Seconds between readings: each costs the gateway some milliseconds."""


class Watching:
    """Reads the gateway now and then. Open one with ``watch``.

    Args:
        session: For scrapes.
        admins: URLs of admin listeners, one for each node.
        pids: Roots of the gateways' process trees, if they run on this host as children.
        check: Raises when the gateway is gone.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        admins: Sequence[str],
        *,
        pids: Callable[[], Sequence[int]] = tuple,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.latest = Gateway()
        self.errors: Counter[str] = Counter()
        """Readings that brought nothing."""
        self.check = check
        self._session = session
        self._admins = tuple(admins)
        self._pids = pids
        self._first: tuple[int, int] | None = None
        self._last: tuple[int, int] | None = None
        self._is_weighed = False

    @property
    def bytes_per_phone(self) -> float | None:
        """User memory for each phone that came after ``begin``.

        None where it was not read, or where the phones are too few to be seen in it.
        """
        if self._first is None or self._last is None:
            return None
        memory, held = self._last[0] - self._first[0], self._last[1] - self._first[1]
        return memory / held if held > 0 and memory > 0 else None

    async def begin(self, held: int) -> None:
        """Read what the gateway uses with its first phones only."""
        await self.read()
        if self.latest.memory_bytes is not None:
            self._first = self.latest.memory_bytes, self._held(held)

    def weigh(self, held: int) -> None:
        """Keep the latest reading if it is of more phones than any before."""
        memory = self.latest.memory_bytes
        if memory is None or self._is_weighed:
            return
        if self._last is None or self._held(held) >= self._last[1]:
            self._last = memory, self._held(held)

    def stop_weighing(self) -> None:
        """Keep what was weighed: servers that are started anew do not compare with those before."""
        self._is_weighed = True

    async def read(self) -> None:
        """Read everything once."""
        found = Gateway()
        if self._admins:
            found = await scrape(self._session, self._admins, errors=self.errors)
        pids = self._pids()
        if pids:
            # The kernel walks all pages of a tree for this; the loop must not wait for it.
            memory, cpu = await asyncio.to_thread(_of_trees, pids)
            found = dataclasses.replace(found, memory_bytes=memory, cpu_seconds=cpu)
        self.latest = found

    async def read_forever(self, every: float) -> None:
        """Read again and again, with so many seconds between."""
        while True:
            await asyncio.sleep(every)
            await self.read()

    def _held(self, held: int) -> int:
        return self.latest.held if self.latest.held is not None else held


@asynccontextmanager
async def watch(
    admins: Sequence[str],
    *,
    pids: Callable[[], Sequence[int]] = tuple,
    check: Callable[[], None] = lambda: None,
    every: float = EVERY,
) -> AsyncIterator[Watching]:
    """Watch gateways until the end.

    Args:
        admins: URLs of admin listeners, one for each node.
        pids: Roots of their process trees, if they run on this host as children.
        check: Raises when a gateway is gone.
        every: Seconds between readings.

    Raises:
        ScrapeError: If a URL is none of an admin listener.
    """
    for admin in admins:
        metrics_url(admin)
    async with aiohttp.ClientSession() as session:
        watching = Watching(session, admins, pids=pids, check=check)
        task = asyncio.create_task(watching.read_forever(every), name="watching")
        try:
            yield watching
        finally:
            task.cancel()
            await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it failed: nothing else ends it


def _of_trees(pids: Sequence[int]) -> tuple[int | None, float | None]:
    return _sum(map(process.memory_bytes, pids)), _sum(map(process.cpu_seconds, pids))


def _sum(found: Iterable[Amount | None]) -> Amount | None:
    """Add up, if all is known: a sum with a gap would look like something lost."""
    amounts = list(found)
    known = [amount for amount in amounts if amount is not None]
    return sum(known, start=known[0] * 0) if len(known) == len(amounts) else None
