"""Bytes of real messages; the gateway's are counted by the measurement's own test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import TestServer

from loadtest.benching.rivals.aiohttp_hold import build
from loadtest.calibration import exchange
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def target(valkey_url: str) -> AsyncIterator[Target]:
    async with TestServer(build(valkey_url)) as server:
        assert server.port is not None
        yield Target("127.0.0.1", server.port)


async def test_messages_are_counted(target: Target, valkey_url: str) -> None:
    """A body makes a request longer, a folder an answer."""
    found = await exchange.count(target, valkey_url)

    assert found is not None
    assert 300 < found.terse < found.request < 600
    assert 100 < found.over < found.changed < 300


async def test_nobody_there_is_none(valkey_url: str) -> None:
    """Without a server nothing is counted."""
    assert await exchange.count(Target("127.0.0.1", 1), valkey_url) is None
