from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from notifier.subscriptions import Subscriptions, UnaskedReplyError

LINGER = 60.0
BATCH = 3


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions(LINGER)


def subscribed(subscriptions: Subscriptions, *mailboxes: str) -> None:
    for mailbox in mailboxes:
        subscriptions.watch(mailbox)
    subscriptions.exchange(len(mailboxes), now=0.0)
    subscriptions.settle(len(mailboxes), now=0.0)


def test_first_watch(subscriptions: Subscriptions) -> None:
    """A mailbox watched for the first time is to be subscribed."""
    in_force = subscriptions.watch("ann")

    assert (False, (["ann"], [])) == (in_force, subscriptions.exchange(BATCH, now=0.0))


def test_watched_twice(subscriptions: Subscriptions) -> None:
    """A mailbox watched twice before the exchange is asked for once."""
    subscriptions.watch("ann")
    subscriptions.watch("ann")

    assert (["ann"], []) == subscriptions.exchange(BATCH, now=0.0)


def test_reply_confirms(subscriptions: Subscriptions) -> None:
    """The reply to a SUBSCRIBE confirms its mailbox."""
    subscriptions.watch("ann")
    subscriptions.exchange(BATCH, now=0.0)

    assert ["ann"] == subscriptions.settle(1, now=0.0)


def test_in_force(subscriptions: Subscriptions) -> None:
    """Watching a subscribed mailbox says so and asks for nothing."""
    subscribed(subscriptions, "ann")

    assert subscriptions.watch("ann")
    assert ([], []) == subscriptions.exchange(BATCH, now=0.0)


def test_one_exchange_at_a_time(subscriptions: Subscriptions) -> None:
    """Nothing is asked while replies are due."""
    subscriptions.watch("ann")
    subscriptions.exchange(BATCH, now=0.0)
    subscriptions.watch("bob")

    assert ([], []) == subscriptions.exchange(BATCH, now=0.0)


def test_batch(subscriptions: Subscriptions) -> None:
    """An exchange asks for the newest names first, and for no more than its limit."""
    for mailbox in ("ann", "bob", "cat", "dan"):
        subscriptions.watch(mailbox)

    assert (["dan", "cat", "bob"], []) == subscriptions.exchange(BATCH, now=0.0)


def test_batch_partly_answered(subscriptions: Subscriptions) -> None:
    """Replies confirm in the order asked, a few at a time."""
    subscriptions.watch("ann")
    subscriptions.watch("bob")
    subscriptions.exchange(BATCH, now=0.0)

    assert [["bob"], ["ann"]] == [subscriptions.settle(1, now=0.0), subscriptions.settle(1, 0.0)]


def test_unwatched_before_the_exchange(subscriptions: Subscriptions) -> None:
    """A mailbox unwatched before it was asked for is forgotten."""
    subscriptions.watch("ann")
    subscriptions.unwatch("ann", now=0.0)

    assert ([], []) == subscriptions.exchange(BATCH, now=0.0)


def test_unwatched_unknown(subscriptions: Subscriptions) -> None:
    """Unwatching what nobody watches changes nothing."""
    subscriptions.unwatch("ann", now=0.0)

    assert 0 == subscriptions.watched


def test_unwatched_before_the_reply(subscriptions: Subscriptions) -> None:
    """A subscription that nobody wants when it comes is not confirmed, and lingers."""
    subscriptions.watch("ann")
    subscriptions.exchange(BATCH, now=0.0)
    subscriptions.unwatch("ann", now=0.0)
    confirmed = subscriptions.settle(1, now=0.0)

    assert ([], True) == (confirmed, subscriptions.watch("ann"))


def test_wanted_again_before_the_reply(subscriptions: Subscriptions) -> None:
    """A mailbox given up and watched again before the reply is confirmed by it."""
    subscriptions.watch("ann")
    subscriptions.exchange(BATCH, now=0.0)
    subscriptions.unwatch("ann", now=0.0)
    in_force = subscriptions.watch("ann")

    assert (False, ["ann"]) == (in_force, subscriptions.settle(1, now=0.0))


def test_lingering(subscriptions: Subscriptions) -> None:
    """A subscription stays in force until its linger time is over."""
    subscribed(subscriptions, "ann")
    subscriptions.unwatch("ann", now=10.0)

    assert ([], []) == subscriptions.exchange(BATCH, now=69.9)
    assert subscriptions.watch("ann")


def test_expired(subscriptions: Subscriptions) -> None:
    """Lingering subscriptions are given up in the order they were left, when their time is over."""
    subscribed(subscriptions, "ann", "bob", "cat")
    subscriptions.unwatch("bob", now=1.0)
    subscriptions.unwatch("ann", now=2.0)
    subscriptions.unwatch("cat", now=3.0)

    assert ([], ["bob", "ann"]) == subscriptions.exchange(BATCH, now=62.0)


def test_expired_batch(subscriptions: Subscriptions) -> None:
    """No more subscriptions than the limit are given up in one exchange."""
    subscribed(subscriptions, "ann", "bob", "cat", "dan")
    for mailbox in ("ann", "bob", "cat", "dan"):
        subscriptions.unwatch(mailbox, now=0.0)

    assert ([], ["ann", "bob", "cat"]) == subscriptions.exchange(BATCH, now=60.0)


def test_given_up(subscriptions: Subscriptions) -> None:
    """A mailbox given up is subscribed anew when it is watched again."""
    subscribed(subscriptions, "ann")
    subscriptions.unwatch("ann", now=0.0)
    subscriptions.exchange(BATCH, now=60.0)
    subscriptions.settle(1, now=60.0)

    assert not subscriptions.watch("ann")
    assert (["ann"], []) == subscriptions.exchange(BATCH, now=60.0)


def test_watched_while_leaving(subscriptions: Subscriptions) -> None:
    """A mailbox watched between UNSUBSCRIBE and its reply is subscribed after the reply."""
    subscribed(subscriptions, "ann")
    subscriptions.unwatch("ann", now=0.0)
    subscriptions.exchange(BATCH, now=60.0)
    in_force = subscriptions.watch("ann")
    confirmed = subscriptions.settle(1, now=60.0)

    assert (False, []) == (in_force, confirmed)
    assert (["ann"], []) == subscriptions.exchange(BATCH, now=60.0)


def test_unwatched_again_while_leaving(subscriptions: Subscriptions) -> None:
    """A mailbox watched and unwatched between UNSUBSCRIBE and its reply is gone after it."""
    subscribed(subscriptions, "ann")
    subscriptions.unwatch("ann", now=0.0)
    subscriptions.exchange(BATCH, now=60.0)
    subscriptions.watch("ann")
    subscriptions.unwatch("ann", now=60.0)
    subscriptions.settle(1, now=60.0)

    assert ([], []) == subscriptions.exchange(BATCH, now=60.0)


def test_both_kinds_in_one_exchange(subscriptions: Subscriptions) -> None:
    """The replies of one exchange settle its subscriptions first, then those given up."""
    subscribed(subscriptions, "ann")
    subscriptions.unwatch("ann", now=0.0)
    subscriptions.watch("bob")
    asked = subscriptions.exchange(BATCH, now=60.0)

    assert (["bob"], ["ann"]) == asked
    assert ["bob"] == subscriptions.settle(2, now=60.0)


def lost(subscriptions: Subscriptions) -> None:
    """Lose a connection while there is a mailbox in every place, each called by it."""
    subscribed(subscriptions, "live", "lingering", "leaving", "returning")
    for mailbox in ("leaving", "returning"):
        subscriptions.unwatch(mailbox, now=0.0)
    subscriptions.unwatch("lingering", now=1.0)
    subscriptions.watch("asked")
    subscriptions.watch("dropped")
    subscriptions.exchange(BATCH, now=60.0)
    subscriptions.unwatch("dropped", now=60.0)
    subscriptions.watch("returning")
    subscriptions.watch("queued")
    subscriptions.lose()


def test_lost(subscriptions: Subscriptions) -> None:
    """After a loss all that is wanted is asked for again, whatever place it had."""
    lost(subscriptions)

    names, _ = subscriptions.exchange(10, now=60.0)
    assert ["asked", "live", "queued", "returning"] == sorted(names)


@pytest.mark.parametrize("mailbox", ["lingering", "leaving", "dropped"])
def test_watched_after_the_loss(subscriptions: Subscriptions, mailbox: str) -> None:
    """What was not wanted at a loss is asked for anew when it is watched again."""
    lost(subscriptions)
    in_force = subscriptions.watch(mailbox)

    names, _ = subscriptions.exchange(10, now=60.0)
    assert (False, True) == (in_force, mailbox in names)


def test_watched_counts(subscriptions: Subscriptions) -> None:
    """All that is wanted counts, in force or not, and nothing else."""
    subscribed(subscriptions, "live", "lingering")
    subscriptions.unwatch("lingering", now=0.0)
    subscriptions.watch("asked")
    subscriptions.watch("dropped")
    subscriptions.exchange(BATCH, now=0.0)
    subscriptions.unwatch("dropped", now=0.0)
    subscriptions.watch("queued")

    assert 3 == subscriptions.watched


def test_unasked(subscriptions: Subscriptions) -> None:
    """More replies than names asked for are an error."""
    subscriptions.watch("ann")
    subscriptions.exchange(BATCH, now=0.0)

    with pytest.raises(UnaskedReplyError, match="2 replies came, 1 were due"):
        subscriptions.settle(2, now=0.0)


MAILBOXES = st.sampled_from(["ann", "bob", "cat", "dan", "eve"])


class AgainstRedis(RuleBasedStateMachine):
    """A model of Redis answers in any rhythm; one of the caller knows what it may hope for."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = Subscriptions(2.0)
        self.now = 0.0
        self.in_force: set[str] = set()
        self.commands: list[tuple[bool, str]] = []
        self.wanted: set[str] = set()
        self.hopes: set[str] = set()

    @rule(mailbox=MAILBOXES)
    def watch(self, mailbox: str) -> None:
        is_new = mailbox not in self.wanted
        in_force = self.subscriptions.watch(mailbox)
        self.wanted.add(mailbox)
        if not in_force and is_new:
            self.hopes.add(mailbox)
        assert in_force == (mailbox not in self.hopes)

    @rule(mailbox=MAILBOXES)
    def unwatch(self, mailbox: str) -> None:
        self.subscriptions.unwatch(mailbox, self.now)
        self.wanted.discard(mailbox)
        self.hopes.discard(mailbox)

    @rule(interval=st.sampled_from([0.5, 1.0, 3.0]))
    def exchange(self, interval: float) -> None:
        self.now += interval
        subscribe, unsubscribe = self.subscriptions.exchange(2, self.now)
        self.commands += [(True, one) for one in subscribe] + [(False, one) for one in unsubscribe]

    @rule(share=st.integers(1, 4))
    def answer(self, share: int) -> None:
        answered, self.commands = self.commands[:share], self.commands[share:]
        for is_subscribe, mailbox in answered:
            (self.in_force.add if is_subscribe else self.in_force.remove)(mailbox)
        confirmed = self.subscriptions.settle(len(answered), self.now)
        assert self.hopes >= set(confirmed)
        assert len(confirmed) == len(set(confirmed))
        self.hopes.difference_update(confirmed)

    @rule()
    def lose(self) -> None:
        self.subscriptions.lose()
        self.commands, self.in_force, self.hopes = [], set(), set(self.wanted)

    @invariant()
    def counts_what_is_wanted(self) -> None:
        assert len(self.wanted) == self.subscriptions.watched

    @invariant()
    def promises_only_what_redis_has(self) -> None:
        assert self.in_force >= self.wanted - self.hopes

    def teardown(self) -> None:
        for _ in range(20):
            self.answer(4)
            self.exchange(3.0)
        assert not self.hopes
        assert self.wanted == self.in_force


def test_every_interleaving() -> None:
    """However calls and replies interleave, what is wanted ends confirmed, and alone."""
    rhythm = settings(max_examples=60, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(AgainstRedis, settings=rhythm)
