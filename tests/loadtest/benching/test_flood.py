"""A number of changes is kept outstanding."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from loadtest.benching.flood import Flood

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notifier.change import Change

MAILBOXES = [f"user{number}@example.org" for number in range(40)]
DICE = Random(1)


class Redis:
    """Answers every change at once, but those of one mailbox never."""

    def __init__(self, deaf: str = "") -> None:
        self.answer: Callable[[int], None] = lambda _: None
        self.published = 0
        self._deaf = deaf

    async def publish_many(self, changes: Sequence[Change]) -> list[int]:
        await asyncio.sleep(0.001)
        self.published += len(changes)
        for change in changes:
            if change.mailbox != self._deaf:
                self.answer(MAILBOXES.index(change.mailbox))
        return [1] * len(changes)


async def test_an_answered_change_makes_room_for_the_next() -> None:
    """Ten outstanding changes become many more in a moment, and each is answered."""
    redis = Redis()
    one = Flood(redis, MAILBOXES, DICE)
    redis.answer = one.answer

    await one.run(10, 0.1)

    assert one.answered == one.latency.count == redis.published > 40
    assert one.forgotten == 0


async def test_a_change_without_an_answer_is_forgotten() -> None:
    """A change that nobody answers leaves its place to another one and is counted."""
    redis = Redis(deaf=MAILBOXES[0])
    one = Flood(redis, MAILBOXES, DICE, patience=0.05)
    redis.answer = one.answer

    await one.run(10, 0.1)

    assert one.forgotten >= 1


async def test_answers_out_of_nowhere_do_not_count() -> None:
    """An answer for a mailbox without an outstanding change changes nothing."""
    one = Flood(Redis(), MAILBOXES, DICE)
    one.answer(0)

    assert 0 == one.answered
