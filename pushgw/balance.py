"""Tells the workers of this machine how many phones each of them has, and moves some away.

The workers share a page of memory that was there before they were forked. Each writes its own count
once a second, and compares what all of them had one second ago: counts of the same moment, or
whoever looks first would take a storm of arrivals for an uneven share. A worker that did not write
then (dead, draining, or a second late) is not one of those that share.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

from pushgw.share import is_uneven, surplus

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT: Final = 2
"""Seconds whose counts are kept: the last one that all can have written, and this one."""
_FIELDS: Final = 2
"""Of one count: its second, then the count; 8 bytes each."""


class Tally:
    """The counts of all workers. To be made before they are forked.

    Times are seconds of the monotonic clock, which is the same for all processes of a machine and
    for their event loops.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._numbers = memoryview(mmap.mmap(-1, workers * _KEPT * _FIELDS * 8)).cast("q")

    def publish(self, index: int, count: int, now: float) -> None:
        """Write what a worker has at this second.

        Args:
            index: Its number, from 0.
            count: Its phones.
            now: Seconds.
        """
        at = self._place(index, int(now))
        self._numbers[at + 1] = count
        self._numbers[at] = int(now)

    def read(self, now: float) -> dict[int, int]:
        """Return what each worker had one second before, by number; without those that were silent.

        Args:
            now: Seconds.
        """
        second = int(now) - 1
        places = ((index, self._place(index, second)) for index in range(self._workers))
        return {index: self._numbers[at + 1] for index, at in places if self._numbers[at] == second}

    def _place(self, index: int, second: int) -> int:
        return (index * _KEPT + second % _KEPT) * _FIELDS


class Balancer:
    """Moves phones away from one worker while it has too many.

    Args:
        tally: Shared by all workers.
        index: Number of this worker.
        count: Counts its phones by their connections: one between two Pings is here as well.
        shed: Ends at most so many Pings in a way that moves their phones, and returns how many.
    """

    def __init__(
        self, tally: Tally, index: int, count: Callable[[], int], shed: Callable[[int], int]
    ) -> None:
        self.moved = 0
        """Phones moved away so far."""
        self._tally = tally
        self._index = index
        self._count = count
        self._shed = shed
        self._last = 0
        """The second of the latest tick."""
        self._is_uneven = False
        self._has_left = False

    def tick(self, now: float) -> bool:
        """Publish the count of this worker, and move phones if need be; called once a second.

        Args:
            now: Seconds of the loop's clock.

        Returns:
            False: there is never more to do.
        """
        second = int(now)
        if not self._has_left and second != self._last:
            self._last = second
            self._tally.publish(self._index, self._count(), now)
            self._compare(self._tally.read(now))
        return False

    def leave(self) -> None:
        """Be counted no more, as this worker drains."""
        self._has_left = True

    def _compare(self, counts: dict[int, int]) -> None:
        self._is_uneven = is_uneven([*counts.values()], was_uneven=self._is_uneven)
        own = counts.pop(self._index, None)
        # A worker that was late itself has better things to do.
        if self._is_uneven and own is not None:
            too_many = surplus(own, [*counts.values()])
            if too_many:
                self.moved += self._shed(too_many)
