"""What a mailbox change is, and what its hint looks like on the channel.

A change is checked where it enters, once: a `Change` that exists is valid. A hint is read without
trust: whatever is not understood is a plain "look", because the sequence numbers in Redis are the
truth.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HIERARCHY: Final = ""
"""The folder name that stands for the hierarchy: a folder was created, renamed or deleted."""
CLASSES: Final = ("Email", "Calendar", "Contacts", "Tasks", "Notes", "SMS")
"""What a folder may hold. Source: [MS-ASCMD] 2.2.3.27.4 (Class of a Ping); SMS is for Sync."""
MAX_CHANGES: Final = 10_000
"""Changes in one body of ``POST /v1/changes``."""

_MAX_MAILBOX: Final = 320  # RFC 3696 erratum 1690: 64 characters, "@", 255 characters
_MAX_FOLDER_BYTES: Final = 1024
_MAX_KIND: Final = 64
# The longest folder with every character escaped, and room for the rest.
_MAX_HINT_BYTES: Final = 8192
# Each mistake costs a line and a name comparison: a hostile body must not buy seconds of them.
_MAX_MISTAKES: Final = 1000
# Lone surrogates have no UTF-8. Braces would move the mailbox's keys to another cluster slot.
_NOT_IN_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_MAILBOX: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff{}]")


class ChangeError(ValueError):
    """What a publisher sent is not a change; each argument is one mistake, as one line."""

    http_status = 400

    def __str__(self) -> str:
        return "; ".join(self.mistakes)

    @property
    def mistakes(self) -> tuple[str, ...]:
        """One line each: where, what was found, what is allowed. Never empty."""
        return self.args


def _is_mailbox(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value.lower()) <= _MAX_MAILBOX
        and not _NOT_IN_MAILBOX.search(value)
    )


def _is_folder(value: object) -> bool:
    return (
        isinstance(value, str)
        and not _NOT_IN_TEXT.search(value)
        and len(value.encode()) <= _MAX_FOLDER_BYTES
    )


def _is_class(value: object) -> bool:
    return value is None or value in CLASSES


def _is_kind(value: object) -> bool:
    return value is None or (
        isinstance(value, str) and 0 < len(value) <= _MAX_KIND and not _NOT_IN_TEXT.search(value)
    )


_RULES: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "mailbox": (
        _is_mailbox,
        f"1 to {_MAX_MAILBOX} characters, none of them a brace or a control character",
    ),
    "folder": (
        _is_folder,
        f"at most {_MAX_FOLDER_BYTES} bytes of UTF-8 without control characters",
    ),
    "class": (_is_class, ", ".join(CLASSES)),
    "kind": (_is_kind, f"1 to {_MAX_KIND} characters without control characters"),
}
_REQUIRED: Final = ("mailbox", "folder")


@dataclass(frozen=True, slots=True)
class Change:
    """One folder of one mailbox changed.

    Raises:
        ChangeError: If a field is not what it may be; names every such field.
    """

    mailbox: str
    """Login name, 1 to 320 characters, no braces, no control characters. Kept in lower case."""
    folder: str
    """The backend's own name, "/" between levels, or a CollectionId. At most 1024 bytes of UTF-8
    without control characters; `HIERARCHY` for the hierarchy itself."""
    class_: str | None = None
    """What the folder holds, one of `CLASSES`; None if the publisher does not say."""
    kind: str | None = None
    """What happened, in the publisher's words, 1 to 64 characters. Carried, never interpreted."""

    def __post_init__(self) -> None:
        values = {
            "mailbox": self.mailbox,
            "folder": self.folder,
            "class": self.class_,
            "kind": self.kind,
        }
        mistakes = tuple(_wrong(values))
        if mistakes:
            raise ChangeError(*mistakes)
        object.__setattr__(self, "mailbox", self.mailbox.lower())


@dataclass(frozen=True, slots=True)
class Hint:
    """What a publisher says on a mailbox's channel. A reason to look, never the truth."""

    folder: str
    """The folder that changed, as the publisher spells it; `HIERARCHY` for the hierarchy."""
    seq: int | None = None
    """Its sequence number, 1 or more; None if the publisher did not say."""
    class_: str | None = None
    """One of `CLASSES`, or None."""
    kind: str | None = None
    """The publisher's word for what happened, or None."""
    at_ms: float | None = None
    """When the change was recorded, Unix milliseconds by the publisher's clock, or None."""

    @classmethod
    def parse(cls, payload: bytes) -> Hint | None:
        """Read a payload of a mailbox's channel; never raises.

        Args:
            payload: Any bytes that somebody published.

        Returns:
            The hint. A member that is not of its type counts as absent. None for every other
            payload, also an empty one: a plain "look".
        """
        if len(payload) > _MAX_HINT_BYTES:
            return None
        try:
            found = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if type(found) is not dict or type(folder := found.get("f")) is not str:
            return None
        seq, class_, kind, at_ms = found.get("s"), found.get("c"), found.get("e"), found.get("t")
        return cls(
            folder,
            seq if type(seq) is int and seq > 0 else None,
            class_ if class_ in CLASSES else None,
            kind if type(kind) is str else None,
            at_ms if type(at_ms) in (int, float) else None,
        )

    def to_bytes(self) -> bytes:
        """Return the payload: a JSON object with only the members that are known."""
        members = {
            "f": self.folder,
            "s": self.seq,
            "c": self.class_,
            "e": self.kind,
            "t": self.at_ms,
        }
        return orjson.dumps({name: value for name, value in members.items() if value is not None})


def channel(mailbox: str) -> str:
    """Name the channel on which hints of that mailbox, in any case of letters, are published."""
    return f"pushgw:{{{mailbox.lower()}}}"


def sequence_key(mailbox: str) -> str:
    """Name the hash folder -> sequence number of that mailbox, in any case of letters."""
    return f"{channel(mailbox)}:seq"


def class_key(mailbox: str) -> str:
    """Name the hash folder -> class of that mailbox, in any case of letters."""
    return f"{channel(mailbox)}:class"


def parse_changes(body: bytes) -> list[Change]:
    """Read the body of ``POST /v1/changes``.

    Args:
        body: UTF-8 JSON ``{"changes": [{"mailbox", "folder", "class"?, "kind"?}, ...]}``, at most
            10,000 changes. An optional member may be null.

    Returns:
        The changes in the order of the body; empty for an empty list.

    Raises:
        ChangeError: With all mistakes, each with the index of its change. After 1,000 of them
            the rest is not looked at.
    """
    changes: list[Change] = []
    mistakes: list[str] = []
    for index, entry in enumerate(_entries(body)):
        misread = itertools.islice(_misread(entry), _MAX_MISTAKES + 1)
        found = [f"changes[{index}]{mistake}" for mistake in misread]
        if not found:
            changes.append(
                Change(entry["mailbox"], entry["folder"], entry.get("class"), entry.get("kind"))
            )
        mistakes += found
        if len(mistakes) > _MAX_MISTAKES:
            mistakes[_MAX_MISTAKES:] = [f"more than {_MAX_MISTAKES} mistakes: the rest not checked"]
            break
    if mistakes:
        raise ChangeError(*mistakes)
    return changes


def _entries(body: bytes) -> list[Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ChangeError(f"body: found no JSON ({error}), allowed a JSON object") from None
    if not isinstance(found, dict) or list(found) != ["changes"]:
        shown = f"members {_listed(found)}" if isinstance(found, dict) else _shown(found)
        raise ChangeError(f"body: found {shown}, allowed an object with 'changes' alone")
    entries = found["changes"]
    if not isinstance(entries, list):
        raise ChangeError(f"changes: found {_shown(entries)}, allowed a list")
    if len(entries) > MAX_CHANGES:
        raise ChangeError(f"changes: found {len(entries)}, allowed at most {MAX_CHANGES}")
    return entries


def _misread(entry: object) -> Iterator[str]:
    """Say what is wrong with one entry of a body: its names, then its values."""
    if not isinstance(entry, dict):
        yield f": found {_shown(entry)}, allowed an object"
        return
    for name in (name for name in entry if name not in _RULES):
        (nearest,) = difflib.get_close_matches(name[:_MAX_KIND], _RULES, n=1, cutoff=0.0)
        yield f": found member {_shown(name)}, the nearest allowed is '{nearest}'"
    for mistake in _wrong(entry):
        yield f".{mistake}"


def _wrong(values: Mapping[str, object]) -> Iterator[str]:
    for name, (is_right, allowed) in _RULES.items():
        if name not in values:
            if name in _REQUIRED:
                yield f"{name}: found nothing, allowed {allowed}"
        elif not is_right(values[name]):
            yield f"{name}: found {_shown(values[name])}, allowed {allowed}"


def _shown(value: object) -> str:
    """Show a value in one short line, whatever it is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    text = repr(value[:_MAX_KIND] if isinstance(value, str) else value)
    return text if len(text) <= _MAX_KIND else f"{text[:_MAX_KIND]}..."


def _listed(found: dict[str, object]) -> str:
    return ", ".join(_shown(name) for name in list(found)[:5]) or "none"
