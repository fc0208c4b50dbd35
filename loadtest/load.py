"""The load process of the bench: phones and publisher, told what to do by JSON lines.

It is a process of its own, so that the CPU of the load is never counted as the server's. Each
line on standard input is one order, each line on standard output its outcome; the end of the
input ends the process. Run it with ``python -m loadtest.load PORT REDIS_URL``.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import orjson
import uvloop

from loadtest import fleet, lag
from loadtest.account import Account
from loadtest.backend import Backend, plan
from loadtest.fleet import Target
from loadtest.flood import Flood
from loadtest.polling import poll
from loadtest.scenario import Habits
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtest.account import Histogram
    from loadtest.device import Phone
    from loadtest.fleet import Fleet
    from loadtest.scenario import Answer

HELD_WITHIN: Final = 40.0
"""Seconds beyond the ramp until all phones are held."""
GRACE: Final = 5.0
_CHANGES: Final = 2
"""Status of a Ping answer that names changed folders. Source: [MS-ASCMD] 2.2.3.177.11."""


class Load:
    """Performs the orders of a bench."""

    def __init__(self, target: Target, publisher: Publisher) -> None:
        self._target = target
        self._publisher = publisher
        self._stack = AsyncExitStack()
        self._fleet: Fleet | None = None
        self._account: Account | None = None
        self._flood: Flood | None = None

    async def perform(self, order: dict[str, Any]) -> dict[str, Any]:
        """Perform one order.

        Args:
            order: ``do`` names it, the rest are its numbers.
        """
        match order:
            case {"do": "open", "devices": devices, "rate": rate, "known": known}:
                return await self._open(Habits(knows_folders=known), devices, rate)
            case {"do": "notify", "rate": rate, "seconds": seconds, "seed": seed}:
                return await self._notify(rate, seconds, random.Random(seed))
            case {"do": "saturate", "outstanding": outstanding, "seconds": seconds}:
                return await self._saturate(outstanding, seconds)
            case {"do": "close"}:
                return await self.close()
            case _:
                raise ValueError(f"found the order {order}")

    async def close(self) -> dict[str, Any]:
        """Hang up all phones."""
        await self._stack.aclose()
        self._fleet = None
        return {}

    async def _open(self, habits: Habits, devices: int, rate: float) -> dict[str, Any]:
        phones = await self._stack.enter_async_context(fleet.run(self._target, self._take))
        self._fleet = phones
        phones.add(itertools.repeat(habits, devices), rate)
        await poll(lambda: phones.held >= devices, devices / rate + HELD_WITHIN)
        gc.collect()
        gc.freeze()  # the phones stay: no collection has to look at them
        return {"held": phones.held, "states": phones.states, "errors": phones.errors}

    async def _notify(self, rate: float, seconds: float, rng: random.Random) -> dict[str, Any]:
        phones = self._phones()
        account = self._account = Account(
            {phone.who.mailbox: (phone.who.device,) for phone in phones.phones}
        )
        backend = Backend(self._publisher, account, phones.errors)
        async with lag.watch() as lags:
            await backend.run(plan(rate, seconds, list(account.devices), rng))
            await poll(lambda: not account.open, GRACE)
        self._account = None
        return {
            "published": account.published,
            "answered": account.answered,
            "lost": account.open,
            "spurious": account.spurious,
            "latency": asdict(account.latency.latency()),
            "errors": phones.errors,
            **_lags(lags),
        }

    async def _saturate(self, outstanding: int, seconds: float) -> dict[str, Any]:
        phones = self._phones()
        flood = self._flood = Flood(
            self._publisher, [phone.who.mailbox for phone in phones.phones], random.Random(1)
        )
        cpu = time.process_time()
        async with lag.watch() as lags:
            await flood.run(outstanding, seconds)
        self._flood = None
        return {
            "cycles": flood.answered,
            "forgotten": flood.forgotten,
            "cycles_per_second": flood.per_second,
            "latency": asdict(flood.latency.latency()),
            "load_us": (time.process_time() - cpu) / max(1, flood.answered) * 1e6,
            "errors": phones.errors,
            **_lags(lags),
        }

    def _take(self, phone: Phone, answer: Answer, waited: float, at: float) -> None:
        del waited
        if answer.status != _CHANGES:
            return
        who = phone.who
        if self._account is not None:
            self._account.answer(who.mailbox, who.device, answer.folders, at)
        elif self._flood is not None:
            self._flood.answer(who.mailbox)

    def _phones(self) -> Fleet:
        if self._fleet is None:
            raise ValueError("found an order for phones before they are open")
        return self._fleet


def _lags(lags: Histogram) -> dict[str, float]:
    return {"lag_p99_ms": lags.percentile_ms(99)}


async def serve(target: Target, redis_url: str) -> None:
    """Perform the orders that come on standard input until it ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with Publisher.from_url(redis_url) as publisher:
        load = Load(target, publisher)
        try:
            while order := await orders.readline():
                outcome = await load.perform(orjson.loads(order))
                print(orjson.dumps(outcome).decode(), flush=True)
        finally:
            await load.close()


def main(arguments: Sequence[str]) -> None:
    """Serve one bench.

    Args:
        arguments: Port of the server on 127.0.0.1, Redis URL.
    """
    port, redis_url = arguments
    uvloop.run(serve(Target("127.0.0.1", int(port)), redis_url))


if __name__ == "__main__":
    main(sys.argv[1:])
