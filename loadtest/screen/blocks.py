"""Pictures made of block characters: shares of a bar, and a curve on a logarithmic scale."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_STEPS: Final = len(_EIGHTHS) - 1
_LEAST: Final = 1e-6
"""Zero has no logarithm; a microsecond is the least a histogram tells."""
_DECADE: Final = 10.0


def divide(counts: Sequence[int], cells: int) -> list[int]:
    """Divide the cells of a bar in proportion to counts.

    A count that is not zero gets at least one cell: one phone of a million that has stopped is
    what the bar is looked at for.

    Args:
        counts: None of them negative.
        cells: At least as many as there are counts.
    """
    total = sum(counts)
    if not total:
        return [0] * len(counts)
    parts = [max(1, count * cells // total) if count else 0 for count in counts]
    parts[parts.index(max(parts))] += cells - sum(parts)
    return parts


def scale(values: Sequence[float | None]) -> tuple[float, float]:
    """Return the ends of a logarithmic scale, a decade apart at least: noise stays small.

    Raises:
        ValueError: If all values are None.
    """
    known = [value for value in values if value is not None]
    low = max(min(known), _LEAST)
    return low, max(*known, low * _DECADE)


def curve(values: Sequence[float | None], rows: int = 1) -> list[str]:
    """Draw positive values as columns on a logarithmic scale; None leaves a gap.

    Args:
        values: One for each column, not all of them None.
        rows: Lines of text to draw with, at least one.

    Returns:
        The lines, from the top, each as long as ``values``.
    """
    low, high = scale(values)
    most = rows * _STEPS
    levels = [
        0 if value is None else 1 + round(log(max(value, low) / low, high / low) * (most - 1))
        for value in values
    ]
    return [
        "".join(_EIGHTHS[min(max(level - below, 0), _STEPS)] for level in levels)
        for below in range(most - _STEPS, -1, -_STEPS)
    ]
