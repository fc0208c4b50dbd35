"""What is asked of the gateway: users, phones, habits, and the machines to put it on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, Literal

Tls = Literal["proxy", "gateway", "none"]
TLS: Final = {
    "proxy": "a proxy on each node ends TLS, and its needs are counted",
    "gateway": "the workers speak TLS themselves",
    "none": "TLS ends before the nodes, on machines that are not counted",
}
"""Where TLS ends."""

_GIB: Final = 1 << 30
_MIB: Final = 1 << 20
_HOUR: Final = 3600.0

_ALLOWED: Final[dict[str, tuple[float, float]]] = {
    "users": (1, 1_000_000_000),
    "devices_per_user": (0.001, 100),
    "heartbeat": (60, 3540),
    "changes_per_hour": (0, 36_000),
    "spare": (0, 1000),
    "price": (0, 1_000_000_000),
    "cores_per_node": (1, 1024),
    "memory_per_node": (256 * _MIB, 1 << 50),
    "headroom": (0.05, 1),
    "memory_headroom": (0.05, 1),
    "peak_factor": (1, 100),
    "reconnect_within": (1, 86_400),
    "max_files": (128, 1_000_000_000),
    "source_addresses": (1, 65_536),
}
_WHOLE: Final = frozenset(
    ("users", "spare", "cores_per_node", "memory_per_node", "max_files", "source_addresses")
)


class DemandError(ValueError):
    """A demand that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked for."""

    users: int
    """One mailbox each."""
    devices_per_user: float = 1.3
    heartbeat: float = 900.0
    """Seconds that a phone waits at most; 60 to 3,540."""
    changes_per_hour: float = 12.0
    """Changes of a mailbox that its phones hear of, mean over the day."""
    tls: Tls = "proxy"
    """Where TLS ends, one of ``TLS``."""
    spare: int = 1
    """Nodes that may fail at the same time without loss of service."""
    price: float | None = None
    """Of a node, in any currency."""
    cores_per_node: int = 2
    memory_per_node: int = 4 * _GIB
    """Bytes."""
    headroom: float = 0.6
    """Share of the CPU that the busiest hour may use."""
    memory_headroom: float = 0.8
    """Share of the memory that may be used."""
    peak_factor: float = 3.0
    """Changes in the busiest hour, divided by the mean."""
    reconnect_within: float = 60.0
    """Seconds after which all phones of a lost node are held again."""
    max_files: int | None = None
    """Open files of a process; None takes the model's."""
    source_addresses: int | None = None
    """Source addresses that the proxy of a node uses; None takes as many as it needs."""

    def __post_init__(self) -> None:
        for name, (least, most) in _ALLOWED.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not least <= value <= most:
                raise DemandError(f"{name}: found {value:,g}, allowed {least:,g} to {most:,g}")
            if name in _WHOLE and value != int(value):
                raise DemandError(f"{name}: found {value:,g}, allowed whole numbers")
        if self.tls not in TLS:
            raise DemandError(f"tls: found {self.tls!r}, allowed {', '.join(TLS)}")

    @property
    def phones(self) -> int:
        """Phones that are held at the same time: all of them."""
        # A product such as 80,000 x 1.3 is a hair above the whole number that it stands for.
        return math.ceil(round(self.users * self.devices_per_user, 6))

    @property
    def changes(self) -> float:
        """Changes published in a second of the busiest hour."""
        return self.users * self.changes_per_hour / _HOUR * self.peak_factor

    @property
    def woken(self) -> float:
        """Phones woken in a second of the busiest hour."""
        return self.changes * self.devices_per_user

    @property
    def heartbeats(self) -> float:
        """Heartbeats that end in a second, at most: one that a change ends begins anew."""
        return self.phones / self.heartbeat

    @property
    def cycles(self) -> float:
        """Ping cycles in a second of the busiest hour."""
        return self.heartbeats + self.woken


DEMAND: Final = tuple(one.name for one in fields(Demand))
"""Names of all its fields."""
