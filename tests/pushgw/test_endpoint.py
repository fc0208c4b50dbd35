"""The EAS route over loopback sockets: who gets in, which road, and what refusals say."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiohttp import web
from argon2 import PasswordHasher
from redis.asyncio import Redis

from heartbeat.interval import Bounds
from notifier.ledger import Ledger
from pushgw import wire
from pushgw.accounts import Door, DoorLimits, FailureDelays
from pushgw.brake import Brake
from pushgw.connection import Gate, Patience
from pushgw.devices import Devices
from pushgw.endpoint import PATH, Endpoint, Intake
from pushgw.hub import Hub
from pushgw.opening import Opener
from pushgw.receipts import Receipts
from pushgw.session import Limits
from pushgw.standalone import Standalone
from pushgw.users_file import UsersFile
from pushgw.wbxml import decode, encode, from_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PING = encode(
    from_xml(
        '<Ping xmlns="Ping:"><HeartbeatInterval>480</HeartbeatInterval><Folders><Folder>'
        "<Id>5</Id><Class>Email</Class></Folder></Folders></Ping>"
    )
)
FOLDER_SYNC = encode(
    from_xml('<FolderSync xmlns="FolderHierarchy:"><SyncKey>0</SyncKey></FolderSync>')
)
WBXML = "application/vnd.ms-sync.wbxml"
CHALLENGE = 'Basic realm="mail", charset="UTF-8"'


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


ANNA = basic("DOMAIN\\Anna", "secret")


def route(command: str, user: str | None = "anna", path: str = PATH) -> str:
    named = "" if user is None else f"&User={user}"
    return f"{path}?Cmd={command}{named}&DeviceId=D1&DeviceType=t"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Channels:
    """A bus that never confirms: Pings stay as they arrived."""

    def __init__(self) -> None:
        self.watched: set[str] = set()

    def watch(self, mailbox: str) -> bool:
        self.watched.add(mailbox)
        return False

    def unwatch(self, mailbox: str) -> None:
        self.watched.remove(mailbox)


class Site:
    """A gateway as far as the bus, which phones reach over loopback."""

    def __init__(self, redis: Redis, door: Door | None) -> None:
        clock = asyncio.get_running_loop().time
        receipts = Receipts()
        devices, ledger = Devices(redis, "w1"), Ledger(redis)
        limits = Limits(Bounds(low=60, high=3540, default=480), max_folders=200)
        opener = Opener(
            devices=devices, ledger=ledger, receipts=receipts, limits=limits, clock=clock
        )
        self.hub = Hub(Channels(), receipts, Brake(), clock)
        opener.serve(self.hub)
        self.gate = Gate(
            hub=self.hub,
            receipts=receipts,
            limits=wire.Limits(max_head=4000, max_body=100_000),
            patience=Patience(request=30.0, idle=900.0),
            clock=clock,
        )
        endpoint = Endpoint(
            door=door,
            realm="mail",
            opener=opener,
            standalone=Standalone(devices, ledger),
            intake=Intake(max_body=100_000, patience=0.1),
            clock=clock,
            is_full=lambda: self.is_full,
        )
        self.server = web.Server(endpoint.handle, access_log=None)
        self.gate.serve(endpoint.take_short, self.server)
        self.port = 0
        self.is_full = False

    @property
    def waiting(self) -> list[tuple[str, str]]:
        """Mailbox and device of each Ping."""
        return [(one.mailbox, one.device) for one in self.hub._waiters]

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def ask(
        self,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Answer:
        """Send one request over a connection of its own."""
        async with self.connected() as client:
            client.send(request(target, body, headers, method))
            return await client.read()


class Client:
    """A phone's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read_head(self) -> str:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        return head.decode("latin-1")

    async def read(self) -> Answer:
        status, *fields = (await self.read_head()).strip().split("\r\n")
        headers = dict(one.split(": ", 1) for one in fields)
        body = await self._reader.readexactly(int(headers.get("Content-Length", 0)))
        return Answer(int(status.split()[1]), headers, body)

    async def read_rest(self) -> bytes:
        return await asyncio.wait_for(self._reader.read(), 5)


def request(
    target: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST"
) -> bytes:
    fields = {"Host": "h", "MS-ASProtocolVersion": "16.1", "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in (fields | (headers or {})).items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


@contextlib.asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Site]:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(site.gate, "127.0.0.1", 0)
    site.port = listener.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        listener.close()
        await until(lambda: not site.gate.connections)
        await site.server.shutdown(0)
        assert (len(site.hub), site.gate.leases) == (0, 0)


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


@pytest.fixture(name="site")
async def _site(redis: Redis) -> AsyncIterator[Site]:
    """A gateway that asks nobody."""
    async with serving(Site(redis, None)) as site:
        yield site


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
    "headers", [{}, {"Content-Encoding": "identity"}], ids=["short road", "aiohttp"]
)
async def test_ping_without_room_is_told_to_come_later(site: Site, headers: dict[str, str]) -> None:
    """A Ping that cannot be held gets 503 with Retry-After, and its connection ends."""
    site.is_full = True
    async with site.connected() as client:
        client.send(request(route("Ping"), PING, headers))
        answer = await client.read()

        assert (503, "close") == (answer.status, answer.headers["Connection"])
        assert 10 <= int(answer.headers["Retry-After"]) <= 30
        assert (b"", []) == (await client.read_rest(), site.waiting)


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
