"""What the bench with 100,000 phones stands on, read from outside."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from loadtest import process
from loadtest.benching import stand
from loadtest.benching.load_process import LoadError
from loadtest.benching.stand import Reading


def test_readings_are_subtracted() -> None:
    """What was used from one reading to the next is the difference of each part."""
    before = Reading(at=10.0, gateway=1.0, redis=0.5, load=2.0)
    after = Reading(at=12.0, gateway=1.25, redis=0.5, load=4.0)

    assert Reading(at=2.0, gateway=0.25, redis=0.0, load=2.0) == after.since(before)


async def test_everything_runs_is_read_and_drained() -> None:
    """A stand has a gateway of so many workers, a Valkey and a crew; its gateway ends in peace."""
    with TemporaryDirectory() as name:
        async with stand.build(Path(name), 2, 0.1) as one:
            before = one.read()
            await one.crew.gather(4, known=True)
            held = (await one.crew.arrive(4, 100.0)).held
            used = one.read().since(before)
            memory, redis_memory = one.memory(), one.redis_memory()
            tree = len(process.tree(one.node.pid or 0))
            hands = len(one.crew.pids)
            await one.drain()
            errors = (await one.crew.tell()).errors

    assert (4, 2) == (held, hands)
    assert {"connection refused"} == set(errors)  # none is closed without its answer
    assert tree >= 4  # supervisor, admin process, two workers
    assert min(used.at, used.gateway, used.redis, used.load) > 0
    assert min(memory, redis_memory) > 1 << 20


def test_a_process_that_is_gone_has_no_memory() -> None:
    """What cannot be read is an error, not zero."""
    with pytest.raises(LoadError, match="the memory of process"):
        stand._memory(2**22 + 1)
