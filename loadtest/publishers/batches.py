"""Joins the changes of one loop turn into one call of the backend.

While all lanes are busy the next changes collect, so that batches grow with the load.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from loadtest.publishers.publishing import CLOSED, FULL, PublishFailedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from notifier.change import Change

    Send = Callable[[Sequence[Change]], Awaitable[None]]
    """Hands changes to the backend; what it raises, each of them fails with."""

LANES: Final = 4
"""Calls under way at the same time."""
MOST: Final = 1_000
"""Changes of one call: some milliseconds of a Redis server."""
ROOM: Final = 20_000
"""Changes that may wait for a lane."""


class Batches:
    """Changes on their way to a backend. Make it in a running loop, and ``close`` it."""

    def __init__(self, send: Send, *, lanes: int = LANES, room: int = ROOM) -> None:
        self._send = send
        self._queue: asyncio.Queue[tuple[Change, asyncio.Future[None]]] = asyncio.Queue(room)
        self._loop = asyncio.get_running_loop()
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(lanes)]
        self._is_closed = False

    async def put(self, change: Change) -> None:
        """Send a change with the others of this loop turn; returns when the backend has it.

        Raises:
            PublishFailedError: If it is not known to have it.
        """
        if self._is_closed:
            raise PublishFailedError(CLOSED)
        done: asyncio.Future[None] = self._loop.create_future()
        try:
            self._queue.put_nowait((change, done))
        except asyncio.QueueFull:
            raise PublishFailedError(FULL) from None
        await done

    async def close(self) -> None:
        """End all lanes; what is under way or waits fails. Again is harmless."""
        self._is_closed = True
        for lane in self._lanes:
            lane.cancel()
        await asyncio.wait(self._lanes)
        _settle(self._take(self._queue.qsize()), PublishFailedError(CLOSED))

    async def _lane(self) -> None:
        # A client of Redis may swallow the cancellation of a call that has just succeeded.
        while not self._is_closed:
            first = await self._queue.get()
            await self._deliver([first, *self._take(MOST - 1)])

    def _take(self, most: int) -> list[tuple[Change, asyncio.Future[None]]]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _deliver(self, batch: list[tuple[Change, asyncio.Future[None]]]) -> None:
        failure: Exception | None = PublishFailedError(CLOSED)
        try:
            await self._send([change for change, _ in batch])
            failure = None
        except Exception as error:  # noqa: BLE001 - raised where the changes are waited for
            failure = error
        finally:
            _settle(batch, failure)


def _settle(
    batch: Sequence[tuple[Change, asyncio.Future[None]]], failure: Exception | None
) -> None:
    for _, done in batch:
        if done.done():  # nobody waits for it any more
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
