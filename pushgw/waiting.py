"""The record of one Ping that waits, and the connection it waits on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from pushgw.devices import Device
from pushgw.session import Answer, PingSession

if TYPE_CHECKING:
    from pushgw.devices import Seen
    from pushgw.eas.ping import PingRequest


class Phone(Protocol):
    """A connection, as far as a waiting Ping needs it."""

    waiting: Waiting | None
    rested: Waiting | None

    def answer(self, body: bytes, *, close: bool) -> None:
        """Write the answer; the connection is free for its next request."""
        ...

    def has_delivered(self) -> bool:
        """Tell if the peer acknowledged all that was written."""
        ...


class Opening:
    """What a Ping brings along, until Redis has answered."""

    __slots__ = ("is_stale", "newer", "request", "seen")

    def __init__(self, request: PingRequest, seen: Seen | None) -> None:
        self.request = request
        self.seen = seen
        """Receipt of the answer before, to be written first."""
        self.newer = 0
        """Highest number of a Ping of the same device that was heard of meanwhile."""
        self.is_stale = False
        """A change was heard of after the question had left: the ledger must be looked at again."""


State: TypeAlias = Opening | PingSession | Answer


class Waiting:
    """One Ping that waits."""

    __slots__ = ("device", "generation", "mailbox", "phone", "received", "state", "until")

    def __init__(
        self, phone: Phone, device: Device, received: float, until: float, opening: Opening
    ) -> None:
        self.phone = phone
        self.mailbox = device.mailbox
        self.device = device.id
        self.received = received
        """When its bytes arrived, seconds of the loop's clock."""
        self.until = until
        """When it is answered at the latest, same clock."""
        self.generation = 0
        """Number among all Pings of the device, over all workers; 0 until Redis gave it."""
        self.state: State = opening

    @property
    def whose(self) -> Device:
        """The device as a key."""
        return Device(self.mailbox, self.device)
