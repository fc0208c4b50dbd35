"""A server under test: its Valkey, the load process beside it, and the readings from outside.

Memory and CPU are those of the server's whole process tree.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from loadtest import process
from loadtest.benching import load_process
from loadtest.benching.beside import beside
from loadtest.benching.load_process import LoadError
from loadtest.benching.rows import Sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from loadtest.benching.load_process import LoadProcess
    from loadtest.servers import Redis, Server

    Start = Callable[[Redis, Path], AbstractAsyncContextManager[Server]]
    """Starts a server that listens to a Valkey and logs into a directory."""

RAMP: Final = 2500.0
"""Phones a second."""
UNPACED: Final = 0.0
"""In place of phones a second: as fast as the load process connects, at most 512 at once."""
SAMPLED: Final = 0.5
"""Seconds from one sample of a server to the next while phones arrive."""
WARM: Final = 50
"""Phones that come and go before the first reading: the first requests load what all need."""
WARM_RATE: Final = 100.0
OUTSTANDING: Final = 500
"""Changes that are kept outstanding at saturation."""
CALM_WITHIN: Final = 15.0
_CALM: Final = 0.02
"""CPU seconds a second below which a server is calm."""
WINDOW: Final = 0.5
"""Seconds of one look at whether a server is calm."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of phones that arrived."""

    held: int
    """All phones that wait now."""
    cpu: float
    """CPU seconds of the server until it rested."""
    seconds: float
    """From the first phone until all were held."""
    samples: tuple[Sample, ...]
    """Taken meanwhile, and the last one at rest."""


@dataclass(frozen=True, slots=True)
class Rest:
    """CPU seconds in a second in which nothing happens."""

    cpu: float
    redis_cpu: float


@dataclass(frozen=True, slots=True)
class Used:
    """What came of a load, and what it took."""

    outcome: dict[str, Any]
    """As the load process tells it."""
    cpu: float
    """CPU seconds of the server."""
    redis_cpu: float
    """CPU seconds of Valkey."""
    seconds: float
    """How long it took."""


class Bed:
    """One server under test. Make it with ``make``."""

    def __init__(self, server: Server, redis: Redis, load: LoadProcess, window: float) -> None:
        self.server = server
        self.redis = redis
        self._load = load
        self._window = window

    async def gather(
        self,
        devices: int,
        *,
        known: bool = True,
        per_user: int = 1,
        heartbeat: tuple[int, int] = (480, 480),
    ) -> None:
        """Make phones, instead of those of before.

        Args:
            devices: How many.
            known: They know their folders from before, and begin with their Ping.
            per_user: Phones of a mailbox.
            heartbeat: Seconds, lowest and highest; each phone draws its own.
        """
        await self._load.perform(
            "gather", devices=devices, known=known, per_user=per_user, heartbeat=heartbeat
        )

    async def arrive(self, devices: int, rate: float = RAMP) -> Arrived:
        """Let the next phones arrive and the server come to rest.

        Args:
            devices: How many of those gathered.
            rate: Phones a second, or ``UNPACED``.

        Raises:
            LoadError: If none was held.
        """
        before = self.cpu()
        readings: list[tuple[float, int, float]] = []
        async with beside(self._read_forever(readings)):
            opened = await self._load.perform("arrive", devices=devices, rate=rate)
        if not opened["held"]:
            raise LoadError(f"{self.server.name} held no phone: {opened}")
        after = await self.calm()
        course = opened["course"]
        samples = [Sample(held_at(course, at), memory, cpu) for at, memory, cpu in readings]
        samples.append(Sample(opened["held"], self.memory(), after))
        return Arrived(opened["held"], after - before, opened["seconds"], tuple(samples))

    async def warm_up(self, *, known: bool = True, devices: int = WARM) -> None:
        """Let some phones come, be woken, and go."""
        await self.gather(devices, known=known)
        await self._load.perform("arrive", devices=devices, rate=RAMP)
        await asyncio.sleep(self._window)
        await self._load.perform("notify", rate=WARM_RATE, seconds=2 * self._window, seed=0)
        await self._load.perform("close")
        await self.calm()

    async def notify(self, rate: float, seconds: float) -> Used:
        """Change mailboxes at a rate; the outcome has what the phones saw."""
        return await self._use("notify", rate=rate, seconds=seconds, seed=1)

    async def saturate(self, seconds: float, outstanding: int = OUTSTANDING) -> Used:
        """Change mailboxes as fast as the phones answer; the outcome has the counts."""
        await self.calm()
        return await self._use("saturate", outstanding=outstanding, seconds=seconds)

    async def burst(self) -> Used:
        """Change each mailbox once, back to back; the outcome has how long all took to hear."""
        await self.calm()
        return await self._use("burst")

    async def touch(self) -> None:
        """Change each folder of the phones that have arrived, and wait until the server rests."""
        await self._load.perform("touch")
        await self.calm()

    async def idle(self, seconds: float) -> Rest:
        """Do nothing for some seconds; return what one of them took."""
        start, cpu, redis_cpu = monotonic(), self.cpu(), self.redis_cpu()
        await asyncio.sleep(seconds)
        passed = monotonic() - start
        return Rest((self.cpu() - cpu) / passed, (self.redis_cpu() - redis_cpu) / passed)

    async def calm(self) -> float:
        """Wait until the server rests; return its CPU time."""
        until = monotonic() + CALM_WITHIN
        calm, last = 0, self.cpu()
        while calm < 2 and monotonic() < until:  # noqa: PLR2004 - twice in a row is no accident
            await asyncio.sleep(self._window)
            used, last = self.cpu() - last, self.cpu()
            calm = calm + 1 if used < _CALM * self._window else 0
        return last

    def memory(self) -> int:
        """Return the user memory of the server in bytes."""
        self.server.check()
        return _memory(self.server.pid)

    def redis_memory(self) -> int:
        """Return the user memory of Valkey in bytes."""
        return _memory(self.redis.pid)

    def load_memory(self) -> int:
        """Return the user memory of the load process in bytes."""
        return _memory(self._load.pid)

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        self.server.check()
        return process.cpu_seconds(self.server.pid) or 0.0

    def redis_cpu(self) -> float:
        """Return the CPU seconds that Valkey has used."""
        return process.cpu_seconds(self.redis.pid) or 0.0

    async def _read_forever(self, readings: list[tuple[float, int, float]]) -> None:
        while True:
            readings.append((monotonic(), self.memory(), self.cpu()))
            await asyncio.sleep(SAMPLED)

    async def _use(self, do: str, **numbers: float) -> Used:
        start, cpu, redis_cpu = monotonic(), self.cpu(), self.redis_cpu()
        outcome = await self._load.perform(do, **numbers)
        return Used(outcome, self.cpu() - cpu, self.redis_cpu() - redis_cpu, monotonic() - start)


@asynccontextmanager
async def make(
    start: Start, redis: Redis, directory: Path, *, tls: bool = False, window: float = WINDOW
) -> AsyncIterator[Bed]:
    """Start a server and a load process for it.

    Args:
        start: Starts the server.
        redis: The Valkey that it listens to.
        directory: For log files.
        tls: Phones speak TLS with it, and trust any certificate.
        window: Seconds of one look at whether the server is calm.

    Raises:
        ServerError: If the server does not start.
    """
    async with start(redis, directory) as server:
        target = replace(server.target, is_tls=tls)
        async with load_process.start(target, redis.url, directory) as load:
            yield Bed(server, redis, load, window)


def held_at(course: Sequence[tuple[float, int]], at: float) -> int:
    """Return how many phones were held at a time, in a line from one look to the next.

    Args:
        course: Time and phones held, in order; not empty.
        at: A time of the same clock. The monotonic clock is one for all processes of a host.
    """
    after = bisect_right(course, at, key=lambda look: look[0])
    if after in {0, len(course)}:
        return course[min(after, len(course) - 1)][1]
    (begun, few), (ended, many) = course[after - 1], course[after]
    return few + round((many - few) * (at - begun) / (ended - begun))


def _memory(pid: int) -> int:
    found = process.memory_bytes(pid)
    if found is None:
        raise LoadError(f"the memory of process {pid} cannot be read")
    return found
