"""Opens a publisher by its name and URL."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loadtest.publishers.address import parse_address
from loadtest.publishers.over_http import OverHttp
from loadtest.publishers.over_imap import OverImap
from loadtest.publishers.over_lmtp import OverLmtp
from loadtest.publishers.over_redis import OverRedis

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Collection

    from loadtest.publishers.address import Address
    from loadtest.publishers.publishing import Publishes


@asynccontextmanager
async def open_publisher(
    kind: str,
    url: str = "",
    *,
    password: str = "",
    allowed: Collection[str] = (),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Publishes]:
    """Open a publisher, and close it at the end; it connects when it first publishes.

    Args:
        kind: A name of ``PUBLISHERS``.
        url: Where to publish; empty means the usual place of that kind.
        password: That of every mailbox, for IMAP.
        allowed: Hosts beyond this machine that may be loaded.
        tls: Whom to trust; the system's authorities if None.

    Raises:
        PublisherError: If the kind or the URL is not allowed.
    """
    address = parse_address(kind, url, allowed=allowed)
    publisher = _make(kind, address, password, tls)
    try:
        yield publisher
    finally:
        await publisher.close()


def _make(kind: str, address: Address, password: str, tls: ssl.SSLContext | None) -> Publishes:
    match kind:
        case "redis":
            return OverRedis(address.url)
        case "http":
            return OverHttp(address.url, tls)
        case "imap":
            return OverImap(address, password, tls)
        case _:
            return OverLmtp(address)
