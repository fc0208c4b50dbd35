"""A fleet against a small server that a test has in its hands."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from loadtest.figures import Figures
from loadtest.phones.account import Account
from loadtest.phones.connecting import Dialler
from loadtest.phones.cutting import vanish
from loadtest.phones.fleet import NOT_SILENT, Fleet
from loadtest.phones.witness import Witness
from loadtest.polling import poll
from loadtest.profiles.population import populate
from loadtest.profiles.users import Users
from loadtest.scenario.commands import Habits, Ping, Watched
from loadtest.targets import Target
from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

INBOX = Watched("5", "Email", "INBOX")
CALENDAR = Watched("1", "Calendar", "Calendar")
BACK = Habits(known=(INBOX, CALENDAR))
"""Of a phone that comes back: it begins with its Ping."""
SOON = 10.0
"""Seconds within which a thing happens that takes milliseconds on an idle machine."""
_QUERY = re.compile(rb"POST \S+\?Cmd=(\w+)&User=([^&]+)&DeviceId=(\w+)&")
_FIELD = re.compile(rb"\r\n(Host|Content-Length): (\S+)")


def response(status: str, *fields: str, line: str = "200 OK") -> bytes:
    body = encode(element("Ping", "Ping", element("Ping", "Status", status)))
    head = "\r\n".join((f"HTTP/1.1 {line}", f"Content-Length: {len(body)}", *fields))
    return f"{head}\r\n\r\n".encode() + body


OVER = response("1")


class Room:
    """A server that holds every request until it is told what to answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        """Command, user, device and Host of each request."""
        self.waiting: list[tuple[str, asyncio.StreamWriter]] = []
        """Devices whose request is held, and their connections."""
        self.ends: list[str] = []
        """How connections ended."""
        self.target = Target("127.0.0.1", 0)
        self._writers: list[asyncio.StreamWriter] = []

    def answer(self, data: bytes) -> None:
        """Answer all that are held."""
        waiting, self.waiting = self.waiting, []
        for _, writer in waiting:
            writer.write(data)

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(_FIELD.findall(head))
                await reader.readexactly(int(fields.get(b"Content-Length", 0)))
                found = _QUERY.match(head)
                parts = found.groups() if found else (b"OPTIONS", b"", b"")
                command, user, device = (one.decode() for one in parts)
                self.asked.append((command, user, device, fields[b"Host"].decode()))
                self.waiting.append((device, writer))
        except asyncio.IncompleteReadError:
            self.ends.append("eof")
        except ConnectionResetError:
            self.ends.append("reset")
        finally:
            writer.transport.abort()


@asynccontextmanager
async def open_room() -> AsyncIterator[Room]:
    room, tasks = Room(), set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        await room.take(reader, writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    room.target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield room
    finally:
        server.close()
        room.close()
        await asyncio.gather(*tasks)
        await server.wait_closed()


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with open_room() as found:
        yield found


@pytest.fixture
def nobody() -> Iterator[Target]:
    """A port that is taken, but refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Target("127.0.0.1", taken.getsockname()[1])


class Party:
    """A fleet with all that it needs."""

    def __init__(self, habits: Sequence[Habits], *targets: Target, per_user: int = 1) -> None:
        rng = random.Random(1)
        users = Users(per_user=((per_user, 1.0),))
        self.figures = Figures()
        self.account = Account(len(habits), self.figures, slo=1.0)
        self.dialler = Dialler(targets, (), None, self.figures)
        self.fleet = Fleet(
            populate(users, devices=len(habits), part=0, parts=1, rng=rng),
            habits,
            dialler=self.dialler,
            witness=Witness(self.figures, self.account, settle=0.0),
            errors=self.figures.errors,
            rng=rng,
        )

    @property
    def states(self) -> dict[str, int]:
        return dict(+self.fleet.states)

    async def arrive(self) -> None:
        await self.fleet.arrive(range(len(self.fleet.phones)), 0.0, monotonic())


@asynccontextmanager
async def party(
    habits: Sequence[Habits], *targets: Target, per_user: int = 1, sweeps: bool = False
) -> AsyncIterator[Party]:
    found = Party(habits, *targets, per_user=per_user)
    sweeping = asyncio.create_task(found.fleet.sweep_forever()) if sweeps else None
    try:
        yield found
    finally:
        if sweeping is not None:
            sweeping.cancel()
            await asyncio.wait([sweeping])
        found.fleet.stop()
        await found.dialler.close()


@asynccontextmanager
async def holding(
    room: Room, habits: Sequence[Habits], *, sweeps: bool = False
) -> AsyncIterator[Party]:
    """A fleet whose phones are all held."""
    async with party(habits, room.target, sweeps=sweeps) as found:
        await found.arrive()
        assert await poll(lambda: len(room.waiting) == len(habits), SOON)
        yield found


# Arriving.


async def test_phones_arrive_and_are_held(room: Room) -> None:
    """Phones that come back send one Ping each, under the names of the population."""
    async with holding(room, [BACK] * 3) as one:
        found = (one.fleet.held, one.states, one.figures.latency("first_hold").count)

    assert (3, {"held": 3}, 3) == found
    assert {
        ("Ping", f"user{number:06d}%40example.org", f"PHONE{number:06d}N1", room.target.name)
        for number in (1, 2, 3)
    } == set(room.asked)


async def test_a_phone_that_prepares_is_not_held(room: Room) -> None:
    """A phone that knows nothing begins with OPTIONS, which is no hold yet."""
    async with party([Habits()], room.target) as one:
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 1, SOON)
        found = (one.fleet.held, one.states, one.figures.latency("first_hold").count)

    assert (0, {"preparing": 1}, 0) == found


async def test_a_phone_is_late_from_its_intended_arrival(nobody: Target) -> None:
    """A generator that is behind starts phones at once, but their intended times stay."""
    async with party([BACK] * 4, nobody) as one:
        start = monotonic() - 5.0
        await one.fleet.arrive(range(4), 2.0, start)
        since = [phone.since - start for phone in one.fleet.phones]

    assert since == pytest.approx([0.0, 0.5, 1.0, 1.5])


async def test_phones_arrive_one_after_the_other(nobody: Target) -> None:
    """No phone arrives before its time."""
    async with party([BACK] * 4, nobody) as one:
        start = monotonic()
        await one.fleet.arrive(range(4), 0.04, start)
        took = monotonic() - start

    assert took >= 0.03


async def test_many_arrivals_leave_time_for_others(nobody: Target) -> None:
    """A thousand phones that arrive at once do not keep the loop from its other work."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with party([BACK] * 1000, nobody) as one:
        counting = asyncio.create_task(count())
        await one.arrive()
        counting.cancel()

    assert turns >= 500


async def test_phones_arrive_in_parts(room: Room) -> None:
    """Only the phones that are asked to arrive do."""
    async with party([BACK] * 3, room.target) as one:
        await one.fleet.arrive(range(1, 3), 0.0, monotonic())
        assert await poll(lambda: one.fleet.held == 2, SOON)
        states = [phone.state for phone in one.fleet.phones]

    assert ["", "held", "held"] == states


async def test_each_server_is_called_by_its_name(room: Room) -> None:
    """Phones of one group speak to two servers, each under its own Host."""
    async with open_room() as other, party([BACK] * 2, room.target, other.target) as one:
        await one.arrive()
        assert await poll(lambda: one.fleet.held == 2, SOON)
        assert await poll(lambda: bool(room.asked and other.asked), SOON)

        assert [room.target.name] == [host for *_, host in room.asked]
        assert [other.target.name] == [host for *_, host in other.asked]


async def test_a_refused_connection_is_counted_and_tried_again(nobody: Target) -> None:
    """Phones of a server that is not there back off, one error each."""
    async with party([BACK] * 3, nobody) as one:
        await one.arrive()
        assert await poll(lambda: one.fleet.states["waiting"] == 3, SOON)

        assert {"connection refused": 3} == one.figures.errors


async def test_a_ping_loop_without_a_server_goes_round_in_the_loop(nobody: Target) -> None:
    """A phone that never pauses is refused again and again, and the loop goes on."""
    async with party([Habits(kind="ping-loop", known=(INBOX,))], nobody) as one:
        await one.arrive()

        assert await poll(lambda: one.figures.errors["connection refused"] > 3, SOON)


# Answers and deadlines.


async def test_an_answer_is_entered_and_followed_by_the_next_ping(room: Room) -> None:
    """A fleet's answers reach its figures, and its phones go on."""
    async with holding(room, [BACK]) as one:
        room.answer(OVER)
        assert await poll(lambda: len(room.asked) == 2, SOON)

        assert (1, 1, {"held": 1}) == (
            one.figures.counts["pings"],
            one.figures.counts["answers"],
            one.states,
        )


async def test_a_missing_answer_is_noticed(room: Room) -> None:
    """A phone whose deadline is over gives its Ping up within about a second."""
    async with holding(room, [BACK] * 2, sweeps=True) as one:
        one.fleet.phones[1].until = monotonic()
        assert await poll(lambda: bool(one.figures.errors), SOON)

        assert ({"timeout": 1}, "held") == (one.figures.errors, one.fleet.phones[0].state)
        assert await poll(lambda: room.ends == ["eof"], SOON)


async def test_a_broken_first_ping_is_not_expected_to_be_known(room: Room) -> None:
    """The account hears of a phone that broke before it had settled."""
    async with party([BACK], room.target) as one:
        one.fleet._witness = Witness(one.figures, one.account, settle=3600.0)
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 1, SOON)
        one.fleet.cut(1.0, "close")

        assert not one.account.expects(0, monotonic() + 7200)


# Who watches.


async def test_the_phones_of_a_mailbox_watch_it(room: Room) -> None:
    """Of a mailbox's phones those that wait for a folder watch it; some of them synchronise."""
    habits = [
        BACK,
        Habits(known=(INBOX,), syncs=True),
        Habits(known=(CALENDAR,)),
        BACK,
        BACK,
        BACK,
    ]
    async with party(habits, room.target, per_user=3) as one:
        await one.fleet.arrive(range(4), 0.0, monotonic())
        assert await poll(lambda: one.fleet.held == 4, SOON)

        assert [(0, False), (1, True)] == list(one.fleet.watchers(0, "INBOX"))
        assert [(3, False)] == list(one.fleet.watchers(1, "Calendar"))


# Cuts.


@pytest.fixture
def may_vanish() -> bool:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as here,
    ):
        return vanish(here)


@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("close", "eof")])
async def test_a_cut_is_seen_by_the_server(room: Room, how: str, end: str) -> None:
    """Connections end with RST or FIN as asked for, and the phones count it."""
    async with holding(room, [BACK] * 2) as one:
        found = one.fleet.cut(1.0, how)
        assert await poll(lambda: len(room.ends) == 2, SOON)

        assert (2, [end, end], {"cut": 2}) == (found, room.ends, one.figures.errors)


async def test_a_silent_cut_is_not_seen_by_the_server(room: Room, may_vanish: object) -> None:
    """After a silent cut the phones know, and the server still holds their Pings."""
    if not may_vanish:
        pytest.skip("needs CAP_NET_ADMIN")
    async with holding(room, [BACK] * 2) as one:
        one.fleet.cut(1.0, "silent")
        await asyncio.sleep(0.03)

        assert ([], {"cut": 2}, 0) == (room.ends, one.figures.errors, one.fleet.held)


class NotAllowed:
    """A transport whose socket belongs to somebody without privileges."""

    def get_extra_info(self, _: str) -> NotAllowed:
        return self

    def setsockopt(self, *_: object) -> None:
        raise PermissionError

    def set_protocol(self, _: asyncio.BaseProtocol) -> None:
        pass

    def abort(self) -> None:
        pass


def test_a_cut_that_is_not_silent_is_told(nobody: Target) -> None:
    """Where a process may not cut without a word, each such cut is an error."""
    one = Party([BACK], nobody)
    transport: Any = NotAllowed()
    one.fleet.phones[0].transport = transport

    found = one.fleet.cut(1.0, "silent")

    assert (1, {NOT_SILENT: 1}) == (found, one.figures.errors)


async def test_a_share_of_the_connected_phones_is_cut(room: Room) -> None:
    """A quarter of four connected phones is one; those without a connection are not counted."""
    async with party([BACK] * 8, room.target) as one:
        await one.fleet.arrive(range(4), 0.0, monotonic())
        assert await poll(lambda: one.fleet.held == 4, SOON)

        assert (1, 3) == (one.fleet.cut(0.25, "close"), one.fleet.held)


async def test_a_pausing_phone_is_cut_as_well(room: Room) -> None:
    """A phone that waits between two commands loses its connection, and goes on later."""
    async with holding(room, [BACK]) as one:
        room.answer(response("1", "Retry-After: 60", line="503 Service Unavailable"))
        assert await poll(lambda: one.states == {"waiting": 1}, SOON)
        one.fleet.cut(1.0, "reset")
        assert await poll(lambda: room.ends == ["reset"], SOON)
        one.fleet.phones[0].expire()

        assert await poll(lambda: one.states == {"held": 1}, SOON)


async def test_behind_a_nat_idle_flows_are_dropped(room: Room, may_vanish: object) -> None:
    """Half of the phones hear nothing any more, and neither end is told."""
    async with holding(room, [BACK] * 2, sweeps=True) as one:
        asked = one.fleet.phones[0].sent_at
        one.fleet.behind_nat(0.5, 0.0)
        assert await poll(lambda: bool(one.fleet._forgotten), SOON)
        room.answer(OVER)
        assert await poll(lambda: len(room.asked) == 3, SOON)
        await asyncio.sleep(0.02)

        assert (1, asked) == (one.figures.counts["pings"], one.fleet.phones[0].sent_at)
        one.fleet.phones[0].expire()
        await asyncio.sleep(0.02)
        assert ([] if may_vanish else ["eof"]) == room.ends


async def test_a_nat_forgets_each_flow_once(room: Room) -> None:
    """A flow that was dropped is left alone until the phone's next Ping."""
    async with holding(room, [BACK]) as one:
        one.fleet.behind_nat(1.0, 0.0)
        for _ in range(2):
            one.fleet._forget_flows(one.fleet.phones, monotonic())
        found = dict(one.fleet._forgotten)

        assert {0: one.fleet.phones[0].sent_at} == found


async def test_a_nat_keeps_busy_flows(room: Room) -> None:
    """A Ping that has not idled for so long gets its answer, and so it does after the fault."""
    async with holding(room, [BACK], sweeps=True) as one:
        one.fleet.behind_nat(1.0, 3600.0)
        one.fleet._forget_flows(one.fleet.phones, monotonic())
        one.fleet.behind_nat(0.0, 0.0)
        one.fleet._forget_flows(one.fleet.phones, monotonic() + 1.0)
        room.answer(OVER)

        assert await poll(lambda: one.figures.counts["pings"] == 1, SOON)


# Redirects.


async def test_a_redirect_on_this_host_is_followed(room: Room) -> None:
    """A phone that is sent to another port by HTTP 451 pings there."""
    async with open_room() as other, holding(room, [BACK]) as one:
        location = f"X-MS-Location: {other.target.url}"
        room.answer(response("1", location, line="451 Redirect"))

        assert await poll(lambda: len(other.waiting) == 1, SOON)
        assert [other.target.name] == [host for *_, host in other.asked]
        assert other.target == one.dialler.target_of(0)


async def test_a_redirect_elsewhere_is_refused(room: Room) -> None:
    """A phone may not be sent to a host that nobody named; it stays, pauses and counts it."""
    async with holding(room, [BACK]) as one:
        location = "X-MS-Location: https://mail.example.org/Microsoft-Server-ActiveSync"
        room.answer(response("1", location, line="451 Redirect"))
        assert await poll(lambda: one.states == {"waiting": 1}, SOON)

        errors = {"HTTP 451": 1, "redirected to a host that is not allowed": 1}
        assert (errors, room.target) == (one.figures.errors, one.dialler.target_of(0))


def test_a_redirect_to_a_named_host_is_followed(nobody: Target) -> None:
    """A host that was allowed on the command line may be gone to."""
    one = Party([BACK], nobody)
    one.fleet.allowed = ("mail.example.org",)

    refused = one.fleet.move(one.fleet.phones[0], "https://mail.example.org")

    assert (None, "mail.example.org") == (refused, one.dialler.target_of(0).host)


# Twins, and the end.

TWICE = Habits(kind="two-pings", known=(INBOX,))


async def test_two_pings_are_two_connections(room: Room) -> None:
    """A phone of two Pings at once sends the same one twice, and counts both answers."""
    async with party([TWICE], room.target) as one:
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 2, SOON)
        asked = set(room.asked)
        room.answer(OVER)
        assert await poll(lambda: one.figures.counts["pings"] == 2, SOON)

        assert (1, 1) == (len(asked), one.fleet.held)
        assert isinstance(one.fleet.phones[0].command, Ping)


async def test_a_twin_that_gets_no_answer_is_closed(room: Room) -> None:
    """The deadline of a twin is looked at as well; its phone goes on."""
    async with party([TWICE], room.target, sweeps=True) as one:
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 2, SOON)
        (twin,) = one.fleet._twins
        twin.until = 1.0
        assert await poll(lambda: room.ends == ["eof"], SOON)

        assert ({"timeout": 1}, 1, set()) == (
            one.figures.errors,
            one.fleet.held,
            one.fleet._twins,
        )


async def test_a_twin_that_is_gone_is_forgotten(room: Room) -> None:
    """An answered twin is no error and leaves nothing behind."""
    async with party([TWICE], room.target, sweeps=True) as one:
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 2, SOON)
        (twin,) = one.fleet._twins
        room.answer(OVER)

        assert await poll(lambda: twin not in one.fleet._twins, SOON)
        assert {} == one.figures.errors


async def test_a_stop_hangs_everybody_up(room: Room) -> None:
    """After a stop the server has lost all connections, and no phone comes back."""
    async with party([BACK, TWICE], room.target) as one:
        await one.arrive()
        assert await poll(lambda: len(room.waiting) == 3, SOON)
        one.fleet.stop()
        assert await poll(lambda: len(room.ends) == 3, SOON)

        assert ({"stopped": 2}, {}) == (one.states, one.figures.errors)
