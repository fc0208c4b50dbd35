"""What a device says of itself, and the Settings command that carries it.

Of Settings the gateway answers DeviceInformation. The other settings belong to a mailbox, which
only a server behind the gateway has: they are recognised and said to be unavailable.

Source: [MS-ASCMD] 2.2.1.18, 2.2.3.45, 2.2.3.167, 2.2.3.177.15.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pushgw.eas.body import BodyError, invalid, read, single
from pushgw.wbxml import Element, element, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = "Settings"

FIELDS: Final = frozenset(
    {
        "Model",
        "IMEI",
        "FriendlyName",
        "OS",
        "OSLanguage",
        "PhoneNumber",
        "UserAgent",
        "EnableOutboundSMS",
        "MobileOperator",
    }
)
"""Names of what a device may say, in any order."""

MAX_TEXT: Final = 256
"""Characters kept of each; longer texts are cut, for they are shown and stored, never compared."""

OTHERS: Final = ("Oof", "DevicePassword", "UserInformation", "RightsManagementInformation")
"""The other settings, in the order of the answer's schema, DeviceInformation after the first."""


class SettingsStatus(IntEnum):
    """Status of a Settings answer and of each setting in it."""

    OK = 1
    PROTOCOL_ERROR = 2
    SERVER_UNAVAILABLE = 4


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """What a Settings command asks for."""

    device_information: Mapping[str, str] | None
    """What the device says of itself, by name in `FIELDS`; an empty text deletes what it said."""
    others: tuple[str, ...] = ()
    """Names of the other settings, of and in the order of `OTHERS`."""


def parse(body: bytes) -> SettingsRequest:
    """Read a Settings request.

    Raises:
        BodyError: With a common status code as `body.read` does, 103 for an element that Settings
            does not have, or 2 for a request that asks for nothing.
    """
    root = read("Settings", body)
    for child in root.children:
        if child.page != PAGE or child.name not in {"DeviceInformation", *OTHERS}:
            raise invalid(f"{child.page}:{child.name} in Settings", "the settings of the protocol")
    if not root.children:
        raise BodyError(SettingsStatus.PROTOCOL_ERROR, "found no setting, allowed at least one")
    others = tuple(name for name in OTHERS if single(root, name) is not None)
    own = single(root, "DeviceInformation")
    return SettingsRequest(None if own is None else fields_of(own), others)


def fields_of(device_information: Element) -> dict[str, str]:
    """Read what a device says of itself.

    Args:
        device_information: The element, of a Settings or a Provision request.

    Returns:
        Texts by name in `FIELDS`, of at most `MAX_TEXT` characters; what the protocol does not know
        is left out.

    Raises:
        BodyError: With status 103 if there is no Set in it, or more than one.
    """
    content = single(device_information, "Set")
    if content is None:
        raise invalid("a DeviceInformation without Set", "one")
    return {
        child.name: child.text[:MAX_TEXT]
        for child in content.children
        if child.page == PAGE and child.name in FIELDS
    }


def acknowledgement(version: str) -> Element:
    """Build the element that says DeviceInformation was taken; 12.0 wraps it once more."""
    status = _status(SettingsStatus.OK)
    content = element(PAGE, "Set", status) if version == "12.0" else status
    return element(PAGE, "DeviceInformation", content)


def respond(request: SettingsRequest, version: str) -> bytes:
    """Build the answer: DeviceInformation taken, every other setting unavailable."""
    answers = [
        element(PAGE, name, _status(SettingsStatus.SERVER_UNAVAILABLE)) for name in request.others
    ]
    if request.device_information is not None:
        answers.insert(int("Oof" in request.others), acknowledgement(version))
    return encode(element(PAGE, "Settings", _status(SettingsStatus.OK), *answers))


def _status(status: SettingsStatus) -> Element:
    return element(PAGE, "Status", str(int(status)))
