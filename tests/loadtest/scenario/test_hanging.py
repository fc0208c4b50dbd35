"""Wait with a Sync that hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadtest.scenario.commands import (
    Answer,
    Broken,
    Collection,
    Document,
    FolderSync,
    Habits,
    Options,
    Ping,
    Provision,
    Sync,
    Synced,
    Wait,
)
from loadtest.scenario.hanging import hanging
from loadtest.scenario.memory import Memory
from loadtest.scenario.pace import FIXED
from tests.loadtest.scenario.samples import INBOX, Play

if TYPE_CHECKING:
    from loadtest.scenario.commands import Script


FIRST = Sync((Collection(INBOX, "0"),))
UNCHANGED = Answer(200)


def of(key: str, wait: int = 480) -> Sync:
    return Sync((Collection(INBOX, key),), wait=wait)


def synced(key: str, *, status: int = 1, has_more: bool = False) -> Answer:
    collections = (Synced("5", status, key, has_more=has_more),)
    return Answer(200, Document("Sync", collections=collections))


def of_status(status: int, **facts: Any) -> Answer:
    return Answer(200, Document("Sync", status, **facts))


def script(*, is_terse: bool = False) -> Script:
    """Begin where the phone comes back with its folder."""
    habits = Habits(known=(INBOX,), watches=("INBOX",), is_terse=is_terse)
    return hanging(Memory(habits, 0.5, FIXED, syncs=True))


READY = (synced("a"), synced("b"))
"""Answers to the Syncs before the one that waits."""


def test_a_new_phone_prepares_and_waits(play: Play, hierarchy: Answer) -> None:
    """A phone prepares, syncs, then waits with a full Sync."""
    phone = hanging(Memory(Habits(watches=("INBOX",)), 0.5, FIXED, syncs=True))

    found = play(phone, Answer(200), hierarchy, *READY)

    assert [Options(), FolderSync(), FIRST, of("a", 0), of("b")] == found


def test_a_phone_that_comes_back_fetches_its_keys(play: Play) -> None:
    """A phone that knows its folders begins with their first keys."""
    assert [FIRST, of("a", 0), of("b")] == play(script(), *READY)


def test_an_interval_without_changes_is_repeated(play: Play) -> None:
    """An empty answer means no changes: the phone waits again with its whole body."""
    assert [of("b"), of("b")] == play(script(), *READY, UNCHANGED)[2:]


def test_a_terse_phone_repeats_with_an_empty_request(play: Play) -> None:
    """A terse phone sends no body after an empty answer, and a full one when keys changed."""
    found = play(script(is_terse=True), *READY, UNCHANGED, UNCHANGED, synced("c"))

    assert [of("b"), Sync((), wait=480), Sync((), wait=480), of("c")] == found[2:]


def test_changes_come_with_the_answer(play: Play) -> None:
    """After changes the phone waits with the new key at once."""
    assert of("c") == play(script(), *READY, synced("c"))[-1]


def test_more_is_fetched_at_once(play: Play) -> None:
    """A folder with MoreAvailable is synced without waiting first."""
    found = play(script(), *READY, synced("c", has_more=True), synced("d"))

    assert [of("c", 0), of("d")] == found[-2:]


def test_status_3_begins_anew(play: Play) -> None:
    """A folder whose key is not valid any more is synced from key 0."""
    assert FIRST == play(script(), *READY, synced("", status=3))[-1]


def test_status_12_asks_for_the_hierarchy(play: Play, hierarchy: Answer) -> None:
    """A changed hierarchy is fetched, and the request repeated."""
    found = play(script(), *READY, of_status(12), hierarchy, UNCHANGED)

    assert [FolderSync(), of("b", 0), of("b")] == found[3:]


def test_status_13_makes_a_terse_phone_send_its_body(play: Play) -> None:
    """A server that has no cached request gets the whole one, the second time after a pause."""
    found = play(script(is_terse=True), *READY, UNCHANGED, of_status(13), of_status(13), None)

    assert [Sync((), wait=480), of("b"), Wait(1.0), of("b")] == found[3:]


def test_status_14_sets_the_interval(play: Play) -> None:
    """The phone waits for as long as the server's Limit."""
    assert of("b", 300) == play(script(), *READY, of_status(14, heartbeat=300))[-1]


@pytest.mark.parametrize("status", [5, 14, 15, 16])
def test_a_failed_request_is_repeated_after_a_pause(play: Play, status: int) -> None:
    """A status that asks for nothing the phone can do is a fault."""
    found = play(script(), *READY, of_status(status), None)

    assert [of("b"), Wait(1.0), of("b", 0)] == found[2:]


@pytest.mark.parametrize("outcome", [Broken("closed"), Answer(503), of_status(111)])
def test_a_fault_is_followed_by_a_pause(play: Play, outcome: Any) -> None:
    """A request without a good answer is repeated with its body after a back-off."""
    found = play(script(is_terse=True), *READY, UNCHANGED, outcome, None)

    assert [Sync((), wait=480), Wait(1.0), of("b")] == found[3:]


def test_a_demanded_policy_is_fetched(play: Play) -> None:
    """A phone that is told to provision does so, and waits again under the new policy."""
    offer = Answer(200, Document("Provision", 1, key="7", policy_status=1))

    found = play(script(), *READY, of_status(142), offer, offer)

    expected = Sync(of("b").collections, policy="7", wait=480)
    assert [Provision, Provision] == [type(one) for one in found[3:5]]
    assert expected == found[-1]


@pytest.mark.parametrize("ready", [(), READY])
def test_a_server_without_sync_gets_pings(play: Play, ready: tuple[Answer, ...]) -> None:
    """A phone that met HTTP 501 waits with Pings from then on."""
    ping = Ping(480, (INBOX,))

    found = play(script(), *ready, Answer(501), Answer(200, Document("Ping", 1)))

    assert [ping, ping] == found[-2:]


def test_a_refused_phone_ends(play: Play) -> None:
    """A phone that is refused sends nothing more."""
    assert ("ended", None) == play(script(), *READY, Answer(401))[-1]
