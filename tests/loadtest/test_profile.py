"""What a run puts on the gateway."""

from __future__ import annotations

import pytest

from loadtest.profile import Profile, UnknownProfileError, find


def test_a_profile_is_found_by_name() -> None:
    """Smoke is 2,000 phones and 50 changes a second for half a minute."""
    smoke = find("smoke")

    assert (2000, 30, 50) == (smoke.devices, smoke.duration, smoke.rate)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """The error of an unknown profile names the one that was probably meant."""
    with pytest.raises(UnknownProfileError, match="did you mean 'smoke'"):
        find("smoek")


def test_numbers_can_be_replaced() -> None:
    """Given numbers replace those of the profile, the others stay."""
    found = find("smoke").resized(devices=500, seed=7)

    assert (500, 30, 50, 7) == (found.devices, found.duration, found.rate, found.seed)


def test_equal_seeds_give_equal_phones() -> None:
    """The habits of the phones depend on nothing but the profile."""
    profile = find("smoke")

    assert list(profile.habits()) == list(profile.habits())


def test_a_share_of_the_phones_reaches_its_heartbeat() -> None:
    """About a tenth of the phones ask for a heartbeat of 5 to 12 s, the others for 480 s."""
    found = [one.heartbeat for one in find("smoke").habits()]

    short = [one for one in found if one != 480]
    assert 5 <= min(short) <= max(short) <= 12
    assert 150 < len(short) < 250


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({"devices": 0}, "devices is 0, at least 1 is allowed"),
        ({"duration": 0.0}, "duration is 0 s, more than 0 is allowed"),
        ({"rate": 0.0}, "rate is 0 changes a second"),
        ({"devices": 10}, "at most 25 is allowed with 10 phones"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers: dict[str, float], text: str) -> None:
    """The error says what was found and what is allowed."""
    arguments = {"name": "x", "devices": 100, "duration": 1.0, "rate": 50.0, **numbers}

    with pytest.raises(ValueError, match=text):
        Profile(**arguments)  # type: ignore[arg-type]  # a table's row
