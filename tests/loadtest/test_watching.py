"""The gateway is read now and then while a run goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from loadtest import watching
from loadtest.result import Gateway
from loadtest.scrape import ScrapeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOBODY = 2**22 + 1
"""Above the highest process id of Linux."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Admin:
    """An admin listener with one worker."""

    def __init__(self) -> None:
        self.memory = 50 << 20
        self.held = 0
        self.is_ill = False
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = (
            f"process_resident_memory_bytes {self.memory}\n"
            f"process_cpu_seconds_total 1.5\npushgw_held_pings {self.held}\n"
        ).encode()
        line = b"503 Not Ready" if self.is_ill else b"200 OK"
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (line, len(body)) + body)
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    one = Admin()
    async with await asyncio.start_server(one.take, "127.0.0.1", 0) as server:
        one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield one


@asynccontextmanager
async def grown(admin: Admin, memory: int, held: int) -> AsyncIterator[watching.Watching]:
    """Watch a gateway that had 50 phones and now has more."""
    async with watching.watch([admin.url]) as watched:
        admin.held = 50
        await watched.begin(50)
        admin.memory, admin.held = admin.memory + memory, held
        await watched.read()
        watched.weigh(held)
        yield watched


async def test_everything_is_read_from_the_metrics(admin: Admin) -> None:
    """Memory, CPU and held Pings are those that the gateway tells."""
    async with watching.watch([admin.url]) as watched:
        admin.held = 7
        await watched.read()

    assert Gateway(memory_bytes=50 << 20, cpu_seconds=1.5, held=7) == watched.latest


@linux
async def test_memory_of_a_child_is_read_from_the_system(admin: Admin) -> None:
    """Of processes that run here the system knows better what they use."""
    async with watching.watch([admin.url], pids=lambda: [os.getpid()]) as watched:
        await watched.read()

    assert watched.latest.memory_bytes not in {None, 50 << 20}
    assert watched.latest.held == 0


@linux
async def test_a_sum_with_a_gap_is_none() -> None:
    """While one of several process trees cannot be read, their memory is not known."""
    async with watching.watch((), pids=lambda: [os.getpid(), NOBODY]) as watched:
        await watched.read()

    assert watched.latest.memory_bytes is None


async def test_nothing_to_watch_is_nothing_known() -> None:
    """A server that is no gateway has no figures of its own."""
    async with watching.watch(()) as watched:
        await watched.begin(50)
        watched.weigh(100)

    assert (Gateway(), None) == (watched.latest, watched.bytes_per_phone)


async def test_bytes_per_phone_are_those_of_the_phones_that_came(admin: Admin) -> None:
    """What the gateway used with its first phones is not the price of the others."""
    async with grown(admin, memory=2_000 * 1_950, held=2_000) as watched:
        assert 2_000 == watched.bytes_per_phone


async def test_the_fullest_reading_counts(admin: Admin) -> None:
    """When phones leave, the price of a phone stays that of when most were there."""
    async with grown(admin, memory=2_000 * 1_950, held=2_000) as watched:
        admin.memory, admin.held = 1 << 30, 60
        await watched.read()
        watched.weigh(60)

        assert 2_000 == watched.bytes_per_phone


@pytest.mark.parametrize(("memory", "held"), [(-4096, 100), (4096, 50)])
async def test_too_few_phones_have_no_price(admin: Admin, memory: int, held: int) -> None:
    """Where memory shrank, or nobody came, there is no figure rather than a strange one."""
    async with grown(admin, memory, held) as watched:
        assert watched.bytes_per_phone is None


async def test_phones_are_counted_here_where_the_gateway_does_not_tell() -> None:
    """Without metrics, the phones that the run holds stand for those of the gateway."""
    async with watching.watch((), pids=lambda: [os.getpid()]) as watched:
        await watched.begin(1)
        watched.weigh(5)

        assert watched.latest.held is None
        assert 5 == watched._last[1]


async def test_a_failed_reading_is_counted(admin: Admin) -> None:
    """A gateway that does not answer is not known, and that is among the errors."""
    async with watching.watch([admin.url]) as watched:
        await watched.read()
        admin.is_ill = True
        await watched.read()

    assert (Gateway(), {"scrape failed": 1}) == (watched.latest, watched.errors)


async def test_what_is_no_admin_listener_is_refused() -> None:
    """A URL that cannot be read is an error before anything is done."""
    with pytest.raises(ScrapeError, match="ftp://x"):
        async with watching.watch(["ftp://x"]):
            pass


async def test_a_gateway_that_is_gone_is_told() -> None:
    """``check`` is whatever the place knows of its servers."""

    def gone() -> None:
        raise RuntimeError("gone")

    async with watching.watch((), check=gone) as watched:
        with pytest.raises(RuntimeError, match="gone"):
            watched.check()


async def test_a_reader_that_failed_is_told_at_the_end() -> None:
    """A mistake in reading does not pass unseen."""

    def fail() -> list[int]:
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError, match="a mistake"):
        async with watching.watch((), pids=fail, every=0.0):
            await asyncio.sleep(0.01)


async def test_readings_repeat(admin: Admin) -> None:
    """The gateway is read again and again, also when nobody asks."""
    async with watching.watch([admin.url], every=0.01) as watched, asyncio.timeout(5):
        admin.held = 9
        while watched.latest.held != 9:  # noqa: ASYNC110 - a figure, no event
            await asyncio.sleep(0.01)
