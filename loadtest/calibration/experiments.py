"""The runs that make the samples: gateways come and go, each with a load process beside it.

The gateways grant short heartbeats; all else is as it comes.
"""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtest import servers
from loadtest.benching import bed
from loadtest.calibration import certificates, exchange, readings
from loadtest.calibration.costs import SHARED
from loadtest.capacity.fit import Point
from loadtest.capacity.validation import Trial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from loadtest.benching.bed import Bed, Rest, Used
    from loadtest.calibration.samples import Samples
    from loadtest.calibration.size import Size
    from loadtest.servers import Redis, Server

    Say = Callable[[str], None]

NEW: Final = 1000.0
"""Phones a second that come for the first time."""
SLOW: Final = 300.0
"""Phones a second where each has a TLS handshake."""
TICK: Final = 1.1
"""Seconds in which some heartbeats end for certain: a worker looks for them once a second."""
_MICROSECONDS: Final = 1e6


class Lab:
    """A Valkey, and gateways that come and go. Open it with ``open_lab``.

    Args:
        redis: Starts empty.
        directory: For sockets, logs and certificates.
        size: How much is measured.
        samples: Where it goes.
        say: Called with one line for each thing done.
    """

    def __init__(
        self, redis: Redis, directory: Path, size: Size, samples: Samples, say: Say
    ) -> None:
        self._redis = redis
        self._directory = directory
        self._size = size
        self._samples = samples
        self._say = say

    async def pair(self) -> None:
        """Let all phones come for the first time: those of the other runs come back."""
        phones = self._size.most_phones
        self._say(f"{phones:,} new phones")
        async with self._gateway(workers=1) as one:
            await one.gather(phones, known=False)
            await one.arrive(phones, NEW)

    async def plain(self) -> None:
        """Measure most costs on a gateway of one worker."""
        size, samples, say = self._size, self._samples, self._say
        async with self._gateway(workers=1) as one:
            await one.warm_up()
            samples.nodes.append(Point(1, one.memory()))
            rest = await one.idle(size.seconds)
            await self._hold(one)
            await self._idle(one, rest)
            say("few changes, then saturation")
            await self._change(one, rest)
            for _ in range(size.repeats):
                used = await one.saturate(size.seconds)
                _note(samples.cycles, used.cpu, used.outcome["cycles"])
            say("heartbeats that end, phones that come back slowly")
            await self._beat(one, rest)
            await self._return_slowly(one)
            if samples.exchange is None:
                samples.exchange = await exchange.count(one.server.target, self._redis.url)

    async def weigh_nodes(self) -> None:
        """Weigh gateways of several workers without phones."""
        for workers in self._size.workers:
            self._say(f"{workers} workers without phones")
            async with self._gateway(workers=workers) as one:
                await one.warm_up(devices=workers * bed.WARM)
                self._samples.nodes.append(Point(workers, one.memory()))

    async def secure(self) -> None:
        """Measure what TLS costs, where a certificate is to be had."""
        size, samples = self._size, self._samples
        made = await certificates.make(self._directory)
        if made is None:
            return
        certificate, key = map(str, made)
        tls = {"PUSHGW_SERVER__TLS_CERT": certificate, "PUSHGW_SERVER__TLS_KEY": key}
        async with self._gateway(workers=1, tls=tls) as one:
            await one.warm_up()
            empty = readings.anonymous_bytes(one.server.pid)
            await one.gather(size.steps * size.secure_phones)
            for _ in range(size.steps):
                arrived = await one.arrive(size.secure_phones, SLOW)
                self._say(f"{arrived.held:,} phones held with TLS")
                _note(samples.secure_parks, arrived.cpu, size.secure_phones)
                _weigh(one, empty, arrived.held, samples.secure)

    async def fill_redis(self, per_user: int, points: list[Point]) -> None:
        """Measure the memory of Redis, which must be empty before.

        Args:
            per_user: Phones of a mailbox.
            points: Where phones and memory go.
        """
        size = self._size
        phones = size.steps * size.new_phones
        self._say(f"{phones:,} new phones, {per_user} on a mailbox")
        async with self._gateway(workers=1) as one:
            before = await readings.redis_bytes(self._redis.url)
            await one.gather(phones, known=False, per_user=per_user)
            for _ in range(size.steps):
                arrived = await one.arrive(size.new_phones, NEW)
                await one.touch()
                used = await readings.redis_bytes(self._redis.url) - before
                points.append(Point(arrived.held, used))

    async def trial(self) -> Trial:
        """Run what is to be predicted."""
        sizes = self._size.trial
        async with self._gateway(workers=sizes.workers) as one:
            await one.warm_up(devices=sizes.workers * bed.WARM)
            await one.gather(sizes.phones, heartbeat=sizes.heartbeat)
            arrived = await one.arrive(sizes.phones)
            self._say(
                f"{arrived.held:,} phones held, {sizes.rate:g} changes/s for {sizes.seconds:g} s"
            )
            used = await one.notify(sizes.rate, sizes.seconds)
            return Trial(
                phones=arrived.held,
                workers=sizes.workers,
                cycles=used.outcome["pings"] / used.seconds,
                woken=used.outcome["answered"] / used.seconds,
                memory_bytes=one.memory(),
                cores=used.cpu / used.seconds,
            )

    async def _hold(self, one: Bed) -> None:
        size, samples = self._size, self._samples
        empty, slab = readings.anonymous_bytes(one.server.pid), readings.slab_bytes()
        await one.gather(size.steps * size.phones)
        for _ in range(size.steps):
            arrived = await one.arrive(size.phones)
            self._say(f"{arrived.held:,} phones held")
            _note(samples.parks, arrived.cpu, size.phones)
            _weigh(one, empty, arrived.held, samples.plain)
            now = readings.slab_bytes()
            if slab is not None and now is not None:
                samples.sockets.append(Point(2 * arrived.held, now - slab))

    async def _idle(self, one: Bed, rest: Rest) -> None:
        size = self._size
        for _ in range(size.repeats):
            now = await one.idle(size.seconds)
            _note(self._samples.idles, now.cpu - rest.cpu, size.steps * size.phones)

    async def _change(self, one: Bed, rest: Rest) -> None:
        size, samples = self._size, self._samples
        samples.rates = size.rates
        for rate in size.rates:
            for _ in range(size.repeats):
                used = await one.notify(rate, size.seconds)
                cpu, redis_cpu = _above(rest, used)
                _note(samples.wakes, cpu, used.outcome["published"])
                _note(samples.redis_wakes, redis_cpu, used.outcome["published"])

    async def _beat(self, one: Bed, rest: Rest) -> None:
        size = self._size
        await one.gather(size.phones, heartbeat=size.heartbeats)
        await one.arrive(size.phones)
        for _ in range(size.repeats):
            used = await one.notify(0.0, max(size.seconds, TICK))
            _, redis_cpu = _above(rest, used)
            _note(self._samples.redis_cycles, redis_cpu, used.outcome["pings"])

    async def _return_slowly(self, one: Bed) -> None:
        size = self._size
        await one.gather(size.repeats * size.secure_phones)
        for _ in range(size.repeats):
            arrived = await one.arrive(size.secure_phones, SLOW)
            _note(self._samples.slow_parks, arrived.cpu, size.secure_phones)

    @asynccontextmanager
    async def _gateway(
        self, *, workers: int, tls: Mapping[str, str] | None = None
    ) -> AsyncIterator[Bed]:
        """Run a gateway.

        Args:
            workers: How many it has.
            tls: Settings that make it speak TLS.
        """
        settings = {
            "PUSHGW_SERVER__WORKERS": str(workers),
            "PUSHGW_HEARTBEAT__MIN": "1",
            **(tls or {}),
        }

        def start(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
            return servers.gateway(redis.url, directory, settings)

        async with bed.make(
            start, self._redis, self._directory, tls=bool(tls), window=self._size.window
        ) as one:
            yield one


@asynccontextmanager
async def open_lab(size: Size, samples: Samples, say: Say) -> AsyncIterator[Lab]:
    """Run an empty Valkey for experiments; arguments as those of ``Lab``.

    Raises:
        ServerError: If it does not start.
    """
    async with AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtest-"))
        redis = await stack.enter_async_context(servers.valkey(Path(name)))
        yield Lab(redis, Path(name), size, samples, say)


async def measure_redis(size: Size, samples: Samples, say: Say) -> None:
    """Measure the memory of Redis, with a mailbox for each phone and with shared ones.

    Args:
        size: How much is measured.
        samples: Where it goes.
        say: Called with one line for each thing done.
    """
    for per_user, points in ((1, samples.redis_alone), (SHARED, samples.redis_shared)):
        async with open_lab(size, samples, say) as lab:
            await lab.fill_redis(per_user, points)


def _weigh(one: Bed, empty: int | None, held: int, points: list[Point]) -> None:
    found = readings.anonymous_bytes(one.server.pid)
    if empty is not None and found is not None:
        points.append(Point(held, found - empty))


def _above(rest: Rest, used: Used) -> tuple[float, float]:
    """Return the CPU seconds, of gateway and Redis, that doing nothing would not have taken."""
    return used.cpu - rest.cpu * used.seconds, used.redis_cpu - rest.redis_cpu * used.seconds


def _note(samples: list[float], cpu: float, count: int) -> None:
    """Add the CPU of each of so many; nothing where there was none."""
    if count:
        samples.append(cpu / count * _MICROSECONDS)
