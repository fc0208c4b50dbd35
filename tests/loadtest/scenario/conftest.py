"""Play outcomes to a script, and what servers usually answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadtest.scenario.commands import Answer, Document, Folder, Habits, Watched
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import FIXED
from tests.loadtest.scenario.samples import CALENDAR, INBOX, Play

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def play() -> Play:
    """Return a function that sends outcomes to a generator and lists its commands.

    Where the generator ends, the list ends with ("ended", what it returned).
    """

    def played(script: Generator[Any, Any, Any], *outcomes: Any) -> list[Any]:
        commands: list[Any] = []
        try:
            for outcome in (None, *outcomes):  # None begins a generator
                commands.append(script.send(outcome))  # noqa: PERF401 - the end may come anywhere
        except StopIteration as end:
            commands.append(("ended", end.value))
        return commands

    return played


@pytest.fixture
def folders() -> tuple[Watched, ...]:
    return (INBOX, CALENDAR)


@pytest.fixture
def hierarchy() -> Answer:
    found = (Folder("1", "Calendar", 8), Folder("2", "Contacts", 9), Folder("5", "Inbox", 2))
    return Answer(200, Document("FolderSync", 1, key="1", hierarchy=found))


@pytest.fixture
def memory(folders: tuple[Watched, ...]) -> Memory:
    """Of a phone that knows its folders and does not sync; its dice are in the middle."""
    memory = Memory(Habits(), 0.5, FIXED, syncs=False)
    memory.watch(folders)
    return memory


@pytest.fixture
def syncing(folders: tuple[Watched, ...]) -> Memory:
    """Of a phone that has synced its folders: keys 5a and 1a."""
    memory = Memory(Habits(syncs=True), 0.5, FIXED, syncs=True)
    memory.watch(folders)
    memory.learn({"5": "5a", "1": "1a"})
    return memory
