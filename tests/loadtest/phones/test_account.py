"""Which change reached which phone, from plain numbers."""

from __future__ import annotations

import math

import pytest

from loadtest.figures import Figures
from loadtest.phones.account import Account, Change

PHONES = 3
ANN, BEN, CAT = range(PHONES)
"""Phones that watch the INBOX of mailbox 0 and wait for changes since time 0."""


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def account(figures: Figures) -> Account:
    found = Account(PHONES, figures, slo=1.0)
    for phone in range(PHONES):
        found.arm(phone, 0.0)
    return found


def change(at: float, *, recorded_at: float = math.inf, **fields: object) -> Change:
    return Change(f"c{at:g}", 0, "INBOX", at, recorded_at=recorded_at, **fields)


def publish(account: Account, *changes: Change, fetches: bool = False) -> None:
    for one in changes:
        account.publish(one, [(ANN, fetches)])


def counts(figures: Figures) -> dict[str, int]:
    return dict(+figures.counts)


# Rule 1: from the intended time.


def test_an_answer_covers_a_change(account: Account, figures: Figures) -> None:
    """A change is received when the phone that watches its folder is told so."""
    publish(account, change(10.0))

    account.name(ANN, "INBOX", 10.5)

    assert {"published": 1, "expected": 1, "received": 1} == counts(figures)
    assert 0 == account.open


def test_latency_counts_from_the_intended_time(account: Account, figures: Figures) -> None:
    """How late the backend recorded a change is a part of its latency."""
    publish(account, change(10.0, recorded_at=10.2))

    account.name(ANN, "INBOX", 10.25)

    assert figures.latency("notify").max == pytest.approx(0.25, rel=0.001)


@pytest.mark.parametrize(("at", "late"), [(11.0, 0), (11.01, 1)])
def test_a_change_that_takes_longer_than_the_slo_is_late(
    account: Account, figures: Figures, at: float, late: int
) -> None:
    """A change is received all the same, and late from beyond the promised time on."""
    publish(account, change(10.0))

    account.name(ANN, "INBOX", at)

    assert (1, late) == (figures.counts["received"], figures.counts["late"])


def test_an_answer_before_the_intended_time_covers_nothing(account: Account) -> None:
    """An answer that came before a change cannot have told of it."""
    publish(account, change(10.0))

    account.name(ANN, "INBOX", 9.9)

    assert 1 == account.open


# Rule 2: what an answer covers.


def test_another_folder_covers_nothing(account: Account, figures: Figures) -> None:
    """An answer that names another folder leaves the change open."""
    publish(account, change(10.0))

    account.name(ANN, "Calendar", 10.5)

    assert (1, 1) == (account.open, figures.counts["spurious"])


def test_each_phone_has_to_hear_of_a_change(account: Account, figures: Figures) -> None:
    """The phones of one mailbox are so many pairs, and each answer covers one of them."""
    account.publish(change(10.0), [(ANN, False), (BEN, False), (CAT, False)])

    account.name(BEN, "INBOX", 10.5)

    assert (3, 1, 2) == (figures.counts["expected"], figures.counts["received"], account.open)
    assert [ANN, CAT] == [phone for phone, _ in account.missed()]


def test_an_answer_covers_all_that_was_recorded_by_then(account: Account, figures: Figures) -> None:
    """Two recorded changes of one folder take one answer."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2, recorded_at=10.3))

    account.name(ANN, "INBOX", 10.4)

    assert 2 == figures.counts["received"]


def test_an_answer_may_overtake_the_word_of_the_backend(account: Account, figures: Figures) -> None:
    """The oldest change is covered even if the backend has not confirmed it yet."""
    publish(account, change(10.0))

    recorded_at = account.name(ANN, "INBOX", 10.1)

    assert (1, math.inf) == (figures.counts["received"], recorded_at)


def test_the_answer_tells_when_its_change_was_recorded(account: Account) -> None:
    """Of several covered changes the first recorded one counts."""
    publish(account, change(10.0, recorded_at=10.3), change(10.2, recorded_at=10.25))

    assert 10.25 == account.name(ANN, "INBOX", 10.4)


def test_a_change_on_its_way_is_in_doubt(account: Account, figures: Figures) -> None:
    """A later change not yet recorded may or may not be in an answer: it cannot be missed."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2))

    account.name(ANN, "INBOX", 10.3)

    assert {"published": 2, "expected": 1, "unsure": 1, "received": 1} == counts(figures)
    assert ([], 0) == (list(account.missed()), account.open)


def test_an_answer_of_its_own_ends_the_doubt(account: Account, figures: Figures) -> None:
    """When only a doubtful change can explain the next answer, it is received with its latency."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2, recorded_at=10.4))
    account.name(ANN, "INBOX", 10.3)

    account.name(ANN, "INBOX", 10.7)

    assert {"published": 2, "expected": 2, "received": 2} == counts(figures)
    assert figures.latency("notify").max == pytest.approx(0.5, rel=0.001)


def test_an_answer_with_another_reason_leaves_the_doubt(account: Account, figures: Figures) -> None:
    """A doubtful change gets no latency from an answer that a newer change explains."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2, recorded_at=10.4))
    account.name(ANN, "INBOX", 10.3)
    publish(account, change(99.0, recorded_at=99.1))

    account.name(ANN, "INBOX", 99.2)

    assert {"published": 3, "expected": 2, "unsure": 1, "received": 2} == counts(figures)
    assert figures.latency("notify").max == pytest.approx(0.3, rel=0.001)


def test_the_second_of_two_doubtful_changes_stays_in_doubt(
    account: Account, figures: Figures
) -> None:
    """One answer ends the doubt of the oldest change, not of one that is still on its way."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2), change(10.3))
    account.name(ANN, "INBOX", 10.4)

    account.name(ANN, "INBOX", 10.5)

    assert (2, 1) == (figures.counts["received"], figures.counts["unsure"])


# Answers too many.


def test_a_second_report_is_a_duplicate(account: Account, figures: Figures) -> None:
    """A folder that is named again without a change is a duplicate."""
    publish(account, change(10.0, recorded_at=10.1))
    account.name(ANN, "INBOX", 10.5)

    account.name(ANN, "INBOX", 10.6)

    assert (1, 0) == (figures.counts["duplicate"], figures.counts["spurious"])


def test_a_report_out_of_nowhere_is_spurious(account: Account, figures: Figures) -> None:
    """A folder that this phone never had to hear of is spurious, whatever others reported."""
    publish(account, change(10.0))
    account.name(ANN, "INBOX", 10.5)

    account.name(BEN, "INBOX", 10.6)

    assert (0, 1) == (figures.counts["duplicate"], figures.counts["spurious"])


def test_one_more_report_is_allowed_after_several_changes(
    account: Account, figures: Figures
) -> None:
    """The server may have seen only the first of several changes; a third report is too many."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2, recorded_at=10.3))
    account.name(ANN, "INBOX", 10.4)

    found = []
    for at in (10.5, 10.6):
        account.name(ANN, "INBOX", at)
        found.append(figures.counts["duplicate"])

    assert [0, 1] == found


# Rule 3: tags.


def test_a_tagged_change_is_covered_by_its_tag_alone(account: Account, figures: Figures) -> None:
    """A named folder is no proof where the phone finds the change in what it fetches."""
    one = change(10.0, recorded_at=10.1, has_tag=True)
    publish(account, one, fetches=True)

    account.name(ANN, "INBOX", 10.2)
    account.fetch(ANN, "INBOX", ["other"], asked=10.2, at=10.3)

    assert [(ANN, one)] == list(account.missed())
    assert 1 == figures.latency("notify").count


def test_a_tag_covers_exactly_its_change(account: Account, figures: Figures) -> None:
    """Of two tagged changes the one that was found is delivered, the other is missed."""
    first = change(10.0, recorded_at=10.1, has_tag=True)
    second = change(10.2, recorded_at=10.3, has_tag=True)
    publish(account, first, second, fetches=True)

    account.fetch(ANN, "INBOX", ["c10.2"], asked=10.4, at=10.5)

    assert [(ANN, first)] == list(account.missed())
    assert figures.latency("delivered").max == pytest.approx(0.3, rel=0.001)


def test_a_tagged_change_is_told_once(account: Account, figures: Figures) -> None:
    """A folder that is named again before its change was fetched is a duplicate."""
    publish(account, change(10.0, recorded_at=10.1, has_tag=True), fetches=True)
    account.name(ANN, "INBOX", 10.2)

    account.name(ANN, "INBOX", 10.3)

    assert (1, 1) == (figures.counts["duplicate"], figures.latency("notify").count)


def test_a_tagged_change_is_never_in_doubt(account: Account) -> None:
    """A tagged change that was on its way when an answer came has to be fetched later."""
    first = change(10.0, recorded_at=10.1, has_tag=True)
    second = change(10.2, has_tag=True)
    publish(account, first, second, fetches=True)

    account.name(ANN, "INBOX", 10.3)
    account.fetch(ANN, "INBOX", ["c10"], asked=10.3, at=10.4)

    assert [(ANN, second)] == list(account.missed())


def test_a_phone_that_only_pings_needs_no_tag(account: Account) -> None:
    """A tagged change is covered by an answer where the phone never synchronises."""
    publish(account, change(10.0, has_tag=True), fetches=False)

    account.name(ANN, "INBOX", 10.2)

    assert 0 == account.open


def test_without_sync_answers_count(account: Account, figures: Figures) -> None:
    """Once a server turned out to have no Sync, what was named is received, now and later."""
    named = change(10.0, recorded_at=10.1, has_tag=True)
    later = change(10.2, has_tag=True)
    publish(account, named, later, fetches=True)
    account.name(ANN, "INBOX", 10.15)

    account.without_sync(ANN, 10.3)
    found = [figures.counts["received"]]
    account.name(ANN, "INBOX", 10.4)
    publish(account, change(11.0, has_tag=True), fetches=True)
    account.name(ANN, "INBOX", 11.1)

    assert [1, 3] == [*found, figures.counts["received"]]


# Fetching without tags.


def test_a_sync_covers_what_was_recorded_when_it_was_asked(
    account: Account, figures: Figures
) -> None:
    """Without tags, a Sync has brought what the backend had before; the rest is in doubt."""
    publish(account, change(10.0, recorded_at=10.1), change(10.2, recorded_at=10.4))

    account.fetch(ANN, "INBOX", [], asked=10.3, at=10.5)

    assert {"published": 2, "expected": 1, "unsure": 1, "received": 1} == counts(figures)


def test_a_fetched_change_may_be_named_once_more(account: Account, figures: Figures) -> None:
    """A Ping may still name what a Sync has brought already, but only once."""
    publish(account, change(10.0, recorded_at=10.1))
    account.fetch(ANN, "INBOX", [], asked=10.2, at=10.3)

    found = []
    for at in (10.4, 10.5):
        account.name(ANN, "INBOX", at)
        found.append(figures.counts["duplicate"] + figures.counts["spurious"])

    assert [0, 1] == found


def test_a_fetch_after_a_report_allows_no_other_report(account: Account, figures: Figures) -> None:
    """A change that was named and then fetched must not be named again."""
    publish(account, change(10.0, recorded_at=10.1, has_tag=True), fetches=True)
    account.name(ANN, "INBOX", 10.2)
    account.fetch(ANN, "INBOX", ["c10"], asked=10.2, at=10.3)

    account.name(ANN, "INBOX", 10.4)

    assert 1 == figures.counts["duplicate"]


# Rule 4: the first Ping.


def test_a_phone_that_never_waited_has_to_hear_of_nothing(figures: Figures) -> None:
    """A change that comes before a phone's first Ping is unsure, and cannot be missed."""
    account = Account(PHONES, figures, slo=1.0)
    publish(account, change(10.0))

    assert {"published": 1, "unsure": 1} == counts(figures)
    assert ([], 0, False) == (list(account.missed()), account.open, account.is_armed(ANN))


@pytest.mark.parametrize(("at", "expected"), [(9.9, 0), (10.0, 1)])
def test_changes_are_expected_from_a_time_on(figures: Figures, at: float, expected: int) -> None:
    """A phone has to hear of a change from the earliest time on that it was armed with."""
    account = Account(PHONES, figures, slo=1.0)
    for since in (12.0, 10.0, 11.0):
        account.arm(ANN, since)

    publish(account, change(at))

    assert (expected, bool(expected)) == (account.open, account.expects(ANN, at))


def test_an_unsure_change_has_no_latency(figures: Figures) -> None:
    """A phone may be told of a change it need not hear of: neither received nor spurious."""
    account = Account(PHONES, figures, slo=1.0)
    account.arm(ANN, 11.0)
    publish(account, change(10.0, recorded_at=10.1))

    recorded_at = account.name(ANN, "INBOX", 10.2)

    assert ({"published": 1, "unsure": 1}, math.inf) == (counts(figures), recorded_at)
    assert 0 == figures.latency("notify").count


def test_an_unsure_change_may_be_fetched(figures: Figures) -> None:
    """What a phone's first Sync brings counts as unsure as before."""
    account = Account(PHONES, figures, slo=1.0)
    publish(account, change(10.0, recorded_at=10.1, has_tag=True), fetches=True)

    account.fetch(ANN, "INBOX", ["c10"], asked=10.2, at=10.3)

    assert {"published": 1, "unsure": 1} == counts(figures)
    assert 0 == figures.latency("delivered").count


def test_an_unsure_change_does_not_stand_before_an_expected_one(figures: Figures) -> None:
    """An answer that overtakes the backend covers the oldest *expected* change."""
    account = Account(PHONES, figures, slo=1.0)
    account.arm(ANN, 11.0)
    publish(account, change(10.0, recorded_at=10.1))
    publish(account, change(50.0))

    account.name(ANN, "INBOX", 50.2)

    assert (1, 0) == (figures.counts["received"], account.open)
    assert figures.latency("notify").max == pytest.approx(0.2, rel=0.001)


def test_a_refused_first_ping_postpones(figures: Figures) -> None:
    """A phone whose first Ping came to nothing has waited, but is expected to hear of nothing."""
    account = Account(PHONES, figures, slo=1.0)
    account.arm(ANN, 11.0)

    account.postpone(ANN, 10.1)

    assert (True, False) == (account.is_armed(ANN), account.expects(ANN, 1e9))


def test_a_postponed_phone_can_be_armed_again(figures: Figures) -> None:
    """The next Ping of a refused phone counts like a first one."""
    account = Account(PHONES, figures, slo=1.0)
    account.arm(ANN, 11.0)
    account.postpone(ANN, 10.1)

    account.arm(ANN, 12.0)

    assert (False, True) == (account.expects(ANN, 11.5), account.expects(ANN, 12.0))


def test_a_known_phone_is_not_postponed(account: Account) -> None:
    """A Ping that breaks later excuses nothing: changes must not get lost by that."""
    account.postpone(ANN, 10.0)

    assert account.expects(ANN, 10.0)


def test_a_phone_that_never_waited_is_not_postponed(figures: Figures) -> None:
    """A failure before the first Ping changes nothing."""
    account = Account(PHONES, figures, slo=1.0)

    account.postpone(ANN, 10.0)

    assert not account.is_armed(ANN)


# What is left, and what is withdrawn.


def test_missed_changes_are_listed_by_time(account: Account) -> None:
    """What nobody was told of is listed over all phones, oldest first."""
    first, second, third = change(10.0), change(11.0), change(12.0)
    account.publish(second, [(ANN, False)])
    account.publish(third, [(ANN, False)])
    account.publish(first, [(BEN, False)])

    assert [(BEN, first), (ANN, second), (ANN, third)] == list(account.missed())


def test_a_change_that_nobody_watches_is_only_published(account: Account, figures: Figures) -> None:
    """A change without phones cannot be missed."""
    account.publish(change(10.0), [])

    assert ({"published": 1}, 0) == (counts(figures), account.open)


def test_a_withdrawn_change_is_not_expected(account: Account, figures: Figures) -> None:
    """A change whose publishing failed is expected of no phone; others stay."""
    failed, kept = change(10.0), change(10.1)
    account.publish(failed, [(ANN, False), (BEN, False)])
    account.publish(kept, [(ANN, False)])

    account.withdraw(failed)

    assert {"published": 2, "withdrawn": 1, "expected": 1} == counts(figures)
    assert [(ANN, kept)] == list(account.missed())


def test_withdrawing_leaves_what_was_received(account: Account, figures: Figures) -> None:
    """A phone that was told before the publishing failed has received the change."""
    failed = change(10.0)
    account.publish(failed, [(ANN, False), (BEN, False)])
    account.name(ANN, "INBOX", 10.2)

    account.withdraw(failed)

    expected = {"published": 1, "withdrawn": 1, "expected": 1, "received": 1}
    assert expected == counts(figures)


def test_withdrawing_leaves_a_newer_change_alone(account: Account) -> None:
    """Of a phone that was told of the failed change already, later ones stay expected."""
    failed, kept = change(10.0), change(10.3)
    publish(account, failed)
    account.name(ANN, "INBOX", 10.2)
    publish(account, kept)

    account.withdraw(failed)

    assert [(ANN, kept)] == list(account.missed())


def test_a_withdrawn_change_may_be_named(account: Account, figures: Figures) -> None:
    """The backend may have recorded it all the same: one answer is neither of the ones too many."""
    failed = change(10.0)
    publish(account, failed)
    account.withdraw(failed)

    account.name(ANN, "INBOX", 10.5)

    assert (0, 0) == (figures.counts["spurious"], figures.counts["duplicate"])


def test_an_unsure_change_can_be_withdrawn(figures: Figures) -> None:
    """Withdrawing takes a change from where it was counted."""
    account = Account(PHONES, figures, slo=1.0)
    one = change(10.0)
    publish(account, one)

    account.withdraw(one)

    assert {"published": 1, "withdrawn": 1} == counts(figures)
