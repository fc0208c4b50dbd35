"""The server that fails on purpose, over HTTP."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from loadtest.faulty.faults import Faults
from loadtest.faulty.mailboxes import Mailboxes
from loadtest.faulty.server import Endpoint, main
from loadtest.phones.witness import TAG
from loadtest.polling import poll
from loadtest.scenario.commands import Watched
from loadtest.scrape import read as read_metrics
from loadtest.wire import bodies, documents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from loadtest.scenario.commands import Document

    Open = Callable[..., Awaitable["Server"]]

QUERY = "/Microsoft-Server-ActiveSync?User=ann%40example.org&DeviceId=P1&DeviceType=Android&Cmd="
FOLDERS = (Watched("5", "Email", "INBOX"), Watched("2", "Contacts", "Contacts"))
DELAY = 0.04


class Server:
    def __init__(self, endpoint: Endpoint, phone: TestClient, admin: TestClient) -> None:
        self.endpoint, self.phone, self.admin = endpoint, phone, admin

    async def post(self, command: str, body: bytes = b"") -> Document:
        async with self.phone.post(QUERY + command, data=body) as response:
            assert 200 == response.status
            return documents.read(await response.read())

    async def ping(self, heartbeat: int = 60) -> asyncio.Task[Document]:
        body = bodies.ping(heartbeat, FOLDERS)
        task = asyncio.create_task(self.post("Ping", body))
        assert await poll(lambda: self.endpoint.held > 0 or task.done(), 5)
        return task

    async def change(self, *changes: str, folder: str = "INBOX") -> int:
        entries = [
            {"mailbox": "ann@example.org", "folder": folder, "class": "Email", "kind": TAG + one}
            for one in changes
        ]
        async with self.admin.post("/v1/changes", json={"changes": entries}) as response:
            return response.status

    async def done(self) -> dict[str, Any]:
        async with self.admin.get("/v1/faults") as response:
            found: dict[str, Any] = await response.json()
            return found


@pytest.fixture
async def start() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def one(**faults: int) -> Server:
            none = {"lose": 0, "delay": 0, "spurious": 0, "duplicate": 0}
            chosen = Faults(**{**none, **faults}, delay_seconds=DELAY, quiet_seconds=0.0)
            # With this seed the first Ping is over nearly a second early: no test waits.
            endpoint = Endpoint(Mailboxes(chosen), random.Random(15))
            clients = [
                await stack.enter_async_context(TestClient(TestServer(app)))
                for app in (endpoint.eas(), endpoint.admin())
            ]
            return Server(endpoint, *clients)

        yield one


async def test_a_ping_is_held_until_a_change(start: Open) -> None:
    """A Ping is answered with status 2 and the folder when the admin port took a change of it."""
    server = await start()
    ping = await server.ping()

    status = await server.change("r-1")

    answer = await ping
    assert (202, 2, ("5",)) == (status, answer.status, answer.folders)


async def test_a_change_between_two_pings_is_told_at_once(start: Open) -> None:
    """What came after an answer ends the next Ping, also one without a body."""
    server = await start()
    ping = await server.ping()
    await server.change("r-1")
    await ping
    await server.change("r-2")

    answer = await server.post("Ping")

    assert (2, ("5",)) == (answer.status, answer.folders)


async def test_a_heartbeat_ends_a_ping(start: Open) -> None:
    """Without a change a Ping is answered with status 1 before its interval is over."""
    server = await start()
    began = monotonic()

    answer = await (await server.ping(heartbeat=1))

    assert 1 == answer.status
    assert monotonic() - began < 1


async def test_a_second_ping_ends_the_first(start: Open) -> None:
    """A phone waits once: its first Ping is answered with status 1."""
    server = await start()
    first = await server.ping()
    second = asyncio.create_task(server.post("Ping"))

    assert 1 == (await first).status
    await server.change("r-1")
    assert 2 == (await second).status


async def test_a_change_is_lost(start: Open) -> None:
    """A lost change does not end a Ping, and its id is told."""
    server = await start(lose=1)
    ping = await server.ping()
    await server.change("r-1")

    assert ["r-1"] == (await server.done())["lost"]
    assert not ping.done()
    ping.cancel()
    await asyncio.wait([ping])


async def test_a_change_is_delayed(start: Open) -> None:
    """A delayed change ends a Ping when its time is over, and its id is told."""
    server = await start(delay=1)
    ping = await server.ping()
    began = monotonic()
    await server.change("r-1")

    answer = await ping
    assert ("5",) == answer.folders
    assert monotonic() - began >= DELAY
    assert ["r-1"] == (await server.done())["delayed"]


async def test_an_answer_is_spurious(start: Open) -> None:
    """A spurious answer names a folder that did not change, and is counted."""
    server = await start(spurious=1)
    ping = await server.ping()
    await server.change("r-1")

    assert ("5", "2") == (await ping).folders
    assert 1 == (await server.done())["spurious"]


async def test_an_answer_is_given_twice(start: Open) -> None:
    """A duplicate ends the next Ping without a change, and is counted."""
    server = await start(duplicate=1)
    ping = await server.ping()
    await server.change("r-1")
    await ping

    answer = await server.post("Ping")

    assert (2, ("5",)) == (answer.status, answer.folders)
    assert 1 == (await server.done())["duplicate"]


async def test_a_phone_that_hangs_up_is_not_held(start: Open) -> None:
    """The Ping of a phone that left is none that waits."""
    server = await start()
    ping = await server.ping()

    ping.cancel()

    assert await poll(lambda: server.endpoint.held == 0, 5)


async def test_the_hierarchy_has_the_usual_folders(start: Open) -> None:
    """A FolderSync is answered with an inbox 5 and a calendar 1."""
    answer = await (await start()).post("FolderSync", bodies.folder_sync("0"))

    found = {one.id: one.type for one in answer.hierarchy}
    assert (1, 2, 8) == (answer.status, found["5"], found["1"])


@pytest.mark.parametrize(("body", "status"), [(b"", 3), (b"\x03\x01", 102)])
async def test_a_wrong_ping_is_refused(start: Open, body: bytes, status: int) -> None:
    """An empty Ping before a full one gets status 3, and what is no document 102."""
    assert status == (await (await start()).post("Ping", body)).status


async def test_other_commands_are_not_served(start: Open) -> None:
    """OPTIONS names the protocol, and a Sync gets 501."""
    server = await start()
    async with server.phone.options(QUERY) as response:
        options = response.status, response.headers["MS-ASProtocolVersions"]
    async with server.phone.post(QUERY + "Sync") as response:
        assert ((200, "14.1"), 501) == (options, response.status)


async def test_held_pings_are_told(start: Open) -> None:
    """The admin port is ready, and its metrics have the number of Pings that wait."""
    server = await start()
    ping = await server.ping()
    async with server.admin.get("/readyz") as response:
        ready = response.status
    async with server.admin.get("/metrics") as response:
        metrics = read_metrics(await response.text())

    assert (200, 1) == (ready, metrics.held)
    ping.cancel()
    await asyncio.wait([ping])


def test_a_wrong_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A negative number ends the server before it listens, with what is allowed."""
    with pytest.raises(SystemExit, match="2"):
        main(["1", "2", "--lose=-1"])

    assert "error: lose: found -1, allowed 0 or more" in capsys.readouterr().err
