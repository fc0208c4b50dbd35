"""The account of a run: which change reached which phone, how late, and which never did.

Rules:
    1. A change counts from its *intended* time: what the generator was late is latency, too.
    2. An answer that names a folder covers the oldest change of it that this phone has to hear of,
       and each other one that the backend had recorded when the answer came: the phone would fetch
       those as well. One that was still on its way to the backend is in *doubt*: the answer may
       have covered it or not. It is expected again when an answer comes that nothing else explains.
    3. Where changes carry a tag that the phone finds again in what it fetches, that alone covers
       them: exact sequence numbers, whatever the answers named.
    4. A change that comes while a phone's first Ping is on its way to the server is none that this
       phone has to hear of, but may. It has no latency: what names its folder later may have
       another reason.

Seconds of one clock throughout; phones are numbers.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadtest.figures import Figures

SHOWN: Final = 1000
"""Missed changes that are told one by one."""
_POSTPONED: Final = math.nextafter(math.inf, 0.0)
"""From when on a phone is expected to hear of changes whose first Ping came to nothing."""
_REPORTED: Final = 1
_REPORTED_AND_MAY_AGAIN: Final = 2
"""What is known of a folder of a phone; 0 is one that this phone never named."""


@dataclass(slots=True, eq=False)
class Change:
    """One change; it is recorded when the backend has it."""

    id: str
    """Unique in the run."""
    mailbox: int
    watch: str
    at: float
    """Intended time."""
    has_tag: bool = False
    """Whether phones that synchronise find the id again in what they fetch."""
    recorded_at: float = math.inf
    phones: tuple[int, ...] = ()
    """Those that may hear of it, as entered."""


@dataclass(slots=True, eq=False)
class _Open:
    """A change that a phone has not heard of yet."""

    change: Change
    is_expected: bool
    is_fetched: bool
    """Covered by its tag, and by nothing else."""
    is_notified: bool = False
    is_doubtful: bool = False
    """Not expected any more, for an answer may have covered it."""


class Account:
    """Changes against answers, for the phones of one process.

    Args:
        phones: How many there are.
        figures: Where everything is counted.
        slo: Seconds; a change that reaches a phone later than that is late.
    """

    def __init__(self, phones: int, figures: Figures, *, slo: float) -> None:
        self._figures = figures
        self._slo = slo
        self._phones = phones
        self._expects_from = array("d", [math.inf]) * phones
        self._fetches = bytearray(b"\1") * phones
        self._open: dict[int, list[_Open]] = {}
        self._reported: dict[str, bytearray] = {}

    def arm(self, phone: int, at: float) -> None:
        """Expect each change from a time on to reach a phone; the earliest time told counts."""
        self._expects_from[phone] = min(at, self._expects_from[phone])

    def postpone(self, phone: int, at: float) -> None:
        """Enter that a phone's Ping came to nothing.

        One that did not have to hear of anything by then is not expected to until it is armed
        again: the server may not know it. To any other phone nothing may get lost by that.
        """
        if at < self._expects_from[phone] < math.inf:
            self._expects_from[phone] = _POSTPONED

    def is_armed(self, phone: int) -> bool:
        """Whether that phone has ever waited."""
        return self._expects_from[phone] < math.inf

    def expects(self, phone: int, at: float) -> bool:
        """Whether a change of that time has to reach a phone."""
        return at >= self._expects_from[phone]

    def without_sync(self, phone: int, at: float) -> None:
        """Let answers alone cover a phone's changes: its server has no Sync to fetch them with."""
        self._fetches[phone] = False
        for one in list(self._open.get(phone, ())):
            one.is_fetched = False
            if one.is_notified:
                self._receive(phone, one, at)

    def publish(self, change: Change, phones: Iterable[tuple[int, bool]]) -> None:
        """Enter a change before it is published.

        Args:
            change: Not recorded yet.
            phones: Those that watch its folder, and whether each of them synchronises.
        """
        self._figures.counts["published"] += 1
        watching = tuple(phones)
        change.phones = tuple(phone for phone, _ in watching)
        for phone, does_fetch in watching:
            is_fetched = change.has_tag and does_fetch and bool(self._fetches[phone])
            one = _Open(change, self.expects(phone, change.at), is_fetched)
            self._count(one, 1)
            self._open.setdefault(phone, []).append(one)

    def withdraw(self, change: Change) -> None:
        """Forget a change whose publishing failed: nobody is expected to report it, but may.

        The backend may have recorded it all the same.
        """
        self._figures.counts["withdrawn"] += 1
        for phone in change.phones:
            for one in self._open.get(phone, ()):
                if one.change is change:
                    self._count(one, -1)
                    self._close(phone, one)
                    self._marks(change.watch)[phone] = _REPORTED_AND_MAY_AGAIN
                    break

    def name(self, phone: int, watch: str, at: float) -> float:
        """Enter an answer that names a folder.

        Returns:
            When the first of the changes that it covers was recorded; infinity if that is not
            known yet, or if it covers none.
        """
        ones = [one for one in self._of(phone, watch, at) if not one.is_notified]
        if not ones:
            self._name_again(phone, watch)
            return math.inf
        # One more answer is no duplicate where the server may have seen only some of these.
        self._marks(watch)[phone] = _REPORTED if len(ones) == 1 else _REPORTED_AND_MAY_AGAIN
        covered = self._told(ones, at)
        for one in covered:
            one.is_notified = True
            if one.is_expected:
                self._figures.record("notify", at - one.change.at)
            if not one.is_fetched:
                self._receive(phone, one, at)
        recorded = (one.change.recorded_at for one in covered if one.is_expected)
        return min(recorded, default=math.inf)

    def fetch(
        self, phone: int, watch: str, tags: Iterable[str], *, asked: float, at: float
    ) -> None:
        """Enter what a successful Sync of a folder brought.

        Args:
            phone: Who synchronised.
            watch: The folder.
            tags: Ids of the changes that were found in it.
            asked: When the Sync was sent: what was recorded by then is in its answer.
            at: When it was answered.
        """
        found = frozenset(tags)
        for one in self._of(phone, watch, at):
            if one.change.id in found if one.is_fetched else one.change.recorded_at < asked:
                if one.is_expected:
                    self._figures.record("delivered", at - one.change.at)
                if not one.is_notified:
                    self._marks(watch)[phone] = _REPORTED_AND_MAY_AGAIN
                self._receive(phone, one, at)
            else:
                self._doubt(one)

    @property
    def open(self) -> int:
        """Pairs of change and phone that are expected and not covered yet."""
        return sum(one.is_expected for ones in self._open.values() for one in ones)

    def missed(self) -> Iterator[tuple[int, Change]]:
        """Yield phone and change of each pair that is still expected, oldest first."""
        pairs = [
            (phone, one.change)
            for phone, ones in self._open.items()
            for one in ones
            if one.is_expected
        ]
        yield from sorted(pairs, key=lambda pair: pair[1].at)

    def _of(self, phone: int, watch: str, at: float) -> list[_Open]:
        """List what a phone has not heard of; an answer cannot tell of what came after it."""
        return [
            one
            for one in self._open.get(phone, ())
            if one.change.watch == watch and one.change.at <= at
        ]

    def _told(self, ones: Sequence[_Open], at: float) -> list[_Open]:
        """Return those that an answer covers by rule 2; the others are in doubt from now on."""
        if not any(one.is_expected for one in ones):
            for one in ones:
                if one.is_doubtful:
                    self._expect(one, is_expected=True)
        oldest = next((one for one in ones if one.is_expected), ones[0])
        covered = []
        for one in ones:
            if one is oldest or one.change.recorded_at <= at:
                covered.append(one)
            else:
                self._doubt(one)
        return covered

    def _doubt(self, one: _Open) -> None:
        if one.is_expected and not one.is_fetched:
            self._expect(one, is_expected=False)

    def _expect(self, one: _Open, *, is_expected: bool) -> None:
        self._count(one, -1)
        one.is_expected, one.is_doubtful = is_expected, not is_expected
        self._count(one, 1)

    def _count(self, one: _Open, times: int) -> None:
        self._figures.counts["expected" if one.is_expected else "unsure"] += times

    def _receive(self, phone: int, one: _Open, at: float) -> None:
        self._close(phone, one)
        if one.is_expected:
            counts = self._figures.counts
            counts["received"] += 1
            counts["late"] += at - one.change.at > self._slo

    def _close(self, phone: int, one: _Open) -> None:
        ones = self._open[phone]
        ones.remove(one)
        if not ones:
            del self._open[phone]

    def _name_again(self, phone: int, watch: str) -> None:
        marks = self._marks(watch)
        if marks[phone] == _REPORTED_AND_MAY_AGAIN:
            marks[phone] = _REPORTED
        else:
            self._figures.counts["duplicate" if marks[phone] else "spurious"] += 1

    def _marks(self, watch: str) -> bytearray:
        """Return what is known of a folder, for each phone."""
        found = self._reported.get(watch)
        if found is None:
            found = self._reported[watch] = bytearray(self._phones)
        return found
