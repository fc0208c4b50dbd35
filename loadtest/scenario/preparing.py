"""What a phone does before it waits for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import Options
from loadtest.scenario.hierarchy import discover
from loadtest.scenario.obeying import ask
from loadtest.scenario.syncing import sync

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtest.scenario.commands import Command, Outcome
    from loadtest.scenario.memory import Memory

_OPTIONS: Final = Options()


def prepare(memory: Memory) -> Generator[Command, Outcome, None]:
    """Ask for versions and folders, and sync the folders; a phone that comes back has all that.

    Raises:
        StoppedError: If the server refuses the phone.
    """
    if memory.habits.known:
        memory.watch(memory.habits.known)
        return
    yield from ask(memory, _OPTIONS)
    yield from discover(memory)
    yield from sync(memory, ())
