"""All scenarios by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario import broken, clients

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtest.scenario.commands import Habits, Script

SCENARIOS: Final[Mapping[str, Callable[[Habits, float], Script]]] = {
    "fixed": clients.fixed,
    "aosp": clients.aosp,
    "aosp-2012": clients.aosp_2012,
    "windows-mobile": clients.windows_mobile,
    "ios": clients.ios,
    "hanging-sync": clients.hanging_sync,
    "ping-loop": broken.ping_loop,
    "two-pings": broken.two_pings,
    "never-syncs": broken.never_syncs,
    "half-request": broken.half_request,
}
"""From a group's habits and a phone's own dice, in [0, 1), to the script of that phone."""

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "fixed": "one heartbeat for ever",
    "aosp": "Android since 2013: 480 to 1680 s in steps of 300, up and down",
    "aosp-2012": "Android in 2012: 290 to 1790 s in steps of 180, with a high-water mark",
    "windows-mobile": "Windows Mobile: from 480 s up by 240, settles on the last that worked",
    "ios": "Ping and Sync in turn on one connection, one heartbeat",
    "hanging-sync": "a Sync that waits, instead of Pings",
    "ping-loop": "broken: pings again at once, whatever comes",
    "two-pings": "broken: sends each Ping on two connections",
    "never-syncs": "broken: pings again without fetching what is new",
    "half-request": "broken: sends half a request, and comes back to do so again",
}
"""One line on each scenario."""

_ALWAYS_SYNC: Final = frozenset({"ios", "hanging-sync"})
_NEVER_SYNC: Final = frozenset({"ping-loop", "never-syncs", "half-request"})
"""Whatever the habits say."""


def start(habits: Habits, jitter: float) -> Script:
    """Return the script of one phone, not yet begun.

    Args:
        habits: Of its group; ``kind`` is one of ``SCENARIOS``.
        jitter: The phone's own dice, in [0, 1), so that phones do not move in step.

    Raises:
        KeyError: If there is no such scenario.
    """
    return SCENARIOS[habits.kind](habits, jitter)


def synchronises(habits: Habits) -> bool:
    """Whether such a phone fetches what changed, where the server has Sync."""
    return habits.kind in _ALWAYS_SYNC or (habits.syncs and habits.kind not in _NEVER_SYNC)
