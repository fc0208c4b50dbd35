"""How often a run is looked at, and what its moments tell together."""

from __future__ import annotations

import pytest

from loadtest import moments
from loadtest.result import Gateway
from tests.loadtest.samples import moment


def cpu(*readings: tuple[float, float | None]) -> list[tuple[float, float]]:
    return moments.gateway_cpu(
        [moment(at, gateway=Gateway(cpu_seconds=used)) for at, used in readings]
    )


@pytest.mark.parametrize(
    ("planned", "interval"),
    [(5.0, 1.0), (3600.0, 1.0), (3600.1, 2.0), (86_400.0, 24.0), (86_437.5, 25.0)],
)
def test_a_long_run_is_looked_at_less_often(planned: float, interval: float) -> None:
    """Moments are whole seconds apart, and a planned run has at most 3,600 of them."""
    assert interval == moments.interval(planned)


def test_the_cpu_of_the_gateway_is_flat_between_readings() -> None:
    """What moments repeat is no reading: the time used is spread over the time since the last."""
    found = cpu(*((at, 2.0 * (at // 5)) for at in range(14)))

    assert [(0, 0.4), (5, 0.4), (5, 0.4), (10, 0.4)] == found


def test_the_cpu_of_the_gateway_may_be_unknown_at_times() -> None:
    """Moments before the first reading, and those without one, are passed over."""
    assert [(1, 0.5), (7, 0.5)] == cpu((0, None), (1, 1.0), (4, None), (7, 4.0))


@pytest.mark.parametrize("readings", [[], [(0, None)], [(0, 1.0)], [(0, 1.0), (9, 1.0)]])
def test_the_cpu_of_the_gateway_takes_two_readings(
    readings: list[tuple[float, float | None]],
) -> None:
    """With fewer, nothing is known."""
    assert [] == cpu(*readings)


def test_readings_that_follow_at_once_are_one() -> None:
    """Over less than three seconds a speed would be wrong by more than it is."""
    assert [(0, 0.5), (6, 0.5)] == cpu((0, 1.0), (2, 2.5), (6, 4.0))


def test_a_worker_that_was_replaced_takes_no_time_away() -> None:
    """CPU time that went back counts as none used."""
    assert [(0, 0.0), (5, 0.0)] == cpu((0, 9.0), (5, 2.0))
