"""Connections over loopback: where from, where to, how many at once, and how they fail."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import uvloop

from loadtest.figures import Figures
from loadtest.phones.connecting import Dialler, tls_context
from loadtest.polling import poll
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

SOON = 10.0
"""Seconds within which a thing happens that takes milliseconds on an idle machine."""


class Caller(asyncio.Protocol):
    """Wants a connection, and keeps what came of it."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.transport: Any = None
        self.kinds: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def unreachable(self, kind: str) -> None:
        self.kinds.append(kind)

    @property
    def is_done(self) -> bool:
        return self.transport is not None or bool(self.kinds)


class Listener:
    """A server that keeps its connections; may send something first, or hang up at once."""

    def __init__(self, *, greeting: bytes = b"", hangs_up: bool = False) -> None:
        self.callers: list[tuple[str, int]] = []
        self._greeting = greeting
        self._hangs_up = hangs_up
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self, host: str, tls: ssl.SSLContext | None) -> Target:
        self._server = await asyncio.start_server(self._take, host, 0, ssl=tls)
        host, port = self._server.sockets[0].getsockname()[:2]
        return Target(host, port, is_tls=tls is not None)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.callers.append(writer.get_extra_info("peername")[:2])
        writer.write(self._greeting)
        if self._hangs_up:
            writer.transport.abort()


@asynccontextmanager
async def listening(
    listener: Listener | None = None, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Target]:
    found = listener or Listener()
    target = await found.open(host, tls)
    try:
        yield target
    finally:
        await found.close()


@asynccontextmanager
async def dialling(
    target: Target, *sources: str, tls: ssl.SSLContext | None = None, **limits: Any
) -> AsyncIterator[tuple[Dialler, Figures]]:
    figures = Figures()
    dialler = Dialler((target,), sources, tls, figures, **limits)
    try:
        yield dialler, figures
    finally:
        await dialler.close()


async def call(dialler: Dialler, *callers: Caller) -> list[str]:
    """Connect callers until all are done, hang up, and return the failures."""
    for caller in callers:
        dialler.connect(caller)  # type: ignore[arg-type]
    assert await poll(lambda: all(caller.is_done for caller in callers), SOON)
    for caller in callers:
        if caller.transport is not None:
            caller.transport.abort()
    return [kind for caller in callers for kind in caller.kinds]


@pytest.fixture
def nobody() -> Iterator[Target]:
    """A port that is taken, but refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Target("127.0.0.1", taken.getsockname()[1])


@pytest.fixture
def deaf() -> Iterator[Target]:
    """A port that answers no SYN, for its queue is full."""
    with socket.socket() as listener, socket.socket() as queued:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queued.connect(listener.getsockname())
        yield Target("127.0.0.1", listener.getsockname()[1])


# Where from and where to.


async def test_connections_come_from_the_sources_in_turn() -> None:
    """With two source addresses, each of four connections has the other one than the last."""
    listener, sources = Listener(), ("127.0.1.1", "127.0.1.2")
    async with listening(listener) as target, dialling(target, *sources, at_once=1) as (one, _):
        await call(one, *map(Caller, range(4)))
        await poll(lambda: len(listener.callers) == 4, SOON)

    hosts = [host for host, _ in listener.callers]
    assert (sorted(hosts[:2]), hosts[:2]) == (list(sources), hosts[2:])


async def test_without_sources_the_system_chooses() -> None:
    """A connection without a source address comes from where the route leads."""
    listener = Listener()
    async with listening(listener) as target, dialling(target) as (one, _):
        await call(one, Caller())
        await poll(lambda: bool(listener.callers), SOON)

    assert ["127.0.0.1"] == [host for host, _ in listener.callers]


async def test_a_source_that_is_not_ours_is_told(nobody: Target) -> None:
    """An address of another host is an error of its own kind."""
    async with dialling(nobody, "192.0.2.1") as (one, _):
        kinds = await call(one, Caller())

    assert ["connect: Cannot assign requested address"] == kinds


def test_phones_take_the_targets_in_turn() -> None:
    """The number of a phone decides where it goes, until it is moved."""
    first, second, third = (Target("127.0.0.1", port) for port in (1, 2, 3))
    dialler = Dialler((first, second), (), None, Figures())

    dialler.move(2, third)

    assert [first, second, third, second] == [dialler.target_of(number) for number in range(4)]


async def test_a_name_is_looked_up() -> None:
    """A target may be named; its phones connect to the first address of the name."""
    address = str(socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)[0][4][0])
    async with listening(host=address) as target:
        named = Target("localhost", target.port)
        async with dialling(named, at_once=2) as (one, figures):
            kinds = await call(one, Caller(), Caller())

    assert ([], 2) == (kinds, figures.counts["connects"])


async def test_what_is_no_name_is_told() -> None:
    """A host name that cannot be one is an error, not the end of the generator."""
    async with dialling(Target("a" * 64 + ".example.org", 80)) as (one, _):
        kinds = await call(one, Caller())

    assert ["connect: the name cannot be looked up"] == kinds


async def test_a_connection_is_measured() -> None:
    """Each connection is counted and timed; without TLS there is no handshake."""
    async with listening() as target, dialling(target) as (one, figures):
        await call(one, Caller(), Caller())

    assert (2, 2) == (figures.counts["connects"], figures.latency("connect").count)
    assert 0 == figures.latency("tls").count


# Failures.


async def test_a_refused_connection_is_told(nobody: Target) -> None:
    """A port that nobody listens on is a refusal, and no connection."""
    async with dialling(nobody) as (one, figures):
        kinds = await call(one, Caller())

    assert (["connection refused"], 0) == (kinds, figures.counts["connects"])


async def test_a_server_that_does_not_accept_is_told(deaf: Target) -> None:
    """A connection that takes too long is given up."""
    async with dialling(deaf, timeout=0.05) as (one, _):
        kinds = await call(one, Caller())

    assert ["connect timeout"] == kinds


async def test_a_failure_holds_nobody_up(nobody: Target) -> None:
    """Behind a phone that cannot connect, the next one gets its turn."""
    async with listening() as target, dialling(target, at_once=1) as (one, _):
        one.move(1, nobody)
        kinds = await call(one, Caller(1), Caller(2))

    assert ["connection refused"] == kinds


class Insistent(Caller):
    """Wants the next connection as soon as one failed."""

    def __init__(self, dialler: Dialler) -> None:
        super().__init__()
        self._dialler = dialler

    def unreachable(self, kind: str) -> None:
        super().unreachable(kind)
        self._dialler.connect(self)  # type: ignore[arg-type]


async def test_a_phone_that_insists_does_not_stop_the_loop(nobody: Target) -> None:
    """Where connections fail at once, a phone that wants them at once leaves time for others."""
    async with dialling(nobody, "192.0.2.1") as (one, _):
        caller = Insistent(one)
        one.connect(caller)  # type: ignore[arg-type]
        began = monotonic()
        await asyncio.sleep(0.05)
        most = (monotonic() - began) / 0.01 + 2

    assert 1 <= len(caller.kinds) <= most


# How many, and the end.


async def test_only_so_many_connect_at_once(deaf: Target) -> None:
    """Of five callers two are on their way at the same time: the last waits for two others."""
    async with dialling(deaf, timeout=0.03, at_once=2) as (one, _):
        began = monotonic()
        kinds = await call(one, *map(Caller, range(5)))
        took = monotonic() - began

    assert (5, True) == (kinds.count("connect timeout"), took >= 3 * 0.03)


async def test_places_become_free(nobody: Target) -> None:
    """When all have been served, the next caller finds a place."""
    async with dialling(nobody, at_once=1) as (one, _):
        found = [await call(one, Caller()) for _ in range(3)]

    assert [["connection refused"]] * 3 == found


async def test_closing_gives_up(deaf: Target) -> None:
    """What is on its way or waits when the dialler closes hears nothing more."""
    callers = [Caller(), Caller()]
    async with dialling(deaf, at_once=1) as (one, _):
        for caller in callers:
            one.connect(caller)  # type: ignore[arg-type]
        await asyncio.sleep(0.01)

    assert [False, False] == [caller.is_done for caller in callers]


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serving(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """A phone's context that trusts the authority."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return tls_context(authority=str(path), is_checked=True)


async def test_a_trusted_server_is_reached(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """With the authority of its certificate a server is reached, and the handshake is timed."""
    async with listening(tls=serving) as target, dialling(target, tls=trusting) as (one, figures):
        kinds = await call(one, Caller())

    assert ([], 1, 1) == (kinds, figures.latency("tls").count, figures.counts["connects"])


async def test_an_unknown_certificate_is_told(serving: ssl.SSLContext) -> None:
    """A server whose certificate nobody vouches for is not reached."""
    tls = tls_context(authority=None, is_checked=True)
    async with listening(tls=serving) as target, dialling(target, tls=tls) as (one, figures):
        kinds = await call(one, Caller())

    assert (["TLS: CERTIFICATE_VERIFY_FAILED"], 0) == (kinds, figures.latency("tls").count)


async def test_certificates_need_not_be_checked(serving: ssl.SSLContext) -> None:
    """If asked to, phones accept any certificate."""
    tls = tls_context(authority=None, is_checked=False)
    async with listening(tls=serving) as target, dialling(target, tls=tls) as (one, _):
        kinds = await call(one, Caller())

    assert [] == kinds


@pytest.mark.parametrize(
    ("listener", "kind"),
    [
        (Listener(greeting=b"220 mail.example.org\r\n"), "TLS: WRONG_VERSION_NUMBER"),
        (Listener(hangs_up=True), "connect: reset"),
    ],
    ids=["another protocol", "hangs up"],
)
async def test_a_server_without_tls_is_told(
    listener: Listener, trusting: ssl.SSLContext, kind: str
) -> None:
    """A server that speaks something else, or hangs up, is no TLS server."""
    async with listening(listener) as plain:
        target = Target(plain.host, plain.port, is_tls=True)
        async with dialling(target, tls=trusting) as (one, _):
            kinds = await call(one, Caller())

    assert [kind] == kinds


async def test_a_handshake_that_hangs_is_given_up(trusting: ssl.SSLContext) -> None:
    """The time for a connection includes its handshake."""
    async with listening() as plain:
        target = Target(plain.host, plain.port, is_tls=True)
        async with dialling(target, tls=trusting, timeout=0.05) as (one, _):
            kinds = await call(one, Caller())

    assert ["connect timeout"] == kinds


async def test_a_redirect_to_tls_needs_a_context(nobody: Target) -> None:
    """A run without https targets cannot follow a redirect to one, and says so."""
    async with dialling(nobody) as (one, _):
        one.move(0, Target("127.0.0.1", 443, is_tls=True))
        kinds = await call(one, Caller())

    assert ["TLS: no target of this run was https"] == kinds


def test_an_unreadable_authority_is_refused(tmp_path: Path) -> None:
    """A file of certificates that is not there is named with what is wrong."""
    path = str(tmp_path / "none.pem")

    with pytest.raises(ValueError, match=f"--tls-ca {path}: No such file or directory"):
        tls_context(authority=path, is_checked=True)


def test_an_authority_without_certificates_is_refused(tmp_path: Path) -> None:
    """A file that holds no certificates is named as well."""
    path = tmp_path / "empty.pem"
    path.write_text("nothing\n")

    with pytest.raises(ValueError, match=r"--tls-ca .*empty\.pem: .*(no certificate|NO_CERT)"):
        tls_context(authority=str(path), is_checked=True)


async def ways(serving: ssl.SSLContext, trusting: ssl.SSLContext) -> list[list[str]]:
    untrusting = tls_context(authority=None, is_checked=True)
    found = []
    for tls_server, tls_phone in [(None, None), (serving, trusting), (serving, untrusting)]:
        async with (
            listening(tls=tls_server) as target,
            dialling(target, "127.0.1.9", tls=tls_phone) as (one, _),
        ):
            found.append(await call(one, Caller()))
    return found


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_both_loops_connect_alike(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, run: Callable[..., list[list[str]]]
) -> None:
    """Plain and TLS connections come and fail in the same way on asyncio and uvloop."""
    assert [[], [], ["TLS: CERTIFICATE_VERIFY_FAILED"]] == run(ways(serving, trusting))
