"""The load process performs orders against a real server (the rival)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp.test_utils import TestServer

from loadtest.benching.load import open_load
from loadtest.benching.rivals.aiohttp_hold import build
from loadtest.figures import Histogram
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtest.benching.load import Load

GATHER = {"do": "gather", "devices": 40, "known": True, "per_user": 1, "heartbeat": [480, 480]}
ARRIVE = {"do": "arrive", "devices": 40, "rate": 2000}


@pytest.fixture
async def load(valkey_url: str) -> AsyncIterator[Load]:
    async with TestServer(build(valkey_url)) as server:
        assert server.port is not None
        async with open_load(Target("127.0.0.1", server.port), valkey_url) as one:
            yield one


async def test_new_phones_arrive_and_leave(load: Load) -> None:
    """Phones that know nothing yet ask for their folders, and are held in the end."""
    await load.perform({**GATHER, "known": False})
    arrived = await load.perform(ARRIVE)

    assert (40, {"held": 40}, {}) == (arrived["held"], arrived["states"], arrived["errors"])
    assert {} == await load.perform({"do": "close"})


async def test_phones_arrive_in_parts(load: Load) -> None:
    """Each order to arrive is for the next ones of those gathered, and tells of all."""
    await load.perform(GATHER)
    held = [(await load.perform({**ARRIVE, "devices": count}))["held"] for count in (10, 30)]

    assert [10, 40] == held


async def test_an_arrival_has_a_course(load: Load) -> None:
    """The outcome tells how long all took to be held, and how many were held at which time."""
    await load.perform(GATHER)
    arrived = await load.perform({**ARRIVE, "rate": 200})

    times, held = zip(*arrived["course"], strict=True)
    assert 0.19 < arrived["seconds"] < 5
    assert sorted(times) == list(times)
    assert 0 == held[0] <= held[-1] <= 40


async def test_phones_may_come_unpaced(load: Load) -> None:
    """A rate of 0 lets all phones come as fast as they can be connected."""
    await load.perform(GATHER)

    assert 40 == (await load.perform({**ARRIVE, "rate": 0}))["held"]


async def test_each_process_has_users_of_its_own(load: Load, valkey_url: str) -> None:
    """Two parts of a population share no mailbox: each touches others."""
    for part in (0, 1):
        await load.perform({**GATHER, "devices": 5, "part": part, "parts": 2})
        await load.perform({**ARRIVE, "devices": 5})
        await load.perform({"do": "touch"})

    assert 10 == await keys_of(valkey_url)


async def test_phones_are_told_of(load: Load) -> None:
    """At any time the load tells how many phones are held, their states and new errors."""
    await load.perform(GATHER)
    await load.perform(ARRIVE)

    assert {"held": 40, "states": {"held": 40}, "errors": {}} == await load.perform({"do": "tell"})


async def test_changes_are_counted_and_timed(load: Load) -> None:
    """The notify order tells what was published and answered, and how late."""
    await load.perform(GATHER)
    await load.perform(ARRIVE)

    found = await load.perform({"do": "notify", "rate": 50, "seconds": 0.4, "seed": 1})

    assert 20 == found["published"] == found["answered"] + found["lost"]
    assert found["answered"] <= found["pings"] + found["lost"]
    assert 0 < found["latency"]["p50_ms"] <= found["latency"]["max_ms"]
    assert found["answered"] == Histogram.decode(found["histogram"]).count


async def test_heartbeats_end(load: Load) -> None:
    """Pings with short heartbeats are answered without a change, and counted."""
    await load.perform({**GATHER, "heartbeat": [1, 1]})
    await load.perform(ARRIVE)

    found = await load.perform({"do": "notify", "rate": 1, "seconds": 1.0, "seed": 1})

    assert found["pings"] > found["published"] + 5


async def test_a_flood_keeps_changes_outstanding(load: Load) -> None:
    """Under saturation, far more changes are answered than are outstanding at once."""
    await load.perform(GATHER)
    await load.perform(ARRIVE)

    found = await load.perform({"do": "saturate", "outstanding": 10, "seconds": 0.3})

    assert found["cycles"] > 40
    assert found["load_us"] > 0


@pytest.mark.parametrize("per_user", [1, 40])
async def test_a_burst_wakes_everybody(load: Load, per_user: int) -> None:
    """One change to each mailbox reaches all phones, also if all share one; they wait again."""
    await load.perform({**GATHER, "per_user": per_user})
    await load.perform(ARRIVE)

    found = await load.perform({"do": "burst"})

    assert (40, 40, {}) == (found["woken"], found["held"], found["errors"])
    assert 0 < found["published_s"]
    assert 0 < found["last_s"] < 5


async def test_mailboxes_are_touched(load: Load, valkey_url: str) -> None:
    """To touch is to change the mailbox of each phone that has arrived, whoever shares it."""
    await load.perform({**GATHER, "per_user": 4})
    await load.perform({**ARRIVE, "devices": 18})

    await load.perform({"do": "touch"})

    assert 5 == await keys_of(valkey_url)


async def keys_of(url: str) -> int:
    reader, writer = await asyncio.open_unix_connection(url.removeprefix("unix://"))
    writer.write(b"EVAL \"return #redis.call('KEYS', 'pushgw:*:seq')\" 0\r\n")
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line[1:])


@pytest.mark.parametrize("order", [{"do": "dance"}, {"do": "gather"}, {"do": "notify", "rate": 1}])
async def test_an_unknown_order_is_an_error(load: Load, order: dict[str, object]) -> None:
    """An order that is not understood names itself."""
    with pytest.raises(ValueError, match="found the order"):
        await load.perform(order)


async def test_phones_must_be_there_first(load: Load) -> None:
    """An order for phones without phones is an error."""
    with pytest.raises(ValueError, match="before they were gathered"):
        await load.perform({"do": "notify", "rate": 1, "seconds": 1, "seed": 1})


async def test_the_process_ends_with_its_input(valkey_url: str) -> None:
    """The process answers each line with a line and ends when its input ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.benching.load", "http://127.0.0.1:1", valkey_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(20):
        output, _ = await process.communicate(b'{"do": "close"}\n')

    assert (0, {}) == (process.returncode, orjson.loads(output))
