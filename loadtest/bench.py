"""The bench: what a held Ping, a Ping cycle and an idle second cost, gateway and rival alike.

Each server runs alone with a fresh Valkey, and gets the same load from a process of its own. Its
memory and CPU are read from outside, for its whole process tree.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtest import fleet, measure, servers
from loadtest.leash import leashed
from loadtest.profile import Profile

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from loadtest.servers import Redis, Server

    Start = Callable[[Redis, Path], AbstractAsyncContextManager[Server]]
    """Starts a server that listens to a Valkey and logs into a directory."""

RAMP: Final = 2500.0
"""Phones a second."""
WARM: Final = 50
"""Phones that come and go before the first reading: the first requests load what all need."""
OUTSTANDING: Final = 500
"""Changes that are kept outstanding meanwhile."""
CALM_WITHIN: Final = 15.0
_CALM: Final = 0.02
"""CPU seconds a second below which a server is calm."""
_WINDOW: Final = 0.5
_ORDER_WITHIN: Final = 120.0
"""Seconds until the load process must have performed an order, beside the order's own time."""


class LoadError(RuntimeError):
    """The load process failed, or this system cannot be measured."""


@dataclass(frozen=True, slots=True)
class Size:
    """How big a bench is.

    Raises:
        ValueError: If a number is out of its range.
    """

    devices: int
    rate: float
    """Changes a second of the notify phase."""
    seconds: float
    """Length of the notify phase."""
    idle: float = 5.0
    """Seconds of doing nothing."""
    saturation: float = 5.0
    """Seconds of as many changes as the phones can answer."""

    def __post_init__(self) -> None:
        Profile(name="bench", devices=self.devices, duration=self.seconds, rate=self.rate)
        fleet.check_files(self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of one server."""

    name: str
    asked: int
    """Phones that were opened."""
    new: int
    """New phones that were held; fewer mean that the server did not take them in time."""
    held: int
    """Phones that came back and were held."""
    empty_bytes: int
    """User memory (PSS) of the warm server without phones."""
    held_bytes: float
    """User memory for each held Ping."""
    first_us: float
    """CPU to accept a new phone, answer its FolderSync and hold its first Ping."""
    park_us: float
    """CPU to accept a phone that comes back, and hold its Ping."""
    idle_ms: float
    """CPU in one idle second, milliseconds."""
    notify: dict[str, Any]
    """Counts and latencies of the notify phase, as the load process saw them."""
    wake_us: float
    """CPU for one change at the notify rate: wake, answer, next Ping; idle CPU taken off."""
    saturation: dict[str, Any]
    """Counts of the saturation phase."""
    cycle_us: float
    """CPU for one change under saturation."""
    redis_us: float
    """CPU of Valkey for one change under saturation."""

    @property
    def busy(self) -> float:
        """CPU seconds a second of the server under saturation."""
        return self.cycle_us / 1e6 * float(self.saturation["cycles_per_second"])


async def perform(size: Size, say: Callable[[str], None]) -> list[Result]:
    """Measure the gateway, then the rival.

    Args:
        size: How many phones and changes.
        say: Called with one line per phase.

    Raises:
        ServerError: If a server does not start.
        LoadError: If the load process fails, or nothing can be measured here.
    """
    if measure.memory_bytes(os.getpid()) is None:
        raise LoadError("memory and CPU of processes cannot be read here: this needs Linux")
    return [await _measure(size, start, say) for start in (_gateway, _rival)]


async def _measure(size: Size, start: Start, say: Callable[[str], None]) -> Result:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        directory = Path(name)
        async with servers.valkey(directory) as redis:
            async with _bench(size, start, redis, directory, say) as bench:
                new, first = await bench.pair()
            async with _bench(size, start, redis, directory, say) as bench:
                return await bench.measure(new, first)


def _gateway(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
    return servers.gateway(redis.url, directory, {"PUSHGW_SERVER__WORKERS": "1"})


def _rival(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
    return servers.rival(redis.url, directory)


class _Load:
    """The other end of the load process."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def perform(self, do: str, **numbers: float) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - started with pipes
        assert self._process.stdout is not None  # noqa: S101 - started with pipes
        self._process.stdin.write(orjson.dumps({"do": do, **numbers}) + b"\n")
        async with asyncio.timeout(_ORDER_WITHIN + numbers.get("seconds", 0.0)):
            line = await self._process.stdout.readline()
        if not line:
            raise LoadError(f"the load process failed:\n{self._log.read_text()[-2000:]}")
        outcome: dict[str, Any] = orjson.loads(line)
        return outcome


@asynccontextmanager
async def _load(server: Server, redis: Redis, directory: Path) -> AsyncIterator[_Load]:
    path = directory / "load.log"
    command = [sys.executable, "-m", "loadtest.load", str(server.port), redis.url]
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *leashed(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield _Load(process, path)
    finally:
        await servers.end(process)


class _Bench:
    """The phases of one server."""

    def __init__(
        self, size: Size, server: Server, redis: Redis, load: _Load, say: Callable[[str], None]
    ) -> None:
        self._size = size
        self._server = server
        self._redis = redis
        self._load = load
        self._say = say

    async def pair(self) -> tuple[int, float]:
        """Let all phones come for the first time; return how many are held, and CPU seconds of one.

        That is another server process than the one that is measured afterwards: new phones are
        rare, and what their FolderSyncs leave behind is not the price of a held Ping.
        """
        self._say(f"{self._server.name}: {self._size.devices:,} new phones")
        await self._warm_up(is_known=False)
        return await self._open(is_known=False)

    async def measure(self, new: int, first: float) -> Result:
        """Measure all but the first contact.

        Args:
            new: New phones that were held, from ``pair``.
            first: CPU seconds of one of them.
        """
        size, name = self._size, self._server.name
        await self._warm_up(is_known=True)
        empty = self._memory()
        self._say(f"{name}: holding {size.devices:,} phones, {RAMP:,.0f}/s")
        held, park = await self._open(is_known=True)
        held_bytes = (self._memory() - empty) / held
        idle = await self._idle()
        notify, wake = await self._notify(idle)
        saturation, cycle, redis_cpu = await self._saturate()
        cycles = max(1, saturation["cycles"])
        return Result(
            name=name,
            asked=size.devices,
            new=new,
            held=held,
            empty_bytes=empty,
            held_bytes=held_bytes,
            first_us=first * 1e6,
            park_us=park * 1e6,
            idle_ms=idle * 1e3,
            notify=notify,
            wake_us=wake * 1e6,
            saturation=saturation,
            cycle_us=cycle / cycles * 1e6,
            redis_us=redis_cpu / cycles * 1e6,
        )

    async def _open(self, *, is_known: bool) -> tuple[int, float]:
        """Open all phones; return how many are held, and the CPU seconds of one."""
        before = self._cpu()
        opened = await self._load.perform(
            "open", devices=self._size.devices, rate=RAMP, known=is_known
        )
        if not opened["held"]:
            raise LoadError(f"{self._server.name} held no phone: {opened}")
        return opened["held"], (await self._calm() - before) / opened["held"]

    async def _warm_up(self, *, is_known: bool) -> None:
        await self._load.perform("open", devices=WARM, rate=RAMP, known=is_known)
        await asyncio.sleep(_WINDOW)
        await self._load.perform("notify", rate=100, seconds=1, seed=0)
        await self._load.perform("close")
        await self._calm()

    async def _idle(self) -> float:
        """Return the CPU seconds of one second in which nothing happens."""
        seconds = self._size.idle
        self._say(f"{self._server.name}: idle for {seconds:g} s")
        before = self._cpu()
        await asyncio.sleep(seconds)
        return (self._cpu() - before) / seconds

    async def _notify(self, idle: float) -> tuple[dict[str, Any], float]:
        """Return what the phones saw, and the CPU seconds of one change."""
        size = self._size
        self._say(f"{self._server.name}: {size.rate:g} changes/s for {size.seconds:g} s")
        start, before = monotonic(), self._cpu()
        notify = await self._load.perform("notify", rate=size.rate, seconds=size.seconds, seed=1)
        used = self._cpu() - before - idle * (monotonic() - start)
        return notify, used / max(1, notify["published"])

    async def _saturate(self) -> tuple[dict[str, Any], float, float]:
        """Return the counts, and the CPU seconds of the server and of Valkey."""
        seconds = self._size.saturation
        self._say(f"{self._server.name}: {OUTSTANDING} changes outstanding for {seconds:g} s")
        await self._calm()
        before, redis_before = self._cpu(), self._redis_cpu()
        counts = await self._load.perform("saturate", outstanding=OUTSTANDING, seconds=seconds)
        return counts, self._cpu() - before, self._redis_cpu() - redis_before

    async def _calm(self) -> float:
        """Wait until the server rests; return its CPU time."""
        until = monotonic() + CALM_WITHIN
        calm, last = 0, self._cpu()
        while calm < 2 and monotonic() < until:  # noqa: PLR2004 - twice in a row is no accident
            await asyncio.sleep(_WINDOW)
            used, last = self._cpu() - last, self._cpu()
            calm = calm + 1 if used < _CALM * _WINDOW else 0
        return last

    def _memory(self) -> int:
        self._server.check()
        found = measure.memory_bytes(self._server.pid)
        if found is None:
            raise LoadError(f"the memory of process {self._server.pid} cannot be read")
        return found

    def _cpu(self) -> float:
        self._server.check()
        return measure.cpu_seconds(self._server.pid) or 0.0

    def _redis_cpu(self) -> float:
        return measure.cpu_seconds(self._redis.pid) or 0.0


@asynccontextmanager
async def _bench(
    size: Size, start: Start, redis: Redis, directory: Path, say: Callable[[str], None]
) -> AsyncIterator[_Bench]:
    """Start a server and a load process for it."""
    async with start(redis, directory) as server, _load(server, redis, directory) as load:
        yield _Bench(size, server, redis, load, say)
