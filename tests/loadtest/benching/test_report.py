"""The figures of a bench, as people and programs read them."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import orjson
import pytest
from rich.console import Console

from loadtest.benching import report
from loadtest.benching.bench import Result, Size

GATEWAY = Result(
    name="gateway",
    asked=1000,
    new=1000,
    held=1000,
    empty_bytes=40 << 20,
    held_bytes=1536,
    load_bytes=1434,
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
        "load_us": 60.0,
        "forgotten": 0,
        "latency": {"p50_ms": 30.0, "p99_ms": 600.0, "p999_ms": 700.0, "max_ms": 800.0},
    },
    cycle_us=140.0,
    redis_us=30.0,
)
RIVAL = replace(GATEWAY, name="rival", held_bytes=18_000, cycle_us=400.0, wake_us=800.0)


def test_all_promises_can_be_reached() -> None:
    """Figures within the limits and better than the rival's reach every promise."""
    assert all(one.is_reached for one in report.promises(GATEWAY, RIVAL))


def test_a_broken_promise_is_named() -> None:
    """A figure beyond its limit is not reached, and says both numbers in three digits."""
    slow = replace(GATEWAY, held_bytes=4099, cycle_us=224.6)
    found = [str(one) for one in report.promises(slow, replace(RIVAL, cycle_us=1234.4))]

    assert "user memory per held Ping: 4 KB, limit 3 KB: not reached" == found[0]
    assert "CPU per cycle: 225 us, limit 150 us: not reached" == found[1]
    assert "CPU per cycle, rival's: 225 us, limit 1,234 us: reached" == found[2]
    assert "lost changes: 0, limit 0: reached" == found[4]


def test_the_generator_has_promises_of_its_own() -> None:
    """Memory and CPU of the load process in the gateway's run are held against their limits."""
    big = replace(GATEWAY, load_bytes=2714, saturation={**GATEWAY.saturation, "load_us": 80.4})
    found = [str(one) for one in report.promises(big, RIVAL)]

    assert "generator: memory per phone: 2.65 KB, limit 2.5 KB: not reached" == found[5]
    assert "generator: CPU per cycle: 80.4 us, limit 80 us: not reached" == found[6]


def test_missing_phones_make_a_bench_invalid() -> None:
    """A server that held fewer phones than asked is named, with both numbers."""
    results = [GATEWAY, replace(RIVAL, new=999, held=0)]

    assert [
        "invalid: rival held 999 of 1,000 new phones in time",
        "invalid: rival held 0 of 1,000 phones that came back in time",
    ] == list(report.invalid(results))


def test_the_busy_part_is_cycles_by_cost() -> None:
    """2,000 cycles a second at 140 us keep a core busy by 28 percent."""
    assert GATEWAY.busy == pytest.approx(0.28)


def test_the_table_compares() -> None:
    """Each row has both figures and their ratio, where there is one."""
    console = Console(file=StringIO(), width=100)
    console.print(report.table(GATEWAY, RIVAL))

    assert isinstance(console.file, StringIO)
    rows = [line.split("│") for line in console.file.getvalue().splitlines()]
    cells = {row[1].strip(): [cell.strip() for cell in row[2:5]] for row in rows if len(row) > 4}
    assert ["1.5", "17.6", "0.0853"] == cells["user memory per held Ping, KB"]
    assert ["140", "400", "0.35"] == cells["saturation: CPU per cycle, us"]
    assert ["1.4", "1.4", "1"] == cells["generator: memory per phone, KB"]
    assert ["60", "60", "1"] == cells["generator: CPU per Ping cycle at saturation, us"]
    assert ["0", "0", "-"] == cells["lost"]


def test_the_document_holds_everything() -> None:
    """The JSON has size, machine, versions, figures, promises and what makes it invalid."""
    found = orjson.loads(report.document(Size(1000, 200, 20), [GATEWAY, RIVAL]))

    assert {"size", "environment", "results", "promises", "invalid"} == found.keys()
    assert 1536 == found["results"]["gateway"]["held_bytes"]
    assert {"machine", "python", "uvloop"} <= found["environment"].keys()
