"""Whether what a run is put on is there, and whether phones can come from where they should."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from loadtest import servers, targets
from loadtest.cli.telling import reason

if TYPE_CHECKING:
    from loadtest.running import Place
    from loadtest.targets import Target

CONNECTS_WITHIN: Final = 5.0
"""Seconds for a connection, and once more for the answer of an admin listener."""


class SourceError(ValueError):
    """Phones cannot come from there."""


def check_sources(place: Place) -> None:
    """Do nothing if connections can come from all of the sources.

    Raises:
        SourceError: If one of them is none of this host's, or cannot reach a target.
    """
    allowed = {_version(one.host) for one in place.targets} - {None}
    for source in place.sources:
        version = _version(source)
        if others := allowed - {version}:
            kinds = " and ".join(f"IPv{one}" for one in others)
            raise SourceError(
                f"--source: found {source}, allowed are {kinds} addresses, as the target's"
            )
        family = socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
        try:
            with socket.socket(family) as one:
                one.bind((source, 0))
        except OSError as error:
            raise SourceError(f"--source: found {source}, {reason(error)}") from None


async def reach(place: Place, *, is_near: bool = True) -> None:
    """Do nothing if the servers are there.

    Args:
        place: Its admin listeners are asked, its targets are connected to.
        is_near: Whether phones come from this host: else it need not reach the targets.

    Raises:
        ServerError: If one of them is not there, or not ready.
    """
    for url in place.admins:
        admin = targets.parse_target(url, allowed=place.allowed)
        await _connect(admin, url)
        if not admin.is_tls:
            await servers.check_ready(admin)
    for target in place.targets if is_near else ():
        await _connect(target, target.url)


async def _connect(target: Target, url: str) -> None:
    try:
        async with asyncio.timeout(CONNECTS_WITHIN):
            _, writer = await asyncio.open_connection(target.host, target.port)
    except TimeoutError:
        raise _absent(url, f"no connection within {CONNECTS_WITHIN:g} s") from None
    except OSError as error:
        raise _absent(url, reason(error)) from None
    except UnicodeError:
        raise _absent(url, "the name cannot be looked up") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _absent(url: str, why: str) -> servers.ServerError:
    return servers.ServerError(f"no server answers on {url}: {why}")


def _version(host: str) -> int | None:
    """Return the version of an address; None of a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None
