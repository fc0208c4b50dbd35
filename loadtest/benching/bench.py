"""The bench: what a held Ping, a Ping cycle and an idle second cost, gateway and rivals alike.

Each server runs alone with a fresh Valkey, and gets the same load from a process of its own. Its
memory and CPU are read from outside, for its whole process tree; so are those of the load process.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtest import limits, process, servers
from loadtest.benching import bed
from loadtest.benching.load_process import LoadError
from loadtest.benching.phases import Phases
from loadtest.benching.rivals import nchan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from loadtest.benching.bed import Start
    from loadtest.benching.rows import Measured
    from loadtest.benching.size import Size
    from loadtest.servers import Redis, Server

    Say = Callable[[str], None]
    Certify = Callable[[Path], Awaitable[tuple[Path, Path] | None]]
    """Makes a certificate and its key in a directory; None where that cannot be done."""

NO_CERTIFICATE: Final = "the command openssl, which makes a certificate, is not there or failed"


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a bench."""

    measured: list[Measured]
    """The gateway first."""
    skipped: dict[str, str]
    """What was not measured, and why."""


async def perform(size: Size, say: Say, certify: Certify) -> Findings:
    """Measure the gateway, then each rival that can run here.

    Args:
        size: How many phones and changes.
        say: Called with one line per phase.
        certify: For the gateway's TLS.

    Raises:
        ServerError: If a server does not start.
        LoadError: If the load process fails, or nothing can be measured here.
    """
    check_readable()
    limits.raise_files(size.devices + limits.SPARE_FILES)
    found = Findings([], {})
    await _gateway(size, say, certify, found)
    await _aiohttp(size, say, found)
    await _nchan(size, say, found)
    return found


def check_readable() -> None:
    """Do nothing where memory and CPU of processes can be read.

    Raises:
        LoadError: If they cannot.
    """
    if process.memory_bytes(os.getpid()) is None:
        raise LoadError("memory and CPU of processes cannot be read here: this needs Linux' /proc")


def gateway(settings: Mapping[str, str]) -> Start:
    """Return how to start a gateway of one worker.

    Args:
        settings: Further ones, by environment variable.
    """

    def start(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
        each = {"PUSHGW_SERVER__WORKERS": "1", **settings}
        return servers.gateway(redis.url, directory, each)

    return start


def rival(redis: Redis, directory: Path) -> AbstractAsyncContextManager[Server]:
    """Start the plain aiohttp handler."""
    return servers.rival(redis.url, directory)


async def secure(phases: Phases, certify: Certify, redis: Redis, directory: Path) -> str | None:
    """Measure a gateway that speaks TLS.

    Args:
        phases: Of a gateway.
        certify: Makes its certificate.
        redis: Its Valkey.
        directory: For logs and the certificate.

    Returns:
        Why it cannot be measured; None if it was.
    """
    made = await certify(directory)
    if made is None:
        return NO_CERTIFICATE
    certificate, key = map(str, made)
    tls = {"PUSHGW_SERVER__TLS_CERT": certificate, "PUSHGW_SERVER__TLS_KEY": key}
    window = phases.size.window
    async with bed.make(gateway(tls), redis, directory, tls=True, window=window) as one:
        await phases.secure(one)
    return None


async def _gateway(size: Size, say: Say, certify: Certify, found: Findings) -> None:
    phases = Phases(size, "gateway", say)
    async with _fresh() as (redis, directory):
        await _measure(phases, gateway({}), redis, directory)
        reason = await secure(phases, certify, redis, directory)
    if reason is not None:
        found.skipped["TLS"] = reason
    found.measured.append(phases.measured)


async def _aiohttp(size: Size, say: Say, found: Findings) -> None:
    phases = Phases(size, "aiohttp", say)
    async with _fresh() as (redis, directory):
        await _measure(phases, rival, redis, directory)
    found.measured.append(phases.measured)


async def _nchan(size: Size, say: Say, found: Findings) -> None:
    reason = nchan.available()
    if reason is not None:
        found.skipped["nchan"] = reason
        return
    measured = await nchan.measure(
        size.devices,
        rate=size.rate,
        seconds=size.seconds,
        say=say,
        idle=size.idle,
        window=size.window,
    )
    found.measured.append(measured)


async def _measure(phases: Phases, start: Start, redis: Redis, directory: Path) -> None:
    # New phones have a server process of their own: they are rare, and what their FolderSyncs
    # leave behind is not the price of a held Ping.
    for part in (phases.pair, phases.measure):
        async with bed.make(start, redis, directory, window=phases.size.window) as one:
            await part(one)


@asynccontextmanager
async def _fresh() -> AsyncIterator[tuple[Redis, Path]]:
    """Run a Valkey without any keys, in a directory that it alone has."""
    with tempfile.TemporaryDirectory(prefix="loadtest-") as name:
        async with servers.valkey(Path(name)) as redis:
            yield redis, Path(name)
