"""Which folders a phone watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario.commands import Answer, Document, Folder, FolderSync, Ping, Wait
from loadtest.scenario.hierarchy import discover

if TYPE_CHECKING:
    from loadtest.scenario.memory import Memory
    from tests.loadtest.scenario.samples import Play


def test_the_watched_folders_are_picked(memory: Memory, play: Play, hierarchy: Answer) -> None:
    """A FolderSync from the start finds the folders of the next Ping, whose body it needs."""
    memory.watch(())

    found = play(discover(memory), hierarchy)

    assert [FolderSync(), ("ended", None)] == found
    assert Ping(480, memory.ping.folders) == memory.ping
    assert ["5", "1"] == [folder.id for folder in memory.ping.folders]


@pytest.mark.parametrize(
    "document",
    [
        Document("FolderSync", 6),
        Document("FolderSync", 1, hierarchy=(Folder("9", "Tasks", 7),)),
    ],
)
def test_a_hierarchy_without_a_watched_folder_is_asked_for_again(
    memory: Memory, play: Play, document: Document
) -> None:
    """A phone that has nothing to watch waits and asks again."""
    found = play(discover(memory), Answer(200, document), None)

    assert [FolderSync(), Wait(1.0), FolderSync()] == found
