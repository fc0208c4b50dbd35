"""Signals end a coroutine in order."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from loadtest import ending
from loadtest.ending import EndedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ending.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ending.SIGNALS)
def test_a_signal_cancels_and_is_named(number: signal.Signals) -> None:
    """Clean-up runs to its end, also over an await, before the error tells the signal."""
    cleaned = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0)
            cleaned.append(number)

    with pytest.raises(EndedError, match=number.name) as found:
        ending.run(main())

    assert [number] == cleaned
    assert 128 + number == found.value.exit_status


def test_a_result_is_handed_on() -> None:
    """Without a signal, the outcome of the coroutine comes back."""
    assert 7 == ending.run(asyncio.sleep(0, 7))


def test_signals_do_afterwards_what_they_did_before() -> None:
    """What follows a coroutine is interrupted as if there had been none."""
    before = [signal.getsignal(number) for number in ending.SIGNALS]
    ending.run(asyncio.sleep(0))

    assert before == [signal.getsignal(number) for number in ending.SIGNALS]


def test_another_cancellation_is_no_signal() -> None:
    """A coroutine that was cancelled from inside stays cancelled."""

    async def main() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        ending.run(main())


def test_a_reaction_takes_the_place_of_the_end() -> None:
    """After ``react``, a signal calls what it was told, and nothing is cancelled."""

    async def main() -> signal.Signals:
        called: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        ending.react(called.set_result)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            return await called

    assert signal.SIGTERM == ending.run(main())


def test_an_ignored_hang_up_stays_ignored() -> None:
    """A command under ``nohup`` survives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def main() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.02)
        return "done"

    assert "done" == ending.run(main())
