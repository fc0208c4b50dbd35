"""Connections over loopback sockets: who has the transport, and in what order answers leave."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from pushgw.connection import MAX_AHEAD
from pushgw.session import HEARTBEAT
from tests.pushgw.connection_site import (
    CHUNKED,
    GET,
    INTERRUPT,
    OVER,
    PING,
    Client,
    Site,
    connected,
    moment,
    on_uvloop,
    until,
)


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
