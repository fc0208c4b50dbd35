"""From arrival to the hub, with a real Valkey: opened, looked at again, ended by a newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from heartbeat.interval import SPREAD
from notifier.change import channel
from notifier.ledger import EPOCH_KEY
from pushgw.eas import envelope as envelopes
from pushgw.eas.ping import CACHED, PingFolder, PingRequest, PingResponse
from pushgw.session import DRAINED
from pushgw.standalone import Command, Standalone
from pushgw.wbxml import encode, from_xml
from tests.pushgw.opening_worker import (
    ANNA,
    BERT,
    CHANGED,
    GO_AND_SYNCHRONISE,
    INBOX,
    NOW,
    PROJECTS,
    Worker,
    running,
    turns,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    worker = Worker(redis, "w1")
    async with running(worker):
        yield worker


async def test_ping_is_held(worker: Worker) -> None:
    """A Ping for which nothing has changed waits until its interval is nearly over."""
    await worker.synchronise()

    phone = await worker.held()

    assert phone.waiting is not None
    assert NOW + 600 - 1 - SPREAD <= phone.waiting.until <= NOW + 600 - 1
    assert phone.waiting.generation == 1
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
    assert NOW + 900 - 1 - SPREAD <= phone.waiting.until <= NOW + 900 - 1
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
    worker.devices.valve.way.clear()
    phone = worker.begin()
    await worker.devices.valve.asked.wait()
    await worker.record()
    worker.opener.hinted("anna", b"")
    worker.devices.valve.way.set()

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_change_lost_during_the_reading_is_told(worker: Worker) -> None:
    """A subscription that is confirmed anew while the ledger is read has it read once more."""
    await worker.synchronise()
    worker.devices.valve.way.clear()
    phone = worker.begin()
    await worker.devices.valve.asked.wait()
    worker.opener.disconnected()
    await worker.record()
    worker.opener.confirmed(["anna"])
    worker.devices.valve.way.set()

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


async def test_epoch_asked_for_while_deaf_is_asked_for_again(worker: Worker, redis: Redis) -> None:
    """A Redis that comes back twice before the bus does has not kept what it said in between."""
    await worker.synchronise()
    phone = await worker.held()
    worker.opener.disconnected()
    await worker.ledger.epoch()
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
    worker.devices.valve.way.clear()
    older = worker.begin()
    await worker.devices.valve.asked.wait()
    worker.opener.hinted("anna", b'{"d":"D1","g":2}')
    async with running(other):
        await other.held()
    worker.devices.valve.way.set()

    await until(lambda: bool(older.answers))
    assert [PingResponse(1).to_bytes()] == older.answers


async def test_ping_that_ended_meanwhile_is_left_alone(worker: Worker) -> None:
    """A phone that hung up, or was drained, while Redis was asked gets nothing more."""
    await worker.synchronise()
    worker.devices.valve.way.clear()
    gone, drained = worker.begin(), worker.begin(device=BERT)
    await worker.devices.valve.asked.wait()
    assert gone.waiting is not None
    assert drained.waiting is not None
    worker.hub.abandon(gone.waiting)
    worker.hub.finish(drained.waiting, DRAINED)
    worker.devices.valve.way.set()
    await turns()

    assert ([], [DRAINED.response.to_bytes()]) == (gone.answers, drained.answers)
    assert len(worker.hub) == 0
