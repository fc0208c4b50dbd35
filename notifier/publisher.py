"""For mail backends in Python: record a change straight in Redis.

Both publishers return when Redis has the change, and raise when they do not know that it has:
publish again then, a change published twice is harmless.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from notifier.change import Change, ChangeError
from notifier.ledger import TIMEOUT, Command, Ledger, LedgerError, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

# Once more, at once: the server may have closed a connection that idled.
_RETRIES: Final = 1


class PublishError(Exception):
    """A change is not known to be recorded. One line: why, and what to do."""


class Publisher:
    """Publishes mailbox changes from asyncio code.

    Use it as a context manager, or call `close` when done.

    Args:
        client: Closed with the publisher.
        timeout: Seconds within which every call ends.

    Example:
        ``async with Publisher.from_url("redis://localhost") as publisher:``
        ``    await publisher.publish("alice@example.org", "INBOX", class_="Email")``
    """

    def __init__(self, client: redis.asyncio.Redis, *, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._ledger = Ledger(client, timeout=timeout)

    @classmethod
    def from_url(cls, url: str, *, timeout: float = TIMEOUT) -> Self:
        """Make a publisher; it connects when it first publishes.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
            timeout: Seconds within which every call ends.

        Raises:
            PublishError: If that is no such URL.
        """
        try:
            client = redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), _RETRIES))
        except ValueError:
            raise _no_url() from None
        return cls(client, timeout=timeout)

    async def publish(
        self, mailbox: str, folder: str, *, class_: str | None = None, kind: str | None = None
    ) -> int:
        """Record one change and tell the gateway.

        Args:
            mailbox: Login name, in any case of letters.
            folder: The backend's own name, "/" between levels, or a CollectionId; "" for the
                hierarchy (a folder created, renamed, deleted).
            class_: What the folder holds: Email, Calendar, Contacts, Tasks, Notes or SMS.
            kind: What happened, in your own word; carried along, never interpreted.

        Returns:
            The folder's new sequence number, once Redis has it.

        Raises:
            PublishError: If the change is not known to be recorded.
        """
        return (await self.publish_many([_change(mailbox, folder, class_, kind)]))[0]

    async def publish_many(self, changes: Sequence[Change]) -> list[int]:
        """Record changes in one round trip; at most some thousands at once.

        Returns:
            The new sequence numbers in the order of the changes, once Redis has them.

        Raises:
            PublishError: If not all of them are known to be recorded.
        """
        try:
            return await self._ledger.record(changes, _now_ms())
        except LedgerError as error:
            raise _not_recorded(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class SyncPublisher:
    """Publishes mailbox changes from scripts and threads.

    Use it as a context manager, or call `close` when done.

    Args:
        client: Closed with the publisher.

    Example:
        ``with SyncPublisher.from_url("redis://localhost") as publisher:``
        ``    publisher.publish("alice@example.org", "INBOX", class_="Email")``
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @classmethod
    def from_url(cls, url: str, *, timeout: float = TIMEOUT) -> Self:
        """Make a publisher; it connects when it first publishes.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
            timeout: Seconds for connecting and for each answer; both are tried twice at most.

        Raises:
            PublishError: If that is no such URL.
        """
        try:
            client = redis.Redis.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), _RETRIES),
            )
        except ValueError:
            raise _no_url() from None
        return cls(client)

    def publish(
        self, mailbox: str, folder: str, *, class_: str | None = None, kind: str | None = None
    ) -> int:
        """Record one change and tell the gateway; see `Publisher.publish`.

        Raises:
            PublishError: If the change is not known to be recorded.
        """
        return self.publish_many([_change(mailbox, folder, class_, kind)])[0]

    def publish_many(self, changes: Sequence[Change]) -> list[int]:
        """Record changes in one round trip; see `Publisher.publish_many`.

        Raises:
            PublishError: If not all of them are known to be recorded.
        """
        recording = Recording(changes, _now_ms())
        try:
            while commands := recording.commands():
                recording.absorb(self._exchange(commands))
        except (redis.RedisError, OSError) as error:
            raise _not_recorded(LedgerError.of(error)) from error
        return recording.sequences

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            queue: Callable[..., object] = pipeline.execute_command
            for command in commands:
                queue(*command)
            return pipeline.execute(raise_on_error=False)


def _now_ms() -> float:
    return round(time.time() * 1000, 3)


def _change(mailbox: str, folder: str, class_: str | None, kind: str | None) -> Change:
    try:
        return Change(mailbox, folder, class_, kind)
    except ChangeError as error:
        raise PublishError(f"not recorded, mend the change first: {error}") from error


def _not_recorded(error: LedgerError) -> PublishError:
    return PublishError(
        f"not known to be recorded, {error}: check the Redis server and its URL, "
        f"then publish again (twice is harmless)"
    )


def _no_url() -> PublishError:
    # The URL itself may hold a password.
    return PublishError("not a Redis URL: allowed are redis://, rediss:// and unix://")
