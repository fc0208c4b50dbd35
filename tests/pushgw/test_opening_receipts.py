"""What a phone is known to have seen: from its next request, its TCP, and when it is written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from notifier.change import Hint
from notifier.ledger import EPOCH_KEY
from pushgw.devices import Device, Seen
from pushgw.eas.ping import PingRequest, PingResponse
from pushgw.opening import BATCH
from tests.pushgw.opening_worker import (
    ANNA,
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


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    """A worker for which a partnership with Anna's phone was made."""
    worker = Worker(redis, "w1")
    async with running(worker):
        await worker.synchronise()
        yield worker


async def resumed(worker: Worker, number: int = 1, folder: str = "INBOX") -> Phone:
    """A phone that was told of a change and is back, so that nothing of it was written yet."""
    phone = await worker.held(PingRequest(600, (INBOX, PROJECTS)))
    await tell(worker, phone, number, folder)
    return phone


async def tell(worker: Worker, phone: Phone, number: int, folder: str = "INBOX") -> None:
    """Tell a phone of a change, and let it come back."""
    await worker.record(folder)
    worker.opener.hinted("anna", Hint(folder, number).to_bytes())
    worker.begin(PingRequest(600, (INBOX, PROJECTS)), phone=phone)
    assert phone.is_held


async def cursor(redis: Redis, folder: str = "INBOX", device: Device = ANNA) -> bytes | None:
    """The stored number of a folder, without the epoch."""
    text = await redis.hget(device.key, f"c:{folder}")
    return None if text is None else text.partition(b".")[0]


async def test_next_request_is_the_receipt(worker: Worker) -> None:
    """A phone that pings for something else on the same connection is not told the same again."""
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())

    again = await worker.held(PingRequest(900, (INBOX,)), phone=phone)

    assert ([CHANGED], 2) == (again.answers, worker.asked)


async def test_lost_answer_is_repeated(worker: Worker) -> None:
    """A phone whose answer is not known to have arrived is told again."""
    await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())

    assert CHANGED == await worker.answered()


async def test_acknowledged_answer_advances_the_cursors(worker: Worker) -> None:
    """Bytes that the phone's TCP acknowledged are a receipt, noticed within a second."""
    phone = await worker.held()
    await worker.record()
    worker.opener.hinted("anna", Hint("INBOX", 1).to_bytes())
    phone.delivered = True
    worker.opener.tick(worker.now)
    await until(lambda: len(worker.receipts) == 0)
    await turns()

    again = await worker.held()

    assert again.answers == []


async def test_receipt_of_a_resumed_ping_is_written_within_a_second(
    worker: Worker, redis: Redis
) -> None:
    """A phone that waits on without Redis has its cursor written at the next full second."""
    await resumed(worker)
    assert await cursor(redis) is None

    worker.opener.tick(worker.now)
    await turns()
    assert (b"1", 1) == (await cursor(redis), worker.asked)


async def test_receipt_is_written_before_the_next_question(worker: Worker) -> None:
    """A phone that comes on another connection before the second is over is not told again."""
    await resumed(worker)

    again = await worker.held()

    assert again.answers == []


async def test_last_of_several_receipts_is_written(worker: Worker, redis: Redis) -> None:
    """A phone that was told several times within a second has its last cursors written."""
    phone = await resumed(worker, 1)
    await tell(worker, phone, 1, "Projects")
    await tell(worker, phone, 2)
    worker.opener.tick(worker.now)
    await turns()

    assert (b"2", b"1") == (await cursor(redis), await cursor(redis, "Projects"))
    assert PingResponse(2, folders=("Projects",)).to_bytes() == phone.answers[1]


async def test_more_receipts_than_fit_are_all_written(worker: Worker, redis: Redis) -> None:
    """What is beyond one batch follows at once, without waiting for the next second."""
    devices = [Device("anna", f"D{number}") for number in range(2 * BATCH + 10)]
    for device in devices:
        worker.receipts.keep(Seen(device, (("INBOX", "7.e1"),)))
    worker.opener.tick(worker.now)
    await until(lambda: not worker.receipts._arrived)
    await turns()

    assert b"7" == await cursor(redis, device=devices[-1])
    assert len(devices) == len(await redis.keys("pushgw:{anna}:device:*"))


async def test_end_writes_what_is_left(worker: Worker, redis: Redis) -> None:
    """A worker that ends writes receipts of the last second, also those only TCP knows of."""
    await resumed(worker)
    sent = Phone()
    sent.delivered = True
    worker.receipts.sent(sent, Seen(Device("anna", "D2"), (("INBOX", "7.e1"),)))
    await worker.opener.settle()

    assert b"1" == await cursor(redis)
    assert b"7" == await cursor(redis, device=Device("anna", "D2"))


async def test_end_with_nothing_to_write_needs_no_redis() -> None:
    """A worker that has nothing to say ends, with or without Redis."""
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        async with Redis.from_url(f"unix://{Path(directory) / 'absent'}") as away:
            with capture_logs() as logs:
                await Worker(away, "w1").opener.settle()

    assert logs == []


async def test_end_without_redis_says_what_is_lost() -> None:
    """A worker that ends while Redis is away tells how many phones will be woken for nothing."""
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        async with Redis.from_url(f"unix://{Path(directory) / 'absent'}") as away:
            worker = Worker(away, "w1")
            worker.receipts.keep(Seen(ANNA, (("INBOX", "7.e1"),)))
            with capture_logs() as logs:
                await worker.opener.settle()

    assert [("receipts_lost", 1)] == [(one["event"], one["devices"]) for one in logs]


async def test_cursors_of_a_resumed_ping_carry_the_epoch(worker: Worker, redis: Redis) -> None:
    """A receipt that is written late has the epoch in which its number counts."""
    await resumed(worker)
    worker.opener.tick(worker.now)
    await turns()

    text = await redis.hget(ANNA.key, "c:INBOX")
    epoch = await redis.get(EPOCH_KEY)
    assert epoch.rpartition(b".")[2] == text.partition(b".")[2]
