"""The folder hierarchy the gateway serves by itself, and FolderSync over it.

Every mailbox has the standard folders; each further folder for which a change was recorded is added
when it is first seen. Folders never leave: the record of changes does not say that one is gone.

Source: [MS-ASCMD] 2.2.1.4; 2.2.3.186.3 for the types.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from pushgw.eas.body import invalid, read, single
from pushgw.eas.refusal import refusal
from pushgw.wbxml import Element, element, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAGE: Final = "FolderHierarchy"


class Folder(NamedTuple):
    """A folder of the hierarchy; all of ours are at its root."""

    server_id: str
    """What a phone calls it, 1 to 64 characters."""
    name: str
    """What people call it."""
    type: int
    """[MS-ASCMD] 2.2.3.186.3."""


STANDARD: Final = (
    Folder("1", "Calendar", 8),
    Folder("2", "Contacts", 9),
    Folder("3", "Deleted Items", 4),
    Folder("4", "Drafts", 3),
    Folder("5", "Inbox", 2),
    Folder("6", "Notes", 10),
    Folder("7", "Outbox", 6),
    Folder("8", "Sent Items", 5),
    Folder("9", "Tasks", 7),
)
"""The folders of every mailbox, by ServerId."""

INBOX: Final = "5"
"""ServerId of the Inbox."""
HIERARCHY: Final = ""
"""The name under which a change of the hierarchy itself is recorded."""

MAX_SERVER_ID: Final = 64
"""Characters. Source: [MS-ASCMD] 2.2.3.166."""
MAX_FURTHER: Final = 1000
"""Further folders of one mailbox; those beyond are left out.

Exchange's default limit is the same, see common status code 151.
"""

TYPES: Final = {"Email": 12, "Calendar": 13, "Contacts": 14, "Tasks": 15, "Notes": 17}
"""Type of a further folder by the class of its changes; 12 for any other class, or none."""
_USER_MAIL: Final = 12

_FIELDS: Final = {
    one.server_id: (one.server_id, one.name, *(("INBOX",) if one.server_id == INBOX else ()))
    for one in STANDARD
}
_CANONICAL: Final = {name: server_id for server_id, names in _FIELDS.items() for name in names}


def field_names(collection_id: str) -> tuple[str, ...]:
    """Return every name under which a change of a folder may have been recorded.

    Args:
        collection_id: As the phone spells it.
    """
    return _FIELDS.get(collection_id) or (collection_id,)


def canonical(name: str) -> str:
    """Return the ServerId for a name of a recorded change; the inverse of `field_names`."""
    return _CANONICAL.get(name, name)


class FolderSyncStatus(IntEnum):
    """Status of a FolderSync answer."""

    OK = 1
    WRONG_SYNC_KEY = 9


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """What a device was told of the further folders; what its record keeps."""

    key: int
    """The SyncKey it was given last, from 1."""
    listed: tuple[str, ...] = ()
    """Further folders it was told of, in that order."""
    before: tuple[str, ...] = ()
    """Those it had been told of at the SyncKey before; the first ones of ``listed``."""

    def to_json(self) -> bytes:
        """Write it for the device record; `from_json` reads it."""
        return orjson.dumps({"key": self.key, "listed": self.listed, "before": self.before})

    @classmethod
    def from_json(cls, data: bytes | str) -> Hierarchy:
        """Read what `to_json` wrote.

        Raises:
            ValueError: If it is anything else.
        """
        match orjson.loads(data):
            case {"key": int(key), "listed": list(listed), "before": list(before)} if (
                key > 0 and _is_text(listed) and _is_text(before)
            ):
                return cls(key, tuple(listed), tuple(before))
        raise ValueError("found no hierarchy, allowed key, listed and before")


def _is_text(values: list[Any]) -> bool:
    return all(isinstance(one, str) for one in values)


@dataclass(frozen=True, slots=True)
class FolderSyncOutcome:
    """What to answer and what to keep."""

    body: bytes
    hierarchy: Hierarchy | None
    """What to store, and from when on the device knows all that was recorded; None for nothing new:
    a refusal, or an answer from before repeated."""
    is_initial: bool
    """Whether the device begins anew: whatever else is remembered of its folders is void."""


def parse(body: bytes) -> str:
    """Read a FolderSync request and return its SyncKey.

    Raises:
        BodyError: As `body.read` does; 103 if there is not one SyncKey of 1 to 64 characters.
    """
    key = single(read("FolderSync", body), "SyncKey")
    text = "" if key is None else key.text
    if not 0 < len(text) <= MAX_SERVER_ID:
        raise invalid(f"a SyncKey of {len(text)} characters", f"1 to {MAX_SERVER_ID}")
    return text


def folder_sync(
    key: str, known: Hierarchy | None, recorded: Mapping[str, str | None]
) -> FolderSyncOutcome:
    """Answer a FolderSync.

    Args:
        key: The SyncKey of the request.
        known: What the device was told before; None if that is not known.
        recorded: Names under which changes of this mailbox were recorded, with the class of the
            last one or None; standard folders and the hierarchy itself may be among them.

    Returns:
        The full list for key ``"0"``; for the current key what is new, under the next key, or
        nothing under the same; for the key before the last answer again, which was lost; for any
        other key status 9, which makes the device begin anew.
    """
    if key == "0":
        fresh = Hierarchy(1, _further((), recorded))
        folders = (*STANDARD, *_described(fresh.listed, recorded))
        return FolderSyncOutcome(_listing(1, folders), fresh, is_initial=True)
    if known is not None and key == str(known.key):
        return _additions(_advanced(known, recorded), len(known.listed), recorded)
    if known is not None and key == str(known.key - 1):
        again = _additions(known, len(known.before), recorded)
        return FolderSyncOutcome(again.body, None, is_initial=False)
    body = refusal("FolderSync", FolderSyncStatus.WRONG_SYNC_KEY)
    return FolderSyncOutcome(body, None, is_initial=False)


def _additions(
    hierarchy: Hierarchy, first: int, recorded: Mapping[str, str | None]
) -> FolderSyncOutcome:
    added = _described(hierarchy.listed[first:], recorded)
    return FolderSyncOutcome(_listing(hierarchy.key, added), hierarchy, is_initial=False)


def further(listed: Iterable[str], recorded: Iterable[str]) -> tuple[str, ...]:
    """Return the further folders not listed yet, sorted; standard and unusable names left out.

    Args:
        listed: Further folders a device was told of.
        recorded: Names under which changes of its mailbox were recorded.
    """
    new = {name for name in recorded if _is_further(name)}
    return tuple(sorted(new.difference(listed)))


def _is_further(name: str) -> bool:
    # What is not printable might not fit into a document, and is no name for people.
    return name not in _CANONICAL and 0 < len(name) <= MAX_SERVER_ID and name.isprintable()


def _further(listed: tuple[str, ...], recorded: Iterable[str]) -> tuple[str, ...]:
    return further(listed, recorded)[: max(0, MAX_FURTHER - len(listed))]


def _advanced(known: Hierarchy, recorded: Iterable[str]) -> Hierarchy:
    new = _further(known.listed, recorded)
    return Hierarchy(known.key + 1, known.listed + new, known.listed) if new else known


def _described(names: Iterable[str], recorded: Mapping[str, str | None]) -> tuple[Folder, ...]:
    return tuple(
        Folder(name, name, TYPES.get(recorded.get(name) or "", _USER_MAIL)) for name in names
    )


def _listing(key: int, folders: tuple[Folder, ...]) -> bytes:
    count = element(PAGE, "Count", str(len(folders)))
    return encode(
        element(
            PAGE,
            "FolderSync",
            element(PAGE, "Status", str(int(FolderSyncStatus.OK))),
            element(PAGE, "SyncKey", str(key)),
            element(PAGE, "Changes", count, *map(_add, folders)),
        )
    )


def _add(folder: Folder) -> Element:
    return element(
        PAGE,
        "Add",
        element(PAGE, "ServerId", folder.server_id),
        element(PAGE, "ParentId", "0"),
        element(PAGE, "DisplayName", folder.name),
        element(PAGE, "Type", str(folder.type)),
    )
