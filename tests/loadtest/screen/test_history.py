"""What only two moments of a run tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.figures import Latency
from loadtest.result import Gateway, Moment
from loadtest.screen.history import SHOWN, History
from tests.loadtest import samples

START = samples.moment(at=0.0, states={"held": 100}, counts={"answers": 0})


def history(*moments: Moment) -> History:
    found = History()
    for moment in moments:
        found.add(moment)
    return found


def gateway(at: float, **told: float | None) -> Moment:
    return replace(START, at=at, gateway=Gateway(**told))


def test_a_rate_is_that_of_the_last_interval() -> None:
    """Answers a second are those since the moment before, not since the beginning."""
    counts = [replace(START, at=at, counts={"answers": n}) for at, n in ((0, 0), (2, 9), (4, 10))]

    assert 0.5 == history(*counts).per_second("answers")


def test_one_moment_has_no_rate() -> None:
    """At the first moment nothing is known to have grown."""
    assert 0.0 == history(START).per_second("answers")


def test_only_the_last_moments_are_kept() -> None:
    """However long a run is, a curve goes back a minute."""
    found = history(*(replace(START, at=float(at)) for at in range(SHOWN + 5)))

    assert (SHOWN, 5.0) == (len(found.moments), found.moments[0].at)


def test_a_moment_without_an_answer_has_no_latency() -> None:
    """An interval in which nothing was answered is a gap in the curve, not a zero."""
    answered = replace(START, recent={"notify": Latency(count=3, p99=0.25)})
    silent = replace(START, recent={"notify": Latency()})

    assert [0.25, None, None] == history(answered, silent, START).notify_p99()


def test_cores_are_a_difference_of_cpu_time() -> None:
    """CPU time is divided by the time between the last two readings, which moments repeat."""
    found = history(*(gateway(at, cpu_seconds=at // 5 * 7.5) for at in range(100, 113)))

    assert 1.5 == found.gateway_cores()


@pytest.mark.parametrize("cpu_seconds", [[None, 3.0], [1.0, 3.0, None], [3.0]])
def test_cores_need_two_readings(cpu_seconds: list[float | None]) -> None:
    """Where CPU time was not read twice, or is not to be had any more, no figure is made up."""
    found = history(*(gateway(at * 5, cpu_seconds=one) for at, one in enumerate(cpu_seconds)))

    assert found.gateway_cores() is None


def test_a_worker_that_died_takes_no_time_away() -> None:
    """CPU time that fell counts as none."""
    assert 0.0 == history(gateway(0, cpu_seconds=9.0), gateway(5, cpu_seconds=2.0)).gateway_cores()


def test_a_phone_costs_what_came_with_it() -> None:
    """What the gateway used, and held, at the first reading is subtracted."""
    blind = gateway(0)
    first = gateway(1, memory_bytes=1_000_000, held=50)
    now = gateway(2, memory_bytes=1_200_000, held=150)

    assert 2000.0 == history(blind, first, now).bytes_per_phone()


def test_phones_held_here_stand_in_for_those_told() -> None:
    """A gateway that does not tell whom it holds is taken to hold our phones."""
    first = gateway(0, memory_bytes=1_000_000)
    now = replace(gateway(1, memory_bytes=1_300_000), states={"held": 400})

    assert 1000.0 == history(first, now).bytes_per_phone()


@pytest.mark.parametrize(
    "moments",
    [
        [gateway(0)],
        [gateway(0, memory_bytes=5, held=1)],
        [gateway(0, memory_bytes=5, held=1), gateway(1, held=9)],
    ],
    ids=["never read", "no phone came", "no longer read"],
)
def test_the_cost_of_a_phone_needs_memory_and_phones(moments: list[Moment]) -> None:
    """Without two readings or without a phone that came, no cost of a phone is made up."""
    assert history(*moments).bytes_per_phone() is None
