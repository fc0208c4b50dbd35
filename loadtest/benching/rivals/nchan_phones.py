"""Phones that poll Nchan, and what they have to hear of.

They are as lean as they can be in Python, for they share the machine with nginx: one slotted
object and its connection each.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from loadtest.benching.rivals import nchan_wire
from loadtest.figures import Histogram
from loadtest.phones.phone import drop
from loadtest.targets import default_sources

if TYPE_CHECKING:
    from loadtest.targets import Target

AT_ONCE: Final = 512
"""Connections on their way at the same time."""
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Source: Linux, linux/in.h; Python's socket module has no name for it."""


class Round:
    """Changes that phones have to hear of, and how long that took."""

    def __init__(self) -> None:
        self.open: dict[int, float] = {}
        """When the mailboxes changed whose phones have not heard of it."""
        self.latency = Histogram()
        self.last = 0.0
        """When the last phone heard."""

    def publish(self, mailbox: int, at: float) -> None:
        """Enter a change; an earlier one that is still open covers it."""
        self.open.setdefault(mailbox, at)

    def answer(self, phone: int, at: float) -> None:
        """Enter what a phone read."""
        since = self.open.pop(phone, None)
        if since is not None:
            self.latency.record(at - since)
            self.last = at


class Crowd:
    """Phones, which arrive one after the other and stay."""

    def __init__(self, target: Target) -> None:
        self.waiting = 0
        """Phones whose poll is on the wire."""
        self.arrived = 0
        """Phones that have begun; those with the lowest numbers."""
        self.round = Round()
        """The changes that are going on."""
        self.errors: Counter[str] = Counter()
        """Failures by kind."""
        self.phones: list[Phone] = []
        """Those that have a connection, or had one."""
        self._target = target
        self._sources = default_sources((target,))

    async def arrive(self, devices: int, rate: float) -> None:
        """Let the next phones connect.

        Args:
            devices: How many.
            rate: Phones a second; 0 for as fast as they connect.
        """
        places = asyncio.Semaphore(AT_ONCE)
        start, first = monotonic(), self.arrived
        self.arrived += devices
        async with asyncio.TaskGroup() as group:
            for index in range(devices):
                if rate:
                    await asyncio.sleep(max(0.0, start + index / rate - monotonic()))
                await places.acquire()
                group.create_task(self._open(first + index, places))

    def close(self) -> None:
        """Hang up."""
        for phone in self.phones:
            drop(phone.transport)

    async def _open(self, number: int, places: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        connection = socket.socket()
        try:
            connection.setblocking(False)
            self._bind(connection, number)
            await loop.sock_connect(connection, (self._target.host, self._target.port))
            await loop.create_connection(lambda: Phone(self, number), sock=connection)
        except OSError as error:
            connection.close()
            self.errors[f"connect: {error.strerror or error}"] += 1
        finally:
            places.release()

    def _bind(self, connection: socket.socket, number: int) -> None:
        if self._sources:
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((self._sources[number % len(self._sources)], 0))


class Phone(asyncio.Protocol):
    """Polls for its mailbox, again and again on one connection."""

    __slots__ = ("_crowd", "_number", "_start", "transport")

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._number = number
        self._start = b""
        """Of an answer that came in pieces."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait."""
        self.transport = cast("asyncio.Transport", transport)
        self._crowd.phones.append(self)
        self._crowd.waiting += 1
        self._poll()

    def data_received(self, data: bytes) -> None:
        """Read an answer, and wait for the next one."""
        at = monotonic()
        self._start += data
        status = nchan_wire.status_of(self._start)
        if status is None:
            return
        self._start = b""
        if status == nchan_wire.OK:
            self._crowd.round.answer(self._number, at)
            self._poll()
        else:
            self._crowd.errors[f"HTTP {status}"] += 1
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._crowd.waiting -= 1
        self._crowd.errors["reset" if exc else "closed"] += 1

    def _poll(self) -> None:
        self.transport.write(nchan_wire.poll(self._number))
