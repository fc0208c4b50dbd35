"""What every publisher promises, and how it fails."""

from __future__ import annotations

import ssl
from typing import Final, Protocol

from notifier.change import Change, ChangeError

CLASSES: Final = {
    "INBOX": "Email",
    "Calendar": "Calendar",
    "Contacts": "Contacts",
    "Tasks": "Tasks",
    "Notes": "Notes",
}
"""What a folder holds, by its watch name; every other one holds mail."""
CLOSED: Final = "closed"
FULL: Final = "queue full"


class PublisherError(ValueError):
    """A publisher cannot be opened as asked. One line: what was found, what is allowed."""


class PublishFailedError(Exception):
    """The backend is not known to have a change; publishing it again is harmless."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
        """What failed, in a few words of a small set: it is counted by them."""


class Publishes(Protocol):
    """Makes changes in the mailboxes of a backend."""

    @property
    def carries_tags(self) -> bool:
        """Whether a phone that syncs the folder gets to see the tag."""

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        """Make one change; returns when the backend has it.

        Args:
            mailbox: Login name.
            folder: Watch name: INBOX, Calendar, Contacts, or a folder's own name.
            tag: Text that is unique in the run, without line breaks. Where the change is a mail
                it becomes the subject, by which the phone recognises it.

        Raises:
            PublishFailedError: If the backend is not known to have it.
        """

    async def close(self) -> None:
        """Close the connections; what still waits fails."""


def changed(mailbox: str, folder: str) -> Change:
    """Return the change of a folder by its watch name.

    Raises:
        PublishFailedError: If no backend can have such a mailbox or folder.
    """
    try:
        return Change(mailbox, folder, CLASSES.get(folder, "Email"))
    except ChangeError as error:
        raise PublishFailedError("no valid mailbox or folder") from error


def lost(error: Exception) -> PublishFailedError:
    """Say in a few words why there is no connection, or no longer."""
    match error:
        case TimeoutError():
            return PublishFailedError("timeout")
        case ConnectionRefusedError():
            return PublishFailedError("connection refused")
        case ssl.SSLError():
            return PublishFailedError("TLS handshake")
        case _:
            return PublishFailedError("connection broken")
