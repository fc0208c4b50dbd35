"""The Ping command: what a phone asks to be told about, and what it is told.

Source: [MS-ASCMD] 2.2.1.13 and 2.2.3; [MS-ASCMD] 3.1.5.8 for the cached request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pushgw.eas.body import BodyError, invalid, read, single
from pushgw.wbxml import Element, element, encode

if TYPE_CHECKING:
    from collections.abc import Iterable


class PingStatus(IntEnum):
    """Status of a Ping answer."""

    EXPIRED = 1
    CHANGED = 2
    MISSING_PARAMETERS = 3
    SYNTAX_ERROR = 4
    HEARTBEAT_OUT_OF_RANGE = 5
    TOO_MANY_FOLDERS = 6
    FOLDER_SYNC_REQUIRED = 7
    SERVER_ERROR = 8


EXPLANATIONS: Final = {
    PingStatus.EXPIRED: "the heartbeat is over and nothing has changed",
    PingStatus.CHANGED: "the named folders have changed: synchronise them",
    PingStatus.MISSING_PARAMETERS: "heartbeat or folders are missing and none are remembered",
    PingStatus.SYNTAX_ERROR: "the request is malformed",
    PingStatus.HEARTBEAT_OUT_OF_RANGE: "the heartbeat is out of range: use the nearest one given",
    PingStatus.TOO_MANY_FOLDERS: "more folders than allowed: the limit is given",
    PingStatus.FOLDER_SYNC_REQUIRED: "the folder hierarchy has changed: synchronise it",
    PingStatus.SERVER_ERROR: "a passing fault of the server",
}

CLASSES: Final = {name: name for name in ("Email", "Calendar", "Contacts", "Tasks", "Notes", "SMS")}
"""Classes a folder may have; the values are the strings that all requests share."""

MAX_ID: Final = 64
"""Characters of a folder's id. Source: [MS-ASCMD] 2.2.3.166, ServerId."""

HUGE_HEARTBEAT: Final = 999_999_999
"""Seconds that stand for any larger number: out of every range, and small to keep."""


class PingFolder(NamedTuple):
    """A folder to watch."""

    id: str
    """The CollectionId as this phone spells it, 1 to 64 characters."""
    class_: str
    """One of `CLASSES`."""


@dataclass(frozen=True, slots=True)
class PingRequest:
    """What a phone asks for; None stands for what it asked for last time."""

    heartbeat: int | None
    """Seconds, not judged yet: any number from ``-HUGE_HEARTBEAT`` to ``HUGE_HEARTBEAT``."""
    folders: tuple[PingFolder, ...] | None
    """Non-empty, in request order, ids unique."""


CACHED: Final = PingRequest(None, None)
"""The request without a body: everything as last time."""


class PingError(BodyError):
    """A body that is no Ping request; ``status`` is 4, 102 or 103."""


def parse(body: bytes) -> PingRequest:
    """Read a Ping request.

    An empty Folders counts as absent: it breaks the schema, but a phone whose folders are all
    switched off sends the like, and would repeat it without delay after any error.

    Args:
        body: At most 64 KiB are accepted; empty for the cached request.

    Raises:
        PingError: With status 4 for a Ping that says nothing or names a folder twice, 102 for a
            body that cannot be decoded, 103 for one that breaks the schema or the limits.

    Source: [MS-ASCMD] 2.2.1.13, 2.2.3.90 (duplicate ids); schema 6.29. Either order of Id and Class
    occurs (Z-Push).
    """
    if not body:
        return CACHED
    try:
        root = read("Ping", body)
        _refuse_others(root, {"HeartbeatInterval", "Folders"})
        heartbeat, folders = single(root, "HeartbeatInterval"), single(root, "Folders")
        if heartbeat is None and folders is None:
            found = "a Ping with neither child"
            raise _malformed(found, "HeartbeatInterval, Folders or both, or no body")
        return PingRequest(
            None if heartbeat is None else _seconds(heartbeat.text),
            None if folders is None else _folders(folders),
        )
    except PingError:
        raise
    except BodyError as error:
        raise PingError(error.status, str(error)) from error


MAX_CACHED_BYTES: Final = 1024
"""Bodies up to this size are remembered: some 50 folders with short ids."""


def parse_cached(body: bytes) -> PingRequest:
    """Read a Ping request as `parse` does, from memory if the same bytes came lately.

    Phones repeat themselves, and different phones say the same: equal requests share one tuple of
    folders. The memory takes at most about 11 MB, whatever is sent.
    """
    return _remembered(body) if len(body) <= MAX_CACHED_BYTES else parse(body)


_remembered = lru_cache(maxsize=1024)(parse)


def _malformed(found: str, allowed: str) -> PingError:
    return PingError(PingStatus.SYNTAX_ERROR, f"found {found}, allowed {allowed}")


def _refuse_others(parent: Element, allowed: Iterable[str]) -> None:
    for child in parent.children:
        if child.page != "Ping" or child.name not in allowed:
            found = f"{child.page}:{child.name} in {parent.name}"
            raise invalid(found, " or ".join(sorted(allowed)))
    if parent.value is not None:
        raise invalid(f"text in {parent.name}", " or ".join(sorted(allowed)))


# Possessive: a text of 64 KiB must not be tried in every possible way.
_INTEGER: Final = re.compile(r"\s*+([+-]?)([0-9]++)\s*+", re.ASCII)
_MAX_DIGITS: Final = len(str(HUGE_HEARTBEAT))


def _seconds(text: str) -> int:
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise invalid(f"HeartbeatInterval {text[:32]!r}", "an integer")
    sign, digits = match.groups()
    digits = digits.lstrip("0") or "0"
    value = int(digits) if len(digits) <= _MAX_DIGITS else HUGE_HEARTBEAT
    return -value if sign == "-" else value


def _folders(parent: Element) -> tuple[PingFolder, ...] | None:
    _refuse_others(parent, {"Folder"})
    folders = tuple(_folder(child) for child in parent.children)
    if len({folder.id for folder in folders}) < len(folders):
        raise _malformed("a folder id twice", "each id once")
    return folders or None


def _folder(parent: Element) -> PingFolder:
    _refuse_others(parent, {"Id", "Class"})
    id_, class_ = single(parent, "Id"), single(parent, "Class")
    if id_ is None or class_ is None:
        raise invalid("a Folder without Id or Class", "both")
    text = id_.text
    if not 0 < len(text) <= MAX_ID:
        raise invalid(f"an Id of {len(text)} characters", f"1 to {MAX_ID}")
    # Opaque data may hold a NUL, which the answer could not repeat.
    if not text.isprintable():
        raise invalid(f"Id {text!r}", "printable characters")
    shared = CLASSES.get(class_.text)
    if shared is None:
        raise invalid(f"Class {class_.text[:32]!r}", ", ".join(CLASSES))
    return PingFolder(text, shared)


@dataclass(frozen=True, slots=True)
class PingResponse:
    """What a phone is told."""

    status: int
    """A `PingStatus`, or a common status code."""
    folders: tuple[str, ...] = ()
    """With status 2: ids of changed folders as this phone spells them."""
    heartbeat: int | None = None
    """With status 5: the nearest allowed one, seconds."""
    max_folders: int | None = None
    """With status 6: how many are allowed."""

    def to_bytes(self) -> bytes:
        """Build the document; never empty, for an empty answer makes phones spin.

        Folders is left out when there is none to name, as the schema has it; Z-Push sends an empty
        one with status 1, and phones take either.

        Source: [MS-ASCMD] 6.30, also for the order.
        """
        return _frequent(self) if len(self.folders) <= _FEW_FOLDERS else _encode(self)


_FEW_FOLDERS: Final = 4


def _encode(response: PingResponse) -> bytes:
    folders = [element("Ping", "Folder", one) for one in response.folders]
    return encode(
        element(
            "Ping",
            "Ping",
            element("Ping", "Status", str(int(response.status))),
            element("Ping", "Folders", *folders) if folders else None,
            _number("MaxFolders", response.max_folders),
            _number("HeartbeatInterval", response.heartbeat),
        )
    )


# Most phones are told one of a few things about one of a few folders.
_frequent = lru_cache(maxsize=1024)(_encode)


def _number(name: str, value: int | None) -> Element | None:
    return None if value is None else element("Ping", name, str(value))
