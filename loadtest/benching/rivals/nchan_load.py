"""The load process for Nchan: phones and publisher, told what to do by JSON lines.

The orders are those of ``loadtest.benching.load`` that make sense for Nchan, with the same names
and outcomes: ``gather``, ``arrive``, ``notify``, ``burst``, ``close``. Run it with ``python -m
loadtest.benching.rivals.nchan_load URL``.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import orjson
import uvloop

from loadtest.benching.beside import beside
from loadtest.benching.rivals import nchan_wire
from loadtest.benching.rivals.nchan_phones import Crowd, Round
from loadtest.benching.rivals.nchan_publisher import open_publisher
from loadtest.generators import processes
from loadtest.polling import poll
from loadtest.profiles import schedule
from loadtest.profiles.profile import Changes
from loadtest.targets import parse_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from loadtest.benching.rivals.nchan_publisher import Publisher
    from loadtest.targets import Target

HELD_WITHIN: Final = 20.0
"""Seconds beyond the ramp until nginx says that all phones are held."""
WITHIN: Final = 30.0
"""Seconds within which all phones of a burst must have their answers."""
GRACE: Final = 5.0
"""Seconds after the last change within which answers count."""
LOOK: Final = 0.1
"""Seconds from one look at phones that arrive to the next."""


class Load:
    """Performs the orders of a bench. Open it with ``open_load``.

    Args:
        target: nginx.
        publisher: Of the same nginx.
    """

    def __init__(self, target: Target, publisher: Publisher) -> None:
        self._target = target
        self._publisher = publisher
        self._crowd = Crowd(target)

    async def perform(self, order: dict[str, Any]) -> dict[str, Any]:
        """Perform one order.

        Args:
            order: ``do`` names it, the rest are its numbers; further ones say nothing here.

        Raises:
            ValueError: If it is none.
        """
        performing: Awaitable[dict[str, Any]]
        match order:
            case {"do": "gather" | "close"}:
                performing = self.close()
            case {"do": "arrive", "devices": devices, "rate": rate}:
                performing = self._arrive(devices, rate)
            case {"do": "notify", "rate": rate, "seconds": seconds, "seed": seed}:
                performing = self._notify(rate, seconds, random.Random(seed))
            case {"do": "burst"}:
                performing = self._burst()
            case _:
                raise ValueError(f"found the order {order}")
        return await performing

    async def close(self) -> dict[str, Any]:
        """Hang up all phones."""
        self._crowd.close()
        self._crowd = Crowd(self._target)
        gc.unfreeze()
        return {}

    async def _arrive(self, devices: int, rate: float) -> dict[str, Any]:
        """Let the next phones arrive, until nginx holds them."""
        crowd = self._crowd
        course: list[tuple[float, int]] = []
        start = monotonic()
        async with beside(_look_forever(crowd, course)):
            await crowd.arrive(devices, rate)
            held = await self._held()
        seconds = monotonic() - start
        gc.collect()
        gc.freeze()  # the phones stay: no collection has to look at them
        return {"held": held, "seconds": seconds, "course": course, "errors": self._errors()}

    async def _held(self) -> int:
        """Wait until nginx holds all phones that have arrived; return how many it does hold."""
        until = monotonic() + HELD_WITHIN
        held = await _subscribers(self._target)
        while held < self._crowd.arrived and monotonic() < until:
            await asyncio.sleep(LOOK)
            held = await _subscribers(self._target)
        return held

    async def _notify(self, rate: float, seconds: float, rng: random.Random) -> dict[str, Any]:
        """Change mailboxes as they are for the gateway; only the folder is not told."""
        round_ = self._crowd.round = Round()
        changes = Changes(rate=rate, folders=(("INBOX", 1.0),))
        mailboxes = self._crowd.arrived
        plan = schedule.plan(changes, duration=seconds, mailboxes=mailboxes, share=1.0, rng=rng)
        start, published = monotonic(), 0
        for one in plan:
            at = start + one.offset
            await asyncio.sleep(max(0.0, at - monotonic()))
            # A sleep that ended early must not date a change into the future.
            self._publish(one.mailbox, min(at, monotonic()))
            published += 1
        await asyncio.sleep(max(0.0, start + seconds - monotonic()))
        await poll(lambda: not round_.open, GRACE)
        return {
            "published": published,
            "lost": len(round_.open),
            "histogram": round_.latency.encode(),
            "errors": self._errors(),
        }

    async def _burst(self) -> dict[str, Any]:
        """Change the mailbox of each phone at once; all must hear of it."""
        phones = self._crowd.arrived
        round_ = self._crowd.round = Round()
        start = monotonic()
        for phone in range(phones):
            self._publish(phone, start)
        await poll(lambda: not round_.open, WITHIN)
        woken = phones - len(round_.open)
        return {"woken": woken, "last_s": round_.last - start, "errors": self._errors()}

    def _publish(self, mailbox: int, at: float) -> None:
        self._crowd.round.publish(mailbox, at)
        self._publisher.publish(mailbox)

    def _errors(self) -> dict[str, int]:
        """Return what went wrong since the last order."""
        found = self._crowd.errors + self._publisher.errors
        self._crowd.errors.clear()
        self._publisher.errors.clear()
        return dict(found)


async def _look_forever(crowd: Crowd, course: list[tuple[float, int]]) -> None:
    while True:
        course.append((monotonic(), crowd.waiting))
        await asyncio.sleep(LOOK)


async def _subscribers(target: Target) -> int:
    """Ask nginx how many polls it holds."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        writer.write(nchan_wire.STATUS)
        return nchan_wire.subscribers(await reader.read())
    finally:
        writer.close()


@asynccontextmanager
async def open_load(target: Target) -> AsyncIterator[Load]:
    """Open a load on an nginx, and hang up at the end."""
    async with open_publisher(target) as publisher:
        load = Load(target, publisher)
        try:
            yield load
        finally:
            await load.close()


async def serve(target: Target) -> None:
    """Perform the orders that come on standard input until it ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with open_load(target) as load:
        while order := await orders.readline():
            outcome = await load.perform(orjson.loads(order))
            print(orjson.dumps(outcome).decode(), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Serve one bench.

    Args:
        arguments: URL of nginx, which is on this machine.
    """
    (url,) = arguments
    processes.tune()
    uvloop.run(serve(parse_target(url)))


if __name__ == "__main__":
    main(sys.argv[1:])
