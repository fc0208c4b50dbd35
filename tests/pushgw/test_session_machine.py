"""A phone that loses answers against a ledger that loses hints: every change is told in the end."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from notifier.change import HIERARCHY
from pushgw.eas.ping import PingFolder
from pushgw.session import HIERARCHY_CHANGED, Answer, PingSession, Terms, cursor, mark

INBOX = PingFolder("5", "Email")
PROJECTS = PingFolder("Projects", "Email")
FIELDS = (HIERARCHY, "5", "Inbox", "INBOX", "Projects")


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
