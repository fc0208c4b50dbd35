from __future__ import annotations

import asyncio
import contextlib
import tempfile
from typing import TYPE_CHECKING

import hiredis
import pytest

from notifier.link import Link, RefusedError, pack
from notifier.subscriptions import UnaskedReplyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Ends:
    """A link, and a server of which the test says every byte."""

    def __init__(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.link = link
        self.reader = reader
        self.writer = writer


class Ear:
    """Keeps what a link hands on; knows how many replies are due."""

    def __init__(self, due: int = 9) -> None:
        self.due = due
        self.hints: list[tuple[bytes, bytes]] = []
        self.settled: list[int] = []

    def hint(self, name: bytes, payload: bytes) -> None:
        self.hints.append((name, payload))

    def settle(self, replies: int) -> None:
        if replies > self.due:
            raise UnaskedReplyError(f"{replies} replies came, {self.due} were due")
        self.settled.append(replies)


@contextlib.asynccontextmanager
async def linked(ear: Ear) -> AsyncIterator[Ends]:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
    with tempfile.TemporaryDirectory(prefix="pushgw-") as directory:
        path = f"{directory}/s"
        server = await asyncio.start_unix_server(lambda *ends: accepted.put_nowait(ends), path)
        link = Link(ear.hint, ear.settle)
        async with server:
            await asyncio.get_running_loop().create_unix_connection(lambda: link, path)
            reader, writer = await accepted.get()
            try:
                yield Ends(link, reader, writer)
            finally:
                await link.close()
                writer.close()


async def test_messages_and_replies() -> None:
    """Messages are handed on in order, the replies of one read are counted."""
    ear = Ear()
    async with linked(ear) as ends:
        ends.writer.write(
            pack((b"message", b"a", b"1"))
            + pack((b"subscribe", b"b", b"1"))
            + pack((b"unsubscribe", b"c", b"1"))
            + pack((b"message", b"b", b"2"))
            + b"+PONG\r\n"
        )
        await ends.link.ping(1.0)

    assert ([(b"a", b"1"), (b"b", b"2")], [2]) == (ear.hints, ear.settled)


@pytest.mark.parametrize(
    "pong",
    [
        pytest.param(b"+PONG\r\n", id="without subscriptions"),
        pytest.param(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", id="with subscriptions"),
    ],
)
async def test_pong(pong: bytes) -> None:
    """A PONG counts in both forms Redis gives it, however it is cut."""
    async with linked(Ear()) as ends:
        ping = asyncio.create_task(ends.link.ping(1.0))
        await ends.reader.readuntil(b"PING\r\n")
        ends.writer.write(pong[:3])
        await asyncio.sleep(0.01)
        was_early = ping.done()
        ends.writer.write(pong[3:])
        await asyncio.wait((ping,))

        assert (False, None) == (was_early, ping.exception())


async def test_unasked_pong() -> None:
    """A PONG nobody waits for does not count for the next PING."""
    async with linked(Ear()) as ends:
        ends.writer.write(b"+PONG\r\n+PONG\r\n")
        await ends.link.ping(1.0)

        with pytest.raises(TimeoutError):
            await ends.link.ping(0.01)


async def test_no_pong() -> None:
    """A PING without PONG fails when its time is over."""
    async with linked(Ear()) as ends:
        with pytest.raises(TimeoutError, match=r"no PONG within 0\.01 seconds"):
            await ends.link.ping(0.01)


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        pytest.param(None, "pw", (b"AUTH", b"default", b"pw"), id="password alone"),
        pytest.param("eve", "pw", (b"AUTH", b"eve", b"pw"), id="both"),
        pytest.param("eve", None, (b"AUTH", b"eve", b""), id="user alone"),
    ],
)
async def test_greet(username: str | None, password: str | None, words: tuple[bytes, ...]) -> None:
    """Credentials go before the first PING; the answer to them needs no look."""
    async with linked(Ear()) as ends:
        ends.writer.write(b"+OK\r\n+PONG\r\n")
        await ends.link.greet(username, password, 1.0)

        assert pack(words) == await ends.reader.readexactly(len(pack(words)))


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        pytest.param(b"-NOAUTH say\r\n", RefusedError, "NOAUTH say", id="error"),
        pytest.param(b"!?\r\n", hiredis.ProtocolError, "Protocol error", id="not Redis"),
        pytest.param(
            pack((b"subscribe", b"a", b"1")) * 2, UnaskedReplyError, "2 replies", id="unasked"
        ),
    ],
)
async def test_ended_by_us(data: bytes, error: type[Exception], text: str) -> None:
    """What Redis must not say ends the connection, and whoever waits is told what it was."""
    async with linked(Ear(due=1)) as ends:
        ends.writer.write(data)

        with pytest.raises(error, match=text):
            await ends.link.rest(1.0)


async def test_ended_by_redis() -> None:
    """A connection that Redis closes is told to whoever waits."""
    async with linked(Ear()) as ends:
        ends.writer.close()

        with pytest.raises(ConnectionResetError, match="closed by Redis"):
            await ends.link.rest(1.0)


async def test_sent_too_late() -> None:
    """A command to a connection that has ended goes nowhere, without an error."""
    async with linked(Ear()) as ends:
        await ends.link.close()
        ends.link.send(b"PING\r\n")

        assert b"" == await ends.reader.read()


async def test_never_connected() -> None:
    """A link that was never dialled can be closed."""
    ear = Ear()
    link = Link(ear.hint, ear.settle)
    closing = asyncio.create_task(link.close())
    await asyncio.wait((closing,))

    assert closing.exception() is None
