"""The brake on phones that repeat themselves.

A phone repeats a Ping without delay after an instant answer (statuses 1, 3, 4, 5, 8 on AOSP; 2 when
it does not synchronise). Three times the same answer is normal life, from then on it waits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

FREE: Final = 3
"""How many times in a row the same instant answer leaves without delay."""
LONGEST: Final = 60.0
"""Seconds; the longest delay, that of the shortest usual heartbeat."""
FORGET: Final = 300.0
"""Seconds without an instant answer after which a device starts anew."""


class Brake:
    """How long the next instant answer of a device is held back."""

    __slots__ = ("_limit", "_repeats")

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._repeats: OrderedDict[str, tuple[int, int, float]] = OrderedDict()

    def delay(self, device: str, answer: int, now: float) -> float:
        """Count an instant answer.

        Args:
            device: Key of the device, across users.
            answer: Hash of what it is told; another answer starts the count anew.
            now: Seconds.

        Returns:
            Seconds to hold the answer back: 0, 0, 0, 1, 2, 4 ... up to ``LONGEST``.
        """
        last, count, at = self._repeats.pop(device, (answer, 0, now))
        repeats = count + 1 if last == answer and now - at < FORGET + LONGEST else 1
        self._repeats[device] = (answer, repeats, now)
        if len(self._repeats) > self._limit:
            self._repeats.popitem(last=False)
        if repeats <= FREE:
            return 0.0
        return min(2.0 ** min(repeats - FREE - 1, 10), LONGEST)

    def release(self, device: str) -> None:
        """Forget a device that has really waited."""
        self._repeats.pop(device, None)
