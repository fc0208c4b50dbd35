"""What is asked of the gateway in a bench."""

from __future__ import annotations

from loadtest.benching.rows import Measured, judge
from loadtest.benching.small_rows import rows

GOOD = {
    "new": 15_000,
    "held": 15_000,
    "held_kb": 2.5,
    "tls_kb": 25,
    "storm_us": 180,
    "wake_us": 400,
    "cycle_us": 150,
    "idle_us": 1,
    "gc_ms": 20,
    "lost": 0,
    "p50_ms": 0.8,
    "p99_ms": 2.5,
    "p999_ms": 8,
    "burst_each_s": 0.8,
    "burst_shared_s": 0.8,
    "asleep": 0,
    "gen_kb": 2.5,
    "gen_us": 80,
}
AIOHTTP = Measured("aiohttp", {"storm_us": 384, "wake_us": 876, "cycle_us": 400})
NCHAN = Measured("nchan", {"held_kb": 11})


def test_no_row_is_twice() -> None:
    """Each key has one row."""
    keys = [row.key for row in rows(15_000)]

    assert len(set(keys)) == len(keys)


def test_all_can_be_reached() -> None:
    """Figures at their limits, beside rivals as slow as they were measured, reach everything."""
    found = judge(rows(15_000), Measured("gateway", GOOD), [AIOHTTP, NCHAN])

    assert set(GOOD) == {one.row.key for one in found}
    assert [] == [one for one in found if not one.is_reached]


def test_what_is_a_little_worse_is_not_reached() -> None:
    """Each figure that is a little beyond its limit, or its part of a rival's, misses it."""
    worse = {key: value - 1 if key in {"new", "held"} else value + 3 for key, value in GOOD.items()}
    worse["wake_us"] = 0.61 * 876
    found = judge(rows(15_000), Measured("gateway", worse), [])
    ratio = judge(rows(15_000), Measured("gateway", worse), [AIOHTTP])

    assert [] == [one for one in found if one.is_reached]
    assert [("wake_us", False)] == [
        (one.row.key, one.is_reached) for one in ratio if one.row.key == "wake_us"
    ]
