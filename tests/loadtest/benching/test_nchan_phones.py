"""Phones that poll, against a server that answers as a test wants."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from loadtest.benching.rivals import nchan_wire
from loadtest.benching.rivals.nchan_phones import Crowd, Round
from loadtest.polling import poll
from loadtest.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(nchan_wire.MESSAGE)
ANSWER = HEAD + nchan_wire.MESSAGE


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[tuple[Target, list[bytes]]]:
    """Answers the first poll of one phone in pieces, an empty one hangs up; notes its polls."""
    polls: list[bytes] = []
    served: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            polls.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in pieces:
                if not piece:
                    return
                writer.write(piece)
                await asyncio.sleep(0.005)
            polls.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            served.append(True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield Target("127.0.0.1", server.sockets[0].getsockname()[1]), polls
        await poll(lambda: len(served) == 1, 5.0)


@pytest.mark.parametrize("pieces", [[ANSWER], [HEAD[:9], HEAD[9:], nchan_wire.MESSAGE]])
async def test_a_phone_reads_an_answer_and_polls_again(pieces: Sequence[bytes]) -> None:
    """An answer counts when it is complete, in however many pieces it came; then comes a poll."""
    async with answering(*pieces) as (target, polls):
        crowd = Crowd(target)
        crowd.round.publish(0, 0.0)
        await crowd.arrive(1, 0.0)
        await poll(lambda: len(polls) == 2, 5.0)
        crowd.close()

    assert [nchan_wire.poll(0)] * 2 == polls
    assert ({}, 1) == (crowd.round.open, crowd.round.latency.count)


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
    ],
)
async def test_a_phone_that_is_refused_waits_no_more(piece: bytes, error: str) -> None:
    """A phone gives up where its server hangs up or does not say 200."""
    async with answering(piece) as (target, _):
        crowd = Crowd(target)
        await crowd.arrive(1, 0.0)
        await poll(lambda: crowd.errors[error] > 0 and not crowd.waiting, 5.0)

    assert (1, 0) == (crowd.errors[error], crowd.waiting)


async def test_a_server_that_is_not_there_is_an_error() -> None:
    """A phone that cannot connect is counted, and the others go on."""
    crowd = Crowd(Target("127.0.0.1", 1))

    await crowd.arrive(2, 0.0)

    assert (2, 0) == (crowd.errors.total(), crowd.waiting)
    assert all(kind.startswith("connect: ") for kind in crowd.errors)


def test_an_answer_ends_a_change() -> None:
    """The time of a change is that of the first one that a phone has not heard of."""
    found = Round()
    found.publish(3, 10.0)
    found.publish(3, 10.5)
    found.answer(3, 11.0)

    assert ({}, 11.0) == (found.open, found.last)
    assert 1.0 == pytest.approx(found.latency.latency().max, rel=0.01)


def test_an_answer_without_a_change_says_nothing() -> None:
    """What a phone reads although nothing is open counts nowhere."""
    found = Round()
    found.answer(3, 11.0)

    assert (0, 0.0) == (found.latency.count, found.last)
