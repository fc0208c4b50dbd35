"""The mailbox policy: what a device is told to enforce, and how each protocol version spells it.

Source: [MS-ASPROV] 2.2.2.28 and the order of its Provision.xsd; [MS-ASWBXML] 2.1.2.1.15 for the
first version of each element. 16.1 has no more than 12.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pushgw.eas.commands import is_since
from pushgw.wbxml import Element, element

PAGE: Final = "Provision"


class PolicyElement(NamedTuple):
    """An element of EASProvisionDoc."""

    name: str
    """As the specification spells it."""
    permissive: str
    """The value that forbids nothing; empty for an empty element, which lifts a limit."""
    since: str
    """The first protocol version that has it."""
    allowed: range
    """Numbers it may have; a range without any is a container, which stays empty."""


_BOOLEAN: Final = range(2)
_BYTES: Final = range(2**31)
_NUMBER: Final = range(10_000)
_SIZE: Final = range(-1, 2**31)
_NONE: Final = range(0)

ELEMENTS: Final = (
    PolicyElement("DevicePasswordEnabled", "0", "12.0", _BOOLEAN),
    PolicyElement("AlphanumericDevicePasswordRequired", "0", "12.0", _BOOLEAN),
    PolicyElement("PasswordRecoveryEnabled", "0", "12.0", _BOOLEAN),
    PolicyElement("RequireStorageCardEncryption", "0", "12.1", _BOOLEAN),
    PolicyElement("AttachmentsEnabled", "1", "12.0", _BOOLEAN),
    PolicyElement("MinDevicePasswordLength", "", "12.0", range(1, 17)),
    PolicyElement("MaxInactivityTimeDeviceLock", "", "12.0", _NUMBER),
    PolicyElement("MaxDevicePasswordFailedAttempts", "", "12.0", range(4, 17)),
    PolicyElement("MaxAttachmentSize", "", "12.0", _BYTES),
    PolicyElement("AllowSimpleDevicePassword", "1", "12.0", _BOOLEAN),
    PolicyElement("DevicePasswordExpiration", "", "12.0", _NUMBER),
    PolicyElement("DevicePasswordHistory", "0", "12.0", _NUMBER),
    PolicyElement("AllowStorageCard", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowCamera", "1", "12.1", _BOOLEAN),
    PolicyElement("RequireDeviceEncryption", "0", "12.1", _BOOLEAN),
    PolicyElement("AllowUnsignedApplications", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowUnsignedInstallationPackages", "1", "12.1", _BOOLEAN),
    PolicyElement("MinDevicePasswordComplexCharacters", "1", "12.1", range(1, 5)),
    PolicyElement("AllowWiFi", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowTextMessaging", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowPOPIMAPEmail", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowBluetooth", "2", "12.1", range(3)),
    PolicyElement("AllowIrDA", "1", "12.1", _BOOLEAN),
    PolicyElement("RequireManualSyncWhenRoaming", "0", "12.1", _BOOLEAN),
    PolicyElement("AllowDesktopSync", "1", "12.1", _BOOLEAN),
    PolicyElement("MaxCalendarAgeFilter", "0", "12.1", range(8)),
    PolicyElement("AllowHTMLEmail", "1", "12.1", _BOOLEAN),
    PolicyElement("MaxEmailAgeFilter", "0", "12.1", range(6)),
    PolicyElement("MaxEmailBodyTruncationSize", "-1", "12.1", _SIZE),
    PolicyElement("MaxEmailHTMLBodyTruncationSize", "-1", "12.1", _SIZE),
    PolicyElement("RequireSignedSMIMEMessages", "0", "12.1", _BOOLEAN),
    PolicyElement("RequireEncryptedSMIMEMessages", "0", "12.1", _BOOLEAN),
    PolicyElement("RequireSignedSMIMEAlgorithm", "0", "12.1", _BOOLEAN),
    PolicyElement("RequireEncryptionSMIMEAlgorithm", "0", "12.1", range(5)),
    PolicyElement("AllowSMIMEEncryptionAlgorithmNegotiation", "2", "12.1", range(3)),
    PolicyElement("AllowSMIMESoftCerts", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowBrowser", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowConsumerEmail", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowRemoteDesktop", "1", "12.1", _BOOLEAN),
    PolicyElement("AllowInternetSharing", "1", "12.1", _BOOLEAN),
    PolicyElement("UnapprovedInROMApplicationList", "", "12.1", _NONE),
    PolicyElement("ApprovedApplicationList", "", "12.1", _NONE),
)
"""Every element in schema order; seconds, days, bytes and counts as [MS-ASPROV] has them."""

_BY_NAME: Final = {one.name: one for one in ELEMENTS}


class PolicyError(ValueError):
    """A policy says something that the protocol cannot."""


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """What devices are told to enforce; as it stands, nothing."""

    changed: tuple[tuple[str, int], ...] = ()
    """Names of `ELEMENTS` with a value other than the permissive one."""
    allows_non_provisionable: bool = True
    """Whether a device that could not apply all of it is let in; never sent."""

    def __post_init__(self) -> None:
        for name, value in self.changed:
            if name not in _BY_NAME:
                raise PolicyError(f"found policy element {name!r}, allowed those of MS-ASPROV")
            allowed = _BY_NAME[name].allowed
            if value not in allowed:
                ends = f"{allowed[0]} to {allowed[-1]}" if allowed else "none yet"
                raise PolicyError(f"found {name} {value}, allowed {ends}")


PERMISSIVE: Final = MailboxPolicy()
"""Forbids nothing and lets everybody in."""


@lru_cache(maxsize=64)
def document(policy: MailboxPolicy, version: str) -> Element:
    """Build the EASProvisionDoc of a policy with the elements that a protocol version knows.

    Every element is named: one that is left out may keep its old value on the device.

    Source: [MS-ASPROV] 3.2.5.1.1.
    """
    changed = dict(policy.changed)
    return element(
        PAGE,
        "EASProvisionDoc",
        *(
            element(PAGE, one.name, str(changed.get(one.name, one.permissive)))
            for one in ELEMENTS
            if is_since(version, one.since)
        ),
    )
