"""Phones made known to a real gateway with a real Valkey."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from loadtest import servers
from loadtest.benching.acquainting import acquaint
from loadtest.benching.load_process import LoadError
from loadtest.profiles.users import Users
from loadtest.scenario.commands import Watched
from loadtest.targets import Target
from loadtest.wire.bodies import ping
from pushgw.wbxml import decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from loadtest.servers import Redis

USERS = Users(first=7)
PHONES = 3
INBOX = (Watched("5", "Email", "INBOX"),)


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        yield Path(name)


@pytest.fixture
async def valkey(directory: Path) -> AsyncIterator[Redis]:
    async with servers.valkey(directory) as redis:
        yield redis


async def first_status(target: Target, number: int) -> str:
    """Send the first Ping of a user's phone, with the shortest heartbeat."""
    query = f"Cmd=Ping&User={USERS.login(number)}&DeviceId={USERS.device_id(number, 1)}"
    headers = {"MS-ASProtocolVersion": "14.1"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{target.url}?{query}&DeviceType=Phone", data=ping(1, INBOX)) as one,
    ):
        status = decode(await one.read()).find("Status")
    return status.text if status else ""


async def test_all_are_known_but_no_others(directory: Path, valkey: Redis) -> None:
    """Each phone may Ping at once as if it had synchronised its folders; the next one may not."""
    settings = {"PUSHGW_SERVER__WORKERS": "1", "PUSHGW_HEARTBEAT__MIN": "1"}
    async with servers.gateway(valkey.url, directory, settings) as gateway:
        await acquaint(gateway.target, valkey.url, USERS, PHONES)
        found = [await first_status(gateway.target, 7 + index) for index in range(PHONES + 1)]

    assert ["1", "1", "1", "7"] == found


async def test_gateway_that_is_not_there_is_an_error(valkey: Redis) -> None:
    """Where nothing listens there is one line that says so."""
    with pytest.raises(LoadError, match="the FolderSync of the first phone failed"):
        await acquaint(Target("127.0.0.1", 1), valkey.url, USERS, PHONES)


async def test_server_that_keeps_nothing_is_an_error(valkey: Redis) -> None:
    """A server that leaves nothing in Valkey makes nobody known."""

    async def nothing(_request: web.BaseRequest) -> web.Response:
        return web.Response()

    runner = web.ServerRunner(web.Server(nothing))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        with pytest.raises(LoadError, match="the gateway kept nothing of its phone"):
            await acquaint(Target("127.0.0.1", port), valkey.url, USERS, PHONES)
    finally:
        await runner.cleanup()
