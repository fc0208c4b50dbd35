"""The load process of the bench: phones and publisher, told what to do by JSON lines.

It is a process of its own, so that the CPU of the load is never counted as the server's. Each
line on standard input is one order, each line on standard output its outcome; the end of the
input ends the process. Run it with ``python -m loadtest.benching.load URL REDIS_URL``.

Orders: ``gather`` makes phones that do nothing yet, ``arrive`` lets the next of them begin, and
``tell`` says how they are; ``notify`` changes mailboxes at a rate, ``saturate`` as fast as the
phones answer, ``burst`` all of them back to back, ``touch`` each of them in vain; ``close`` hangs
up.
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

from loadtest.benching.beside import beside
from loadtest.benching.burst import Burst
from loadtest.benching.flood import Flood
from loadtest.benching.party import Party, habits
from loadtest.generators import lag, processes
from loadtest.generators.publishing import Publishing
from loadtest.polling import poll
from loadtest.profiles import schedule
from loadtest.profiles.population import populate
from loadtest.profiles.profile import Changes
from loadtest.profiles.users import Users
from loadtest.publishers import open_publisher
from loadtest.publishers.publishing import changed
from loadtest.scenario.commands import Watched
from loadtest.targets import parse_target
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from loadtest.figures import Figures, Histogram
    from loadtest.phones.fleet import Fleet
    from loadtest.publishers.publishing import Publishes
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
BURST_WITHIN: Final = 30.0
"""Seconds within which all phones of a burst must have their answers."""
LOOK: Final = 0.1
"""Seconds from one look at phones that arrive to the next."""
_MILLISECONDS: Final = 1000.0


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
        self._gathered: Party | None = None

    async def perform(self, order: dict[str, Any]) -> dict[str, Any]:
        """Perform one order.

        Args:
            order: ``do`` names it, the rest are its numbers.

        Raises:
            ValueError: If it is none, or one for phones while there are none.
        """
        performing: Awaitable[dict[str, Any]]
        match order:
            case {"do": "gather", "devices": int(), "per_user": _, "known": _, "heartbeat": [_, _]}:
                performing = self._gather(order)
            case {"do": "arrive", "devices": devices, "rate": rate}:
                performing = self._arrive(devices, rate)
            case {"do": "tell"}:
                performing = self._tell()
            case {"do": "notify", "rate": rate, "seconds": seconds, "seed": seed}:
                performing = self._notify(rate, seconds, random.Random(seed))
            case {"do": "saturate", "outstanding": outstanding, "seconds": seconds}:
                performing = self._saturate(outstanding, seconds)
            case {"do": "burst"}:
                performing = self._burst()
            case {"do": "touch"}:
                performing = self._touch()
            case {"do": "close"}:
                performing = self.close()
            case _:
                raise ValueError(f"found the order {order}")
        return await performing

    async def close(self) -> dict[str, Any]:
        """Hang up all phones."""
        await self._stack.aclose()
        self._gathered = None
        gc.unfreeze()
        return {}

    async def _gather(self, order: dict[str, Any]) -> dict[str, Any]:
        await self.close()
        rng, devices = random.Random(1), order["devices"]
        users = Users(per_user=((order["per_user"], 1.0),))
        part, parts = order.get("part", 0), order.get("parts", 1)
        population = populate(users, devices=devices, part=part, parts=parts, rng=rng)
        watched = KNOWN if order["known"] else ()
        each = habits(devices, order["heartbeat"], watched=watched, rng=rng)
        party = self._gathered = Party(self._target, population, each, rng)
        self._stack.push_async_callback(party.close)
        await self._stack.enter_async_context(beside(party.fleet.sweep_forever()))
        return {}

    async def _arrive(self, devices: int, rate: float) -> dict[str, Any]:
        party = self._party
        fleet, first = party.fleet, party.arrived
        party.arrived += devices
        course: list[tuple[float, int]] = []
        start = monotonic()
        async with beside(_look_forever(fleet, course)):
            over = devices / rate if rate else 0.0
            await fleet.arrive(range(first, party.arrived), over, start)
            await poll(lambda: fleet.held >= party.arrived, HELD_WITHIN)
        seconds = monotonic() - start
        gc.collect()
        gc.freeze()  # the phones stay: no collection has to look at them
        return {**await self._tell(), "seconds": seconds, "course": course}

    async def _tell(self) -> dict[str, Any]:
        """Say how the phones are, and what went wrong since the last order."""
        fleet, errors = self._party.fleet, self._party.figures.take()["errors"]
        return {"held": fleet.held, "states": dict(+fleet.states), "errors": errors}

    async def _notify(self, rate: float, seconds: float, rng: random.Random) -> dict[str, Any]:
        party = self._party
        figures, account = party.figures, party.account
        publishing = Publishing(self._backend, party.fleet, account, figures, prefix="bench")
        mailboxes = party.fleet.population.mailboxes
        changes = Changes(rate=rate, folders=FOLDERS)
        plan = schedule.plan(changes, duration=seconds, mailboxes=mailboxes, share=1.0, rng=rng)
        figures.take()
        before, start = account.open, monotonic()
        async with beside(lag.watch(figures)):
            await publishing.run(plan, start)
            await asyncio.sleep(max(0.0, start + seconds - monotonic()))
            await poll(lambda: account.open <= before, GRACE)
        histogram = figures.histogram("notify")
        return {
            "published": figures.counts["published"],
            "answered": figures.counts["received"],
            "lost": max(0, account.open - before),
            "spurious": figures.counts["spurious"],
            "pings": figures.counts["pings"],
            "latency": _latency(histogram),
            "histogram": histogram.encode(),
            "errors": dict(figures.errors),
            **_lag(figures),
        }

    async def _saturate(self, outstanding: int, seconds: float) -> dict[str, Any]:
        party = self._party
        names = map(party.fleet.population.mailbox_name, range(party.fleet.population.mailboxes))
        flood = Flood(self._publisher, list(names), random.Random(1))
        # A mailbox has no other phone: what one is told is the answer to its mailbox's change.
        party.witness.tell = lambda phone, _: flood.answer(phone)
        party.figures.take()
        cpu = time.process_time()
        async with beside(lag.watch(party.figures)):
            await flood.run(outstanding, seconds)
        party.witness.tell = None
        return {
            "cycles": flood.answered,
            "forgotten": flood.forgotten,
            "cycles_per_second": flood.per_second,
            "latency": _latency(flood.latency),
            "load_us": (time.process_time() - cpu) / max(1, flood.answered) * 1e6,
            "errors": dict(party.figures.errors),
            **_lag(party.figures),
        }

    async def _burst(self) -> dict[str, Any]:
        """Change one folder of each mailbox at once; all that have arrived must hear of it."""
        party = self._party
        changes = [changed(name, KNOWN[0].watch) for name in party.mailboxes()]
        burst = Burst(self._publisher, changes, party.arrived)
        party.figures.take()
        party.witness.tell = burst.answer
        await burst.run(BURST_WITHIN)
        party.witness.tell = None
        await poll(lambda: party.fleet.held >= party.arrived, GRACE)
        return {**await self._tell(), **burst.outcome()}

    async def _touch(self) -> dict[str, Any]:
        """Change each folder of those that have arrived; their answers are not waited for."""
        changes = [changed(name, one.watch) for name in self._party.mailboxes() for one in KNOWN]
        for first in range(0, len(changes), TOUCHED_AT_ONCE):
            await self._publisher.publish_many(changes[first : first + TOUCHED_AT_ONCE])
        return {}

    @property
    def _party(self) -> Party:
        if self._gathered is None:
            raise ValueError("found an order for phones before they were gathered")
        return self._gathered


async def _look_forever(fleet: Fleet, course: list[tuple[float, int]]) -> None:
    while True:
        course.append((monotonic(), fleet.held))
        await asyncio.sleep(LOOK)


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
