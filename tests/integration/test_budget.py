"""What a held Ping may cost: bytes and objects, so that no dependency multiplies them unseen."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
import uvloop
from redis.asyncio import Redis

from loadtest import limits, process
from notifier.ledger import Ledger
from pushgw import telemetry
from pushgw.admin.control import socket_path
from pushgw.app import plan as plans
from pushgw.app.worker import Worker
from pushgw.devices import Device, Devices
from pushgw.eas import envelope as envelopes
from pushgw.settings import Server, Settings
from pushgw.settings.sections import Redis as RedisSettings
from pushgw.standalone import Command, Standalone
from tests.integration.phone import PATH, folder_sync, ping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import StartGateway
    from tests.integration.gateway import Valkey

FEW, MANY = 500, 2500
"""The cost is the slope between these, so that what a process needs anyway is not counted."""
BYTES = 2560
OBJECTS = 8
"""Measured: 7.0 that the collector tracks, and 2,169 bytes."""
CHURNED, AT_ONCE = 10_000, 250


def request(number: int) -> bytes:
    """Write the Ping of one phone."""
    body = ping("5", "1", heartbeat=480)
    query = f"Cmd=Ping&User=cheap{number}&DeviceId=D{number}&DeviceType=t"
    head = f"POST {PATH}?{query} HTTP/1.1\r\nHost: h\r\nMS-ASProtocolVersion: 14.1\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def synchronise(url: str, numbers: range) -> None:
    """Have phones known as if each had made its FolderSync."""
    headers = {"ms-asprotocolversion": "14.1"}
    async with Redis.from_url(url, max_connections=50) as redis:
        gateway = Standalone(Devices(redis, "test"), Ledger(redis))
        for number in numbers:
            device = Device(f"cheap{number}", f"D{number}")
            query = f"Cmd=FolderSync&User={device.mailbox}&DeviceId={device.id}&DeviceType=t"
            command = Command(device, envelopes.parse(query, headers), folder_sync())
            await gateway.answer(command)


class Phones:
    """Phones that send one Ping each and read nothing."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._sockets: list[socket.socket] = []

    def open(self, numbers: range) -> None:
        for number in numbers:
            one = socket.create_connection(self._address)
            one.sendall(request(number))
            self._sockets.append(one)

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()


@pytest.fixture
def phones_of() -> Iterator[type[Phones]]:
    """Phones, with as many open files as they need."""
    limits.raise_files(2 * MANY + limits.SPARE_FILES)
    return Phones


async def tell(path: Path, what: str, method: str = "GET") -> dict[str, float]:
    """Ask a worker over its own socket."""
    connector = aiohttp.UnixConnector(str(path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"http://worker{what}") as response,
    ):
        return json.loads(await response.text())


async def cost(path: Path, held: int) -> tuple[int, int]:
    """Wait until a worker holds so many Pings; return its bytes and tracked objects then."""
    async with asyncio.timeout(20):
        while (state := await tell(path, "/state"))["held"] < held:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    objects = (await tell(path, "/collect", "POST"))["objects"]
    return process.memory_bytes(int(state["pid"])) or 0, int(objects)


async def test_held_ping_stays_within_its_budget(
    valkey: Valkey, start_gateway: StartGateway, phones_of: type[Phones], tmp_path_factory
):
    """A held Ping costs a worker at most 2,560 bytes of memory and a handful of tracked objects."""
    run_dir = tmp_path_factory.mktemp("r")
    gateway = start_gateway(valkey.url, server__run_dir=str(run_dir))
    worker = socket_path(run_dir, 0)
    await synchronise(valkey.url, range(MANY))
    phones = phones_of(gateway.eas)
    with contextlib.closing(phones):
        phones.open(range(FEW))
        few = await cost(worker, FEW)
        phones.open(range(FEW, MANY))
        many = await cost(worker, MANY)

    memory, objects = (
        (after - before) / (MANY - FEW) for before, after in zip(few, many, strict=True)
    )
    assert (True, True) == (memory <= BYTES, objects <= OBJECTS), (memory, objects)


def settings_of(url: str, run_dir: Path) -> Settings:
    server = Server(
        listen="127.0.0.1:0",
        admin_listen="127.0.0.1:0",
        workers=1,
        run_dir=str(run_dir),
        drain_seconds=0,
    )
    return Settings(server=server, redis=RedisSettings(url=url))


async def held(count: int) -> None:
    """Wait until the worker of this process holds exactly so many Pings."""
    (metric,) = telemetry.HELD_PINGS.collect()
    while metric.samples[0].value != count:
        await asyncio.sleep(0.001)
        (metric,) = telemetry.HELD_PINGS.collect()


async def churn(url: str, run_dir: Path, phones_of: type[Phones]) -> tuple[int, int]:
    """Let connections come, wait and go with the collector off; count objects before and after."""
    await synchronise(url, range(AT_ONCE))
    with contextlib.ExitStack() as stack:
        plan = plans.make(settings_of(url, run_dir), stack)
        worker = asyncio.create_task(Worker(plan, 0).run())
        phones = phones_of(plan.phones[0].getsockname()[1])

        async def come_and_go() -> None:
            phones.open(range(AT_ONCE))
            async with asyncio.timeout(20):
                await held(AT_ONCE)
                phones.close()
                await held(0)

        for _ in range(4):
            await come_and_go()
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            for _ in range(CHURNED // AT_ONCE):
                await come_and_go()
            after = len(gc.get_objects())
        finally:
            gc.enable()
            os.kill(os.getpid(), signal.SIGTERM)
            await worker
    return before, after


def test_connections_leave_no_cycles(
    valkey: Valkey, phones_of: type[Phones], tmp_path_factory: pytest.TempPathFactory
):
    """After 10,000 connections with the collector off there are no more objects than before."""
    run_dir = tmp_path_factory.mktemp("r")
    before, after = uvloop.run(churn(valkey.url, run_dir, phones_of))

    assert after - before < CHURNED / 10, (before, after)
