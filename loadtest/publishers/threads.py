"""Runs blocking clients in a few threads, and keeps their connections for the next change."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from loadtest.publishers.publishing import CLOSED, FULL, PublishFailedError, lost

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C")
"""A blocking client of one connection."""

THREADS: Final = 8
"""Changes delivered at the same time. They wait for the server most of their time."""
ROOM: Final = 2_000
"""Changes that may be on their way, those that wait for a thread included."""


class Threads:
    """A bounded pool of threads. ``close`` it."""

    def __init__(self, *, threads: int = THREADS, room: int = ROOM) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="publish")
        self._room = room
        self._under_way = 0
        self._is_closed = False

    async def run(self, job: Callable[[], None]) -> None:
        """Run a job in the next free thread, and return when it has ended.

        Raises:
            PublishFailedError: If too many wait already, or the pool was closed.
        """
        if self._is_closed:
            raise PublishFailedError(CLOSED)
        if self._under_way >= self._room:
            raise PublishFailedError(FULL)
        self._under_way += 1
        try:
            await asyncio.wrap_future(self._pool.submit(job))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and task is not None and not task.cancelling():
                raise PublishFailedError(CLOSED) from None  # the pool gave the job up
            raise
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Wait for the jobs that run; those that wait fail. Again is harmless."""
        self._is_closed = True
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


class Kept(Generic[C]):
    """Connections by whom they are for; a thread has one for itself while it uses it.

    Args:
        connect: Opens a connection for a key.
        drop: Closes one, without waiting for the server.
        most: Unused ones that are kept; the one that was not used for longest goes first.
    """

    def __init__(self, connect: Callable[[str], C], drop: Callable[[C], None], most: int) -> None:
        self._connect = connect
        self._drop = drop
        self._most = most
        self._unused: list[tuple[str, C]] = []
        self._lock = threading.Lock()

    def use(self, key: str, job: Callable[[C], None]) -> None:
        """Do a job on a kept connection, or else on a new one.

        A kept one may have been closed by the server meanwhile: the job is then done once more.

        Args:
            key: Whom the connection is for.
            job: Raises PublishFailedError if it failed on a connection that is still of use, and
                OSError if that is gone.

        Raises:
            PublishFailedError: If the job failed.
        """
        kept = self._take(key)
        if kept is not None:
            with suppress(OSError):
                self._do(key, kept, job)
                return
        try:
            self._do(key, self._connect(key), job)
        except OSError as error:
            raise lost(error) from error

    def close(self) -> None:
        """Drop all that are unused."""
        with self._lock:
            unused, self._unused = self._unused, []
        for _, connection in unused:
            self._drop(connection)

    def _do(self, key: str, connection: C, job: Callable[[C], None]) -> None:
        try:
            job(connection)
        except PublishFailedError:
            self._give(key, connection)
            raise
        except BaseException:
            self._drop(connection)
            raise
        self._give(key, connection)

    def _take(self, key: str) -> C | None:
        with self._lock:
            for index in reversed(range(len(self._unused))):
                if self._unused[index][0] == key:
                    return self._unused.pop(index)[1]
        return None

    def _give(self, key: str, connection: C) -> None:
        with self._lock:
            self._unused.append((key, connection))
            oldest = self._unused.pop(0)[1] if len(self._unused) > self._most else None
        if oldest is not None:
            self._drop(oldest)
