"""Several load processes that share the phones of a bench, and act as one.

A process may open 20,000 files here, so more phones need more processes. Each plays a part of the
same population: no two have the same mailbox.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from loadtest.benching import load_process
from loadtest.figures import Histogram
from loadtest.profiles.population import divide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from loadtest.targets import Target

HEARTBEAT: Final = (480, 480)
"""Seconds, lowest and highest of all phones: longer than they are held before a restart ends it."""


class Performs(Protocol):
    """The part of ``LoadProcess`` that is used here."""

    @property
    def pid(self) -> int:
        """Its id."""

    async def perform(self, do: str, **numbers: object) -> dict[str, Any]:
        """Have an order performed."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the phones are."""

    held: int
    """Those that wait, as they see it: their Ping is on the wire."""
    errors: Counter[str]
    """What went wrong since the last order, by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """What came of changes at a rate."""

    published: int
    answered: int
    lost: int
    latency: Histogram
    """From a change's intended time to its answer."""
    errors: Counter[str]
    """By kind."""
    lag_ms: float
    """How late the event loop of the latest process was, 99th percentile."""


class Crew:
    """Load processes, each with its part of the phones. Start one with ``start``.

    Args:
        members: At least one.
    """

    def __init__(self, members: Sequence[Performs]) -> None:
        self._members = tuple(members)
        self._arrived = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the processes."""
        return tuple(one.pid for one in self._members)

    async def gather(self, devices: int, *, known: bool) -> None:
        """Make phones, instead of those of before.

        Args:
            devices: How many in all; each has a mailbox of its own.
            known: They know their folders from before, and begin with their Ping.
        """
        self._arrived = 0
        parts = len(self._members)
        usual = {"known": known, "per_user": 1, "heartbeat": HEARTBEAT, "parts": parts}
        shares = divide(devices, parts)
        await self._perform(
            "gather",
            [{**usual, "devices": share, "part": part} for part, share in enumerate(shares)],
        )

    async def arrive(self, devices: int, rate: float) -> Told:
        """Let the next phones arrive, and wait until all are held, though not for ever.

        Args:
            devices: How many of those gathered.
            rate: Phones a second, of all processes together.
        """
        parts = len(self._members)
        before = divide(self._arrived, parts)
        self._arrived += devices
        after = divide(self._arrived, parts)
        shares = [more - less for less, more in zip(before, after, strict=True)]
        numbers = [{"devices": share, "rate": rate / parts} for share in shares]
        return _told(await self._perform("arrive", numbers))

    async def tell(self) -> Told:
        """Ask how the phones are."""
        return _told(await self._perform_all("tell"))

    async def notify(self, rate: float, seconds: float, seed: int) -> Notified:
        """Change mailboxes, and wait for the answers.

        Args:
            rate: Changes a second, of all processes together.
            seconds: For how long.
            seed: Of the dice; each process has some of its own, so as not to publish in step.
        """
        parts = len(self._members)
        usual = {"rate": rate / parts, "seconds": seconds}
        return _notified(
            await self._perform(
                "notify", [{**usual, "seed": seed * parts + part} for part in range(parts)]
            )
        )

    async def close(self) -> None:
        """Hang up all phones."""
        await self._perform_all("close")

    async def _perform_all(self, do: str) -> list[dict[str, Any]]:
        return await self._perform(do, [{} for _ in self._members])

    async def _perform(self, do: str, each: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        pairs = zip(self._members, each, strict=True)
        return await asyncio.gather(*(one.perform(do, **numbers) for one, numbers in pairs))


@asynccontextmanager
async def start(count: int, target: Target, redis_url: str, directory: Path) -> AsyncIterator[Crew]:
    """Run load processes for a server.

    Args:
        count: How many processes.
        target: The server.
        redis_url: The Valkey that it listens to.
        directory: For their log files.
    """
    async with AsyncExitStack() as stack:
        members = []
        for part in range(count):
            own = directory / f"load-{part}"
            own.mkdir()
            one = load_process.start(target, redis_url, own)
            members.append(await stack.enter_async_context(one))
        yield Crew(members)


def _told(outcomes: Sequence[dict[str, Any]]) -> Told:
    return Told(_total(outcomes, "held"), _errors(outcomes))


def _notified(outcomes: Sequence[dict[str, Any]]) -> Notified:
    latency = Histogram()
    for one in outcomes:
        latency.add(Histogram.decode(one["histogram"]))
    return Notified(
        published=_total(outcomes, "published"),
        answered=_total(outcomes, "answered"),
        lost=_total(outcomes, "lost"),
        latency=latency,
        errors=_errors(outcomes),
        lag_ms=max(one["lag_p99_ms"] for one in outcomes),
    )


def _total(outcomes: Sequence[dict[str, Any]], key: str) -> int:
    return sum(one[key] for one in outcomes)


def _errors(outcomes: Sequence[dict[str, Any]]) -> Counter[str]:
    return sum((Counter(one["errors"]) for one in outcomes), Counter[str]())
