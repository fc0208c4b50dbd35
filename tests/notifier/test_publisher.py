"""The publishers, from asyncio and from scripts, against a real Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notifier.change import Change, Hint, channel
from notifier.ledger import Ledger
from notifier.publisher import Publisher, PublishError, SyncPublisher

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis


async def test_publish_records(valkey_url: str, redis: Redis) -> None:
    """A published change is recorded when the call returns, and its number comes back."""
    async with Publisher.from_url(valkey_url) as publisher:
        await publisher.publish("Alice", "INBOX")
        found = await publisher.publish("alice", "INBOX", class_="Email")

    assert (found, {"INBOX": 2}, {"INBOX": "Email"}) == (
        2,
        *(await Ledger(redis).everything("alice")),
    )


async def test_publish_is_heard(valkey_url: str, redis: Redis) -> None:
    """A published change is heard with its facts and the time of day."""
    async with redis.pubsub() as listener, Publisher.from_url(valkey_url) as publisher:
        await listener.subscribe(channel("alice"))
        await listener.get_message(timeout=2)
        await publisher.publish("alice", "INBOX", class_="Email", kind="new")
        message = await listener.get_message(timeout=2)

    hint = Hint.parse(message["data"]) if message else None
    assert hint is not None
    assert (hint.folder, hint.seq, hint.class_, hint.kind) == ("INBOX", 1, "Email", "new")
    assert hint.at_ms is not None
    assert hint.at_ms > 1_600_000_000_000


async def test_publish_many(valkey_url: str) -> None:
    """Many changes give their numbers in order."""
    async with Publisher.from_url(valkey_url) as publisher:
        found = await publisher.publish_many([Change("alice", "INBOX")] * 2)

    assert found == [1, 2]


async def test_wrong_change_is_not_published(valkey_url: str) -> None:
    """A change that is none is refused with what is allowed."""
    async with Publisher.from_url(valkey_url) as publisher:
        with pytest.raises(PublishError, match=r"mend the change first: class: found 'Mail'"):
            await publisher.publish("alice", "INBOX", class_="Mail")


async def test_publish_without_redis_says_what_to_do(tmp_path: Path) -> None:
    """Without Redis the publisher raises one line that says what to do."""
    async with Publisher.from_url(f"unix://{tmp_path / 'none'}", timeout=0.1) as publisher:
        with pytest.raises(PublishError, match=r"check the Redis server .* publish again"):
            await publisher.publish("alice", "INBOX")


@pytest.mark.parametrize("kind", [Publisher, SyncPublisher])
def test_wrong_url_is_not_repeated(kind: type[Publisher | SyncPublisher]) -> None:
    """A URL of another scheme is refused without showing it: it may hold a password."""
    with pytest.raises(PublishError) as caught:
        kind.from_url("http://:secret@localhost")

    assert "secret" not in str(caught.value)


def test_sync_publish_records(valkey_url: str) -> None:
    """A script's published change is recorded when the call returns."""
    with SyncPublisher.from_url(valkey_url) as publisher:
        found = [publisher.publish("Alice", "INBOX"), publisher.publish("alice", "INBOX")]

    assert found == [1, 2]


async def test_sync_publish_counts_with_the_ledger(valkey_url: str, redis: Redis) -> None:
    """Scripts and gateway count in the same numbers and classes."""
    changes = [Change("alice", "INBOX", "Email"), Change("alice", "INBOX")]
    with SyncPublisher.from_url(valkey_url) as publisher:
        publisher.publish_many(changes)

    assert await Ledger(redis).record(changes[:1], 0) == [3]


def test_sync_publish_survives_a_script_flush(valkey_url: str) -> None:
    """A Redis that forgot the script is told it again."""
    with SyncPublisher.from_url(valkey_url) as publisher:
        publisher.publish("alice", "INBOX")
        publisher._client.script_flush()

        assert publisher.publish("alice", "INBOX") == 2


def test_sync_wrong_change_is_not_published(valkey_url: str) -> None:
    """A change that is none is refused with what is allowed."""
    with (
        SyncPublisher.from_url(valkey_url) as publisher,
        pytest.raises(PublishError, match=r"mend the change first: mailbox: found ''"),
    ):
        publisher.publish("", "INBOX")


def test_sync_publish_without_redis_says_what_to_do(tmp_path: Path) -> None:
    """Without Redis the publisher raises one line that says what to do."""
    with (
        SyncPublisher.from_url(f"unix://{tmp_path / 'none'}", timeout=0.1) as publisher,
        pytest.raises(PublishError, match=r"redis is not reachable: check the Redis server"),
    ):
        publisher.publish("alice", "INBOX")
