"""A publisher that keeps a number of changes outstanding: as fast as the phones answer.

Latencies of such a load say where its queue is, not how fast a server is. Phones that wait are
woken at once and each makes room for a change of another one, so changes pile up at those phones
that are between two Pings. A server that takes Pings in as they came then has about
``sqrt(2 * phones * outstanding)`` of them in its queue, and the unluckiest change waits as long as
that queue takes: 3,162 of 10,000 phones with 500 outstanding, 0.7 s at 4,700 cycles a second, 1 s
at 3,200. Measured for 2,500 and 10,000 phones, 100 to 2,000 outstanding: the 99.9th percentile is
within 25 % of that.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from loadtest.figures import Histogram
from notifier.change import Change

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

PATIENCE: Final = 3.0
"""Seconds after which a change without an answer counts as lost, and another one takes its place:
three times what the queue of a server with 3,200 cycles a second and 10,000 phones takes."""
LANES: Final = 4
"""Batches on their way to Redis at the same time."""


class PublishesMany(Protocol):
    """The part of ``notifier.Publisher`` that is used here."""

    async def publish_many(self, changes: Sequence[Change]) -> list[int]:
        """Record changes in one round trip."""


class Flood:
    """Changes the inboxes of random mailboxes, each again as soon as its phone has answered."""

    def __init__(
        self,
        publisher: PublishesMany,
        mailboxes: Sequence[str],
        rng: random.Random,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.answered = 0
        self.per_second = 0.0
        """Answers a second while changes were kept outstanding."""
        self.forgotten = 0
        """Changes that were not answered in time."""
        self.latency = Histogram()
        """From the choice of a mailbox to the answer of its phone."""
        self._publisher = publisher
        self._changes = [Change(one, "5", "Email") for one in mailboxes]
        self._rng = rng
        self._patience = patience
        self._outstanding: dict[int, float] = {}
        self._next: list[int] = []
        self._some = asyncio.Event()
        self._is_over = False

    def answer(self, mailbox: int) -> None:
        """Count an answer of the phone of that mailbox, and change another one.

        Args:
            mailbox: Its place among the mailboxes.
        """
        at = self._outstanding.pop(mailbox, None)
        if at is not None:
            self.answered += 1
            self.latency.record(monotonic() - at)
            if not self._is_over:
                self._choose()

    async def run(self, outstanding: int, seconds: float) -> None:
        """Keep changes outstanding for a while, then wait for the last answers."""
        for _ in range(min(outstanding, len(self._changes) // 2)):
            self._choose()
        until = monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            lanes = [group.create_task(self._lane()) for _ in range(LANES)]
            while monotonic() < until:
                await asyncio.sleep(0.1)
                self._forget(monotonic() - self._patience)
            self._is_over = True
            self.per_second = self.answered / seconds
            while self._outstanding:
                await asyncio.sleep(0.01)
                self._forget(monotonic() - self._patience)
            for lane in lanes:
                lane.cancel()

    def _choose(self) -> None:
        mailbox = self._rng.randrange(len(self._changes))
        while mailbox in self._outstanding:
            mailbox = self._rng.randrange(len(self._changes))
        self._outstanding[mailbox] = monotonic()
        self._next.append(mailbox)
        self._some.set()

    def _forget(self, before: float) -> None:
        for mailbox in [one for one, at in self._outstanding.items() if at < before]:
            del self._outstanding[mailbox]
            self.forgotten += 1
            if not self._is_over:
                self._choose()

    async def _lane(self) -> None:
        while True:
            await self._some.wait()
            batch, self._next = self._next, []
            self._some.clear()
            await self._publisher.publish_many([self._changes[one] for one in batch])
