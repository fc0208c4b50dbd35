"""A connection between two Pings: what keeps the first one's record, what ends it, and no leaks."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import uvloop

from pushgw import wire
from pushgw.connection import Connection
from pushgw.hub import PATIENT
from pushgw.session import BALANCED, HEARTBEAT
from pushgw.waiting import Waiting
from tests.pushgw.connection_site import (
    CHANGE,
    GET,
    INTERRUPT,
    LAST_PING,
    OVER,
    PING,
    Client,
    Site,
    connected,
    moment,
    on_uvloop,
    until,
)

if TYPE_CHECKING:
    from pushgw.session import Answer

LONG_PING = b"POST /long-ping HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000


async def rested(
    site: Site, client: Client, data: bytes = PING, answer: Answer = HEARTBEAT
) -> Waiting:
    """Ping, and be answered after having waited."""
    client.send(data)
    await until(lambda: len(site.hub) == 1)
    waiting = site.hold()
    site.hub.finish(waiting, answer)
    await client.read()
    return waiting


@pytest.mark.parametrize("answer", [HEARTBEAT, CHANGE])
def test_next_ping_goes_on(answer: Answer) -> None:
    """A Ping on the same connection is held again under the record of the one before."""

    async def scene(site: Site, client: Client) -> None:
        waiting = await rested(site, client, answer=answer)
        for number in range(1, 4):
            client.send(PING)
            await until(lambda: len(site.hub) == 1)
            assert ([waiting], number) == (site.hub.of(waiting.mailbox), site.resumed)

            site.hub.finish(waiting, HEARTBEAT)
            assert OVER == await client.read()

    on_uvloop(scene)


def test_resumed_ping_has_no_deadline_of_its_connection() -> None:
    """A connection whose Ping is held again is not idle any more."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client)
        assert len(site.gate.deadlines) == 1

        client.send(PING)
        await until(lambda: site.resumed == 1)
        assert len(site.gate.deadlines) == 0

    on_uvloop(scene)


@pytest.mark.parametrize("data", [GET, LONG_PING])
def test_other_request_ends_the_rest(data: bytes) -> None:
    """Whatever aiohttp is asked for may change what the next Ping depends on."""

    async def scene(site: Site, client: Client) -> None:
        waiting = await rested(site, client)
        client.send(data)
        await until(lambda: waiting.phone.rested is None)
        client.send(PING)
        await until(lambda: len(site.arrived) == (3 if data == LONG_PING else 2))

        assert site.resumed == 0

    on_uvloop(scene)


def test_ping_on_the_long_road_can_rest() -> None:
    """A Ping that aiohttp has read is held again when the next one is a short one."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client, LONG_PING)
        client.send(PING)

        await until(lambda: site.resumed == 1)

    on_uvloop(scene)


def test_interrupted_ping_does_not_rest() -> None:
    """A request that comes too early has its Ping begin anew."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client)
        client.send(PING)
        await until(lambda: site.resumed == 1)
        client.send(PING)
        assert INTERRUPT == await client.read()
        await until(lambda: len(site.hub) == 1)

        assert (2, 1) == (len(site.arrived), site.resumed)

    on_uvloop(scene)


@pytest.mark.parametrize("cleanly", [True, False])
@pytest.mark.parametrize("data", [b"", PING[:10], PING])
def test_client_that_hangs_up_leaves_nothing(data: bytes, *, cleanly: bool) -> None:
    """The end of a connection ends its rest, whatever its client was about to do."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client)
        client.send(data)
        await moment()
        await client.close(cleanly=cleanly)

        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_last_ping_leaves_nothing() -> None:
    """A client that wants no more does not come back on a connection that ends."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client, LAST_PING)
        assert await client.read_rest() == b""
        await client.close()

        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_idle_connection_is_closed_with_its_rest() -> None:
    """A phone that does not come back in time has its record freed with its connection."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client)
        site.gate.expire(1902.0)
        assert await client.read_rest() == b""

        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_drain_ends_rests_and_their_connections() -> None:
    """A worker that drains closes who is between two Pings."""

    async def scene(site: Site, client: Client) -> None:
        await rested(site, client)
        site.gate.drain()
        await site.hub.drain(0.0)
        assert await client.read_rest() == b""

        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_phone_that_is_sent_away_has_its_connection_closed() -> None:
    """A phone that another worker shall hold gets a legal answer that ends the connection."""

    async def scene(site: Site, client: Client) -> None:
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        site.hold()
        site.now += PATIENT
        assert site.hub.shed(1) == 1

        assert wire.answer(BALANCED.response.to_bytes(), ends=True) == await client.read()
        assert await client.read_rest() == b""
        await client.close()
        await until(lambda: site.is_empty)

    on_uvloop(scene)


def test_refused_request_ends_the_connection() -> None:
    """A request that finds no room is told when to come again, on a connection that closes."""

    async def scene(site: Site, client: Client) -> None:
        (connection,) = site.gate.connections
        connection.refuse(wire.Refused(503, "found no room", 20))
        answer = await client.read()

        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 20\r\n" in answer
        assert await client.read_rest() == b""

    on_uvloop(scene)


def test_refusal_of_a_connection_that_is_gone_is_nothing() -> None:
    """A client that hung up is not refused."""

    async def scene(site: Site, client: Client) -> None:
        (connection,) = site.gate.connections
        await client.close()
        await until(lambda: not site.gate.connections)
        connection.refuse(wire.Refused(503, "found no room"))

        assert site.is_empty

    on_uvloop(scene)


async def visit(site: Site) -> None:
    """Be answered, come back, be answered again, and leave."""
    async with connected(site) as client:
        waiting = await rested(site, client)
        client.send(PING)
        await until(lambda: len(site.hub) == 1)
        site.hub.finish(waiting, HEARTBEAT)
        await client.read()
    await until(lambda: site.is_empty)


def test_rests_leave_no_cycles() -> None:
    """Connections that end while their Ping rests leave nothing for the garbage collector."""

    async def main() -> None:
        async with Site().serving() as site:
            await visit(site)
            gc.collect()
            gc.disable()
            try:
                for _ in range(50):
                    await visit(site)
                site.arrived.clear()
                left = gc.get_objects()
            finally:
                gc.enable()

        assert [] == [one for one in left if isinstance(one, Connection | Waiting)]

    uvloop.run(main())
