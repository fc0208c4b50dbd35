"""A gate that listens on loopback, an aiohttp server behind it, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from pushgw import wire
from pushgw.brake import Brake
from pushgw.connection import Connection, Gate, Patience
from pushgw.devices import Device
from pushgw.eas.ping import CACHED, PingFolder, PingResponse
from pushgw.hub import Hub
from pushgw.lease import Lease
from pushgw.receipts import Receipts
from pushgw.session import HEARTBEAT, INTERRUPTED, Answer, PingSession, Terms
from pushgw.waiting import Opening, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sized

PING = b"POST /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nping"
LAST_PING = PING.replace(b"Host: h", b"Host: h\r\nConnection: close")
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
CHANGE = Answer(PingResponse(2, folders=("5",)), "change", (("INBOX", "7.e1"),))
OVER = wire.answer(HEARTBEAT.response.to_bytes(), ends=False)
INTERRUPT = wire.answer(INTERRUPTED.response.to_bytes(), ends=False)
RESET = struct.pack("ii", 1, 0)


class Channels:
    """A bus that nobody listens to."""

    def __init__(self) -> None:
        self.watched: set[str] = set()

    def watch(self, mailbox: str) -> bool:
        self.watched.add(mailbox)
        return True

    def unwatch(self, mailbox: str) -> None:
        self.watched.remove(mailbox)


class Site:
    """A gate that listens: Pings wait in its hub, everything else goes to an aiohttp server."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.receipts = Receipts()
        self.hub = Hub(Channels(), self.receipts, Brake(), self.clock)
        self.gate = Gate(
            hub=self.hub,
            receipts=self.receipts,
            limits=wire.Limits(max_head=2000, max_body=200_000, max_short_body=1000),
            patience=Patience(request=30.0, idle=900.0),
            clock=self.clock,
        )
        self.arrived: list[Waiting] = []
        self.resumed = 0
        """Pings that went on from the one before."""
        self.short: list[str] = []
        self.is_slow = asyncio.Event()
        self.is_slow.set()
        self.port = 0

    def clock(self) -> float:
        return self.now

    def take_short(self, connection: Connection, request: wire.ShortRequest) -> bool:
        if request.path != "/ping":
            return False
        self.short.append(request.path)
        self.wait(connection)
        return True

    def wait(self, connection: Connection) -> None:
        """Let a Ping wait: go on from the one before, or each of its own device."""
        rested = connection.rested
        if rested is not None and self.hub.resume(rested, self.now, self.now + 480):
            self.resumed += 1
            return
        device = Device(f"user{len(self.arrived)}", "D1")
        waiting = Waiting(connection, device, self.now, self.now + 480, Opening(CACHED, None))
        self.arrived.append(waiting)
        self.hub.enter(waiting)

    def hold(self) -> Waiting:
        """Give the newest Ping a session, as if Redis had answered."""
        waiting = self.arrived[-1]
        session = PingSession(Terms(480, (PingFolder("5", "Email"),)), (0, 0, 0, 0), "e1")
        self.hub.hold(waiting, session, 1, waiting.until)
        return waiting

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        lease = request.transport
        assert isinstance(lease, Lease)
        body = await request.read()
        await self.is_slow.wait()
        if request.path == "/long-ping":
            lease.lender.take_back(keep_alive=request.keep_alive)
            self.wait(lease.lender)
            raise ConnectionResetError
        response = web.Response(text=f"{request.path} {len(body)} {lease.lender.address}")
        await response.prepare(request)
        await response.write_eof()
        if response.keep_alive:
            asyncio.get_running_loop().call_soon(lease.lender.released)
        return response

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Site]:
        self.gate.serve(self.take_short, web.Server(self.handle, access_log=None))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self.gate, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.is_slow.set()
            server.close()
            for connection in list(self.gate.connections):
                connection._transport.abort()  # type: ignore[union-attr] # it is open
            await until(lambda: not self.gate.connections)
            await self.gate.long_road.shutdown(0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is kept of any connection."""
        kept: tuple[Sized, ...] = (
            *(self.gate.connections, self.gate.deadlines),
            *(self.hub, self.hub._resting, self.receipts),
        )
        return self.gate.leases == sum(map(len, kept)) == 0


class Client:
    """The other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self) -> bytes:
        """Read one answer, whole."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return head + await asyncio.wait_for(self._reader.readexactly(length), 5)

    async def read_text(self) -> str:
        """Read the body of one answer."""
        return (await self.read()).partition(b"\r\n\r\n")[2].decode()

    async def read_rest(self) -> bytes:
        """Read until the server closes, or breaks off."""
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self._reader.read(), 5)
        return b"broken off"

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come, not even the end."""
        return not self._reader._buffer and not self._reader.at_eof()  # type: ignore[attr-defined]

    async def close(self, *, cleanly: bool = True) -> None:
        if not cleanly:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(site: Site, count: int = 1) -> AsyncIterator[Client]:
    before = len(site.gate.connections)
    client = Client(*await asyncio.open_connection("127.0.0.1", site.port))
    await until(lambda: len(site.gate.connections) == before + count)
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], bool], within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


async def moment() -> None:
    """Let the loop see what has come over its sockets."""
    for _ in range(20):
        await asyncio.sleep(0.001)


def on_uvloop(test: Callable[[Site, Client], Coroutine[object, object, None]]) -> None:
    """Run a test against a served site, on the loop that the gateway uses."""

    async def main() -> None:
        async with Site().serving() as site:
            async with connected(site) as client:
                await test(site, client)
            await until(lambda: site.is_empty)

    uvloop.run(main())
