"""Whether the figures of a run are the server's, or those of a generator that was too slow.

Lateness and lag count from the intended time, hence as the server's latency: a run in which they
are a good part of it says nothing about the server.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from loadtest.wording import duration, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtest.figures import Figures
    from loadtest.result import Moment

BUSY: Final = 0.9
"""Part of a core: above it a single-threaded loop has a queue of its own."""
BUSY_INTERVAL: Final = 5.0
"""Seconds; shorter bursts are in the lag."""
LATE: Final = 0.2
"""Seconds that nothing in the generator may be late by, 99th percentile."""
NEGLIGIBLE: Final = 0.02
"""Seconds of lateness that are no reason, however fast the server is."""
SHARE: Final = 0.5
"""Part of the latency to the phone that may be the generator's own."""
PUBLISHED: Final = 0.95
"""Part of the changes asked for that has to be published."""
SIGMAS: Final = 3.0
"""How far below its mean a Poisson process is taken to be chance."""
UNREPORTED: Final = 1.5
"""Seconds of publishing that the last moment may not know of: processes report once a second."""
RUNNING: Final = "running"
"""Phase that counts: phones that arrive may come as fast as the generator can."""
_JITTER: Final = 0.1
"""Seconds that moments "about a second apart" may be short of ``BUSY_INTERVAL``."""
_LATENESS: Final = {
    "lag": "the generator's event loops were",
    "publish": "the generator began to publish",
}


@dataclass(frozen=True, slots=True)
class _Window:
    begin: float
    end: float
    cpu: float
    """CPU seconds a second of the busiest process."""


def reasons(moments: Sequence[Moment], figures: Figures) -> tuple[str, ...]:
    """Tell why the generator, not the server, made the figures of a run.

    Args:
        moments: Of one run, in order.
        figures: Of the whole run.

    Returns:
        One line of text each; none if the run is valid.
    """
    running = [one for one in moments if one.phase == RUNNING]
    return (*_busy(running), *_late(figures), *_short(running))


def _busy(running: Sequence[Moment]) -> Iterator[str]:
    worst = max(_windows(running), key=lambda one: one.cpu, default=None)
    if worst and worst.cpu > BUSY:
        yield (
            f"the busiest generator process used {share(worst.cpu)} of a core from "
            f"{worst.begin:.0f} s to {worst.end:.0f} s: use more processes or another host"
        )


def _windows(running: Sequence[Moment]) -> Iterator[_Window]:
    """Yield the mean use of each ``BUSY_INTERVAL``, beginning with each moment."""
    ats = [one.at for one in running]
    spent = (now.cpu * (now.at - before.at) for before, now in pairwise(running))
    used = list(accumulate(spent, initial=0.0))
    for first, begin in enumerate(ats):
        last = bisect_left(ats, begin + BUSY_INTERVAL - _JITTER)
        if last < len(ats):
            cpu = (used[last] - used[first]) / (ats[last] - begin)
            yield _Window(begin, ats[last], cpu)


def _late(figures: Figures) -> Iterator[str]:
    notify = figures.latency("notify")
    for name, what in _LATENESS.items():
        late = figures.latency(name).p99
        is_share = notify.count > 0 and late > NEGLIGIBLE and late > notify.p99 * SHARE
        if late > LATE or is_share:
            found = f", of notify.p99 {duration(notify.p99)}" if notify.count else ""
            yield (
                f"{what} {duration(late)} late (99th percentile){found}: "
                "use more processes or another host"
            )


def _short(running: Sequence[Moment]) -> Iterator[str]:
    if not running:
        return
    asked = sum(
        (before.rate_target + now.rate_target) / 2 * (now.at - before.at)
        for before, now in pairwise(running)
    )
    # those that the publisher failed with are among them: that is not the generator's fault
    published = running[-1].counts.get("published", 0) - running[0].counts.get("published", 0)
    unknown = UNREPORTED * max(one.rate_target for one in running)
    if published + unknown < min(asked * PUBLISHED, asked - SIGMAS * math.sqrt(asked)):
        yield (
            f"{published:,} changes were published of {asked:,.0f} that the profile asks for from "
            f"{running[0].at:.0f} s to {running[-1].at:.0f} s: use more processes or a lower rate"
        )
