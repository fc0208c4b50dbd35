"""How Redis is reached: an address read as redis-py reads it, and a transport to it."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import RedisError

Server: TypeAlias = Connection | UnixDomainSocketConnection
"""Never connected: it keeps host, path, credentials and TLS options."""


class AddressError(ValueError):
    """The URL names no Redis server that can be reached."""


def server_of(url: str) -> Server:
    """Read a ``redis://``, ``rediss://`` or ``unix://`` URL with redis-py's options.

    Raises:
        AddressError: If it is anything else.
    """
    try:
        pool = ConnectionPool.from_url(url)
        server = pool.connection_class(**pool.connection_kwargs)
        if isinstance(server, Connection):
            server.host.encode("idna")
            return server
        if isinstance(server, UnixDomainSocketConnection) and server.path:
            return server
    except (ValueError, TypeError, RedisError):
        pass
    # Neither the URL nor redis-py's complaint is shown: both may contain the password.
    raise AddressError(
        "found no usable Redis URL, allowed are redis://, rediss:// and unix:// with their options"
    )


async def dial(server: Server, protocol: asyncio.Protocol) -> None:
    """Connect a protocol to a server; an OSError if that fails."""
    loop = asyncio.get_running_loop()
    if isinstance(server, UnixDomainSocketConnection):
        await loop.create_unix_connection(lambda: protocol, server.path)
        return
    context = server.ssl_context.get() if isinstance(server, SSLConnection) else None
    await loop.create_connection(lambda: protocol, server.host, server.port, ssl=context)
