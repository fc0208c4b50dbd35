"""What the present EAS server needs, before and after the gateway; and the demand for the gateway.

Every open EAS server spends a process on each request that waits: the busiest moment is what its
workers and their memory have to be enough for.

Source: measurements on SOGo 5.8.0 and Z-Push 2.7.1 with small mailboxes, two cores, Debian 12.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from loadtest.capacity.demand import Demand
from loadtest.capacity.model import Figure

if TYPE_CHECKING:
    from loadtest.capacity.traffic import Traffic

_MIB: Final = 1 << 20

SOGO: Final = Figure(
    11.75 * _MIB,
    11.0 * _MIB,
    12.5 * _MIB,
    "bytes",
    "SOGo 5.8.0, 10 Pings held by 12 workers: 9.2 MB private for the worker, 0.7 for its IMAP"
    " process, 1.3 to 2.6 for one or two PostgreSQL backends; small mailboxes",
)
"""Memory of a worker of SOGo and of what it holds open."""
ZPUSH: Final = Figure(
    5.4 * _MIB,
    5.4 * _MIB,
    5.4 * _MIB,
    "bytes",
    "Z-Push 2.7.1, IMAP backend, 6 Pings held by 6 php-fpm children: PSS of a child, its IMAP"
    " process (1.0 MB) not counted; small mailboxes",
)
"""Memory of a php-fpm child of Z-Push."""
SERVERS: Final = {"SOGo": SOGO, "Z-Push": ZPUSH}
"""Memory of a worker by server."""
COMMAND_SECONDS: Final = 0.2
"""Of a command that is answered at once, where the log has no durations.

Source: FolderSync of SOGo 5.8.0, 0.19 s with nothing else to do.
"""
_HOUR: Final = 3600.0
_SHORTEST, _LONGEST = 60.0, 3540.0


class TrafficError(ValueError):
    """A log that tells too little for a plan."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Workers and memory of the present EAS server, at its busiest moment."""

    held: int
    """Pings at the same time: a worker each."""
    waiting: int
    """Waiting Syncs at the same time: a worker each."""
    busy: float
    """Workers busy with everything else in the busiest seconds."""
    is_busy_told: bool
    """Whether ``busy`` is from durations; else from ``COMMAND_SECONDS``."""

    @property
    def workers_before(self) -> int:
        """Without the gateway."""
        return self.held + self.waiting + self.workers_after

    @property
    def workers_after(self) -> int:
        """With the gateway, which holds what waits."""
        return max(math.ceil(self.busy), 1)

    def memory(self, server: Figure) -> tuple[Figure, Figure]:
        """Return the memory before and after, in bytes.

        Args:
            server: One of ``SERVERS``.
        """
        return _times(server, self.workers_before), _times(server, self.workers_after)


def needs(traffic: Traffic) -> Needs:
    """Say what the EAS server behind that log needs."""
    is_told = traffic.busy_peak is not None
    guessed = traffic.others_peak * COMMAND_SECONDS
    busy = guessed if traffic.busy_peak is None else traffic.busy_peak
    return Needs(traffic.held.peak, traffic.waiting.peak, busy, is_told)


def demand_from(traffic: Traffic, **others: Any) -> Demand:
    """Return the demand that a log shows; what it does not tell has the demand's defaults.

    Args:
        traffic: At least one device.
        others: Fields of the demand that are known better, or that no log can tell.

    Raises:
        TrafficError: If there is no device in it.
        DemandError: If a field makes no sense.
    """
    if not traffic.devices:
        raise TrafficError("found no device in the log, allowed one or more")
    users = max(traffic.users, 1)
    told: dict[str, float] = {"devices_per_user": traffic.devices / users}
    if traffic.heartbeat is not None:
        told["heartbeat"] = min(max(traffic.heartbeat, _SHORTEST), _LONGEST)
    if traffic.changed and traffic.span:
        # A change wakes each device of its mailbox once.
        told["changes_per_hour"] = traffic.changed / traffic.devices / (traffic.span / _HOUR)
    if traffic.peak_factor is not None:
        told["peak_factor"] = traffic.peak_factor
    return replace(Demand(users=users), **{**told, **others})


def _times(each: Figure, count: int) -> Figure:
    low, value, high = each.low * count, each.value * count, each.high * count
    return Figure(value, low, high, each.unit, f"{count:,} x {each.source}")
