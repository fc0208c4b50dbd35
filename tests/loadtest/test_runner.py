"""A whole run against a fake gateway that loses, delays and refuses on purpose."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from redis.asyncio import Redis

from loadtest.account import canonical
from loadtest.fleet import Target
from loadtest.profile import Profile
from loadtest.runner import Place, Run
from loadtest.view import Screen
from pushgw.wbxml import decode, element, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtest.report import Snapshot


class FakeGateway:
    """Answers FolderSync, holds Pings, and hears of changes from Redis.

    Change number ``lose`` (and every later one of that folder, or it would cover the first) is
    kept silent; every ``delay_each``-th one is told 40 ms late.
    """

    def __init__(self, *, lose: int = 0, delay_each: int = 0, refuse: str = "") -> None:
        self.lost: set[tuple[str, str]] = set()
        self.commands: list[str] = []
        self.refuse = refuse
        self.heartbeats: dict[str, int] = {}
        self._lose = lose
        self._delay_each = delay_each
        self._heard = 0
        self._held: dict[str, Connection] = {}
        self._pending: dict[str, set[str]] = {}

    def hear(self, mailbox: str, folder: str) -> None:
        self._heard += 1
        if self._heard == self._lose or (mailbox, folder) in self.lost:
            self.lost.add((mailbox, folder))
            return
        late = 0.04 if self._delay_each and self._heard % self._delay_each == 0 else 0.0
        asyncio.get_running_loop().call_later(late, self._tell, mailbox, folder)

    def hold(self, mailbox: str, connection: Connection, heartbeat: int) -> None:
        self._held[mailbox] = connection
        asyncio.get_running_loop().call_later(heartbeat, self._expire, mailbox, connection)
        self._flush(mailbox)

    def _tell(self, mailbox: str, folder: str) -> None:
        self._pending.setdefault(mailbox, set()).add(folder)
        self._flush(mailbox)

    def _flush(self, mailbox: str) -> None:
        if mailbox in self._held and mailbox in self._pending:
            folders = self._pending.pop(mailbox)
            self._held.pop(mailbox).answer("Ping", "2", *sorted(folders))

    def _expire(self, mailbox: str, connection: Connection) -> None:
        if self._held.get(mailbox) is connection:
            del self._held[mailbox]
            connection.answer("Ping", "1")


class Connection(asyncio.Protocol):
    """One connection of a phone; requests arrive in one piece here."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        query = parse_qs(urlsplit(head.split()[1].decode()).query)
        command, mailbox = query["Cmd"][0], query["User"][0]
        gateway = self._gateway
        gateway.commands.append(f"{command} {'full' if body else 'empty'}")
        if gateway.refuse:
            self._write(f"HTTP/1.1 {gateway.refuse}\r\nContent-Length: 0\r\n\r\n".encode())
        elif command == "FolderSync":
            self.answer("FolderHierarchy", "1")
        else:
            if body:
                interval = decode(body).find("HeartbeatInterval")
                assert interval is not None
                gateway.heartbeats[mailbox] = int(interval.text)
            gateway.hold(mailbox, self, gateway.heartbeats[mailbox])

    def answer(self, page: str, status: str, *folders: str) -> None:
        name = "Ping" if page == "Ping" else "FolderSync"
        named = element(page, "Folders", *(element(page, "Folder", one) for one in folders))
        parts = [element(page, "Status", status), *([named] if folders else [])]
        body = encode(element(page, name, *parts))
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


@pytest.fixture
async def bus(valkey_url: str) -> AsyncIterator[asyncio.Queue[FakeGateway]]:
    """A queue for the one gateway that is to hear of changes."""
    client = Redis.from_url(valkey_url)
    pubsub = client.pubsub()
    await pubsub.psubscribe("pushgw:*")
    gateways: asyncio.Queue[FakeGateway] = asyncio.Queue(1)

    async def listen() -> None:
        gateway = await gateways.get()
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                mailbox = message["channel"].decode().removeprefix("pushgw:{").removesuffix("}")
                gateway.hear(mailbox, canonical(orjson.loads(message["data"])["f"]))

    task = asyncio.create_task(listen())
    yield gateways
    task.cancel()
    await asyncio.wait([task])
    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it so
    await client.aclose()


def profile(**numbers: float) -> Profile:
    wanted = {"devices": 60, "duration": 0.8, "rate": 60, "short_share": 0.0}
    wanted |= {"grace": 0.2, "calm": 0.1}
    return Profile(name="test", **{**wanted, **numbers})  # type: ignore[arg-type]  # numbers


async def perform(
    load: Profile, gateway: FakeGateway, valkey_url: str, stop: float = 0
) -> Snapshot:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(gateway), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    shown: list[Snapshot] = []
    run = Run(load, Place(Target("127.0.0.1", port), valkey_url), Screen(0.5, shown.append))
    if stop:
        loop.call_later(stop, run.stop)
    try:
        async with asyncio.timeout(15):
            end = await run.perform()
    finally:
        server.close()
        await server.wait_closed()
    assert shown
    return end


async def test_a_gateway_that_tells_everything_loses_nothing(
    valkey_url: str, bus: asyncio.Queue[FakeGateway]
) -> None:
    """Every change of a faithful gateway is answered, and the run is good."""
    gateway = FakeGateway()
    bus.put_nowait(gateway)

    end = await perform(profile(), gateway, valkey_url)

    assert (48, 48, 0, 0) == (end.published, end.answered, end.open, end.spurious)
    assert end.is_good
    assert end.held == 60


async def test_exactly_the_lost_changes_are_found(
    valkey_url: str, bus: asyncio.Queue[FakeGateway]
) -> None:
    """Of a gateway that keeps one folder silent, just the changes of that folder are lost."""
    gateway = FakeGateway(lose=5)
    bus.put_nowait(gateway)

    end = await perform(profile(), gateway, valkey_url)

    assert gateway.lost == {(one.mailbox, canonical(one.folder)) for one in end.lost}
    assert end.published == end.answered + end.open
    assert not end.is_good


async def test_delays_show_in_the_latency(valkey_url: str, bus: asyncio.Queue[FakeGateway]) -> None:
    """Of a gateway that is late now and then, the tail is slow and the middle is not."""
    gateway = FakeGateway(delay_each=10)
    bus.put_nowait(gateway)

    end = await perform(profile(), gateway, valkey_url)

    assert end.latency.max_ms >= 39
    assert end.latency.p50_ms < 30


async def test_heartbeats_that_end_are_measured(
    valkey_url: str, bus: asyncio.Queue[FakeGateway]
) -> None:
    """Phones that ask for one second are answered after one second, and none is lost."""
    gateway = FakeGateway()
    bus.put_nowait(gateway)
    load = profile(devices=30, rate=20, duration=1.2, short_share=1.0)

    end = await perform(replace(load, short_heartbeat=(1, 1)), gateway, valkey_url)

    assert end.heartbeats.reached > 10
    assert end.heartbeats.max_late < 0.5


async def test_terse_phones_send_empty_pings(
    valkey_url: str, bus: asyncio.Queue[FakeGateway]
) -> None:
    """Phones that leave the body out still get every change."""
    gateway = FakeGateway()
    bus.put_nowait(gateway)

    end = await perform(profile(terse_share=1.0), gateway, valkey_url)

    assert gateway.commands.count("Ping full") == 60
    assert gateway.commands.count("Ping empty") == end.answered


async def test_refused_phones_stop_and_are_counted(valkey_url: str) -> None:
    """Phones whose credentials are refused send one request each and never come back."""
    gateway = FakeGateway(refuse="401 Unauthorized")

    end = await perform(profile(devices=24), gateway, valkey_url, stop=0.5)

    assert {"HTTP 401": 24} == end.errors
    assert len(gateway.commands) == 24
    assert not end.is_good


async def test_a_stopped_run_closes_its_account(
    valkey_url: str, bus: asyncio.Queue[FakeGateway]
) -> None:
    """A run that is stopped half-way reports what it published until then."""
    gateway = FakeGateway()
    bus.put_nowait(gateway)

    end = await perform(profile(duration=60), gateway, valkey_url, stop=1.0)

    assert 0 < end.published < 240
    assert end.is_good
