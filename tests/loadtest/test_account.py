"""Which change reached which phone, from plain numbers."""

from __future__ import annotations

import pytest

from loadtest.account import Account, Change, Heartbeats, Histogram, Latency

ANN, BOB = "ann@example.org", "bob@example.org"


@pytest.fixture
def account() -> Account:
    return Account({ANN: ("A1", "A2"), BOB: ("B1",)})


def counts(account: Account) -> dict[str, int]:
    return {
        "published": account.published,
        "answered": account.answered,
        "open": account.open,
        "spurious": account.spurious,
        "duplicates": account.duplicates,
    }


def test_an_answer_covers_a_change(account: Account) -> None:
    """A change of a mailbox with one phone is closed by that phone's answer."""
    account.publish(BOB, "1", 10.0)

    account.answer(BOB, "B1", ["1"], 10.5)

    expected = {"published": 1, "answered": 1, "open": 0, "spurious": 0, "duplicates": 0}
    assert expected == counts(account)


def test_inbox_is_folder_5(account: Account) -> None:
    """A change published for INBOX is covered by an answer that names folder 5."""
    account.publish(BOB, "INBOX", 10.0)

    account.answer(BOB, "B1", ["5"], 10.5)

    assert [] == account.uncovered()


def test_each_phone_of_a_mailbox_must_report(account: Account) -> None:
    """A change stays open until the last phone of its mailbox has named it."""
    change = account.publish(ANN, "5", 10.0)

    account.answer(ANN, "A1", ["5"], 10.5)

    assert ([change], 1) == (account.uncovered(), account.open)


def test_one_answer_covers_all_earlier_changes_of_its_folder(account: Account) -> None:
    """Several changes of one folder are one answer."""
    account.publish(BOB, "5", 10.0)
    account.publish(BOB, "INBOX", 10.2)

    account.answer(BOB, "B1", ["5"], 10.3)

    assert 2 == account.answered


def test_another_folder_covers_nothing(account: Account) -> None:
    """An answer that names another folder is spurious and leaves the change open."""
    change = account.publish(BOB, "5", 10.0)

    account.answer(BOB, "B1", ["1"], 10.5)

    assert ([change], 1) == (account.uncovered(), account.spurious)


def test_an_answer_before_the_intended_time_covers_nothing(account: Account) -> None:
    """An answer that came before a change cannot have reported it."""
    change = account.publish(BOB, "5", 10.0)

    account.answer(BOB, "B1", ["5"], 9.9)

    assert [change] == account.uncovered()


def test_a_second_report_is_a_duplicate(account: Account) -> None:
    """A folder named again without a new change counts as spurious and as a duplicate."""
    account.publish(BOB, "5", 10.0)
    account.answer(BOB, "B1", ["5"], 10.5)

    account.answer(BOB, "B1", ["5"], 10.6)

    assert (1, 1) == (account.spurious, account.duplicates)


def test_a_report_out_of_nowhere_is_spurious(account: Account) -> None:
    """A folder that never changed is spurious and no duplicate."""
    account.answer(BOB, "B1", ["5"], 10.5)

    assert (1, 0) == (account.spurious, account.duplicates)


def test_a_withdrawn_change_is_not_expected(account: Account) -> None:
    """A change whose publishing failed is neither published nor lost; others stay."""
    failed = account.publish(ANN, "5", 10.0)
    kept = account.publish(ANN, "1", 10.1)

    account.withdraw(failed)

    assert (1, [kept]) == (account.published, account.uncovered())


def test_withdrawing_the_only_change_leaves_nothing(account: Account) -> None:
    """A mailbox without open changes is forgotten."""
    account.withdraw(account.publish(BOB, "5", 10.0))

    assert ([], 0) == (account.uncovered(), account.open)


def test_a_mailbox_without_phones_expects_nothing(account: Account) -> None:
    """A change of a mailbox that no phone has cannot be lost."""
    account.publish("eve@example.org", "5", 10.0)

    assert (1, 0) == (account.published, account.open)


def test_open_changes_are_listed_in_order(account: Account) -> None:
    """Changes that nobody reported are listed by their number over all mailboxes."""
    changes = [account.publish(mailbox, "1", 10.0) for mailbox in (BOB, ANN, BOB)]

    assert changes == account.uncovered()
    assert Change(2, ANN, "1", 10.0) == changes[1]


def test_latency_counts_from_the_intended_time(account: Account) -> None:
    """The latency of a change is the time from its intended time to the answer."""
    account.publish(BOB, "5", 10.0)

    account.answer(BOB, "B1", ["5"], 10.25)

    assert account.latency.latency().max_ms == pytest.approx(250, rel=0.001)


def test_an_empty_histogram_is_all_zero() -> None:
    """Nothing recorded is summarised as zeros."""
    histogram = Histogram()

    assert (Latency(0.0, 0.0, 0.0, 0.0), 0) == (histogram.latency(), histogram.count)


def test_percentiles_tell_the_tail_from_the_middle() -> None:
    """One slow answer of a hundred shows in the maximum, not in the median."""
    histogram = Histogram()
    for _ in range(99):
        histogram.record(0.001)
    histogram.record(1.0)

    found = histogram.latency()

    assert found.p50_ms == pytest.approx(1, rel=0.001)
    assert found.max_ms == pytest.approx(1000, rel=0.001)


def test_durations_outside_the_range_count_as_its_ends() -> None:
    """A negative duration counts as 1 microsecond and two hours as one."""
    histogram = Histogram()
    histogram.record(-1.0)
    histogram.record(7200.0)

    assert histogram.percentile_ms(50) == pytest.approx(0.001)
    assert histogram.percentile_ms(100) == pytest.approx(3_600_000, rel=0.001)


def test_heartbeats_know_their_worst_errors() -> None:
    """The latest and the earliest heartbeat that count as reached are kept."""
    beats = Heartbeats()
    for waited in (9.0, 10.25, 9.75):
        beats.add(10.0, waited)

    assert Heartbeats(reached=3, max_late=0.25, max_early=1.0) == beats


def test_a_heartbeat_far_too_early_is_cut_short() -> None:
    """An answer of status 1 more than 2 s before the end does not count as reached."""
    beats = Heartbeats()
    beats.add(10.0, 7.5)

    assert Heartbeats(reached=0, cut_short=1) == beats
