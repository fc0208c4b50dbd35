"""The folder hierarchy: which folders a phone watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.scenario.obeying import ask
from loadtest.scenario.sharing import folder_sync, watched

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario.commands import Command, Outcome
    from loadtest.scenario.memory import Memory


def discover(memory: Memory) -> Generator[Command, Outcome, None]:
    """Ask for the hierarchy until it has a folder to watch.

    It is always asked for from the start (SyncKey 0): so no phone has to keep its hierarchy.
    """
    while True:
        document = yield from ask(memory, folder_sync(memory.policy))
        if document.status == 1 and (folders := watched(document.hierarchy, memory.habits.watches)):
            memory.watch(folders)
            return
        yield memory.pause()
