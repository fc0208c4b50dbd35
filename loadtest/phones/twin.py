"""A second connection of a phone, with the same Ping: some broken clients have two at once."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

from loadtest.phones.phone import GRACE, drop, read
from loadtest.wire.answers import UnreadableAnswerError, Whole

if TYPE_CHECKING:
    from loadtest.phones.phone import Phone
    from loadtest.scenario.commands import Ping
    from loadtest.wire.answers import AnswerReader


class Twin(asyncio.Protocol):
    """The second connection; gone when its Ping is answered. Its host is that of the phone."""

    __slots__ = (
        "_host",
        "_reader",
        "_request",
        "_transport",
        "command",
        "number",
        "sent_at",
        "until",
        "watched",
    )

    def __init__(self, phone: Phone, command: Ping, request: bytes) -> None:
        self.number = phone.number
        self.command = command
        self.watched = phone.watched
        self.sent_at = 0.0
        """When its Ping was sent."""
        self.until = math.inf
        """When it is to be closed; 0.0 once it is gone."""
        self._host = phone.host
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None

    def close(self) -> None:
        """Hang up."""
        self.until = 0.0
        if self._transport is not None:
            transport, self._transport = self._transport, None
            drop(transport)

    def unreachable(self, kind: str) -> None:
        """Take the news that no connection could be opened."""
        self.until = 0.0
        self._host.failed(kind)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the Ping, unless it was closed before that."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.until:
            self.close()
            return
        self.sent_at = self._host.now()
        self.until = self.sent_at + self.command.heartbeat + GRACE
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take the answer and leave."""
        at = self._host.now()
        try:
            found = read(self._reader, data)
        except UnreadableAnswerError:
            self._host.failed("unreadable answer")
            self.close()
            return
        if isinstance(found, Whole):
            self.close()
            self._host.answered_beside(self, found.answer, at)
        else:
            self._reader = found

    def connection_lost(self, exc: Exception | None) -> None:
        """Count an end that came before the answer."""
        self._transport = None
        self.until = 0.0
        self._host.failed("reset" if exc else "closed")
