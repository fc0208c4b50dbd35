"""The commands and versions of EAS: their numbers, their names, the root of their documents.

Source: [MS-ASHTTP] 2.2.1.1.1.1.2 for the codes; 5 to 8 are gaps there and known from texts of 2.5.
"""

from __future__ import annotations

from typing import Final

COMMANDS: Final = (
    "Sync",
    "SendMail",
    "SmartForward",
    "SmartReply",
    "GetAttachment",
    "GetHierarchy",
    "CreateCollection",
    "DeleteCollection",
    "MoveCollection",
    "FolderSync",
    "FolderCreate",
    "FolderDelete",
    "FolderUpdate",
    "MoveItems",
    "GetItemEstimate",
    "MeetingResponse",
    "Search",
    "Settings",
    "Ping",
    "ItemOperations",
    "Provision",
    "ResolveRecipients",
    "ValidateCert",
    "Find",
)
"""Canonical names; the index is the command code of the compact query."""

SERVED: Final = ("FolderSync", "Settings", "Ping", "Provision")
"""Commands the gateway answers by itself, without a server behind it; by code."""

VERSIONS: Final = ("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
"""Protocol versions, oldest first."""

ROOTS: Final = {
    "Sync": ("AirSync", "Sync"),
    "SendMail": ("ComposeMail", "SendMail"),
    "SmartForward": ("ComposeMail", "SmartForward"),
    "SmartReply": ("ComposeMail", "SmartReply"),
    "FolderSync": ("FolderHierarchy", "FolderSync"),
    "FolderCreate": ("FolderHierarchy", "FolderCreate"),
    "FolderDelete": ("FolderHierarchy", "FolderDelete"),
    "FolderUpdate": ("FolderHierarchy", "FolderUpdate"),
    "MoveItems": ("Move", "MoveItems"),
    "GetItemEstimate": ("GetItemEstimate", "GetItemEstimate"),
    "MeetingResponse": ("MeetingResponse", "MeetingResponse"),
    "Search": ("Search", "Search"),
    "Settings": ("Settings", "Settings"),
    "Ping": ("Ping", "Ping"),
    "ItemOperations": ("ItemOperations", "ItemOperations"),
    "Provision": ("Provision", "Provision"),
    "ResolveRecipients": ("ResolveRecipients", "ResolveRecipients"),
    "ValidateCert": ("ValidateCert", "ValidateCert"),
    "Find": ("Find", "Find"),
}
"""Code page and tag of a command's root element, which is where a common status code stands.

GetAttachment, GetHierarchy and the collection commands, all gone since 14.0, have no such element.
"""

_RANKS: Final = {version: rank for rank, version in enumerate(VERSIONS)}


def is_since(version: str, first: str) -> bool:
    """Tell whether a protocol version is the given one or a later one; both of `VERSIONS`."""
    return _RANKS[version] >= _RANKS[first]
