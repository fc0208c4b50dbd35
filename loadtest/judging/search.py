"""Search for the highest load that keeps a promise.

Rules:
    1. Grow by a factor until a load fails, then halve the gap by its geometric mean.
    2. A load fails when it failed several times in a row: one slow second of a shared host is no
       limit. It keeps the promise when it did so once.
    3. Loads above one that failed are not tried: what a server cannot do, it cannot do with more.

emqttb calls the same idea autorate; here a step is a whole run, so that no load lives on the queues
of the one before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

FINEST: Final = 0.001
"""Below it rounding, not the server, would end a search."""


class SearchError(ValueError):
    """A search that cannot be made; the text says which number is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a search."""

    load: float
    kept: bool
    """Whether the promise was kept."""


class Search:
    """Says which load to try next. Equal answers give equal searches.

    Raises:
        SearchError: If a number is out of its range.
    """

    def __init__(
        self,
        lowest: float,
        highest: float,
        *,
        step: float = 2.0,
        precision: float = 0.1,
        repeats: int = 1,
    ) -> None:
        """Begin.

        Args:
            lowest: The first load, in any unit; more than 0. Nothing below it is tried.
            highest: Nothing above it is tried.
            step: Factor to grow by; more than 1.
            precision: The search is over when the lowest load that failed is at most this part
                above the highest one that kept the promise; at least ``FINEST``.
            repeats: How often a load that failed is tried again.
        """
        _check(
            0 < lowest <= highest < math.inf,
            f"loads {lowest:g} to {highest:g}",
            "0 < lowest <= highest, finite",
        )
        _check(step > 1, f"step {step:g}", "more than 1")
        _check(precision >= FINEST, f"precision {precision:g}", f"{FINEST:g} and more")
        _check(repeats >= 0, f"repeats {repeats}", "0 and more")
        self._lowest, self._highest = lowest, highest
        self._step, self._precision, self._repeats = step, precision, repeats
        self._failures = 0
        self._load: float | None = lowest
        self.found: float | None = None
        """The highest load that kept the promise; None while none did."""
        self.broken: float | None = None
        """The lowest load that failed for good; None while none did."""
        self.trials: list[Trial] = []
        """All runs, in order."""

    def next(self) -> float | None:
        """Return the load to try; None when the search is over."""
        return self._load

    def tell(self, load: float, kept: bool) -> None:  # noqa: FBT001 - the outcome of that load
        """Enter how a run ended.

        Args:
            load: What ``next`` returned.
            kept: Whether the promise was kept.

        Raises:
            SearchError: If it was not asked for.
        """
        _check(load == self._load, f"a trial at {load:g}", f"the one asked for, {self._load}")
        self.trials.append(Trial(load, kept))
        if not kept and self._failures < self._repeats:
            self._failures += 1
            return
        self._failures = 0
        if kept:
            self.found = load
        else:
            self.broken = load
        self._load = self._choose()

    def _choose(self) -> float | None:
        if self.found is None or self.found >= self._highest:
            return None
        if self.broken is None:
            return min(self.found * self._step, self._highest)
        if self.broken / self.found <= 1 + self._precision:
            return None
        return math.sqrt(self.found * self.broken)


def _check(is_right: bool, found: str, allowed: str) -> None:  # noqa: FBT001 - the point of a check
    if not is_right:
        raise SearchError(f"{found}; allowed: {allowed}")
