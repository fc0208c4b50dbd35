from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pushgw.eas import folders
from pushgw.eas.body import BodyError
from pushgw.eas.folders import STANDARD, Folder, Hierarchy, folder_sync
from pushgw.wbxml import decode, encode, from_xml

if TYPE_CHECKING:
    from collections.abc import Iterable

VECTORS = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads(
        (Path(__file__).parents[2] / "vectors" / "eas.json").read_text(encoding="utf-8")
    )["wbxml"]
}


def _body(content: str) -> bytes:
    return encode(from_xml(f'<FolderSync xmlns="FolderHierarchy:">{content}</FolderSync>'))


def _listing(key: int, listed: Iterable[Folder]) -> bytes:
    adds = [
        f"<Add><ServerId>{server_id}</ServerId><ParentId>0</ParentId>"
        f"<DisplayName>{name}</DisplayName><Type>{kind}</Type></Add>"
        for server_id, name, kind in listed
    ]
    changes = f"<Changes><Count>{len(adds)}</Count>{''.join(adds)}</Changes>"
    return _body(f"<Status>1</Status><SyncKey>{key}</SyncKey>{changes}")


def test_standard_folders_are_unique() -> None:
    """No two standard folders share a ServerId, a name or a type."""
    actual = [len(set(column)) for column in zip(*STANDARD, strict=True)]

    assert [9, 9, 9] == actual


def test_vector_is_read_as_three_standard_folders() -> None:
    """The folders of the protocol's example are ours, under the same ids and types."""
    changes = decode(VECTORS["foldersync-resp-list"]).children[2]
    expected = {
        (str(add.children[0].text), str(add.children[2].text), int(add.children[3].text))
        for add in changes.children[1:]
    }

    assert expected <= set(STANDARD)


@pytest.mark.parametrize(
    ("collection_id", "expected"),
    [
        ("5", ("5", "Inbox", "INBOX")),
        ("8", ("8", "Sent Items")),
        ("mail%2FINBOX", ("mail%2FINBOX",)),
        ("Inbox", ("Inbox",)),
    ],
)
def test_names_of_a_folder(collection_id: str, expected: tuple[str, ...]) -> None:
    """A change of a standard folder may name it by id or name, the Inbox also by INBOX."""
    actual = folders.field_names(collection_id)

    assert expected == actual


def test_every_name_leads_back() -> None:
    """The canonical name is the ServerId again."""
    ids = [*(one.server_id for one in STANDARD), "Projects/2026"]

    actual = {one: {folders.canonical(name) for name in folders.field_names(one)} for one in ids}

    assert {one: {one} for one in ids} == actual


def test_first_sync_lists_everything() -> None:
    """Key 0 gives the standard folders and the further ones with the type of their class."""
    recorded = {
        "INBOX": "Email",
        "": None,
        "Work": None,
        "Cal": "Calendar",
        "People": "Contacts",
        "To do": "Tasks",
        "Jot": "Notes",
        "Text": "SMS",
        "Mail": "Email",
        "x" * 64: "Email",
        "x" * 65: "Email",
        "a\x00b": "Email",
    }
    expected = [
        *STANDARD,
        *(
            Folder(name, name, kind)
            for name, kind in [
                ("Cal", 13),
                ("Jot", 17),
                ("Mail", 12),
                ("People", 14),
                ("Text", 12),
                ("To do", 15),
                ("Work", 12),
                ("x" * 64, 12),
            ]
        ),
    ]

    actual = folder_sync("0", Hierarchy(7, ("Old",)), recorded)

    listed = tuple(one.server_id for one in expected[9:])
    assert (_listing(1, expected), Hierarchy(1, listed), True) == (
        actual.body,
        actual.hierarchy,
        actual.is_initial,
    )


def test_nothing_new_keeps_the_key() -> None:
    """The current key without further folders is answered with no change and the same key."""
    known = Hierarchy(1)

    actual = folder_sync("1", known, {"5": "Email"})

    assert (VECTORS["foldersync-resp-nochange"], known, False) == (
        actual.body,
        actual.hierarchy,
        actual.is_initial,
    )


def test_new_folder_is_added_under_the_next_key() -> None:
    """A folder recorded since is added, and remembered as new."""
    expected = _listing(4, [Folder("B", "B", 13)])

    actual = folder_sync("3", Hierarchy(3, ("C", "A")), {"A": None, "B": "Calendar", "C": None})

    assert (expected, Hierarchy(4, ("C", "A", "B"), ("C", "A"))) == (actual.body, actual.hierarchy)


def test_lost_answer_is_repeated() -> None:
    """The key before the current one gets the last answer again."""
    recorded = {"A": None, "B": "Tasks"}
    first = folder_sync("1", Hierarchy(1, ("A",)), recorded)

    actual = folder_sync("1", first.hierarchy, recorded)

    assert first.body == actual.body


def test_repeated_answer_names_only_what_it_named() -> None:
    """A folder recorded after the lost answer waits for the next key."""
    known = Hierarchy(2, ("A", "B"), ("A",))

    actual = folder_sync("1", known, {"A": None, "B": None, "C": None})

    assert (_listing(2, [Folder("B", "B", 12)]), None) == (actual.body, actual.hierarchy)


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("1", None),
        ("1", Hierarchy(3)),
        ("4", Hierarchy(3)),
        ("x", Hierarchy(3)),
        ("03", Hierarchy(3)),
    ],
)
def test_other_key_starts_anew(key: str, known: Hierarchy | None) -> None:
    """A key that is neither the current one nor the one before is status 9."""
    actual = folder_sync(key, known, {})

    assert (_body("<Status>9</Status>"), None, False) == (
        actual.body,
        actual.hierarchy,
        actual.is_initial,
    )


def test_number_of_folders_is_bounded() -> None:
    """No more than 1,000 further folders are listed, and those listed stay."""
    recorded = {f"{n:04}": None for n in range(1200)}
    full = folder_sync("0", None, recorded).hierarchy
    assert full is not None

    actual = folder_sync("1", full, recorded | {"!": None}).hierarchy

    assert (1000, full) == (len(full.listed), actual)


def test_further_folders_are_sorted() -> None:
    """What is new is sorted; what is listed or standard is not new."""
    actual = folders.further(["B"], ["C", "B", "A", "Inbox"])

    assert ("A", "C") == actual


@pytest.mark.parametrize("key", ["0", "1", "{5F1}7"])
def test_sync_key_is_read(key: str) -> None:
    """Any text is a SyncKey, for other servers give other ones."""
    actual = folders.parse(_body(f"<SyncKey>{key}</SyncKey>"))

    assert key == actual


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 101),
        (b"x", 102),
        (VECTORS["ping-req-full"], 103),
        (_body(""), 103),
        (_body("<SyncKey/>"), 103),
        (_body("<SyncKey>0</SyncKey><SyncKey>0</SyncKey>"), 103),
        (_body(f"<SyncKey>{'1' * 65}</SyncKey>"), 103),
    ],
)
def test_malformed_request_is_refused(body: bytes, expected: int) -> None:
    """A request without one usable SyncKey has a common status code."""
    with pytest.raises(BodyError) as caught:
        folders.parse(body)

    assert expected == caught.value.status


def test_hierarchy_is_kept_as_json() -> None:
    """What is written for the device record is read again."""
    known = Hierarchy(3, ("A", "ü"), ("A",))

    actual = Hierarchy.from_json(known.to_json())

    assert known == actual


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"key":0,"listed":[],"before":[]}',
        b'{"key":"1","listed":[],"before":[]}',
        b'{"key":1,"listed":[1],"before":[]}',
        b'{"key":1,"listed":[],"before":[1]}',
        b'{"key":1,"listed":[]}',
    ],
)
def test_other_json_is_no_hierarchy(data: bytes) -> None:
    """A damaged record is a ValueError, upon which the device begins anew."""
    with pytest.raises(ValueError, match=r"found no hierarchy|line 1 column"):
        Hierarchy.from_json(data)
