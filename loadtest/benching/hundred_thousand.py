"""The bench with 100,000 phones: what they cost, what a change costs among them, and a restart.

Rules:
    1. New phones have a gateway process of their own: they are rare, and what their FolderSyncs
       leave behind is not the price of a held Ping.
    2. Phones come in waves, each of which is held before the next one comes: so the machine sets
       the pace, and none of them runs out of patience.
    3. Idle CPU is taken off the cost of a change.
    4. Phones come back from a restart by themselves, as clients do: at once when the draining
       gateway ends their Ping, then after pauses of 0.5 to 1.5 s that double with each connection
       that is refused. A part of the time until all are back is such a pause.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadtest import limits, scrape
from loadtest.benching import collecting, exposition, pauses, stand
from loadtest.benching.bed import RAMP, WARM, WARM_RATE
from loadtest.benching.bench import check_readable
from loadtest.benching.load_process import LoadError
from loadtest.benching.rows import Measured, Sample
from loadtest.figures import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtest.benching.crew import Notified
    from loadtest.benching.hundred_rows import Size
    from loadtest.benching.stand import Reading, Stand

BACK_WITHIN: Final = 90.0
"""Seconds after a restart; phones that are missing then are missing in the figures."""
LOOK: Final = 0.25
"""Seconds from one look at phones that come back to the next."""
WARMING: Final = 1.0
"""Seconds of changes for the first few phones, at most."""
PACED: Final = "HTTP 503"
"""How the gateway asks phones to come later. Whether such an answer has Retry-After is not told."""
RESTARTED: Final = frozenset({"connection refused", "connect: reset", "reset"})
"""Errors that a phone cannot but see while no gateway is there: nobody listens, or a connection
that nobody had accepted yet ends with its listener."""
_KB: Final = 1024.0
_MB: Final = 1024.0**2
_MS: Final = 1e3
_US: Final = 1e6


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a bench."""

    measured: Measured
    errors: Mapping[str, Mapping[str, int]]
    """By phase, then by kind; a phase without errors is absent."""


async def perform(size: Size, say: Callable[[str], None]) -> Findings:
    """Measure the gateway.

    Args:
        size: How many phones and changes.
        say: Called with one line per phase.

    Raises:
        ServerError: If a server does not start.
        LoadError: If a load process fails, or nothing can be measured here.
    """
    check_readable()
    limits.raise_files(limits.MAX_PHONES + limits.SPARE_FILES)
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        async with stand.build(Path(name), size.processes, size.drain) as one:
            bench = HundredThousand(size, one, say)
            await bench.run()
    return Findings(bench.measured, bench.errors)


class HundredThousand:
    """The phases, each of which gives some figures.

    Args:
        size: How many phones and changes.
        one: Everything fresh.
        say: Called with one line per phase.
    """

    def __init__(self, size: Size, one: Stand, say: Callable[[str], None]) -> None:
        self.figures: dict[str, float] = {}
        """By the keys of the rows."""
        self.errors: dict[str, Mapping[str, int]] = {}
        """By phase, then by kind."""
        self._size = size
        self._one = one
        self._say = say
        self._samples: list[Sample] = []
        self._latency = Histogram()
        self._idle = 0.0
        self._empty = self._redis_empty = 0

    @property
    def measured(self) -> Measured:
        """What has been measured up to now."""
        return Measured("gateway", self.figures, self._samples, self._latency)

    async def run(self) -> None:
        """Go through all phases."""
        await self._pair()
        await self._renew()
        await self._few()
        await self._hold()
        await self._rest()
        await self._notify()
        await self._tell()
        await self._restart()

    async def _pair(self) -> None:
        """Let all phones come for the first time."""
        one, devices = self._one, self._size.devices
        self._redis_empty = one.redis_memory()
        self._say(f"{devices:,} new phones, in waves of {self._size.few:,}")
        await self._warm_up(known=False)
        await one.crew.gather(devices, known=False)
        before = one.read()
        held = await self._come("new phones", devices)
        await asyncio.sleep(self._size.rest)
        used = one.read().since(before)
        self.figures |= {"new": held, "first_us": used.gateway / held * _US}

    async def _renew(self) -> None:
        """Start a fresh gateway for phones that come back."""
        await self._one.crew.close()
        await asyncio.sleep(self._size.rest)
        await self._one.node.stop()
        await self._one.node.start()
        await self._warm_up(known=True)

    async def _few(self) -> None:
        """Hold a small crowd and change its mailboxes."""
        one, size = self._one, self._size
        self._empty = one.memory()
        self.figures["empty_mb"] = self._empty / _MB
        self._say(f"{size.few:,} held: {size.rate:,g} changes/s for {size.few_seconds:g} s")
        await one.crew.gather(size.few, known=True)
        await self._come("small crowd", size.few)
        await asyncio.sleep(size.rest)
        idle = await self._doze(size.rest)
        notified, used = await self._change("changes, small crowd", size.few_seconds, seed=1)
        self.figures["lost"] = notified.lost
        self.figures["wake_us_10k"] = _wake_us(notified, used, idle)
        await one.crew.close()
        await asyncio.sleep(size.rest)

    async def _hold(self) -> None:
        """Let all phones come back."""
        one, devices = self._one, self._size.devices
        self._say(f"holding {devices:,} phones, {RAMP:,.0f}/s in waves of {self._size.few:,}")
        await one.crew.gather(devices, known=True)
        before = one.read()
        self._samples.append(Sample(0, self._empty, before.gateway))
        held = await self._come("phones", devices, samples=self._samples)
        await asyncio.sleep(self._size.rest)
        used, memory = one.read().since(before), one.memory()
        self._samples.append(Sample(held, memory, before.gateway + used.gateway))
        self.figures |= {
            "held": held,
            "held_kb": (memory - self._empty) / held / _KB,
            "redis_kb": (one.redis_memory() - self._redis_empty) / held / _KB,
            "park_us": used.gateway / held * _US,
        }

    async def _rest(self) -> None:
        """Do nothing for a while, with all phones held."""
        self._say(f"idle for {self._size.idle:g} s")
        self._idle = await self._doze(self._size.idle)
        self.figures["idle_us"] = self._idle / self.figures["held"] * _US

    async def _notify(self) -> None:
        """Change mailboxes, with all phones held."""
        size, figures = self._size, self.figures
        self._say(f"{size.devices:,} held: {size.rate:,g} changes/s for {size.seconds:g} s")
        notified, used = await self._change("changes", size.seconds, seed=2)
        self._latency = notified.latency
        found = notified.latency.latency()
        wake_us = _wake_us(notified, used, self._idle)
        figures["lost"] += notified.lost
        figures |= {
            "p50_ms": found.p50 * _MS,
            "p99_ms": found.p99 * _MS,
            "p999_ms": found.p999 * _MS,
            "max_ms": found.max * _MS,
            "wake_us_100k": wake_us,
            "wake_growth": wake_us / figures["wake_us_10k"],
            "cpu": used.gateway / used.at * 100,
            "redis_cpu": used.redis / used.at * 100,
            "load_cpu": used.load / used.at * 100,
            "lag_ms": notified.lag_ms,
        }

    async def _tell(self) -> None:
        """Ask the gateway itself; its processes are those since before the small crowd."""
        text = await exposition.fetch(self._one.node.admin)
        self.figures["gc_ms"] = pauses.longest(text) * _MS
        collected = await collecting.longest(self._one.run_dir, self._size.processes)
        self.figures["full_gc_ms"] = collected * _MS
        self.figures["held_told"] = scrape.read(text).held or 0
        balance = exposition.balance(text)
        if balance is not None:
            self.figures["balance"] = balance

    async def _restart(self) -> None:
        """Restart the gateway under its phones, and wait until all are held again."""
        crew, node = self._one.crew, self._one.node
        self._say("restart: phones come back by themselves, after 0.5 to 1.5 s, 1 to 3 s, ...")
        await crew.tell()
        began = monotonic()
        await self._one.drain()
        await node.stop()
        stopped = monotonic()
        await node.start()
        ready = monotonic()
        meanwhile = (await crew.tell()).errors
        back, since, seconds = await self._come_back(ready)
        self._note("restart, until ready", meanwhile)
        self._note("restart, since ready", since)
        caused = sum(meanwhile[kind] for kind in RESTARTED)
        paced = meanwhile[PACED] + since[PACED]
        self.figures |= {
            "stop_s": stopped - began,
            "ready_s": ready - began,
            "back_s": seconds,
            "back": back,
            "refused": caused,
            "paced": paced,
            "other_errors": meanwhile.total() + since.total() - caused - paced,
        }

    async def _come_back(self, ready: float) -> tuple[int, Counter[str], float]:
        """Wait until phones and gateway agree that all are held.

        Args:
            ready: When the gateway was.

        Returns:
            Phones held, errors by kind, and seconds since it was ready.
        """
        devices, errors = self._size.devices, Counter[str]()
        while True:
            told = await self._one.crew.tell()
            errors += told.errors
            held = told.held
            if held >= devices:
                held = min(held, await self._held())
            passed = monotonic() - ready
            if held >= devices or passed > BACK_WITHIN:
                return held, errors, passed
            await asyncio.sleep(LOOK)

    async def _held(self) -> int:
        """Ask the gateway how many it holds; none if it is too busy to tell."""
        try:
            return scrape.read(await exposition.fetch(self._one.node.admin)).held or 0
        except LoadError:
            return 0

    async def _warm_up(self, *, known: bool) -> None:
        """Let some phones come to each worker, be woken, and go."""
        crew, devices = self._one.crew, WARM * self._size.processes
        await crew.gather(devices, known=known)
        await crew.arrive(devices, RAMP)
        await crew.notify(WARM_RATE, min(WARMING, self._size.rest), seed=0)
        await crew.close()
        await asyncio.sleep(self._size.rest)

    async def _come(self, what: str, devices: int, samples: list[Sample] | None = None) -> int:
        """Let phones come in waves, until one of them is not held in time.

        Args:
            what: Their name in an error.
            devices: How many have been gathered.
            samples: Where one is added after each wave but the last.

        Returns:
            How many are held.

        Raises:
            LoadError: If none is.
        """
        one, wave, held, errors = self._one, self._size.few, 0, Counter[str]()
        for first in range(0, devices, wave):
            if samples is not None and first:
                samples.append(Sample(held, one.memory(), one.read().gateway))
            count = min(wave, devices - first)
            told = await one.crew.arrive(count, RAMP)
            held = told.held
            errors += told.errors
            if held < first + count:
                break
        self._note(what, errors)
        if not held:
            raise LoadError(f"the gateway held no phone: {dict(errors)}")
        return held

    async def _doze(self, seconds: float) -> float:
        """Do nothing for some seconds; return the CPU seconds that the gateway used in one."""
        before = self._one.read()
        await asyncio.sleep(seconds)
        used = self._one.read().since(before)
        return used.gateway / used.at

    async def _change(self, what: str, seconds: float, seed: int) -> tuple[Notified, Reading]:
        before = self._one.read()
        notified = await self._one.crew.notify(self._size.rate, seconds, seed)
        used = self._one.read().since(before)
        self._note(what, notified.errors)
        return notified, used

    def _note(self, phase: str, errors: Mapping[str, int]) -> None:
        if errors:
            self.errors[phase] = dict(errors)


def _wake_us(notified: Notified, used: Reading, idle: float) -> float:
    """Return microseconds of the gateway's CPU for one change, its idle CPU a second taken off."""
    return (used.gateway - idle * used.at) / max(1, notified.published) * _US
