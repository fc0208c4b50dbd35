from __future__ import annotations

from pushgw.eas import commands
from pushgw.wbxml import element, encode


def test_codes_are_those_of_the_specification() -> None:
    """The index of a name is its code in the compact query."""
    expected = {0: "Sync", 9: "FolderSync", 17: "Settings", 18: "Ping", 20: "Provision", 23: "Find"}

    actual = {code: commands.COMMANDS[code] for code in expected}

    assert expected == actual


def test_every_root_can_be_written_with_a_status() -> None:
    """Each command that has a root element has a page with that tag and a Status."""
    documents = [
        encode(element(page, name, element(page, "Status", "1")))
        for page, name in commands.ROOTS.values()
    ]

    assert 19 == len(set(documents))


def test_versions_are_ordered() -> None:
    """12.1 is since 12.0 and since itself, and not since 14.0."""
    actual = [commands.is_since("12.1", first) for first in ("12.0", "12.1", "14.0")]

    assert [True, True, False] == actual


def test_what_is_served_are_known_commands() -> None:
    """Whatever the gateway serves by itself is a command with a document."""
    assert set(commands.SERVED) <= set(commands.ROOTS)
