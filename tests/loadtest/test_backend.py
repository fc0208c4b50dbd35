"""The publisher of a run: intended times are kept, whatever a single publish does."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from random import Random
from time import monotonic

import pytest

from loadtest.account import Account
from loadtest.backend import Backend, Planned, plan
from notifier.publisher import PublishError

DICE = Random(1)  # noqa: S311 - a load pattern
MAILBOXES = [f"user{number}@example.org" for number in range(100)]


class Redis:
    """Publishes into a list; may be slow for one mailbox, or fail."""

    def __init__(self, slow: str = "", failures: int = 0) -> None:
        self.published: list[tuple[str, str, str | None]] = []
        self.times: list[float] = []
        self._slow = slow
        self._failures = failures

    async def publish(self, mailbox: str, folder: str, *, class_: str | None = None) -> int:
        self.times.append(monotonic())
        if self._failures:
            self._failures -= 1
            raise PublishError("away")
        await asyncio.sleep(0.05 if mailbox == self._slow else 0)
        self.published.append((mailbox, folder, class_))
        return 1


def test_a_plan_keeps_its_rate() -> None:
    """A plan of 50 a second for 2 s has 100 changes in order, one in each slot of 20 ms."""
    found = list(plan(50, 2.0, MAILBOXES, DICE))

    assert list(range(100)) == [int(one.offset * 50) for one in found]


def test_no_mailbox_changes_twice_within_a_moment() -> None:
    """Two changes of one mailbox are at least 0.2 s apart, also at the highest rate."""
    found = list(plan(250, 4.0, MAILBOXES, DICE))

    by_mailbox = sorted(found, key=lambda one: (one.mailbox, one.offset))
    pairs = itertools.pairwise(by_mailbox)
    gaps = [after.offset - one.offset for one, after in pairs if one.mailbox == after.mailbox]
    assert min(gaps) >= 0.2


async def test_every_change_is_published_with_its_class() -> None:
    """Each planned change reaches Redis with the class of its folder."""
    redis, account = Redis(), Account({})
    planned = [Planned(0.0, "a@x", "INBOX"), Planned(0.001, "b@x", "1")]

    await Backend(redis, account, Counter()).run(planned)

    assert [("a@x", "INBOX", "Email"), ("b@x", "1", "Calendar")] == redis.published


async def test_a_slow_publish_does_not_delay_the_next() -> None:
    """While one publish takes 50 ms, the next begins at its own time."""
    redis = Redis(slow="slow@x")
    planned = [Planned(0.0, "slow@x", "5"), Planned(0.01, "b@x", "5")]

    await Backend(redis, Account({}), Counter()).run(planned)

    assert ["b@x", "slow@x"] == [mailbox for mailbox, _, _ in redis.published]


async def test_changes_are_entered_with_their_intended_time() -> None:
    """The account knows a change from its intended time on, not from when it was published."""
    account = Account({"a@x": ("A",), "b@x": ("B",)})
    planned = [Planned(0.0, "a@x", "5"), Planned(0.02, "b@x", "5")]

    await Backend(Redis(), account, Counter()).run(planned)

    first, second = account.uncovered()
    assert second.at - first.at == pytest.approx(0.02, abs=0.002)


async def test_a_failed_publish_is_repeated() -> None:
    """A change that is not known to be recorded is published again, and stays expected."""
    redis, account, errors = Redis(failures=1), Account({"a@x": ("A",)}), Counter[str]()

    await Backend(redis, account, errors).run([Planned(0.0, "a@x", "5")])

    assert (1, 1, 1) == (len(redis.published), errors["publish failed"], account.open)


async def test_a_change_that_cannot_be_published_is_withdrawn() -> None:
    """After three failures nobody is expected to report the change."""
    redis, account, errors = Redis(failures=3), Account({"a@x": ("A",)}), Counter[str]()

    await Backend(redis, account, errors).run([Planned(0.0, "a@x", "5")])

    assert (0, 3, 0) == (account.published, errors["publish failed"], account.open)


async def test_a_stopped_plan_publishes_nothing_more() -> None:
    """After a stop, the changes to come are neither published nor expected."""
    redis, account = Redis(), Account({})
    backend = Backend(redis, account, Counter())
    backend.stop()

    await backend.run([Planned(60.0, "a@x", "5")])

    assert ([], 0) == (redis.published, account.published)
