"""Sizes, figures and promises of the bench."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from loadtest import bench, benchreport, servers
from loadtest.bench import Result, Size

GATEWAY = Result(
    name="gateway",
    asked=1000,
    new=1000,
    held=1000,
    empty_bytes=40 << 20,
    held_bytes=1536,
    first_us=900.0,
    park_us=100.0,
    idle_ms=0.25,
    notify={
        "lost": 0,
        "latency": {"p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0, "max_ms": 4.0},
    },
    wake_us=200.0,
    saturation={
        "cycles": 10_000,
        "cycles_per_second": 2000.0,
        "load_us": 90.0,
        "forgotten": 0,
        "latency": {"p50_ms": 30.0, "p99_ms": 600.0, "p999_ms": 700.0, "max_ms": 800.0},
    },
    cycle_us=140.0,
    redis_us=30.0,
)
RIVAL = replace(GATEWAY, name="rival", held_bytes=18_000, cycle_us=400.0, wake_us=800.0)


def test_a_size_is_checked() -> None:
    """A bench has as many changes a second as its phones can take."""
    with pytest.raises(ValueError, match="rate is 200 changes a second"):
        Size(10, 200, 20)


def test_all_promises_can_be_reached() -> None:
    """Figures within the limits and better than the rival's reach every promise."""
    assert all(one.is_reached for one in benchreport.promises(GATEWAY, RIVAL))


def test_a_broken_promise_is_named() -> None:
    """A figure beyond its limit is not reached, and says both numbers in three digits."""
    slow = replace(GATEWAY, held_bytes=4099, cycle_us=224.6)
    found = [str(one) for one in benchreport.promises(slow, replace(RIVAL, cycle_us=1234.4))]

    assert "user memory per held Ping: 4 KB, limit 3 KB: not reached" == found[0]
    assert "CPU per cycle: 225 us, limit 150 us: not reached" == found[1]
    assert "CPU per cycle, rival's: 225 us, limit 1,234 us: reached" == found[2]
    assert "lost changes: 0, limit 0: reached" == found[4]


def test_missing_phones_make_a_bench_invalid() -> None:
    """A server that held fewer phones than asked is named, with both numbers."""
    results = [GATEWAY, replace(RIVAL, new=999, held=0)]

    assert [
        "invalid: rival held 999 of 1,000 new phones in time",
        "invalid: rival held 0 of 1,000 phones that came back in time",
    ] == list(benchreport.invalid(results))


def test_the_busy_part_is_cycles_by_cost() -> None:
    """2,000 cycles a second at 140 us keep a core busy by 28 percent."""
    assert GATEWAY.busy == pytest.approx(0.28)


def test_the_table_compares() -> None:
    """Each row has both figures and their ratio."""
    console = Console(file=StringIO(), width=100)
    console.print(benchreport.table(GATEWAY, RIVAL))

    assert isinstance(console.file, StringIO)
    rows = [line.split("│") for line in console.file.getvalue().splitlines()]
    cells = {row[1].strip(): [cell.strip() for cell in row[2:5]] for row in rows if len(row) > 4}
    assert ["1.50", "17.58", "0.09"] == cells["user memory per held Ping, KB"]
    assert ["140", "400", "0.35"] == cells["saturation: CPU per cycle, us"]


def test_the_document_holds_everything() -> None:
    """The JSON has size, machine, versions, figures, promises and what makes it invalid."""
    found = orjson.loads(benchreport.document(Size(1000, 200, 20), [GATEWAY, RIVAL]))

    assert {"size", "environment", "results", "promises", "invalid"} == found.keys()
    assert 1536 == found["results"]["gateway"]["held_bytes"]
    assert {"machine", "python", "uvloop"} <= found["environment"].keys()


async def test_a_server_is_measured() -> None:
    """A small bench of the rival finds phones, memory, CPU and latencies, phase by phase."""
    # So many that their memory outweighs what neighbours add: libraries that are shared with others
    # count in parts, and others come and go.
    size = Size(400, 20, 0.3, idle=0.1, saturation=0.2)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with (
            servers.valkey(directory) as redis,
            bench._bench(size, bench._rival, redis, directory, said.append) as one,
        ):
            found = await one.measure(new=400, first=0.001)

    assert (400, 400, 1000.0) == (found.asked, found.held, found.first_us)
    assert min(found.held_bytes, found.park_us, found.cycle_us, found.redis_us) > 0
    assert found.notify["published"] == 6
    assert len(said) == 4
