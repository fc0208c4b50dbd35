"""Connections over loopback sockets: who has the transport, in what order, and what stays."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
from typing import TYPE_CHECKING, cast

import pytest
import uvloop
from aiohttp import web

from pushgw import wire
from pushgw.brake import Brake
from pushgw.connection import MAX_AHEAD, Connection, Gate, Patience
from pushgw.devices import Device, Seen
from pushgw.eas.ping import CACHED, PingResponse
from pushgw.hub import Hub
from pushgw.lease import Lease
from pushgw.receipts import Receipts
from pushgw.session import DRAINED, HEARTBEAT, INTERRUPTED, Answer
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
        """Let a Ping wait, each of its own device."""
        device = Device(f"user{len(self.arrived)}", "D1")
        waiting = Waiting(connection, device, self.now, self.now + 480, Opening(CACHED, None))
        self.arrived.append(waiting)
        self.hub.enter(waiting)

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
            *(self.hub, self.receipts),
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


def test_ping_waits_without_aiohttp() -> None:
    """A held Ping has no lease, no deadline of its connection, no bytes."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)

        assert (site.gate.leases, len(site.gate.deadlines)) == (0, 0)

        site.hub.finish(site.arrived[0], HEARTBEAT)
        assert OVER == await client.read()
        assert len(site.gate.deadlines) == 1

    on_uvloop(scene)


@pytest.mark.parametrize("step", [1, 7, len(PING) - 1])
def test_ping_in_pieces_is_put_together(step: int) -> None:
    """However a small request is cut, it takes the short road."""

    async def scene(site: Site, client: Client) -> None:
        for start in range(0, len(PING), step):
            client.send(PING[start : start + step])
            await asyncio.sleep(0.0005)
        await until(lambda: len(site.hub) == 1)

        assert site.short == ["/ping"]

    on_uvloop(scene)


def test_other_request_is_leased() -> None:
    """A request that is no Ping is aiohttp's until its answer is written."""

    async def scene(site: Site, client: Client) -> None:
        site.is_slow.clear()
        client.send(GET)
        await until(lambda: site.gate.leases == 1)
        site.is_slow.set()

        assert await client.read_text() == "/a 0 127.0.0.1"
        await until(lambda: site.gate.leases == 0)

    on_uvloop(scene)


def test_connection_goes_from_road_to_road() -> None:
    """One connection carries long requests and Pings in turn."""

    async def scene(site: Site, client: Client) -> None:
        for number in range(3):
            client.send(GET)
            await client.read()
            client.send(PING)
            await until(lambda number=number: len(site.arrived) == number + 1)  # type: ignore[misc]
            site.hub.finish(site.arrived[-1], HEARTBEAT)
            assert OVER == await client.read()

        assert len(site.gate.connections) == 1

    on_uvloop(scene)


def test_large_body_is_streamed() -> None:
    """A body that comes in many reads reaches aiohttp whole, what follows does not."""

    async def scene(site: Site, client: Client) -> None:
        client.send(b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n")
        for _ in range(15):
            client.send(b"x" * 10_000)
            await asyncio.sleep(0)
        client.send(GET)

        assert await client.read_text() == "/b 150000 127.0.0.1"
        assert await client.read_text() == "/a 0 127.0.0.1"

    on_uvloop(scene)


def test_chunked_body_is_aiohttps() -> None:
    """A chunked request that is not of the usual shape is answered, and its lease ends."""

    async def scene(site: Site, client: Client) -> None:
        client.send(CHUNKED + b"3;a=b\r\nabc\r\n")
        await moment()
        client.send(b"0\r\n\r\n")

        assert await client.read_text() == "/b 3 127.0.0.1"
        await until(lambda: site.gate.leases == 0)

    on_uvloop(scene)


def test_request_behind_a_chunked_one_is_not_swallowed() -> None:
    """A client that sends ahead of a chunked request's answer gets both, or an end."""

    async def scene(_site: Site, client: Client) -> None:
        client.send(CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n" + GET)
        assert await client.read_text() == "/b 3 127.0.0.1"

        rest = asyncio.ensure_future(client.read_text())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            assert await asyncio.wait_for(rest, 1.0) == "/a 0 127.0.0.1"

    on_uvloop(scene)


def test_small_chunked_body_is_put_together() -> None:
    """A chunked request of the usual shape is one of known length, whatever follows it."""

    async def scene(site: Site, client: Client) -> None:
        ping = CHUNKED.replace(b"/b", b"/ping")
        client.send(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + ping + b"4\r\nping\r\n0\r\n\r\n" + GET)

        assert await client.read_text() == "/b 3 127.0.0.1"
        assert INTERRUPT == await client.read()
        assert await client.read_text() == "/a 0 127.0.0.1"
        assert site.short == ["/ping"]

    on_uvloop(scene)


def test_ping_on_the_long_road_gives_the_transport_back() -> None:
    """A Ping that aiohttp has read waits without aiohttp, and is answered like any other."""

    async def scene(site: Site, client: Client) -> None:
        client.send(b"POST /long-ping HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n")
        client.send(b"x" * 2000)
        await until(lambda: len(site.hub) == 1)
        await until(lambda: not site.gate.long_road.connections)
        assert site.gate.leases == 0

        site.hub.finish(site.arrived[0], HEARTBEAT)
        assert OVER == await client.read()

    on_uvloop(scene)


def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests in one piece are answered one after the other; a Ping does not make them wait."""

    async def scene(site: Site, client: Client) -> None:
        site.is_slow.clear()
        client.send(GET + PING + PING + GET + PING)
        await until(lambda: site.gate.leases == 1)
        await moment()
        assert site.arrived == []
        site.is_slow.set()

        assert await client.read_text() == "/a 0 127.0.0.1"
        assert [INTERRUPT, INTERRUPT] == [await client.read(), await client.read()]
        assert await client.read_text() == "/a 0 127.0.0.1"
        await until(lambda: len(site.hub) == 1)

    on_uvloop(scene)


def test_next_request_interrupts_a_ping() -> None:
    """A phone that sends while its Ping waits gets the Ping's answer first."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        client.send(GET[:10])
        assert INTERRUPT == await client.read()
        client.send(GET[10:])

        assert await client.read_text() == "/a 0 127.0.0.1"

    on_uvloop(scene)


def test_too_much_ahead_is_not_read() -> None:
    """What a client sends ahead is taken up to a bound, and all of it answered in its order."""

    async def scene(site: Site, client: Client) -> None:
        site.is_slow.clear()
        many = 3 * MAX_AHEAD // len(GET)
        client.send(GET * many)
        await until(lambda: site.gate.leases == 1)
        await moment()
        site.is_slow.set()

        for _ in range(many):
            assert await client.read_text() == "/a 0 127.0.0.1"

    on_uvloop(scene)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\nHost: h\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 200001\r\n\r\n", b"HTTP/1.1 413 "),
        (b"GET /" + b"a" * 2000, b"HTTP/1.1 431 "),
    ],
)
def test_what_is_no_request_ends_the_connection(data: bytes, expected: bytes) -> None:
    """A refused request is answered with one line, and the connection ends."""

    async def scene(_site: Site, client: Client) -> None:
        client.send(data)
        answer = await client.read()

        assert answer.startswith(expected)
        assert b"Connection: close" in answer
        assert await client.read_rest() == b""

    on_uvloop(scene)


def test_slow_request_is_refused() -> None:
    """A request that is not complete in time gets 408; more bytes win it no time."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING[:10])
        await until(lambda: held_bytes(site) == 10)
        site.now += 20.0
        client.send(PING[10:20])
        await until(lambda: held_bytes(site) == 20)
        site.gate.expire(1030.0)
        assert client.is_quiet
        site.gate.expire(1031.0)

        assert (await client.read()).startswith(b"HTTP/1.1 408 Request Timeout")
        assert await client.read_rest() == b""

    on_uvloop(scene)


def held_bytes(site: Site) -> int:
    return sum(len(one._buffer or b"") for one in site.gate.connections)


def test_idle_connection_is_closed() -> None:
    """A connection without a request is closed silently after its time, a waiting one is not."""

    async def scene(site: Site, client: Client) -> None:
        async with connected(site) as other:
            other.send(PING)
            await until(lambda: len(site.hub) == 1)
            site.gate.expire(1899.0)
            await moment()
            assert client.is_quiet
            assert site.gate.expire(1902.0) is False

            assert await client.read_rest() == b""
            assert other.is_quiet

    on_uvloop(scene)


def test_last_ping_ends_the_connection() -> None:
    """A client that wants no more gets an answer that says so, and an end."""

    async def scene(site: Site, client: Client) -> None:
        client.send(LAST_PING)
        await until(lambda: len(site.hub) == 1)
        site.hub.finish(site.arrived[0], HEARTBEAT)

        assert wire.answer(HEARTBEAT.response.to_bytes(), ends=True) == await client.read()
        assert await client.read_rest() == b""
        client.send(GET)
        await moment()
        assert site.gate.leases == 0

    on_uvloop(scene)


def test_client_that_does_not_close_is_closed() -> None:
    """A connection that has ended from here is not kept for a client that keeps silent."""

    async def scene(site: Site, client: Client) -> None:
        client.send(LAST_PING)
        await until(lambda: len(site.hub) == 1)
        site.hub.finish(site.arrived[0], HEARTBEAT)
        await client.read()
        site.gate.expire(1031.0)

        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_long_request_that_closes() -> None:
    """An answer of aiohttp that ends the connection frees everything."""

    async def scene(site: Site, client: Client) -> None:
        client.send(GET.replace(b"Host: h", b"Host: h\r\nConnection: close"))

        assert await client.read_text() == "/a 0 127.0.0.1"
        assert await client.read_rest() == b""
        await until(lambda: site.is_empty)

    on_uvloop(scene)


@pytest.mark.parametrize("cleanly", [True, False])
@pytest.mark.parametrize("data", [b"", PING[:10], PING, GET, CHUNKED])
def test_client_that_hangs_up_leaves_nothing(data: bytes, *, cleanly: bool) -> None:
    """Whatever the state, the end of the connection frees everything at once."""

    async def scene(site: Site, client: Client) -> None:
        site.is_slow.clear()
        client.send(data)
        await moment()
        await client.close(cleanly=cleanly)
        await until(lambda: site.is_empty)
        site.is_slow.set()

        await until(lambda: not site.gate.long_road.connections)

    on_uvloop(scene)


def test_acknowledged_answer_is_a_receipt() -> None:
    """Bytes that the peer's kernel has acknowledged are known to have arrived."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        site.hub.finish(site.arrived[0], CHANGE)
        connection = cast("Connection", site.arrived[0].phone)
        await until(connection.has_delivered)

        assert [Seen(Device("user0", "D1"), CHANGE.seen)] == site.receipts.arrived()
        await client.close()
        await until(lambda: not site.gate.connections)
        assert not connection.has_delivered()

    on_uvloop(scene)


def test_clean_end_after_an_answer_is_a_receipt() -> None:
    """A client that reads its answer and closes has got it, also when it was the last."""

    async def scene(site: Site, client: Client) -> None:
        client.send(LAST_PING)
        await until(lambda: len(site.hub) == 1)
        site.hub.finish(site.arrived[0], CHANGE)
        await client.read()
        await client.close()
        await until(lambda: not site.gate.connections)

        assert [Seen(Device("user0", "D1"), CHANGE.seen)] == site.receipts.arrived()

    on_uvloop(scene)


def test_broken_connection_is_no_receipt() -> None:
    """A connection that breaks off before the bytes are acknowledged leaves the change unseen."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        await client.close(cleanly=False)
        site.hub.finish(site.arrived[0], CHANGE)
        await until(lambda: not site.gate.connections)

        assert site.receipts.arrived() == []

    on_uvloop(scene)


def test_drain_ends_idle_connections_and_those_that_answer() -> None:
    """A draining gate closes who is idle, and everybody else after the answer."""

    async def scene(site: Site, client: Client) -> None:
        async with connected(site) as waiting, connected(site) as leased:
            site.is_slow.clear()
            waiting.send(PING)
            leased.send(GET)
            await until(lambda: (len(site.hub), site.gate.leases) == (1, 1))
            site.gate.drain()
            assert await client.read_rest() == b""
            assert (waiting.is_quiet, leased.is_quiet) == (True, True)

            await site.hub.drain(0.0)
            site.is_slow.set()
            expected = wire.answer(DRAINED.response.to_bytes(), ends=True)
            assert expected == await waiting.read_rest()
            assert await leased.read_text() == "/a 0 127.0.0.1"
            assert await leased.read_rest() == b""

    on_uvloop(scene)


def test_revoked_lease_swallows_everything() -> None:
    """Nothing that aiohttp still does with a revoked lease reaches the connection."""

    async def scene(site: Site, client: Client) -> None:
        connection = next(iter(site.gate.connections))
        transport = connection._transport
        assert transport is not None
        lease = Lease(transport, connection, None)
        assert not lease.is_closing()
        lease.revoke()

        for call in (lease.close, lease.abort, lease.pause_reading, lease.resume_reading):
            call()
        lease.write(b"x")
        lease.writelines([b"x"])
        lease.set_write_buffer_limits(1, 1)
        assert lease.is_closing()
        assert (lease.get_extra_info("peername", "no"), lease.get_write_buffer_size()) == ("no", 0)
        await moment()
        assert client.is_quiet
        assert not transport.is_closing()

    on_uvloop(scene)


async def visit(site: Site, number: int) -> None:
    """Use both roads; every other client hangs up while its Ping waits."""
    client = Client(*await asyncio.open_connection("127.0.0.1", site.port))
    client.send(GET)
    await client.read()
    client.send(PING)
    if number % 2:
        client.send(GET)
        assert INTERRUPT == await client.read()
        await client.read()
    await client.close()


async def visits(site: Site, count: int, at_once: int = 50) -> None:
    for _ in range(0, count, at_once):
        await asyncio.gather(*(visit(site, number) for number in range(at_once)))
        await until(lambda: site.is_empty)
        site.arrived.clear()
        site.short.clear()


def test_connections_leave_no_cycles() -> None:
    """Two thousand connections, on both roads, leave nothing for the garbage collector."""

    async def main() -> None:
        async with Site().serving() as site:
            await visits(site, 200)
            gc.collect()
            gc.disable()
            before = len(gc.get_objects())
            try:
                await visits(site, 2000)
                left = gc.get_objects()
            finally:
                gc.enable()

        ours = [one for one in left if isinstance(one, Connection | Lease | Waiting)]
        assert ours == []
        assert len(left) - before < 1000

    uvloop.run(main())
