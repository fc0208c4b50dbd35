"""One Ping's life in numbers, and a phone that loses answers against a ledger that loses hints."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from heartbeat.interval import Bounds
from notifier.change import HIERARCHY
from pushgw.eas.ping import PingFolder, PingRequest, PingResponse
from pushgw.session import (
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


class Phone(RuleBasedStateMachine):
    """A phone, its cursors and a ledger, with hints that arrive late, twice, or never.

    Hints get lost only together with the subscription, whose confirmation has the ledger looked
    at; answers get lost at any time. Sequence numbers, and the epoch that guards them, are Redis'.
    """

    folders = (INBOX, PROJECTS)

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 1
        self.numbers: Counter[str] = Counter()
        self.base = b""
        self.cursors: dict[str, bytes] = {}
        self.hints: list[tuple[str, int | None]] = []
        self.must_look = False
        self.session: PingSession | None = None
        self.answer: Answer | None = None
        self.recorded: Counter[str] = Counter()
        """Changes of each watched folder so far, by the phone's id."""
        self.told: Counter[str] = Counter()
        """How many of them the answer on its way covers."""
        self.covered: Counter[str] = Counter()
        """How many of them the phone has been told of."""

    @property
    def ledger(self) -> tuple[int, ...]:
        return tuple(self.numbers[name] for name in FIELDS)

    @initialize()
    def synchronise(self) -> None:
        self.base = self.shown_epoch.encode()
        self.write([(HIERARCHY, mark(0, self.shown_epoch))])

    @property
    def shown_epoch(self) -> str:
        return f"e{self.epoch}"

    def write(self, seen: list[tuple[str, str]]) -> None:
        self.cursors |= {name: text.encode() for name, text in seen}

    @rule(field=st.sampled_from((*FIELDS, "Archive")), is_told=st.booleans())
    def record(self, field: str, *, is_told: bool) -> None:
        self.numbers[field] += 1
        if field in {"5", "Inbox", "INBOX"}:
            self.recorded["5"] += 1
        elif field == "Projects":
            self.recorded[field] += 1
        self.hints.append((field, self.numbers[field] if is_told else None))

    @precondition(lambda self: self.answer is None)
    @rule()
    def ping(self) -> None:
        cursors = tuple(
            cursor(self.cursors.get(name), self.shown_epoch, self.base) for name in FIELDS
        )
        self.session = PingSession(Terms(480, self.folders), cursors, self.shown_epoch)
        self.look()

    def look(self) -> None:
        if self.session is not None:
            self.give(self.session.look(self.ledger, self.shown_epoch))

    def give(self, answer: Answer | None) -> None:
        if answer is not None:
            self.session = None
            self.answer = answer
            self.told = self.recorded.copy()

    @precondition(lambda self: self.hints)
    @rule(choice=st.integers(0, 10**6), comes_again=st.booleans())
    def deliver(self, choice: int, *, comes_again: bool) -> None:
        at = choice % len(self.hints)
        hint = self.hints[at] if comes_again else self.hints.pop(at)
        if self.session is not None:
            verdict = self.session.hinted(*hint)
            assert (verdict is None) == (hint[0] == "Archive")
            if verdict == "look":
                self.look()
            else:
                self.give(verdict)

    @rule()
    def lose_the_subscription(self) -> None:
        self.hints.clear()
        self.must_look = True

    @rule(shares=st.tuples(*(st.integers(0, 3) for _ in FIELDS)))
    def lose_data(self, shares: tuple[int, ...]) -> None:
        self.epoch += 1
        for name, share in zip(FIELDS, shares, strict=True):
            self.numbers[name] = max(0, self.numbers[name] - share)
        self.lose_the_subscription()

    @precondition(lambda self: self.must_look)
    @rule()
    def confirm(self) -> None:
        self.must_look = False
        self.look()

    @precondition(lambda self: self.answer is not None)
    @rule()
    def lose_the_answer(self) -> None:
        self.answer = None

    @precondition(lambda self: self.answer is not None)
    @rule(is_acknowledged=st.booleans())
    def receive(self, *, is_acknowledged: bool) -> None:
        answer, self.answer = self.answer, None
        assert answer is not None
        for folder in answer.response.folders:
            self.covered[folder] = max(self.covered[folder], self.told[folder])
        if answer is HIERARCHY_CHANGED:
            self.write([(HIERARCHY, mark(self.numbers[HIERARCHY], self.shown_epoch))])
        elif is_acknowledged:
            self.write(list(answer.seen))

    @rule()
    def come_to_rest(self) -> None:
        """Let everything arrive, until the phone waits and nothing is on its way."""
        for _ in range(50):
            if self.answer is not None:
                self.receive(is_acknowledged=True)
            elif self.session is None:
                self.ping()
            elif self.hints:
                self.deliver(0, comes_again=False)
            elif self.must_look:
                self.confirm()
            else:
                break
        else:
            pytest.fail("the phone is told the same for ever")
        assert self.covered == self.recorded

    def teardown(self) -> None:
        if self.cursors:
            self.come_to_rest()


TestPhone = Phone.TestCase
TestPhone.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
