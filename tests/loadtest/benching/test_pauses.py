"""Collections of garbage as a gateway tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.benching import pauses

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "pushgw_gc_pause_seconds"


def metrics(below: Mapping[str, int], total: float, worker: int = 0) -> str:
    lines = [
        f'{NAME}_bucket{{worker="{worker}",le="{bound}"}} {count}' for bound, count in below.items()
    ]
    lines += [f'{NAME}_sum{{worker="{worker}"}} {total}', "pushgw_held_pings 3.0"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (metrics({"0.001": 3, "0.01": 5, "0.1": 5, "+Inf": 5}, 0.3), 0.01),
        (metrics({"0.001": 0, "0.01": 0, "+Inf": 0}, 0.0), 0.0),
        (metrics({"0.001": 3, "0.01": 3, "+Inf": 4}, 1.5), 1.5),
        (metrics({"0.001": 3, "0.01": 5, "+Inf": 5}, 0.004), 0.004),
        ("pushgw_held_pings 3.0", 0.0),
    ],
)
def test_the_longest_one_is_bounded(text: str, seconds: float) -> None:
    """The highest bucket that counted bounds it, and so does the sum of all, also above buckets."""
    assert seconds == pauses.longest(text)


def test_workers_are_taken_together() -> None:
    """The longest collection is that of the worker that had it."""
    text = "\n".join(
        metrics({"0.001": 3, "0.01": 3 + worker, "+Inf": 3 + worker}, 0.3, worker)
        for worker in range(2)
    )

    assert 0.01 == pauses.longest(text)
