"""The mail backend of a run: publishes changes at their intended times (an open model).

A slow publish does not move the next one, and a late one is not excused: the account counts
latency from the intended time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from loadtest.account import Histogram
from loadtest.profile import APART
from notifier.publisher import PublishError

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from loadtest.account import Account, Change

CLASSES: Final = {"5": "Email", "INBOX": "Email", "1": "Calendar"}
"""Folders that change, in both spellings of the inbox, and what they hold."""
LANES: Final = 32
"""Publishes at the same time, each on a connection of its own."""
MAX_BEHIND: Final = 10_000
"""Changes that may wait for a lane before the plan itself stands still."""
ATTEMPTS: Final = 3
_PAUSE: Final = 0.2
"""Seconds between attempts."""


class Publishes(Protocol):
    """The part of ``notifier.Publisher`` that is used here."""

    async def publish(self, mailbox: str, folder: str, *, class_: str | None = None) -> int:
        """Record one change."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A change to come."""

    offset: float
    """Seconds after the start."""
    mailbox: str
    folder: str


def plan(
    rate: float, duration: float, mailboxes: Sequence[str], rng: random.Random
) -> Iterator[Planned]:
    """Yield changes in order: one at a random time of each of ``rate`` slots a second.

    No mailbox changes twice within ``APART`` seconds.

    Args:
        rate: Changes a second, at most half of ``len(mailboxes) / APART``.
        duration: Seconds.
        mailboxes: To choose from.
        rng: The dice.
    """
    folders = list(CLASSES)
    touched: dict[str, float] = {}
    for slot in range(round(rate * duration)):
        offset = (slot + rng.random()) / rate
        mailbox = rng.choice(mailboxes)
        while offset - touched.get(mailbox, -APART) < APART:
            mailbox = rng.choice(mailboxes)
        touched[mailbox] = offset
        yield Planned(offset, mailbox, rng.choice(folders))


class Backend:
    """Publishes a plan, and enters each change into the account."""

    def __init__(self, publisher: Publishes, account: Account, errors: Counter[str]) -> None:
        self.lateness = Histogram()
        """From the intended time to the start of publishing."""
        self._publisher = publisher
        self._account = account
        self._errors = errors
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue(MAX_BEHIND)
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Publish nothing more; ``run`` then returns soon."""
        self._stopped.set()

    async def run(self, planned: Iterable[Planned]) -> None:
        """Publish a plan from now on; returns when every change is published or given up."""
        start = monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(self._lane())
            for one in planned:
                at = start + one.offset
                if not await self._reach(at):
                    break
                # The loop's timers are exact to a millisecond, and may be early by as much.
                at = min(at, monotonic())
                await self._queue.put(self._account.publish(one.mailbox, one.folder, at))
            for _ in range(LANES):
                await self._queue.put(None)

    async def _reach(self, at: float) -> bool:
        """Sleep until a time; return False when the plan was stopped before."""
        try:
            async with asyncio.timeout(at - monotonic()):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    async def _lane(self) -> None:
        while change := await self._queue.get():
            self.lateness.record(monotonic() - change.at)
            await self._publish(change)

    async def _publish(self, change: Change) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._publisher.publish(
                    change.mailbox, change.folder, class_=CLASSES[change.folder]
                )
            except PublishError:
                self._errors["publish failed"] += 1
                await asyncio.sleep(_PAUSE)
            else:
                return
        self._account.withdraw(change)
