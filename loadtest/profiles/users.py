"""Who the phones of a run belong to: names of users and devices, made from templates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from loadtest.profiles.checks import above_0, at_least, check

_DEVICE_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
"""Source: [MS-ASHTTP] 2.2.1.1.1.2 (DeviceId)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who the phones belong to."""

    name: str = "user{n:06d}@example.org"
    """Login and mailbox; ``{n}`` is the number of the user."""
    device: str = "PHONE{n:06d}N{d}"
    """DeviceId; ``{d}`` counts the devices of a user from 1."""
    password: str = field(default="synthetic", repr=False)
    first: int = 1
    """Number of the first user."""
    per_user: tuple[tuple[int, float], ...] = ((1, 1.0),)
    """How many devices a user has, and the weight of that number."""

    def __post_init__(self) -> None:
        check(
            at_least("users.first", self.first, 0),
            "users.per_user: found nothing, allowed a number of devices, or several with weights"
            if not self.per_user
            else None,
            *(at_least("users.per_user", count, 1) for count, _ in self.per_user),
            *(above_0("users.per_user", weight) for _, weight in self.per_user),
            self._wrong_name(),
            self._wrong_device(),
        )

    def login(self, number: int) -> str:
        """Return the login of the user of that number."""
        return self.name.format(n=number)

    def device_id(self, number: int, device: int) -> str:
        """Return the DeviceId of a device of the user of that number."""
        return self.device.format(n=number, d=device)

    def _wrong_name(self) -> str | None:
        names = [_filled(self.name, n=number) for number in (self.first, self.first + 1)]
        if names[0] != names[1] and not any(":" in name for name in names):
            return None
        return (
            f"users.name: found {self.name!r}, allowed a text with {{n}}, the number of the user, "
            "and without a colon"
        )

    def _wrong_device(self) -> str | None:
        most = max((count for count, _ in self.per_user), default=1)
        numbers = [self.first + more for more in (0, 1, 10, 1_000_000)]
        # 11 of user 1 and 1 of user 11 have one id where nothing stands between the two numbers.
        counts = {count for count in (1, 2, 11, most) if count <= max(1, most)}
        pairs = list(product(numbers, counts))
        names = {_filled(self.device, n=number, d=count) for number, count in pairs}
        if len(names) == len(pairs) and all(map(_DEVICE_ID.fullmatch, names)):
            return None
        return (
            f"users.device: found {self.device!r}, allowed 1 to 32 letters and digits with {{n}}, "
            "the number of the user, and {d}, that of the device, so that no two are equal"
        )


def _filled(template: str, **numbers: int) -> str:
    """Fill a template in; one that asks for something else stays as it is."""
    try:
        return template.format(**numbers)
    except (AttributeError, LookupError, TypeError, ValueError):
        return template
