"""How clients choose their heartbeat, from plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario.pace import AOSP, AOSP_2012, FIXED, WINDOWS_MOBILE

if TYPE_CHECKING:
    from loadtest.scenario.pace import Rule


def walk(rule: Rule, first: int, events: str) -> list[int]:
    """Follow + (lasted), - (failed) and numbers (status 5); list the heartbeats."""
    pace = rule.start(first)
    heartbeats = [pace.heartbeat]
    for event in events.split():
        if event == "+":
            pace = rule.lasted(pace)
        elif event == "-":
            pace = rule.failed(pace)
        else:
            pace = rule.told(pace, int(event))
        heartbeats.append(pace.heartbeat)
    return heartbeats


def test_fixed_stays() -> None:
    """A fixed heartbeat moves neither up nor down."""
    assert [900, 900, 900] == walk(FIXED, 900, "+ -")


def test_fixed_takes_what_the_server_allows() -> None:
    """A fixed heartbeat is the server's from status 5 on."""
    assert [4000, 3540, 3540] == walk(FIXED, 4000, "3540 +")


def test_aosp_grows_to_28_minutes() -> None:
    """AOSP adds 300 s after each status 1, up to 1680 s."""
    assert [480, 780, 1080, 1380, 1680, 1680] == walk(AOSP, 480, "+ + + + +")


def test_aosp_shrinks_to_8_minutes() -> None:
    """AOSP takes 300 s away after each failure, down to 480 s."""
    assert [1080, 780, 480, 480] == walk(AOSP, 1080, "- - -")


def test_aosp_takes_status_5_unchecked() -> None:
    """AOSP keeps a value outside its own bounds, and adds 300 s to it after a success."""
    assert [480, 60, 360, 3540, 1680] == walk(AOSP, 480, "60 + 3540 +")


def test_aosp_2012_grows_to_its_maximum() -> None:
    """AOSP 2012 adds 180 s after each status 1, up to 1790 s, and stays there."""
    assert [1500, 1680, 1790, 1790, 1790] == walk(AOSP_2012, 1500, "+ + + +")


def test_aosp_2012_never_grows_after_a_drop() -> None:
    """AOSP 2012 that had to shorten its interval stays with what works."""
    assert [470, 650, 470, 470, 470] == walk(AOSP_2012, 470, "+ - + +")


def test_aosp_2012_keeps_its_high_water_mark() -> None:
    """A failure at or below the longest interval that lasted changes nothing."""
    assert [470, 650, 470, 470] == walk(AOSP_2012, 470, "+ - -")


def test_aosp_2012_shrinks_to_its_minimum() -> None:
    """AOSP 2012 without a success shortens step by step, not below 290 s."""
    assert [600, 420, 290, 290] == walk(AOSP_2012, 600, "- - -")


def test_aosp_2012_remembers_a_success_at_a_settled_interval() -> None:
    """An interval that lasted after a drop is the new high-water mark."""
    assert [600, 420, 420, 420] == walk(AOSP_2012, 600, "- + -")


def test_aosp_2012_lowers_its_maximum() -> None:
    """A smaller value of status 5 becomes the maximum."""
    assert [1700, 1500, 1500] == walk(AOSP_2012, 1700, "1500 +")


def test_aosp_2012_raises_its_minimum() -> None:
    """A larger value of status 5 becomes the minimum."""
    assert [300, 600, 600] == walk(AOSP_2012, 300, "600 -")


@pytest.mark.parametrize(
    ("heartbeat", "expected"), [(100, [470, 100, 100, 100]), (2000, [470, 2000, 2000, 2000])]
)
def test_aosp_2012_brings_its_bounds_together(heartbeat: int, expected: list[int]) -> None:
    """A value beyond the other bound leaves one interval only."""
    assert expected == walk(AOSP_2012, 470, f"{heartbeat} - +")


def test_aosp_2012_grows_again_after_status_5() -> None:
    """Status 5 lifts the ban on growing, even where it names the present value."""
    assert [600, 420, 420, 600] == walk(AOSP_2012, 600, "- 420 +")


def test_windows_mobile_settles_as_documented() -> None:
    """15 min fails, 8 works, 12 works, 16 fails: Windows Mobile settles on 12."""
    assert [900, 480, 720, 960, 720, 720, 720] == walk(WINDOWS_MOBILE, 900, "- + + - + +")


def test_windows_mobile_begins_anew_when_a_settled_interval_fails() -> None:
    """A failure of an interval that had worked leads back to the minimum, and up from there."""
    assert [480, 720, 480, 480, 720] == walk(WINDOWS_MOBILE, 480, "+ - - +")


def test_windows_mobile_stops_at_the_maximum() -> None:
    """Windows Mobile grows no further than the server grants."""
    assert [3400, 3540, 3540, 3540] == walk(WINDOWS_MOBILE, 3400, "+ + +")


@pytest.mark.parametrize("rule", [FIXED, AOSP, AOSP_2012, WINDOWS_MOBILE])
def test_equal_paces_are_one_object(rule: Rule) -> None:
    """Phones at the same point of a rule share its pace."""
    first, second = (rule.told(rule.lasted(rule.start(600)), 700) for _ in range(2))

    assert first is second
