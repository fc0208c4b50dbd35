"""One change to each of many mailboxes, back to back: how long until the last phone has heard."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from loadtest.polling import poll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtest.benching.flood import PublishesMany
    from notifier.change import Change

AT_ONCE: Final = 500
"""Changes of one round trip to Redis."""


class Burst:
    """Publishes changes, and waits for the phones that must hear of one of them.

    Args:
        publisher: Records the changes.
        changes: At most one for each phone.
        phones: How many phones must hear; they have the numbers from 0.
    """

    def __init__(self, publisher: PublishesMany, changes: Sequence[Change], phones: int) -> None:
        self._publisher = publisher
        self._changes = changes
        self._waiting = set(range(phones))
        self._phones = phones
        self._began = self._published = self._last = 0.0

    def answer(self, phone: int, at: float) -> None:
        """Count the first answer that a phone read."""
        if phone in self._waiting:
            self._waiting.discard(phone)
            self._last = at

    async def run(self, within: float) -> None:
        """Publish everything, and wait for the answers for some seconds at most."""
        self._began = monotonic()
        for first in range(0, len(self._changes), AT_ONCE):
            await self._publisher.publish_many(self._changes[first : first + AT_ONCE])
        self._published = monotonic()
        await poll(lambda: not self._waiting, within)

    def outcome(self) -> dict[str, Any]:
        """Tell how many phones were told, and the seconds from the first publish."""
        return {
            "woken": self._phones - len(self._waiting),
            "published_s": self._published - self._began,
            "last_s": self._last - self._began,
        }
