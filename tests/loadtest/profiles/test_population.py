"""Which phones a process plays."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from loadtest.profiles.population import assign, divide, populate
from loadtest.profiles.profile import Group
from loadtest.profiles.users import Users


def dice(seed=1):
    return random.Random(seed)


def a_population(*, devices=10, part=0, parts=1, **users):
    return populate(Users(**users), devices=devices, part=part, parts=parts, rng=dice())


def test_there_are_as_many_phones_as_asked_for() -> None:
    """The last user gets what is left: three users with four devices make ten phones."""
    population = a_population(per_user=((4, 1.0),))

    assert (3, 10, [range(4), range(4, 8), range(8, 10)]) == (
        population.mailboxes,
        population.devices,
        [population.devices_of(mailbox) for mailbox in range(3)],
    )


def test_a_phone_knows_its_mailbox() -> None:
    """Each phone belongs to the mailbox that has it among its phones."""
    population = a_population(devices=100, per_user=((1, 0.5), (3, 0.5)))

    found = [population.mailbox_of(phone) for phone in range(100)]

    expected = [
        mailbox for mailbox in range(population.mailboxes) for _ in population.devices_of(mailbox)
    ]
    assert expected == found


def test_names_are_those_of_the_users() -> None:
    """The second process of three plays the users 11, 14, 17, ... when the first one is 10."""
    population = a_population(part=1, parts=3, first=10, per_user=((2, 1.0),), password="hush")

    assert ("user000014@example.org", "PHONE000014N2", "hush") == (
        population.mailbox_name(1),
        population.device_name(3),
        population.password,
    )


def test_no_two_processes_play_the_same_phone() -> None:
    """However many users each process needs, all names are different."""
    parts = [
        a_population(devices=50, part=part, parts=3, per_user=((1, 0.9), (30, 0.1)))
        for part in range(3)
    ]

    names = {one.device_name(phone) for one in parts for phone in range(one.devices)}

    assert 150 == len(names)


def test_devices_per_user_follow_their_weights() -> None:
    """Of a thousand users about a quarter has three devices."""
    population = a_population(devices=1500, per_user=((1, 0.75), (3, 0.25)))

    sizes = Counter(len(population.devices_of(one)) for one in range(population.mailboxes))

    assert 0.2 < sizes[3] / population.mailboxes < 0.3


def test_a_process_may_have_no_phones() -> None:
    """Without phones there are no mailboxes."""
    assert 0 == a_population(devices=0).mailboxes


@pytest.mark.parametrize(
    ("devices", "parts", "expected"),
    [(10, 3, [4, 3, 3]), (9, 3, [3, 3, 3]), (2, 3, [1, 1, 0]), (7, 1, [7])],
)
def test_phones_are_divided_evenly(devices: int, parts: int, expected: list[int]) -> None:
    """Processes differ by one phone at most, and none is forgotten."""
    assert expected == divide(devices, parts)


@pytest.mark.parametrize(
    ("shares", "devices", "expected"),
    [
        ((1.0, 1.0), 10, [5, 5]),
        ((0.8, 0.1, 0.05, 0.05), 2000, [1600, 200, 100, 100]),
        ((1.0, 1.0, 1.0), 10, [4, 3, 3]),
        ((0.5, 0.3, 0.2), 7, [4, 2, 1]),
        ((1.0, 1000.0), 10, [0, 10]),
    ],
)
def test_groups_have_their_exact_shares(
    shares: tuple[float, ...], devices: int, expected: list[int]
) -> None:
    """Where a share is no whole number, the largest remainders get the phones that are left."""
    groups = [Group(kind="fixed", share=share) for share in shares]

    found = assign(groups, devices, dice())

    assert expected == [found.count(index) for index in range(len(groups))]


def test_groups_are_mixed() -> None:
    """The phones of a group do not stand side by side, and equal dice give equal orders."""
    groups = [Group(kind="fixed"), Group(kind="aosp")]

    found = assign(groups, 100, dice())

    assert 10 < found[:50].count(0) < 40
    assert found == assign(groups, 100, dice())
