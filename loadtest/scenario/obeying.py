"""What every well-behaved client does with an answer: obey HTTP, provision, back off.

Source: [MS-ASHTTP] 3.1.5.2, [MS-ASCMD] 2.2.2; AOSP EasOperation, CommandStatusException.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import NOTHING, Answer, Move, Options, Provision, Sync, Wait

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario.commands import Command, Document, FolderSync, Outcome
    from loadtest.scenario.memory import Memory

OK: Final = 200
NOT_IMPLEMENTED: Final = 501
COMMON: Final = 101
"""Statuses from here on mean the same in every command. Source: [MS-ASCMD] 2.2.2."""
REFUSALS: Final = frozenset({126, 127, 128, 129, 130, 131, 139, 141, 177})
"""Statuses that stop the account. Source: AOSP CommandStatusException."""
_MOVES: Final = 3
"""Redirects followed in a row. AOSP bounds them too."""
_NO_POLICY: Final = 2


class StoppedError(Exception):
    """The phone gives up for good: it was refused, or wiped."""


def ask(
    memory: Memory, request: Options | FolderSync | Sync
) -> Generator[Command, Outcome, Document]:
    """Send a request until it is answered.

    Returns:
        A document whose status is the command's own affair; ``NOTHING`` to a Sync where the server
        has no Sync, which is remembered.

    Raises:
        StoppedError: If the server refuses the phone.
    """
    while True:
        outcome = yield request
        if isinstance(outcome, Answer):
            if outcome.http_status == OK and outcome.document.status < COMMON:
                return outcome.document
            if outcome.http_status == NOT_IMPLEMENTED and isinstance(request, Sync):
                memory.syncs = False
                return NOTHING
        yield from obey(memory, outcome)
        if not isinstance(request, Options):
            request = replace(request, policy=memory.policy)


def obey(memory: Memory, outcome: Outcome) -> Generator[Command, Outcome, None]:
    """Do what an answer demands that is not the one hoped for; the request may then be repeated.

    Raises:
        StoppedError: If the server refuses the phone.
    """
    if (yield from _is_unprovisioned(memory, outcome)):
        yield from _provision(memory)


def heed(memory: Memory, demand: int) -> Generator[Command, Outcome, None]:
    """Pause before a demand that was followed before, to no avail."""
    if memory.is_repeated(demand):
        yield memory.pause()


def _is_unprovisioned(memory: Memory, outcome: Outcome) -> Generator[Command, Outcome, bool]:
    """Back off or move as demanded; return whether Provision is demanded."""
    if not isinstance(outcome, Answer):
        yield memory.pause()
        return False
    match outcome.http_status if outcome.http_status != OK else outcome.document.status:
        case 401:
            raise StoppedError
        case status if status in REFUSALS:
            raise StoppedError
        case 403:  # to AOSP it asks for Provision, unless that did not help
            if memory.is_repeated(403):
                raise StoppedError
            return True
        case 449 | 140 | 142 | 143 | 144 as status:  # 140 announces a remote wipe
            yield from heed(memory, status)
            return True
        case 451 if outcome.location:
            yield from _move(memory, outcome.location)
        case _:
            yield Wait(outcome.retry_after) if outcome.retry_after else memory.pause()
    return False


def _move(memory: Memory, url: str) -> Generator[Command, Outcome, None]:
    if memory.demands.count(451) == _MOVES:
        yield memory.pause()
        return
    memory.demands += (451,)
    if (yield Move(url)) is not None:
        yield memory.pause()


def _provision(memory: Memory) -> Generator[Command, Outcome, None]:
    """Fetch the policy and acknowledge it, until the server is content.

    Source: [MS-ASPROV] 3.1.5.1.1, 3.1.5.1.2.
    """
    while True:
        offer = yield from _ask_policy(memory, Provision())
        if offer.policy_status == _NO_POLICY:
            return
        if _is_granted(offer):
            final = yield from _ask_policy(memory, Provision(offer.key, is_acknowledgement=True))
            if _is_granted(final):
                memory.policy = final.key
                return
        yield memory.pause()


def _ask_policy(memory: Memory, request: Provision) -> Generator[Command, Outcome, Document]:
    while True:
        outcome = yield request
        if (
            isinstance(outcome, Answer)
            and outcome.http_status == OK
            and outcome.document.status < COMMON
        ):
            if outcome.document.wipe:
                yield Provision(wipes=True)
                raise StoppedError
            return outcome.document
        # To be told here to provision changes nothing: the phone is at it.
        yield from _is_unprovisioned(memory, outcome)


def _is_granted(document: Document) -> bool:
    return document.status == 1 and document.policy_status == 1 and document.key != ""
