"""Documents of answers as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from loadtest.scenario.commands import NOTHING, Document, Folder, Synced
from loadtest.wire import documents
from pushgw.wbxml import WbxmlError, encode, from_xml

VECTORS: Final = {
    one["id"]: bytes.fromhex(one["hex"])
    for one in json.loads((Path(__file__).parents[2] / "vectors" / "eas.json").read_text("utf-8"))[
        "wbxml"
    ]
}


def sync(inner: str) -> bytes:
    return encode(from_xml(f'<Sync xmlns="AirSync:">{inner}</Sync>'))


def ping(inner: str) -> bytes:
    return encode(from_xml(f'<Ping xmlns="Ping:">{inner}</Ping>'))


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ("ping-resp-1-emptyfolders", Document("Ping", 1)),
        ("ping-resp-2", Document("Ping", 2, folders=("5", "1"))),
        ("ping-resp-5-low", Document("Ping", 5, heartbeat=60)),
        ("ping-resp-7", Document("Ping", 7)),
        ("sync-resp-12", Document("Sync", 12)),
        ("sync-resp-14-hb", Document("Sync", 14, heartbeat=60)),
        ("sync-resp-15", Document("Sync", 15)),
        (
            "sync-resp-newmail",
            Document("Sync", collections=(Synced("5", 1, "10", 1, subjects=("Hä & ü",)),)),
        ),
        (
            "aswbxml-example-sync-contact",
            Document("Sync", collections=(Synced("2", 1, "2", 1),)),
        ),
        (
            "foldersync-resp-list",
            Document(
                "FolderSync",
                1,
                key="1",
                hierarchy=(
                    Folder("5", "Inbox", 2),
                    Folder("1", "Calendar", 8),
                    Folder("2", "Contacts", 9),
                ),
            ),
        ),
        ("foldersync-resp-nochange", Document("FolderSync", 1, key="1")),
        ("foldersync-resp-140", Document("FolderSync", 140)),
        (
            "provision-resp-phase1-141-devinfo",
            Document("Provision", 1, key="1307199584", policy_status=1),
        ),
        ("provision-resp-nopolicy", Document("Provision", 1, policy_status=2)),
        ("provision-resp-wipe", Document("Provision", 1, wipe=True)),
        ("settings-resp-126", NOTHING),
    ],
)
def test_documents_of_the_specification_are_read(vector: str, expected: Document) -> None:
    """What a phone acts upon is taken out of each kind of document."""
    assert expected == documents.read(VECTORS[vector])


def test_the_most_folders_are_read() -> None:
    """A status 6 says how many folders the server allows."""
    expected = Document("Ping", 6, max_folders=200)

    assert expected == documents.read(ping("<Status>6</Status><MaxFolders>200</MaxFolders>"))


@pytest.mark.parametrize("text", ["-1", "a", "", "1" * 5000])
def test_what_is_no_number_counts_as_none(text: str) -> None:
    """A number that cannot be one is as good as absent."""
    body = ping(f"<Status>{text}</Status><HeartbeatInterval>{text}</HeartbeatInterval>")

    assert Document("Ping") == documents.read(body)


def test_a_folder_of_no_known_type_has_type_0() -> None:
    """A type that is no number does not hide its folder."""
    inner = "<Changes><Add><ServerId>5</ServerId><Type>x</Type></Add></Changes>"
    body = encode(from_xml(f'<FolderSync xmlns="FolderHierarchy:">{inner}</FolderSync>'))

    assert (Folder("5", "", 0),) == documents.read(body).hierarchy


def test_new_items_are_counted_and_named() -> None:
    """Each Add counts, whether or not it has data or a subject; a subject may be on any page."""
    body = sync(
        "<Collections><Collection><SyncKey>2</SyncKey><CollectionId>5</CollectionId>"
        "<Status>1</Status><MoreAvailable/><Commands>"
        '<Add><ApplicationData><Subject xmlns="Email:">one</Subject></ApplicationData></Add>'
        '<Add><ApplicationData><Read xmlns="Email:">1</Read></ApplicationData></Add>'
        "<Add><ServerId>5:3</ServerId></Add>"
        "<Change><ServerId>5:4</ServerId></Change>"
        '<Add><ApplicationData><Subject xmlns="Calendar:">two</Subject></ApplicationData></Add>'
        "</Commands></Collection></Collections>"
    )

    expected = (Synced("5", 1, "2", 4, has_more=True, subjects=("one", "two")),)
    assert expected == documents.read(body).collections


def test_a_folder_that_failed_has_no_key() -> None:
    """The status of a folder is its own."""
    inner = "<Collections><Collection><Status>8</Status></Collection></Collections>"

    assert (Synced("", 8, ""),) == documents.read(sync(inner)).collections


def test_equal_documents_are_one() -> None:
    """Few distinct answers exist: each is decoded once."""
    body = VECTORS["ping-resp-2"]

    assert documents.read(body) is documents.read(bytes(bytearray(body)))


@pytest.mark.parametrize(
    "body",
    [VECTORS["sync-resp-newmail"], ping(f"<Folders><Folder>{'5' * 20_000}</Folder></Folders>")],
    ids=["of a Sync", "big"],
)
def test_documents_that_do_not_come_again_are_not_kept(body: bytes) -> None:
    """Memory is for small documents, and not for those with a key of their own."""
    assert documents.read(body) is not documents.read(body)


def test_a_sync_is_known_by_its_first_bytes() -> None:
    """A part of a Sync is told from a part of another document."""
    assert documents.is_sync(VECTORS["sync-resp-newmail"][:5])
    assert documents.is_sync(sync(""))
    assert not documents.is_sync(VECTORS["ping-resp-2"])


def test_a_broken_document_is_refused() -> None:
    """A document that ends too early is an error."""
    with pytest.raises(WbxmlError, match="found the end"):
        documents.read(VECTORS["ping-resp-2"][:-1])
