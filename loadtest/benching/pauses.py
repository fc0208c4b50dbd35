"""How long a gateway's collections of cyclic garbage were, from its metrics."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_METRIC: Final = "pushgw_gc_pause_seconds"


def longest(text: str) -> float:
    """Return seconds within which each collection was over; 0 if there was none.

    It is the upper bound of the highest bucket that counted, or the sum of all if that is less:
    no collection can have taken longer.

    Args:
        text: Metrics in the text format; those of several workers are added up.

    Raises:
        ValueError: If it is no text format.
    """
    lines = [line for line in text.splitlines() if line.startswith(_METRIC)]
    below: defaultdict[float, float] = defaultdict(float)
    total = 0.0
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            if sample.name == f"{_METRIC}_bucket":
                below[float(sample.labels["le"])] += sample.value
            elif sample.name == f"{_METRIC}_sum":
                total += sample.value
    most = max(below.values(), default=0)
    return min([total, *(bound for bound, count in below.items() if count == most)])
