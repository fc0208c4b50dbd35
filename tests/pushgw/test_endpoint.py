"""The EAS route over loopback sockets: which road, which answers, and what refusals say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from pushgw.endpoint import PATH
from pushgw.wbxml import decode, encode, from_xml
from tests.pushgw.endpoint_site import (
    FOLDER_SYNC,
    PING,
    WBXML,
    Site,
    request,
    route,
    serving,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(name="site")
async def _site(redis: Redis) -> AsyncIterator[Site]:
    """A gateway that asks nobody."""
    async with serving(Site(redis, None)) as site:
        yield site


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("POST", "/", f"found '/', allowed {PATH}\n"),
        ("GET", PATH + "/x", f"found '{PATH}/x', allowed {PATH}\n"),
        ("POST", "/" + "a" * 200, f"found '/{'a' * 63}', allowed {PATH}\n"),
    ],
)
async def test_other_path_is_not_found(site: Site, method: str, target: str, expected: str) -> None:
    """A path that is not the protocol's gets 404 and one line."""
    answer = await site.ask(target, method=method)

    assert (404, expected) == (answer.status, answer.body.decode())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_method_is_not_allowed(site: Site, method: str) -> None:
    """Only OPTIONS and POST are the protocol's."""
    answer = await site.ask(route("Ping"), method=method)

    assert (405, "OPTIONS, POST") == (answer.status, answer.headers["Allow"])


async def test_options_say_what_is_served(site: Site) -> None:
    """OPTIONS tells versions and commands, with no word about a user."""
    answer = await site.ask(PATH, method="OPTIONS")

    assert answer.status == 200
    assert answer.headers["MS-ASProtocolVersions"] == "2.5,12.0,12.1,14.0,14.1,16.0,16.1"
    assert answer.headers["MS-ASProtocolCommands"] == "FolderSync,Settings,Ping,Provision"


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("", 400, "found no query, allowed one with Cmd\n"),
        ("?User=anna", 400, "found no Cmd, allowed the name of a command\n"),
        ("?Cmd=Pong&User=a", 501, "found command 'Pong', allowed one of the EAS commands\n"),
        ("?Cmd=Ping&User=a", 400, "found no DeviceId, allowed 1 to 32 characters\n"),
        ("?Cmd=Ping&Cmd=Sync", 400, "found Cmd twice, allowed once\n"),
    ],
)
async def test_unusable_query_is_refused(
    site: Site, query: str, status: int, expected: str
) -> None:
    """A query that does not say what is wanted by whom gets one line that says what is missing."""
    answer = await site.ask(PATH + query, PING)

    assert (status, expected) == (answer.status, answer.body.decode())


@pytest.mark.parametrize(
    "user", [None, "", "a%7Bb", "%7D", "a%0Ab", "a%00", "%C2%85", "D%5C", "a" * 321]
)
@pytest.mark.parametrize("command", ["Ping", "FolderSync"])
async def test_user_that_names_no_mailbox_is_refused(
    site: Site, command: str, user: str | None
) -> None:
    """A User that could never be published for gets 400, with and without aiohttp."""
    answer = await site.ask(route(command, user), PING)

    expected = "found no User in the query, allowed one that names a mailbox\n"
    assert (400, expected) == (answer.status, answer.body.decode())


async def test_ping_of_an_open_site_needs_no_aiohttp(site: Site) -> None:
    """A complete Ping waits under its mailbox; domain and case of the User do not matter."""
    async with site.connected() as client:
        client.send(request(route("Ping", "DOMAIN%5CANNA"), PING))
        await until(lambda: len(site.hub) == 1)

        assert [("anna", "D1")] == site.waiting
        assert site.server.requests_count == 0


async def test_ping_on_the_long_road_waits_alike(site: Site) -> None:
    """A Ping that only aiohttp can read ends in the same place, and aiohttp is gone."""
    async with site.connected() as client:
        headers = {"Expect": "100-continue"}
        data = request(route("Ping"), PING, headers)
        client.send(data[: -len(PING)])
        assert await client.read_head() == "HTTP/1.1 100 Continue\r\n\r\n"
        client.send(data[-len(PING) :])
        await until(lambda: len(site.hub) == 1)

        assert [("anna", "D1")] == site.waiting
        await until(lambda: (site.gate.leases, site.server.connections) == (0, []))


@pytest.mark.parametrize(
    ("body", "version", "http_status", "status"),
    [
        (encode(from_xml('<Ping xmlns="Ping:"/>')), "16.1", 200, "4"),
        (encode(from_xml('<Ping xmlns="Ping:"/>')), "2.5", 200, "4"),
        (b"\xff", "16.1", 200, "102"),
        (b"\xff", "12.1", 400, None),
        (FOLDER_SYNC, "16.1", 200, "103"),
    ],
)
async def test_malformed_ping_is_told(
    site: Site, body: bytes, version: str, http_status: int, status: str | None
) -> None:
    """A Ping that cannot be read gets its status at once, on a connection that goes on."""
    async with site.connected() as client:
        for _ in range(2):
            client.send(request(route("Ping"), body, {"MS-ASProtocolVersion": version}))
            answer = await client.read()

            assert http_status == answer.status
            found = decode(answer.body).find("Status") if answer.body else None
            assert status == (found and found.text)


async def test_own_command_is_answered(site: Site) -> None:
    """A command of our own gets its document, and the connection goes on to a Ping."""
    async with site.connected() as client:
        client.send(request(route("FolderSync"), FOLDER_SYNC))
        answer = await client.read()
        client.send(request(route("Ping"), PING))
        await until(lambda: len(site.hub) == 1)

    assert (200, WBXML) == (answer.status, answer.headers["Content-Type"])
    assert decode(answer.body).name == "FolderSync"


async def test_command_of_a_mailbox_is_not_implemented(site: Site) -> None:
    """Without a server behind, Sync gets 501 and one line of text."""
    answer = await site.ask(route("Sync"), PING)

    assert (501, 1) == (answer.status, answer.body.count(b"\n"))
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_absent_redis_is_a_passing_fault(tmp_path: Path) -> None:
    """A command that Redis is needed for gets 503 with a time to come back."""
    away = Redis.from_url(f"unix://{tmp_path / 'absent'}")
    async with away, serving(Site(away, None)) as site:
        answer = await site.ask(route("FolderSync"), FOLDER_SYNC)

    assert (503, "5") == (answer.status, answer.headers["Retry-After"])
    assert answer.body.count(b"\n") == 1


async def test_body_that_grows_too_long_is_refused(site: Site) -> None:
    """A body of unknown length is read up to the limit, then refused with 413."""
    async with site.connected() as client:
        headers = {"Transfer-Encoding": "chunked"}
        head = request(route("FolderSync"), b"", headers).replace(b"Content-Length: 0\r\n", b"")
        client.send(head + b"186A1\r\n" + b"a" * 100_001 + b"\r\n")
        answer = await client.read()

        assert answer.status == 413
        assert answer.body == b"found a longer body; allowed: at most 100000 bytes\n"


async def test_body_that_does_not_come_is_refused(site: Site) -> None:
    """A body that is not complete in time is refused with 408, and the connection is to end."""
    async with site.connected() as client:
        client.send(request(route("FolderSync"), b"", {"Content-Length": "90000"}) + b"a")
        answer = await client.read()

        assert (408, b"found no end of the body; allowed: 0.1 s\n") == (answer.status, answer.body)
        assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
async def test_ping_that_finds_no_room_is_told_when_to_come(
    site: Site, headers: dict[str, str]
) -> None:
    """A full worker refuses a Ping on either road with 503 and a time, and ends the connection."""
    site.is_full = True
    async with site.connected() as client:
        client.send(sized(request(route("Ping"), PING, headers), headers))
        answer = await client.read()

    assert (503, b"found no room") == (answer.status, answer.body[:13])
    assert 10 <= int(answer.headers["Retry-After"]) <= 30
    assert answer.headers["Connection"] == "close"
    assert site.waiting == []


def sized(data: bytes, headers: dict[str, str]) -> bytes:
    """Chunk a body in a way that only aiohttp reads, if the headers say so."""
    if "Transfer-Encoding" not in headers:
        return data
    head, _, body = data.partition(b"\r\n\r\n")
    head = b"\r\n".join(one for one in head.split(b"\r\n") if b"Content-Length" not in one)
    return head + b"\r\n\r\n%x;a=b\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


async def test_other_commands_have_room_in_a_full_worker(site: Site) -> None:
    """Only what waits takes room: commands that are answered at once go on."""
    site.is_full = True

    assert (await site.ask(route("FolderSync"), FOLDER_SYNC)).status == 200
