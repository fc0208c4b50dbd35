"""Signals that ask a command to end: it puts everything away first.

Ctrl-C, ``kill``, ``timeout`` and a terminal that closes are treated alike. A hang-up that is
ignored from outside (``nohup``) stays ignored.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Outcome = TypeVar("Outcome")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndedError(RuntimeError):
    """A signal ended a command before it was done."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"ended by {number.name} before there was a result")
        self.exit_status = 128 + number
        """As a shell reports a process that a signal ended."""


def run(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a coroutine on a loop of its own; a signal cancels it, unless it reacts otherwise.

    Raises:
        EndedError: If a signal ended it, after its clean-up.
    """
    found: list[signal.Signals] = []

    async def cancellable() -> Outcome:
        task = asyncio.current_task()

        def end(number: signal.Signals) -> None:
            found.append(number)
            if task is not None:
                task.cancel()

        react(end)
        return await main

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        return uvloop.run(cancellable())
    except asyncio.CancelledError:
        if not found:
            raise
        raise EndedError(found[0]) from None
    finally:
        # The closed loop leaves its handlers behind, which swallow the signals of what comes next.
        for number, handler in before.items():
            signal.signal(number, handler)


def react(call: Callable[[signal.Signals], object]) -> None:
    """Have each of the signals call something on the running loop, instead of what it did."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, call, number)
