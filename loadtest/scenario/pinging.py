"""Wait with Pings: what follows each answer of one.

Source: [MS-ASCMD] 2.2.3.177.11 (status of Ping); AOSP EasPing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import Answer
from loadtest.scenario.hierarchy import discover
from loadtest.scenario.obeying import OK, REFUSALS, StoppedError, heed, obey
from loadtest.scenario.preparing import prepare
from loadtest.scenario.syncing import sync

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario.commands import Command, Document, Outcome, Script
    from loadtest.scenario.memory import Memory

_LEFT_TO_SYNC: Final = range(132, 151)
"""Statuses that end AOSP's pinging until its next sync, which meets them again and obeys: a Ping
starts no provisioning. Source: AOSP EasPing."""


def pinging(memory: Memory) -> Script:
    """Prepare, then ping for ever; ends when the phone gives up."""
    try:
        yield from prepare(memory)
        while True:
            # No name keeps the answer alive while the next Ping waits.
            yield from answered(memory, (yield memory.ping))
    except StoppedError:
        return


def answered(memory: Memory, outcome: Outcome) -> Generator[Command, Outcome, None]:
    """Do what is to be done between a Ping that ended and the next one.

    Raises:
        StoppedError: If the server refuses the phone.
    """
    if not isinstance(outcome, Answer):
        memory.failed()
        yield memory.pause()
    elif outcome.http_status != OK:
        yield from obey(memory, outcome)
    elif outcome.document.status == 1:
        memory.lasted()
    elif outcome.document.status != 2:  # noqa: PLR2004 - as the source counts
        yield from _follow(memory, outcome.document)
    elif memory.syncs:
        memory.shorten()
        yield from sync(memory, outcome.document.folders)
    else:
        memory.settle()
        memory.shorten()


def _follow(memory: Memory, document: Document) -> Generator[Command, Outcome, None]:
    match document.status:
        case 3 if not memory.ping.is_full:
            yield from heed(memory, 3)
            memory.lengthen()
        case 5 if document.heartbeat:
            yield from heed(memory, 5)
            memory.keep(memory.rule.told(memory.pace, document.heartbeat))
            memory.lengthen()
        case 6 if document.max_folders and document.max_folders < len(memory.ping.folders):
            yield from heed(memory, 6)
            memory.watch(memory.ping.folders[: document.max_folders])
        case 7:
            yield from heed(memory, 7)
            yield from _renew(memory)
        case 0 if not document.root:  # AOSP takes an answer without a body for a failed network
            memory.failed()
            yield memory.pause()
        case status if status in REFUSALS:
            raise StoppedError
        case status if status in _LEFT_TO_SYNC:
            yield memory.pause()
            yield from _renew(memory)
        case _:  # AOSP repeats 4 and 8 without a pause: a busy loop, which is ``ping-loop``'s part
            yield memory.pause()


def _renew(memory: Memory) -> Generator[Command, Outcome, None]:
    yield from discover(memory)
    yield from sync(memory, ())
