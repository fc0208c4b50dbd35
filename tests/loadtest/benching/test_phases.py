"""What the phases of a bench make of what they find; ``test_bench`` goes through all of them."""

from __future__ import annotations

from typing import Any

from loadtest.benching.bed import Used
from loadtest.benching.phases import Phases
from loadtest.benching.size import Size

SIZE = Size(40, 20, 0.2)


def burst(woken: int) -> Used:
    outcome: dict[str, Any] = {"woken": woken, "last_s": 0.5}
    return Used(outcome, 0.0, 0.0, 1.0)


def test_a_burst_takes_until_the_last_phone_has_heard() -> None:
    """When every phone was woken, the time of the last answer is the figure."""
    phases = Phases(SIZE, "aiohttp", lambda _: None)

    phases.note_burst("burst_each_s", burst(40))

    assert {"asleep": 0, "burst_each_s": 0.5} == phases.measured.figures


def test_a_burst_that_left_phones_asleep_has_no_end() -> None:
    """Phones that were not woken are counted over all bursts, and no seconds are given."""
    phases = Phases(SIZE, "aiohttp", lambda _: None)

    for woken in (38, 39):
        phases.note_burst("burst_each_s", burst(woken))

    assert {"asleep": 3} == phases.measured.figures
