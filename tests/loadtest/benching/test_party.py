"""Phones of a load process and what they know."""

from __future__ import annotations

import random

from loadtest.benching.load import KNOWN
from loadtest.benching.party import Party, habits
from loadtest.profiles.population import populate
from loadtest.profiles.users import Users
from loadtest.targets import Target

DICE = random.Random(1)


def party(devices: int, per_user: int) -> Party:
    users = Users(per_user=((per_user, 1.0),))
    population = populate(users, devices=devices, part=0, parts=1, rng=DICE)
    each = habits(devices, (480, 480), watched=KNOWN, rng=DICE)
    return Party(Target("127.0.0.1", 1), population, each, DICE)


async def test_nobody_has_arrived_at_first() -> None:
    """Without a phone that has begun, there is no mailbox to change."""
    assert [] == list(party(3, 1).mailboxes())


async def test_a_mailbox_with_one_phone_there_counts() -> None:
    """The mailboxes are those of the phones that have begun, shared ones once."""
    one = party(10, 4)
    one.arrived = 5

    assert 2 == len(list(one.mailboxes()))


def test_equal_habits_are_one_object() -> None:
    """Phones with the same heartbeat share their habits, and know the folders given."""
    found = habits(50, (480, 481), watched=KNOWN, rng=DICE)

    assert {480, 481} == {one.heartbeat for one in found}
    assert 2 == len({id(one) for one in found})
    assert KNOWN == found[0].known
