"""Changes reach a real Valkey."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from loadtest.publishers import PublisherError, PublishFailedError, open_publisher

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def test_a_change_is_recorded(redis: Redis, valkey_url: str) -> None:
    """When publish returns, the folder's sequence number has grown."""
    async with open_publisher("redis", valkey_url) as publisher:
        await publisher.publish("Alice", "INBOX", "tag")
        found = await redis.hgetall("pushgw:{alice}:seq")

    assert {b"INBOX": b"1"} == found


async def test_a_hint_says_what_the_folder_holds(redis: Redis, valkey_url: str) -> None:
    """Listeners are told the class of the folder."""
    async with redis.pubsub(ignore_subscribe_messages=True) as listener:
        await listener.subscribe("pushgw:{alice}")
        await listener.get_message(timeout=1.0)
        async with open_publisher("redis", valkey_url) as publisher:
            await publisher.publish("alice", "Calendar", "tag")
        message = await listener.get_message(timeout=1.0)

    assert ("Calendar", "Calendar") == tuple(orjson.loads(message["data"])[key] for key in "fc")


async def test_many_changes_share_a_round_trip(redis: Redis, valkey_url: str) -> None:
    """Changes of one loop turn go over one connection, and none is lost."""
    before = (await redis.info("stats"))["total_connections_received"]
    async with open_publisher("redis", valkey_url) as publisher:
        await asyncio.gather(*(publisher.publish("alice", "INBOX", "tag") for _ in range(500)))
    after = (await redis.info("stats"))["total_connections_received"]

    assert (b"500", 1) == (await redis.hget("pushgw:{alice}:seq", "INBOX"), after - before)


async def test_a_redis_that_is_not_there_has_a_kind() -> None:
    """A change that did not reach Redis fails with the ledger's own words."""
    async with open_publisher("redis", "redis://127.0.0.1:1") as publisher:
        with pytest.raises(PublishFailedError) as caught:
            await publisher.publish("alice", "INBOX", "tag")

    assert "redis is not reachable" == caught.value.kind


async def test_a_bad_mailbox_does_not_spoil_the_batch(redis: Redis, valkey_url: str) -> None:
    """A change that is none fails alone."""
    async with open_publisher("redis", valkey_url) as publisher:
        bad, good = await asyncio.gather(
            publisher.publish("{}", "INBOX", "tag"),
            publisher.publish("alice", "INBOX", "tag"),
            return_exceptions=True,
        )

    assert ("no valid mailbox or folder", None) == (str(bad), good)


async def test_a_url_that_redis_cannot_read_is_refused() -> None:
    """What is wrong inside the URL is an error before anything is published."""
    with pytest.raises(PublisherError, match="not a Redis URL"):
        async with open_publisher("redis", "redis://127.0.0.1?socket_timeout=x"):
            pass
