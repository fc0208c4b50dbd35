"""Which answers have arrived.

Without an EAS server behind, nobody sees the Sync that follows a status 2. A phone has then seen a
change when the answer that told of it arrived: when the next request comes on the same connection,
or when the phone's TCP has acknowledged every byte. Until then the change stays unseen, and the
next Ping is told again. Behind a proxy it is the proxy that acknowledges.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from pushgw.devices import Seen

if TYPE_CHECKING:
    from pushgw.devices import Device


class Sender(Protocol):
    """A connection that has written an answer."""

    def has_delivered(self) -> bool:
        """Tell if the peer acknowledged all that was written."""
        ...


class Receipts:
    """Answers on their way, by connection, at most one each; and what is known to have arrived."""

    def __init__(self) -> None:
        self._on_the_way: dict[Sender, Seen] = {}
        self._arrived: dict[Device, dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._on_the_way)

    def sent(self, sender: Sender, seen: Seen) -> None:
        """Note an answer that has been written."""
        self._on_the_way[sender] = seen

    def next_request(self, sender: Sender) -> Seen | None:
        """Take the receipt that the next request on the same connection is."""
        return self._on_the_way.pop(sender, None)

    def keep(self, seen: Seen) -> None:
        """Keep a receipt until ``arrived`` is asked; of one folder's marks the last one stays."""
        self._arrived.setdefault(seen.device, {}).update(seen.marks)

    def closed(self, sender: Sender, *, cleanly: bool) -> None:
        """Decide for a connection that ends: cleanly, the bytes count as they are acknowledged."""
        seen = self._on_the_way.pop(sender, None)
        if seen is not None and cleanly and sender.has_delivered():
            self.keep(seen)

    def arrived(self, limit: int = 1000, *, looks: bool = True) -> list[Seen]:
        """Take what is known to have arrived by now, oldest first.

        Args:
            limit: How many devices at most.
            looks: Ask the system about those on their way, too: a call for each. Most need none,
                for their phone's next request is a receipt and comes at once.
        """
        if looks:
            for sender in [one for one in self._on_the_way if one.has_delivered()]:
                self.keep(self._on_the_way.pop(sender))
        devices = list(islice(self._arrived, limit))
        return [Seen(one, tuple(self._arrived.pop(one).items())) for one in devices]
