"""Changes over HTTP: 202 only after the record, and a clear answer to everything else."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from notifier.ingest import MAX_BODY_BYTES, routes
from notifier.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Client = TestClient[web.Request, web.Application]

PATH = "/v1/changes"
INBOX = {"mailbox": "Alice", "folder": "INBOX", "class": "Email"}


def client_of(ledger: Ledger, *, body_timeout: float = 5.0) -> Client:
    app = web.Application()
    app.add_routes(routes(ledger, lambda: 1_700_000_000_000.0, body_timeout=body_timeout))
    return TestClient(TestServer(app))


@pytest.fixture
async def client(redis: Redis) -> AsyncIterator[Client]:
    async with client_of(Ledger(redis)) as client:
        yield client


async def post(client: Client, **request: Any) -> tuple[int, Any]:
    async with client.post(PATH, **request) as response:
        return response.status, await response.json()


async def test_changes_are_recorded(client: Client, redis: Redis) -> None:
    """Changes are in Redis when they are answered with 202 and their numbers."""
    found = await post(client, json={"changes": [INBOX, INBOX, INBOX | {"folder": ""}]})

    assert found == (202, {"recorded": 3, "sequences": [1, 2, 1]})
    assert await Ledger(redis).everything("alice") == (
        {"INBOX": 2, "": 1},
        {"INBOX": "Email", "": "Email"},
    )


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/x+json"])
async def test_json_types_are_accepted(client: Client, kind: str) -> None:
    """Every content type that is JSON is accepted."""
    status, _ = await post(client, data=b'{"changes":[]}', headers={"Content-Type": kind})

    assert status == 202


async def test_missing_type_is_accepted(client: Client) -> None:
    """A request without a content type is taken for JSON."""
    status, _ = await post(client, data=b'{"changes":[]}', skip_auto_headers=["Content-Type"])

    assert status == 202


async def test_other_types_are_refused(client: Client) -> None:
    """A form is refused with 415."""
    found = await post(client, data={"changes": "[]"})

    assert found == (
        415,
        {"error": "found application/x-www-form-urlencoded, allowed application/json"},
    )


async def test_mistakes_are_listed(client: Client, redis: Redis) -> None:
    """A wrong body is refused with all mistakes, and none of its changes is recorded."""
    status, answer = await post(
        client, json={"changes": [INBOX, INBOX | {"class": "Mail"}, INBOX | {"kin": 1}]}
    )

    assert status == 400
    assert answer["mistakes"] == [
        "changes[1].class: found 'Mail', allowed Email, Calendar, Contacts, Tasks, Notes, SMS",
        "changes[2]: found member 'kin', the nearest allowed is 'kind'",
    ]
    assert answer["error"] == f"{answer['mistakes'][0]} (and 1 more)"
    assert await redis.dbsize() == 0


async def test_no_json_is_refused(client: Client) -> None:
    """A body that is not JSON is refused in one line."""
    status, answer = await post(client, data=b"", headers={"Content-Type": "application/json"})

    assert (status, [answer["error"]]) == (400, answer["mistakes"])


async def test_long_body_is_refused(client: Client) -> None:
    """A body of more than 4 MiB is refused with 413 before it is read."""
    status, answer = await post(
        client,
        data=BytesIO(b" " * (MAX_BODY_BYTES + 1)),
        headers={"Content-Type": "application/json"},
    )

    assert (status, list(answer)) == (413, ["error"])


async def test_long_body_in_pieces_is_refused(client: Client) -> None:
    """A body that does not tell its length is refused as soon as it is too long."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (1024 * 1024)

    status, _ = await post(client, data=pieces(), headers={"Content-Type": "application/json"})

    assert status == 413


async def test_body_of_three_megabytes_is_read(client: Client) -> None:
    """The limit is 4 MiB, not the smaller one of the application."""
    status, _ = await post(
        client,
        data=BytesIO(b'{"changes":[]}' + b" " * (3 * 1024 * 1024)),
        headers={"Content-Type": "application/json"},
    )

    assert status == 202


async def test_body_that_stalls_is_given_up(redis: Redis) -> None:
    """A body that does not end in time is answered with 408."""
    done = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.wait_for(done.wait(), 2)

    async with client_of(Ledger(redis), body_timeout=0.02) as client:
        status, answer = await post(
            client, data=stalling(), headers={"Content-Type": "application/json"}
        )
        done.set()

    assert (status, answer) == (408, {"error": "found no end of the body, allowed 0.02 s"})


async def test_redis_away_asks_to_come_back(tmp_path: Path) -> None:
    """Without Redis nothing is promised: 503 with Retry-After."""
    async with (
        Redis.from_url(f"unix://{tmp_path / 'none'}") as redis,
        client_of(Ledger(redis, timeout=0.1)) as client,
        client.post(PATH, json={"changes": [INBOX]}) as response,
    ):
        found = response.status, response.headers["Retry-After"], await response.json()

    assert found[:2] == (503, "5")
    assert found[2]["error"].startswith("redis ")
