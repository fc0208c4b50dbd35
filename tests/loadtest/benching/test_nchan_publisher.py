"""The publisher, against a server that answers as a test wants."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loadtest.benching.rivals import nchan_wire
from loadtest.benching.rivals.nchan_publisher import LINES, open_publisher
from loadtest.polling import poll
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONE = len(nchan_wire.publish(0))


class Channels:
    """Takes what is published, answers it when it may, and knows how much waited at once."""

    def __init__(self, status: str) -> None:
        self.published: list[bytes] = []
        self.connections = self.waiting = self.most = 0
        self._answer = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n".encode(), b"ok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.published.append(await reader.readexactly(ONE))
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                for piece in self._answer:
                    await asyncio.sleep(0.002)
                    writer.write(piece)
                self.waiting -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            self.connections -= 1


@asynccontextmanager
async def channels(status: str) -> AsyncIterator[tuple[Channels, Target]]:
    found = Channels(status)
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0) as server:
        yield found, Target("127.0.0.1", server.sockets[0].getsockname()[1])
        await poll(lambda: not found.connections, 5.0)


async def test_many_changes_share_the_connections() -> None:
    """All changes are published, each once, and no connection has two under way."""
    async with channels("201 Created") as (found, target), open_publisher(target) as publisher:
        for mailbox in range(50):
            publisher.publish(mailbox)
        await poll(lambda: len(found.published) == 50, 5.0)

    assert sorted(map(nchan_wire.publish, range(50))) == sorted(found.published)
    assert found.most <= LINES


async def test_a_refusal_is_counted() -> None:
    """A change that was not taken is an error, and its connection takes the next one."""
    async with channels("403 Forbidden") as (_, target), open_publisher(target) as publisher:
        for _ in range(2 * LINES):
            publisher.publish(0)
        await poll(lambda: publisher.errors.total() == 2 * LINES, 5.0)

    assert {"publish: HTTP 403": 2 * LINES} == publisher.errors


async def test_a_change_that_nobody_waits_for_is_no_error() -> None:
    """Nchan takes a change also where no phone polls."""
    async with channels("202 Accepted") as (found, target), open_publisher(target) as publisher:
        publisher.publish(0)
        publisher.publish(1)
        await poll(lambda: len(found.published) == 2 and not found.waiting, 5.0)

    assert {} == publisher.errors
