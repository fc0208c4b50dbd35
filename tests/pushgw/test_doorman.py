"""The doorman with real sockets on the loop that the gateway runs on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme
import uvloop

from pushgw.doorman import LOOK, Doorman, Entrance, open_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

WITHIN = 5.0


class Guest(asyncio.Protocol):
    """A connection that greets."""

    def __init__(self, house: House) -> None:
        self.house = house

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.house.guests.append(self)
        transport.write(b"hello")

    def connection_lost(self, _exc: Exception | None) -> None:
        self.house.guests.remove(self)


class House:
    """A doorman, those that he let in, and those that came."""

    def __init__(self, room: int, tls: ssl.SSLContext | None = None) -> None:
        self.guests: list[Guest] = []
        self.looks = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = self.listener.getsockname()
        self.came: list[socket.socket] = []
        self.doorman = Doorman(
            Entrance(listener=self.listener, tls=tls, backlog=100),
            lambda: Guest(self),
            room=room,
            count=self.count,
        )

    def count(self) -> int:
        self.looks += 1
        return len(self.guests)

    def come(self, count: int) -> None:
        """Connect; the kernel does so whether or not anybody accepts."""
        for _ in range(count):
            one = socket.create_connection(self.address)
            one.setblocking(False)
            self.came.append(one)

    def greeted(self) -> int:
        """Those that came and were let in."""
        return sum(map(_is_greeted, self.came))


def _is_greeted(one: socket.socket) -> bool:
    try:
        return one.recv(5, socket.MSG_PEEK) == b"hello"
    except BlockingIOError:
        return False


@contextlib.asynccontextmanager
async def opened(room: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[House]:
    house = House(room, tls)
    running = asyncio.create_task(house.doorman.run())
    try:
        yield house
    finally:
        house.doorman.close()
        await running
        for one in house.came:
            one.close()
        await until(lambda: not house.guests)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not is_so():  # noqa: ASYNC110 (what is waited for happens in the kernel)
            await asyncio.sleep(0.005)


async def settled(house: House) -> None:
    """Wait until the doorman has had every chance to accept one more."""
    before = -1
    while before != house.doorman.accepted:
        before = house.doorman.accepted
        await asyncio.sleep(LOOK)


def test_connections_are_accepted_and_counted() -> None:
    """All that come while there is room are let in and counted."""

    async def main() -> None:
        async with opened(room=100) as house:
            house.come(20)
            await until(lambda: house.greeted() == 20)

            assert (20, False, 0.0) == (
                house.doorman.accepted,
                house.doorman.is_full,
                house.doorman.full_seconds,
            )

    uvloop.run(main())


def test_no_more_than_the_room_is_accepted() -> None:
    """A storm leaves exactly the room in use, and the rest waits."""

    async def main() -> None:
        async with opened(room=10) as house:
            house.come(30)
            await until(lambda: house.doorman.is_full)
            await settled(house)

            assert (10, 10, True) == (
                len(house.guests),
                house.greeted(),
                house.doorman.is_full,
            )

    uvloop.run(main())


def test_who_waited_is_let_in_when_others_leave() -> None:
    """All that came to a full house get their turn as others leave, and none is lost."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with opened(room=10) as house:
            house.come(30)
            await until(lambda: house.doorman.is_full)
            greetings = []
            async with asyncio.timeout(WITHIN):
                for one in house.came:
                    greetings.append(await loop.sock_recv(one, 5))
                    one.close()

            assert [b"hello"] * 30 == greetings
            assert house.doorman.full_seconds >= LOOK

    uvloop.run(main())


def test_a_full_house_costs_nothing() -> None:
    """While connections wait in vain, the loop sleeps."""

    async def main() -> None:
        async with opened(room=1) as house:
            house.come(10)
            await until(lambda: house.doorman.is_full)
            before = time.process_time()
            await asyncio.sleep(0.05)

            assert time.process_time() - before < 0.025

    uvloop.run(main())


def test_the_count_is_asked_only_when_the_room_may_be_used_up() -> None:
    """As long as the room that was found lasts, a connection is let in without another look."""

    async def main() -> None:
        async with opened(room=100) as house:
            await asyncio.sleep(0)
            before = house.looks
            house.come(50)
            await until(lambda: house.greeted() == 50)

            assert before == house.looks

    uvloop.run(main())


def test_room_that_others_left_meanwhile_is_found() -> None:
    """A house in which guests come and go is never full, however many come."""

    async def main() -> None:
        async with opened(room=5) as house:
            for number in range(1, 21):
                house.come(1)
                await until(lambda number=number: house.doorman.accepted == number)
                house.came.pop().close()
                await until(lambda: not house.guests)

            assert not house.doorman.is_full

    uvloop.run(main())


def test_without_room_at_first_it_waits() -> None:
    """Nobody is let in until there is room for the first time."""

    async def main() -> None:
        house = House(room=1)
        taken = Guest(house)
        house.guests.append(taken)
        running = asyncio.create_task(house.doorman.run())
        house.come(1)
        await settled(house)
        accepted = house.doorman.accepted
        house.guests.remove(taken)
        await until(lambda: house.greeted() == 1)
        house.doorman.close()
        await running
        house.came[0].close()

        assert 0 == accepted

    uvloop.run(main())


def test_closing_ends_accepting_only() -> None:
    """After closing, newcomers are refused while guests stay, and the run is over."""

    async def main() -> None:
        async with opened(room=100) as house:
            house.come(1)
            await until(lambda: house.greeted() == 1)
            house.doorman.close()
            await settled(house)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(house.address)

            assert 1 == len(house.guests)

    uvloop.run(main())


def test_closing_a_full_house_sends_the_waiting_away() -> None:
    """Those that wait when it closes are hung up on, so that they can go elsewhere."""

    async def main() -> None:
        async with opened(room=1) as house:
            house.come(2)
            await until(lambda: house.doorman.is_full)
            house.doorman.close()

            with pytest.raises(ConnectionResetError):
                house.came[1].recv(1)
            assert not house.doorman.is_full

    uvloop.run(main())


def test_a_cancelled_run_closes() -> None:
    """The listening socket does not outlive a run that was cancelled."""

    async def main() -> None:
        house = House(room=1)
        running = asyncio.create_task(house.doorman.run())
        await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

        assert -1 == house.listener.fileno()

    uvloop.run(main())


def test_tls_is_spoken_where_it_is_asked_for() -> None:
    """With a TLS context the greeting comes after a handshake."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def main() -> bytes:
        async with opened(room=10, tls=server) as house:
            reader, writer = await asyncio.open_connection(*house.address, ssl=client)
            found = await reader.readexactly(5)
            writer.close()
            await writer.wait_closed()
            return found

    assert b"hello" == uvloop.run(main())


def test_open_files_are_counted() -> None:
    """Each file that is opened counts as one."""
    before = open_files()
    files = [os.dup(0) for _ in range(20)]
    after = open_files()
    for one in files:
        os.close(one)

    assert after - before == (20 if before else 0)


def test_a_kernel_that_does_not_say_counts_nothing(tmp_path: Path) -> None:
    """Where the count of open files cannot be read, it is 0."""
    assert 0 == open_files(tmp_path / "missing")
