"""Sees each request and answer of the phones, and enters them into figures and account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from loadtest.phones.phone import held_seconds
from loadtest.scenario.commands import Ping, Sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadtest.figures import Figures
    from loadtest.phones.account import Account
    from loadtest.phones.phone import Phone
    from loadtest.phones.twin import Twin
    from loadtest.scenario.commands import Answer, Document

EARLY: Final = 2.0
"""Seconds before its interval within which a Ping may be answered for its end."""
TAG: Final = "pushgw-loadtest "
"""What the subject of a published item begins with; the id of the change follows."""
_OK: Final = 200
_NOT_IMPLEMENTED: Final = 501
_OVER: Final = 1
_CHANGES: Final = 2
"""Statuses of a Ping; the others refuse it. Source: [MS-ASCMD] 2.2.3.177.11."""
_SUCCESS: Final = 1
"""Status of all other commands; a Sync may leave it out."""


class Witness:
    """Turns what happens to phones into figures.

    Args:
        figures: Where durations and counts go.
        account: Of the same phones.
        settle: Seconds after a phone's first Ping from which on changes must reach it.
    """

    def __init__(self, figures: Figures, account: Account, *, settle: float) -> None:
        self._figures = figures
        self._account = account
        self._settle = settle

    def sent(self, phone: Phone) -> None:
        """Note that a phone waits."""
        number, at = phone.number, phone.sent_at
        if phone.since:
            name = "reconnect" if self._account.is_armed(number) else "first_hold"
            self._figures.record(name, at - phone.since)
            phone.since = 0.0
        if not self._account.expects(number, at):
            self._account.arm(number, at + self._settle)

    def broke(self, phone: Phone, at: float) -> None:
        """Note that a phone got no answer."""
        self._account.postpone(phone.number, at)

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        """Enter an answer to the command of a phone."""
        self._enter(phone, answer, at)

    def answered_beside(self, twin: Twin, answer: Answer, at: float) -> None:
        """Enter an answer to the Ping that a phone sent on a second connection."""
        self._enter(twin, answer, at)

    def _enter(self, asker: Phone | Twin, answer: Answer, at: float) -> None:
        figures, command = self._figures, asker.command
        figures.counts["answers"] += 1
        if answer.http_status != _OK:
            self._refused(asker, answer.http_status, at)
        elif isinstance(command, Ping):
            self._pinged(asker, command, answer.document, at)
        elif isinstance(command, Sync):
            self._synced(asker, command, answer.document, at)
        else:
            figures.record("command", at - asker.sent_at)
            self._judge(answer.document)

    def _refused(self, asker: Phone | Twin, http_status: int, at: float) -> None:
        if http_status == _NOT_IMPLEMENTED and isinstance(asker.command, Sync):
            self._figures.counts["no_sync"] += 1
            self._account.without_sync(asker.number, at)
        else:
            self._figures.errors[f"HTTP {http_status}"] += 1
        if held_seconds(asker.command):
            self._account.postpone(asker.number, at)

    def _pinged(self, asker: Phone | Twin, command: Ping, document: Document, at: float) -> None:
        self._figures.counts["pings"] += 1
        if document.status == _OVER:
            self._account.arm(asker.number, at)
            self._ended(command.heartbeat - (at - asker.sent_at))
        elif document.status == _CHANGES and document.folders:
            self._account.arm(asker.number, at)
            self._named(asker, document.folders, at)
        else:
            self._account.postpone(asker.number, at)
            what = " without a folder" if document.status == _CHANGES else ""
            self._figures.errors[f"Ping status {document.status}{what}"] += 1

    def _synced(self, asker: Phone | Twin, command: Sync, document: Document, at: float) -> None:
        self._judge(document)
        if command.wait:
            self._waited(asker, command, document, at)
        else:
            self._figures.record("command", at - asker.sent_at)
            if not document.root:  # nothing new in any of the folders
                self._fetched(asker, {one.folder.id: () for one in command.collections}, at)
        for synced in document.collections:
            if synced.status == _SUCCESS:
                self._fetched(asker, {synced.id: synced.subjects}, at)
            else:
                self._figures.errors[f"Sync status {synced.status}"] += 1

    def _waited(self, asker: Phone | Twin, command: Sync, document: Document, at: float) -> None:
        folders = document.collections
        if document.status > _SUCCESS or any(one.status != _SUCCESS for one in folders):
            self._account.postpone(asker.number, at)
            return
        self._account.arm(asker.number, at)
        if not document.root:
            self._ended(command.wait - (at - asker.sent_at))
        self._named(asker, (one.id for one in folders if one.added), at)

    def _fetched(self, asker: Phone | Twin, folders: dict[str, tuple[str, ...]], at: float) -> None:
        """Enter the subjects that were found in some folders."""
        for one in asker.watched:
            if one.id in folders:
                tags = _tags(folders[one.id])
                self._account.fetch(asker.number, one.watch, tags, asked=asker.sent_at, at=at)

    def _named(self, asker: Phone | Twin, folders: Iterable[str], at: float) -> None:
        watches = {one.id: one.watch for one in asker.watched}
        recorded = math.inf
        for folder in folders:
            if folder in watches:
                found = self._account.name(asker.number, watches[folder], at)
                recorded = min(recorded, found)
            else:
                self._figures.counts["spurious"] += 1
        if recorded < asker.sent_at:
            self._figures.record("ping", at - asker.sent_at)

    def _ended(self, early: float) -> None:
        if early > EARLY:
            self._figures.counts["cut_short"] += 1
        elif early >= 0:
            self._figures.record("heartbeat_early", early)
        else:
            self._figures.record("heartbeat_late", -early)

    def _judge(self, document: Document) -> None:
        if document.root and document.status > _SUCCESS:
            self._figures.errors[f"{document.root} status {document.status}"] += 1


def _tags(subjects: Iterable[str]) -> Iterator[str]:
    return (one.removeprefix(TAG) for one in subjects if one.startswith(TAG))
