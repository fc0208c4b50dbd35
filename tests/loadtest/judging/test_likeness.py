"""What makes two runs hard to compare."""

from __future__ import annotations

from dataclasses import replace

from loadtest.judging.likeness import differences
from loadtest.judging.summary import Summary

RUN = Summary(
    name="steady",
    devices=15_000,
    duration=60.0,
    profile={"name": "steady", "seed": 1, "rate": 200.0, "phones": {"heartbeat": 480}},
    environment={"kernel": "Linux 6.1", "Python": "3.11.2", "pushgw": "0.1", "git commit": "a"},
    counts={},
    errors={},
    histograms={},
)


def test_a_run_differs_from_itself_in_nothing() -> None:
    """Equal runs have no notes."""
    assert () == differences(RUN, RUN)


def test_another_profile_is_one_difference() -> None:
    """Where the profiles are others, their keys are not listed one by one."""
    other = replace(RUN, name="storm", profile={"rate": 5.0})

    assert ("other profile: steady and storm",) == differences(RUN, other)


def test_changed_keys_of_one_profile_are_named() -> None:
    """Each key that was changed is named with both values, by its dotted name."""
    profile = {"name": "x", "seed": 2, "rate": 100.0, "phones": {"heartbeat": 300}, "ramp": 9}

    found = differences(RUN, replace(RUN, profile=profile))

    assert (
        "other phones.heartbeat: 480 and 300",
        "other ramp: none and 9",
        "other rate: 200.0 and 100.0",
    ) == found


def test_another_number_of_phones_is_a_difference() -> None:
    """Both numbers are told."""
    found = differences(RUN, replace(RUN, devices=20_000))

    assert ("other number of phones: 15,000 and 20,000",) == found


def test_another_duration_is_a_difference() -> None:
    """A run that is half as long again is another one."""
    found = differences(RUN, replace(RUN, duration=90.0))

    assert ("other duration: 1 min 00 s and 1 min 30 s",) == found


def test_a_few_seconds_more_are_none() -> None:
    """A run ends when its last answer has come."""
    assert () == differences(RUN, replace(RUN, duration=71.0))


def test_another_machine_is_a_difference() -> None:
    """Kernel, versions and hardware are compared; the program itself is what may change."""
    environment = {"kernel": "Linux 6.9", "Python": "3.11.2", "pushgw": "0.2", "git commit": "b"}

    found = differences(RUN, replace(RUN, environment=environment))

    assert ("other kernel: Linux 6.1 and Linux 6.9",) == found


def test_reasons_of_invalid_runs_are_told() -> None:
    """Each reason has a line that says which run it is of."""
    spoilt = replace(RUN, invalid=("too busy", "too late"))

    found = differences(spoilt, RUN)

    assert ("A is invalid: too busy", "A is invalid: too late") == found
