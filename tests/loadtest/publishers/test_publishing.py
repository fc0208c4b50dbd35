"""The words that publishers share."""

from __future__ import annotations

import ssl

import pytest

from loadtest.publishers.publishing import PublishFailedError, changed, lost
from notifier.change import Change


@pytest.mark.parametrize(
    ("folder", "class_"),
    [
        *(("INBOX", "Email"), ("Calendar", "Calendar"), ("Contacts", "Contacts")),
        *(("Tasks", "Tasks"), ("Notes", "Notes"), ("Projects/Bridge", "Email")),
    ],
)
def test_a_folder_holds_what_its_name_says(folder: str, class_: str) -> None:
    """Folders with a name of their own hold mail, the others what they are called."""
    assert Change("alice", folder, class_) == changed("alice", folder)


@pytest.mark.parametrize(("mailbox", "folder"), [("", "INBOX"), ("alice", "IN\nBOX")])
def test_what_is_no_change_fails(mailbox: str, folder: str) -> None:
    """A mailbox or folder that no backend can have fails before it is sent."""
    with pytest.raises(PublishFailedError, match=r"^no valid mailbox or folder$"):
        changed(mailbox, folder)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("of the socket"), "timeout"),
        (ConnectionRefusedError(111, "x"), "connection refused"),
        (ssl.SSLCertVerificationError("x"), "TLS handshake"),
        (BrokenPipeError("x"), "connection broken"),
    ],
)
def test_a_lost_connection_has_a_kind(error: Exception, kind: str) -> None:
    """Failures are counted by a few fixed kinds."""
    assert kind == lost(error).kind
