"""A gateway as far as the bus on loopback, and phones that ask it by hand."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web
from argon2 import PasswordHasher

from heartbeat.interval import Bounds
from notifier.ledger import Ledger
from pushgw import wire
from pushgw.brake import Brake
from pushgw.connection import Gate, Patience
from pushgw.devices import Devices
from pushgw.endpoint import PATH, Endpoint, Intake
from pushgw.hub import Hub
from pushgw.opening import Opener
from pushgw.receipts import Receipts
from pushgw.session import Limits
from pushgw.standalone import Standalone
from pushgw.wbxml import encode, from_xml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from redis.asyncio import Redis

    from pushgw.accounts import Door

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
        self.is_full = False
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
