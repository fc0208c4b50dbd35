"""What answers come to in figures and account, from plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from loadtest.figures import Figures
from loadtest.phones.account import Account, Change
from loadtest.phones.phone import Phone
from loadtest.phones.twin import Twin
from loadtest.phones.witness import TAG, Witness
from loadtest.scenario.commands import (
    Answer,
    Collection,
    Document,
    FolderSync,
    Options,
    Ping,
    Sync,
    Synced,
    Watched,
)

if TYPE_CHECKING:
    from loadtest.scenario.commands import Command

INBOX = Watched("5", "Email", "INBOX")
CALENDAR = Watched("1", "Calendar", "Calendar")
PING = Ping(480, (INBOX, CALENDAR))
SYNC = Sync((Collection(INBOX, "7"),))
HANGING = Sync((Collection(INBOX, "7"), Collection(CALENDAR, "8")), wait=480)
SETTLE = 1.0


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def account(figures: Figures) -> Account:
    return Account(1, figures, slo=1.0)


@pytest.fixture
def witness(figures: Figures, account: Account) -> Witness:
    return Witness(figures, account, settle=SETTLE)


def phone(command: Command, sent_at: float = 100.0) -> Phone:
    found = Phone(cast("Any", None), 0)
    found.command, found.sent_at, found.watched = command, sent_at, (INBOX, CALENDAR)
    return found


@pytest.fixture
def waiting(account: Account) -> Phone:
    """A phone that has to hear of everything; its Ping was sent at 100."""
    account.arm(0, 0.0)
    return phone(PING)


def publish(
    account: Account,
    at: float,
    *,
    watch: str = "INBOX",
    recorded_at: float | None = None,
    tag: str = "",
) -> None:
    """Enter a change that the backend recorded at once, unless told otherwise."""
    recorded = at if recorded_at is None else recorded_at
    change = Change(tag or f"{at:g}", 0, watch, at, has_tag=bool(tag), recorded_at=recorded)
    account.publish(change, [(0, bool(tag))])


def pinged(status: int, *folders: str) -> Answer:
    return Answer(200, Document("Ping", status, folders))


def synced(*collections: Synced, status: int = 0) -> Answer:
    return Answer(200, Document("Sync", status, collections=collections))


# Waiting and breaking.


def test_the_first_ping_counts_from_the_arrival(witness: Witness, figures: Figures) -> None:
    """A phone's first Ping ends its first hold, which began at its intended arrival."""
    one = phone(PING)
    one.since = 99.0

    witness.sent(one)

    assert figures.latency("first_hold").max == pytest.approx(1.0, rel=0.001)
    assert (0, 0.0) == (figures.latency("reconnect").count, one.since)


def test_a_ping_after_a_break_is_a_reconnect(
    witness: Witness, figures: Figures, waiting: Phone
) -> None:
    """A later Ping after a broken connection counts from the break."""
    waiting.since = 98.0

    witness.sent(waiting)

    assert figures.latency("reconnect").max == pytest.approx(2.0, rel=0.001)
    assert 0 == figures.latency("first_hold").count


def test_a_ping_after_an_answer_is_neither(
    witness: Witness, figures: Figures, waiting: Phone
) -> None:
    """A Ping on a connection that lasts has no duration of its own."""
    witness.sent(waiting)

    assert {} == figures.histograms


@pytest.mark.parametrize(("at", "expected"), [(100.9, False), (101.0, True)])
def test_a_phone_is_given_time_to_settle(
    witness: Witness, account: Account, at: float, expected: object
) -> None:
    """Some time after its first Ping was sent, a phone has to hear of changes."""
    witness.sent(phone(PING, 100.0))

    assert expected == account.expects(0, at)


def test_an_answer_settles_a_phone(witness: Witness, account: Account) -> None:
    """A server that answered a Ping knows the phone from then on."""
    one = phone(PING, 100.0)
    witness.sent(one)

    witness.answered(one, pinged(2, "5"), 100.5)

    assert account.expects(0, 100.5)


@pytest.mark.parametrize("answer", [Answer(503), pinged(5), pinged(8)], ids=["503", "5", "8"])
def test_a_refused_first_ping_settles_nothing(
    witness: Witness, account: Account, answer: Answer
) -> None:
    """A server that refuses a phone's first Ping need not know of the phone."""
    one = phone(PING, 100.0)
    witness.sent(one)

    witness.answered(one, answer, 100.1)

    assert not account.expects(0, 200.0)


def test_the_ping_after_a_refused_one_is_a_first_one(witness: Witness, account: Account) -> None:
    """A phone that was refused is given time to settle once more."""
    witness.sent(phone(PING, 100.0))
    witness.answered(phone(PING, 100.0), Answer(503), 100.1)

    witness.sent(phone(PING, 130.0))

    assert (False, True) == (account.expects(0, 130.9), account.expects(0, 131.0))


def test_a_broken_first_ping_settles_nothing(witness: Witness, account: Account) -> None:
    """A connection that breaks at once may have broken before the server read the Ping."""
    one = phone(PING, 100.0)
    witness.sent(one)

    witness.broke(one, 100.1)

    assert not account.expects(0, 200.0)


def test_a_break_excuses_nothing(witness: Witness, account: Account, waiting: Phone) -> None:
    """A phone that had to hear of changes has to after a broken connection as well."""
    witness.broke(waiting, 150.0)

    assert account.expects(0, 150.0)


# Pings.


@pytest.mark.parametrize(
    ("at", "histogram", "interval"),
    [
        (579.5, "heartbeat_early", 0.5),
        (578.0, "heartbeat_early", 2.0),
        (580.25, "heartbeat_late", 0.25),
    ],
)
def test_the_error_of_a_heartbeat_is_measured(
    witness: Witness, figures: Figures, *, at: float, histogram: str, interval: float
) -> None:
    """A Ping of 480 s sent at 100 is answered early or late by its distance to 580."""
    witness.answered(phone(PING), pinged(1), at)

    assert figures.latency(histogram).max == pytest.approx(interval, rel=0.001)
    assert ({"answers": 1, "pings": 1}, 1) == (dict(figures.counts), len(figures.histograms))


def test_a_heartbeat_far_too_early_is_cut_short(witness: Witness, figures: Figures) -> None:
    """An answer of status 1 more than 2 s before the end is no heartbeat error."""
    witness.answered(phone(PING), pinged(1), 577.9)

    assert (1, {}) == (figures.counts["cut_short"], figures.histograms)


def test_each_named_folder_is_entered(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """An answer that names two folders covers a change of each."""
    publish(account, 110.0)
    publish(account, 110.1, watch="Calendar")

    witness.answered(waiting, pinged(2, "5", "1"), 110.2)

    assert (2, 0) == (figures.counts["received"], account.open)


def test_a_folder_that_is_not_watched_is_spurious(
    witness: Witness, figures: Figures, waiting: Phone
) -> None:
    """A server that names a folder nobody asked for is told of."""
    witness.answered(waiting, pinged(2, "17"), 110.2)

    assert 1 == figures.counts["spurious"]


def test_a_change_without_a_folder_is_an_error(
    witness: Witness, figures: Figures, waiting: Phone
) -> None:
    """Status 2 has to name what changed."""
    witness.answered(waiting, pinged(2), 110.2)

    assert {"Ping status 2 without a folder": 1} == figures.errors


def test_a_round_trip_needs_a_waiting_change(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """A Ping that two recorded changes were waiting for is one round trip."""
    publish(account, 99.0)
    publish(account, 99.5, watch="Calendar")

    witness.answered(waiting, pinged(2, "5", "1"), 100.25)

    assert figures.latency("ping").max == pytest.approx(0.25, rel=0.001)
    assert 1 == figures.latency("ping").count


@pytest.mark.parametrize(("at", "recorded_at"), [(110.0, 110.1), (99.0, 100.1)])
def test_a_ping_that_waited_is_no_round_trip(
    witness: Witness,
    account: Account,
    figures: Figures,
    waiting: Phone,
    *,
    at: float,
    recorded_at: float,
) -> None:
    """What the backend recorded after the Ping was sent had not been waiting for it."""
    publish(account, at, recorded_at=recorded_at)

    witness.answered(waiting, pinged(2, "5"), 110.2)

    assert 0 == figures.latency("ping").count


def test_a_twin_answers_for_its_phone(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """An answer to a twin's Ping covers the phone's changes, whatever the phone does meanwhile."""
    twin = Twin(waiting, PING, b"")
    twin.sent_at = 100.0
    waiting.command, waiting.sent_at = SYNC, 110.1
    publish(account, 110.0)

    witness.answered_beside(twin, pinged(2, "5"), 110.2)

    assert {"answers": 1, "pings": 1} == {
        name: figures.counts[name] for name in ("answers", "pings")
    }
    assert (1, {}) == (figures.counts["received"], figures.errors)


# Syncs.


@pytest.mark.parametrize("command", [Options(), FolderSync(), SYNC])
def test_other_commands_are_timed(
    witness: Witness, figures: Figures, command: Options | FolderSync | Sync
) -> None:
    """OPTIONS, FolderSync and a Sync that does not wait are answered at once."""
    witness.answered(phone(command), Answer(200), 100.25)

    assert figures.latency("command").max == pytest.approx(0.25, rel=0.001)
    assert (0, {}) == (figures.counts["pings"], figures.errors)


def test_tags_are_found_in_subjects(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """A fetched item with the tag of a change delivers it; other subjects say nothing."""
    publish(account, 99.0, tag="r-1")
    publish(account, 99.1, tag="r-2")
    waiting.command = SYNC
    subjects = ("Lunch?", f"{TAG}r-1", f"Re: {TAG}r-2")

    witness.answered(waiting, synced(Synced("5", 1, "8", 3, subjects=subjects)), 100.25)

    assert (1, 1) == (figures.counts["received"], account.open)
    assert figures.latency("delivered").max == pytest.approx(1.25, rel=0.001)


def test_a_tag_in_another_folder_is_not_looked_for(
    witness: Witness, account: Account, waiting: Phone
) -> None:
    """Only folders that the phone watches are entered."""
    publish(account, 99.0, tag="r-1")
    waiting.command = SYNC

    witness.answered(waiting, synced(Synced("17", 1, "8", 1, subjects=(f"{TAG}r-1",))), 100.2)

    assert 1 == account.open


def test_an_empty_answer_has_brought_everything(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """A Sync without news says of each of its folders that the phone has all of it."""
    publish(account, 99.0)
    publish(account, 99.0, watch="Calendar")
    waiting.command = SYNC

    witness.answered(waiting, Answer(200), 100.2)

    assert (1, 1) == (figures.counts["received"], account.open)


def test_a_hanging_sync_that_lasts_is_a_heartbeat(
    witness: Witness, account: Account, figures: Figures
) -> None:
    """An empty answer to a waiting Sync has a heartbeat error, and settles the phone."""
    one = phone(HANGING)
    witness.sent(one)

    witness.answered(one, Answer(200), 579.5)

    assert figures.latency("heartbeat_early").max == pytest.approx(0.5, rel=0.001)
    assert (0, True) == (figures.latency("command").count, account.expects(0, 579.5))


def test_a_hanging_sync_that_lasts_covers_nothing(
    witness: Witness, account: Account, waiting: Phone
) -> None:
    """A change that a waiting Sync was not told of stays open."""
    publish(account, 99.0)
    waiting.command = HANGING

    witness.answered(waiting, Answer(200), 579.5)

    assert 1 == account.open


def test_a_hanging_sync_names_the_folders_with_new_items(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """New items end a waiting Sync as status 2 ends a Ping; a folder without any is not named."""
    publish(account, 110.0)
    publish(account, 110.0, watch="Calendar")
    waiting.command = HANGING

    witness.answered(waiting, synced(Synced("5", 1, "8", 1), Synced("1", 1, "9")), 110.5)

    assert (1, 1) == (figures.latency("notify").count, figures.counts["received"])


def test_a_hanging_sync_delivers_tags(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """A waiting Sync both tells of a change and brings it."""
    publish(account, 110.0, tag="r-1")
    waiting.command = HANGING

    witness.answered(waiting, synced(Synced("5", 1, "8", 1, subjects=(f"{TAG}r-1",))), 110.5)

    assert (1, 1, 0) == (
        figures.latency("notify").count,
        figures.latency("delivered").count,
        account.open,
    )


@pytest.mark.parametrize(
    "answer",
    [synced(status=13), synced(Synced("5", 3, "")), Answer(503), Answer(501)],
    ids=["13", "3", "503", "501"],
)
def test_a_refused_hanging_sync_settles_nothing(
    witness: Witness, account: Account, answer: Answer
) -> None:
    """A server that refuses a phone's first waiting Sync need not know of the phone."""
    one = phone(HANGING)
    witness.sent(one)

    witness.answered(one, answer, 100.1)

    assert not account.expects(0, 200.0)


def test_a_server_without_sync_is_no_error(
    witness: Witness, account: Account, figures: Figures, waiting: Phone
) -> None:
    """HTTP 501 to a Sync is counted apart, and from then on answers cover tagged changes."""
    waiting.command = SYNC
    witness.answered(waiting, Answer(501), 100.1)
    publish(account, 110.0, tag="r-1")
    waiting.command = PING

    witness.answered(waiting, pinged(2, "5"), 110.5)

    assert (1, {}) == (figures.counts["no_sync"], figures.errors)
    assert (1, 0) == (figures.counts["received"], account.open)


# Errors.


@pytest.mark.parametrize(
    ("command", "answer", "kind"),
    [
        (PING, Answer(401), "HTTP 401"),
        (PING, Answer(501), "HTTP 501"),
        (SYNC, Answer(503), "HTTP 503"),
        (PING, Answer(200), "Ping status 0"),
        (PING, pinged(7), "Ping status 7"),
        (SYNC, synced(status=12), "Sync status 12"),
        (SYNC, synced(Synced("5", 8, "")), "Sync status 8"),
        (FolderSync(), Answer(200, Document("FolderSync", 9)), "FolderSync status 9"),
    ],
)
def test_a_refusal_is_counted_by_its_kind(
    witness: Witness, figures: Figures, *, command: Ping | Sync, answer: Answer, kind: str
) -> None:
    """Statuses of HTTP and of commands that are no success are errors."""
    witness.answered(phone(command), answer, 100.1)

    assert {kind: 1} == figures.errors
