"""The load process performs orders against a real server (the rival)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp.test_utils import TestServer

from loadtest.fleet import Target
from loadtest.load import Load
from loadtest.rivals.aiohttp_hold import build
from notifier.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def load(valkey_url: str) -> AsyncIterator[Load]:
    async with TestServer(build(valkey_url)) as server:
        assert server.port is not None
        async with Publisher.from_url(valkey_url) as publisher:
            one = Load(Target("127.0.0.1", server.port), publisher)
            yield one
            await one.close()


async def test_phones_are_opened_and_closed(load: Load) -> None:
    """An order to open is done when all phones are held."""
    opened = await load.perform({"do": "open", "devices": 20, "rate": 2000, "known": False})

    assert (20, {}) == (opened["held"], opened["errors"])
    assert {} == await load.perform({"do": "close"})


async def test_changes_are_counted_and_timed(load: Load) -> None:
    """The notify order tells what was published and answered, and how late."""
    await load.perform({"do": "open", "devices": 40, "rate": 2000, "known": False})

    found = await load.perform({"do": "notify", "rate": 50, "seconds": 0.4, "seed": 1})

    assert 20 == found["published"] == found["answered"] + found["lost"]
    assert 0 < found["latency"]["p50_ms"] <= found["latency"]["max_ms"]


async def test_a_flood_keeps_changes_outstanding(load: Load) -> None:
    """Under saturation, far more changes are answered than are outstanding at once."""
    await load.perform({"do": "open", "devices": 40, "rate": 2000, "known": False})

    found = await load.perform({"do": "saturate", "outstanding": 10, "seconds": 0.3})

    assert found["cycles"] > 40
    assert found["load_us"] > 0


@pytest.mark.parametrize("order", [{"do": "dance"}, {"do": "open"}, {"do": "notify", "rate": 1}])
async def test_an_unknown_order_is_an_error(load: Load, order: dict[str, object]) -> None:
    """An order that is not understood names itself."""
    with pytest.raises(ValueError, match="found the order"):
        await load.perform(order)


async def test_phones_must_be_open_first(load: Load) -> None:
    """An order for phones without phones is an error."""
    with pytest.raises(ValueError, match="before they are open"):
        await load.perform({"do": "notify", "rate": 1, "seconds": 1, "seed": 1})


async def test_the_process_ends_with_its_input(valkey_url: str) -> None:
    """The process answers each line with a line and ends when its input ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.load", "1", valkey_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(20):
        output, _ = await process.communicate(b'{"do": "close"}\n')

    assert (0, {}) == (process.returncode, orjson.loads(output))
