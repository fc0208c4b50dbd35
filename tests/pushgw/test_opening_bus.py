"""Opener, hub and bus on one Valkey: what happens between two Pings of a phone is not missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from notifier.change import channel
from pushgw.devices import Device
from pushgw.eas.ping import PingRequest, PingResponse
from tests.pushgw.opening_worker import (
    ANNA,
    BERT,
    CHANGED,
    EXPIRED,
    INBOX,
    LINGER,
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

SECOND = Device("anna", "D2")


@pytest.fixture(name="worker")
async def _worker(redis: Redis, valkey_url: str) -> AsyncIterator[Worker]:
    """A worker on a real bus, with partnerships of three phones, two of them Anna's."""
    worker = Worker(redis, "w1", valkey_url)
    async with running(worker):
        await until(lambda: worker.bus is not None and worker.bus.is_connected)
        for device in (ANNA, SECOND, BERT):
            await worker.synchronise(device)
        yield worker


async def told_next(worker: Worker, phone: Phone, device: Device = ANNA) -> bytes:
    """Ping once more on the same connection, and wait for the answer."""
    before = len(phone.answers)
    worker.begin(phone=phone, device=device)
    await until(lambda: len(phone.answers) > before)
    return phone.answers[-1]


async def give_up(worker: Worker, redis: Redis, mailbox: str = "anna") -> None:
    """Let the linger time of what nobody waits for be over, and Redis have done it."""
    assert worker.bus is not None
    worker.bus._flush()
    await until_subscribers(redis, mailbox, 0)


async def until_subscribers(redis: Redis, mailbox: str, expected: int) -> None:
    for _ in range(1000):
        ((_, count),) = await redis.pubsub_numsub(channel(mailbox))
        if count == expected:
            return
    pytest.fail(f"{mailbox} has other subscribers than {expected}")


async def cut_off(worker: Worker, redis: Redis) -> None:
    """Break the bus' connection, and wait until it has noticed."""
    assert worker.bus is not None
    bus, link = worker.bus, worker.bus._link
    await redis.client_kill_filter(_type="pubsub")
    await until(lambda: bus._link is not link)


async def test_phone_is_told_change_after_change(worker: Worker) -> None:
    """A phone that comes back each time is told of each change, and Redis was asked once."""
    phone = await worker.held()
    for number in range(1, 6):
        await worker.record()
        await until(lambda number=number: len(phone.answers) == number)  # type: ignore[misc]
        worker.begin(phone=phone)
        assert phone.is_held
    await turns()

    assert ([CHANGED] * 5, 1) == (phone.answers, worker.asked)


async def test_all_folders_are_told(worker: Worker) -> None:
    """Changes of two folders right after each other are told one after the other, none twice."""
    both = PingRequest(600, (INBOX, PROJECTS))
    phone = await worker.held(both)
    await worker.record("Projects")
    await worker.record("INBOX")
    await until(lambda: len(phone.answers) == 1)
    await turns()
    worker.begin(both, phone=phone)
    await until(lambda: len(phone.answers) == 2)
    await worker.held(both, phone=phone)
    await turns()

    expected = [PingResponse(2, folders=(name,)).to_bytes() for name in ("Projects", "5")]
    assert expected == phone.answers


async def test_change_in_between_is_told(worker: Worker) -> None:
    """A change that comes over the lingering subscription is told with the next Ping."""
    phone = await worker.rested()
    await worker.record()
    await until(lambda: phone.rested is None)

    assert CHANGED == await told_next(worker, phone)


async def test_change_after_the_linger_time_is_told(worker: Worker, redis: Redis) -> None:
    """A change that comes after the subscription was given up is told with the next Ping."""
    phone = await worker.rested()
    await give_up(worker, redis)
    await worker.record()

    assert CHANGED == await told_next(worker, phone)


async def test_another_phone_does_not_hide_the_gap(worker: Worker, redis: Redis) -> None:
    """A mailbox that is subscribed again for another phone was deaf in between for the first."""
    phone = await worker.rested()
    await give_up(worker, redis)
    await worker.record()
    other = worker.begin(device=SECOND)
    await until(lambda: bool(other.answers))
    await worker.held(device=SECOND, phone=other)

    assert CHANGED == await told_next(worker, phone)


async def test_phone_that_comes_while_it_is_given_up_asks_redis(worker: Worker) -> None:
    """A Ping that crosses the UNSUBSCRIBE waits for a new subscription, and is opened then."""
    phone = await worker.rested()
    assert worker.bus is not None
    worker.bus._flush()
    worker.begin(phone=phone)
    assert not phone.is_held

    await until(lambda: phone.is_held)
    assert worker.asked == 2


async def test_other_mailboxes_go_on(worker: Worker, redis: Redis) -> None:
    """Giving up one mailbox has no phone of another ask Redis."""
    phone, other = await worker.held(), await worker.rested(device=BERT)
    await give_up(worker, redis, "bert")
    worker.end(phone)
    worker.begin(phone=phone)
    worker.begin(device=BERT, phone=other)

    assert (True, False) == (phone.is_held, other.is_held)


async def test_change_during_an_outage_is_told(worker: Worker, redis: Redis) -> None:
    """A change that comes while the bus is away is told with the next Ping."""
    phone = await worker.rested()
    await cut_off(worker, redis)
    await worker.record()

    assert CHANGED == await told_next(worker, phone)


async def test_outage_is_not_hidden_by_another_phone(worker: Worker, redis: Redis) -> None:
    """A mailbox that is heard again for another phone was not heard during the outage."""
    phone, other = await worker.rested(), await worker.held(device=SECOND)
    await cut_off(worker, redis)
    await worker.record()
    await until(lambda: bool(other.answers))

    assert CHANGED == await told_next(worker, phone)


async def test_interval_that_ends_during_an_outage_hides_nothing(
    worker: Worker, redis: Redis
) -> None:
    """A Ping that ends before its mailbox is heard again leaves nothing to go on from."""
    phone, other = await worker.held(), await worker.held(device=SECOND)
    await cut_off(worker, redis)
    await worker.record()
    worker.end(phone)
    await until(lambda: bool(other.answers))

    assert CHANGED == await told_next(worker, phone)


async def test_interval_that_ends_while_it_is_subscribed_hides_nothing(
    redis: Redis, valkey_url: str
) -> None:
    """A subscription that nobody wants any more when Redis confirms it was deaf before, too."""
    worker = Worker(redis, "w1", valkey_url, LINGER)
    await worker.synchronise()
    bus = worker.bus
    assert bus is not None
    async with running(worker):
        phone = await worker.held()
        await cut_off(worker, redis)
        await worker.record()
        while "anna" not in bus._subscriptions._asked:  # noqa: ASYNC110 - a matter of one turn
            await asyncio.sleep(0)
        worker.end(phone)
        await until(lambda: "anna" in bus._subscriptions._lingering)

        assert CHANGED == await told_next(worker, phone)


async def test_ping_on_another_worker_in_between_is_noticed(
    worker: Worker, redis: Redis, valkey_url: str
) -> None:
    """A phone that pings elsewhere and comes back ends the Ping there, and is told of changes."""
    elsewhere = Worker(redis, "w2", valkey_url)
    async with running(elsewhere):
        phone = await worker.rested()
        other = await elsewhere.held()
        await until(lambda: phone.rested is None)
        await worker.held(phone=phone)
        await until(lambda: bool(other.answers))

        assert ([EXPIRED], [EXPIRED]) == (phone.answers, other.answers)
        assert phone.is_held
