"""What a phone does before it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.scenario.commands import (
    Answer,
    Collection,
    FolderSync,
    Habits,
    Options,
    Ping,
    Sync,
    Watched,
)
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import FIXED
from loadtest.scenario.preparing import prepare

if TYPE_CHECKING:
    from tests.loadtest.scenario.samples import Play


def test_a_new_phone_asks_for_versions_and_folders(play: Play, hierarchy: Answer) -> None:
    """A new phone sends OPTIONS, then FolderSync, and is ready."""
    memory = Memory(Habits(), 0.5, FIXED, syncs=False)

    found = play(prepare(memory), Answer(200), hierarchy)

    assert [Options(), FolderSync(), ("ended", None)] == found


def test_a_syncing_phone_begins_with_key_0(
    play: Play, hierarchy: Answer, folders: tuple[Watched, ...]
) -> None:
    """A phone that syncs asks for the first keys of its folders."""
    memory = Memory(Habits(syncs=True), 0.5, FIXED, syncs=True)

    found = play(prepare(memory), Answer(200), hierarchy)

    assert Sync(tuple(Collection(folder, "0") for folder in folders)) == found[-1]


def test_a_phone_that_comes_back_is_ready(play: Play, folders: tuple[Watched, ...]) -> None:
    """A phone that knows its folders sends nothing before its Ping."""
    memory = Memory(Habits(known=folders), 0.5, FIXED, syncs=True)

    found = play(prepare(memory))

    assert ([("ended", None)], Ping(480, folders)) == (found, memory.ping)
