"""The life of one Ping: judged, opened, then ended by the first thing that ends it.

    request --judge--> Answer (3, 5, 6, 7) or Terms
    Terms + what Redis knows --PingSession.look--> Answer (2, 7) at once, or held
    held --hinted / look--> Answer (2, 7)
    held --over--> Answer (1): interval over, newer Ping, drain

Two rules decide whether a phone has seen a change. A folder counts as changed when its sequence
number *differs* from the phone's cursor: larger is the usual case, smaller means that Redis lost
data. And everything counts as changed when the ledger's epoch is not the cursor's. So a wake-up
for nothing is possible, a missed one is not.

Nothing here reads a clock, a socket or Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from notifier.change import HIERARCHY
from pushgw.eas.folders import field_names
from pushgw.eas.ping import PingFolder, PingRequest, PingResponse, PingStatus

if TYPE_CHECKING:
    from collections.abc import Collection

    from heartbeat.interval import Bounds

UNKNOWN: Final = -1
"""A cursor that equals no sequence number: whatever is there now has not been seen."""


class Known(NamedTuple):
    """What is stored of a device when its Ping arrives."""

    is_synchronised: bool
    """A FolderSync of this partnership succeeded."""
    heartbeat: int | None = None
    """Seconds of the last accepted Ping that named an interval."""
    folders: tuple[PingFolder, ...] | None = None
    """The folder list of the last accepted Ping that had one."""


class Terms(NamedTuple):
    """A Ping that may wait: completed from the cached parameters, within all limits."""

    heartbeat: int
    """Seconds."""
    folders: tuple[PingFolder, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is granted to a Ping."""

    bounds: Bounds
    max_folders: int


class Answer(NamedTuple):
    """What a Ping is answered with, and why."""

    response: PingResponse
    reason: str
    """One fixed word for logs and metrics."""
    seen: tuple[tuple[str, str], ...] = ()
    """Ledger fields with the cursor marks that hold once the phone has this answer."""


def _over(reason: str) -> Answer:
    return Answer(PingResponse(PingStatus.EXPIRED), reason)


HEARTBEAT: Final = _over("heartbeat")
SUPERSEDED: Final = _over("superseded")
INTERRUPTED: Final = _over("interrupted")
DRAINED: Final = _over("drain")
BALANCED: Final = _over("balance")
FAULT: Final = Answer(PingResponse(PingStatus.SERVER_ERROR), "fault")
HIERARCHY_CHANGED: Final = Answer(PingResponse(PingStatus.FOLDER_SYNC_REQUIRED), "hierarchy")


def judge(request: PingRequest, known: Known, limits: Limits) -> Answer | Terms:
    """Complete a Ping from the cached parameters and hold it against the limits.

    Source: [MS-ASCMD] 3.1.5.8 (what is cached), 2.2.3.177.11 (statuses 3, 5, 6, 7).
    """
    heartbeat = known.heartbeat if request.heartbeat is None else request.heartbeat
    folders = known.folders if request.folders is None else request.folders
    if heartbeat is None or not folders:
        return _refused(PingResponse(PingStatus.MISSING_PARAMETERS))
    granted = limits.bounds.nearest(heartbeat)
    if granted != heartbeat:
        return _refused(PingResponse(PingStatus.HEARTBEAT_OUT_OF_RANGE, heartbeat=granted))
    if len(folders) > limits.max_folders:
        return _refused(PingResponse(PingStatus.TOO_MANY_FOLDERS, max_folders=limits.max_folders))
    if not known.is_synchronised:
        return HIERARCHY_CHANGED
    return Terms(heartbeat, folders)


def _refused(response: PingResponse) -> Answer:
    return Answer(response, "terms")


class Watch:
    """Which ledger fields a list of folders depends on; shared by all phones with that list."""

    __slots__ = ("_folder_of", "fields", "ids")

    def __init__(self, folders: tuple[PingFolder, ...]) -> None:
        self.ids = tuple(folder.id for folder in folders)
        """CollectionIds exactly as the phone spelled them, in its order."""
        self._folder_of: dict[str, int] = {HIERARCHY: UNKNOWN}
        for position, folder in enumerate(folders):
            for name in field_names(folder.id):
                self._folder_of.setdefault(name, position)
        self.fields = tuple(self._folder_of)
        """Folder names under which a change may have been recorded; the hierarchy first."""

    def changed_ids(self, positions: Collection[int]) -> tuple[str, ...] | None:
        """Name the folders behind field positions, in the phone's order; None: the hierarchy."""
        if 0 in positions:
            return None
        folders = {self._folder_of[self.fields[position]] for position in positions}
        return tuple(self.ids[folder] for folder in sorted(folders))


@lru_cache(maxsize=4096)
def watch(folders: tuple[PingFolder, ...]) -> Watch:
    """Return the one Watch of a folder list."""
    return Watch(folders)


def mark(sequence: int, epoch: str) -> str:
    """Write a cursor down: the sequence number with the epoch in which it counts."""
    return f"{sequence}.{epoch}"


def cursor(stored: bytes | None, epoch: str, base: bytes | None) -> int:
    """Read a cursor back; UNKNOWN when it was written in another epoch.

    Nothing stored means that nothing had been recorded when the partnership began.

    Args:
        stored: The mark, None if there is none.
        epoch: The ledger's.
        base: Epoch in which the partnership began.
    """
    if stored is None:
        return 0 if base == epoch.encode() else UNKNOWN
    sequence, _, written = stored.partition(b".")
    return int(sequence) if written == epoch.encode() else UNKNOWN


class PingSession:
    """A Ping under its terms: compared with the ledger, then held."""

    __slots__ = ("_cursors", "_epoch", "heartbeat", "watch")

    def __init__(self, terms: Terms, cursors: tuple[int, ...], epoch: str) -> None:
        self.watch = watch(terms.folders)
        self.heartbeat = terms.heartbeat
        self._cursors = cursors
        self._epoch = epoch

    def look(self, sequences: tuple[int, ...], epoch: str) -> Answer | None:
        """Compare the ledger with the cursors.

        Args:
            sequences: Of ``watch.fields``, in that order.
            epoch: The ledger's.

        Returns:
            The answer if anything differs, None if the phone waits on.
        """
        if epoch != self._epoch:
            self._epoch, self._cursors = epoch, (UNKNOWN,) * len(sequences)
        elif sequences == self._cursors:
            return None
        return self._changed(
            {at: now for at, now in enumerate(sequences) if now != self._cursors[at]}
        )

    def told(self, answer: Answer) -> None:
        """Take it that the phone has an answer of this session: what it told is not news again."""
        if answer.seen:
            told = {name: int(text.partition(".")[0]) for name, text in answer.seen}
            self._cursors = tuple(map(told.get, self.watch.fields, self._cursors))

    def is_of(self, request: PingRequest) -> bool:
        """Tell if a further Ping of the same device asks for the same, in words or by silence."""
        folders = request.folders
        return (request.heartbeat is None or request.heartbeat == self.heartbeat) and (
            folders is None or watch(folders) is self.watch
        )

    def hinted(self, folder: str, sequence: int | None) -> Answer | Literal["look"] | None:
        """Judge a hint.

        Args:
            folder: As the publisher named it.
            sequence: The folder's number after the change, None if the publisher did not say.

        Returns:
            The answer if the hint itself shows a number beyond the cursor; ``"look"`` if the
            ledger must be compared; None if no watched folder is meant.
        """
        if folder not in self.watch.fields:
            return None
        at = self.watch.fields.index(folder)
        if sequence is None or sequence <= self._cursors[at]:
            return "look"
        return self._changed({at: sequence})

    def _changed(self, numbers: dict[int, int]) -> Answer:
        """Answer for fields (by position) and the sequence numbers that they have now."""
        ids = self.watch.changed_ids(numbers)
        if ids is None:
            return HIERARCHY_CHANGED
        fields, epoch = self.watch.fields, self._epoch
        seen = tuple((fields[at], mark(number, epoch)) for at, number in numbers.items())
        return Answer(PingResponse(PingStatus.CHANGED, folders=ids), "change", seen)
