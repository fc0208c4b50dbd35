"""The phases of the bench of one server: each gives some of the rows' figures.

Rules:
    1. A server is measured after it has served some phones: the first ones load what all need.
    2. CPU that a phase used counts until the server rests again.
    3. Idle CPU is taken off where a phase is long and its load small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.benching import exposition, pauses
from loadtest.benching.bed import OUTSTANDING, RAMP, UNPACED
from loadtest.benching.rows import Measured
from loadtest.figures import Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtest.benching.bed import Bed, Used
    from loadtest.benching.rows import Sample
    from loadtest.benching.size import Size

SECURE_RATE: Final = 300.0
"""Phones a second where each has a TLS handshake: about a third of what a core can do."""
_KB: Final = 1024.0
_MB: Final = 1024.0**2
_MS: Final = 1e3
_US: Final = 1e6


class Phases:
    """Measures one kind of server, whose Valkey stays while its processes come and go.

    Args:
        size: How many phones and changes.
        name: What the figures are called by.
        say: Called with one line per phase.
    """

    def __init__(self, size: Size, name: str, say: Callable[[str], None]) -> None:
        self.figures: dict[str, float] = {}
        """By the keys of the rows."""
        self.samples: Sequence[Sample] = ()
        """Taken while the phones came back."""
        self.latency = Histogram()
        """From a change to its answer, at the rate of the bench."""
        self.size = size
        self._name = name
        self._say = say
        self._redis_empty = 0

    @property
    def measured(self) -> Measured:
        """What has been measured up to now."""
        return Measured(self._name, self.figures, self.samples, self.latency)

    async def pair(self, one: Bed) -> None:
        """Let all phones come for the first time."""
        devices = self.size.devices
        self._tell(f"{devices:,} new phones")
        await one.warm_up(known=False)
        self._redis_empty = one.redis_memory()
        await one.gather(devices, known=False)
        arrived = await one.arrive(devices)
        self.figures |= {"new": arrived.held, "first_us": arrived.cpu / arrived.held * _US}

    async def measure(self, one: Bed) -> None:
        """Go through all phases of phones that come back; needs ``pair`` before."""
        for phase in (self._hold, self._idle, self._notify, self._saturate, self._storm):
            await phase(one)
        await self._share(one)
        if one.server.admin_port:
            metrics = await exposition.fetch(one.server.admin)
            self.figures["gc_ms"] = pauses.longest(metrics) * _MS

    async def secure(self, one: Bed) -> None:
        """Hold phones that speak TLS."""
        devices = self.size.secure
        await one.warm_up()
        empty = one.memory()
        self._tell(f"holding {devices:,} phones with TLS, {SECURE_RATE:g}/s")
        await one.gather(devices)
        arrived = await one.arrive(devices, SECURE_RATE)
        self.figures["tls_kb"] = (one.memory() - empty) / arrived.held / _KB

    async def _hold(self, one: Bed) -> None:
        """Let all phones come back."""
        devices = self.size.devices
        await one.warm_up()
        empty, load_empty = one.memory(), one.load_memory()
        self._tell(f"holding {devices:,} phones, {RAMP:,.0f}/s")
        await one.gather(devices)
        arrived = await one.arrive(devices)
        held = arrived.held
        self.samples = arrived.samples
        self.figures |= {
            "held": held,
            "empty_mb": empty / _MB,
            "held_kb": (one.memory() - empty) / held / _KB,
            "redis_kb": (one.redis_memory() - self._redis_empty) / held / _KB,
            "gen_kb": (one.load_memory() - load_empty) / devices / _KB,
            "park_us": arrived.cpu / held * _US,
        }

    async def _idle(self, one: Bed) -> None:
        """Do nothing for a while, with all phones held."""
        self._tell(f"idle for {self.size.idle:g} s")
        rest = await one.idle(self.size.idle)
        self.figures["idle_us"] = rest.cpu / self.figures["held"] * _US

    async def _notify(self, one: Bed) -> None:
        """Change mailboxes at the rate of the bench."""
        size = self.size
        self._tell(f"{size.rate:g} changes/s for {size.seconds:g} s")
        used = await one.notify(size.rate, size.seconds)
        idle = self.figures["idle_us"] / _US * self.figures["held"] * used.seconds
        self.latency = Histogram.decode(used.outcome["histogram"])
        self.figures |= {
            **used.outcome["latency"],
            "lost": used.outcome["lost"],
            "wake_us": (used.cpu - idle) / max(1, used.outcome["published"]) * _US,
        }

    async def _saturate(self, one: Bed) -> None:
        """Change mailboxes as fast as the phones answer."""
        size = self.size
        self._tell(f"{OUTSTANDING} changes outstanding for {size.saturation:g} s")
        used = await one.saturate(size.saturation)
        cycles = max(1, used.outcome["cycles"])
        cycle, per_second = used.cpu / cycles, used.outcome["cycles_per_second"]
        self.figures |= {
            "cycle_us": cycle * _US,
            "cycles_per_s": per_second,
            "busy": cycle * per_second * 100,
            "redis_us": used.redis_cpu / cycles * _US,
            "gen_us": used.outcome["load_us"],
            "forgotten": used.outcome["forgotten"],
        }

    async def _storm(self, one: Bed) -> None:
        """Let phones come back all at once, then change the mailbox of each of them."""
        devices = self.size.burst
        self._tell(f"{devices:,} phones at once")
        await one.gather(devices)
        await one.calm()
        arrived = await one.arrive(devices, UNPACED)
        self.figures["storm_us"] = arrived.cpu / arrived.held * _US
        self._tell(f"one change to each of {devices:,} mailboxes")
        self.note_burst("burst_each_s", await one.burst())

    async def _share(self, one: Bed) -> None:
        """Change a mailbox that has many phones, once."""
        devices = self.size.burst
        self._tell(f"one change for {devices:,} phones of one mailbox")
        await one.gather(devices, known=False, per_user=devices)
        await one.arrive(devices)
        self.note_burst("burst_shared_s", await one.burst())

    def note_burst(self, key: str, used: Used) -> None:
        """Enter a burst; one that did not reach every phone has no end.

        Args:
            key: Of its row.
            used: What came of it.
        """
        asleep = self.size.burst - used.outcome["woken"]
        self.figures["asleep"] = self.figures.get("asleep", 0) + asleep
        if not asleep:
            self.figures[key] = used.outcome["last_s"]

    def _tell(self, phase: str) -> None:
        self._say(f"{self._name}: {phase}")
