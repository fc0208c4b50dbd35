"""A phone that is back on its connection waits on without Redis, unless a change may be missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from heartbeat.interval import SPREAD
from notifier.change import Hint
from pushgw.devices import newer_ping
from pushgw.eas.ping import CACHED, PingRequest, PingResponse
from tests.pushgw.opening_worker import (
    ANNA,
    BERT,
    CHANGED,
    EXPIRED,
    GO_AND_SYNCHRONISE,
    INBOX,
    PROJECTS,
    Phone,
    Worker,
    running,
    turns,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

BOTH = PingRequest(600, (INBOX, PROJECTS))


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    """A worker for which a partnership with Anna's phone was made."""
    worker = Worker(redis, "w1")
    async with running(worker):
        await worker.synchronise()
        yield worker


async def answered_again(worker: Worker, phone: Phone) -> bytes:
    """Ping once more on the same connection, and wait for the answer."""
    before = len(phone.answers)
    worker.begin(phone=phone)
    await until(lambda: len(phone.answers) > before)
    return phone.answers[-1]


async def test_phone_that_is_back_is_held_without_redis(worker: Worker) -> None:
    """The same Ping on the same connection waits at once, until its own interval is over."""
    phone = await worker.rested()
    worker.now += 50.0
    asked = worker.asked
    worker.begin(phone=phone)

    assert (True, asked) == (phone.is_held, worker.asked)
    assert phone.waiting is not None
    assert worker.now + 599 - SPREAD <= phone.waiting.until <= worker.now + 599
    assert phone.waiting.generation == 1


@pytest.mark.parametrize(
    "request_",
    [CACHED, PingRequest(600, None), PingRequest(None, (INBOX,)), PingRequest(600, (INBOX,))],
)
async def test_ping_that_asks_for_the_same_is_held(worker: Worker, request_: PingRequest) -> None:
    """What a Ping leaves out is what the one before asked for."""
    phone = await worker.rested()

    worker.begin(request_, phone=phone)

    assert phone.is_held


@pytest.mark.parametrize(
    "request_",
    [
        PingRequest(601, (INBOX,)),
        PingRequest(600, (PROJECTS,)),
        PingRequest(600, (INBOX, PROJECTS)),
        PingRequest(None, (PROJECTS,)),
    ],
)
async def test_ping_that_asks_for_something_else_asks_redis(
    worker: Worker, request_: PingRequest
) -> None:
    """Another interval or other folders are opened like a first Ping, and are cached."""
    phone = await worker.rested()
    worker.begin(request_, phone=phone)
    assert (False, None) == (phone.is_held, phone.rested)

    await until(lambda: phone.is_held)
    assert worker.asked == 2


@pytest.mark.parametrize("request_", [PingRequest(1, None), PingRequest(None, ())])
async def test_ping_that_is_refused_is_not_held(worker: Worker, request_: PingRequest) -> None:
    """An interval out of range, or an empty list, is refused after a rest as before it."""
    phone = await worker.rested()
    worker.begin(request_, phone=phone)

    await until(lambda: len(phone.answers) == 2)
    assert not phone.is_held


async def test_folders_in_another_order_are_something_else(worker: Worker) -> None:
    """A phone is answered in the order of its own list: another order is another Ping."""
    phone = await worker.rested(BOTH)
    worker.begin(PingRequest(600, (PROJECTS, INBOX)), phone=phone)

    await until(lambda: phone.is_held)
    assert worker.asked == 2


@pytest.mark.parametrize("attribute", ["device", "mailbox"])
async def test_another_phone_on_the_connection_asks_redis(worker: Worker, attribute: str) -> None:
    """A proxy's connection carries several phones: each is asked for by its own name."""
    other = BERT if attribute == "mailbox" else type(ANNA)("anna", "D2")
    await worker.synchronise(other)
    phone = await worker.rested()
    worker.begin(device=other, phone=phone)
    await until(lambda: phone.is_held)

    assert phone.waiting is not None
    assert other == phone.waiting.whose
    assert (None, 2) == (phone.rested, worker.asked)


async def test_told_change_is_not_told_again(worker: Worker) -> None:
    """A phone that was told of a change waits for the next one."""
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())
    worker.begin(phone=phone)
    assert phone.is_held

    worker.opener.hinted("anna", b"look")
    await turns()
    assert [CHANGED] == phone.answers

    await worker.record()
    worker.opener.hinted("anna", b"look")
    await until(lambda: len(phone.answers) == 2)
    assert CHANGED == phone.answers[1]


async def test_told_folders_are_known_each(worker: Worker) -> None:
    """An answer with several folders, found by a look, leaves none of them to be told again."""
    phone = await worker.held(BOTH)
    for folder in ("Projects", "INBOX", "5", "INBOX"):
        await worker.record(folder)
    worker.opener.hinted("anna", b"look")
    await until(lambda: bool(phone.answers))
    worker.begin(BOTH, phone=phone)
    worker.opener.hinted("anna", b"look")
    await turns()

    assert [PingResponse(2, folders=("5", "Projects")).to_bytes()] == phone.answers
    assert phone.is_held


async def test_folder_that_was_not_told_is_still_news(worker: Worker) -> None:
    """A hint of one folder says nothing of the other, which the next Ping is told of."""
    phone = await worker.held(BOTH)
    await worker.record("Projects")
    await worker.record("INBOX")
    worker.opener.hinted("anna", Hint("Projects", 1).to_bytes())
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())

    assert CHANGED == await answered_again(worker, phone)


async def test_hierarchy_that_was_told_begins_anew(worker: Worker) -> None:
    """A phone that was sent to FolderSync and pings without one is sent there again."""
    phone = await worker.held()
    await worker.record("")
    worker.opener.hinted("anna", Hint("", 1).to_bytes())

    assert GO_AND_SYNCHRONISE == await answered_again(worker, phone)


# A change is recorded between two Pings, and each of these has the second one ask Redis.


async def test_hint_in_between_is_told(worker: Worker) -> None:
    """A change that was heard of while nobody waited is told with the next Ping."""
    phone = await worker.rested()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())

    assert CHANGED == await answered_again(worker, phone)


async def test_lost_subscription_in_between_is_told(worker: Worker) -> None:
    """A change that nobody heard of because the bus was away is told with the next Ping."""
    phone = await worker.rested()
    worker.opener.disconnected()
    await worker.record()
    worker.opener.confirmed(["anna"])

    assert CHANGED == await answered_again(worker, phone)


async def test_given_up_subscription_in_between_is_told(worker: Worker) -> None:
    """A change after the subscription was given up is told with the next Ping."""
    phone = await worker.rested()
    worker.opener.unheard(["nobody", "anna"])
    await worker.record()

    assert CHANGED == await answered_again(worker, phone)


async def test_subscription_not_in_force_has_redis_asked(worker: Worker) -> None:
    """A phone whose mailbox must be subscribed anew is opened when that is confirmed."""
    phone = await worker.rested()
    worker.channels.in_force = False
    await worker.record()
    worker.begin(phone=phone)
    await turns()
    assert [EXPIRED] == phone.answers

    worker.opener.confirmed(["anna"])
    await until(lambda: len(phone.answers) == 2)
    assert CHANGED == phone.answers[1]


async def test_ping_that_ended_deaf_is_told(worker: Worker) -> None:
    """A heartbeat that was over while the bus was away leaves nothing to go on from."""
    phone = await worker.held()
    worker.opener.disconnected()
    worker.channels.in_force = False
    await worker.record()
    worker.end(phone)
    worker.channels.in_force = True
    worker.opener.confirmed(["anna"])

    assert CHANGED == await answered_again(worker, phone)


async def test_ping_of_the_device_elsewhere_is_told(worker: Worker) -> None:
    """A phone that used another connection in between begins anew on the first one."""
    phone = await worker.rested()
    other = await worker.held()
    await worker.record()

    assert CHANGED == await answered_again(worker, phone)
    await until(lambda: bool(other.answers))


async def test_ping_of_the_device_on_another_worker_is_told(worker: Worker, redis: Redis) -> None:
    """A number that another worker gave in between has the next Ping get one of its own."""
    elsewhere = Worker(redis, "w2")
    phone = await worker.rested()
    async with running(elsewhere):
        other = await elsewhere.held()
        worker.opener.hinted("anna", newer_ping("D1", 2))
        await worker.held(phone=phone)
        assert phone.waiting is not None
        elsewhere.opener.hinted("anna", newer_ping("D1", phone.waiting.generation))

    assert (3, [EXPIRED]) == (phone.waiting.generation, other.answers)


async def test_newer_ping_on_another_worker_ends_a_resumed_one(
    worker: Worker, redis: Redis
) -> None:
    """A worker that takes a device over ends also the Ping that was resumed meanwhile."""
    elsewhere = Worker(redis, "w2")
    phone = await worker.rested()
    async with running(elsewhere):
        other = await elsewhere.held()
        worker.begin(phone=phone)
        assert phone.is_held
        worker.opener.hinted("anna", newer_ping("D1", 2))

    assert ([EXPIRED, EXPIRED], []) == (phone.answers, other.answers)


async def test_older_ping_that_ends_while_the_newer_is_opening_begins_anew(worker: Worker) -> None:
    """Of two Pings of a device one is left, also when the older one was answered in between."""
    phone = await worker.held()
    async with worker.devices.valve.shut():
        other = worker.begin()
        await worker.devices.valve.asked.wait()
        worker.end(phone)
    await until(lambda: other.is_held)
    await worker.held(phone=phone)

    assert (1, [EXPIRED]) == (len(worker.hub), other.answers)


async def test_interrupted_ping_is_told(worker: Worker) -> None:
    """A phone that sent its next request too early begins anew."""
    phone = await worker.held()
    assert phone.waiting is not None
    worker.hub.interrupt(phone.waiting)
    await worker.record()

    assert CHANGED == await answered_again(worker, phone)


# A look at the ledger is asked for, or under way, while the phone is answered and comes back.


async def test_look_that_is_still_to_come_is_not_missed(worker: Worker) -> None:
    """A phone whose interval ends before the look that was asked for is told with its next Ping."""
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", b"look")
    worker.end(phone)

    assert CHANGED == await answered_again(worker, phone)


async def test_look_that_misses_a_resting_phone_is_not_missed(worker: Worker) -> None:
    """A phone that is between two Pings while the ledger is looked at asks Redis."""
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", b"look")
    worker.end(phone)
    await turns()

    assert CHANGED == await answered_again(worker, phone)


async def test_look_under_way_is_not_missed_by_a_resting_phone(worker: Worker) -> None:
    """A phone whose interval ends while the ledger is read asks Redis."""
    phone = await worker.held()
    await worker.record()
    async with worker.ledger.valve.shut():
        worker.opener.hinted("anna", b"look")
        await worker.ledger.valve.asked.wait()
        worker.end(phone)
    await turns()

    assert CHANGED == await answered_again(worker, phone)


async def test_look_under_way_is_not_missed_by_a_phone_that_is_back(worker: Worker) -> None:
    """A phone that is answered and back while the ledger is read is told."""
    phone = await worker.held()
    await worker.record()
    async with worker.ledger.valve.shut():
        worker.opener.hinted("anna", b"look")
        await worker.ledger.valve.asked.wait()
        worker.end(phone)
        worker.begin(phone=phone)

    await until(lambda: len(phone.answers) == 2)
    assert CHANGED == phone.answers[1]


async def test_look_after_a_confirmation_is_not_missed(worker: Worker) -> None:
    """A phone whose interval ends before the look after a reconnect is told with its next Ping."""
    phone = await worker.held()
    worker.opener.disconnected()
    await worker.record()
    worker.opener.confirmed(["anna"])
    worker.end(phone)
    await turns()

    assert CHANGED == await answered_again(worker, phone)


async def test_numbers_that_are_older_than_what_was_told_wake_nobody(worker: Worker) -> None:
    """A reply that was under way when its phone was told of more does not wake it once more."""
    phone = await worker.held()
    async with worker.ledger.valve.shut():
        worker.opener.hinted("anna", b"look")
        await worker.ledger.valve.asked.wait()
        await worker.record()
        worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())
        worker.begin(phone=phone)
    await until(lambda: phone.is_held)
    await turns()

    assert [CHANGED] == phone.answers
