"""The documents that phones send.

Elements stand in the order of the schemas: Z-Push and grommunio-sync read a Sync in exactly that
order. Equal documents are built once, whichever phone sends them; of a Sync all but its keys is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from loadtest.scenario.commands import Collection, Provision, Watched
    from pushgw.wbxml import Element

VERSIONS: Final = ("2.5", "12.0", "12.1", "14.0", "14.1", "16.0", "16.1")
"""Source: [MS-ASHTTP] 2.2.1.1.2.6."""
WINDOW: Final = 100
"""Items of a folder in one answer."""
FIRST_KEY: Final = "0"
"""SyncKey of a folder that was never synchronised."""
TRUNCATION: Final = 512
"""Bytes of a mail's text in an answer."""

_BODY_PREFERENCE_SINCE: Final = 12.0
_CLASS_UNTIL: Final = 12.1
_WAIT_SINCE: Final = 12.1
_HEARTBEAT_SINCE: Final = 14.0
_DEVICE_INFORMATION_SINCE: Final = 14.1

_ANY_KEY: Final = "\U0010ffff"
"""Stands in for a key. No character: no name of a folder has it."""
_CACHED: Final = 1024
"""Documents of each command to keep: some dozens are in use, unless each phone has its own key."""
_AGES: Final = {"Email": "3", "Calendar": "4"}
"""FilterType: mail of a week and appointments of two. Source: [MS-ASCMD] 2.2.3.68.2."""


@lru_cache(_CACHED)
def ping(heartbeat: int, folders: tuple[Watched, ...]) -> bytes:
    """Write a full Ping.

    Source: [MS-ASCMD] 2.2.1.13.
    """
    watched = (
        element(
            "Ping", "Folder", element("Ping", "Id", one.id), element("Ping", "Class", one.class_)
        )
        for one in folders
    )
    interval = element("Ping", "HeartbeatInterval", str(heartbeat))
    return encode(element("Ping", "Ping", interval, element("Ping", "Folders", *watched)))


@lru_cache(_CACHED)
def folder_sync(key: str) -> bytes:
    """Write a FolderSync from this SyncKey on.

    Source: [MS-ASCMD] 2.2.1.5.
    """
    page = "FolderHierarchy"
    return encode(element(page, "FolderSync", element(page, "SyncKey", key)))


def sync(collections: tuple[Collection, ...], wait: int, version: str) -> bytes:
    """Write a Sync that fetches what is new.

    Args:
        collections: At least one.
        wait: Seconds the server may hold it, 0 for not at all. Until 12.1 it is said in minutes,
            and before that not.
        version: One of ``VERSIONS``.

    Source: [MS-ASCMD] 2.2.1.21, 2.2.3.88.2 and 2.2.3.198.
    """
    folders = tuple((one.folder, one.key == FIRST_KEY) for one in collections)
    keys = tuple(one.key.encode() for one in collections)
    return _sync_template(folders, wait, version) % keys


@lru_cache(_CACHED)
def provision(command: Provision, version: str, device_type: str, user_agent: str) -> bytes:
    """Write one of the three steps of a Provision.

    Args:
        command: The step.
        version: One of ``VERSIONS``.
        device_type: Model of the phone.
        user_agent: As in its requests.

    Source: [MS-ASPROV] 3.1.5.1.1 and 3.1.5.1.2.
    """
    if command.wipes:
        content = [element("Provision", "RemoteWipe", element("Provision", "Status", "1"))]
    elif command.is_acknowledgement:
        key = element("Provision", "PolicyKey", command.policy)
        content = [_policies(version, key, element("Provision", "Status", "1"))]
    elif float(version) >= _DEVICE_INFORMATION_SINCE:
        content = [_device_information(device_type, user_agent), _policies(version)]
    else:
        content = [_policies(version)]
    return encode(element("Provision", "Provision", *content))


@lru_cache(_CACHED)
def _sync_template(folders: tuple[tuple[Watched, bool], ...], wait: int, version: str) -> bytes:
    """Return the document for ``%``: after each change all but the keys stays as it was.

    Args:
        folders: Each with whether it begins.
        wait: As in ``sync``.
        version: As in ``sync``.
    """
    number = float(version)
    collections = (_collection(one, number, begins=begins) for one, begins in folders)
    root = [element("AirSync", "Collections", *collections)]
    if wait and number >= _HEARTBEAT_SINCE:
        root.append(element("AirSync", "HeartbeatInterval", str(wait)))
    elif wait and number >= _WAIT_SINCE:
        root.append(element("AirSync", "Wait", str(max(1, wait // 60))))
    document = encode(element("AirSync", "Sync", *root))
    return document.replace(b"%", b"%%").replace(_ANY_KEY.encode(), b"%b")


def _collection(folder: Watched, version: float, *, begins: bool) -> Element:
    content = [
        element("AirSync", "SyncKey", _ANY_KEY),
        element("AirSync", "CollectionId", folder.id),
    ]
    if version < _CLASS_UNTIL:
        content.insert(0, element("AirSync", "Class", folder.class_))
    if not begins:  # else the answer brings a key and no items
        content.append(element("AirSync", "GetChanges", "1"))
        content.append(element("AirSync", "WindowSize", str(WINDOW)))
        content.extend(_options(folder.class_, version))
    return element("AirSync", "Collection", *content)


def _options(class_: str, version: float) -> list[Element]:
    if class_ not in _AGES:
        return []
    age = element("AirSync", "FilterType", _AGES[class_])
    content = [age, _truncation(version)] if class_ == "Email" else [age]
    return [element("AirSync", "Options", *content)]


def _truncation(version: float) -> Element:
    if version < _BODY_PREFERENCE_SINCE:
        return element("AirSync", "Truncation", "1")  # 512 characters as well
    plain = element("AirSyncBase", "Type", "1")
    size = element("AirSyncBase", "TruncationSize", str(TRUNCATION))
    return element("AirSyncBase", "BodyPreference", plain, size)


def _policies(version: str, *content: Element) -> Element:
    kind = "MS-WAP-Provisioning-XML" if version == "2.5" else "MS-EAS-Provisioning-WBXML"
    policy = element("Provision", "Policy", element("Provision", "PolicyType", kind), *content)
    return element("Provision", "Policies", policy)


def _device_information(device_type: str, user_agent: str) -> Element:
    model = element("Settings", "Model", device_type)
    client = element("Settings", "UserAgent", user_agent)
    return element("Settings", "DeviceInformation", element("Settings", "Set", model, client))
