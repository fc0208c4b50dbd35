"""The load process of the bench: phones and publisher, told what to do by JSON lines.

It is a process of its own, so that the CPU of the load is never counted as the server's. Each
line on standard input is one order, each line on standard output its outcome; the end of the
input ends the process. Run it with ``python -m loadtest.benching.load URL REDIS_URL``.

Orders: ``gather`` makes phones that do nothing yet, ``arrive`` lets the next of them begin;
``notify`` changes mailboxes at a rate, ``saturate`` as fast as the phones answer, ``touch`` each
of them once; ``close`` hangs up.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import orjson
import uvloop

from loadtest.benching.flood import Flood
from loadtest.figures import Figures
from loadtest.generators import lag, processes
from loadtest.generators.publishing import Publishing
from loadtest.phones.account import Account
from loadtest.phones.connecting import Dialler, tls_context
from loadtest.phones.fleet import Fleet
from loadtest.phones.witness import Witness
from loadtest.polling import poll
from loadtest.profiles import schedule
from loadtest.profiles.population import populate
from loadtest.profiles.profile import Changes
from loadtest.profiles.users import Users
from loadtest.publishers import open_publisher
from loadtest.publishers.publishing import changed
from loadtest.scenario.commands import Habits, Watched
from loadtest.targets import default_sources, parse_target
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from loadtest.figures import Histogram
    from loadtest.phones.phone import Phone
    from loadtest.profiles.population import Population
    from loadtest.publishers.publishing import Publishes
    from loadtest.scenario.commands import Answer
    from loadtest.targets import Target

HELD_WITHIN: Final = 40.0
"""Seconds beyond the ramp until all phones are held."""
GRACE: Final = 5.0
"""Seconds after the last change within which answers count."""
KNOWN: Final = (Watched("5", "Email", "INBOX"), Watched("1", "Calendar", "Calendar"))
"""Folders of a phone that comes back: both servers have them."""
FOLDERS: Final = (("INBOX", 2.0), ("Calendar", 1.0))
"""Folders that change, with weights."""
TOUCHED_AT_ONCE: Final = 500
"""Changes of one round trip where all mailboxes are touched."""
_SLO: Final = 1.0
_MILLISECONDS: Final = 1000.0
_CHANGES: Final = 2
"""Status of a Ping answer that names changed folders. Source: [MS-ASCMD] 2.2.3.177.11."""


class Load:
    """Performs the orders of a bench. Open it with ``open_load``.

    Args:
        target: The server.
        backend: Publishes changes one by one, at their times.
        publisher: Publishes many at once.
    """

    def __init__(self, target: Target, backend: Publishes, publisher: Publisher) -> None:
        self._target = target
        self._backend = backend
        self._publisher = publisher
        self._stack = AsyncExitStack()
        self._gathered: _Party | None = None

    async def perform(self, order: dict[str, Any]) -> dict[str, Any]:
        """Perform one order.

        Args:
            order: ``do`` names it, the rest are its numbers.

        Raises:
            ValueError: If it is none, or one for phones while there are none.
        """
        match order:
            case {"do": "gather", "devices": int(), "per_user": _, "known": _, "heartbeat": [_, _]}:
                return await self._gather(order)
            case {"do": "arrive", "devices": devices, "rate": rate}:
                return await self._arrive(devices, rate)
            case {"do": "notify", "rate": rate, "seconds": seconds, "seed": seed}:
                return await self._notify(rate, seconds, random.Random(seed))
            case {"do": "saturate", "outstanding": outstanding, "seconds": seconds}:
                return await self._saturate(outstanding, seconds)
            case {"do": "touch"}:
                return await self._touch()
            case {"do": "close"}:
                return await self.close()
            case _:
                raise ValueError(f"found the order {order}")

    async def close(self) -> dict[str, Any]:
        """Hang up all phones."""
        await self._stack.aclose()
        self._gathered = None
        gc.unfreeze()
        return {}

    async def _gather(self, order: dict[str, Any]) -> dict[str, Any]:
        await self.close()
        rng = random.Random(1)
        users = Users(per_user=((order["per_user"], 1.0),))
        population = populate(users, devices=order["devices"], part=0, parts=1, rng=rng)
        habits = _habits(order["devices"], order["heartbeat"], known=order["known"], rng=rng)
        party = self._gathered = _Party(self._target, population, habits, rng)
        self._stack.push_async_callback(party.close)
        await self._stack.enter_async_context(_beside(party.fleet.sweep_forever()))
        return {}

    async def _arrive(self, devices: int, rate: float) -> dict[str, Any]:
        party = self._party
        fleet, first = party.fleet, party.arrived
        party.arrived += devices
        await fleet.arrive(range(first, party.arrived), devices / rate, monotonic())
        await poll(lambda: fleet.held >= party.arrived, HELD_WITHIN)
        gc.collect()
        gc.freeze()  # the phones stay: no collection has to look at them
        return {
            "held": fleet.held,
            "states": dict(+fleet.states),
            "errors": party.figures.take()["errors"],
        }

    async def _notify(self, rate: float, seconds: float, rng: random.Random) -> dict[str, Any]:
        party = self._party
        figures, account = party.figures, party.account
        publishing = Publishing(self._backend, party.fleet, account, figures, prefix="bench")
        mailboxes = party.fleet.population.mailboxes
        changes = Changes(rate=rate, folders=FOLDERS)
        plan = schedule.plan(changes, duration=seconds, mailboxes=mailboxes, share=1.0, rng=rng)
        figures.take()
        before, start = account.open, monotonic()
        async with _beside(lag.watch(figures)):
            await publishing.run(plan, start)
            await asyncio.sleep(max(0.0, start + seconds - monotonic()))
            await poll(lambda: account.open <= before, GRACE)
        return {
            "published": figures.counts["published"],
            "answered": figures.counts["received"],
            "lost": max(0, account.open - before),
            "spurious": figures.counts["spurious"],
            "pings": figures.counts["pings"],
            "latency": _latency(figures.histogram("notify")),
            "errors": dict(figures.errors),
            **_lag(figures),
        }

    async def _saturate(self, outstanding: int, seconds: float) -> dict[str, Any]:
        party = self._party
        names = map(party.fleet.population.mailbox_name, range(party.fleet.population.mailboxes))
        flood = party.witness.flood = Flood(self._publisher, list(names), random.Random(1))
        party.figures.take()
        cpu = time.process_time()
        async with _beside(lag.watch(party.figures)):
            await flood.run(outstanding, seconds)
        party.witness.flood = None
        return {
            "cycles": flood.answered,
            "forgotten": flood.forgotten,
            "cycles_per_second": flood.per_second,
            "latency": _latency(flood.latency),
            "load_us": (time.process_time() - cpu) / max(1, flood.answered) * 1e6,
            "errors": dict(party.figures.errors),
            **_lag(party.figures),
        }

    async def _touch(self) -> dict[str, Any]:
        """Change each folder of those that have arrived; their answers are not waited for."""
        party = self._party
        population = party.fleet.population
        mailboxes = population.mailbox_of(party.arrived - 1) + 1
        changes = [
            changed(population.mailbox_name(number), one.watch)
            for number in range(mailboxes)
            for one in KNOWN
        ]
        for first in range(0, len(changes), TOUCHED_AT_ONCE):
            await self._publisher.publish_many(changes[first : first + TOUCHED_AT_ONCE])
        return {}

    @property
    def _party(self) -> _Party:
        if self._gathered is None:
            raise ValueError("found an order for phones before they were gathered")
        return self._gathered


class _Party:
    """Phones, and what sees them."""

    def __init__(
        self, target: Target, population: Population, habits: Sequence[Habits], rng: random.Random
    ) -> None:
        self.arrived = 0
        self.figures = Figures()
        self.account = Account(population.devices, self.figures, slo=_SLO)
        self.witness = _Witness(self.figures, self.account, settle=0.0)
        # The certificate is one that this bench made for itself.
        tls = tls_context(authority=None, is_checked=False) if target.is_tls else None
        self._dialler = Dialler((target,), default_sources((target,)), tls, self.figures)
        self.fleet = Fleet(
            population,
            habits,
            dialler=self._dialler,
            witness=self.witness,
            errors=self.figures.errors,
            rng=rng,
        )

    async def close(self) -> None:
        """Hang up."""
        self.fleet.stop()
        await self._dialler.close()


class _Witness(Witness):
    """Also tells a flood of each change that reached a phone."""

    flood: Flood | None = None

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        super().answered(phone, answer, at)
        document = answer.document
        if self.flood is not None and document.root == "Ping" and document.status == _CHANGES:
            self.flood.answer(phone.number)  # its mailbox has no other phone


def _habits(
    devices: int, heartbeat: Sequence[int], *, known: bool, rng: random.Random
) -> list[Habits]:
    """Return those of each phone; equal ones are one object."""
    low, high = heartbeat
    each = {
        one: Habits(heartbeat=one, known=KNOWN if known else ()) for one in range(low, high + 1)
    }
    return [each[rng.randint(low, high)] for _ in range(devices)]


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something endless meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it failed: nothing else ends it


def _latency(histogram: Histogram) -> dict[str, float]:
    found = histogram.latency()
    return {
        "p50_ms": found.p50 * _MILLISECONDS,
        "p99_ms": found.p99 * _MILLISECONDS,
        "p999_ms": found.p999 * _MILLISECONDS,
        "max_ms": found.max * _MILLISECONDS,
    }


def _lag(figures: Figures) -> dict[str, float]:
    return {"lag_p99_ms": figures.histogram("lag").percentile(99) * _MILLISECONDS}


@asynccontextmanager
async def open_load(target: Target, redis_url: str) -> AsyncIterator[Load]:
    """Open a load on a server, and hang up at the end."""
    async with (
        open_publisher("redis", redis_url) as backend,
        Publisher.from_url(redis_url) as publisher,
    ):
        load = Load(target, backend, publisher)
        try:
            yield load
        finally:
            await load.close()


async def serve(target: Target, redis_url: str) -> None:
    """Perform the orders that come on standard input until it ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with open_load(target, redis_url) as load:
        while order := await orders.readline():
            outcome = await load.perform(orjson.loads(order))
            print(orjson.dumps(outcome).decode(), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Serve one bench.

    Args:
        arguments: URL of the server, which is on this machine, and Redis URL.
    """
    url, redis_url = arguments
    processes.tune()
    uvloop.run(serve(parse_target(url), redis_url))


if __name__ == "__main__":
    main(sys.argv[1:])
