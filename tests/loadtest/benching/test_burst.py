"""A change to each of many mailboxes at once."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from loadtest.benching.burst import AT_ONCE, Burst
from notifier.change import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES = [Change(f"user{number}", "5", "Email") for number in range(AT_ONCE + 1)]


class Redis:
    """Takes changes, and has the phones answer that are not deaf."""

    def __init__(self, *deaf: int) -> None:
        self.deaf = deaf
        self.batches: list[int] = []
        self.burst = Burst(self, CHANGES, len(CHANGES))

    async def publish_many(self, changes: Sequence[Change]) -> list[int]:
        await asyncio.sleep(0.001)
        self.batches.append(len(changes))
        for change in changes:
            number = CHANGES.index(change)
            if number not in self.deaf:
                self.burst.answer(number, monotonic())
        return [1] * len(changes)


async def test_all_changes_go_out_in_batches_and_all_phones_hear() -> None:
    """Every mailbox is changed once, and the last answer comes after the last batch began."""
    redis = Redis()

    await redis.burst.run(1.0)
    found = redis.burst.outcome()

    assert [AT_ONCE, 1] == redis.batches
    assert len(CHANGES) == found["woken"]
    assert 0.002 <= found["last_s"] <= found["published_s"]


async def test_a_phone_that_does_not_hear_is_not_waited_for_forever() -> None:
    """A deaf phone ends the wait late and is missing among the woken."""
    redis = Redis(7)

    await redis.burst.run(0.05)

    assert len(CHANGES) - 1 == redis.burst.outcome()["woken"]


async def test_a_second_answer_does_not_count() -> None:
    """A phone that is told again later does not make the burst longer."""
    redis = Redis()
    await redis.burst.run(1.0)
    before = redis.burst.outcome()

    redis.burst.answer(3, monotonic() + 60)

    assert before == redis.burst.outcome()
