"""Clients that misbehave, to see that a server stands it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import Half, Wait
from loadtest.scenario.memory import Memory
from loadtest.scenario.obeying import StoppedError
from loadtest.scenario.pace import FIXED
from loadtest.scenario.pinging import answered, pinging
from loadtest.scenario.preparing import prepare
from loadtest.scenario.sharing import folder_sync, ping, twin

if TYPE_CHECKING:
    from loadtest.scenario.commands import Habits, Script

_APART: Final = 10.0
"""Seconds between two half requests, on average."""


def ping_loop(habits: Habits, jitter: float) -> Script:
    """Send the same Ping again at once, whatever came of it and whatever the server asks."""
    memory = Memory(habits, jitter, FIXED, syncs=False)
    try:
        yield from prepare(memory)
    except StoppedError:
        return
    while True:
        yield memory.ping


def two_pings(habits: Habits, jitter: float) -> Script:
    """Send each Ping on two connections."""
    memory = Memory(habits, jitter, FIXED, syncs=habits.syncs)
    try:
        yield from prepare(memory)
        while True:
            yield from answered(memory, (yield twin(memory.ping)))
    except StoppedError:
        return


def never_syncs(habits: Habits, jitter: float) -> Script:
    """Never fetch what a Ping announced, nor anything before."""
    return pinging(Memory(habits, jitter, FIXED, syncs=False))


def half_request(habits: Habits, jitter: float) -> Script:
    """Send half a request and leave the server waiting; come back later and do so again."""
    half = Half(ping(habits.heartbeat, habits.known) if habits.known else folder_sync())
    while True:
        yield half
        yield Wait((0.5 + jitter) * _APART)
