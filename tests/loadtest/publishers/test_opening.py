"""Publishers are opened by name."""

from __future__ import annotations

import pytest

from loadtest.publishers import PUBLISHERS, PublisherError, PublishFailedError, open_publisher


@pytest.mark.parametrize("kind", PUBLISHERS)
async def test_a_publisher_connects_when_it_publishes(kind: str) -> None:
    """Every publisher can be opened while nobody is there, and says whether phones see tags."""
    async with open_publisher(kind) as publisher:
        found = publisher.carries_tags

    assert (kind in {"imap", "lmtp"}) == found


@pytest.mark.parametrize("kind", PUBLISHERS)
async def test_a_closed_publisher_fails(kind: str) -> None:
    """Nothing is published after the end."""
    async with open_publisher(kind) as publisher:
        pass

    with pytest.raises(PublishFailedError, match=r"^closed$"):
        await publisher.publish("alice", "INBOX", "tag")


async def test_an_unknown_publisher_is_refused() -> None:
    """A name that is none is an error before anything is opened."""
    with pytest.raises(PublisherError, match="found publisher 'pigeon'"):
        async with open_publisher("pigeon"):
            pass
