"""An opener and its hub with a real Valkey behind, and phones that keep what they are told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from heartbeat.interval import Bounds
from notifier.bus import Bus, BusConfig
from notifier.change import Change
from notifier.ledger import Ledger
from pushgw.brake import Brake
from pushgw.devices import Device, Devices, Fresh, Read, Reading
from pushgw.eas.folders import Hierarchy
from pushgw.eas.ping import PingFolder, PingRequest, PingResponse
from pushgw.hub import Hub
from pushgw.opening import Opener
from pushgw.receipts import Receipts
from pushgw.session import HEARTBEAT, Limits, PingSession, mark
from tests.pushgw import hub_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from redis.asyncio import Redis

    from pushgw.hub import Channels

NOW = 1000.0
ANNA = Device("anna", "D1")
BERT = Device("bert", "D1")
LIMITS = Limits(Bounds(low=60, high=3540, default=480), max_folders=2)
INBOX = PingFolder("5", "Email")
PROJECTS = PingFolder("Projects", "Email")
PING = PingRequest(600, (INBOX,))
CHANGED = PingResponse(2, folders=("5",)).to_bytes()
EXPIRED = PingResponse(1).to_bytes()
GO_AND_SYNCHRONISE = PingResponse(7).to_bytes()
NO_LINGER = BusConfig(linger=0.0, ping_every=60.0, backoff_max=0.05)
"""What nobody waits for is given up as soon as anything else is said to Redis."""
LINGER = BusConfig(ping_every=60.0, backoff_max=0.05)


class Phone(hub_scene.Phone):
    """A connection whose Ping the test can look at."""

    @property
    def is_held(self) -> bool:
        return self.waiting is not None and isinstance(self.waiting.state, PingSession)


class Valve:
    """Lets answers of Redis through, or keeps them until the test wants them."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """An answer has come, whether or not it is let through."""
        self.way = asyncio.Event()
        self.way.set()

    async def passed(self) -> None:
        self.asked.set()
        await self.way.wait()

    @contextlib.asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Keep answers back until the end of the block."""
        self.asked.clear()
        self.way.clear()
        try:
            yield
        finally:
            self.way.set()


class SlowDevices(Devices):
    """The device records, whose replies come when the test wants, or fail."""

    def __init__(self, redis: Redis, worker: str) -> None:
        super().__init__(redis, worker)
        self.valve = Valve()
        self.faults: list[Exception] = []
        """Raised instead of an answer, one each time."""
        self.batches: list[int] = []
        """How many Pings were asked for in each round trip."""

    async def read_many(self, reads: Sequence[Read]) -> list[Reading | None]:
        if self.faults:
            raise self.faults.pop()
        self.batches.append(len(reads))
        readings = await super().read_many(reads)
        await self.valve.passed()
        return readings


class SlowLedger(Ledger):
    """The ledger, whose sequence numbers come when the test wants."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.valve = Valve()
        self.wanted: list[tuple[str, Sequence[str]]] = []
        """What was asked for, all of it."""

    async def sequences(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[int, ...]]:
        self.wanted += wanted
        numbers = await super().sequences(wanted)
        if wanted:
            await self.valve.passed()
        return numbers


class Worker:
    """An opener and its hub, on a bus that the test plays or on a real one."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        bus_url: str | None = None,
        bus_config: BusConfig = NO_LINGER,
    ) -> None:
        self.redis = redis
        self.now = NOW
        self.devices = SlowDevices(redis, name)
        self.ledger = SlowLedger(redis)
        self.receipts = Receipts()
        self.opener = Opener(
            devices=self.devices,
            ledger=self.ledger,
            receipts=self.receipts,
            limits=LIMITS,
            clock=lambda: self.now,
        )
        self.channels = hub_scene.Channels()
        self.bus = None if bus_url is None else Bus(bus_url, self.opener, config=bus_config)
        channels: Channels = self.bus or self.channels
        self.hub = Hub(channels, self.receipts, Brake(), lambda: self.now)
        self.opener.serve(self.hub)

    @property
    def asked(self) -> int:
        """How many Pings Redis was asked for."""
        return sum(self.devices.batches)

    def runs(self) -> list[Coroutine[None, None, None]]:
        bus = [] if self.bus is None else [self.bus.run()]
        return [*bus, self.opener.run()]

    async def synchronise(self, device: Device = ANNA) -> None:
        """Make a partnership with a device for which nothing was recorded."""
        epoch = await self.ledger.epoch()
        fresh = Fresh(epoch, ())
        await self.devices.save_hierarchy(device, Hierarchy(1), {"": mark(0, epoch)}, fresh)

    async def record(self, folder: str = "INBOX", mailbox: str = "anna") -> None:
        await self.ledger.record([Change(mailbox, folder)], 0.0)

    def begin(
        self, request: PingRequest = PING, device: Device = ANNA, phone: Phone | None = None
    ) -> Phone:
        phone = phone or Phone()
        self.opener.begin(phone, device, request, self.now)
        return phone

    async def answered(self, request: PingRequest = PING, device: Device = ANNA) -> bytes:
        phone = self.begin(request, device)
        await until(lambda: bool(phone.answers))
        return phone.answers[0]

    async def held(
        self, request: PingRequest = PING, device: Device = ANNA, phone: Phone | None = None
    ) -> Phone:
        phone = self.begin(request, device, phone)
        await until(lambda: phone.is_held)
        return phone

    async def rested(self, request: PingRequest = PING, device: Device = ANNA) -> Phone:
        """A phone whose Ping was answered with status 1, and that may go on from there."""
        phone = await self.held(request, device)
        self.end(phone)
        assert phone.rested is not None
        return phone

    def end(self, phone: Phone) -> None:
        """Answer a held Ping because its interval is over."""
        assert phone.waiting is not None
        self.hub.finish(phone.waiting, HEARTBEAT)


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Wait for what tells nobody."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


async def turns(count: int = 50) -> None:
    """Let everything happen that needs no time."""
    for _ in range(count):
        await asyncio.sleep(0.0005)


@contextlib.asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    """Run workers for the time of a block."""
    tasks = [asyncio.create_task(run) for one in workers for run in one.runs()]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Once is not always enough: wait_for of Python 3.11, which redis-py uses, returns its
            # result instead if that comes in the same turn.
            _, pending = await asyncio.wait(pending, timeout=0.1)
