"""When names leave: gathered while many come, and given up after they lingered enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from notifier.bus import Bus, BusConfig
from notifier.change import channel
from tests.notifier.bus_scene import (
    QUICK,
    SHORT_LINGER,
    Recorder,
    calls,
    confirmed,
    kill_connections,
    running,
    subscribers,
    until,
    until_beaten,
    until_true,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

NEVER_BEATS = BusConfig(linger=0.0, ping_every=60.0, backoff_max=0.1)
"""What nobody watches is given up as soon as anything else is said to Redis."""


class Watcher(Recorder):
    """A listener that watches a mailbox again as soon as it is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.bus: Bus
        self.in_force: list[bool] = []

    def unheard(self, mailboxes: Sequence[str]) -> None:
        super().unheard(mailboxes)
        self.in_force += [self.bus.watch(mailbox) for mailbox in mailboxes]


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


async def test_one_command_per_turn(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """All mailboxes watched in one loop turn are subscribed by one command."""
    bus = Bus(valkey_url, listener)
    async with running(bus):
        await until(lambda: bus.is_connected)
        before = await calls(redis, "subscribe")
        for number in range(100):
            bus.watch(f"user{number}")
        await confirmed(listener, 100)

        assert 1 == await calls(redis, "subscribe") - before


async def test_lingering(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A mailbox unwatched stays subscribed for the linger time."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)
        bus.unwatch("ann")
        await until_beaten(redis)

        assert (1, 1) == (await subscribers(redis, "ann"), bus.watched)


async def test_watched_while_lingering(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A lingering mailbox watched again is in force at once, without a command."""
    bus = Bus(valkey_url, listener)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        before = await calls(redis, "subscribe")
        bus.unwatch("ann")
        in_force = bus.watch("ann")

        assert (True, before) == (in_force, await calls(redis, "subscribe"))


async def test_lingered_enough(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A mailbox unwatched is unsubscribed after the linger time."""
    bus = Bus(valkey_url, listener, config=SHORT_LINGER)

    async def is_left() -> bool:
        return await subscribers(redis, "ann") == 0

    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        bus.unwatch("ann")
        await until_true(is_left)

        assert 0 == bus.watched


async def test_watched_while_leaving(valkey_url: str, redis: Redis, listener: Recorder) -> None:
    """A mailbox watched before the reply to its UNSUBSCRIBE is subscribed and confirmed again."""
    bus = Bus(valkey_url, listener, config=BusConfig(linger=0.0))
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        bus.unwatch("ann")
        bus._flush()
        in_force = bus.watch("ann")
        await confirmed(listener, 2)

        assert (False, 1) == (in_force, await subscribers(redis, "ann"))


async def test_given_up_mailbox_is_told(valkey_url: str, listener: Recorder) -> None:
    """A mailbox whose linger time is over is told to be unheard, once, and no other."""
    bus = Bus(valkey_url, listener, config=SHORT_LINGER)
    async with running(bus):
        bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)
        bus.unwatch("ann")
        await until(lambda: bool(listener.unheard_of))
        await asyncio.sleep(0.05)

    assert ["ann"] == listener.unheard_of


async def test_lingering_mailbox_is_heard(
    valkey_url: str, redis: Redis, listener: Recorder
) -> None:
    """Until a mailbox is told to be unheard its hints come, although nobody watches it."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        bus.unwatch("ann")
        await redis.publish(channel("ann"), b"1")
        await until(lambda: bool(listener.hints))

        assert ([("ann", b"1")], []) == (listener.hints, listener.unheard_of)


async def test_mailbox_watched_while_lingering_is_not_given_up(
    valkey_url: str, redis: Redis, listener: Recorder
) -> None:
    """Whoever comes back in time is heard without a gap, and told of none."""
    bus = Bus(valkey_url, listener, config=NEVER_BEATS)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        bus.unwatch("ann")
        bus.watch("ann")
        bus._flush()
        await redis.publish(channel("ann"), b"1")
        await until(lambda: bool(listener.hints))

        assert ([], ["ann"]) == (listener.unheard_of, listener.confirmations)


async def test_other_names_give_up_what_lingered_enough(
    valkey_url: str, listener: Recorder
) -> None:
    """What has lingered enough is given up with the next command, not only at the beat."""
    bus = Bus(valkey_url, listener, config=NEVER_BEATS)
    async with running(bus):
        bus.watch("ann")
        await confirmed(listener, 1)
        bus.unwatch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)

    assert (["ann"], ["ann", "bob"]) == (listener.unheard_of, listener.confirmations)


async def test_mailbox_watched_when_it_is_given_up_is_confirmed_anew(valkey_url: str) -> None:
    """From the moment in which a mailbox is told to be unheard, watching it is a new beginning."""
    watcher = Watcher()
    bus = watcher.bus = Bus(valkey_url, watcher, config=SHORT_LINGER)
    async with running(bus):
        bus.watch("ann")
        await confirmed(watcher, 1)
        bus.unwatch("ann")
        await confirmed(watcher, 2)

    assert (["ann"], [False]) == (watcher.unheard_of, watcher.in_force)


async def test_loss_is_not_told_by_mailbox(
    valkey_url: str, redis: Redis, listener: Recorder
) -> None:
    """A connection that is lost while mailboxes linger is one loss, and no mailbox is named."""
    bus = Bus(valkey_url, listener, config=QUICK)
    async with running(bus):
        bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)
        bus.unwatch("ann")
        await kill_connections(redis)
        await confirmed(listener, 3)

        assert ([], 1) == (listener.unheard_of, listener.losses)


async def test_names_of_a_storm_are_gathered(
    valkey_url: str, redis: Redis, listener: Recorder
) -> None:
    """While many names come, those of a moment leave together, not a few in each turn."""
    bus = Bus(valkey_url, listener, config=BusConfig(gather=0.02))
    async with running(bus):
        await until(lambda: bus.is_connected)
        bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)
        before = await calls(redis, "subscribe")
        for number in range(20):
            bus.watch(f"user{number}")
            await asyncio.sleep(0)
        await confirmed(listener, 22)

        assert 1 == await calls(redis, "subscribe") - before


async def test_name_of_a_quiet_moment_leaves_at_once(valkey_url: str, listener: Recorder) -> None:
    """A name that comes alone is in the next write, also when it is the first after a storm."""
    bus = Bus(valkey_url, listener, config=BusConfig(gather=0.02))
    async with running(bus):
        await until(lambda: bus.is_connected)
        for names in (["ann", "bob"], ["cat"]):
            for name in names:
                bus.watch(name)
            await confirmed(listener, len(listener.confirmations) + len(names))
        bus.watch("dan")
        await asyncio.sleep(0)

        assert ["dan"] == list(bus._subscriptions._asked)


async def test_names_that_wait_for_a_lost_connection_are_kept(
    valkey_url: str, redis: Redis, listener: Recorder
) -> None:
    """Names that were being gathered when the connection was lost are subscribed by the next."""
    bus = Bus(valkey_url, listener, config=BusConfig(gather=0.02, backoff_max=0.05))
    async with running(bus):
        await until(lambda: bus.is_connected)
        bus.watch("ann")
        bus.watch("bob")
        await confirmed(listener, 2)
        bus.watch("cat")
        bus._disconnect()
        await asyncio.sleep(0.03)
        await kill_connections(redis)
        await confirmed(listener, 5)

    assert ["ann", "ann", "bob", "bob", "cat"] == sorted(listener.confirmations)
