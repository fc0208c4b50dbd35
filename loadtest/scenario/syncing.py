"""Sync: fetch what is new in some folders, until nothing more is there.

Source: [MS-ASCMD] 2.2.3.177.17 (status of Sync).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import Sync
from loadtest.scenario.hierarchy import discover
from loadtest.scenario.obeying import ask, heed

if TYPE_CHECKING:
    from collections.abc import Container, Generator

    from loadtest.scenario.commands import Collection, Command, Document, Outcome
    from loadtest.scenario.memory import Memory

UNANSWERED: Final = 0
"""Stands among statuses for a folder that was to get its first SyncKey and did not."""
_RESTART: Final = 3
"""The SyncKey is not valid: begin with key 0."""
_HIERARCHY_CHANGED: Final = 12


@dataclass(frozen=True, slots=True)
class Digest:
    """What the answer to a Sync means."""

    keys: dict[str, str]
    """New SyncKeys by folder id; "0" begins anew."""
    pending: frozenset[str]
    """Ids of folders to ask for once more."""
    complaints: frozenset[int]
    """Statuses other than success, and ``UNANSWERED``."""


def sync(memory: Memory, ids: Container[str]) -> Generator[Command, Outcome, None]:
    """Sync the folders of these ids and those never synced, until nothing more is there."""
    while memory.syncs and (sent := memory.collections(ids)):
        document = yield from ask(memory, Sync(sent, memory.policy))
        if memory.syncs:
            ids = yield from absorb(memory, sent, document)


def absorb(
    memory: Memory, sent: tuple[Collection, ...], document: Document
) -> Generator[Command, Outcome, frozenset[str]]:
    """Take an answer to a Sync and do what it demands; return the ids to ask for once more."""
    found = digest(sent, document)
    memory.learn(found.keys)
    # A server that accepts key 0 and refuses what it gave for it must not look well.
    if not found.complaints and all(one.key != "0" for one in sent):
        memory.settle()
    for complaint in sorted(found.complaints):
        if complaint in {_RESTART, _HIERARCHY_CHANGED}:
            yield from heed(memory, complaint)
        else:
            yield memory.pause()
        if complaint == _HIERARCHY_CHANGED:
            yield from discover(memory)
    return found.pending


def digest(sent: tuple[Collection, ...], document: Document) -> Digest:
    """Read the answer to a Sync; a folder that it leaves out has nothing new."""
    ids = frozenset(one.folder.id for one in sent)
    begun = {one.folder.id for one in sent if one.key == "0"}
    if document.status not in {0, 1}:
        restarts = document.status == _RESTART
        return Digest(
            dict.fromkeys(ids, "0") if restarts else {}, ids, frozenset({document.status})
        )
    keys: dict[str, str] = {}
    pending, complaints = set(), set()
    for one in document.collections:
        if one.status == 1 and one.key:
            keys[one.id] = one.key
            if one.has_more or one.id in begun:
                pending.add(one.id)
        elif one.status == _RESTART:
            keys[one.id] = "0"
            complaints.add(_RESTART)
        elif one.status != 1:
            pending.add(one.id)
            complaints.add(one.status)
    if begun - keys.keys() - pending:
        complaints.add(UNANSWERED)
    return Digest(keys, frozenset(pending), frozenset(complaints))
