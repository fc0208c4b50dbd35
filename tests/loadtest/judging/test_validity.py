"""When a run says more about the generator than about the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.figures import Figures
from loadtest.judging.validity import reasons
from tests.loadtest import samples

if TYPE_CHECKING:
    from loadtest.result import Moment


def moment(
    at: float, *, phase: str = "running", cpu: float = 0.5, rate: float = 0.0, published: int = 0
) -> Moment:
    counts = {"published": published} if published else {}
    return samples.moment(at, phase=phase, counts=counts, rate_target=rate, cpu=cpu)


def figures(**durations: float) -> Figures:
    found = Figures()
    for name, interval in durations.items():
        found.record(name, interval)
    return found


def test_a_run_without_moments_is_valid() -> None:
    """Nothing measured is nothing against the generator."""
    assert () == reasons([], Figures())


def test_a_generator_at_ease_is_valid() -> None:
    """Half a core, a millisecond of lag and all changes published are no reason."""
    moments = [moment(at, rate=10.0, published=10 * at) for at in range(1, 21)]

    assert () == reasons(moments, figures(lag=0.001, publish=0.001, notify=0.004))


def test_a_busy_process_for_five_seconds_is_a_reason() -> None:
    """The worst five seconds are told, with their use of a core."""
    moments = [moment(at, cpu=0.97 if 31 < at <= 36 else 0.6) for at in range(20, 50)]

    expected = (
        "the busiest generator process used 97 % of a core from 31 s to 36 s: "
        "use more processes or another host"
    )
    assert (expected,) == reasons(moments, Figures())


def test_a_short_burst_is_no_reason() -> None:
    """Three busy seconds among idle ones are within what queues can take."""
    moments = [moment(at, cpu=1.0 if 31 < at <= 34 else 0.6) for at in range(20, 50)]

    assert () == reasons(moments, Figures())


def test_moments_of_uneven_distance_count_by_their_length() -> None:
    """Use is CPU time over time, so that a moment that came late weighs more."""
    moments = [moment(0.0), moment(4.5, cpu=1.0), moment(5.0, cpu=0.1)]

    expected = "the busiest generator process used 91 % of a core from 0 s to 5 s"
    assert reasons(moments, Figures())[0].startswith(expected)


def test_moments_a_little_less_than_a_second_apart_make_five_seconds() -> None:
    """Five intervals of a clock that is a little early are five seconds."""
    moments = [moment(at * 0.99, cpu=0.95) for at in range(6)]

    assert 1 == len(reasons(moments, Figures()))


def test_phones_may_arrive_as_fast_as_the_generator_can() -> None:
    """A core in full use before the profile's clock runs, or after it, is no reason."""
    moments = [
        *(moment(at, phase="arriving", cpu=1.0) for at in range(10)),
        *(moment(at) for at in range(10, 20)),
        *(moment(at, phase="settling", cpu=1.0) for at in range(20, 30)),
    ]

    assert () == reasons(moments, Figures())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lag", "the generator's event loops were"),
        ("publish", "the generator began to publish"),
    ],
)
def test_lateness_beyond_all_measure_is_a_reason(name: str, words: str) -> None:
    """More than 200 ms are too late, whether changes were answered or not."""
    found = reasons([], figures(**{name: 0.2999}))

    expected = f"{words} 300 ms late (99th percentile): use more processes or another host"
    assert (expected,) == found


@pytest.mark.parametrize("name", ["lag", "publish"])
def test_lateness_that_is_most_of_the_latency_is_a_reason(name: str) -> None:
    """30 ms of 50 ms were the generator's own."""
    found = reasons([], figures(**{name: 0.03, "notify": 0.05}))

    assert 1 == len(found)
    assert " ms late (99th percentile), of notify.p99 50 ms: " in found[0]


@pytest.mark.parametrize(
    ("lag", "notify"),
    [(0.015, 0.02), (0.03, 0.07), (0.19, 1.0)],
    ids=["negligible", "smaller part", "smaller part of much"],
)
def test_lateness_that_is_little_is_no_reason(lag: float, notify: float) -> None:
    """Below 20 ms, or below half of the latency and 200 ms, the server made the figures."""
    assert () == reasons([], figures(lag=lag, notify=notify))


def test_lag_of_an_idle_run_is_no_reason() -> None:
    """Where no change was answered, there is no latency to be part of."""
    assert () == reasons([], figures(lag=0.1))


def test_changes_that_were_not_published_are_a_reason() -> None:
    """80 % of what the profile asks for are too few."""
    moments = [moment(at, rate=100.0, published=80 * at) for at in range(10, 31)]

    expected = (
        "1,600 changes were published of 2,000 that the profile asks for from 10 s to 30 s: "
        "use more processes or a lower rate"
    )
    assert (expected,) == reasons(moments, Figures())


def test_changes_that_were_not_reported_yet_are_no_reason() -> None:
    """In a run of 4 s the last second is a quarter, of which the last moment may not know."""
    moments = [moment(at, rate=1000.0, published=1000 * max(0, at - 1)) for at in range(5)]

    assert () == reasons(moments, Figures())


def test_a_few_percent_short_is_no_reason() -> None:
    """96 % of what the profile asks for are enough."""
    moments = [moment(at, rate=100.0, published=96 * at) for at in range(10, 31)]

    assert () == reasons(moments, Figures())


def test_dice_are_no_reason() -> None:
    """8 of 10 changes of a Poisson process are chance."""
    moments = [moment(0.0, rate=1.0), moment(10.0, rate=1.0, published=8)]

    assert () == reasons(moments, Figures())


def test_a_rate_that_changes_is_summed_up() -> None:
    """A ramp from 0 to 100 a second asks for half of what 100 a second would."""
    moments = [moment(0.0), moment(20.0, rate=100.0, published=1000)]

    assert () == reasons(moments, Figures())


def test_all_reasons_are_told() -> None:
    """A generator may fail in more than one way."""
    moments = [moment(at, cpu=0.99, rate=100.0, published=at) for at in range(20)]

    assert 4 == len(reasons(moments, figures(lag=0.3, publish=0.3)))
