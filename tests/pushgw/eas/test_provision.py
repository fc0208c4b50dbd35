from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushgw.eas import provision as module
from pushgw.eas.body import BodyError
from pushgw.eas.mailbox_policy import PERMISSIVE, MailboxPolicy
from pushgw.eas.provision import PolicyKeys, ProvisionRequest, parse, provision, wipe_directive
from pushgw.wbxml import decode, element, encode, from_xml

VECTORS = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads(
        (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
    )["wbxml"]
}
KEY = 1307199584
FIRST = ProvisionRequest(module.WBXML_TYPE)
OPEN = PolicyKeys(temporary=KEY, permanent=7)
STRICT = MailboxPolicy(allows_non_provisionable=False)


def _body(content: str) -> bytes:
    return encode(from_xml(f'<Provision xmlns="Provision:">{content}</Provision>'))


def _policy(content: str) -> str:
    kind = f"<PolicyType>{module.WBXML_TYPE}</PolicyType>"
    return f"<Policies><Policy>{kind}{content}</Policy></Policies>"


def _acknowledged(status: int, key: int | None = KEY) -> ProvisionRequest:
    return ProvisionRequest(module.WBXML_TYPE, policy_key=key, status=status)


def test_first_phase_is_read() -> None:
    """The device asks for a policy and says what it is."""
    actual = parse(VECTORS["provision-req-phase1-141"])

    assert (module.WBXML_TYPE, None, None, "iPhone14,5") == (
        actual.policy_type,
        actual.policy_key,
        actual.status,
        (actual.device_information or {}).get("Model"),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (VECTORS["provision-req-ack"], _acknowledged(1)),
        (VECTORS["provision-req-wipe-ack"], ProvisionRequest(wipe_status=1)),
        (VECTORS["provision-req-accountwipe-ack"], ProvisionRequest(wipe_status=1)),
        (_body("<RemoteWipe><Status>2</Status></RemoteWipe>"), ProvisionRequest(wipe_status=2)),
        (_body(""), ProvisionRequest()),
        (_body("<Policies><Policy/></Policies>"), ProvisionRequest()),
    ],
)
def test_request_is_read(body: bytes, expected: ProvisionRequest) -> None:
    """Acknowledgements of policies and wipes are read, and what is left out is None."""
    actual = parse(body)

    assert expected == actual


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 101),
        (b"x", 102),
        (VECTORS["ping-req-full"], 103),
        (_body("<Policies/>"), 103),
        (_body("<Policies><Policy/><Policy/></Policies>"), 103),
        (_body(_policy("<PolicyKey>4294967296</PolicyKey>")), 103),
        (_body(_policy("<Status>x</Status>")), 103),
        (_body(f"<Policies><Policy><PolicyType>{'x' * 65}</PolicyType></Policy></Policies>"), 103),
    ],
)
def test_malformed_request_is_refused(body: bytes, expected: int) -> None:
    """A request that is none has a common status code."""
    with pytest.raises(BodyError) as caught:
        parse(body)

    assert expected == caught.value.status


def test_type_with_a_nul_is_refused() -> None:
    """A type in opaque data that an answer could not repeat is refused."""
    policy = element("Provision", "Policy", element("Provision", "PolicyType", b"MS\x00"))
    root = element("Provision", "Provision", element("Provision", "Policies", policy))

    with pytest.raises(BodyError, match="found a PolicyType of 3 characters"):
        parse(encode(root))


def test_first_phase_gives_a_temporary_key_and_the_policy() -> None:
    """Before 14.1 a device that says nothing of itself is given the whole policy."""
    policy = MailboxPolicy(
        (
            ("DevicePasswordEnabled", 1),
            ("MinDevicePasswordLength", 4),
            ("MaxInactivityTimeDeviceLock", 900),
            ("MaxDevicePasswordFailedAttempts", 8),
        )
    )

    actual = provision(FIRST, PolicyKeys(permanent=7), "12.1", KEY, policy)

    assert (VECTORS["provision-resp-phase1-full"], PolicyKeys(KEY, 7), None) == (
        actual.body,
        actual.keys,
        actual.device_information,
    )


def test_device_information_is_acknowledged_first() -> None:
    """The answer to what a device says of itself stands before the policy."""
    request = parse(VECTORS["provision-req-phase1-141"])
    expected = decode(VECTORS["provision-resp-phase1-141-devinfo"])

    actual = provision(request, PolicyKeys(), "14.1", KEY)

    assert (expected.children[:2], request.device_information) == (
        decode(actual.body).children[:2],
        actual.device_information,
    )


def test_policy_is_filtered_by_version() -> None:
    """A 12.0 device is sent no element that came with 12.1."""
    actual = provision(FIRST, PolicyKeys(), "12.0", KEY).body

    assert (b"\x4e\x030\x00\x01" in actual, b"\x5c\x031\x00\x01" in actual) == (True, False)


@pytest.mark.parametrize("version", ["14.1", "16.0", "16.1"])
def test_first_phase_needs_device_information_since_14_1(version: str) -> None:
    """A 14.1 device that says nothing of itself gets status 165 and no key."""
    actual = provision(FIRST, PolicyKeys(), version, KEY)

    assert (_body("<Status>165</Status>"), PolicyKeys()) == (actual.body, actual.keys)


def test_second_phase_gives_the_permanent_key() -> None:
    """The temporary key is exchanged for the one that all commands carry, without the policy."""
    expected = _body(f"<Status>1</Status>{_policy('<Status>1</Status><PolicyKey>99</PolicyKey>')}")

    actual = provision(_acknowledged(1), OPEN, "14.1", 99)

    assert (expected, PolicyKeys(None, 99)) == (actual.body, actual.keys)


@pytest.mark.parametrize(
    ("request_key", "keys"),
    [(KEY + 1, OPEN), (None, OPEN), (None, PolicyKeys()), (7, PolicyKeys(permanent=7))],
)
def test_wrong_key_is_refused(request_key: int | None, keys: PolicyKeys) -> None:
    """Only the temporary key of an open round is exchanged."""
    actual = provision(_acknowledged(1, request_key), keys, "12.0", 99)

    assert (VECTORS["provision-resp-ack-mismatch"], keys) == (actual.body, actual.keys)


@pytest.mark.parametrize("status", [2, 3, 4])
def test_imperfect_device_is_let_in(status: int) -> None:
    """Where non-provisionable devices are allowed, every verdict of a device gets its key."""
    actual = provision(_acknowledged(status), OPEN, "12.1", 99)

    assert PolicyKeys(None, 99) == actual.keys


@pytest.mark.parametrize(
    ("status", "version", "policy", "expected"),
    [
        (2, "14.0", STRICT, 139),
        (3, "16.1", STRICT, 139),
        (4, "14.0", STRICT, 145),
        (4, "12.1", STRICT, 3),
        (0, "14.0", STRICT, 2),
        (5, "14.0", PERMISSIVE, 2),
    ],
)
def test_imperfect_device_is_refused(
    status: int, version: str, policy: MailboxPolicy, expected: int
) -> None:
    """A strict policy refuses devices that did not apply it, any policy an unknown verdict."""
    actual = provision(_acknowledged(status), OPEN, version, 99, policy)

    assert (_body(f"<Status>{expected}</Status>"), OPEN) == (actual.body, actual.keys)


def test_strict_policy_lets_in_who_applied_it() -> None:
    """A device that applied a strict policy gets its key."""
    actual = provision(_acknowledged(1), OPEN, "14.1", 99, STRICT)

    assert PolicyKeys(None, 99) == actual.keys


@pytest.mark.parametrize(
    ("policy_type", "version"), [("x", "12.1"), ("", "14.0"), (module.WAP_TYPE, "12.0")]
)
def test_unknown_type_is_refused(policy_type: str, version: str) -> None:
    """A policy of a type that the version does not have is status 3."""
    actual = provision(ProvisionRequest(policy_type), OPEN, version, 99)

    policy = decode(actual.body).children[1].children[0]
    assert ([policy_type, "3"], OPEN) == ([one.text for one in policy.children], actual.keys)


def test_version_2_5_has_no_policy() -> None:
    """A 2.5 device, whose policies are of another kind, is told that there is none."""
    expected = VECTORS["provision-resp-nopolicy"].replace(
        module.WBXML_TYPE.encode(), module.WAP_TYPE.encode()
    )

    actual = provision(ProvisionRequest(module.WAP_TYPE), PolicyKeys(), "2.5", 99)

    assert (expected, PolicyKeys()) == (actual.body, actual.keys)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [(ProvisionRequest(), 2), (ProvisionRequest(wipe_status=2), 1)],
)
def test_request_without_policy_is_answered(request_: ProvisionRequest, expected: int) -> None:
    """An empty request is a protocol error, word of a wipe that nobody wants is taken."""
    actual = provision(request_, OPEN, "14.0", 99)

    assert (_body(f"<Status>{expected}</Status>"), OPEN) == (actual.body, actual.keys)


@pytest.mark.parametrize("key", [0, 2**32])
def test_fresh_key_is_32_bits_and_not_0(key: int) -> None:
    """A key that a phone would not take is a mistake of the caller."""
    with pytest.raises(ValueError, match=f"found key {key}"):
        provision(FIRST, PolicyKeys(), "12.1", key)


def test_wipe_is_directed() -> None:
    """A wipe, of all or of the account, is one empty element after the status."""
    actual = [wipe_directive(), wipe_directive(account_only=True)]

    assert [
        VECTORS["provision-resp-wipe"],
        VECTORS["provision-resp-accountwipe"],
    ] == actual


def test_failed_wipe_is_directed_again() -> None:
    """A device whose wipe failed is told so, and told to wipe."""
    actual = wipe_directive(repeats_failure=True)

    assert _body("<Status>2</Status><RemoteWipe/>") == actual
