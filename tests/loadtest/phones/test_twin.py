"""The second connection of a phone, made, broken and answered by hand."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from loadtest.phones.phone import Phone
from loadtest.phones.twin import Twin
from loadtest.scenario.commands import Answer, Ping, Watched
from pushgw.wbxml import element, encode

INBOX = Watched("5", "Email", "INBOX")
PING: Final = Ping(480, (INBOX,))
BODY = encode(element("Ping", "Ping", element("Ping", "Status", "1")))
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


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
    """What a twin needs of its phone's host."""

    def __init__(self) -> None:
        self.at = 100.0
        self.errors: list[str] = []
        self.answers: list[tuple[Ping, int, float]] = []

    def now(self) -> float:
        return self.at

    def failed(self, kind: str) -> None:
        self.errors.append(kind)

    def answered_beside(self, twin: Twin, answer: Answer, at: float) -> None:
        self.answers.append((twin.command, answer.document.status, at - twin.sent_at))


@pytest.fixture
def host() -> Surroundings:
    return Surroundings()


@pytest.fixture
def twin(host: Any) -> Twin:
    phone = Phone(host, 3)
    phone.watched = PING.folders
    return Twin(phone, PING, b"Ping")


def connect(twin: Twin) -> Wire:
    wire = Wire()
    twin.connection_made(wire)
    return wire


def test_a_twin_sends_the_same_ping(host: Surroundings, twin: Twin) -> None:
    """A twin watches what its phone watches, and has the same deadline."""
    wire = connect(twin)

    assert ([b"Ping"], 100.0, 585.0) == (wire.written, twin.sent_at, twin.until)
    assert (3, (INBOX,)) == (twin.number, twin.watched)


@pytest.mark.parametrize("size", [9, 1000], ids=["pieces", "whole"])
def test_a_twin_leaves_when_it_is_answered(host: Surroundings, twin: Twin, size: int) -> None:
    """A twin passes its answer on, in one piece or in several, and hangs up."""
    wire = connect(twin)
    host.at = 107.0
    for begin in range(0, len(RESPONSE), size):
        twin.data_received(RESPONSE[begin : begin + size])

    assert [(PING, 1, 7.0)] == host.answers
    assert (True, 0.0, []) == (wire.is_aborted, twin.until, host.errors)


def test_a_twin_without_an_answer_is_an_error(host: Surroundings, twin: Twin) -> None:
    """The end of a twin's connection is counted."""
    connect(twin)
    twin.connection_lost(ConnectionResetError())

    assert (["reset"], 0.0) == (host.errors, twin.until)


def test_an_unreadable_answer_ends_a_twin(host: Surroundings, twin: Twin) -> None:
    """Bytes that are no HTTP end a twin's connection and are counted."""
    wire = connect(twin)
    twin.data_received(b"SSH-2.0\r\n")

    assert (["unreadable answer"], True) == (host.errors, wire.is_aborted)


def test_an_unreachable_server_ends_a_twin(host: Surroundings, twin: Twin) -> None:
    """A twin that finds no connection is counted, and its phone goes on."""
    twin.unreachable("connection refused")

    assert (["connection refused"], 0.0) == (host.errors, twin.until)


def test_a_twin_that_was_closed_takes_no_connection(twin: Twin) -> None:
    """A connection that comes too late for a twin is dropped."""
    twin.close()
    wire = connect(twin)

    assert (True, []) == (wire.is_aborted, wire.written)
