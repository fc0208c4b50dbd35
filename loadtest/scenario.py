"""What a phone does, as plain values: a generator that yields commands and receives outcomes.

It asks for the folder hierarchy, then waits with Pings for ever. No network, clock or dice: a
``Device`` performs the commands, a test sends the outcomes by hand. The rules are those of a
patient client: it repeats at once after an answer that asks for it, and backs off after a fault,
also when the same demand comes twice in a row (no busy loop).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

LONGEST_BACKOFF: Final = 60.0
"""Seconds; phones retry at least every minute while they have a network."""


@dataclass(frozen=True, slots=True)
class FolderSync:
    """Ask for the folder hierarchy from the start (SyncKey 0)."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Wait for a change of the watched folders."""

    heartbeat: int
    """Seconds the phone wants to wait."""
    is_full: bool = True
    """False sends no body: the server completes it from what it cached."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for a while."""

    interval: float
    """Seconds."""


Command = FolderSync | Ping | Wait


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a FolderSync or a Ping."""

    http_status: int
    status: int = 0
    """Status of the document; 0 when there is none."""
    folders: tuple[str, ...] = ()
    """Server ids named by a Ping answer, in its order."""
    heartbeat: int | None = None
    """Seconds the server allows (Ping status 5)."""
    retry_after: float | None = None
    """Seconds the server asks to stay away."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer: the connection failed, or its time was over."""

    kind: str
    """What failed, for the table of errors."""


Outcome = Answer | Broken | None
"""None is the outcome of a Wait."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How one phone differs from the next."""

    heartbeat: int = 480
    """Seconds asked for. AOSP starts with 480. Source: EasPing."""
    is_terse: bool = False
    """Send Pings without a body after the first answered one."""
    knows_folders: bool = False
    """Begin with a Ping, as a phone that comes back does."""
    patience: float = 1.0
    """Seconds of the first back-off; it doubles up to ``LONGEST_BACKOFF``."""


def phone(habits: Habits) -> Generator[Command, Outcome, None]:
    """Yield the commands of one phone; ends when the server refuses its credentials."""
    plan = _Plan(habits, habits.heartbeat, habits.knows_folders)
    while not plan.is_over:
        outcome = yield plan.command
        plan = plan.after(outcome)
        if plan.pause:
            yield Wait(plan.pause)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the phone knows and will do next."""

    habits: Habits
    heartbeat: int
    knows_folders: bool = False
    is_full: bool = True
    faults: int = 0
    """Answers in a row that were neither status 1 nor 2."""
    pause: float = 0.0
    is_over: bool = False

    @property
    def command(self) -> FolderSync | Ping:
        if not self.knows_folders:
            return FolderSync()
        return Ping(self.heartbeat, self.is_full)

    def after(self, outcome: Outcome) -> _Plan:
        if not isinstance(outcome, Answer):
            return self._fault()
        if outcome.http_status in {401, 403}:
            return replace(self, is_over=True)
        if outcome.http_status != 200:  # noqa: PLR2004 - the success of HTTP
            return self._fault(outcome.retry_after)
        return self._pinged(outcome) if self.knows_folders else self._synced(outcome)

    def _synced(self, answer: Answer) -> _Plan:
        if answer.status != 1:
            return self._fault()
        # A FolderSync from the start empties the server's cached Ping: the next one is full.
        return replace(self, knows_folders=True, is_full=True, pause=0.0)

    def _pinged(self, answer: Answer) -> _Plan:
        """Follow a Ping's status.

        Source: [MS-ASCMD] 2.2.3.177.11.
        """
        match answer.status:
            case 1 | 2:
                return replace(self, is_full=not self.habits.is_terse, faults=0, pause=0.0)
            case 3 if not self.is_full:
                return self._obey(replace(self, is_full=True))
            case 5 if answer.heartbeat:
                return self._obey(replace(self, heartbeat=answer.heartbeat, is_full=True))
            case 7:
                return self._obey(replace(self, knows_folders=False))
            case _:
                return self._fault()

    def _obey(self, plan: _Plan) -> _Plan:
        """Follow a demand at once the first time, with a pause when it is repeated."""
        if not self.faults:
            return replace(plan, faults=1, pause=0.0)
        return plan._fault()

    def _fault(self, retry_after: float | None = None) -> _Plan:
        backoff = min(self.habits.patience * 2.0 ** min(self.faults, 10), LONGEST_BACKOFF)
        return replace(self, faults=self.faults + 1, pause=retry_after or backoff)
