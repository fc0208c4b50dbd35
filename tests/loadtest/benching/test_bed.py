"""A server under test, read from outside."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from loadtest import servers
from loadtest.benching import bed, bench
from loadtest.benching.bed import Bed
from loadtest.benching.load_process import LoadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WINDOW = 0.1


@pytest.fixture
async def one() -> AsyncIterator[Bed]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        async with (
            servers.valkey(directory) as redis,
            bed.make(bench.rival, redis, directory, window=WINDOW) as found,
        ):
            yield found


async def test_phones_come_back_and_are_woken(one: Bed) -> None:
    """Phones of a bed are held, each touch wakes them, and all of it takes CPU."""
    await one.warm_up(devices=10)
    await one.gather(30)
    arrived = await one.arrive(30)
    used = await one.notify(50, 0.2)
    await one.touch()

    assert 30 == arrived.held == arrived.samples[-1].held
    assert 0 == arrived.samples[0].held
    assert arrived.samples[-1].cpu - arrived.samples[0].cpu <= arrived.cpu
    assert arrived.seconds > 0
    assert 10 == used.outcome["answered"]
    assert min(arrived.cpu, used.cpu, used.redis_cpu) > 0
    assert used.seconds >= 0.2


async def test_a_burst_wakes_phones_that_came_unpaced(one: Bed) -> None:
    """Phones that came as fast as they could are all told of the change of their mailbox."""
    await one.gather(30, per_user=30)
    arrived = await one.arrive(30, bed.UNPACED)

    assert (30, 30) == (arrived.held, (await one.burst()).outcome["woken"])


@pytest.mark.parametrize(("at", "held"), [(0.5, 0), (1.0, 0), (1.5, 50), (2.0, 100), (9.0, 110)])
def test_phones_held_are_known_between_two_looks(at: float, held: int) -> None:
    """Between two looks phones come in a line; before the first and after the last one none do."""
    assert held == bed.held_at([(1.0, 0), (2.0, 100), (3.0, 110)], at)


async def test_rest_costs_little(one: Bed) -> None:
    """A server to which nothing happens uses a part of a core that is hardly any."""
    await one.calm()
    rest = await one.idle(0.2)

    assert 0 <= rest.cpu < 0.2
    assert 0 <= rest.redis_cpu < 0.2


async def test_all_three_are_weighed(one: Bed) -> None:
    """A server, its Valkey, and its load process once it has begun, have some memory each."""
    await one.gather(1)

    assert min(one.memory(), one.load_memory()) > 5 << 20
    assert one.redis_memory() > 1 << 20


class NobodyComes:
    """A load process whose phones are not held."""

    async def perform(self, do: str, **_: object) -> dict[str, Any]:
        return {"held": 0, "errors": {"connection refused": 3}} if do == "arrive" else {}


async def test_no_phone_at_all_is_an_error(one: Bed) -> None:
    """A server that held nobody is named, with what the phones saw."""
    empty = Bed(one.server, one.redis, NobodyComes(), WINDOW)

    with pytest.raises(LoadError, match=r"rival held no phone: .*connection refused"):
        await empty.arrive(3)


async def test_a_server_that_is_gone_is_an_error(one: Bed) -> None:
    """A server that ended is told with its log, instead of read as nothing."""
    await servers.end(one.server.process)

    with pytest.raises(servers.ServerError, match="rival ended with status"):
        one.memory()


async def test_a_process_that_is_gone_has_no_memory(one: Bed) -> None:
    """What cannot be read is an error, not zero."""
    with pytest.raises(LoadError, match="the memory of process"):
        bed._memory(2**22 + 1)
