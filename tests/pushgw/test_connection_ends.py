"""How connections end, what is known to have arrived then, and that nothing stays."""

from __future__ import annotations

import asyncio
import gc
from typing import cast

import pytest
import uvloop

from pushgw import wire
from pushgw.connection import Connection
from pushgw.devices import Device, Seen
from pushgw.lease import Lease
from pushgw.session import DRAINED, HEARTBEAT
from pushgw.waiting import Waiting
from tests.pushgw.connection_site import (
    CHANGE,
    CHUNKED,
    GET,
    INTERRUPT,
    LAST_PING,
    PING,
    Client,
    Site,
    connected,
    moment,
    on_uvloop,
    until,
)


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
