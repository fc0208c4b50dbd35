"""Wait with a Sync that hangs, instead of Pings.

Source: [MS-ASCMD] 2.2.1.21, 2.2.3.88.2 (HeartbeatInterval), 2.2.3.97 (Limit), 2.2.3.177.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.scenario.commands import Answer, Sync
from loadtest.scenario.obeying import COMMON, NOT_IMPLEMENTED, OK, StoppedError, heed, obey
from loadtest.scenario.pinging import answered
from loadtest.scenario.preparing import prepare
from loadtest.scenario.syncing import absorb, sync

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario.commands import Command, Document, Outcome, Script
    from loadtest.scenario.memory import Memory


def hanging(memory: Memory) -> Script:
    """Prepare, then wait with Syncs for ever, or with Pings where the server has no Sync."""
    try:
        yield from prepare(memory)
        yield from sync(memory, ())  # one that came back knows its folders, but no keys
        is_full = True
        while memory.syncs:
            is_full = yield from _synced(memory, (yield _waiting(memory, is_full=is_full)))
        while True:
            yield from answered(memory, (yield memory.ping))
    except StoppedError:
        return


def _waiting(memory: Memory, *, is_full: bool) -> Sync:
    """Return the Sync to wait with; an empty one says how long it waits all the same."""
    collections = memory.collections() if is_full else ()
    return Sync(collections, memory.policy, memory.pace.heartbeat)


def _synced(memory: Memory, outcome: Outcome) -> Generator[Command, Outcome, bool]:
    """Do what is to be done before the next one; return whether that needs its body.

    Only after an empty answer the server's cached request holds the keys that are valid now.
    """
    if isinstance(outcome, Answer) and outcome.http_status == NOT_IMPLEMENTED:
        memory.syncs = False
    elif (
        not isinstance(outcome, Answer)
        or outcome.http_status != OK
        or outcome.document.status >= COMMON
    ):
        yield from obey(memory, outcome)
    elif outcome.document.root:
        yield from _follow(memory, outcome.document)
    else:
        memory.settle()
        return not memory.habits.is_terse
    return True


def _follow(memory: Memory, document: Document) -> Generator[Command, Outcome, None]:
    match document.status:
        case 13:  # nothing was cached: the whole request
            yield from heed(memory, 13)
        case 14 if document.heartbeat:
            yield from heed(memory, 14)
            memory.keep(memory.rule.told(memory.pace, document.heartbeat))
        case _:
            pending = yield from absorb(memory, memory.collections(), document)
            yield from sync(memory, pending)
