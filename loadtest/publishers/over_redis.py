"""Records changes straight in the gateway's Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtest.publishers.batches import Batches
from loadtest.publishers.publishing import PublisherError, PublishFailedError, changed
from notifier.publisher import Publisher, PublishError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notifier.change import Change


class OverRedis:
    """Publishes as a mail backend in Python does; see ``Publishes``.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.

    Raises:
        PublisherError: If that is no such URL.
    """

    carries_tags = False

    def __init__(self, url: str) -> None:
        try:
            self._publisher = Publisher.from_url(url)
        except PublishError as error:
            raise PublisherError(str(error)) from error
        self._batches = Batches(self._send)

    async def publish(self, mailbox: str, folder: str, tag: str) -> None:
        """Record one change, with the others of this loop turn."""
        del tag  # a change in Redis has no text
        await self._batches.put(changed(mailbox, folder))

    async def close(self) -> None:
        """Close the connections."""
        await self._batches.close()
        await self._publisher.close()

    async def _send(self, changes: Sequence[Change]) -> None:
        try:
            await self._publisher.publish_many(changes)
        except PublishError as error:
            # The ledger's own words are of a small set: "redis is not reachable".
            raise PublishFailedError(str(error.__cause__)) from error
