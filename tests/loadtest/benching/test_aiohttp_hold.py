"""The rival answers phones, else the bench would compare with nothing."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import TestClient, TestServer

from loadtest.benching.rivals.aiohttp_hold import build
from notifier.publisher import Publisher
from pushgw.wbxml import decode, element, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Application, Request

    from pushgw.wbxml import Element

QUERY = "/Microsoft-Server-ActiveSync?User=Ann%40example.org&DeviceId=P1&DeviceType=SimPhone&Cmd="


def body(heartbeat: int) -> bytes:
    folders = [
        element("Ping", "Folder", element("Ping", "Id", one), element("Ping", "Class", class_))
        for one, class_ in (("5", "Email"), ("1", "Calendar"))
    ]
    interval = element("Ping", "HeartbeatInterval", str(heartbeat))
    return encode(element("Ping", "Ping", interval, element("Ping", "Folders", *folders)))


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[TestClient[Request, Application]]:
    async with TestClient(TestServer(build(valkey_url))) as one:
        yield one


async def post(client: TestClient[Request, Application], command: str, data: bytes) -> Element:
    async with client.post(QUERY + command, data=data) as response:
        assert response.status == 200
        return decode(await response.read())


def status(document: Element) -> str:
    one = document.find("Status")
    assert one is not None
    return one.text


@pytest.mark.parametrize(("published", "folder"), [("INBOX", "5"), ("Calendar", "1"), ("5", "5")])
async def test_a_change_ends_a_ping(
    client: TestClient[Request, Application], valkey_url: str, published: str, folder: str
) -> None:
    """A Ping is answered with status 2 and the folder when its mailbox changes."""
    ping = asyncio.create_task(post(client, "Ping", body(60)))
    async with Publisher.from_url(valkey_url) as publisher:
        until = monotonic() + 5
        while not ping.done() and monotonic() < until:
            await publisher.publish("ann@example.org", published)
            await asyncio.sleep(0.01)

    answer = await ping
    folders = answer.find("Folders")
    assert folders is not None
    assert ("2", [folder]) == (status(answer), [one.text for one in folders.all("Folder")])


async def test_a_heartbeat_ends_a_ping(client: TestClient[Request, Application]) -> None:
    """A Ping is answered with status 1 when its interval is over, also an empty one."""
    full = await post(client, "Ping", body(0))
    empty = await post(client, "Ping", b"")

    assert ("1", "1") == (status(full), status(empty))


async def test_an_empty_ping_needs_a_full_one(client: TestClient[Request, Application]) -> None:
    """Without cached values, an empty Ping is answered with status 3."""
    assert "3" == status(await post(client, "Ping", b""))


async def test_a_folder_sync_is_answered(client: TestClient[Request, Application]) -> None:
    """Every FolderSync gets the same hierarchy."""
    assert "1" == status(await post(client, "FolderSync", b""))


async def test_options_are_told(client: TestClient[Request, Application]) -> None:
    """A new phone learns the version and the commands."""
    async with client.options(QUERY.partition("?")[0]) as response:
        assert "14.1" == response.headers["MS-ASProtocolVersions"]


@pytest.mark.parametrize(("command", "http_status"), [("Sync", 501), ("Ping", 400)])
async def test_other_requests_are_refused(
    client: TestClient[Request, Application], command: str, http_status: int
) -> None:
    """Unknown commands and broken documents get an HTTP error."""
    async with client.post(QUERY + command, data=b"\x03\x01") as response:
        assert http_status == response.status
