"""What interval a phone gets, and when its answer must leave."""

from __future__ import annotations

from dataclasses import dataclass

LEAD = 1.0
"""Seconds before the end of an interval at which its answer is due at the latest.

That leaves a second for a busy loop: a phone that asked for N seconds stops reading at N + 5 and
shortens its heartbeat after a miss. Source: AOSP's client, read time-out of a Ping.
"""
SPREAD = 0.75
"""Seconds over which answers that would be due together are spread: phones that came back at once
after a failure, all with the same interval, part a little more with each one. With a wheel of
quarters of a second, which fires up to a slot early, answers leave 1 to 2 s before the end.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The intervals that are granted, in whole seconds, both ends included."""

    low: int
    high: int
    default: int
    """For a phone whose interval cannot be known now."""

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.default <= self.high:
            raise ValueError(
                f"bounds {self.low}..{self.high} with default {self.default}; "
                "allowed: 1 <= low <= default <= high"
            )

    def nearest(self, requested: int) -> int:
        """Clamp what a phone asks for to what is granted.

        Args:
            requested: Seconds, any integer.

        Returns:
            Seconds within the bounds; equal to ``requested`` if that is allowed.

        Source: [MS-ASCMD] 2.2.3.88.1 (HeartbeatInterval), status 5.
        """
        return min(max(requested, self.low), self.high)


def due_at(received: float, interval: float, dice: float = 0.0) -> float:
    """Tell when the answer to a request must leave at the latest.

    Args:
        received: When the request arrived, seconds of the loop's clock.
        interval: Seconds that the phone asked to wait.
        dice: At least 0 and below 1, its place among those that would be due together.

    Returns:
        Seconds of the same clock, ``LEAD`` to ``LEAD`` + ``SPREAD`` before the interval ends.
    """
    return received + interval - LEAD - SPREAD * dice
