"""One phone on connections that are made, broken and answered by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from loadtest.phones.phone import Phone, held_seconds
from loadtest.scenario import catalogue
from loadtest.scenario.commands import (
    Answer,
    Broken,
    Collection,
    FolderSync,
    Habits,
    Half,
    HangUp,
    Move,
    Ping,
    Sync,
    Wait,
    Watched,
)
from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from loadtest.scenario.commands import Command, Outcome, Request, Script

INBOX = Watched("5", "Email", "INBOX")
CALENDAR = Watched("1", "Calendar", "Calendar")
HIERARCHY: Final = FolderSync()
PING: Final = Ping(480, (INBOX,))
SYNC: Final = Sync((Collection(CALENDAR, "7"),))


class Wire(asyncio.Transport):
    """Keeps what is written, and who hears of its end."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def abort(self) -> None:
        self.is_aborted = True


class Surroundings:
    """A host whose clock and connections are in the test's hands."""

    def __init__(self) -> None:
        self.at = 100.0
        self.wanted: list[Phone] = []
        self.states: list[str] = []
        self.sent_: list[tuple[str, bytes]] = []
        self.errors: list[str] = []
        self.broken = 0
        self.answers: list[tuple[Command | None, int, float]] = []
        self.urls: list[str] = []
        self.refusal: str | None = None

    def now(self) -> float:
        return self.at

    def connect(self, phone: Phone) -> None:
        self.wanted.append(phone)

    def move(self, phone: Phone, url: str) -> str | None:
        del phone
        self.urls.append(url)
        return self.refusal

    def bytes_of(self, phone: Phone, command: Request) -> bytes:
        del phone
        return type(command).__name__.encode()

    def sent(self, phone: Phone, request: bytes) -> None:
        self.sent_.append((phone.state, request))

    def moved(self, before: str, after: str) -> None:
        assert before == (self.states[-1] if self.states else "")
        self.states.append(after)

    def failed(self, kind: str) -> None:
        self.errors.append(kind)

    def broke(self, phone: Phone) -> None:
        del phone
        self.broken += 1

    def answered(self, phone: Phone, answer: Answer, at: float) -> None:
        self.answers.append((phone.command, answer.http_status, at - phone.sent_at))


class Played:
    """A script of these commands; keeps what came of each."""

    def __init__(self, *commands: Command) -> None:
        self.outcomes: list[Outcome] = []
        self.is_closed = False
        self.script = self._play(commands)

    def _play(self, commands: tuple[Command, ...]) -> Script:
        try:
            for command in commands:
                self.outcomes.append((yield command))
        finally:
            self.is_closed = True


@pytest.fixture
def host() -> Surroundings:
    return Surroundings()


def start(host: Surroundings, *commands: Command) -> tuple[Phone, Played]:
    phone, played = Phone(host, 3), Played(*commands)
    phone.start(played.script, since=99.0)
    return phone, played


def connect(phone: Phone) -> Wire:
    wire = Wire()
    phone.connection_made(wire)
    return wire


def response(status: str = "1", *, http_status: int = 200, headers: str = "") -> bytes:
    body = encode(element("Ping", "Ping", element("Ping", "Status", status)))
    line = f"HTTP/1.1 {http_status} Some Reason\r\nContent-Length: {len(body)}\r\n"
    return f"{line}{headers}\r\n".encode() + body


# States.


def test_a_phone_begins_with_a_connection(host: Surroundings) -> None:
    """A phone that starts wants a connection before it sends anything."""
    phone, _ = start(host, HIERARCHY)

    assert ([phone], ["connecting"], []) == (host.wanted, host.states, host.sent_)


def test_one_connection_carries_all_commands(host: Surroundings) -> None:
    """A phone prepares and waits on one connection, and each answer is an outcome."""
    phone, played = start(host, HIERARCHY, PING, PING)
    wire = connect(phone)
    phone.data_received(response())
    phone.data_received(response())

    assert [b"FolderSync", b"Ping", b"Ping"] == wire.written
    assert ["connecting", "preparing", "held"] == host.states
    assert [200, 200] == [one.http_status for one in played.outcomes if isinstance(one, Answer)]


def test_the_host_hears_of_a_request_in_its_state(host: Surroundings) -> None:
    """When a request is told of, the phone already is in the state that it brings."""
    phone, _ = start(host, HIERARCHY, PING)
    connect(phone)
    phone.data_received(response())

    assert [("preparing", b"FolderSync"), ("held", b"Ping")] == host.sent_


def test_an_answer_is_measured_from_its_request(host: Surroundings) -> None:
    """The host can tell how long a command took while the phone still has it."""
    phone, _ = start(host, PING, HIERARCHY)
    connect(phone)
    host.at += 12.5
    phone.data_received(response())

    assert [(PING, 200, 12.5)] == host.answers


def test_a_pause_needs_no_connection(host: Surroundings) -> None:
    """A phone that waits keeps its connection and goes on with it when its time is over."""
    phone, played = start(host, HIERARCHY, Wait(2.5), PING)
    wire = connect(phone)
    phone.data_received(response())
    found = (phone.state, phone.until)
    phone.expire()

    assert ("waiting", 102.5) == found
    assert (b"Ping", None) == (wire.written[-1], played.outcomes[-1])


def test_a_script_that_ends_stops_the_phone(host: Surroundings) -> None:
    """A phone that gives up for good hangs up and wants nothing more."""
    phone, _ = start(host, HIERARCHY)
    wire = connect(phone)
    phone.data_received(response(http_status=401))

    assert ("stopped", True, [phone]) == (phone.state, wire.is_aborted, host.wanted)


def test_a_script_may_be_empty(host: Surroundings) -> None:
    """A script without a command stops its phone at once."""
    phone, _ = start(host)

    assert ("stopped", []) == (phone.state, host.wanted)


@pytest.mark.parametrize(
    ("command", "state", "until"),
    [
        (PING, "held", 100.0 + 480 + 5),
        (Sync((Collection(INBOX, "7"),), wait=900), "held", 100.0 + 900 + 5),
        (SYNC, "preparing", 130.0),
        (HIERARCHY, "preparing", 130.0),
    ],
)
def test_the_deadline_follows_the_command(
    host: Surroundings, *, command: Request, state: str, until: float
) -> None:
    """A phone gives 5 s beyond what it asked to be held, and 30 s to all other commands."""
    phone, _ = start(host, command)
    connect(phone)

    assert (state, until) == (phone.state, phone.until)


def test_a_phone_without_a_connection_has_no_deadline(host: Surroundings) -> None:
    """How long a connection may take is for the host to say."""
    phone, _ = start(host, PING)

    assert phone.until == float("inf")


@pytest.mark.parametrize(
    ("command", "seconds"),
    [(PING, 480), (Sync((), wait=900), 900), (SYNC, 0), (HIERARCHY, 0), (None, 0)],
)
def test_only_some_commands_are_held(command: Command | None, seconds: int) -> None:
    """A Ping and a waiting Sync ask to be held, nothing else."""
    assert seconds == held_seconds(command)


# What is watched.


def test_a_ping_says_what_is_watched(host: Surroundings) -> None:
    """A phone watches the folders of its last Ping, also during other commands."""
    phone, _ = start(host, PING, SYNC, Wait(1.0))
    connect(phone)
    phone.data_received(response())
    phone.data_received(response())

    assert (INBOX,) == phone.watched


def test_a_first_sync_says_what_is_watched(host: Surroundings) -> None:
    """A phone that has not waited yet watches what it synchronises."""
    phone, _ = start(host, SYNC)
    connect(phone)

    assert (CALENDAR,) == phone.watched


def test_a_waiting_sync_says_what_is_watched(host: Surroundings) -> None:
    """A waiting Sync replaces what was watched; one without a body repeats it."""
    both = Sync((Collection(INBOX, "1"), Collection(CALENDAR, "2")), wait=480)
    phone, _ = start(host, PING, both, Sync((), wait=480))
    connect(phone)
    for _ in range(2):
        phone.data_received(response())

    assert (INBOX, CALENDAR) == phone.watched


def test_phones_share_what_they_watch() -> None:
    """Two phones with keys of their own keep one list of folders."""
    watched = []
    for key in ("a", "b"):
        both = Sync((Collection(INBOX, key), Collection(CALENDAR, key)), wait=480)
        phone, _ = start(Surroundings(), both)
        connect(phone)
        watched.append(phone.watched)

    assert watched[0] is watched[1]


# Answers.


@pytest.mark.parametrize("size", [1, 7, 40])
def test_an_answer_may_come_in_pieces(host: Surroundings, size: int) -> None:
    """However an answer is cut, the phone goes on when it is complete and not before."""
    phone, played = start(host, PING, PING)
    wire = connect(phone)
    data = response("2")
    for begin in range(0, len(data), size):
        assert not played.outcomes
        phone.data_received(data[begin : begin + size])

    assert [2] == [one.document.status for one in played.outcomes if isinstance(one, Answer)]
    assert 2 == len(wire.written)


def test_the_answer_after_one_in_pieces_is_read_afresh(host: Surroundings) -> None:
    """What is left of a cut answer does not get into the next one."""
    phone, played = start(host, PING, PING, PING)
    connect(phone)
    phone.data_received(response()[:20])
    phone.data_received(response()[20:])
    phone.data_received(response())

    assert 2 == len(played.outcomes)


def test_connection_close_is_obeyed(host: Surroundings) -> None:
    """After an answer with Connection: close, the next command waits for a new connection."""
    phone, _ = start(host, PING, PING)
    old = connect(phone)
    phone.data_received(response(headers="Connection: close\r\n"))
    new = connect(phone)

    assert (True, [phone, phone], [b"Ping"]) == (old.is_aborted, host.wanted, new.written)


def test_connection_close_in_pieces_is_obeyed(host: Surroundings) -> None:
    """The header counts also where the answer comes in two reads."""
    phone, _ = start(host, PING, PING)
    old = connect(phone)
    data = response(headers="Connection: close\r\n")
    phone.data_received(data[:50])
    phone.data_received(data[50:])

    assert (True, "connecting") == (old.is_aborted, phone.state)


def test_an_unreadable_answer_breaks_the_connection(host: Surroundings) -> None:
    """Bytes that are no HTTP end the connection and are counted."""
    phone, played = start(host, PING, Wait(1.0))
    wire = connect(phone)
    phone.data_received(b"SSH-2.0\r\n")

    assert (["unreadable answer"], True) == (host.errors, wire.is_aborted)
    assert [Broken("unreadable answer")] == played.outcomes


def test_two_answers_at_once_are_unreadable(host: Surroundings) -> None:
    """A second answer behind the first one is not taken for that of the next request."""
    phone, played = start(host, PING, Wait(1.0))
    connect(phone)
    phone.data_received(response() + response())

    assert [Broken("unreadable answer")] == played.outcomes


def test_bytes_that_nobody_asked_for_end_the_connection(host: Surroundings) -> None:
    """An answer without a request ends the connection, and the phone goes on waiting."""
    phone, _ = start(host, PING, Wait(1.0), PING)
    wire = connect(phone)
    phone.data_received(response())
    phone.data_received(response())
    found = phone.state
    phone.expire()

    assert ("waiting", True, "connecting") == (found, wire.is_aborted, phone.state)
    assert 1 == len(host.answers)


# Connections that break.


@pytest.mark.parametrize(
    ("reason", "kind"), [(None, "closed"), (ConnectionResetError(), "reset")], ids=["fin", "rst"]
)
def test_a_connection_lost_while_held_is_an_outcome(
    host: Surroundings, reason: Exception | None, kind: str
) -> None:
    """The end of a connection under a Ping is counted, told to the script, and remembered."""
    phone, played = start(host, PING, Wait(1.0))
    phone.since = 0.0
    connect(phone)
    host.at = 150.0
    phone.connection_lost(reason)

    assert ([kind], 1, [Broken(kind)]) == (host.errors, host.broken, played.outcomes)
    assert ("waiting", 150.0) == (phone.state, phone.since)


def test_the_first_of_two_breaks_is_remembered(host: Surroundings) -> None:
    """A phone that breaks on its way back is away since the first break."""
    phone, _ = start(host, PING, PING, PING)
    connect(phone)
    host.at = 150.0
    phone.unreachable("not connecting")
    phone.connection_lost(None)
    host.at = 160.0
    phone.unreachable("connection refused")

    assert (99.0, ["closed", "connection refused"]) == (phone.since, host.errors)


def test_a_connection_lost_in_a_pause_is_no_break(host: Surroundings) -> None:
    """A server may close a connection that nothing is asked on; the next command opens one."""
    phone, _ = start(host, PING, Wait(1.0), PING)
    connect(phone)
    phone.data_received(response())
    phone.connection_lost(None)
    phone.expire()

    assert ([], 0, "connecting") == (host.errors, host.broken, phone.state)


def test_a_missing_answer_is_a_timeout(host: Surroundings) -> None:
    """A phone whose deadline passes drops the connection and counts it."""
    phone, played = start(host, PING, Wait(1.0))
    wire = connect(phone)
    phone.expire()

    assert (["timeout"], True) == (host.errors, wire.is_aborted)
    assert [Broken("timeout")] == played.outcomes


def test_the_end_of_a_dropped_connection_is_not_heard(host: Surroundings) -> None:
    """A connection that the phone dropped has another protocol when its end comes."""
    phone, _ = start(host, PING, PING)
    wire = connect(phone)
    phone.expire()
    connect(phone)

    assert wire.protocol not in {None, phone}


@pytest.mark.parametrize("command", [PING, HIERARCHY])
def test_a_phone_can_be_cut(host: Surroundings, command: Request) -> None:
    """A phone that is made to lose its connection breaks under whatever it asked."""
    phone, played = start(host, command, Wait(1.0))
    wire = connect(phone)
    phone.lose("cut")

    assert ([Broken("cut")], True) == (played.outcomes, wire.is_aborted)


def test_a_phone_can_be_cut_in_a_pause(host: Surroundings) -> None:
    """A waiting phone loses its connection as well, but nothing breaks."""
    phone, _ = start(host, PING, Wait(1.0), PING)
    wire = connect(phone)
    phone.data_received(response())
    phone.lose("cut")

    assert (True, None, "waiting") == (wire.is_aborted, phone.transport, phone.state)
    assert [] == host.errors


def test_a_phone_without_a_connection_loses_nothing(host: Surroundings) -> None:
    """A cut does not reach a phone that is still connecting."""
    phone, played = start(host, PING)
    phone.lose("cut")

    assert ("connecting", []) == (phone.state, played.outcomes)


def test_an_unreachable_server_is_an_outcome(host: Surroundings) -> None:
    """A connection that cannot be opened is counted and told to the script."""
    phone, played = start(host, PING, Wait(1.0))
    phone.unreachable("connection refused")

    assert [Broken("connection refused")] == played.outcomes
    assert (["connection refused"], "waiting") == (host.errors, phone.state)


def test_a_connection_too_many_is_dropped(host: Surroundings) -> None:
    """A second connection does not take the place of the one that is in use."""
    phone, _ = start(host, PING)
    used = connect(phone)
    other = connect(phone)

    assert (False, True, used) == (used.is_aborted, other.is_aborted, phone.transport)


def test_a_ping_loop_does_not_recurse(host: Surroundings) -> None:
    """A phone that wants the next connection at once asks its host for it, each time anew."""
    habits = Habits(kind="ping-loop", known=(INBOX,))
    phone = Phone(host, 3)
    phone.start(catalogue.start(habits, 0.5), since=99.0)
    for _ in range(5000):
        phone.unreachable("connection refused")

    assert (5001, "connecting") == (len(host.wanted), phone.state)


# Commands of a special kind.


def test_hanging_up_is_followed_by_a_new_connection(host: Surroundings) -> None:
    """HangUp closes the connection and ends at once with nothing."""
    phone, played = start(host, HIERARCHY, HangUp(), PING)
    old = connect(phone)
    phone.data_received(response())
    new = connect(phone)

    assert (True, None, [b"Ping"]) == (old.is_aborted, played.outcomes[1], new.written)


def test_a_move_is_followed_by_a_new_connection(host: Surroundings) -> None:
    """Move tells the host where to, and the next command opens a connection."""
    phone, played = start(host, HIERARCHY, Move("https://b.example.org"), PING)
    old = connect(phone)
    phone.data_received(response())

    assert (["https://b.example.org"], True) == (host.urls, old.is_aborted)
    assert (None, "connecting") == (played.outcomes[1], phone.state)


def test_a_refused_move_is_an_outcome(host: Surroundings) -> None:
    """Where the host may not go, the script hears why, and it is counted."""
    host.refusal = "not allowed"
    phone, played = start(host, Move("https://b.example.org"), Wait(1.0))

    assert ([Broken("not allowed")], ["not allowed"]) == (played.outcomes, host.errors)
    assert "waiting" == phone.state


def test_a_script_may_end_with_a_move(host: Surroundings) -> None:
    """A command that ends at once can be the last one."""
    phone, _ = start(host, HangUp())

    assert "stopped" == phone.state


def test_half_a_request_is_sent(host: Surroundings) -> None:
    """Half sends the first half of a request that nobody is told of, and waits for its end."""
    phone, played = start(host, Half(PING), Wait(1.0))
    wire = connect(phone)
    found = (phone.state, phone.until)
    phone.connection_lost(None)

    assert ([b"Pi"], []) == (wire.written, host.sent_)
    assert (("preparing", 130.0), [Broken("closed")]) == (found, played.outcomes)


# The end.


def test_a_stopped_phone_is_silent(host: Surroundings) -> None:
    """A stopped phone hangs up and closes its script."""
    phone, played = start(host, PING)
    wire = connect(phone)
    phone.stop()

    assert (True, True, []) == (wire.is_aborted, played.is_closed, host.errors)
    assert ["connecting", "held", "stopped"] == host.states


def test_a_phone_can_be_stopped_again(host: Surroundings) -> None:
    """A phone whose script ended is stopped with all others at the end, which changes nothing."""
    phone, _ = start(host)
    phone.stop()

    assert ["stopped"] == host.states


def test_a_stopped_phone_takes_no_connection(host: Surroundings) -> None:
    """A connection that comes after the stop is dropped, a failure is not counted."""
    phone, _ = start(host, PING)
    phone.stop()
    phone.unreachable("connection refused")
    wire = connect(phone)

    assert (True, None, []) == (wire.is_aborted, phone.transport, host.errors)


def test_a_phone_may_be_stopped_by_its_answer(host: Surroundings) -> None:
    """A host that stops a phone when it hears of an answer ends the script there."""
    phone, played = start(host, PING, PING)
    wire = connect(phone)
    host.answered = lambda stopped, *_: stopped.stop()  # type: ignore[method-assign]
    phone.data_received(response())

    assert ([b"Ping"], []) == (wire.written, played.outcomes)
