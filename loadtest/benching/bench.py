"""The bench: what a held Ping, a Ping cycle and an idle second cost, gateway and rival alike.

Each server runs alone with a fresh Valkey, and gets the same load from a process of its own. Its
memory and CPU are read from outside, for its whole process tree; so are those of the load process.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest import limits, process, servers
from loadtest.benching import bed
from loadtest.benching.bed import OUTSTANDING, RAMP
from loadtest.benching.load_process import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from loadtest.benching.bed import Bed, Start
    from loadtest.servers import Redis, Server

MOST_CHANGES: Final = 2.5
"""Changes a second for each phone: of more, one answer would cover several."""


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
        most = limits.read_host().max_phones
        if not 1 <= self.devices <= most:
            raise ValueError(f"devices is {self.devices}, 1 to {most} are allowed here")
        if self.seconds <= 0:
            raise ValueError(f"seconds is {self.seconds:g}, more than 0 is allowed")
        if not 0 < self.rate <= self.devices * MOST_CHANGES:
            raise ValueError(
                f"rate is {self.rate:g} changes a second, more than 0 and at most "
                f"{self.devices * MOST_CHANGES:g} is allowed with {self.devices} phones"
            )


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
    load_bytes: float
    """User memory of the load process for each of its phones."""
    first_us: float
    """CPU to accept a new phone, answer its OPTIONS and FolderSync, and hold its first Ping."""
    park_us: float
    """CPU to accept a phone that comes back, and hold its Ping."""
    idle_ms: float
    """CPU in one idle second, milliseconds."""
    notify: dict[str, Any]
    """Counts and latencies of the notify phase, as the load process saw them."""
    wake_us: float
    """CPU for one change at the notify rate: wake, answer, next Ping; idle CPU taken off."""
    saturation: dict[str, Any]
    """Counts of the saturation phase, and the load process' own CPU for each cycle."""
    cycle_us: float
    """CPU for one change under saturation."""
    redis_us: float
    """CPU of Valkey for one change under saturation."""

    @property
    def busy(self) -> float:
        """CPU seconds a second of the server under saturation."""
        return self.cycle_us / 1e6 * float(self.saturation["cycles_per_second"])


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure."""

    name: str
    start: Start


def _gateway(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
    return servers.gateway(redis.url, directory, {"PUSHGW_SERVER__WORKERS": "1"})


def _rival(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
    return servers.rival(redis.url, directory)


GATEWAY: Final = Contender("gateway", _gateway)
RIVAL: Final = Contender("rival", _rival)


async def perform(size: Size, say: Callable[[str], None]) -> list[Result]:
    """Measure the gateway, then the rival.

    Args:
        size: How many phones and changes.
        say: Called with one line per phase.

    Raises:
        ServerError: If a server does not start.
        LoadError: If the load process fails, or nothing can be measured here.
    """
    check_readable()
    limits.raise_files(size.devices + limits.SPARE_FILES)
    return [await _measure(size, one, say) for one in (GATEWAY, RIVAL)]


def check_readable() -> None:
    """Do nothing where memory and CPU of processes can be read.

    Raises:
        LoadError: If they cannot.
    """
    if process.memory_bytes(os.getpid()) is None:
        raise LoadError("memory and CPU of processes cannot be read here: this needs Linux' /proc")


async def _measure(size: Size, contender: Contender, say: Callable[[str], None]) -> Result:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        directory = Path(name)
        async with servers.valkey(directory) as redis:
            # New phones have a server process of their own: they are rare, and what their
            # FolderSyncs leave behind is not the price of a held Ping.
            async with bed.make(contender.start, redis, directory) as one:
                new, first = await _Bench(size, contender.name, one, say).pair()
            async with bed.make(contender.start, redis, directory) as one:
                return await _Bench(size, contender.name, one, say).measure(new, first)


class _Bench:
    """The phases of one server."""

    def __init__(self, size: Size, name: str, bed: Bed, say: Callable[[str], None]) -> None:
        self._size = size
        self._name = name
        self._bed = bed
        self._say = say

    async def pair(self) -> tuple[int, float]:
        """Let all phones come for the first time; return how many are held, and CPU of one."""
        self._say(f"{self._name}: {self._size.devices:,} new phones")
        await self._bed.warm_up(known=False)
        await self._bed.gather(self._size.devices, known=False)
        arrived = await self._bed.arrive(self._size.devices)
        return arrived.held, arrived.cpu / arrived.held

    async def measure(self, new: int, first: float) -> Result:
        """Measure all but the first contact.

        Args:
            new: New phones that were held, from ``pair``.
            first: CPU seconds of one of them.
        """
        size, name, one = self._size, self._name, self._bed
        await one.warm_up()
        empty, load_empty = one.memory(), one.load_memory()
        self._say(f"{name}: holding {size.devices:,} phones, {RAMP:,.0f}/s")
        await one.gather(size.devices)
        arrived = await one.arrive(size.devices)
        held_bytes = (one.memory() - empty) / arrived.held
        load_bytes = (one.load_memory() - load_empty) / size.devices
        self._say(f"{name}: idle for {size.idle:g} s")
        idle = (await one.idle(size.idle)).cpu
        self._say(f"{name}: {size.rate:g} changes/s for {size.seconds:g} s")
        notify = await one.notify(size.rate, size.seconds)
        self._say(f"{name}: {OUTSTANDING} changes outstanding for {size.saturation:g} s")
        saturation = await one.saturate(size.saturation)
        published = max(1, notify.outcome["published"])
        cycles = max(1, saturation.outcome["cycles"])
        return Result(
            name=name,
            asked=size.devices,
            new=new,
            held=arrived.held,
            empty_bytes=empty,
            held_bytes=held_bytes,
            load_bytes=load_bytes,
            first_us=first * 1e6,
            park_us=arrived.cpu / arrived.held * 1e6,
            idle_ms=idle * 1e3,
            notify=notify.outcome,
            wake_us=(notify.cpu - idle * notify.seconds) / published * 1e6,
            saturation=saturation.outcome,
            cycle_us=saturation.cpu / cycles * 1e6,
            redis_us=saturation.redis_cpu / cycles * 1e6,
        )
