"""Appends a small mail to a folder by IMAP, as the user whose mailbox it is."""

from __future__ import annotations

import base64
import re
import socket
import time
from contextlib import suppress
from imaplib import IMAP4, IMAP4_SSL
from typing import TYPE_CHECKING, Final

from loadtest.publishers.mail import compose
from loadtest.publishers.publishing import PublishFailedError, changed
from loadtest.publishers.threads import THREADS, Kept, Threads

if TYPE_CHECKING:
    import ssl

    from loadtest.publishers.address import Address

MOST: Final = 64
"""Connections, each of which is logged in to one mailbox."""
_ANSWER_WITHIN: Final = 10.0
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]+")


class OverImap:
    """Appends mail to any mail folder; see ``Publishes``.

    Args:
        address: Of the server; ``imaps`` speaks TLS.
        password: The same for all mailboxes.
        tls: Whom to trust; the system's authorities if None.
    """

    carries_tags = True

    def __init__(self, address: Address, password: str, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._password = password
        self._tls = tls
        self._threads = Threads()
        self._connections = Kept(self._connect, _drop, MOST - THREADS)

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        """Append one mail."""
        user = changed(mailbox, folder).mailbox
        if not user.isascii():
            raise PublishFailedError("IMAP takes ASCII mailboxes only")
        mail = compose(user, tag, time.time())
        await self._threads.run(
            lambda: self._connections.use(user, lambda server: _append(server, folder, mail))
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._threads.close()
        self._connections.close()

    def _connect(self, user: str) -> IMAP4:
        server = self._greet()
        try:
            _login(server, user, self._password)
        except BaseException:
            _drop(server)
            raise
        return server

    def _greet(self) -> IMAP4:
        host, port = self._address.host, self._address.port
        try:
            if self._address.scheme == "imaps":
                server: IMAP4 = IMAP4_SSL(host, port, ssl_context=self._tls, timeout=_ANSWER_WITHIN)
            else:
                server = IMAP4(host, port, timeout=_ANSWER_WITHIN)
        except IMAP4.error as error:
            raise ConnectionError(str(error)) from error
        # A mail is two writes: with Nagle's algorithm the second one waits 40 ms for the server.
        server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server


def _drop(server: IMAP4) -> None:
    with suppress(OSError):
        server.shutdown()


def _login(server: IMAP4, user: str, password: str) -> None:
    try:
        server.login(user, password)
    except IMAP4.abort as error:
        raise ConnectionError(str(error)) from error
    except IMAP4.error as error:
        raise PublishFailedError("IMAP login refused") from error


def _append(server: IMAP4, folder: str, mail: bytes) -> None:
    try:
        word, _ = server.append(quoted(folder), "", "", mail)
    except IMAP4.abort as error:
        raise ConnectionError(str(error)) from error
    except IMAP4.error as error:
        raise PublishFailedError("IMAP APPEND refused") from error
    if word != "OK":
        raise PublishFailedError(f"IMAP APPEND {word}")


def quoted(folder: str) -> str:
    """Spell a folder's name as a quoted string of IMAP.

    Source: RFC 3501 5.1.3 (modified UTF-7) and 9 (quoted).
    """
    name = _NOT_PLAIN.sub(_shifted, folder.replace("&", "&-"))
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shifted(run: re.Match[str]) -> str:
    words = base64.b64encode(run[0].encode("utf-16-be"), b"+,").decode()
    return f"&{words.rstrip('=')}-"
