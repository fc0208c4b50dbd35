"""One Ping's life in numbers."""

from __future__ import annotations

import pytest

from heartbeat.interval import Bounds
from notifier.change import HIERARCHY
from pushgw.eas.ping import PingFolder, PingRequest, PingResponse
from pushgw.session import (
    HEARTBEAT,
    HIERARCHY_CHANGED,
    UNKNOWN,
    Answer,
    Known,
    Limits,
    PingSession,
    Terms,
    cursor,
    judge,
    mark,
    watch,
)

LIMITS = Limits(Bounds(low=60, high=3540, default=480), max_folders=2)
INBOX = PingFolder("5", "Email")
CALENDAR = PingFolder("1", "Calendar")
PROJECTS = PingFolder("Projects", "Email")
SYNCHRONISED = Known(is_synchronised=True)
FIELDS = (HIERARCHY, "5", "Inbox", "INBOX", "Projects")


def session(*cursors: int, epoch: str = "e1") -> PingSession:
    """A Ping of the Inbox and the projects; its fields are FIELDS."""
    return PingSession(Terms(480, (INBOX, PROJECTS)), cursors or (0, 0, 0, 0, 0), epoch)


def changed(*ids: str, seen: tuple[tuple[str, str], ...]) -> Answer:
    return Answer(PingResponse(2, folders=ids), "change", seen)


@pytest.mark.parametrize(
    ("heartbeat", "folders"), [(None, (INBOX,)), (480, None), (480, ()), (None, None)]
)
def test_missing_parameters_are_asked_for(
    heartbeat: int | None, folders: tuple[PingFolder, ...] | None
) -> None:
    """A Ping without interval or folders, of a device without cached ones, gets status 3."""
    actual = judge(PingRequest(heartbeat, folders), SYNCHRONISED, LIMITS)

    assert Answer(PingResponse(3), "terms") == actual


@pytest.mark.parametrize(
    ("asked", "granted"), [(-1, 60), (0, 60), (59, 60), (3541, 3540), (6_000_000, 3540)]
)
def test_heartbeat_out_of_range_is_told_the_nearest(asked: int, granted: int) -> None:
    """An interval outside the bounds gets status 5 with the nearest allowed one."""
    actual = judge(PingRequest(asked, (INBOX,)), SYNCHRONISED, LIMITS)

    assert Answer(PingResponse(5, heartbeat=granted), "terms") == actual


@pytest.mark.parametrize("heartbeat", [60, 3540])
def test_bounds_are_granted(heartbeat: int) -> None:
    """Both ends of the range are accepted as they are."""
    actual = judge(PingRequest(heartbeat, (INBOX,)), SYNCHRONISED, LIMITS)

    assert Terms(heartbeat, (INBOX,)) == actual


def test_too_many_folders_are_told_the_limit() -> None:
    """More folders than allowed get status 6 with the limit."""
    actual = judge(PingRequest(480, (INBOX, CALENDAR, PROJECTS)), SYNCHRONISED, LIMITS)

    assert Answer(PingResponse(6, max_folders=2), "terms") == actual


def test_as_many_folders_as_allowed_are_watched() -> None:
    """The limit itself is allowed."""
    actual = judge(PingRequest(480, (INBOX, CALENDAR)), SYNCHRONISED, LIMITS)

    assert Terms(480, (INBOX, CALENDAR)) == actual


def test_unsynchronised_device_is_sent_to_foldersync() -> None:
    """A Ping in good order of a device without a FolderSync gets status 7."""
    actual = judge(PingRequest(480, (INBOX,)), Known(is_synchronised=False), LIMITS)

    assert Answer(PingResponse(7), "hierarchy") == actual


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PingRequest(1, None), 3),
        (PingRequest(1, (INBOX, CALENDAR, PROJECTS)), 5),
        (PingRequest(480, (INBOX, CALENDAR, PROJECTS)), 6),
        (PingRequest(480, (INBOX, CALENDAR)), 7),
    ],
)
def test_first_mistake_decides(request_: PingRequest, status: int) -> None:
    """Missing parameters are told before the interval, the folders and the hierarchy."""
    actual = judge(request_, Known(is_synchronised=False), LIMITS)

    assert isinstance(actual, Answer)
    assert status == actual.response.status


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PingRequest(None, None), Terms(600, (INBOX,))),
        (PingRequest(900, None), Terms(900, (INBOX,))),
        (PingRequest(None, (CALENDAR,)), Terms(600, (CALENDAR,))),
        (PingRequest(900, (CALENDAR,)), Terms(900, (CALENDAR,))),
    ],
)
def test_cached_parameters_complete_a_ping(request_: PingRequest, expected: Terms) -> None:
    """What a Ping leaves out is taken from the last accepted one, what it says replaces that."""
    known = Known(is_synchronised=True, heartbeat=600, folders=(INBOX,))

    assert expected == judge(request_, known, LIMITS)


def test_absent_cursor_is_zero() -> None:
    """Nothing stored means that nothing was recorded when the partnership began."""
    assert cursor(None, "e1", b"e1") == 0


@pytest.mark.parametrize("base", [b"e1", None])
def test_absent_cursor_of_another_epoch_is_unknown(base: bytes | None) -> None:
    """In another epoch than the partnership's, what was recorded since may have been lost."""
    assert cursor(None, "e2", base) == UNKNOWN


def test_cursor_is_read_back() -> None:
    """A mark gives its number in the epoch in which it was written, whatever came before."""
    assert cursor(mark(7, "e2").encode(), "e2", b"e1") == 7


def test_cursor_of_another_epoch_is_unknown() -> None:
    """A mark of another epoch equals no number."""
    assert cursor(mark(7, "e1").encode(), "e2", b"e1") == UNKNOWN


def test_hierarchy_and_aliases_are_watched() -> None:
    """The fields are the hierarchy first, then each name of each folder, in the phone's order."""
    actual = watch((INBOX, PROJECTS))

    assert FIELDS == actual.fields


def test_equal_lists_share_one_watch() -> None:
    """Phones with the same folders share what is derived from them."""
    assert watch((INBOX, CALENDAR)) is watch((INBOX, CALENDAR))


def test_folder_named_twice_by_alias_keeps_the_first_spelling() -> None:
    """A name that two of the phone's ids stand for counts for the first of them."""
    actual = watch((PingFolder("INBOX", "Email"), INBOX))

    assert (HIERARCHY, "INBOX", "5", "Inbox") == actual.fields
    assert actual.changed_ids([1]) == ("INBOX",)


def test_unchanged_ledger_lets_the_phone_wait() -> None:
    """Numbers that equal the cursors are no news."""
    assert session(4, 3, 0, 0, 1).look((4, 3, 0, 0, 1), "e1") is None


@pytest.mark.parametrize("number", [4, 2, 0])
def test_number_that_differs_is_a_change(number: int) -> None:
    """A number beyond the cursor is a change, and one behind it as well: Redis lost data."""
    actual = session(0, 3, 0, 0, 0).look((0, number, 0, 0, 0), "e1")

    assert changed("5", seen=(("5", f"{number}.e1"),)) == actual


@pytest.mark.parametrize(("position", "name"), [(1, "5"), (2, "Inbox"), (3, "INBOX")])
def test_aliases_of_the_inbox_are_one_folder(position: int, name: str) -> None:
    """A change under any name of the Inbox is told under the id that the phone uses."""
    numbers = [0] * 5
    numbers[position] = 9

    actual = session().look(tuple(numbers), "e1")

    assert changed("5", seen=((name, "9.e1"),)) == actual


def test_all_changed_folders_are_named_once() -> None:
    """One answer names each changed folder once, in the phone's order, and marks every field."""
    actual = session().look((0, 1, 0, 2, 3), "e1")

    seen = (("5", "1.e1"), ("INBOX", "2.e1"), ("Projects", "3.e1"))
    assert changed("5", "Projects", seen=seen) == actual


def test_hierarchy_goes_first() -> None:
    """A changed hierarchy is told alone, with status 7 and no cursor advanced."""
    actual = session().look((1, 1, 0, 0, 0), "e1")

    assert actual is HIERARCHY_CHANGED
    assert actual.seen == ()


def test_new_epoch_counts_as_changed() -> None:
    """Equal numbers of another epoch are news: everything has to be looked at."""
    actual = session().look((0, 0, 0, 0, 0), "e2")

    assert actual is HIERARCHY_CHANGED


def test_unknown_cursors_are_marked_in_the_new_epoch() -> None:
    """After a loss of data the folders are told with marks of the epoch that is in force."""
    actual = session(0, UNKNOWN, UNKNOWN, UNKNOWN, 0, epoch="e2").look((0, 0, 0, 1, 0), "e2")

    seen = (("5", "0.e2"), ("Inbox", "0.e2"), ("INBOX", "1.e2"))
    assert changed("5", seen=seen) == actual


def test_hint_of_another_folder_is_ignored() -> None:
    """A change of a folder that the phone does not watch is not its business."""
    assert session().hinted("Archive", 1) is None


def test_hint_without_number_asks_for_a_look() -> None:
    """A publisher that does not say the number sends the reader to the ledger."""
    assert session().hinted("INBOX", None) == "look"


@pytest.mark.parametrize("number", [2, 3])
def test_hint_of_a_number_not_beyond_the_cursor_asks_for_a_look(number: int) -> None:
    """An older or equal number proves nothing, neither a change nor its absence."""
    assert session(0, 3, 0, 0, 0).hinted("5", number) == "look"


def test_hint_beyond_the_cursor_answers() -> None:
    """A larger number is the change itself: no look is needed."""
    actual = session(0, 0, 0, 3, 0).hinted("INBOX", 4)

    assert changed("5", seen=(("INBOX", "4.e1"),)) == actual


def test_hint_of_the_hierarchy_answers_with_status_7() -> None:
    """A created, renamed or deleted folder sends the phone to FolderSync."""
    assert session().hinted(HIERARCHY, 1) is HIERARCHY_CHANGED


def test_told_change_is_no_news() -> None:
    """Numbers that an answer told are the cursors of the next Ping."""
    ping = session(0, 0, 0, 3, 1)
    answer = ping.hinted("INBOX", 7)
    assert isinstance(answer, Answer)
    ping.told(answer)

    assert ping.look((0, 0, 0, 7, 1), "e1") is None
    assert ping.hinted("INBOX", 7) == "look"


def test_told_folders_are_known_each() -> None:
    """Of an answer with several folders all cursors advance, the others stay."""
    ping = session(4, 1, 0, 0, 2)
    answer = ping.look((4, 2, 0, 9, 5), "e1")
    assert isinstance(answer, Answer)
    ping.told(answer)

    assert ping.look((4, 2, 0, 9, 5), "e1") is None
    assert changed("5", seen=(("5", "1.e1"),)) == ping.look((4, 1, 0, 9, 5), "e1")


def test_change_that_was_not_told_is_still_news() -> None:
    """A folder that an answer did not name is compared with what it was before."""
    ping = session()
    answer = ping.hinted("Projects", 1)
    assert isinstance(answer, Answer)
    ping.told(answer)

    assert changed("5", seen=(("INBOX", "1.e1"),)) == ping.look((0, 0, 0, 1, 1), "e1")


@pytest.mark.parametrize("answer", [HEARTBEAT, HIERARCHY_CHANGED])
def test_answer_without_marks_leaves_the_cursors(answer: Answer) -> None:
    """A heartbeat tells nothing, and a hierarchy is known only after a FolderSync."""
    ping = session(0, 3, 0, 0, 1)
    ping.told(answer)

    assert ping.look((0, 3, 0, 0, 1), "e1") is None
    assert ping.look((1, 3, 0, 0, 1), "e1") is HIERARCHY_CHANGED


def test_number_that_fell_behind_what_was_told_is_news() -> None:
    """Redis that lost data shows a smaller number than the one that was told."""
    ping = session()
    answer = ping.hinted("Projects", 8)
    assert isinstance(answer, Answer)
    ping.told(answer)

    assert changed("Projects", seen=(("Projects", "7.e1"),)) == ping.look((0, 0, 0, 0, 7), "e1")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PingRequest(None, None), True),
        (PingRequest(480, None), True),
        (PingRequest(None, (INBOX, PROJECTS)), True),
        (PingRequest(480, (INBOX, PROJECTS)), True),
        (PingRequest(481, None), False),
        (PingRequest(481, (INBOX, PROJECTS)), False),
        (PingRequest(480, (INBOX,)), False),
        (PingRequest(480, (PROJECTS, INBOX)), False),
        (PingRequest(480, (INBOX, PROJECTS, CALENDAR)), False),
        (PingRequest(480, (INBOX, PingFolder("Projects", "Tasks"))), False),
        (PingRequest(480, ()), False),
    ],
)
def test_same_ping_is_recognised(request_: PingRequest, *, expected: bool) -> None:
    """What a further Ping says must be what this one asked for; silence means the same."""
    assert expected == session().is_of(request_)
