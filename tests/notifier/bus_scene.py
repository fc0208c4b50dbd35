"""What tests of the bus share: a listener that keeps what it is told, and ways to wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from notifier.bus import Bus, BusConfig
from notifier.change import channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from redis.asyncio import Redis

# The beat of a test: everything that takes seconds in earnest happens within a few of these.
QUICK = BusConfig(ping_every=0.02, backoff_max=0.1)
IMPATIENT = BusConfig(ping_every=0.02, pong_within=0.2, connect_within=0.2, backoff_max=0.1)
SHORT_LINGER = BusConfig(linger=0.0, ping_every=0.02)


class Recorder:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, bytes]] = []
        self.confirmations: list[str] = []
        self.unheard_of: list[str] = []
        self.losses = 0

    def hinted(self, mailbox: str, payload: bytes) -> None:
        self.hints.append((mailbox, payload))

    def confirmed(self, mailboxes: Sequence[str]) -> None:
        self.confirmations.extend(mailboxes)

    def unheard(self, mailboxes: Sequence[str]) -> None:
        self.unheard_of.extend(mailboxes)

    def disconnected(self) -> None:
        self.losses += 1


@contextlib.asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_true(condition: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110  # Redis tells of no such event
            await asyncio.sleep(0.005)


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await until_true(holds)


async def subscribers(redis: Redis, mailbox: str) -> int:
    ((_, count),) = await redis.pubsub_numsub(channel(mailbox))
    return int(count)


async def calls(redis: Redis, command: str) -> int:
    stats = await redis.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def kill_connections(redis: Redis) -> None:
    await redis.client_kill_filter(_type="pubsub")


async def confirmed(listener: Recorder, count: int) -> None:
    await until(lambda: len(listener.confirmations) >= count)


async def until_beaten(redis: Redis, beats: int = 3) -> None:
    """Let the bus send some PINGs, and with each give up what has lingered enough."""
    before = await calls(redis, "ping")

    async def beaten() -> bool:
        return await calls(redis, "ping") - before >= beats

    await until_true(beaten)
