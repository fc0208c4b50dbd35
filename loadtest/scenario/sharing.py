"""Equal values of many phones as one object: commands, and the folders that a phone watches."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from loadtest.scenario.commands import Folder, FolderSync, Ping, Watched

_SHARED: Final = 4096
"""Values kept of each kind. Servers that name folders by mailbox need more: then phones hold
their own."""

_TYPES: Final = {
    "INBOX": 2,
    "Drafts": 3,
    "Tasks": 7,
    "Calendar": 8,
    "Contacts": 9,
    "Notes": 10,
}
"""Default folders that are found by their type, whatever the server calls them.

Source: [MS-ASCMD] 2.2.3.186.3.
"""

_CLASSES: Final = {
    7: "Tasks",
    8: "Calendar",
    9: "Contacts",
    10: "Notes",
    13: "Calendar",
    14: "Contacts",
    15: "Tasks",
    17: "Notes",
}
"""Folder types that hold something else than mail."""


@lru_cache(_SHARED)
def ping(heartbeat: int, folders: tuple[Watched, ...], *, is_full: bool = True) -> Ping:
    """Return the Ping of these values."""
    return Ping(heartbeat, folders, is_full)


@lru_cache(_SHARED)
def twin(of: Ping) -> Ping:
    """Return a Ping that is sent on two connections."""
    return replace(of, twin=True)


@lru_cache(_SHARED)
def folder_sync(policy: str = "0") -> FolderSync:
    """Return the FolderSync that asks for the whole hierarchy."""
    return FolderSync(policy=policy)


@lru_cache(_SHARED)
def watched(hierarchy: tuple[Folder, ...], watches: tuple[str, ...]) -> tuple[Watched, ...]:
    """Pick the folders to watch.

    Args:
        hierarchy: What a FolderSync told of.
        watches: Names: INBOX, Drafts, Tasks, Calendar, Contacts and Notes stand for the default
            folder of that kind, any other for a DisplayName.

    Returns:
        In the order of ``watches``, each folder once; what the hierarchy lacks is left out.
    """
    found: dict[str, Watched] = {}
    for watch in watches:
        for folder in hierarchy:
            if _is_meant(folder, watch):
                class_ = _CLASSES.get(folder.type, "Email")
                found.setdefault(folder.id, Watched(folder.id, class_, watch))
                break
    return tuple(found.values())


def _is_meant(folder: Folder, watch: str) -> bool:
    type_ = _TYPES.get(watch)
    return folder.name == watch if type_ is None else folder.type == type_
