"""The load process for Nchan performs orders against a real nginx."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from loadtest.benching.load_process import LoadError, LoadProcess
from loadtest.benching.rivals import nchan, nchan_load
from loadtest.benching.rivals.nchan_load import open_load
from loadtest.figures import Histogram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtest.benching.rivals.nchan_load import Load
    from loadtest.servers import Server

MISSING = nchan.available()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
ARRIVE = {"do": "arrive", "devices": 40, "rate": 2000}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    with TemporaryDirectory() as name:
        async with nchan.serve(Path(name)) as found:
            yield found


@pytest.fixture
async def load(server: Server) -> AsyncIterator[Load]:
    async with open_load(server.target) as one:
        yield one


async def test_phones_arrive_in_parts(load: Load) -> None:
    """Each order to arrive is for the next phones, and tells how many nginx holds in all."""
    found = [await load.perform({**ARRIVE, "devices": count}) for count in (10, 30)]

    assert [10, 40] == [one["held"] for one in found]
    assert [{}, {}] == [one["errors"] for one in found]


async def test_an_arrival_has_a_course(load: Load) -> None:
    """The outcome tells how long it took, and how many phones waited at which time."""
    arrived = await load.perform({**ARRIVE, "rate": 200})

    times, waiting = zip(*arrived["course"], strict=True)
    assert 0.19 < arrived["seconds"] < 5
    assert sorted(times) == list(times)
    assert 0 <= waiting[0] <= waiting[-1] <= 40


async def test_changes_reach_phones_and_they_wait_again(load: Load) -> None:
    """Each change at a rate is answered; afterwards a burst reaches all of the phones."""
    await load.perform({**ARRIVE, "rate": 0})
    found = await load.perform({"do": "notify", "rate": 40, "seconds": 0.2, "seed": 2})
    burst = await load.perform({"do": "burst"})

    assert (8, 0, {}) == (found["published"], found["lost"], found["errors"])
    assert 8 == Histogram.decode(found["histogram"]).count
    assert (40, {}) == (burst["woken"], burst["errors"])
    assert 0 < burst["last_s"] < 5


async def test_phones_that_hung_up_are_gone(load: Load) -> None:
    """After new ones were gathered, only those are held."""
    await load.perform(ARRIVE)
    closed = await load.perform({"do": "gather", "devices": 5})
    arrived = await load.perform({**ARRIVE, "devices": 5})

    assert {} == closed
    assert {} == arrived["errors"]
    assert (await load.perform({"do": "burst"}))["woken"] == 5


async def test_phones_that_nginx_does_not_hold_are_missing(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not all phones come to be held, the wait for them has an end."""
    monkeypatch.setattr(nchan_load, "HELD_WITHIN", 0.0)
    load._crowd.arrived = 1  # one that never connected

    arrived = await load.perform({**ARRIVE, "devices": 2, "rate": 0})

    assert arrived["held"] <= 2


async def test_an_unknown_order_is_an_error(load: Load) -> None:
    """What is no order for Nchan is told as it was found."""
    with pytest.raises(ValueError, match=r"found the order .*saturate"):
        await load.perform({"do": "saturate", "outstanding": 1, "seconds": 1})


async def test_a_process_of_its_own_obeys(server: Server, tmp_path: Path) -> None:
    """The process performs the orders that come on its input, and fails with its reason."""
    async with nchan.load(server.target, tmp_path) as process:
        assert isinstance(process, LoadProcess)
        arrived = await process.perform("arrive", devices=3, rate=0)
        with pytest.raises(LoadError, match=r"found the order \{'do': 'dance'\}"):
            await process.perform("dance")

    assert 3 == arrived["held"]
