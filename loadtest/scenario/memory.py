"""What one phone remembers between its requests; small, for there are many thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.scenario.commands import Collection, Wait
from loadtest.scenario.sharing import ping

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from loadtest.scenario.commands import Habits, Watched
    from loadtest.scenario.pace import Pace, Rule

LONGEST_BACKOFF: Final = 60.0
"""Seconds; phones retry at least every minute while they have a network."""
_DOUBLINGS: Final = 7
"""The shortest first pause, 0.5 s, reaches the longest one after these."""


class Memory:
    """What one phone remembers.

    Two rules keep it from a busy loop. A demand of the server (its status) is followed at once
    when it is new, and after a pause when it was made before. Pauses double from 1 s, spread by
    the phone's own dice, until the server has answered well.
    """

    __slots__ = (
        "demands",
        "faults",
        "habits",
        "jitter",
        "keys",
        "pace",
        "ping",
        "policy",
        "rule",
        "syncs",
    )

    def __init__(self, habits: Habits, jitter: float, rule: Rule, *, syncs: bool) -> None:
        self.habits = habits
        self.jitter = jitter
        """This phone's dice, in [0, 1)."""
        self.rule = rule
        self.pace: Pace = rule.start(habits.heartbeat)
        self.ping = ping(self.pace.heartbeat, ())
        """The next Ping. It has no folders, and is not sent, until the hierarchy is known."""
        self.keys: tuple[str, ...] = ()
        """SyncKey of each folder of ``ping``; used only while ``syncs``."""
        self.policy = "0"
        """Policy key."""
        self.syncs = syncs
        """False also when the server turned out to have no Sync."""
        self.faults = 0
        """Pauses since the last good answer."""
        self.demands: tuple[int, ...] = ()
        """Statuses that were followed since the last good answer."""

    def pause(self) -> Wait:
        """Return the next back-off."""
        interval = (0.5 + self.jitter) * 2.0 ** min(self.faults, _DOUBLINGS)
        self.faults += 1
        return Wait(min(interval, LONGEST_BACKOFF))

    def is_repeated(self, demand: int) -> bool:
        """Enter a demand of the server; return whether it was made since the last good answer."""
        if demand in self.demands:
            return True
        self.demands += (demand,)
        return False

    def settle(self) -> None:
        """Note a good answer: faults and demands are forgotten."""
        self.faults = 0
        self.demands = ()

    def lasted(self) -> None:
        """Note that a Ping lasted its whole interval."""
        self.settle()
        self.shorten()
        self.keep(self.rule.lasted(self.pace))

    def failed(self) -> None:
        """Note that a Ping ended without an answer."""
        self.keep(self.rule.failed(self.pace))

    def keep(self, pace: Pace) -> None:
        """Take a pace; the next Ping tells the server of another heartbeat."""
        if pace.heartbeat != self.ping.heartbeat:
            self.ping = ping(pace.heartbeat, self.ping.folders)
        self.pace = pace

    def shorten(self) -> None:
        """Leave the body out from now on if that is the phone's habit: the server knows it."""
        if self.habits.is_terse and self.ping.is_full:
            self.ping = ping(self.ping.heartbeat, self.ping.folders, is_full=False)

    def lengthen(self) -> None:
        """Send the body with the next Ping."""
        self.ping = ping(self.ping.heartbeat, self.ping.folders)

    def watch(self, folders: tuple[Watched, ...]) -> None:
        """Watch other folders; those that stay keep their SyncKey."""
        if self.syncs:
            keys = {one.folder.id: one.key for one in self.collections()}
            self.keys = tuple(keys.get(folder.id, "0") for folder in folders)
        self.ping = ping(self.pace.heartbeat, folders)

    def collections(self, ids: Container[str] | None = None) -> tuple[Collection, ...]:
        """List the folders of these ids, and those never synced, for a Sync; None for all."""
        return tuple(
            Collection(folder, key)
            for folder, key in zip(self.ping.folders, self.keys, strict=True)
            if ids is None or key == "0" or folder.id in ids
        )

    def learn(self, keys: Mapping[str, str]) -> None:
        """Take new SyncKeys, by folder id."""
        self.keys = tuple(keys.get(one.folder.id, one.key) for one in self.collections())
