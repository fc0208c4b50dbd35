"""The Provision command: fetch a policy with a temporary key, acknowledge it for a lasting one.

Rules:

- Phase 1 has no Status of the device: it is given a temporary key and the policy. The lasting key
  of an earlier round stays good until the new one is given.
- Phase 2 carries the temporary key and the device's own verdict: it is given the lasting key. A
  temporary key is good once; whoever lost the answer begins again.
- No key is ever 0: iPhone OS 4 refused it, and 0 means "none yet" in requests.

Source: [MS-ASPROV] 3.1.5.1 and 3.2.5.1; statuses 2.2.2.54.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pushgw.eas.body import integer, invalid, read, single
from pushgw.eas.commands import is_since
from pushgw.eas.device_information import PAGE as SETTINGS
from pushgw.eas.device_information import acknowledgement, fields_of
from pushgw.eas.mailbox_policy import PERMISSIVE, MailboxPolicy, document
from pushgw.eas.refusal import StatusCode
from pushgw.wbxml import Element, element, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = "Provision"

WBXML_TYPE: Final = "MS-EAS-Provisioning-WBXML"
"""The policy type since 12.0."""
WAP_TYPE: Final = "MS-WAP-Provisioning-XML"
"""The policy type of 2.5, for which the gateway has no policy."""

MAX_KEY: Final = 0xFFFF_FFFF
_MAX_STATUS: Final = 999
_MAX_TYPE: Final = 64


class ProvisionStatus(IntEnum):
    """Status of Provision itself."""

    OK = 1
    PROTOCOL_ERROR = 2
    SERVER_ERROR = 3


class PolicyStatus(IntEnum):
    """Status of the policy in an answer."""

    OK = 1
    NO_POLICY = 2
    UNKNOWN_TYPE = 3
    WRONG_KEY = 5


class ClientStatus(IntEnum):
    """What the device says it did with the policy."""

    APPLIED = 1
    PARTLY_APPLIED = 2
    NOT_APPLIED = 3
    MANAGED_BY_OTHERS = 4


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """What a device sends; None for what it left out."""

    policy_type: str | None = None
    policy_key: int | None = None
    """The key in the policy it acknowledges, unsigned 32 bits."""
    status: int | None = None
    """Its verdict on the policy, a `ClientStatus`; there in phase 2 only."""
    device_information: Mapping[str, str] | None = None
    """What it says of itself, see `device_information.fields_of`."""
    wipe_status: int | None = None
    """How a wipe went, account-only or of all: 1 done, 2 failed."""


@dataclass(frozen=True, slots=True)
class PolicyKeys:
    """The keys a device was given; what its record keeps."""

    temporary: int | None = None
    """Good for one phase 2; None if no round is open."""
    permanent: int | None = None
    """What its commands must carry; None if it never finished a round."""


@dataclass(frozen=True, slots=True)
class ProvisionOutcome:
    """What to answer and what to keep."""

    body: bytes
    keys: PolicyKeys
    device_information: Mapping[str, str] | None


def parse(body: bytes) -> ProvisionRequest:
    """Read a Provision request; its elements may stand in any order.

    Raises:
        BodyError: As `body.read` does; 103 for an element twice, more than one policy, or a number
            that is none.
    """
    root = read("Provision", body)
    own = single(root, "DeviceInformation", SETTINGS)
    wipe = single(root, "RemoteWipe") or single(root, "AccountOnlyRemoteWipe")
    policies = single(root, "Policies")
    policy = None if policies is None else single(policies, "Policy")
    if policies is not None and policy is None:
        raise invalid("Policies without a Policy", "one")
    kind = None if policy is None else single(policy, "PolicyType")
    return ProvisionRequest(
        policy_type=None if kind is None else _type(kind.text),
        policy_key=_number(policy, "PolicyKey", MAX_KEY),
        status=_number(policy, "Status", _MAX_STATUS),
        device_information=None if own is None else fields_of(own),
        wipe_status=_number(wipe, "Status", _MAX_STATUS),
    )


def _type(text: str) -> str:
    # The answer repeats it, which opaque data with a NUL would not survive.
    if len(text) > _MAX_TYPE or not text.isprintable():
        found = f"a PolicyType of {len(text)} characters"
        raise invalid(found, f"at most {_MAX_TYPE} printable ones")
    return text


def _number(parent: Element | None, name: str, highest: int) -> int | None:
    found = None if parent is None else single(parent, name)
    return None if found is None else integer(found, highest)


def provision(
    request: ProvisionRequest,
    keys: PolicyKeys,
    version: str,
    fresh_key: int,
    policy: MailboxPolicy = PERMISSIVE,
) -> ProvisionOutcome:
    """Answer a device for which no wipe is pending.

    Args:
        request: What it sent.
        keys: What it was given before.
        version: Protocol version of the request.
        fresh_key: Random, 1 to 2**32 - 1.
        policy: What it is to enforce.

    Raises:
        ValueError: If ``fresh_key`` is out of range.
    """
    if not 0 < fresh_key <= MAX_KEY:
        raise ValueError(f"found key {fresh_key}, allowed 1 to {MAX_KEY}")
    if request.wipe_status is not None:
        return _outcome(request, keys, version, ProvisionStatus.OK)
    if request.policy_type is None:
        return _outcome(request, keys, version, ProvisionStatus.PROTOCOL_ERROR)
    expected = WBXML_TYPE if is_since(version, "12.0") else WAP_TYPE
    if request.policy_type != expected:
        return _policy_outcome(request, keys, version, PolicyStatus.UNKNOWN_TYPE)
    if expected == WAP_TYPE:
        return _policy_outcome(request, keys, version, PolicyStatus.NO_POLICY)
    if request.status is None:
        return _offer(request, keys, version, fresh_key, policy)
    return _acknowledge(request, keys, version, fresh_key, policy)


def _offer(
    request: ProvisionRequest,
    keys: PolicyKeys,
    version: str,
    fresh_key: int,
    policy: MailboxPolicy,
) -> ProvisionOutcome:
    """Phase 1."""
    if request.device_information is None and is_since(version, "14.1"):
        return _outcome(request, keys, version, StatusCode.DEVICE_INFORMATION_REQUIRED)
    content = (
        element(PAGE, "PolicyKey", str(fresh_key)),
        element(PAGE, "Data", document(policy, version)),
    )
    given = replace(keys, temporary=fresh_key)
    return _policy_outcome(request, given, version, PolicyStatus.OK, *content)


def _acknowledge(
    request: ProvisionRequest,
    keys: PolicyKeys,
    version: str,
    fresh_key: int,
    policy: MailboxPolicy,
) -> ProvisionOutcome:
    """Phase 2."""
    if keys.temporary is None or request.policy_key != keys.temporary:
        return _policy_outcome(request, keys, version, PolicyStatus.WRONG_KEY)
    refused = _judge(request.status, version, policy)
    if refused is not None:
        return _outcome(request, keys, version, refused)
    given = PolicyKeys(permanent=fresh_key)
    key = element(PAGE, "PolicyKey", str(fresh_key))
    return _policy_outcome(request, given, version, PolicyStatus.OK, key)


def _judge(status: int | None, version: str, policy: MailboxPolicy) -> int | None:
    """Return the status that refuses a device's verdict; None if it is acceptable.

    Source: [MS-ASPROV] 2.2.2.54.1, 3.1.5.2 and product behaviour <2>.
    """
    if status not in set(ClientStatus):
        return ProvisionStatus.PROTOCOL_ERROR
    if status == ClientStatus.APPLIED or policy.allows_non_provisionable:
        return None
    # The codes for it came with 14.0; before, nothing says it better than a failure of the server.
    if not is_since(version, "14.0"):
        return ProvisionStatus.SERVER_ERROR
    if status == ClientStatus.MANAGED_BY_OTHERS:
        return StatusCode.EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED
    return StatusCode.DEVICE_NOT_FULLY_PROVISIONABLE


def _outcome(
    request: ProvisionRequest, keys: PolicyKeys, version: str, status: int, *content: Element
) -> ProvisionOutcome:
    said = request.device_information
    root = element(
        PAGE,
        "Provision",
        None if said is None else acknowledgement(version),
        element(PAGE, "Status", str(int(status))),
        *content,
    )
    return ProvisionOutcome(encode(root), keys, said)


def _policy_outcome(
    request: ProvisionRequest,
    keys: PolicyKeys,
    version: str,
    status: PolicyStatus,
    *content: Element,
) -> ProvisionOutcome:
    policy = element(
        PAGE,
        "Policy",
        element(PAGE, "PolicyType", request.policy_type),
        element(PAGE, "Status", str(int(status))),
        *content,
    )
    policies = element(PAGE, "Policies", policy)
    return _outcome(request, keys, version, ProvisionStatus.OK, policies)


def wipe_directive(*, account_only: bool = False, repeats_failure: bool = False) -> bytes:
    """Build the answer to any Provision of a device that is to be wiped.

    Args:
        account_only: Whether only the account is to go, which 16.1 devices know.
        repeats_failure: Whether the device has just said that its wipe failed.

    Source: [MS-ASPROV] 3.2.5.1.2.2.
    """
    status = ProvisionStatus.PROTOCOL_ERROR if repeats_failure else ProvisionStatus.OK
    directive = element(PAGE, "AccountOnlyRemoteWipe" if account_only else "RemoteWipe")
    return encode(element(PAGE, "Provision", element(PAGE, "Status", str(int(status))), directive))
