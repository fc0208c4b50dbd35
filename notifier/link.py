"""One pub/sub connection to Redis: commands out, replies in. It knows nothing of mailboxes.

RESP2: every message of a subscription is an array, whose first word says what it is. The reader
takes in whatever has come and hands it on at once, so nothing queues here and Redis' output buffer
stays empty.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import hiredis

from notifier.subscriptions import UnaskedReplyError

if TYPE_CHECKING:
    from collections.abc import Callable

# hiredis' own type names a tuple of exactly one word.
pack = cast("Callable[[tuple[str | bytes, ...]], bytes]", hiredis.pack_command)
"""Write a command, verb and arguments, as Redis reads it."""

_PING = pack((b"PING",))
_PONGS = (b"PONG", [b"pong", b""])  # without and with subscriptions
_SETTLED = (b"subscribe", b"unsubscribe")
_CLOSE_WITHIN = 1.0


class RefusedError(Exception):
    """Redis answered a command with an error; the text is Redis' own."""


class Link(asyncio.Protocol):
    """One connection, from its dialling to its end. Not to be used again.

    Whoever waits in ``greet``, ``ping`` or ``rest`` when the connection ends gets the reason
    raised: an OSError, RefusedError, UnaskedReplyError or hiredis.ProtocolError.
    """

    def __init__(self, hint: Callable[[bytes, bytes], None], settle: Callable[[int], None]) -> None:
        """Wait for a transport.

        Args:
            hint: Called with channel and payload of each message.
            settle: Called with the number of replies to SUBSCRIBE and UNSUBSCRIBE that came in one
                read. May raise UnaskedReplyError, which ends the connection.
        """
        self._hint = hint
        self._settle = settle
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._reason: Exception | None = None
        self.loop = asyncio.get_running_loop()
        """Kept, because asking for it is a system call in CPython 3.11."""
        self._pong: asyncio.Future[None] = self.loop.create_future()
        self._ended: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the one who waits know; a reason of our own came before that of the transport."""
        self._reason = self._reason or exc or ConnectionResetError("closed by Redis")
        self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand on all that is complete; what Redis must not say ends the connection."""
        try:
            self._reader.feed(data)
            replies = self._read()
            if replies:
                self._settle(replies)
        except (RefusedError, UnaskedReplyError, hiredis.ProtocolError) as error:
            self._end(error)

    def send(self, data: bytes) -> None:
        """Write commands; without effect on a connection that is ending."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def greet(self, username: str | None, password: str | None, within: float) -> None:
        """Give the credentials, if any, and hear a PONG: Redis has its data and lets us in."""
        if username or password:
            self.send(pack((b"AUTH", username or "default", password or "")))
        await self.ping(within)

    async def ping(self, within: float) -> None:
        """Send a PING.

        Raises:
            TimeoutError: If no PONG comes within so many seconds.
        """
        self._pong = self.loop.create_future()
        self.send(_PING)
        await self._wait(self._pong, within)
        if not self._pong.done():
            raise TimeoutError(f"no PONG within {within} seconds")

    async def rest(self, interval: float) -> None:
        """Return after so many seconds."""
        await self._wait(self._ended, interval)

    async def close(self) -> None:
        """End the connection at once, whatever the other side does; idempotent."""
        self._end(ConnectionAbortedError("closed by us"))
        if self._transport is not None:
            await asyncio.wait((self._ended,), timeout=_CLOSE_WITHIN)

    async def _wait(self, event: asyncio.Future[None], within: float) -> None:
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({event, self._ended}, timeout=within, return_when=first)
        if self._ended.done() and self._reason is not None:
            raise self._reason

    def _end(self, reason: Exception) -> None:
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    def _read(self) -> int:
        """Hand on the messages that are complete; return how many other replies are to settle."""
        settled = 0
        while (reply := self._reader.gets()) is not False:
            if type(reply) is list and reply[0] == b"message":
                self._hint(reply[1], reply[2])
            elif type(reply) is list and reply[0] in _SETTLED:
                settled += 1
            elif reply in _PONGS:
                self._heard_pong()
            elif isinstance(reply, hiredis.ReplyError):
                raise RefusedError(str(reply))
        return settled

    def _heard_pong(self) -> None:
        if not self._pong.done():
            self._pong.set_result(None)
