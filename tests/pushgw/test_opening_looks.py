"""Looks at the ledger and round trips: what is asked together, and who gets a turn in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushgw.devices import Device
from pushgw.eas.ping import PingRequest
from pushgw.hub import CHUNK
from pushgw.opening import BATCH
from tests.pushgw.opening_worker import (
    ANNA,
    BERT,
    CHANGED,
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


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    worker = Worker(redis, "w1")
    async with running(worker):
        yield worker


async def crowd(worker: Worker, count: int) -> list[Phone]:
    """Hold Pings of as many devices of one mailbox."""
    devices = [Device("anna", f"D{number}") for number in range(count)]
    for device in devices:
        await worker.synchronise(device)
    phones = [worker.begin(device=device) for device in devices]
    await until(lambda: all(phone.is_held for phone in phones))
    return phones


async def test_mailbox_is_asked_once_for_all_its_phones(worker: Worker) -> None:
    """Phones of a mailbox that watch the same share one question, and each has its answer."""
    phones = await crowd(worker, 3)
    await worker.record()
    worker.opener.hinted("anna", b"look")
    await until(lambda: all(phone.answers for phone in phones))

    assert [[CHANGED]] * 3 == [phone.answers for phone in phones]
    assert ["anna"] == [mailbox for mailbox, _ in worker.ledger.wanted]


async def test_other_folders_are_asked_for_apart(worker: Worker) -> None:
    """Phones of a mailbox that watch different folders are each compared with their own."""
    requests = [PingRequest(600, (INBOX,)), PingRequest(600, (PROJECTS,))]
    devices = [ANNA, Device("anna", "D2")]
    phones = []
    for device, request in zip(devices, requests, strict=True):
        await worker.synchronise(device)
        phones.append(await worker.held(request, device))
    await worker.record("INBOX")
    worker.opener.hinted("anna", b"look")
    await until(lambda: bool(phones[0].answers))
    await turns()

    assert ([CHANGED], []) == tuple(phone.answers for phone in phones)
    assert len(worker.ledger.wanted) == 2


async def test_looks_of_one_moment_go_together(worker: Worker) -> None:
    """However often a look is asked for before it leaves, a mailbox is asked once."""
    for device in (ANNA, BERT):
        await worker.synchronise(device)
        await worker.held(device=device)
    for mailbox in ("anna", "bert", "anna", "nobody"):
        worker.opener.hinted(mailbox, b"look")
    await turns()

    assert ["anna", "bert"] == [mailbox for mailbox, _ in worker.ledger.wanted]


async def test_look_asked_for_meanwhile_is_made_again(worker: Worker) -> None:
    """A hint that comes while the ledger is read has it read once more."""
    await worker.synchronise()
    phone = await worker.held()
    async with worker.ledger.valve.shut():
        worker.opener.hinted("anna", b"look")
        await worker.ledger.valve.asked.wait()
        await worker.record()
        worker.opener.hinted("anna", b"look")

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_more_looks_than_fit_are_all_made(worker: Worker) -> None:
    """What is beyond one round trip follows with the next."""
    await worker.synchronise()
    phone = await worker.held()
    await worker.record()
    for number in range(BATCH):
        worker.opener._look_soon(f"user{number}")
    worker.opener.hinted("anna", b"look")

    await until(lambda: bool(phone.answers))
    assert [CHANGED] == phone.answers


async def test_crowd_is_compared_in_chunks(worker: Worker) -> None:
    """Whatever else the loop has to do gets its turn between two chunks of a crowd."""
    phones = await crowd(worker, CHUNK + 10)
    await worker.record()
    told: list[int] = []

    async def look_on() -> None:
        while not told or told[-1] < len(phones):
            told.append(sum(len(phone.answers) for phone in phones))
            await asyncio.sleep(0)

    other = asyncio.create_task(look_on())
    worker.opener.hinted("anna", b"look")
    await asyncio.wait_for(other, 5)

    assert [0, CHUNK, CHUNK + 10] == list(dict.fromkeys(told))


async def test_pings_of_a_storm_are_gathered(worker: Worker) -> None:
    """While many Pings come, those of a moment are asked for together, not a few each time."""
    await worker.synchronise()
    for _ in range(2):
        worker.begin(device=BERT)
    await worker.devices.valve.asked.wait()
    for _ in range(5):
        worker.begin(device=BERT)
        await asyncio.sleep(0)
    await until(lambda: worker.asked == 7)

    assert [2, 5] == worker.devices.batches


async def test_first_ping_of_a_quiet_moment_is_asked_for_at_once(worker: Worker) -> None:
    """A Ping that comes alone does not wait for others."""
    await worker.synchronise()
    async with worker.devices.valve.shut():
        worker.begin()
        await worker.devices.valve.asked.wait()
        for _ in range(2):
            worker.begin(device=BERT)
    await until(lambda: worker.asked == 3)

    assert [1, 2] == worker.devices.batches
