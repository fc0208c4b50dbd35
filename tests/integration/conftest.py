"""Gateways, Valkeys and phones for the tests of the whole."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from notifier.publisher import Publisher
from tests.integration.gateway import Gateway, Valkey, count_pings, until
from tests.integration.phone import Identity, Phone

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from redis import Redis

_numbers = itertools.count(1)


class StartGateway(Protocol):
    """Starts a gateway that ends with the test; settings by section and key in lower case."""

    def __call__(self, redis_url: str, *, waits: bool = True, **settings: str) -> Gateway: ...


class Running(Protocol):
    """A gateway that runs for the length of a block."""

    def __call__(self, redis_url: str, **settings: str) -> AbstractContextManager[Gateway]: ...


class StartValkey(Protocol):
    """Starts a Valkey that ends with the test."""

    def __call__(self, *, keeps_data: bool = False) -> Valkey: ...


class Dial(Protocol):
    """Makes a phone that hangs up with the test."""

    def __call__(
        self,
        gateway: Gateway,
        who: Identity,
        tls: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
    ) -> Phone: ...


@contextmanager
def _directory() -> Iterator[Path]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory(prefix="pushgw-") as name:
        yield Path(name)


def _settings(redis_url: str, others: dict[str, str]) -> dict[str, str]:
    named = {f"PUSHGW_{name.upper()}": value for name, value in others.items()}
    return {"PUSHGW_REDIS__URL": redis_url, "PUSHGW_AUTH__METHOD": "open", **named}


@contextmanager
def _running(redis_url: str, **settings: str) -> Iterator[Gateway]:
    with _directory() as directory:
        gateway = Gateway(directory, _settings(redis_url, settings))
        try:
            gateway.await_ready()
            yield gateway
        finally:
            gateway.end()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A Valkey that no test may restart."""
    with _directory() as directory:
        server = Valkey(directory)
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def running() -> Running:
    """For gateways that the tests of a module share."""
    return _running


@pytest.fixture(scope="session")
def gateway(valkey: Valkey) -> Iterator[Gateway]:
    """A gateway of one worker that no test may disturb; `pair` is another node of it."""
    with _running(valkey.url) as running:
        yield running


@pytest.fixture(scope="session")
def pair(valkey: Valkey) -> Iterator[Gateway]:
    """A gateway of two workers that no test may disturb."""
    with _running(valkey.url, server__workers="2", limits__max_folders="3") as running:
        yield running


@pytest.fixture
def store(valkey: Valkey) -> Iterator[Redis]:
    """A client of the Valkey of `gateway` and `pair`; replies are text."""
    with valkey.client() as client:
        yield client


@pytest.fixture
async def publisher(valkey: Valkey) -> AsyncIterator[Publisher]:
    """A mail backend of `gateway` and `pair`."""
    async with Publisher.from_url(valkey.url) as backend:
        yield backend


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    """For tests that do things to a gateway."""
    with ExitStack() as stack:

        def start(redis_url: str, *, waits: bool = True, **settings: str) -> Gateway:
            directory = stack.enter_context(_directory())
            started = Gateway(directory, _settings(redis_url, settings))
            stack.callback(started.end)
            if waits:
                started.await_ready()
            return started

        yield start


@pytest.fixture
def start_valkey() -> Iterator[StartValkey]:
    """For tests that do things to a Valkey."""
    with ExitStack() as stack:

        def start(*, keeps_data: bool = False) -> Valkey:
            server = Valkey(stack.enter_context(_directory()), keeps_data=keeps_data)
            stack.callback(server.kill)
            server.start()
            return server

        yield start


@pytest.fixture
def user() -> str:
    """A login name that no other test has."""
    return f"user{next(_numbers)}"


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Phones of any gateway."""
    phones: list[Phone] = []

    def make(
        gateway: Gateway,
        who: Identity,
        tls: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
    ) -> Phone:
        phones.append(Phone(gateway.eas, who, tls, source))
        return phones[-1]

    yield make
    for phone in phones:
        await phone.close()


@pytest.fixture
async def phone(gateway: Gateway, user: str, dial: Dial) -> Phone:
    """A phone of `gateway` that has synchronised its folders."""
    one = dial(gateway, Identity(user))
    await one.synchronise()
    return one


class Hold(Protocol):
    """Sends a Ping and returns when it waits: mostly once Redis has been asked about it."""

    async def __call__(
        self, phone: Phone, *folders: str, heartbeat: int | None = 60, store: Redis | None = None
    ) -> None: ...


@pytest.fixture
def hold(store: Redis) -> Hold:
    """For tests that change something under a held Ping."""

    async def send(
        phone: Phone, *folders: str, heartbeat: int | None = 60, store: Redis | None = store
    ) -> None:
        assert store is not None
        before = count_pings(store, phone.who.key)
        # A Ping that goes on from the one before does not ask Redis: then this is long enough.
        within = 0.1 if phone.was_told else 10.0
        await phone.ping(*folders, heartbeat=heartbeat)
        try:
            await until(lambda: count_pings(store, phone.who.key) > before, within=within)
        except AssertionError:
            if not phone.was_told:
                raise

    return send
