from __future__ import annotations

import pytest

from pushgw.eas import mailbox_policy
from pushgw.eas.mailbox_policy import ELEMENTS, PERMISSIVE, MailboxPolicy, PolicyError


def test_default_forbids_nothing() -> None:
    """The default allows all that can be allowed and requires nothing."""
    values = {one.name: one.permissive for one in ELEMENTS}

    actual = {
        value
        for name, value in values.items()
        if name.startswith(("Require", "DevicePasswordEnabled"))
    } | {"-" + value for name, value in values.items() if name.startswith("Allow")}

    assert {"0", "-1", "-2"} == actual


def test_permissive_values_are_allowed_ones() -> None:
    """Each value of the default is a number the element may have, or empty."""
    wrong = [
        one.name for one in ELEMENTS if one.permissive and int(one.permissive) not in one.allowed
    ]

    assert [] == wrong


@pytest.mark.parametrize(("version", "expected"), [("12.0", 11), ("12.1", 42), ("16.1", 42)])
def test_version_has_its_elements(version: str, expected: int) -> None:
    """12.0 knows 11 elements, every later version all 42."""
    actual = mailbox_policy.document(PERMISSIVE, version)

    assert expected == len(actual.children)


def test_changed_value_is_sent() -> None:
    """A policy names its own values among the permissive ones."""
    policy = MailboxPolicy((("DevicePasswordEnabled", 1), ("MinDevicePasswordLength", 6)))

    actual = {one.name: one.text for one in mailbox_policy.document(policy, "12.0").children}

    assert ("1", "6", "1") == (
        actual["DevicePasswordEnabled"],
        actual["MinDevicePasswordLength"],
        actual["AttachmentsEnabled"],
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("MinDevicePasswordLength", 18, "found MinDevicePasswordLength 18, allowed 1 to 16"),
        ("ApprovedApplicationList", 1, "allowed none yet"),
        ("AllowLaughter", 1, "found policy element 'AllowLaughter'"),
    ],
)
def test_impossible_policy_is_refused(name: str, value: int, text: str) -> None:
    """A policy cannot say what the protocol cannot."""
    with pytest.raises(PolicyError, match=text):
        MailboxPolicy(((name, value),))
