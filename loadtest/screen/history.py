"""The run so far, as far as the live view looks back, and what only two moments tell."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from loadtest.moments import gateway_cpu

if TYPE_CHECKING:
    from loadtest.result import Mark, Moment

SHOWN: Final = 60
"""Moments a curve goes back."""
_MARKS: Final = 5


class History:
    """The last moments and marks of a run, and the first moment that the gateway told of."""

    def __init__(self) -> None:
        self.moments: deque[Moment] = deque(maxlen=SHOWN)
        """The oldest first."""
        self.marks: deque[Mark] = deque(maxlen=_MARKS)
        """The oldest first."""
        self._empty: Moment | None = None

    def add(self, moment: Moment) -> None:
        """Add the newest moment."""
        self.moments.append(moment)
        if self._empty is None and moment.gateway.memory_bytes is not None:
            self._empty = moment

    @property
    def now(self) -> Moment:
        """The newest moment; there must be one."""
        return self.moments[-1]

    def per_second(self, name: str) -> float:
        """Return by how much a count grew in the last interval, a second; 0.0 at the beginning."""
        then, now = self.moments[max(-2, -len(self.moments))], self.now
        if now.at <= then.at:
            return 0.0
        return (now.counts.get(name, 0) - then.counts.get(name, 0)) / (now.at - then.at)

    def notify_p99(self) -> list[float | None]:
        """List the seconds of each moment's ``notify`` p99; None where no change was answered."""
        latest = [moment.recent.get("notify") for moment in self.moments]
        return [one.p99 if one and one.count else None for one in latest]

    def gateway_cores(self) -> float | None:
        """Return the CPU seconds a second that the gateway used of late, None if unknown."""
        corners = gateway_cpu(self.moments)
        is_known = corners and self.now.gateway.cpu_seconds is not None
        return corners[-1][1] if is_known else None

    def bytes_per_phone(self) -> float | None:
        """Return the gateway's memory for each phone held since the first moment, None if unknown.

        Rules: what the gateway used at the first moment, and who was held then, is subtracted.
        """
        then, memory = self._empty, self.now.gateway.memory_bytes
        if then is None or then.gateway.memory_bytes is None or memory is None:
            return None
        came = _held(self.now) - _held(then)
        return (memory - then.gateway.memory_bytes) / came if came > 0 else None


def _held(moment: Moment) -> int:
    told = moment.gateway.held
    return moment.held if told is None else told
