"""One phone on connections that are made, broken and answered by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from loadtest.device import Phone
from loadtest.scenario import Habits, Ping
from loadtest.scenario import phone as scenario
from loadtest.wire import identity
from pushgw.wbxml import element, encode

if TYPE_CHECKING:
    from loadtest.scenario import Answer


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True


class Surroundings:
    """A host whose clock and connections are in the test's hands."""

    name = "h:1"

    def __init__(self) -> None:
        self.at = 100.0
        self.wanted: list[Phone] = []
        self.states: list[str] = []
        self.errors: list[str] = []
        self.answers: list[tuple[int, float]] = []

    def now(self) -> float:
        return self.at

    def connect(self, phone: Phone) -> None:
        self.wanted.append(phone)

    def moved(self, before: str, after: str) -> None:
        del before
        self.states.append(after)

    def failed(self, kind: str) -> None:
        self.errors.append(kind)

    def answered(self, phone: Phone, answer: Answer, waited: float, at: float) -> None:
        del phone, at
        self.answers.append((answer.status, waited))


@pytest.fixture
def host() -> Surroundings:
    return Surroundings()


@pytest.fixture
def phone(host: Surroundings) -> Phone:
    one = Phone(host, identity(1), scenario(Habits(heartbeat=480)))
    one.start()
    return one


def connect(phone: Phone) -> Wire:
    wire = Wire()
    phone.connection_made(wire)
    return wire


def answer(page: str, name: str, *, headers: str = "", status: str = "1") -> bytes:
    body = encode(element(page, name, element(page, "Status", status)))
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


SYNCED = answer("FolderHierarchy", "FolderSync")
OVER = answer("Ping", "Ping")


def held(phone: Phone) -> Wire:
    wire = connect(phone)
    phone.data_received(SYNCED)
    return wire


def test_a_phone_begins_with_a_connection(host: Surroundings, phone: Phone) -> None:
    """A phone that starts wants a connection before it sends anything."""
    assert [phone] == host.wanted


def test_a_ping_follows_the_hierarchy_on_the_same_connection(
    host: Surroundings, phone: Phone
) -> None:
    """One connection carries FolderSync and Ping, and the phone is then held."""
    wire = held(phone)

    sent = [one.split(b"&")[0].rpartition(b"Cmd=")[2] for one in wire.written]
    assert [b"FolderSync", b"Ping"] == sent
    assert ["connecting", "syncing", "held"] == host.states


def test_the_time_of_a_ping_is_measured(host: Surroundings, phone: Phone) -> None:
    """The host hears how long a Ping waited, from the request to its answer."""
    held(phone)
    host.at += 12.5
    phone.data_received(OVER)

    assert (1, 12.5) == host.answers[-1]


def test_connection_close_is_obeyed(host: Surroundings, phone: Phone) -> None:
    """After an answer with Connection: close, the next Ping waits for a new connection."""
    old = held(phone)
    phone.data_received(answer("Ping", "Ping", headers="Connection: close\r\n"))

    assert old.is_aborted
    assert ([phone, phone], "connecting") == (host.wanted, phone.state)


@pytest.mark.parametrize(
    ("reason", "kind"), [(None, "closed"), (ConnectionResetError(), "reset")], ids=["fin", "rst"]
)
def test_a_lost_connection_is_an_error(
    host: Surroundings, phone: Phone, reason: Exception | None, kind: str
) -> None:
    """A connection that ends under a Ping is counted, and the phone backs off."""
    held(phone)
    phone.connection_lost(reason)

    assert ([kind], "waiting") == (host.errors, phone.state)


def test_a_pause_ends_with_a_new_connection(host: Surroundings, phone: Phone) -> None:
    """When the back-off is over, the phone wants a connection for the same Ping."""
    held(phone)
    phone.connection_lost(None)
    assert phone.until == 101.0
    phone.expire()

    assert (Ping(480), "connecting") == (phone.command, phone.state)


def test_a_missing_answer_is_an_error(host: Surroundings, phone: Phone) -> None:
    """A phone gives a Ping up 5 s after its heartbeat and drops the connection."""
    wire = held(phone)
    assert phone.until == 100.0 + 480 + 5
    phone.expire()

    assert (["no answer in time"], True) == (host.errors, wire.is_aborted)


def test_an_unreadable_answer_is_an_error(host: Surroundings, phone: Phone) -> None:
    """Bytes that are no HTTP end the connection and are counted."""
    wire = held(phone)
    phone.data_received(b"SSH-2.0\r\n")

    assert (["unreadable answer"], True) == (host.errors, wire.is_aborted)


def test_bytes_that_nobody_asked_for_end_the_connection(host: Surroundings, phone: Phone) -> None:
    """An answer without a request is not taken for that of the next request."""
    wire = held(phone)
    phone.data_received(answer("Ping", "Ping", status="8"))
    phone.data_received(OVER)

    assert ("waiting", True) == (phone.state, wire.is_aborted)


def test_an_unreachable_server_is_an_error(host: Surroundings, phone: Phone) -> None:
    """A connection that cannot be opened is counted, and the phone backs off."""
    phone.unreachable("connection refused")

    assert (["connection refused"], "waiting") == (host.errors, phone.state)


def test_a_stopped_phone_takes_no_connection(host: Surroundings, phone: Phone) -> None:
    """A connection that comes after the stop is dropped, a failure is not counted."""
    phone.stop()
    phone.unreachable("connection refused")

    assert connect(phone).is_aborted
    assert [] == host.errors
