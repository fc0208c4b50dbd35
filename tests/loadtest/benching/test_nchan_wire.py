"""Requests to Nchan, and what it answers."""

from __future__ import annotations

import pytest

from loadtest.benching.rivals import nchan_wire
from pushgw.wbxml import decode

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nEtag: 0\r\n\r\nhello"


def test_a_phone_polls_for_its_own_mailbox() -> None:
    """A poll is a GET without a body for the channel that a publish to that mailbox names."""
    poll, publish = nchan_wire.poll(7), nchan_wire.publish(7)

    assert poll.startswith(b"GET /sub?Cmd=Ping&User=user000007&")
    assert poll.endswith(b"\r\n\r\n")
    assert publish.startswith(b"POST /pub?User=user000007 ")


def test_polls_are_as_long_as_those_of_phones() -> None:
    """All polls have the size of a Ping's head behind a proxy, whatever the number."""
    assert {555} == {len(nchan_wire.poll(number)) for number in (0, 19_999, 999_999)}


def test_a_message_is_the_answer_to_a_ping() -> None:
    """What is published has its length told, and says that a folder changed."""
    head, _, body = nchan_wire.publish(0).partition(b"\r\n\r\n")

    status = decode(body).find("Status")
    assert status is not None
    assert "2" == status.text
    assert f"Content-Length: {len(body)}" in head.decode()


def test_a_whole_answer_has_a_status() -> None:
    """The status of an answer is told once all of it is there."""
    assert 200 == nchan_wire.status_of(ANSWER)


@pytest.mark.parametrize("length", range(len(ANSWER)))
def test_a_part_of_an_answer_has_none(length: int) -> None:
    """No beginning of an answer is taken for all of it."""
    assert None is nchan_wire.status_of(ANSWER[:length])


@pytest.mark.parametrize(
    ("told", "held"), [(b"channels: 1\nsubscribers: 42\nredis: 0\n", 42), (b"404", 0)]
)
def test_the_held_polls_are_read(told: bytes, held: int) -> None:
    """The status page says how many polls are held; another page says that none is."""
    assert held == nchan_wire.subscribers(told)
