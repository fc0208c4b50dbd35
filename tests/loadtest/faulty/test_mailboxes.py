"""Who is told what, and what is done wrong on purpose; times are plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.faulty.faults import Faults
from loadtest.faulty.mailboxes import Mailboxes

if TYPE_CHECKING:
    from loadtest.faulty.mailboxes import Phone

ANN, BOB = "ann@example.org", "bob@example.org"
INBOX, CALENDAR, CONTACTS = "5", "1", "2"


def mailboxes(**faults: int) -> Mailboxes:
    none = {"lose": 0, "delay": 0, "spurious": 0, "duplicate": 0}
    return Mailboxes(Faults(**{**none, **faults}, delay_seconds=3.0, quiet_seconds=1.0))


def waiting(some: Mailboxes, mailbox: str = ANN, *, since: float = 0.0) -> Phone:
    phone = some.phone(mailbox, "PHONE1")
    phone.folders = (INBOX, CALENDAR, CONTACTS)
    phone.waits_since = since
    return phone


def test_a_change_is_told() -> None:
    """An answer names the folder that changed, once."""
    some = mailboxes()
    phone = waiting(some)

    woken = some.change("r-1", ANN, INBOX, 5.0)

    assert [phone] == woken
    assert [(INBOX,), ()] == [some.answer(phone, 5.0), some.answer(phone, 5.0)]


def test_a_change_between_two_pings_is_told_with_the_next() -> None:
    """What comes after an answer is news to the next Ping."""
    some = mailboxes()
    phone = waiting(some)
    some.change("r-1", ANN, INBOX, 5.0)
    some.answer(phone, 5.0)
    some.change("r-2", ANN, CALENDAR, 5.001)
    phone.waits_since = 5.002

    assert (CALENDAR,) == some.answer(phone, 5.002)


def test_other_mailboxes_and_folders_are_not_told() -> None:
    """A change is no news to another mailbox, nor to a phone that does not watch its folder."""
    some = mailboxes()
    phone = waiting(some)
    some.change("r-1", BOB, INBOX, 5.0)
    some.change("r-2", ANN, "9", 5.0)

    assert () == some.answer(phone, 5.0)


def test_an_nth_change_is_lost_with_its_followers() -> None:
    """A lost change is told to nobody, and so is each later one of its folder."""
    some = mailboxes(lose=2)
    phone = waiting(some)
    waiting(some, BOB)
    some.change("r-1", BOB, INBOX, 5.0)

    woken = [some.change(f"r-{number}", ANN, INBOX, 5.0) for number in (2, 3)]

    assert ([(), ()], ()) == (woken, some.answer(phone, 5.0))
    assert (["r-2", "r-3"], 3) == (some.done.lost, some.done.changes)


def test_other_folders_of_a_mailbox_are_not_lost() -> None:
    """A folder that lost a change leaves the others of its mailbox alone."""
    some = mailboxes(lose=2)
    phone = waiting(some)
    waiting(some, BOB)
    some.change("r-1", BOB, INBOX, 5.0)
    some.change("r-2", ANN, INBOX, 5.0)

    some.change("r-3", ANN, CALENDAR, 5.0)

    assert (CALENDAR,) == some.answer(phone, 5.0)


def test_a_fault_waits_for_a_quiet_mailbox() -> None:
    """Just after a Ping came nothing is lost; the fault hits the next change that is allowed."""
    some = mailboxes(lose=1)
    waiting(some, ANN, since=4.5)
    waiting(some, BOB, since=4.0)

    some.change("r-1", ANN, INBOX, 5.0)
    some.change("r-2", "eve@example.org", INBOX, 5.0)
    some.change("r-3", BOB, INBOX, 5.0)

    assert ["r-3"] == some.done.lost


def test_an_nth_change_is_delayed() -> None:
    """A delayed change is told when its time is over, and not before."""
    some = mailboxes(delay=1)
    phone = waiting(some)
    some.change("r-1", ANN, INBOX, 5.0)

    before = some.answer(phone, 7.9), list(some.due(7.9))
    woken = list(some.due(8.0))

    assert ((), []) == before
    assert ([phone], (INBOX,)) == (woken, some.answer(phone, 8.0))
    assert ["r-1"] == some.done.delayed


def test_a_change_that_joins_a_delayed_one_waits_as_long() -> None:
    """Both are told when the later one has waited its whole time, and count as delayed."""
    some = mailboxes(delay=2, lose=3)
    phone = waiting(some)
    waiting(some, BOB)
    some.change("r-1", BOB, INBOX, 4.0)
    some.change("r-2", ANN, INBOX, 5.0)
    some.change("r-3", ANN, INBOX, 6.0)

    assert [] == list(some.due(8.5))
    assert [phone] == list(some.due(9.0))
    assert (["r-2", "r-3"], []) == (some.done.delayed, some.done.lost)


def test_an_nth_answer_is_spurious() -> None:
    """It names the last folder of the phone that never changed anywhere beside the right one."""
    some = mailboxes(spurious=2)
    phone = waiting(some)
    answers = []
    for number in range(2):
        some.change(f"r-{number}", ANN, INBOX, 5.0)
        answers.append(some.answer(phone, 5.0))

    assert [(INBOX,), (INBOX, CONTACTS)] == answers
    assert 1 == some.done.spurious


def test_without_an_unchanged_folder_nothing_is_spurious() -> None:
    """A phone that watches only what changes gets right answers."""
    some = mailboxes(spurious=1)
    phone = waiting(some)
    phone.folders = (INBOX,)
    some.change("r-1", ANN, INBOX, 5.0)

    assert ((INBOX,), 0) == (some.answer(phone, 5.0), some.done.spurious)


def test_an_nth_answer_is_repeated() -> None:
    """The next Ping is answered with the same folder after a quiet time, once."""
    some = mailboxes(duplicate=1)
    phone = waiting(some)
    some.change("r-1", ANN, INBOX, 5.0)
    some.answer(phone, 5.0)
    phone.waits_since = 5.001

    early = list(some.due(6.0)), some.answer(phone, 6.0)
    woken, answer = list(some.due(6.1)), some.answer(phone, 6.1)

    assert ([], ()) == early
    assert ([phone], (INBOX,), 1) == (woken, answer, some.done.duplicate)
    assert [] == list(some.due(9.0))


def test_a_new_change_takes_the_place_of_a_repeat() -> None:
    """What comes meanwhile is told as the change it is, and its answer is the one repeated."""
    some = mailboxes(duplicate=2)
    phone = waiting(some)
    for number in (1, 2):
        some.change(f"r-{number}", ANN, INBOX, 5.0)
        some.answer(phone, 5.0)
    phone.waits_since = 5.0
    some.change("r-3", ANN, INBOX, 5.5)
    some.answer(phone, 5.5)
    phone.waits_since = 5.6

    assert ([], 0) == (list(some.due(6.5)), some.done.duplicate)
    assert [phone] == list(some.due(6.6))


def test_a_repeat_outlives_other_news() -> None:
    """News of another folder is told at once and leaves the repeat to a later Ping."""
    some = mailboxes(duplicate=1)
    phone = waiting(some)
    some.change("r-1", ANN, INBOX, 5.0)
    some.answer(phone, 5.0)
    phone.waits_since = 5.0
    some.change("r-2", ANN, CALENDAR, 5.5)
    news = some.answer(phone, 5.5)
    phone.waits_since = 5.6

    assert ((CALENDAR,), (INBOX,)) == (news, some.answer(phone, 6.6))


def test_an_answer_for_two_changes_is_not_repeated() -> None:
    """Two answers for two changes of a folder may both be right."""
    some = mailboxes(duplicate=1)
    phone = waiting(some)
    for number in (1, 2):
        some.change(f"r-{number}", ANN, INBOX, 5.0)
    some.answer(phone, 5.0)
    phone.waits_since = 5.0

    assert [] == list(some.due(9.0))
