"""The small mail that stands for a change."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final

SENDER: Final = "Load test <loadtest@localhost>"


def compose(mailbox: str, tag: str, at: float) -> bytes:
    """Return a mail with CRLF line ends.

    Args:
        mailbox: Whom it is for.
        tag: The subject; also makes the Message-ID, so it has to be unique.
        at: Unix seconds.

    Raises:
        ValueError: If one of them has a line break in it.
    """
    mail = EmailMessage(SMTP)
    mail["From"] = SENDER
    mail["To"] = mailbox
    mail["Subject"] = tag
    mail["Message-ID"] = f"<{tag.replace(' ', '-')}@loadtest.invalid>"
    mail["Date"] = formatdate(at)
    mail.set_content("A change made by the load generator.\n")
    return mail.as_bytes()
