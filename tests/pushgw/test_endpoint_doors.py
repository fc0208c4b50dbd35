"""Who gets in at the EAS route, and as whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushgw.accounts import Door, DoorLimits, FailureDelays
from pushgw.endpoint import PATH
from pushgw.users_file import UsersFile
from tests.pushgw.endpoint_site import (
    ANNA,
    CHALLENGE,
    CHEAP,
    PING,
    Site,
    basic,
    request,
    route,
    serving,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from redis.asyncio import Redis


class SlowDoor(Door):
    """A door that lets in when the test says so."""

    asked = 0

    def open_later(self) -> asyncio.Event:
        self._way = asyncio.Event()
        return self._way

    async def admit(self, authorization: str | None, address: str, now: float) -> str:
        login = await super().admit(authorization, address, now)
        self.asked += 1
        await self._way.wait()
        return login


@pytest.fixture(name="door")
def _door(tmp_path: Path) -> Door:
    path = tmp_path / "users"
    path.write_text(f"anna:{CHEAP.hash('secret')}\n", encoding="utf-8")
    limits = DoorLimits(threads=1, waiting_logins=1)
    return Door(UsersFile(path), limits, FailureDelays(first=0.0))


@pytest.fixture(name="closed")
async def _closed(redis: Redis, door: Door) -> AsyncIterator[Site]:
    """A gateway that asks for credentials."""
    async with serving(Site(redis, door)) as site:
        yield site
    door.close()


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("headers", [{}, basic("anna", "wrong"), {"Authorization": "Bearer x"}])
async def test_stranger_is_asked_for_credentials(
    closed: Site, method: str, headers: dict[str, str]
) -> None:
    """Nobody gets in without a password: every command, and OPTIONS, asks for one."""
    answer = await closed.ask(route("Ping"), PING, headers, method)

    assert (401, CHALLENGE) == (answer.status, answer.headers["WWW-Authenticate"])
    assert closed.waiting == []


async def test_ping_after_a_login_needs_no_aiohttp(closed: Site) -> None:
    """The first request of a phone is verified, further Pings are known at once."""
    first = await closed.ask(PATH, headers=ANNA, method="OPTIONS")
    async with closed.connected() as client:
        client.send(request(route("Ping"), PING, ANNA))
        await until(lambda: len(closed.hub) == 1)

        assert (200, [("anna", "D1")]) == (first.status, closed.waiting)
        assert closed.server.requests_count == 1


async def test_first_ping_is_verified(closed: Site) -> None:
    """A Ping may be the first request of a phone."""
    async with closed.connected() as client:
        client.send(request(route("Ping", None), PING, ANNA))
        await until(lambda: len(closed.hub) == 1)

        assert [("anna", "D1")] == closed.waiting


@pytest.mark.parametrize("times", [1, 2])
async def test_other_user_is_refused(closed: Site, times: int) -> None:
    """A User that is not the one who logged in gets 403, also when the login is known."""
    answers = [await closed.ask(route("Ping", "bert"), PING, ANNA) for _ in range(times)]

    expected = b"found a User that is not the one who logged in\n"
    assert (403, expected) == (answers[-1].status, answers[-1].body)
    assert closed.waiting == []


async def test_busy_door_asks_to_come_back(closed: Site, door: Door) -> None:
    """Logins beyond what can be verified get 503 with a time, and no challenge."""
    door._verifying[b"other", 1] = asyncio.get_running_loop().create_future()

    answer = await closed.ask(route("Ping"), PING, ANNA)

    assert (503, "30") == (answer.status, answer.headers["Retry-After"])
    assert "WWW-Authenticate" not in answer.headers


async def test_client_that_hung_up_during_its_login_is_not_held(
    redis: Redis, tmp_path: Path
) -> None:
    """A Ping whose client went while its password was verified waits for nobody."""
    path = tmp_path / "users"
    path.write_text(f"anna:{CHEAP.hash('secret')}\n", encoding="utf-8")
    door = SlowDoor(UsersFile(path), DoorLimits(threads=1, waiting_logins=1), FailureDelays())
    way = door.open_later()
    async with serving(Site(redis, door)) as site:
        async with site.connected() as client:
            client.send(request(route("Ping"), PING, ANNA))
            await until(lambda: door.asked == 1)
        await until(lambda: not site.gate.connections)
        way.set()
        await until(lambda: not site.server.connections)
        await asyncio.sleep(0.01)

        assert site.waiting == []
    door.close()
