"""Accepts connections as long as there are files for them; all others wait in the kernel's queue.

The pace is uvloop's own: it accepts one connection in each turn of the event loop, among everything
else that is due (0.23 with libuv 1.52: 3,000 in 3,010 turns; libuv once accepted all that waited).
So a storm takes its turns like any other work. It was measured on two shared cores with 17,000
connections and their Pings that came at once to a worker, which held 2,000 other phones and woke
100 of them a second: in two of eight such storms the loop was late by more than 50 ms, once each.
An acceptor that paused while the loop was late by 50 or 20 ms paused in three of eight further
storms, for 106, 10 and 10 ms: no pace is left to set. An acceptor of our own, by ``add_reader`` and
``connect_accepted_socket``, costs 16 to 19 us a connection where uvloop's costs 9.

What uvloop lacks is a reserve. Without a file left it accepts all that is queued and hangs up on
them, and the worker could reach neither Redis nor its log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

LOOK: Final = 0.05
"""Seconds from one look for room to the next while there is none; a new start costs 50 us."""
_FILES: Final = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where connections come from."""

    listener: socket.socket
    """Bound, and listening already; the doorman closes it."""
    tls: ssl.SSLContext | None
    """None for plain connections."""
    backlog: int
    """Connections that may wait in the kernel's queue: the loop listens once more."""


class Doorman:
    """Accepts the connections of one listening socket. ``run`` it.

    Args:
        entrance: Where they come from.
        protocol_factory: Makes the protocol of each.
        room: As soon as ``count`` has reached it, nothing more is accepted.
        count: Counts what a connection takes one of; asked only when the room that it left last
            time may be used up.
    """

    def __init__(
        self,
        entrance: Entrance,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        *,
        room: int,
        count: Callable[[], int],
    ) -> None:
        self.accepted = 0
        """Connections accepted so far."""
        self.full_seconds = 0.0
        """How long there was no room so far."""
        self.is_full = False
        """Connections wait because there is no room."""
        self._entrance = entrance
        self._protocol_factory = protocol_factory
        self._room = room
        self._count = count
        self._left = 0
        """Connections that may be accepted before the next look."""
        self._server: asyncio.Server | None = None
        self._must_stop = asyncio.Event()
        self._is_closed = False

    async def run(self) -> None:
        """Accept until closed or cancelled."""
        try:
            while not self._is_closed:
                self.is_full = self._count() >= self._room
                if self.is_full:
                    await asyncio.sleep(LOOK)
                    self.full_seconds += LOOK
                else:
                    await self._accept()
        finally:
            self.close()

    def close(self) -> None:
        """Accept nothing more, for good; accepted connections are left alone."""
        self._is_closed = True
        self.is_full = False
        self._must_stop.set()
        self._stop()
        self._entrance.listener.close()

    async def _accept(self) -> None:
        """Accept until there is no room, or until closed."""
        self._must_stop.clear()
        self._left = self._room - self._count()
        # A copy: the queue belongs to what all copies share, and survives this server.
        self._server = await asyncio.get_running_loop().create_server(
            self._admit,
            sock=self._entrance.listener.dup(),
            ssl=self._entrance.tls,
            backlog=self._entrance.backlog,
        )
        await self._must_stop.wait()
        self._stop()
        # The last connection is counted only after the loop has had a turn.
        await asyncio.sleep(0)

    def _admit(self) -> asyncio.BaseProtocol:
        self.accepted += 1
        self._left -= 1
        if self._left <= 0:
            # One less: whether this connection is counted already is the counter's affair.
            self._left = self._room - self._count() - 1
            if self._left <= 0:
                # Not here: the server holds the connection that this protocol is for.
                self._must_stop.set()
        return self._protocol_factory()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def open_files(directory: Path = _FILES) -> int:
    """Count the open files of this process; 0 where the kernel does not say.

    It takes 2 us, and unlike the protocols of connections it includes TLS handshakes under way.

    Args:
        directory: Has an entry for each of them.

    Source: proc(5), the size of this directory from Linux 6.2 on.
    """
    try:
        return directory.stat().st_size
    except OSError:
        return 0
