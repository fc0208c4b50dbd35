"""Sync until nothing more is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loadtest.scenario.commands import (
    Answer,
    Broken,
    Collection,
    Document,
    Folder,
    FolderSync,
    Sync,
    Synced,
    Wait,
    Watched,
)
from loadtest.scenario.syncing import UNANSWERED, Digest, absorb, digest, sync
from tests.loadtest.scenario.samples import CALENDAR, INBOX, Play

if TYPE_CHECKING:
    from loadtest.scenario.memory import Memory


ENDED = ("ended", None)


def of(*collections: Collection) -> Sync:
    return Sync(collections)


def answer(*collections: Synced, status: int = 0) -> Answer:
    return Answer(200, Document("Sync", status, collections=collections))


def test_only_the_named_folders_are_synced(syncing: Memory, play: Play) -> None:
    """A Sync asks for the folders that a Ping named, with their keys."""
    found = play(sync(syncing, ["5"]), answer(Synced("5", 1, "5b", added=1)))

    assert [of(Collection(INBOX, "5a")), ENDED] == found
    assert ("5b", "1a") == syncing.keys


def test_more_is_asked_for(syncing: Memory, play: Play) -> None:
    """A folder with MoreAvailable is synced again with the new key, the others are not."""
    more = answer(Synced("5", 1, "5b", has_more=True), Synced("1", 1, "1b"))

    found = play(sync(syncing, ["5", "1"]), more, answer(Synced("5", 1, "5c")))

    assert [of(Collection(INBOX, "5b")), ENDED] == found[1:]


def test_a_first_key_is_used_at_once(syncing: Memory, play: Play) -> None:
    """The answer to key 0 brings a key only: the items are asked for with it."""
    syncing.learn({"5": "0"})

    found = play(
        sync(syncing, ()), answer(Synced("5", 1, "5b")), answer(Synced("5", 1, "5c", added=9))
    )

    assert [of(Collection(INBOX, "0")), of(Collection(INBOX, "5b")), ENDED] == found


def test_nothing_to_sync_sends_nothing(syncing: Memory, play: Play) -> None:
    """Folders that nobody watches need no Sync."""
    assert [ENDED] == play(sync(syncing, ["77"]))


def test_a_phone_that_does_not_sync_sends_nothing(memory: Memory, play: Play) -> None:
    """A phone without Sync goes on at once."""
    assert [ENDED] == play(sync(memory, ["5"]))


def test_an_empty_answer_is_no_change(syncing: Memory, play: Play) -> None:
    """An answer without a body leaves the keys and ends the Sync."""
    found = play(sync(syncing, ["5"]), Answer(200))

    assert ([of(Collection(INBOX, "5a")), ENDED], ("5a", "1a")) == (found, syncing.keys)


def test_a_server_without_sync_ends_it(syncing: Memory, play: Play) -> None:
    """An HTTP 501 ends the Sync, also where folders have no key yet."""
    syncing.learn({"5": "0"})

    assert [of(Collection(INBOX, "0")), ENDED] == play(sync(syncing, ()), Answer(501))


def test_a_broken_sync_is_repeated(syncing: Memory, play: Play) -> None:
    """A Sync without an answer is repeated after a back-off."""
    found = play(sync(syncing, ["5"]), Broken("closed"), None)

    assert [Wait(1.0), of(Collection(INBOX, "5a"))] == found[1:]


def test_a_lost_key_begins_anew(syncing: Memory, play: Play) -> None:
    """After status 3 the folder is synced from key 0, at once the first time."""
    found = play(sync(syncing, ["5"]), answer(Synced("5", 3, "")))

    assert [of(Collection(INBOX, "5a")), of(Collection(INBOX, "0"))] == found


def test_a_key_that_is_lost_again_waits(syncing: Memory, play: Play) -> None:
    """A server that refuses the key it has just given does not get a busy loop."""
    lost, begun = answer(Synced("5", 3, "")), answer(Synced("5", 1, "5b"))

    found = play(sync(syncing, ["5"]), lost, begun, lost, None)

    assert [of(Collection(INBOX, "5b")), Wait(1.0), of(Collection(INBOX, "0"))] == found[2:]


def test_a_changed_hierarchy_is_fetched(syncing: Memory, play: Play) -> None:
    """After status 12 the phone asks for the hierarchy and syncs what it finds new."""
    moved = (Folder("55", "Inbox", 2), Folder("1", "Calendar", 8))
    hierarchy = Answer(200, Document("FolderSync", 1, hierarchy=moved))

    found = play(sync(syncing, ["5"]), answer(Synced("5", 12, "")), hierarchy)

    assert [FolderSync(), of(Collection(Watched("55", "Email", "INBOX"), "0"))] == found[1:]


def test_another_status_waits(syncing: Memory, play: Play) -> None:
    """A folder whose Sync failed is synced again after a back-off."""
    found = play(sync(syncing, ["5"]), answer(Synced("5", 5, "")), None)

    assert [Wait(1.0), of(Collection(INBOX, "5a"))] == found[1:]


def test_a_first_key_that_does_not_come_waits(syncing: Memory, play: Play) -> None:
    """A server that gives no first key does not get a busy loop."""
    syncing.learn({"5": "0"})

    found = play(sync(syncing, ()), Answer(200), None)

    assert [of(Collection(INBOX, "0")), Wait(1.0), of(Collection(INBOX, "0"))] == found


@pytest.mark.parametrize(("complains", "faults"), [(False, 0), (True, 2)])
def test_a_good_answer_settles(
    syncing: Memory, play: Play, *, complains: bool, faults: int
) -> None:
    """A Sync that succeeded ends the row of faults, one with a complaint adds to it."""
    syncing.pause()
    collections = [Synced("5", 5 if complains else 1, "5b")]

    play(absorb(syncing, syncing.collections(["5"]), answer(*collections).document))

    assert faults == syncing.faults


def test_a_first_key_does_not_settle(syncing: Memory, play: Play) -> None:
    """The answer to key 0 alone does not show that the server is well."""
    syncing.learn({"5": "0"})
    syncing.pause()

    play(absorb(syncing, syncing.collections(()), answer(Synced("5", 1, "5b")).document))

    assert 1 == syncing.faults


def test_a_lost_request_begins_anew_with_all_its_folders() -> None:
    """Status 3 of the whole answer puts each folder that was sent back to key 0."""
    sent = (Collection(INBOX, "5a"), Collection(CALENDAR, "1a"))

    found = digest(sent, answer(status=3).document)

    assert Digest({"5": "0", "1": "0"}, frozenset({"5", "1"}), frozenset({3})) == found


def test_a_failed_request_is_pending() -> None:
    """Another status of the whole answer leaves the keys, and everything to be asked for."""
    found = digest((Collection(INBOX, "5a"),), answer(status=5).document)

    assert Digest({}, frozenset({"5"}), frozenset({5})) == found


def test_a_success_without_a_key_brings_nothing() -> None:
    """A folder that answers well without a key keeps the one it has."""
    found = digest((Collection(INBOX, "5a"),), answer(Synced("5", 1, "")).document)

    assert Digest({}, frozenset(), frozenset()) == found


def test_a_missing_first_key_is_a_complaint() -> None:
    """A folder that was to get its first key and got none is complained about."""
    found = digest((Collection(INBOX, "0"),), answer(Synced("5", 1, "")).document)

    assert Digest({}, frozenset(), frozenset({UNANSWERED})) == found
