"""Names of users and devices."""

from __future__ import annotations

import re

import pytest

from loadtest.profiles.checks import ProfileError
from loadtest.profiles.users import Users


def test_names_come_from_templates() -> None:
    """The number of the user, and of its device, stand where the template has them."""
    users = Users(name="u{n}", device="D{n:03d}X{d}")

    assert ("u7", "D007X2") == (users.login(7), users.device_id(7, 2))


def test_a_password_is_not_shown() -> None:
    """The password of users, who may be those of a real server, is in no printed value."""
    assert "secret" not in repr(Users(password="secret"))


def test_one_device_a_user_needs_no_number() -> None:
    """A template of devices without {d} is enough where each user has one."""
    assert "PHONE5" == Users(device="PHONE{n}").device_id(5, 1)


@pytest.mark.parametrize("name", ["user", "{x}", "{}", "{n.x}", "{n", "{n[0]}", "a:{n}"])
def test_a_template_of_names_is_checked(name: str) -> None:
    """It needs the number of the user, nothing else, and no colon: that ends the user in Basic."""
    with pytest.raises(ProfileError, match=re.escape(f"users.name: found {name!r}, allowed ")):
        Users(name=name)


@pytest.mark.parametrize(
    "device", ["PHONE", "PHONE{d}", "PHONE{n}", "P-{n}-{d}", "P{n:030d}N{d}", "{x}", "P{n}{d}"]
)
def test_a_template_of_devices_is_checked(device: str) -> None:
    """It gives 1 to 32 letters and digits, others for each device of each user."""
    with pytest.raises(ProfileError, match=re.escape(f"users.device: found {device!r}, allowed ")):
        Users(device=device, per_user=((1, 0.5), (20, 0.5)))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({"first": -1}, "users.first: found -1, allowed 0 or more"),
        ({"per_user": ()}, "users.per_user: found nothing, allowed a number of devices"),
        ({"per_user": ((0, 1.0),)}, "users.per_user: found 0, allowed 1 or more"),
        ({"per_user": ((1, 0.0),)}, "users.per_user: found 0, allowed more than 0"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers: dict[str, object], text: str) -> None:
    """The error names the key, what was found and what is allowed."""
    with pytest.raises(ProfileError, match=re.escape(text)):
        Users(**numbers)
