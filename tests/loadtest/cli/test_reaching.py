"""Whether servers and sources are there, loadtest/cli/reaching.py."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from loadtest.cli import reaching
from loadtest.cli.reaching import SourceError
from loadtest.running import Place
from loadtest.servers import ServerError
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCAL = Target("127.0.0.1", 8800)


@asynccontextmanager
async def listening(answer: bytes = b"") -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("targets", "sources"),
    [
        ((LOCAL,), ()),
        ((LOCAL,), ("127.0.1.1", "127.0.1.2")),
        ((Target("mail.example.org", 443),), ("127.0.0.1",)),
    ],
)
def test_sources_of_this_host_are_good(targets, sources) -> None:
    """Connections can come from the addresses of this host, if there are any to come from."""
    assert reaching.check_sources(Place(targets=targets, sources=sources)) is None


@pytest.mark.parametrize(
    ("host", "source", "text"),
    [
        ("127.0.0.1", "192.0.2.1", "--source: found 192.0.2.1, cannot assign"),
        ("127.0.0.1", "::1", "--source: found ::1, allowed are IPv4 addresses, as the target's"),
        ("::1", "127.0.0.1", "--source: found 127.0.0.1, allowed are IPv6 addresses"),
        ("::1", "2001:db8::1", "--source: found 2001:db8::1, "),
    ],
)
def test_other_sources_are_refused(host, source, text) -> None:
    """An address that this host does not have, or that reaches no target, is refused."""
    place = Place(targets=(Target(host, 8800),), sources=(source,))

    with pytest.raises(SourceError) as raised:
        reaching.check_sources(place)

    assert str(raised.value).startswith(text)


async def test_servers_that_are_there_are_reached() -> None:
    """Nothing happens where all targets accept connections and the gateways are ready."""
    async with listening() as port, listening(b"HTTP/1.1 200 OK\r\n\r\n") as admin:
        place = Place(targets=(Target("127.0.0.1", port),), admins=(f"http://127.0.0.1:{admin}",))

        assert await reaching.reach(place) is None


async def test_an_admin_listener_with_tls_is_not_asked() -> None:
    """Whether a gateway behind TLS is ready is left to its figures."""
    async with listening() as port:
        place = Place(targets=(), admins=(f"https://127.0.0.1:{port}",))

        assert await reaching.reach(place) is None


async def test_a_gateway_that_is_not_ready_is_told() -> None:
    """A gateway that answers, but is not ready, is not loaded."""
    async with listening(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as port:
        place = Place(targets=(), admins=(f"http://127.0.0.1:{port}",))

        with pytest.raises(ServerError, match="is not ready"):
            await reaching.reach(place)


async def test_a_target_that_is_not_there_is_told() -> None:
    """A port where nobody listens is told with its URL, and that it refuses."""
    port = closed()

    with pytest.raises(ServerError) as raised:
        await reaching.reach(Place(targets=(Target("127.0.0.1", port),)))

    url = f"http://127.0.0.1:{port}/Microsoft-Server-ActiveSync"
    assert f"no server answers on {url}: " in str(raised.value)


async def test_a_name_that_is_none_is_told() -> None:
    """A host whose name is too long to be looked up is one that is not there."""
    with pytest.raises(ServerError, match="the name cannot be looked up"):
        await reaching.reach(Place(targets=(Target("a" * 64 + ".example", 80),)))


async def test_a_silent_target_is_told(monkeypatch) -> None:
    """A target that neither accepts nor refuses is given up after a while."""
    monkeypatch.setattr(reaching, "CONNECTS_WITHIN", 0.02)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        target = Target("127.0.0.1", full.getsockname()[1])
        with (
            socket.create_connection((target.host, target.port)),
            pytest.raises(ServerError, match="no connection within"),
        ):
            await reaching.reach(Place(targets=(target,)))


async def test_targets_of_other_hosts_generators_are_not_reached() -> None:
    """Where phones come from other hosts only, this one need not reach the target."""
    place = Place(targets=(Target("127.0.0.1", closed()),))

    assert await reaching.reach(place, is_near=False) is None
