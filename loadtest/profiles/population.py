"""Which phones a process plays: users and their devices, and the groups they belong to.

Nothing here is stored for each phone but a byte for its group, and for each user where its phones
begin: names are made when they are asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from loadtest.profiles.profile import Group
    from loadtest.profiles.users import Users


class Population:
    """Mailboxes and phones of one process, both numbered from 0. Make one with ``populate``."""

    __slots__ = ("_first", "_starts", "_step", "_users")

    def __init__(self, users: Users, starts: Sequence[int], first: int, step: int) -> None:
        """Take the users first, first + step, ... and the phone that each one begins with.

        Args:
            users: For the names.
            starts: One phone number for each mailbox, ascending, and the number of all phones.
            first: Number of the first user.
            step: From one user to the next.
        """
        self._users = users
        self._starts = array("L", starts)
        self._first = first
        self._step = step

    @property
    def mailboxes(self) -> int:
        """How many users there are."""
        return len(self._starts) - 1

    @property
    def password(self) -> str:
        """The password of all users."""
        return self._users.password

    @property
    def devices(self) -> int:
        """How many phones there are."""
        return self._starts[-1]

    def devices_of(self, mailbox: int) -> range:
        """Return the phones of a mailbox."""
        return range(self._starts[mailbox], self._starts[mailbox + 1])

    def mailbox_of(self, phone: int) -> int:
        """Return the mailbox of a phone."""
        return bisect_right(self._starts, phone) - 1

    def mailbox_name(self, mailbox: int) -> str:
        """Return the login of a user."""
        return self._users.login(self._number(mailbox))

    def device_name(self, phone: int) -> str:
        """Return the DeviceId of a phone."""
        mailbox = self.mailbox_of(phone)
        device = phone - self._starts[mailbox] + 1
        return self._users.device_id(self._number(mailbox), device)

    def _number(self, mailbox: int) -> int:
        return self._first + mailbox * self._step


def populate(
    users: Users, *, devices: int, part: int, parts: int, rng: random.Random
) -> Population:
    """Draw users until there are enough phones; the last user may get fewer.

    Args:
        users: How many devices users have, and their names.
        devices: Phones of this process.
        part: Which process this is, from 0. It plays every ``parts``-th user, so that no two
            processes play the same one, however many each needs.
        parts: How many processes there are.
        rng: The dice.
    """
    counts = [count for count, _ in users.per_user]
    weights = list(accumulate(weight for _, weight in users.per_user))
    starts = array("L", (0,))
    while starts[-1] < devices:
        (count,) = rng.choices(counts, cum_weights=weights)
        starts.append(min(devices, starts[-1] + count))
    return Population(users, starts, users.first + part, parts)


def divide(devices: int, parts: int) -> list[int]:
    """Return how many phones each of so many processes plays; they differ by one at most."""
    each, rest = divmod(devices, parts)
    return [each + (part < rest) for part in range(parts)]


def assign(groups: Sequence[Group], devices: int, rng: random.Random) -> bytes:
    """Return the index of the group of each phone, in random order.

    The proportions are exact: by the method of the largest remainder no group is off by one phone.

    Args:
        groups: 1 to 256.
        devices: How many phones there are.
        rng: The dice.
    """
    total = sum(group.share for group in groups)
    exact = [devices * group.share / total for group in groups]
    sizes = [int(size) for size in exact]
    order = sorted(range(len(groups)), key=lambda index: sizes[index] - exact[index])
    for index in order[: devices - sum(sizes)]:
        sizes[index] += 1
    assigned = bytearray().join(bytes((index,)) * size for index, size in enumerate(sizes))
    rng.shuffle(assigned)
    return bytes(assigned)
