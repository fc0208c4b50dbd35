"""What the documents of answers say, as far as a phone acts upon it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import NOTHING, Document, Folder, Synced
from loadtest.wire.memory import remember
from pushgw.wbxml import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushgw.wbxml import Element

VERSION: Final = b"\x03"
"""First byte of a document: WBXML 1.3. Error pages are text."""
_SYNC: Final = (b"\x03\x01\x6a\x00\x45", b"\x03\x01\x6a\x00\x05")
"""First bytes of a Sync, with content and without."""
_MAX_REMEMBERED: Final = 16 * 1024
_REMEMBERED: Final = 512
"""At most 8 MiB; the answers to all Pings of a group are a handful."""
_MAX_DIGITS: Final = 9

_documents: Final[dict[bytes, Document]] = {}


def read(body: bytes) -> Document:
    """Read the document of an answer; ``NOTHING`` if it answers none of the known commands.

    Equal small documents give one object. Those of Syncs are read afresh: each has a key of its
    own.

    Args:
        body: The whole document.

    Raises:
        WbxmlError: If it is none.
    """
    known = _documents.get(body)
    if known is not None:
        return known
    root = decode(body)
    reader = _READERS.get((root.page, root.name))
    document = NOTHING if reader is None else reader(root)
    if document.root == "Sync" or len(body) > _MAX_REMEMBERED:
        return document
    return remember(_documents, body, document, most=_REMEMBERED)


def is_sync(body: bytes | bytearray) -> bool:
    """Tell by its first bytes whether a document, or a part of it, is that of a Sync."""
    return body.startswith(_SYNC)


def _ping(root: Element) -> Document:
    folders = _within(root, "Folders", "Folder")
    return Document(
        "Ping",
        _status(root),
        folders=tuple(one.text for one in folders),
        heartbeat=_number(root, "HeartbeatInterval"),
        max_folders=_number(root, "MaxFolders"),
    )


def _folder_sync(root: Element) -> Document:
    hierarchy = tuple(
        Folder(_text(one, "ServerId"), _text(one, "DisplayName"), _number(one, "Type") or 0)
        for one in _within(root, "Changes", "Add")
    )
    return Document("FolderSync", _status(root), key=_text(root, "SyncKey"), hierarchy=hierarchy)


def _provision(root: Element) -> Document:
    policy = next(_within(root, "Policies", "Policy"), None)
    return Document(
        "Provision",
        _status(root),
        key=_text(policy, "PolicyKey") if policy else "",
        policy_status=_status(policy) if policy else 0,
        wipe=root.find("RemoteWipe") is not None,
    )


def _sync(root: Element) -> Document:
    status = _status(root)
    return Document(
        "Sync",
        status,
        heartbeat=_number(root, "Limit") if status == 14 else None,  # noqa: PLR2004 - as documented
        collections=tuple(_synced(one) for one in _within(root, "Collections", "Collection")),
    )


def _synced(collection: Element) -> Synced:
    added = tuple(_within(collection, "Commands", "Add"))
    return Synced(
        _text(collection, "CollectionId"),
        _status(collection),
        _text(collection, "SyncKey"),
        added=len(added),
        has_more=collection.find("MoreAvailable") is not None,
        subjects=tuple(subject for one in added for subject in _subjects(one)),
    )


def _subjects(item: Element) -> Iterator[str]:
    # Mail, appointments, tasks and notes have one each, on the page of their class.
    data = item.find("ApplicationData")
    return (one.text for one in data.children if one.name == "Subject") if data else iter(())


def _within(parent: Element, container: str, name: str) -> Iterator[Element]:
    found = parent.find(container)
    return found.all(name) if found else iter(())


def _text(parent: Element, name: str) -> str:
    found = parent.find(name)
    return found.text if found else ""


def _number(parent: Element, name: str) -> int | None:
    text = _text(parent, name)
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _status(parent: Element) -> int:
    return _number(parent, "Status") or 0


_READERS: Final[dict[tuple[str, str], Callable[[Element], Document]]] = {
    ("Ping", "Ping"): _ping,
    ("FolderHierarchy", "FolderSync"): _folder_sync,
    ("Provision", "Provision"): _provision,
    ("AirSync", "Sync"): _sync,
}
