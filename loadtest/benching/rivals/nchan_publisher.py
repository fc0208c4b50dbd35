"""Publishes changes to Nchan by HTTP POST."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

from loadtest.benching.rivals import nchan_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from loadtest.targets import Target

LINES: Final = 16
"""Connections of the publisher, each with one request under way."""


class Publisher:
    """Publishes changes on connections that it keeps. Open it with ``open_publisher``."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        """Failures by kind."""
        self._idle: deque[Line] = deque()
        self._due: deque[int] = deque()

    def publish(self, mailbox: int) -> None:
        """Change a mailbox, as soon as a connection is free."""
        self._due.append(mailbox)
        self._go_on()

    def rest(self, line: Line) -> None:
        """Take a connection back."""
        self._idle.append(line)
        self._go_on()

    def _go_on(self) -> None:
        while self._due and self._idle:
            self._idle.popleft().send(self._due.popleft())


class Line(asyncio.Protocol):
    """A connection of the publisher, with one request at a time."""

    __slots__ = ("_publisher", "_start", "transport")

    transport: asyncio.Transport

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._start = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for a request."""
        self.transport = cast("asyncio.Transport", transport)
        self._publisher.rest(self)

    def send(self, mailbox: int) -> None:
        """Publish one change."""
        self.transport.write(nchan_wire.publish(mailbox))

    def data_received(self, data: bytes) -> None:
        """Read an answer, and be ready for the next request."""
        self._start += data
        status = nchan_wire.status_of(self._start)
        if status is None:
            return
        self._start = b""
        if status not in nchan_wire.PUBLISHED:
            self._publisher.errors[f"publish: HTTP {status}"] += 1
        self._publisher.rest(self)


@asynccontextmanager
async def open_publisher(target: Target) -> AsyncIterator[Publisher]:
    """Connect a publisher, and hang up at the end."""
    loop = asyncio.get_running_loop()
    publisher = Publisher()
    lines: list[Line] = []
    try:
        for _ in range(LINES):
            _, line = await loop.create_connection(
                lambda: Line(publisher), target.host, target.port
            )
            lines.append(line)
        yield publisher
    finally:
        for line in lines:
            line.transport.abort()
