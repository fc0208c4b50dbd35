"""Publishes the changes of one process at their intended times (an open model).

A slow backend does not move the next change, and a late one is not excused: the account counts
from the intended time.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest.generators.halt import Halt
from loadtest.phones.account import Change
from loadtest.phones.witness import TAG
from loadtest.publishers.publishing import PublishFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtest.figures import Figures
    from loadtest.phones.account import Account
    from loadtest.phones.fleet import Fleet
    from loadtest.profiles.schedule import Planned
    from loadtest.publishers.publishing import Publishes

LANES: Final = 64
"""Changes on their way to the backend at the same time."""
MAX_BEHIND: Final = 100_000
"""Changes that may wait for a lane before the plan itself stands still."""


class Publishing:
    """Performs a plan, and enters each change into the account. Make it in a running loop.

    Args:
        publisher: How the backend is told.
        fleet: Whose mailboxes change.
        account: Of the fleet's phones.
        figures: Where lateness and failures go.
        prefix: What the ids of the changes begin with; unique in the run.
    """

    def __init__(
        self,
        publisher: Publishes,
        fleet: Fleet,
        account: Account,
        figures: Figures,
        *,
        prefix: str,
    ) -> None:
        self._publisher = publisher
        self._fleet = fleet
        self._account = account
        self._figures = figures
        self._prefix = prefix
        self._number = 0
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue(MAX_BEHIND)
        self._halt = Halt()

    def stop(self) -> None:
        """Publish nothing more; ``run`` returns when what is on its way has arrived."""
        self._halt.call()

    async def run(self, planned: Iterable[Planned], start: float) -> None:
        """Publish a plan; returns when every change is published or given up.

        Args:
            planned: In the order of their offsets.
            start: Time of offset 0.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(self._lane())
            for one in planned:
                at = start + one.offset
                if not await self._halt.sleep_until(at):
                    break
                # A sleep that ended early must not date a change into the future.
                await self._queue.put(self._change(one, min(at, monotonic())))
            for _ in range(LANES):
                await self._queue.put(None)

    def _change(self, one: Planned, at: float) -> Change:
        self._number += 1
        return Change(
            f"{self._prefix}-{self._number}",
            one.mailbox,
            one.folder,
            at,
            has_tag=self._publisher.carries_tags,
        )

    async def _lane(self) -> None:
        while change := await self._queue.get():
            # What still waits for a lane at a stop was never published: nobody can miss it.
            if not self._halt.is_called:
                await self._publish(change)

    async def _publish(self, change: Change) -> None:
        self._figures.record("publish", max(0.0, monotonic() - change.at))
        self._account.publish(change, self._fleet.watchers(change.mailbox, change.watch))
        mailbox = self._fleet.population.mailbox_name(change.mailbox)
        try:
            await self._publisher.publish(mailbox, change.watch, TAG + change.id)
        except PublishFailedError as error:
            self._figures.errors[f"publish: {error.kind}"] += 1
            self._account.withdraw(change)
        else:
            change.recorded_at = monotonic()
