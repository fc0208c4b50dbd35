"""One run: phones come, wait, changes are published, and the account is closed.

The runner knows neither how the servers were started nor how its progress is shown.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import fleet, lag, measure, wire
from loadtest.account import Account
from loadtest.backend import Backend, plan
from loadtest.polling import poll
from loadtest.report import Memory, Snapshot
from loadtest.scenario import Ping
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtest.account import Histogram
    from loadtest.device import Phone
    from loadtest.fleet import Fleet, Target
    from loadtest.profile import Profile
    from loadtest.scenario import Answer
    from loadtest.view import Screen

WARM: Final = 50
"""Phones that come before the server's memory is read the first time: what a server loads and
caches at its first requests is not the price of a phone."""
HELD_WITHIN: Final = 8.0
"""Seconds beyond the ramp until every phone must be held for the changes to begin."""
_LOOK: Final = 0.05
_WEIGH_EVERY: Final = 5.0
"""Seconds between readings of the gateway's memory: each costs this process some milliseconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place."""

    target: Target
    redis_url: str
    gateway: int | None = None
    """Root of the gateway's process tree, if its memory is to be read."""
    check: Callable[[], None] = lambda: None
    """Raises when the gateway is gone."""


class Run:
    """A profile performed at a place."""

    def __init__(self, profile: Profile, place: Place, screen: Screen) -> None:
        self.profile = profile
        self.account = Account(
            {who.mailbox: (who.device,) for who in map(wire.identity, range(profile.devices))}
        )
        self._place = place
        self._screen = screen
        self._memory = Memory()
        self._stopped = asyncio.Event()
        self._backend: Backend | None = None
        self._started_at = self._publishing_at = monotonic()
        self._is_publishing = False

    def stop(self) -> None:
        """Ramp down now; ``perform`` closes the account and returns."""
        self._stopped.set()
        if self._backend:
            self._backend.stop()

    async def perform(self) -> Snapshot:
        """Run to the end and return the last state.

        Raises:
            ServerError: If the gateway went away, from the place's ``check``.
        """
        async with AsyncExitStack() as stack:
            lags = await stack.enter_async_context(lag.watch())
            publisher = await stack.enter_async_context(Publisher.from_url(self._place.redis_url))
            phones = await stack.enter_async_context(fleet.run(self._place.target, self._take))
            backend = self._backend = Backend(publisher, self.account, phones.errors)
            progress = asyncio.create_task(self._report(phones, lags), name="progress")
            try:
                await self._open(phones)
                await self._publish(backend)
                await self._settle()
            finally:
                gc.unfreeze()
                progress.cancel()
                await asyncio.wait([progress])
            if not progress.cancelled():
                progress.result()  # it failed: nothing else ends it
            await self._weigh(phones)
            self._place.check()
            return self._snapshot(phones, lags)

    async def _open(self, phones: Fleet) -> None:
        habits = self.profile.habits()
        ramp = self.profile.ramp
        phones.add(itertools.islice(habits, WARM), ramp)
        await self._hold(phones)
        self._memory = Memory(await self._read_memory(), len(phones.phones))
        phones.add(habits, ramp)
        await self._hold(phones)
        await self._weigh(phones)
        # The phones stay: without them, a full collection stops the loop for a moment only.
        gc.freeze()

    async def _hold(self, phones: Fleet) -> None:
        """Wait until all phones are held, and a moment longer; or until patience ends."""
        until = monotonic() + len(phones.phones) / self.profile.ramp + HELD_WITHIN
        calm_at = monotonic() + self.profile.calm
        while monotonic() < min(until, calm_at) and not self._stopped.is_set():
            self._place.check()
            await asyncio.sleep(_LOOK)
            if phones.held < len(phones.phones):
                calm_at = monotonic() + self.profile.calm

    async def _publish(self, backend: Backend) -> None:
        if self._stopped.is_set():
            return
        rng = random.Random(self.profile.seed)
        planned = plan(self.profile.rate, self.profile.duration, list(self.account.devices), rng)
        self._publishing_at = monotonic()
        self._is_publishing = True
        await backend.run(planned)
        self._is_publishing = False

    async def _settle(self) -> None:
        """Wait for the answers that are still on their way."""
        await poll(lambda: not self.account.open, self.profile.grace)
        await asyncio.sleep(_LOOK)  # answers too many are looked for as well

    def _take(self, phone: Phone, answer: Answer, waited: float, at: float) -> None:
        if not isinstance(phone.command, Ping):
            return
        if answer.status == 2:  # noqa: PLR2004 - [MS-ASCMD] 2.2.3.177.11: changes
            who = phone.who
            self.account.answer(who.mailbox, who.device, answer.folders, at)
        elif answer.status == 1:
            self.account.heartbeats.add(phone.command.heartbeat, waited)

    async def _report(self, phones: Fleet, lags: Histogram) -> None:
        weighed_at = 0.0
        while True:
            if monotonic() >= weighed_at + _WEIGH_EVERY:
                weighed_at = monotonic()
                await self._weigh(phones)
            self._screen.show(self._snapshot(phones, lags))
            await asyncio.sleep(self._screen.interval)

    async def _weigh(self, phones: Fleet) -> None:
        self._memory = self._memory.at(await self._read_memory(), phones.held)

    async def _read_memory(self) -> int | None:
        if self._place.gateway is None:
            return None
        # The kernel walks all pages of the tree for this; the loop must not wait for it.
        return await asyncio.to_thread(measure.memory_bytes, self._place.gateway)

    def _snapshot(self, phones: Fleet, lags: Histogram) -> Snapshot:
        now = monotonic()
        account = self.account
        return Snapshot(
            elapsed=now - self._started_at,
            publishing=now - self._publishing_at if self._is_publishing else 0.0,
            rate=self.profile.rate,
            states=+phones.states,
            published=account.published,
            answered=account.answered,
            open=account.open,
            lost=tuple(account.uncovered()),
            spurious=account.spurious,
            duplicates=account.duplicates,
            latency=account.latency.latency(),
            heartbeats=account.heartbeats,
            errors=+phones.errors,
            lag_ms=lags.percentile_ms(99),
            memory=self._memory,
        )
