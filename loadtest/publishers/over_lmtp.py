"""Delivers a small mail by LMTP, as a mail server hands new mail to its store."""

from __future__ import annotations

import time
from smtplib import LMTP, SMTPConnectError, SMTPRecipientsRefused, SMTPResponseException
from typing import TYPE_CHECKING, Final

from loadtest.publishers.mail import compose
from loadtest.publishers.publishing import PublishFailedError, changed
from loadtest.publishers.threads import THREADS, Kept, Threads

if TYPE_CHECKING:
    from loadtest.publishers.address import Address

INBOX: Final = "INBOX"
_ANSWER_WITHIN: Final = 10.0
_NOBODY: Final = ""
"""Envelope sender: an automatic answer would be a change that nobody counts."""


class OverLmtp:
    """Delivers mail into the INBOX; see ``Publishes``."""

    carries_tags = True

    def __init__(self, address: Address) -> None:
        self._address = address
        self._threads = Threads()
        self._connections: Kept[LMTP] = Kept(self._connect, LMTP.close, THREADS)

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        """Deliver one mail."""
        if folder != INBOX:
            raise PublishFailedError("LMTP delivers to INBOX only")
        recipient = changed(mailbox, folder).mailbox
        if not recipient.isascii():
            raise PublishFailedError("LMTP takes ASCII mailboxes only")
        mail = compose(recipient, tag, time.time())
        await self._threads.run(
            lambda: self._connections.use("", lambda server: _deliver(server, recipient, mail))
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._threads.close()
        self._connections.close()

    def _connect(self, _: str) -> LMTP:
        host, port = self._address.host, self._address.port
        try:
            # A name of its own: else each connection asks the resolver for this host's.
            return LMTP(host, port, "localhost", timeout=_ANSWER_WITHIN)
        except SMTPConnectError as error:
            raise PublishFailedError(f"LMTP refused, {error.smtp_code}") from error


def _deliver(server: LMTP, recipient: str, mail: bytes) -> None:
    try:
        server.sendmail(_NOBODY, [recipient], mail)
    except SMTPRecipientsRefused as error:
        code, _ = error.recipients[recipient]
        raise PublishFailedError(f"LMTP recipient refused, {code}") from error
    except SMTPResponseException as error:
        raise PublishFailedError(f"LMTP refused, {error.smtp_code}") from error
