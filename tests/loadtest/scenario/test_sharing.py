"""Equal values are one object, and folders are found by name or type."""

from __future__ import annotations

from loadtest.scenario.commands import Folder, FolderSync, Ping, Watched
from loadtest.scenario.sharing import folder_sync, ping, twin, watched
from tests.loadtest.scenario.samples import INBOX

HIERARCHY = (
    Folder("1", "Kalender", 8),
    Folder("4", "Entwürfe", 3),
    Folder("5", "Posteingang", 2),
    Folder("20", "Projects", 12),
    Folder("21", "Team", 13),
    Folder("22", "Team", 12),
)


def test_equal_pings_are_one_object() -> None:
    """Phones with the same heartbeat and folders send the same Ping object."""
    first, second = ping(480, (INBOX,), is_full=False), ping(480, (INBOX,), is_full=False)

    assert (first, True) == (Ping(480, (INBOX,), is_full=False), first is second)


def test_equal_twins_are_one_object() -> None:
    """The Ping for two connections differs in that alone, and is shared."""
    first, second = (twin(ping(480, (INBOX,))) for _ in range(2))

    assert (first, True) == (Ping(480, (INBOX,), twin=True), first is second)


def test_equal_folder_syncs_are_one_object() -> None:
    """Phones without a policy send the same FolderSync object."""
    first, second = folder_sync(), folder_sync()

    assert (first, True) == (FolderSync(), first is second)


def test_default_folders_are_found_by_type() -> None:
    """INBOX, Calendar and Drafts are found whatever the server calls them, in the asked order."""
    expected = (INBOX, Watched("1", "Calendar", "Calendar"), Watched("4", "Email", "Drafts"))

    assert expected == watched(HIERARCHY, ("INBOX", "Calendar", "Drafts"))


def test_other_folders_are_found_by_name() -> None:
    """Any other watch is a display name, the first one counts, and the type gives the class."""
    expected = (Watched("20", "Email", "Projects"), Watched("21", "Calendar", "Team"))

    assert expected == watched(HIERARCHY, ("Projects", "Team"))


def test_a_missing_folder_is_left_out() -> None:
    """A watch that the hierarchy lacks is not watched."""
    assert (INBOX,) == watched(HIERARCHY, ("Notes", "INBOX", "Nowhere"))


def test_a_folder_is_watched_once() -> None:
    """Two names of one folder are one folder, under the first name: an id may not come twice."""
    assert (INBOX,) == watched(HIERARCHY, ("INBOX", "Posteingang"))


def test_equal_watches_are_one_object() -> None:
    """Phones with equal hierarchies and watches share the folders."""
    first = watched(HIERARCHY, ("INBOX",))

    assert first is watched(tuple(folder for folder in HIERARCHY), ("INBOX",))
