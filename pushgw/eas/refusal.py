"""How a command is refused: by a status code in its own document, or by an HTTP code before 14.0.

Source: [MS-ASCMD] 2.2.2, common status codes.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pushgw.eas.commands import ROOTS, is_since
from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from collections.abc import Mapping


class StatusCode(IntEnum):
    """The common status codes that the gateway itself emits; all others come from the server."""

    INVALID_CONTENT = 101
    INVALID_WBXML = 102
    INVALID_XML = 103
    DEVICE_ID_MISSING_OR_INVALID = 108
    DEVICE_TYPE_MISSING_OR_INVALID = 109
    SERVER_ERROR_RETRY_LATER = 111
    USER_DISABLED_FOR_SYNC = 126
    DEVICE_IS_BLOCKED_FOR_THIS_USER = 129
    ACCESS_DENIED = 130
    ACCOUNT_DISABLED = 131
    COMMAND_NOT_SUPPORTED = 137
    VERSION_NOT_SUPPORTED = 138
    DEVICE_NOT_FULLY_PROVISIONABLE = 139
    REMOTE_WIPE_REQUESTED = 140
    LEGACY_DEVICE_ON_STRICT_POLICY = 141
    DEVICE_NOT_PROVISIONED = 142
    POLICY_REFRESH = 143
    INVALID_POLICY_KEY = 144
    EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED = 145
    DEVICE_INFORMATION_REQUIRED = 165
    MAXIMUM_DEVICES_REACHED = 177


EXPLANATIONS: Final = {
    StatusCode.INVALID_CONTENT: "wrong content type or length, or no body where one is needed",
    StatusCode.INVALID_WBXML: "the body cannot be decoded",
    StatusCode.INVALID_XML: "the body was decoded, but the protocol does not allow it",
    StatusCode.DEVICE_ID_MISSING_OR_INVALID: "the device id is missing or malformed",
    StatusCode.DEVICE_TYPE_MISSING_OR_INVALID: "the device type is missing or malformed",
    StatusCode.SERVER_ERROR_RETRY_LATER: "a passing fault, try again later",
    StatusCode.USER_DISABLED_FOR_SYNC: "EAS is switched off for this user",
    StatusCode.DEVICE_IS_BLOCKED_FOR_THIS_USER: "only other devices of the user are allowed",
    StatusCode.ACCESS_DENIED: "the user may not do that",
    StatusCode.ACCOUNT_DISABLED: "the account is disabled",
    StatusCode.COMMAND_NOT_SUPPORTED: "the server does not know the command",
    StatusCode.VERSION_NOT_SUPPORTED: "the command is not in this protocol version",
    StatusCode.DEVICE_NOT_FULLY_PROVISIONABLE: "the device cannot apply the whole policy",
    StatusCode.REMOTE_WIPE_REQUESTED: "a wipe is pending: provision, then acknowledge it",
    StatusCode.LEGACY_DEVICE_ON_STRICT_POLICY: "a policy is in place, the device cannot provision",
    StatusCode.DEVICE_NOT_PROVISIONED: "the device must provision",
    StatusCode.POLICY_REFRESH: "the policy is due for its regular refresh",
    StatusCode.INVALID_POLICY_KEY: "the policy key is wrong, the policy has probably changed",
    StatusCode.EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED: "the device is managed by others",
    StatusCode.DEVICE_INFORMATION_REQUIRED: "the first Provision lacks DeviceInformation",
    StatusCode.MAXIMUM_DEVICES_REACHED: "the user has too many devices",
}

_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_PROVISION_FIRST: Final = 449

# Where the specification lists no HTTP code, 403 says what it lists for the neighbours of 126.
HTTP_STATUSES: Final[Mapping[int, int]] = {
    StatusCode.SERVER_ERROR_RETRY_LATER: 503,
    StatusCode.USER_DISABLED_FOR_SYNC: _FORBIDDEN,
    StatusCode.DEVICE_IS_BLOCKED_FOR_THIS_USER: _FORBIDDEN,
    StatusCode.ACCESS_DENIED: _FORBIDDEN,
    StatusCode.ACCOUNT_DISABLED: _FORBIDDEN,
    StatusCode.COMMAND_NOT_SUPPORTED: 501,
    StatusCode.DEVICE_NOT_FULLY_PROVISIONABLE: _FORBIDDEN,
    StatusCode.REMOTE_WIPE_REQUESTED: _PROVISION_FIRST,
    StatusCode.LEGACY_DEVICE_ON_STRICT_POLICY: _PROVISION_FIRST,
    StatusCode.DEVICE_NOT_PROVISIONED: _PROVISION_FIRST,
    StatusCode.POLICY_REFRESH: _PROVISION_FIRST,
    StatusCode.INVALID_POLICY_KEY: _PROVISION_FIRST,
    StatusCode.EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED: _FORBIDDEN,
    StatusCode.MAXIMUM_DEVICES_REACHED: _FORBIDDEN,
}
"""HTTP status that stands for a common status code before 14.0; 400 for all others.

A wipe is 403 rather than 449 for a request without policy key header: that is the caller's to see.
"""

_FIRST_COMMON: Final = 101


@lru_cache(maxsize=512)
def refusal(command: str, status: int) -> bytes:
    """Build the document that refuses a command: its root element with nothing but a Status.

    Args:
        command: Canonical name, one of `commands.ROOTS`.
        status: A common status code or one of the command's own.

    Raises:
        ValueError: If the command has no document that could carry a status.
    """
    if command not in ROOTS:
        raise ValueError(f"found command {command[:32]!r}, allowed one with a WBXML answer")
    page, name = ROOTS[command]
    return encode(element(page, name, element(page, "Status", str(int(status)))))


def refusal_for_body(command: str, version: str, status: int) -> tuple[int, bytes]:
    """Choose how to refuse a command whose body, or whose sender, is not acceptable.

    Args:
        command: Canonical name, one of `commands.COMMANDS`.
        version: Protocol version of the request, one of `commands.VERSIONS`.
        status: A common status code, or one of the command's own (below 101).

    Returns:
        HTTP status and body. Common status codes exist since 14.0; earlier, and for a command that
        has no document, an HTTP status stands for them and the body is empty.
    """
    is_spoken = status < _FIRST_COMMON or is_since(version, "14.0")
    if is_spoken and command in ROOTS:
        return 200, refusal(command, status)
    return HTTP_STATUSES.get(status, _BAD_REQUEST), b""
